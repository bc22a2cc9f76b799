// What holds of every policy, checked: the part of the conformance kit that needs nothing, so that
// the same checks run in a test on a host, under a fuzzer and in a kernel. docs/writing_a_policy.md
//
// `Trial` drives a policy as a mechanism does (the head of sched/policy/policy.h), at random, and
// looks at each answer. What no answer shows alone is seen by comparison: a second run makes the
// same calls with one thing different that must not matter (addresses, where counters begin, when
// the clock began, calls that ask or are refused), and the two schedules must be the same.
//
// Freestanding; allocates nothing. A trial holds two policies and their entities: in a kernel it
// belongs in static memory, not on a stack.
//
//     constinit sched::conformance::Trial<MySubject> trial;
//
//     if (const auto fault = trial.run_briefly()) print(to_string(fault.rule));

#ifndef BATON_SCHED_POLICY_TESTING_CONFORMANCE_H_
#define BATON_SCHED_POLICY_TESTING_CONFORMANCE_H_

#include <cstddef>
#include <cstdint>
#include <new>

#include "sched/policy/testing/rules.h"
#include "sched/policy/testing/run.h"
#include "sched/policy/testing/subject.h"

namespace sched::conformance {

/// Puts the policy of subject `S` through its trials, one at a time.
template <typename S, size_t kEntities = 8>
class Trial {
 public:
  /// The first fault, if there is any. Takes time in proportion to the actions.
  Fault run(const Plan& plan) {
    renew(first_);
    first_.begin(plan, Half::Part::first, nullptr);
    const bool is_alone = plan.check == Check::rules ||
                          (plan.check == Check::wrap && !HasWrap<S>) ||
                          (plan.check == Check::clock && S::kReadsClock);
    if (is_alone) {
      while (first_.step()) continue;
      return {first_.fault(), first_.action()};
    }
    renew(second_);
    second_.begin(plan, Half::Part::second, &first_);
    for (;;) {
      // A fault of one run alone is a rule in itself, and says more than that two differ.
      const bool goes_on = first_.step();
      if (first_.fault() != Rule::none) return {first_.fault(), first_.action()};
      const bool second_goes_on = second_.step();
      if (second_.trace() != first_.trace() || second_goes_on != goes_on) {
        return {differs(plan.check), first_.action()};
      }
      if (!goes_on) return {};
    }
  }

  /// Every check at every pace, with a few seeds: for where there is not much time, as in a
  /// kernel's self-test.
  Fault run_briefly(uint64_t seeds = 2, uint32_t actions = 300) {
    for (const Check check : kChecks) {
      for (const Pace pace : kPaces) {
        for (uint64_t seed = 1; seed <= seeds; ++seed) {
          const Plan plan = {.check = check, .pace = pace, .seed = seed, .actions = actions};
          if (const Fault fault = run(plan)) return fault;
        }
      }
    }
    return {};
  }

 private:
  using Half = Run<S, kEntities>;

  static void renew(Half& half) {
    half.~Half();
    new (&half) Half();
  }

  static constexpr Rule differs(Check check) {
    switch (check) {
      case Check::addresses: return Rule::addresses;
      case Check::refusals: return Rule::refused;
      case Check::questions: return Rule::questions;
      case Check::reuse: return Rule::reuse;
      case Check::wrap: return Rule::wrap;
      case Check::clock: return Rule::clock;
      case Check::rules: break;
    }
    return Rule::none;
  }

  Half first_;
  Half second_;
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_CONFORMANCE_H_
