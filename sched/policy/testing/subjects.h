// Baton's own policies as subjects of the conformance kit: attributes at both ends of each range,
// in between, and out of it. For tests on the host and for a kernel's self-test alike.

#ifndef BATON_SCHED_POLICY_TESTING_SUBJECTS_H_
#define BATON_SCHED_POLICY_TESTING_SUBJECTS_H_

#include <cstddef>
#include <cstdint>

#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/testing/conformance.h"

namespace sched::conformance {

struct RoundRobinSubject : Subject<RoundRobin> {
  static RoundRobin::Attributes sample(Source& source) {
    constexpr Duration kSlices[] = {
        {}, {1}, {2}, {10}, {30}, {60}, forever, {forever.ticks + 1}, {UINT64_MAX}};
    return {.slice = source.one_of(kSlices)};
  }
};

/// Both ends, some in between that are often the same, and what is no priority.
inline constexpr uint16_t kSomePriorities[] = {0, 1, 1, 100, 100, 254, 255, 256, UINT16_MAX};

template <Thresholds kThresholds>
struct SomePriorities : Subject<BasicFixedPriority<kThresholds>> {
  using P = BasicFixedPriority<kThresholds>;
  static void begin(P& policy) {
    for (const uint8_t level : {1, 254, 255}) policy.set_slice(level, Duration{20});
  }
};
struct FixedPrioritySubject : SomePriorities<Thresholds::none> {
  static P::Attributes sample(Source& source) {
    return {.priority = source.one_of(kSomePriorities)};
  }
};
struct ThresholdSubject : SomePriorities<Thresholds::each> {
  static P::Attributes sample(Source& source) {
    return {.priority = source.one_of(kSomePriorities),
            .threshold = source.one_of(kSomePriorities)};
  }
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_SUBJECTS_H_
