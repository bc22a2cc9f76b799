// QEMU's virt machine: 16550 serial port, test finisher and SBI.

#include "tests/platforms/machine.h"
#include "tests/platforms/device_tree.h"

// The device tree: the boot code stores what it found in a1.
extern "C" {
constinit const void* boot_device_tree = nullptr;
}

void put_char(char c) {
  *reinterpret_cast<volatile std::uint8_t*>(0x10000000) = static_cast<std::uint8_t>(c);
}

void exit_qemu(int status) {
  *reinterpret_cast<volatile std::uint32_t*>(0x100000) =
      (static_cast<std::uint32_t>(status) << 16) | 0x3333;
  for (;;) asm volatile("wfi");
}

void end_machine() {
  // SBI system reset: shutdown, no reason.
  register std::uint64_t type asm("a0") = 0;
  register std::uint64_t reason asm("a1") = 0;
  register std::uint64_t function asm("a6") = 0;
  register std::uint64_t extension asm("a7") = 0x53525354;
  asm volatile("ecall" : "+r"(type), "+r"(reason) : "r"(function), "r"(extension) : "memory");
  for (;;) asm volatile("wfi");
}

const char* command_line() { return boot_arguments(boot_device_tree); }

const bool has_fw_cfg = false;
void fw_cfg_select(std::uint16_t) { __builtin_trap(); }
std::uint8_t fw_cfg_next() { __builtin_trap(); }
