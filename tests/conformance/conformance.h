// Puts a policy through the conformance kit, on a host. A file with one line for each policy,
//
//     const bool kDone = sched::conformance::put_through<MySubject>("my_policy");
//
// and a `policy_conformance` in BUILD (defs.bzl) are a test and a fuzz target. What the kit checks:
// sched/policy/testing/conformance.h. How a policy is written with it: docs/writing_a_policy.md

#ifndef BATON_TESTS_CONFORMANCE_CONFORMANCE_H_
#define BATON_TESTS_CONFORMANCE_CONFORMANCE_H_

#include <vector>

#include "sched/policy/testing/conformance.h"

namespace sched::conformance {

/// A policy that is put through the kit.
struct Candidate {
  const char* name;
  Fault (*run)(const Plan& plan);
  bool has_wrap;
};

/// All of this program, in the order in which they were registered.
inline std::vector<Candidate>& candidates() {
  static std::vector<Candidate> all;
  return all;
}

/// Registers subject `S` under a name, which becomes that of its tests. True, so that it can be the
/// initialiser of a constant.
template <typename S>
bool put_through(const char* name) {
  const auto run = [](const Plan& plan) {
    static Trial<S> trial;
    return trial.run(plan);
  };
  candidates().push_back({name, run, HasWrap<S>});
  return true;
}

}  // namespace sched::conformance

#endif  // BATON_TESTS_CONFORMANCE_CONFORMANCE_H_
