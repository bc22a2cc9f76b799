// How much of a CPU is reserved, in numbers that need no floating point and no 128-bit division,
// which no bare-metal library here has.

#ifndef BATON_SCHED_POLICY_BANDWIDTH_H_
#define BATON_SCHED_POLICY_BANDWIDTH_H_

#include <bit>
#include <cstdint>

#include "hal/time.h"

namespace sched {

using hal::Duration;

/// What the product of two 64-bit numbers fits in.
using Wide = unsigned __int128;

/// floor(dividend / divisor), or the largest number where that does not fit; `divisor` is not zero.
///
/// Long division of four digits of 32 bits by two, Knuth's Algorithm D (The Art of Computer
/// Programming, volume 2, 4.3.1): with the divisor's top bit set, a digit that is estimated from
/// the divisor's first digit alone is too large by two at most.
constexpr uint64_t divide(Wide dividend, uint64_t divisor) {
  if (dividend <= UINT64_MAX) return static_cast<uint64_t>(dividend) / divisor;
  if (static_cast<uint64_t>(dividend >> 64) >= divisor) return UINT64_MAX;
  const int shift = std::countl_zero(divisor);
  divisor <<= shift;
  dividend <<= shift;
  const uint64_t first = divisor >> 32;
  const uint64_t low = static_cast<uint64_t>(dividend);
  uint64_t rest = static_cast<uint64_t>(dividend >> 64);  // less than the divisor, always
  uint64_t quotient = 0;
  const uint64_t digits[] = {low >> 32, low & UINT32_MAX};
  for (const uint64_t digit : digits) {
    uint64_t estimate = rest / first;
    const Wide minuend = Wide{rest} << 32 | digit;
    Wide taken = Wide{estimate} * divisor;
    while (taken > minuend) {  // twice at most
      --estimate;
      taken -= divisor;
    }
    rest = static_cast<uint64_t>(minuend - taken);
    quotient = quotient << 32 | estimate;
  }
  return quotient;
}

/// floor(a * b / divisor), or the largest number where that does not fit.
constexpr uint64_t mul_div(uint64_t a, uint64_t b, uint64_t divisor) {
  return divide(Wide{a} * b, divisor);
}

/// A share of a CPU, in units of 2^-62 of it: four of a whole one fit in the number.
struct Bandwidth {
  uint64_t units = 0;

  friend constexpr auto operator<=>(const Bandwidth&, const Bandwidth&) = default;
  friend constexpr Bandwidth operator+(Bandwidth a, Bandwidth b) { return {a.units + b.units}; }
  friend constexpr Bandwidth operator-(Bandwidth a, Bandwidth b) { return {a.units - b.units}; }
};

inline constexpr Bandwidth kWholeCpu{uint64_t{1} << 62};

/// `runtime` in every `period`, rounded down; at most the period, which is not zero.
///
/// So a sum of n of them is less than what is meant by n units at most, which come to n ticks in
/// 2^62, or 146 years at 1 GHz; and three thirds fit in a whole.
constexpr Bandwidth bandwidth(Duration runtime, Duration period) {
  return {mul_div(runtime.ticks, kWholeCpu.units, period.ticks)};
}

}  // namespace sched

#endif  // BATON_SCHED_POLICY_BANDWIDTH_H_
