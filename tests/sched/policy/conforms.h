// Runs the conformance kit on a subject that a test makes up for itself.

#ifndef BATON_TESTS_SCHED_POLICY_CONFORMS_H_
#define BATON_TESTS_SCHED_POLICY_CONFORMS_H_

#include <cstdint>
#include <memory>

#include "gtest/gtest.h"
#include "sched/policy/testing/conformance.h"

namespace sched::test {

template <typename S>
void conforms() {
  const auto trial = std::make_unique<conformance::Trial<S>>();
  for (const conformance::Check check : conformance::kChecks) {
    for (const conformance::Pace pace : conformance::kPaces) {
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        const conformance::Fault fault = trial->run({.check = check, .pace = pace, .seed = seed});
        ASSERT_FALSE(fault) << to_string(fault.rule) << " at action " << fault.action << ", check "
                            << to_string(check) << ", pace " << static_cast<int>(pace) << ", seed "
                            << seed;
      }
    }
  }
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_CONFORMS_H_
