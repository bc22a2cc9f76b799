// The numbers that decide what happens in a trial of the conformance kit. Freestanding.

#ifndef BATON_SCHED_POLICY_TESTING_SOURCE_H_
#define BATON_SCHED_POLICY_TESTING_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace sched::conformance {

/// Where the numbers that decide what happens come from: a generator with a seed, or the bytes that
/// a fuzzer gives. The same source gives the same numbers everywhere.
class Source {
 public:
  constexpr Source() = default;
  constexpr explicit Source(uint64_t seed) : state_(seed) {}
  constexpr explicit Source(std::span<const uint8_t> bytes) : bytes_(bytes), is_bytes_(true) {}

  /// A number below `bound`, which is at least 1.
  constexpr uint64_t below(uint64_t bound) {
    if (!is_bytes_) return (random() >> 11) % bound;
    uint64_t number = byte();
    for (uint64_t reach = (bound - 1) >> 8; reach != 0; reach >>= 8) number = number << 8 | byte();
    return number % bound;
  }

  /// Any 64-bit number.
  constexpr uint64_t any() {
    return below(1U << 31) << 33 ^ below(1U << 31) << 16 ^ below(1 << 16);
  }

  /// One of these.
  template <typename T, size_t kSize>
  constexpr const T& one_of(const T (&values)[kSize]) {
    return values[below(kSize)];
  }

  constexpr bool is_exhausted() const { return is_bytes_ && bytes_.empty(); }

 private:
  // splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
  // 2014.
  constexpr uint64_t random() {
    uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
  }
  constexpr uint64_t byte() {
    if (bytes_.empty()) return 0;
    const uint64_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  uint64_t state_ = 0;
  std::span<const uint8_t> bytes_;
  bool is_bytes_ = false;
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_SOURCE_H_
