// Tasks that go from one CPU to another while something is asked of them, and CPUs that go: every
// schedule.

#include <atomic>

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
    EXPECT_EQ(S::here().number, 1);  // before the mover was done it could not run here
  });
  kernel.task(0, "mover", [&] { EXPECT_TRUE(S::set_affinity(sleeper, {1})); });
  kernel.task(1, "waker", [&] {
    stored = 7;
    S::wake(sleeper);
  });
  kernel.run();
}

// What it has waited, on either CPU, and nothing else.
EXPLORE(AMoveOfOneThatWaits, .preemptions = 2) {
  K kernel(explorer);
  auto& waiting = kernel.unborn_task("waiting", [] {
    EXPECT_EQ(S::here().number, 1);
    EXPECT_EQ(S::usage(S::current()).wait, ticks(100));
  });
  kernel.early_task(0, "busy", [&] {
    Sim::spend(at(kStart.ticks - 100) - S::now());
    kernel.spawn(waiting);
    kernel.line_up();
    EXPECT_TRUE(S::set_affinity(waiting, {1}));
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
  auto& sleeper = kernel.early_task(1, "sleeper", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    // Taken from a CPU that is gone it has come as any other.
    EXPECT_EQ(S::usage(kernel.cpu(0)).arrivals, S::here().number == 0 ? 1u : 0u);
  });
  kernel.task(0, "waker", [&] {
    EXPECT_TRUE(S::take_offline(1));
    S::wake(sleeper);
  });
  kernel.run();
}

// It is asked back while it leaves: from when it says that it is there, it is.
EXPLORE(ACpuThatGoesAndIsAskedBack, .preemptions = 2) {
  K kernel(explorer);
  auto& child = kernel.unborn_task("child", [] { EXPECT_EQ(S::here().number, 1); });
  kernel.task(0, "parent", [&] {
    EXPECT_TRUE(S::take_offline(1));
    EXPECT_TRUE(S::bring_online(1));
    while (S::is_offline(1)) S::relax();
    kernel.spawn_on(1, child);
  });
  kernel.run();
}

// Somebody who waits is given away by the balancer of a busy CPU, or told to stay there, or both.
EXPLORE(AGiftAndAMove, .preemptions = 1) {
  K kernel(explorer);
  S::Balancer balancer;
  std::atomic<bool> told = false;
  auto& floating = kernel.unborn_task("floating", [&] {
    if (told.load(std::memory_order_relaxed)) EXPECT_EQ(S::here().number, 0);
  });
  kernel.early_task(0, "busy", [&] {
    S::balance(balancer, kStart + ticks(100) - S::now());  // the first look
    kernel.spawn_in({.cpus = {0}, .floats = true}, floating);
    EXPECT_TRUE(S::set_affinity(floating, S::CpuSet::all()));
    kernel.line_up();
    Sim::spend(ticks(150));
  });
  kernel.task(1, "mover", [&] {
    if (S::set_affinity(floating, {0})) told.store(true, std::memory_order_relaxed);
  });
  kernel.run();
}

}  // namespace
}  // namespace sched::test
