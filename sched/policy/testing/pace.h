// How time goes by in a trial of the conformance kit. Freestanding.

#ifndef BATON_SCHED_POLICY_TESTING_PACE_H_
#define BATON_SCHED_POLICY_TESTING_PACE_H_

#include <array>
#include <cstdint>

#include "sched/policy/policy.h"
#include "sched/policy/testing/source.h"

namespace sched::conformance {

/// All three heed `until`, but for a timer that is now and then late.
enum class Pace : uint8_t {
  even,    ///< some ticks, or to `until`, or somewhere on the way there
  still,   ///< most things happen at one and the same instant
  jumping  ///< as `even`, but now and then 2^42 ticks ahead: over an hour at 1 GHz
};
inline constexpr std::array kPaces = {Pace::even, Pace::still, Pace::jumping};

/// When the next thing happens.
constexpr Instant next_instant(Pace pace, Source& source, Instant now, Instant until) {
  constexpr Duration kHour{uint64_t{1} << 42};
  constexpr uint64_t kSome = 50;
  const uint64_t way = source.below(pace == Pace::still ? 64 : 8);
  // As long as the clock can go there in each run of the trial.
  const bool in_reach = until > now && until - now <= kHour;
  Instant next = now;
  if (way >= 1 && way <= 3) {
    next = now + Duration{source.below(kSome)};
  } else if (way == 4 && in_reach) {
    next = until;
  } else if (way == 5 && in_reach) {
    next = now + Duration{source.below((until - now).ticks)};
  } else if (way == 6 && pace == Pace::jumping && source.below(4) == 0) {
    next = now + kHour;
  }
  // A timer is now and then late; the jump of a clock knows no `until`.
  if (way == 6 || next <= until || source.below(8) == 0) return next;
  return until > now ? until : now;
}

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_PACE_H_
