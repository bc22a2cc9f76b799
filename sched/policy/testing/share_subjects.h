// The policies that go by use and by shares, `Mlfq`, `Stride` and `Lottery`, as subjects of the
// conformance kit.

#ifndef BATON_SCHED_POLICY_TESTING_SHARE_SUBJECTS_H_
#define BATON_SCHED_POLICY_TESTING_SHARE_SUBJECTS_H_

#include <cstddef>
#include <cstdint>

#include "sched/policy/lottery.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/stride.h"
#include "sched/policy/testing/conformance.h"
#include "sched/policy/weight.h"

namespace sched::conformance {

/// Periods of boosts that come often, and never, beside quanta of a few ticks.
template <size_t kLevels, uint64_t kPeriod>
struct MlfqSubject : Subject<BasicMlfq<kLevels>> {
  static constexpr bool kPicksFirst = true;
  using P = BasicMlfq<kLevels>;
  static constexpr bool kReadsClock = kPeriod != 0;

  static P::Attributes sample(Source& source) {
    return {.level = static_cast<uint8_t>(source.below(4) == 0 ? source.below(kLevels + 2) : 0)};
  }
  static void begin(P& policy) {
    for (uint8_t level = 0; level < kLevels; ++level) {
      policy.set_quantum(level, Duration{uint64_t{10} << level});
    }
    policy.set_boost(Duration{kPeriod});
  }
  static void act(P& policy, Source& source, Instant) {
    constexpr Duration kQuanta[] = {{}, {1}, {5}, {40}, {300}, forever, {UINT64_MAX}};
    policy.set_quantum(static_cast<uint8_t>(source.below(kLevels)), source.one_of(kQuanta));
  }
};

/// Both ends, some in between that are often the same, and what are no tickets.
inline constexpr Weight kSomeTickets[] = {
    0, 1, 1, 3, 100, 100, 1024, 1024, kMaxWeight, kMaxWeight, 999, 77, 21, kMaxWeight + 1};

struct StrideSubject : Subject<Stride>, Mechanism {
  // Goes by pass: who is preempted may have used enough to be behind.
  static constexpr bool kKeepsTurn = false;

  static Stride::Attributes sample(Source& source) {
    return {.tickets = source.one_of(kSomeTickets)};
  }
  static void begin(Stride& policy) { policy.set_quantum(Duration{20}); }
  // The global pass goes where somebody with one ticket takes it: to 2^64 but for a tick's units.
  static void near_wrap(Stride& policy) {
    begin(policy);
    Stride::Entity entity;
    constexpr Instant kStart{1};
    constexpr Instant kEnd{uint64_t{1} << 44};
    const bool runs = policy.attach(detached(entity), {.tickets = 1}) &&
                      policy.enqueue(entity, Enter::created, kStart) == Links::intact &&
                      policy.pick(kStart).entity == &entity;
    if (!runs) return;
    policy.ran(entity, kStart, kEnd);
    if (policy.dequeue(entity, Leave::exited, kEnd) == Links::corrupt) return;
  }
  static void act(Stride& policy, Source& source, Instant) {
    constexpr Duration kQuanta[] = {{}, {1}, {5}, {20}, {300}, {UINT64_MAX}};
    policy.set_quantum(source.one_of(kQuanta));
  }
};

struct LotterySubject : Subject<Lottery> {
  static Lottery::Attributes sample(Source& source) {
    return {.tickets = source.one_of(kSomeTickets)};
  }
  static void begin(Lottery& policy) { policy.set_quantum(Duration{20}); }
  static void act(Lottery& policy, Source& source, Instant) {
    constexpr Duration kQuanta[] = {{}, {1}, {5}, {20}, {300}, {UINT64_MAX}};
    policy.set_quantum(source.one_of(kQuanta));
    if (source.below(4) == 0) policy.set_seed(source.any());
  }
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_SHARE_SUBJECTS_H_
