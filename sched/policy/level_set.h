// A set of numbers below 256 that knows its highest: a bitmap of two levels.

#ifndef BATON_SCHED_POLICY_LEVEL_SET_H_
#define BATON_SCHED_POLICY_LEVEL_SET_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sched {

/// Four words of 64 bits. No third word says which of them have any: to keep it up to date costs
/// more at every change than to look at four costs when the highest is asked for. Every function is
/// constant time.
class LevelSet {
 public:
  static constexpr size_t kSize = 256;

  constexpr bool empty() const { return highest() < 0; }

  constexpr void insert(uint8_t number) { words_[number / kBits] |= bit(number); }

  constexpr void erase(uint8_t number) { words_[number / kBits] &= ~bit(number); }

  /// The largest number in the set; -1 when it is empty. None may be larger than `bound`.
  constexpr int highest(uint8_t bound = kSize - 1) const {
    for (int i = bound / kBits; i >= 0; --i) {
      if (words_[i] != 0) return kBits * i + (kBits - 1) - std::countr_zero(words_[i]);
    }
    return -1;
  }

 private:
  static constexpr int kBits = 64;
  static constexpr int kWords = kSize / kBits;

  // The largest number of a word is its lowest bit: that one is found in a few instructions also
  // where none counts leading zeros (rv64imac).
  static constexpr uint64_t bit(uint8_t number) { return uint64_t{1} << (~number & (kBits - 1)); }

  std::array<uint64_t, kWords> words_{};
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_LEVEL_SET_H_
