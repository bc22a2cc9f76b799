// QEMU's virt machine: PL011 serial port, semihosting, PSCI, and fw_cfg by memory.

#include "tests/platforms/machine.h"
#include "tests/platforms/device_tree.h"

void put_char(char c) {
  *reinterpret_cast<volatile std::uint32_t*>(0x09000000) = static_cast<std::uint8_t>(c);
}

void exit_qemu(int status) {
  // Semihosting SYS_EXIT_EXTENDED, reason ADP_Stopped_ApplicationExit.
  const volatile std::uint64_t block[] = {0x20026, static_cast<std::uint64_t>(status)};
  register std::uint64_t operation asm("x0") = 0x20;
  register const volatile std::uint64_t* parameter asm("x1") = block;
  asm volatile("hlt #0xf000" : "+r"(operation) : "r"(parameter) : "memory");
  for (;;) asm volatile("wfi");
}

void end_machine() {
  register std::uint64_t function asm("x0") = 0x84000008;  // PSCI SYSTEM_OFF.
  asm volatile("hvc #0" : "+r"(function));
  for (;;) asm volatile("wfi");
}

// QEMU puts the device tree where the RAM begins.
const char* command_line() { return boot_arguments(reinterpret_cast<const void*>(0x40000000)); }

const bool has_fw_cfg = true;
void fw_cfg_select(std::uint16_t item) {
  *reinterpret_cast<volatile std::uint16_t*>(0x09020008) = __builtin_bswap16(item);
}
std::uint8_t fw_cfg_next() { return *reinterpret_cast<volatile std::uint8_t*>(0x09020000); }
