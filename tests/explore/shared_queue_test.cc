// Tasks of a queue that all CPUs share, chosen by one CPU while another one does something to them:
// every schedule.

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/global.h"
#include "tests/explore/explore.h"

namespace sched::test {
namespace {

using P = Global<FixedPriority>;

struct K : Scenario<P> {
  explicit K(Explorer& explorer) : Scenario<P>(explorer) {
    explorer.name(&queue, sizeof(queue), "the queue");
    for (CpuNumber cpu = 0; cpu < count(); ++cpu) this->cpu(cpu).policy().join(queue, cpu);
  }

  P::Shared queue;
};
using S = K::S;

// CPU 1 chooses the child, before it is born or later.
EXPLORE(AChoiceAndABirth, .preemptions = 1) {
  K kernel(explorer);
  auto& child = kernel.unborn_task("child", [] {}, {.priority = 1});
  kernel.task(0, "parent", [&] { kernel.spawn(child); }, {.priority = 2});
  kernel.run();
}

EXPLORE(AChoiceAndASuspension, .preemptions = 1) {
  K kernel(explorer);
  auto& child = kernel.unborn_task("child", [] {}, {.priority = 1});
  kernel.task(0, "parent",
              [&] {
                kernel.spawn(child);
                if (S::suspend(child)) S::resume(child);
              },
              {.priority = 2});
  kernel.run();
}

// Its memory is its kernel's again while it may have been chosen.
EXPLORE(AChoiceAndAKill, .preemptions = 1) {
  K kernel(explorer);
  auto& child = kernel.unborn_task("child", [] {}, {.priority = 1});
  kernel.task(0, "parent",
              [&] {
                kernel.spawn(child);
                S::kill(child);
              },
              {.priority = 2});
  kernel.run();
}

EXPLORE(AChoiceAndAnotherRank, .preemptions = 1) {
  K kernel(explorer);
  auto& child = kernel.unborn_task("child", [] {}, {.priority = 1});
  kernel.task(0, "parent",
              [&] {
                kernel.spawn(child);
                S::retune(child, {.priority = 3});
              },
              {.priority = 2});
  kernel.run();
}

// It runs on, and is in the queue again: whoever chooses it has to wait for the end of the guard.
EXPLORE(AChoiceOfOneThatRuns, .preemptions = 1) {
  K kernel(explorer);
  kernel.task(0, "guarded",
              [&] {
                const S::NoPreempt guard;
                EXPECT_TRUE(S::retune(S::current(), {.priority = 1}));
                Sim::spend(ticks(100));
              },
              {.priority = 2});
  kernel.run();
}

// Whoever is woken preempts on one of the two, and who gives way runs on the other, or waits.
// Too many schedules for all of them.
EXPLORE(AWakeAndAPreemption, .walks = 2000) {
  K kernel(explorer);
  auto& urgent =
      kernel.early_task(0, "urgent", [] { EXPECT_EQ(S::park(), Woken::by_wake); }, {.priority = 9});
  kernel.task(0, "waker", [&] { S::wake(urgent); }, {.priority = 1});
  kernel.task(1, "other", [] { S::yield(); }, {.priority = 2});
  kernel.run();
}

}  // namespace
}  // namespace sched::test
