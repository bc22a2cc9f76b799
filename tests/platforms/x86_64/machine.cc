// The PC of QEMU: serial port, isa-debug-exit and fw_cfg, all by port.

#include "tests/platforms/machine.h"

// Where PVH's start_info is: the boot code stores it.
extern "C" {
constinit std::uint32_t boot_start_info = 0;
}

namespace {

void out8(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}
void out16(std::uint16_t port, std::uint16_t value) {
  asm volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}
std::uint8_t in8(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

}  // namespace

void put_char(char c) { out8(0x3f8, static_cast<std::uint8_t>(c)); }

void exit_qemu(int status) {
  out8(0xf4, static_cast<std::uint8_t>(status >> 1));
  for (;;) asm volatile("hlt");
}

void end_machine() {
  const struct [[gnu::packed]] {
    std::uint16_t limit;
    std::uint64_t base;
  } no_interrupts{0, 0};
  asm volatile("lidt %0\n int3" ::"m"(no_interrupts));
  for (;;) asm volatile("hlt");
}

const char* command_line() {
  const auto* start_info = reinterpret_cast<const std::uint64_t*>(std::uintptr_t{boot_start_info});
  return reinterpret_cast<const char*>(start_info[3]);
}

const bool has_fw_cfg = true;
void fw_cfg_select(std::uint16_t item) { out16(0x510, item); }
std::uint8_t fw_cfg_next() { return in8(0x511); }
