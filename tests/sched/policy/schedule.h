// What a workload's schedule looks like, tick by tick.

#ifndef BATON_TESTS_SCHED_POLICY_SCHEDULE_H_
#define BATON_TESTS_SCHED_POLICY_SCHEDULE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sched/policy/policy.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {

/// Who runs in each of the next `count` ticks.
template <Policy P>
std::vector<int> schedule(Workload<P>& workload, uint64_t count) {
  std::vector<int> who;
  for (uint64_t tick = 0; tick < count; ++tick) {
    std::array<uint64_t, Harness<P>::kEntities> before{};
    for (int e = 0; e < Harness<P>::kEntities; ++e) {
      before[static_cast<size_t>(e)] = workload.used(e);
    }
    workload.run(1);
    who.push_back(Harness<P>::kNobody);
    for (int e = 0; e < Harness<P>::kEntities; ++e) {
      if (workload.used(e) != before[static_cast<size_t>(e)]) who.back() = e;
    }
  }
  return who;
}

/// As a line of text: `a` is entity 0, `-` nobody.
inline std::string letters(const std::vector<int>& who) {
  std::string line;
  for (const int e : who) line += e < 0 ? '-' : static_cast<char>('a' + e);
  return line;
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_SCHEDULE_H_
