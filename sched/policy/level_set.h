// A set of numbers below 256 that knows its highest: a bitmap of two levels.

#ifndef BATON_SCHED_POLICY_LEVEL_SET_H_
#define BATON_SCHED_POLICY_LEVEL_SET_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace sched {

/// Sixteen groups of sixteen bits, and sixteen bits that say which groups have any. Every function
/// is constant time and branch-poor.
class LevelSet {
 public:
  static constexpr size_t kSize = 256;

  constexpr bool empty() const { return groups_ == 0; }

  constexpr void insert(uint8_t number) {
    bits_[number / 16] |= uint32_t{1} << number % 16;
    groups_ |= uint32_t{1} << number / 16;
  }

  /// Takes out a number that is in it.
  constexpr void erase(uint8_t number) {
    bits_[number / 16] ^= uint32_t{1} << number % 16;
    if (bits_[number / 16] == 0) groups_ ^= uint32_t{1} << number / 16;
  }

  /// The largest number in the set, which must not be empty.
  constexpr uint8_t highest() const {
    const uint32_t group = top_bit(groups_);
    return static_cast<uint8_t>(group * 16 + top_bit(bits_[group]));
  }

 private:
  // By table: a machine without a count-leading-zeros instruction (rv64imac) spends thirty
  // instructions on std::bit_width, six on this.
  static constexpr auto kTopBit = [] {
    std::array<uint8_t, 256> table{};
    for (size_t i = 2; i < table.size(); ++i) {
      table[i] = static_cast<uint8_t>(table[i / 2] + 1);
    }
    return table;
  }();

  static constexpr uint32_t top_bit(uint32_t bits) {
    return bits >= 256 ? 8u + kTopBit[bits / 256] : kTopBit[bits];
  }

  // Sixteen bits in use of each; wider words spare the masking.
  uint32_t groups_ = 0;
  std::array<uint32_t, 16> bits_{};
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_LEVEL_SET_H_
