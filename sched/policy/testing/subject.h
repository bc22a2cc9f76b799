// What the conformance kit has to know of a policy. Freestanding.

#ifndef BATON_SCHED_POLICY_TESTING_SUBJECT_H_
#define BATON_SCHED_POLICY_TESTING_SUBJECT_H_

#include "sched/policy/policy.h"
#include "sched/policy/testing/source.h"

namespace sched::conformance {

/// What the kit has to know of a policy, and how it is told: derive from this and hide what does
/// not fit.
template <Policy P>
struct Subject {
  using Tested = P;

  /// Attributes as a user may give them: the usual, both ends of each range, and now and then some
  /// that must be refused.
  static typename P::Attributes sample(Source&) { return {}; }

  /// Whether the current entity is chosen again if nothing has happened but that the kernel needed
  /// the CPU for a moment, before `until`. A policy that goes by who has used the least may choose
  /// somebody else: it says false.
  static constexpr bool kKeepsTurn = true;

  /// Whether the schedule depends on what the clock reads, and not only on how long everything
  /// takes. A policy that does something at each multiple of a period says true: then its late
  /// schedule is checked by the rules, and not compared with an early one.
  static constexpr bool kReadsClock = false;

  /// Whether a policy that everybody has left accepts what it accepted when it was fresh. One that
  /// `act` makes into another may say false.
  static constexpr bool kEmptyIsFresh = true;

  /// Of a policy that `Ranks`: whether of all that are runnable the current one is always one that
  /// no other precedes. Who holds entities back, or takes turns, says false.
  static constexpr bool kPicksFirst = false;

  /// What has to lie beside a policy, such as its groups. Each run has one of its own.
  struct Context {};

  // Optional, each with a `Context&` after the policy if it has a use for it:
  //
  // static void begin(P&): sets up a fresh policy.
  //
  // static void near_wrap(P&): the same as `begin`, which is not called then, but with every
  // counter that can wrap about to do so. The schedule must not depend on it.
  //
  // static void act(P&, Source&, Instant now): something of the policy's own (a limit changed, a
  // part exchanged). Called with no current entity; the kit asks anew afterwards.
};

/// Whether `S` says how its policy's counters are brought near their wrap.
template <typename S>
concept HasWrap = requires(typename S::Tested& policy, typename S::Context& context) {
  requires requires { S::near_wrap(policy); } || requires { S::near_wrap(policy, context); };
};

/// Sets up a fresh policy as `S` says. For subjects that are made of subjects.
template <typename S>
void set_up(typename S::Tested& policy, typename S::Context& context) {
  if constexpr (requires { S::begin(policy); }) {
    S::begin(policy);
  } else if constexpr (requires { S::begin(policy, context); }) {
    S::begin(policy, context);
  }
}

/// The same, with all counters about to wrap, where `S` says how that is done.
template <typename S>
void set_up_near_wrap(typename S::Tested& policy, typename S::Context& context) {
  if constexpr (requires { S::near_wrap(policy); }) {
    S::near_wrap(policy);
  } else if constexpr (requires { S::near_wrap(policy, context); }) {
    S::near_wrap(policy, context);
  } else {
    set_up<S>(policy, context);
  }
}

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_SUBJECT_H_
