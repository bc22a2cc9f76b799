// A division of 128 bits by few, out of divisions of 64 bits by 64: there is no other in a kernel.

#ifndef BATON_SCHED_POLICY_QUOTIENT_H_
#define BATON_SCHED_POLICY_QUOTIENT_H_

#include <cstdint>
#include <initializer_list>

namespace sched {

/// Products of 64-bit numbers, and sums of them.
__extension__ using Int128 = __int128;
__extension__ using UnsignedInt128 = unsigned __int128;

/// dividend / divisor, rounded down, for a divisor from 1 to 2^48 and a quotient that fits. One
/// division if the dividend fits in 64 bits; else eight.
constexpr int64_t floor_quotient(Int128 dividend, uint64_t divisor) {
  if (dividend == static_cast<int64_t>(dividend)) [[likely]] {
    const int64_t low = static_cast<int64_t>(dividend);
    const int64_t by = static_cast<int64_t>(divisor);
    return low / by - (low % by < 0);
  }
  // By hand, in digits of 16 bits: what a digit leaves is below 2^48, so the next one fits behind
  // it. Below zero, floor(x / y) is -1 - floor((-1 - x) / y).
  const bool is_negative = dividend < 0;
  const UnsignedInt128 magnitude =
      static_cast<UnsignedInt128>(is_negative ? -1 - dividend : dividend);
  uint64_t quotient = 0;
  uint64_t rest = 0;
  for (const uint64_t half :
       {static_cast<uint64_t>(magnitude >> 64), static_cast<uint64_t>(magnitude)}) {
    for (int shift = 48; shift >= 0; shift -= 16) {
      rest = rest << 16 | (half >> shift & 0xffff);
      quotient = quotient << 16 | rest / divisor;
      rest %= divisor;
    }
  }
  return is_negative ? -1 - static_cast<int64_t>(quotient) : static_cast<int64_t>(quotient);
}

}  // namespace sched

#endif  // BATON_SCHED_POLICY_QUOTIENT_H_
