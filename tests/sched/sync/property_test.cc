// Properties of all that tasks wait for, whatever happens in whatever order: a crowd of tasks, and
// interrupts, do with them what the seed says (property/acts.h), and a model that knows nothing but
// what was called and what came of it recomputes, from scratch, what must hold (property/model.h):
//
// - a task counts for what it claims itself, the ceilings of what it has, and whoever waits for it
//   to give something back, in turn: the most urgent of these, or their sum, as the policy has it;
// - what has an owner has one, and a task that says so; who dies with it is told of;
// - who waits is blocked, and waits for something that is not to be had; the first to be served is
//   the most urgent, and of equals the one that came first;
// - who waits is in the queue of what it waits for, in no other, and whoever can run is in none;
// - a wait ends for one reason, which is true; permits and messages are neither lost nor made; a
//   barrier lets as many pass as it is for, and a join tells what its task has ended with;
// - the most urgent task runs; in the end everybody has ended, once, and nobody waits.
//
// On one CPU, whether or not there could be more, it looks between any two operations; on several,
// where much is on its way as mail, whenever all is quiet. A failure names its seed;
// BATON_SEED=<seed> repeats that one alone, and tells what happened.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "gtest/gtest.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/sync/property/acts.h"
#include "tests/sched/sync/property/crowd.h"
#include "tests/sched/sync/property/model.h"

namespace sched::test {

using OneCpu = CrowdKernel<FixedPriority, 1>::S;
template <typename P>
using ManyCpus = CrowdKernel<P, Options{}.cpus>::S;
BATON_LOOK_INTO(OneCpu);
BATON_LOOK_INTO(ManyCpus<FixedPriority>);
BATON_LOOK_INTO(ManyCpus<Edf>);
BATON_LOOK_INTO(ManyCpus<Eevdf>);

namespace {

template <typename P, size_t kMostCpus = Options{}.cpus>
void run_seeds(const Setting& setting, uint64_t count) {
  const char* const only = std::getenv("BATON_SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  for (uint64_t seed = first; seed < (only != nullptr ? first + 1 : count + 1); ++seed) {
    SCOPED_TRACE("BATON_SEED=" + std::to_string(seed));
    Crowd<P, kMostCpus> crowd(setting, seed, only != nullptr);
    crowd.run();
    if (testing::Test::HasFailure()) {
      std::cerr << "BATON_SEED=" << seed << " repeats it\n";
      if (only != nullptr) std::cerr << crowd.story();
      return;
    }
  }
}

template <typename P>
class Property : public testing::Test {};
struct Names {
  template <typename P>
  static std::string GetName(int) {
    return std::same_as<P, FixedPriority> ? "FixedPriority"
           : std::same_as<P, Edf>         ? "Edf"
                                          : "Eevdf";
  }
};
using Policies = testing::Types<FixedPriority, Edf, Eevdf>;
TYPED_TEST_SUITE(Property, Policies, Names);

TYPED_TEST(Property, HoldsOnOneCpuAtEveryStep) {
  run_seeds<TypeParam>({.cpus = 1, .exact = true}, 1000);
}
TYPED_TEST(Property, HoldsOnOneCpuThatStalls) {
  run_seeds<TypeParam>({.cpus = 1, .exact = false}, 300);
}
TYPED_TEST(Property, HoldsOnTwoCpus) { run_seeds<TypeParam>({.cpus = 2, .exact = false}, 300); }
TYPED_TEST(Property, HoldsOnThreeCpus) { run_seeds<TypeParam>({.cpus = 3, .exact = false}, 300); }

// Where there can be no other CPU, and so there are no locks.
TEST(PropertyOfAKernelOfOneCpu, HoldsAtEveryStep) {
  run_seeds<FixedPriority, 1>({.cpus = 1, .exact = true}, 300);
}

}  // namespace
}  // namespace sched::test
