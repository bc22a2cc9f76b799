// A set of CPUs: a bit each. For affinities, and for what is known of many CPUs at once.

#ifndef BATON_SCHED_CPU_SET_H_
#define BATON_SCHED_CPU_SET_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "hal/hal.h"

namespace sched {

using hal::CpuNumber;

/// Some of the CPUs 0 to `kCpus` - 1. A plain value; of at most 64 CPUs one word.
template <size_t kCpus>
class CpuSet {
 public:
  constexpr CpuSet() = default;
  constexpr CpuSet(std::initializer_list<CpuNumber> cpus) {
    for (const CpuNumber cpu : cpus) insert(cpu);
  }

  static constexpr CpuSet all() {
    CpuSet set;
    for (size_t cpu = 0; cpu < kCpus; ++cpu) set.insert(static_cast<CpuNumber>(cpu));
    return set;
  }

  /// A number beyond the last is in no set.
  constexpr bool contains(CpuNumber cpu) const {
    return cpu < kCpus && (word(cpu) & bit(cpu)) != 0;
  }
  constexpr void insert(CpuNumber cpu) {
    if (cpu < kCpus) word(cpu) |= bit(cpu);
  }
  constexpr void erase(CpuNumber cpu) {
    if (cpu < kCpus) word(cpu) &= ~bit(cpu);
  }

  constexpr bool empty() const { return *this == CpuSet(); }
  constexpr size_t size() const {
    size_t size = 0;
    for (const uint64_t word : words_) size += static_cast<size_t>(std::popcount(word));
    return size;
  }

  friend constexpr CpuSet operator&(CpuSet a, const CpuSet& b) {
    for (size_t i = 0; i < kWords; ++i) a.words_[i] &= b.words_[i];
    return a;
  }
  /// Those of `a` that are not in `b`.
  friend constexpr CpuSet operator-(CpuSet a, const CpuSet& b) {
    for (size_t i = 0; i < kWords; ++i) a.words_[i] &= ~b.words_[i];
    return a;
  }
  friend constexpr bool operator==(const CpuSet&, const CpuSet&) = default;

 private:
  static constexpr size_t kBits = 64;
  static constexpr size_t kWords = (kCpus + kBits - 1) / kBits;

  static constexpr uint64_t bit(CpuNumber cpu) { return uint64_t{1} << (cpu % kBits); }
  constexpr uint64_t& word(CpuNumber cpu) { return words_[cpu / kBits]; }
  constexpr const uint64_t& word(CpuNumber cpu) const { return words_[cpu / kBits]; }

  std::array<uint64_t, kWords> words_{};
};

}  // namespace sched

#endif  // BATON_SCHED_CPU_SET_H_
