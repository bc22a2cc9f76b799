// COM1, a 16550 UART (National Semiconductor PC16550D), and its way through the IOAPIC.

#include "hal/native.h"
#include "kernel_demo/kit/machine.h"
#include "kernel_demo/x86_64/io.h"

namespace kit::machine {
namespace {

constexpr uint16_t kPort = 0x3f8;
constexpr uint16_t kData = kPort;
constexpr uint16_t kInterruptEnable = kPort + 1;
constexpr uint16_t kFifoControl = kPort + 2;
constexpr uint16_t kLineControl = kPort + 3;
constexpr uint16_t kModemControl = kPort + 4;
constexpr uint16_t kLineStatus = kPort + 5;

constexpr uint8_t kDataReady = 0x01;
constexpr uint8_t kHoldingEmpty = 0x20;
constexpr uint8_t kTransmitterEmpty = 0x40;

// ISA interrupt 4 is input 4 of the IOAPIC (82093AA). Any vector that the machine passes on as a
// device's will do.
constexpr uintptr_t kIoApicSelect = 0xfec00000;
constexpr uintptr_t kIoApicData = 0xfec00010;
constexpr uint32_t kInput = 4;
constexpr uint32_t kVector = hal::x86_64::kFirstVector + kInput;

void write_io_apic(uint32_t index, uint32_t value) {
  register32(kIoApicSelect) = index;
  register32(kIoApicData) = value;
}

}  // namespace

void start_console() {
  out8(kInterruptEnable, 0);
  out8(kLineControl, 0x80);  // the next two are the divisor
  out8(kData, 1);            // 115200 baud
  out8(kInterruptEnable, 0);
  out8(kLineControl, 0x03);   // 8N1
  out8(kFifoControl, 0x07);   // FIFOs on and empty, an interrupt from the first byte on
  out8(kModemControl, 0x0b);  // DTR, RTS, and OUT2, which gates the interrupt line on a PC
}

void put(char c) {
  while ((in8(kLineStatus) & kHoldingEmpty) == 0) {
  }
  out8(kData, static_cast<uint8_t>(c));
}

int get() { return (in8(kLineStatus) & kDataReady) != 0 ? in8(kData) : -1; }

void drain() {
  while ((in8(kLineStatus) & kTransmitterEmpty) == 0) {
  }
}

void enable_console_interrupt() {
  // A redirection entry: fixed delivery, edge triggered, to this CPU by its APIC id.
  write_io_apic(0x10 + 2 * kInput + 1, cpu() << 24);
  write_io_apic(0x10 + 2 * kInput, kVector);
  out8(kInterruptEnable, 0x01);
}

bool claim_console(hal::Interrupt interrupt) {
  return interrupt.cause == hal::Cause::device && interrupt.line == kVector;
}

void release_console() {}

}  // namespace kit::machine
