// Baton's own policies as subjects of the conformance kit: attributes at both ends of each range,
// in between, and out of it. For tests on the host and for a kernel's self-test alike.

#ifndef BATON_SCHED_POLICY_TESTING_SUBJECTS_H_
#define BATON_SCHED_POLICY_TESTING_SUBJECTS_H_

#include <cstdint>

#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/testing/conformance.h"
#include "sched/policy/vtime.h"
#include "sched/policy/weight.h"

namespace sched::conformance {

struct FifoSubject : Subject<Fifo> {};

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
  static constexpr bool kPicksFirst = true;
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

/// Both ends, what is usual, and what is no weight.
inline constexpr Weight kSomeWeights[] = {
    1,          2, kNormalWeight,  kNormalWeight, 3 * kNormalWeight,
    kMaxWeight, 0, kMaxWeight + 1, UINT32_MAX};

struct EevdfSubject : Subject<Eevdf> {
  static void begin(Eevdf& policy) {
    policy.set_slice(Duration{30});
    policy.set_quantum(Duration{20});
  }
  static void near_wrap(Eevdf& policy) {
    begin(policy);
    policy.set_virtual_time(VirtualTime{} - VirtualDuration{1000});
  }
  static Eevdf::Attributes sample(Source& source) {
    constexpr Duration kSlices[] = {{},          {}, {1}, {10}, {30}, {60}, Eevdf::kLongestSlice,
                                    {UINT64_MAX}};
    const Weight weight = source.one_of(kSomeWeights);
    return {.weight = weight, .slice = source.one_of(kSlices)};
  }
};

struct VtimeSubject : Subject<Vtime> {
  static constexpr bool kKeepsTurn =
      false;  // who is preempted may no longer be the furthest behind
  static void begin(Vtime& policy) { policy.set_slice(Duration{20}); }
  static void near_wrap(Vtime& policy) {
    begin(policy);
    policy.set_virtual_time(VirtualTime{} - VirtualDuration{1000});
  }
  static Vtime::Attributes sample(Source& source) {
    return {.weight = source.one_of(kSomeWeights)};
  }
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_SUBJECTS_H_
