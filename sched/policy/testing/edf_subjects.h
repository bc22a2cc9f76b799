// Every kind of `BasicEdf` as a subject of the conformance kit.

#ifndef BATON_SCHED_POLICY_TESTING_EDF_SUBJECTS_H_
#define BATON_SCHED_POLICY_TESTING_EDF_SUBJECTS_H_

#include <cstdint>

#include "sched/policy/edf.h"
#include "sched/policy/testing/conformance.h"

namespace sched::conformance {

template <EdfOptions kOptions>
struct EdfSubject : Subject<BasicEdf<kOptions>> {
  using P = BasicEdf<kOptions>;

  static P::Attributes sample(Source& source) {
    if (source.below(8) == 0) {
      // No reservation at all, or one that only just is.
      constexpr Duration kLongest = P::kLongestPeriod;
      const typename P::Attributes kExtreme[] = {
          {},
          {.runtime = Duration{1}},
          {.runtime = Duration{1}, .period = kLongest},
          {.runtime = Duration{1}, .period = {kLongest.ticks + 1}},
          {.runtime = Duration{1}, .deadline = Duration{1}, .period = kLongest},
          // Postponed again and again this long it would come to the end of the clock.
          {.runtime = Duration{1}, .period = {uint64_t{1} << 40}, .overrun = Overrun::postpone},
          {.runtime = kLongest, .period = kLongest},
          {.runtime = Duration{9}, .deadline = Duration{8}, .period = Duration{10}},
          {.runtime = Duration{5}, .deadline = Duration{11}, .period = Duration{10}},
          {.runtime = {UINT64_MAX}, .deadline = {UINT64_MAX}, .period = {UINT64_MAX}}};
      return source.one_of(kExtreme);
    }
    const uint64_t period = 1 + source.below(200);
    const uint64_t deadline = source.below(2) == 0 ? 0 : 1 + source.below(period);
    const uint64_t runtime = 1 + source.below((deadline == 0 ? period : deadline) + 1) / 3;
    return {.runtime = {runtime},
            .deadline = {deadline},
            .period = {period},
            .overrun = source.below(2) == 0 ? Overrun::throttle : Overrun::postpone};
  }
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_EDF_SUBJECTS_H_
