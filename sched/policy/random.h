// Numbers that look random and are the same for the same seed.

#ifndef BATON_SCHED_POLICY_RANDOM_H_
#define BATON_SCHED_POLICY_RANDOM_H_

#include <cstdint>

namespace sched {

/// SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014): any seed is as good as any other, each 64-bit number comes once in
/// 2^64. Not for secrets.
class Random {
 public:
  constexpr explicit Random(uint64_t seed) : state_(seed) {}

  /// The next number, of 64 bits. O(1).
  constexpr uint64_t next() {
    state_ += 0x9e37'79b9'7f4a'7c15;  // odd, and near 2^64 divided by the golden ratio
    uint64_t number = state_;
    number = (number ^ number >> 30) * 0xbf58'476d'1ce4'e5b9;
    number = (number ^ number >> 27) * 0x94d0'49bb'1331'11eb;
    return number ^ number >> 31;
  }

  /// A number below `bound`, which is above zero: each exactly as likely as any other (D. Lemire,
  /// "Fast Random Integer Generation in an Interval", TOMACS 2019). Of the products of a number and
  /// the bound the upper word is the result; every result has floor(2^64 / bound) products when
  /// those are left out whose lower word is less than 2^64 mod bound. Then it tries again, with a
  /// probability below bound / 2^64 each time: O(1) expected.
  constexpr uint64_t below(uint64_t bound) {
    auto product = static_cast<unsigned __int128>(next()) * bound;
    if (static_cast<uint64_t>(product) < bound) [[unlikely]] {
      const uint64_t left_out = -bound % bound;
      while (static_cast<uint64_t>(product) < left_out) {
        product = static_cast<unsigned __int128>(next()) * bound;
      }
    }
    return static_cast<uint64_t>(product >> 64);
  }

 private:
  uint64_t state_;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_RANDOM_H_
