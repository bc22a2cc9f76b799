// What the property test gives its tasks under each policy.

#ifndef BATON_TESTS_SCHED_SYNC_PROPERTY_TERMS_H_
#define BATON_TESTS_SCHED_SYNC_PROPERTY_TERMS_H_

#include <cstdint>

#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {

constexpr uint64_t kPriorities = 6;

// What tasks are given under a policy, what none may be given, and what one claims for itself.
template <typename P>
struct Terms;

template <>
struct Terms<FixedPriority> {
  static FixedPriority::Attributes some(uint64_t random) {
    return {.priority = static_cast<uint16_t>(random % kPriorities)};
  }
  static FixedPriority::Attributes refused() { return {.priority = 300}; }
  static FixedPriority::Claim own(FixedPriority& policy, const FixedPriority::Entity& entity) {
    return static_cast<FixedPriority::Claim>(policy.attributes(entity).priority);
  }
};

template <>
struct Terms<Edf> {
  static Edf::Attributes some(uint64_t random) {
    const Duration deadline = ticks(200 + random % 7 * 100);
    return {.runtime = ticks(20),
            .deadline = deadline,
            .period = deadline,
            .overrun = Overrun::postpone};
  }
  static Edf::Attributes refused() {
    return {.runtime = ticks(20), .deadline = ticks(10), .period = ticks(10)};
  }
  static Edf::Claim own(Edf& policy, const Edf::Entity& entity) { return policy.deadline(entity); }
};

template <>
struct Terms<Eevdf> {
  static Eevdf::Attributes some(uint64_t random) {
    return {.weight = kNormalWeight * static_cast<Weight>(1 + random % 4), .slice = ticks(30)};
  }
  static Eevdf::Attributes refused() { return {.weight = 0}; }
  static Eevdf::Claim own(Eevdf& policy, const Eevdf::Entity& entity) {
    return policy.attributes(entity).weight;
  }
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_PROPERTY_TERMS_H_
