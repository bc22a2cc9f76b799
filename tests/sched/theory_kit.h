// What the tests of real-time scheduling beside its theory share.

#ifndef BATON_TESTS_SCHED_THEORY_KIT_H_
#define BATON_TESTS_SCHED_THEORY_KIT_H_

#include <cstdint>
#include <vector>

#include "sched/policy/analysis.h"
#include "sched/policy/policy.h"
#include "tests/sched/kernel.h"

namespace sched::test {

constexpr RealTimeTask task(uint64_t runtime, uint64_t period, uint64_t deadline = 0) {
  return {ticks(runtime), ticks(deadline == 0 ? period : deadline), ticks(period)};
}
using Set = std::vector<RealTimeTask>;

// A policy that writes down who ran when.
template <typename P>
class Recorded : public P {
 public:
  using Entity = typename P::Entity;
  struct Run {
    const Entity* entity;
    Instant from;
    Instant to;
  };

  void ran(Entity& current, Instant from, Instant to) {
    if (!runs.empty() && runs.back().entity == &current && runs.back().to == from) {
      runs.back().to = to;
    } else {
      runs.push_back({&current, from, to});
    }
    if constexpr (Charges<P>) P::ran(current, from, to);
  }

  std::vector<Run> runs;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_THEORY_KIT_H_
