// The time stamp counter, and how fast it and the APIC timer run: measured against the PIT, the
// one clock of a PC whose rate is a constant (1.193182 MHz).

#ifndef BATON_HAL_X86_64_CLOCK_H_
#define BATON_HAL_X86_64_CLOCK_H_

#include <cstdint>

namespace hal::x86_64 {

inline uint64_t read_clock() {
  uint32_t low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return uint64_t{high} << 32 | low;
}

struct Rates {
  uint64_t clock_hz;
  uint64_t timer_hz;
};

/// Counts both for 10 ms. `start_timer()` starts the timer, `timer_counts()` says how far it is.
/// Once a CPU, at boot, masked; uses the PIT's channel 2, the speaker's, with the speaker off.
template <typename Start, typename Counts>
Rates measure_rates(Start start_timer, Counts timer_counts) {
  constexpr uint16_t kGate = 0x61, kCommand = 0x43, kChannel2 = 0x42;
  constexpr uint64_t kPerSecond = 100;
  constexpr uint16_t kPitCounts = 1'193'182 / kPerSecond;
  const auto out = [](uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
  };
  const auto in = [](uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
  };
  const uint8_t gate = static_cast<uint8_t>(in(kGate) & ~3);
  out(kGate, gate);
  out(kCommand, 0xb0);  // channel 2, both bytes, mode 0: the output rises when the count ends
  out(kChannel2, kPitCounts & 0xff);
  out(kChannel2, kPitCounts >> 8);
  out(kGate, gate | 1);  // go
  start_timer();
  const uint64_t start = read_clock();
  while ((in(kGate) & 0x20) == 0) {
  }
  const uint64_t ticks = read_clock() - start;
  const uint64_t counts = timer_counts();
  out(kGate, gate);
  return {.clock_hz = ticks * kPerSecond, .timer_hz = counts * kPerSecond};
}

}  // namespace hal::x86_64

#endif  // BATON_HAL_X86_64_CLOCK_H_
