// Tasks that go from one CPU to another while something is asked of them, and CPUs that go: every
// schedule.

#include "gtest/gtest.h"
#include "sched/policy/fifo.h"
#include "tests/explore/explore.h"

namespace sched::test {
namespace {

using K = Scenario<Fifo>;
using S = K::S;

EXPLORE(AMoveAndAWake, .preemptions = 2) {
  K kernel(explorer);
  int stored = 0;
  auto& sleeper = kernel.early_task(0, "sleeper", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_EQ(stored, 7);
  });
  kernel.task(0, "mover", [&] { EXPECT_TRUE(S::set_affinity(sleeper, {1})); });
  kernel.task(1, "waker", [&] {
    stored = 7;
    S::wake(sleeper);
  });
  kernel.run();
}

EXPLORE(AMoveOfTheCallerAndAWake, .preemptions = 2) {
  K kernel(explorer);
  auto& nomad = kernel.task(0, "nomad", [] {
    EXPECT_TRUE(S::set_affinity(S::current(), {1}));
    EXPECT_EQ(S::here().number, 1);
    EXPECT_EQ(S::park(), Woken::by_wake);
  });
  kernel.task(1, "waker", [&] { S::wake(nomad); });
  kernel.run();
}

EXPLORE(AMoveAndAKill, .preemptions = 2) {
  K kernel(explorer);
  auto& sleeper = kernel.early_task(0, "sleeper", [] { EXPECT_EQ(S::park(), Woken::by_kill); });
  kernel.task(0, "mover", [&] { S::set_affinity(sleeper, {1}); });
  kernel.task(1, "killer", [&] { S::kill(sleeper); });
  kernel.run();
}

EXPLORE(TwoMovesOfOneTask, .preemptions = 2) {
  K kernel(explorer);
  auto& sleeper = kernel.early_task(0, "sleeper", [] { EXPECT_EQ(S::park(), Woken::by_wake); });
  kernel.task(0, "there", [&] { EXPECT_TRUE(S::set_affinity(sleeper, {1})); });
  kernel.task(1, "back", [&] {
    EXPECT_TRUE(S::set_affinity(sleeper, {0}));
    S::wake(sleeper);
  });
  kernel.run();
}

// It gives itself up while it is claimed.
EXPLORE(AParkOfOneThatFloatsAndAWake, .preemptions = 2) {
  K kernel(explorer);
  auto& floating = kernel.unborn_task("floating", [] { EXPECT_EQ(S::park(), Woken::by_wake); });
  kernel.task(0, "parent", [&] {
    kernel.spawn_in({.floats = true}, floating);
    S::wake(floating);
  });
  kernel.run();
}

EXPLORE(ACpuThatGoesAndAWake, .preemptions = 1) {
  K kernel(explorer);
  auto& sleeper = kernel.early_task(1, "sleeper", [] { EXPECT_EQ(S::park(), Woken::by_wake); });
  kernel.task(0, "waker", [&] {
    EXPECT_TRUE(S::take_offline(1));
    S::wake(sleeper);
  });
  kernel.run();
}

}  // namespace
}  // namespace sched::test
