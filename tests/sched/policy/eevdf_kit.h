// What the tests of earliest eligible virtual deadline first share.

#ifndef BATON_TESTS_SCHED_POLICY_EEVDF_KIT_H_
#define BATON_TESTS_SCHED_POLICY_EEVDF_KIT_H_

#include <cstddef>
#include <cstdint>

#include "sched/policy/eevdf.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {

constexpr int64_t kTick = int64_t{1} << 20;  // a tick of lag

inline void set_up(Eevdf& policy, uint64_t quantum, uint64_t slice) {
  policy.set_quantum(ticks(quantum));
  policy.set_slice(ticks(slice));
}

inline int64_t lag(const Harness<Eevdf>& h, int e) {
  return h.policy.lag(h.entities[static_cast<size_t>(e)]);
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_EEVDF_KIT_H_
