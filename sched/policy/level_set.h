// A set of numbers below 256 that knows its highest: a bitmap of two levels.

#ifndef BATON_SCHED_POLICY_LEVEL_SET_H_
#define BATON_SCHED_POLICY_LEVEL_SET_H_

#include <array>
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

  constexpr void insert(uint8_t number) { words_[number / 64] |= uint64_t{1} << number % 64; }

  constexpr void erase(uint8_t number) { words_[number / 64] &= ~(uint64_t{1} << number % 64); }

  /// The largest number in the set; -1 when it is empty.
  constexpr int highest() const {
    for (int i = kWords - 1; i >= 0; --i) {
      if (words_[i] != 0) return 64 * i + top_bit(words_[i]);
    }
    return -1;
  }

 private:
  static constexpr int kWords = kSize / 64;

  // By halving and a table: a machine without a count-leading-zeros instruction (rv64imac) spends
  // thirty instructions on std::bit_width, half of them on this.
  static constexpr int top_bit(uint64_t word) {
    int bit = 0;
    for (int half : {32, 16, 8}) {
      if (word >> half != 0) {
        word >>= half;
        bit += half;
      }
    }
    return bit + kTopBit[word];
  }

  static constexpr auto kTopBit = [] {
    std::array<uint8_t, 256> table{};
    for (size_t i = 2; i < table.size(); ++i) {
      table[i] = static_cast<uint8_t>(table[i / 2] + 1);
    }
    return table;
  }();

  std::array<uint64_t, kWords> words_{};
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_LEVEL_SET_H_
