// Instants and durations: strong types that count the ticks of a machine's own clock.
//
// Everything between the machine and a policy speaks ticks; nanoseconds exist only at the edge
// (`to_ticks`, `to_nanoseconds`). The clock starts above zero at boot and counts up in 64 bits: at
// 1 GHz it lasts 584 years, so instants compare as plain numbers and never wrap. `never` is the
// largest instant and means "no deadline". Sums saturate at `never`.
//
// Callable from anywhere; every function here is pure, constant time and allocation-free.

#ifndef BATON_HAL_TIME_H_
#define BATON_HAL_TIME_H_

#include <compare>
#include <cstdint>

namespace hal {

/// A length of time, in clock ticks. Unsigned: nothing in a scheduler lasts less than nothing.
struct Duration {
  uint64_t ticks = 0;

  friend constexpr auto operator<=>(const Duration&, const Duration&) = default;
};

/// Longer than anything that a machine does, and small enough that `now + forever` needs no
/// saturation for 511 years at 1 GHz: while the clock is below 2^64 - 2^61.
inline constexpr Duration forever{uint64_t{1} << 61};

/// A point in time, in clock ticks since some moment before boot.
struct Instant {
  uint64_t ticks = 0;

  friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
};

/// Later than every instant that comes: "no deadline". One less than the largest number, so that a
/// scheduler has a number above it that no sum can reach.
inline constexpr Instant never{UINT64_MAX - 1};

/// The instant `length` after `start`; `never` where the sum does not fit.
constexpr Instant operator+(Instant start, Duration length) {
  const uint64_t sum = start.ticks + length.ticks;
  return sum < start.ticks || sum > never.ticks ? never : Instant{sum};
}

/// The time from `start` to `end`; zero when `end` is not later.
constexpr Duration operator-(Instant end, Instant start) {
  return end > start ? Duration{end.ticks - start.ticks} : Duration{};
}

/// Ticks of `nanoseconds` on a clock of `ticks_per_second`, rounded up so that a wait is never
/// short; saturates at `forever`.
constexpr Duration to_ticks(uint64_t nanoseconds, uint64_t ticks_per_second) {
  const uint64_t seconds = nanoseconds / 1'000'000'000;
  const uint64_t rest = nanoseconds % 1'000'000'000;
  // rest < 2^30: the product fits for every clock below 2^34 Hz.
  const uint64_t fraction = (rest * ticks_per_second + 999'999'999) / 1'000'000'000;
  if (ticks_per_second != 0 && seconds > (forever.ticks - fraction) / ticks_per_second) {
    return forever;
  }
  return Duration{seconds * ticks_per_second + fraction};
}

/// Nanoseconds in `length`, rounded down; saturates at the largest 64-bit number.
constexpr uint64_t to_nanoseconds(Duration length, uint64_t ticks_per_second) {
  const uint64_t seconds = length.ticks / ticks_per_second;
  const uint64_t rest = length.ticks % ticks_per_second;
  const uint64_t fraction = rest * 1'000'000'000 / ticks_per_second;
  if (seconds > (UINT64_MAX - fraction) / 1'000'000'000) return UINT64_MAX;
  return seconds * 1'000'000'000 + fraction;
}

}  // namespace hal

#endif  // BATON_HAL_TIME_H_
