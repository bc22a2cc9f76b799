// What holds of any claims of a policy that inherits. Freestanding.

#ifndef BATON_SCHED_POLICY_TESTING_CLAIMS_H_
#define BATON_SCHED_POLICY_TESTING_CLAIMS_H_

#include "sched/policy/policy.h"

namespace sched::conformance {

/// Whether three claims join, precede each other and come apart as policy.h promises.
template <Inherits P>
constexpr bool claims_add_up(const typename P::Claim& a, const typename P::Claim& b,
                             const typename P::Claim& c) {
  if (P::join(a, b) != P::join(b, a) || P::join(a, c) != P::join(c, a)) return false;
  if (P::join(P::join(a, b), c) != P::join(a, P::join(b, c))) return false;
  if constexpr (AddsClaims<P>) {
    if (P::without(P::join(a, b), b) != a) return false;
  }
  if constexpr (Ranks<P>) {
    const auto is_equal = [](const typename P::Claim& one, const typename P::Claim& other) {
      return !P::precedes(one, other) && !P::precedes(other, one);
    };
    if (!is_equal(P::join(a, b), P::precedes(b, a) ? b : a)) return false;
    if (P::precedes(a, a) || (P::precedes(a, b) && P::precedes(b, a))) return false;
    if (P::precedes(a, b) && P::precedes(b, c) && !P::precedes(a, c)) return false;
    if (is_equal(a, b) && is_equal(b, c) && !is_equal(a, c)) return false;
  }
  return true;
}

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_CLAIMS_H_
