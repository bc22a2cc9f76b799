// Many rounds of one operation, and the number that is reported of them.
//
// A round is `Probe::mark(begin)` immediately before the operation, in whichever task begins it,
// and `rounds.add(Probe::read() - begin)` immediately after its effect, in whichever task sees it.
// What the two cost when nothing is between them is subtracted.

#ifndef BATON_BENCH_ROUNDS_H_
#define BATON_BENCH_ROUNDS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bench/probe.h"
#include "kernel_demo/kit.h"

namespace bench {

class Rounds {
  static constexpr size_t kWarmUp = 16;
  static constexpr size_t kRounds = 64;

 public:
  static constexpr size_t kWanted = kWarmUp + kRounds;

  /// Adds one round, unless there are enough already. True when there are.
  bool add(uint64_t count) {
    if (seen_ == kWanted) return true;
    if (seen_ >= kWarmUp) counts_[seen_ - kWarmUp] = count;
    return ++seen_ == kWanted;
  }

  /// The count that most rounds have. There must be enough of them.
  uint64_t commonest() const {
    uint64_t commonest = 0;
    size_t times = 0;
    for (const uint64_t candidate : counts_) {
      const size_t same = times_of(candidate);
      if (same > times) {
        times = same;
        commonest = candidate;
      }
    }
    return commonest;
  }

  /// Prints `name`, a tab and the commonest count less `overhead`; and, if not all were the same,
  /// a line that begins with # and says so.
  void report(std::string_view name, uint64_t overhead) const {
    if (seen_ != kWanted) kit::panic("not every round has been counted", nullptr);
    const uint64_t number = commonest();
    const auto [least, most] = std::minmax_element(counts_.begin(), counts_.end());
    kit::print("{}\t{}\n", name, number - overhead);
    if (*least != *most) {
      kit::print("# {}: that in {} of {} rounds, from {} to {} in all\n", name, times_of(number),
                 kRounds, *least - overhead, *most - overhead);
    }
  }

 private:
  size_t times_of(uint64_t count) const {
    return static_cast<size_t>(std::count(counts_.begin(), counts_.end(), count));
  }

  size_t seen_ = 0;
  std::array<uint64_t, kRounds> counts_{};
};

}  // namespace bench

#endif  // BATON_BENCH_ROUNDS_H_
