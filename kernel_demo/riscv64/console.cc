// The 16550 UART of QEMU's `virt`, and its way through the PLIC.

#include "kernel_demo/kit/machine.h"

namespace kit::machine {
namespace {

constexpr uintptr_t kUart = 0x10000000;
constexpr uintptr_t kData = kUart;
constexpr uintptr_t kInterruptEnable = kUart + 1;
constexpr uintptr_t kFifoControl = kUart + 2;
constexpr uintptr_t kLineControl = kUart + 3;
constexpr uintptr_t kLineStatus = kUart + 5;

constexpr uint8_t kDataReady = 0x01;
constexpr uint8_t kHoldingEmpty = 0x20;
constexpr uint8_t kTransmitterEmpty = 0x40;

// PLIC (RISC-V PLIC specification, chapter 3). A hart has two contexts, M-mode's and S-mode's.
constexpr uintptr_t kPlic = 0x0c000000;
constexpr uint32_t kSource = 10;

volatile uint8_t& register8(uintptr_t address) {
  return *reinterpret_cast<volatile uint8_t*>(address);
}

volatile uint32_t& register32(uintptr_t address) {
  return *reinterpret_cast<volatile uint32_t*>(address);
}

uintptr_t context() { return 2 * hardware_ids()[cpu()] + 1; }

volatile uint32_t& claim_register() { return register32(kPlic + 0x200004 + 0x1000 * context()); }

}  // namespace

void start_console() {
  register8(kInterruptEnable) = 0;
  register8(kLineControl) = 0x03;  // 8N1; the speed is the firmware's
  register8(kFifoControl) = 0x07;  // FIFOs on and empty, an interrupt from the first byte on
}

void put(char c) {
  while ((register8(kLineStatus) & kHoldingEmpty) == 0) {
  }
  register8(kData) = static_cast<uint8_t>(c);
}

int get() { return (register8(kLineStatus) & kDataReady) != 0 ? register8(kData) : -1; }

void drain() {
  while ((register8(kLineStatus) & kTransmitterEmpty) == 0) {
  }
}

void enable_console_interrupt() {
  constexpr uintptr_t kExternal = 1 << 9;  // sie.SEIE
  register32(kPlic + 4 * kSource) = 1;     // priority
  register32(kPlic + 0x2000 + 0x80 * context() + 4 * (kSource / 32)) |= 1u << kSource % 32;
  register32(kPlic + 0x200000 + 0x1000 * context()) = 0;  // threshold: everything
  asm volatile("csrs sie, %0" : : "r"(kExternal));
  register8(kInterruptEnable) = 0x01;
}

bool claim_console(hal::Interrupt interrupt) {
  if (interrupt.cause != hal::Cause::device) return false;
  return claim_register() == kSource;
}

void release_console() { claim_register() = kSource; }

}  // namespace kit::machine
