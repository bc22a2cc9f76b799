// The argument of the program `pattern`, for whoever spawns it.

#ifndef BATON_KERNEL_DEMO_USER_PATTERN_H_
#define BATON_KERNEL_DEMO_USER_PATTERN_H_

#include <cstdint>

namespace user {

struct PatternArgument {
  uint16_t first = 1;          ///< what the first register holds; the next ones 2 more each
  bool with_fpu = false;       ///< in those of the FPU, too
  bool quiet = false;          ///< without texts
  uint32_t milliseconds = 10;  ///< how long

  constexpr uint64_t word() const {
    return first | uint64_t{with_fpu} << 16 | uint64_t{quiet} << 17 | uint64_t{milliseconds} << 32;
  }
  static constexpr PatternArgument of(uint64_t word) {
    return {.first = static_cast<uint16_t>(word),
            .with_fpu = (word >> 16 & 1) != 0,
            .quiet = (word >> 17 & 1) != 0,
            .milliseconds = static_cast<uint32_t>(word >> 32)};
  }
};

}  // namespace user

#endif  // BATON_KERNEL_DEMO_USER_PATTERN_H_
