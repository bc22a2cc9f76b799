// Weights, and the time that runs slower the more one weighs.
//
// A weight is a share: of two that are always runnable, the one with twice the weight gets twice
// the time. Virtual time makes that a matter of order: each entity's own clock advances by the time
// it has run divided by its weight, and whoever's clock is behind runs.

#ifndef BATON_SCHED_POLICY_WEIGHT_H_
#define BATON_SCHED_POLICY_WEIGHT_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "hal/time.h"

namespace sched {

using hal::Duration;

/// A share relative to others: from 1 to `kMaxWeight`; `kNormalWeight` is what one has who asks for
/// nothing.
using Weight = uint32_t;
inline constexpr Weight kNormalWeight = 1024;
inline constexpr Weight kMaxWeight = Weight{1} << 20;

/// Whether a weight is in range.
constexpr bool is_valid_weight(Weight weight) { return weight >= 1 && weight <= kMaxWeight; }

/// What one weighs by itself and what it inherits: the sum of what all weigh who wait for it. It
/// counts for both together, but for no more than the largest weight; what it lends on, if it waits
/// itself, is all. The sum has room for 2^23 tasks of the largest weight.
class Stake {
 public:
  /// As policies `Inherits` them: they add up.
  using Claim = uint64_t;

  constexpr Weight own() const { return static_cast<Weight>(own_); }
  constexpr Claim all() const { return Claim{own()} + inherited_; }
  constexpr Weight effective() const {
    return all() < kMaxWeight ? static_cast<Weight>(all()) : kMaxWeight;
  }

  constexpr void set_own(Weight weight) { own_ = weight; }
  constexpr void inherit(const Claim* claims) { inherited_ = claims == nullptr ? 0 : *claims; }

 private:
  static constexpr int kOwnBits = 21;
  static_assert(kMaxWeight >> kOwnBits == 0);

  uint64_t own_ : kOwnBits = kNormalWeight;
  uint64_t inherited_ : 64 - kOwnBits = 0;
};

/// The weight of a nice level, -20 (most) to 19 (least): the table of Linux, in which a level is
/// about a quarter of its neighbour's weight more, and ten per cent of the CPU between two tasks.
/// Levels beyond the ends count as the ends.
constexpr Weight weight_of_nice(int nice) {
  constexpr std::array<Weight, 40> kTable = {
      88761, 71755, 56483, 46273, 36291,  // -20
      29154, 23254, 18705, 14949, 11916,  // -15
      9548,  7620,  6100,  4904,  3906,   // -10
      3121,  2501,  1991,  1586,  1277,   //  -5
      1024,  820,   655,   526,   423,    //   0
      335,   272,   215,   172,   137,    //   5
      110,   87,    70,    56,    45,     //  10
      36,    29,    23,    18,    15,     //  15
  };
  const int index = nice + 20;
  return kTable[static_cast<size_t>(index < 0 ? 0 : index > 39 ? 39 : index)];
}

/// A length of virtual time. Signed: a clock may be behind another.
///
/// One tick of the machine is 1024 units at the normal weight, 1 at the largest, 2^20 at the least.
struct VirtualDuration {
  int64_t units = 0;

  friend constexpr auto operator<=>(const VirtualDuration&, const VirtualDuration&) = default;
};

/// A reading of a virtual clock. It wraps; two readings are compared by their difference, so
/// whatever is compared must lie within 2^63 units of each other.
struct VirtualTime {
  uint64_t units = 0;

  friend constexpr bool operator==(VirtualTime, VirtualTime) = default;
};

constexpr VirtualDuration operator-(VirtualTime a, VirtualTime b) {
  return {static_cast<int64_t>(a.units - b.units)};
}
constexpr VirtualTime operator+(VirtualTime start, VirtualDuration length) {
  return {start.units + static_cast<uint64_t>(length.units)};
}
constexpr VirtualTime operator-(VirtualTime end, VirtualDuration length) {
  return {end.units - static_cast<uint64_t>(length.units)};
}
constexpr bool is_before(VirtualTime a, VirtualTime b) { return (a - b).units < 0; }

/// The longest real time that is turned into virtual time in one go: longer ones count as this.
/// 2^42 ticks, over an hour at 1 GHz, are 2^62 units at the least weight.
inline constexpr Duration kLongestCharge{uint64_t{1} << 42};

/// How far the clock of an entity of this weight advances while it runs for `real`; rounded down.
constexpr VirtualDuration to_virtual(Duration real, Weight weight) {
  const uint64_t ticks = real < kLongestCharge ? real.ticks : kLongestCharge.ticks;
  return {static_cast<int64_t>((ticks << 20) / weight)};
}

/// How long an entity of this weight must run for its clock to advance by `length` at least;
/// zero if that is not ahead.
constexpr Duration to_real(VirtualDuration length, Weight weight) {
  if (length.units <= 0) return {};
  // ceil(units * weight / 2^20) without leaving 64 bits.
  const uint64_t units = static_cast<uint64_t>(length.units);
  const uint64_t high = units >> 20;
  const uint64_t low = units & ((uint64_t{1} << 20) - 1);
  return {high * weight + ((low * weight + (uint64_t{1} << 20) - 1) >> 20)};
}

}  // namespace sched

#endif  // BATON_SCHED_POLICY_WEIGHT_H_
