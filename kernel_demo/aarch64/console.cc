// The PL011 UART (Arm DDI 0183) of QEMU's `virt`, and its way through the GIC.

#include "kernel_demo/kit/machine.h"

namespace kit::machine {
namespace {

constexpr uintptr_t kUart = 0x09000000;
constexpr uintptr_t kData = kUart + 0x00;
constexpr uintptr_t kFlags = kUart + 0x18;
constexpr uintptr_t kLineControl = kUart + 0x2c;
constexpr uintptr_t kControl = kUart + 0x30;
constexpr uintptr_t kInterruptMask = kUart + 0x38;
constexpr uintptr_t kInterruptClear = kUart + 0x44;

constexpr uint32_t kBusy = 1 << 3;
constexpr uint32_t kReceiveEmpty = 1 << 4;
constexpr uint32_t kTransmitFull = 1 << 5;
// A byte count reached, or fewer bytes and then silence.
constexpr uint32_t kReceiveInterrupts = 1 << 4 | 1 << 6;

// GICv3 distributor (Arm IHI 0069, 12.9). `virt` wires the UART to SPI 1, whose id is 33.
constexpr uintptr_t kDistributor = 0x08000000;
constexpr uint32_t kInterrupt = 33;

volatile uint32_t& register32(uintptr_t address) {
  return *reinterpret_cast<volatile uint32_t*>(address);
}

}  // namespace

void start_console() {
  register32(kControl) = 0;
  register32(kInterruptMask) = 0;
  register32(kInterruptClear) = 0x7ff;
  register32(kLineControl) = 3 << 5 | 1 << 4;       // 8N1, FIFOs on
  register32(kControl) = 1 << 0 | 1 << 8 | 1 << 9;  // on: itself, transmitter, receiver
}

void put(char c) {
  while ((register32(kFlags) & kTransmitFull) != 0) {
  }
  register32(kData) = static_cast<unsigned char>(c);
}

int get() {
  return (register32(kFlags) & kReceiveEmpty) != 0 ? -1
                                                   : static_cast<int>(register32(kData) & 0xff);
}

void drain() {
  while ((register32(kFlags) & kBusy) != 0) {
  }
}

void enable_console_interrupt() {
  uint64_t affinity;
  asm volatile("mrs %0, mpidr_el1" : "=r"(affinity));
  constexpr uint32_t kWord = kInterrupt / 32;
  constexpr uint32_t kBit = 1u << kInterrupt % 32;
  register32(kDistributor + 0x0080 + 4 * kWord) |= kBit;  // GICD_IGROUPR: group 1
  *reinterpret_cast<volatile uint8_t*>(kDistributor + 0x0400 + kInterrupt) = 0x80;  // priority
  *reinterpret_cast<volatile uint64_t*>(kDistributor + 0x6000 + 8 * kInterrupt) =
      affinity & 0xff'00ff'ffff;                         // GICD_IROUTER: this CPU
  register32(kDistributor + 0x0100 + 4 * kWord) = kBit;  // GICD_ISENABLER
  register32(kInterruptMask) = kReceiveInterrupts;
}

bool claim_console(hal::Interrupt interrupt) {
  if (interrupt.cause != hal::Cause::device || interrupt.line != kInterrupt) return false;
  // Before the bytes are read, not after: a byte that comes once the last one was found would have
  // its interrupt cleared with the others', and wait for the next one to be typed.
  register32(kInterruptClear) = kReceiveInterrupts;
  return true;
}

void release_console() {}

}  // namespace kit::machine
