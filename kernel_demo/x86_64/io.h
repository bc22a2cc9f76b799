// Port I/O and memory-mapped registers of a PC.

#ifndef BATON_KERNEL_DEMO_X86_64_IO_H_
#define BATON_KERNEL_DEMO_X86_64_IO_H_

#include <cstdint>

namespace kit::machine {

inline void out8(uint16_t port, uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

inline void out16(uint16_t port, uint16_t value) {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

inline uint8_t in8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline volatile uint32_t& register32(uintptr_t address) {
  return *reinterpret_cast<volatile uint32_t*>(address);
}

}  // namespace kit::machine

#endif  // BATON_KERNEL_DEMO_X86_64_IO_H_
