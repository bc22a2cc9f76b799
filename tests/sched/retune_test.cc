// Other attributes for a task, wherever it is in its life.

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using Lines = std::vector<std::string>;
using K = Kernel<FixedPriority>;
using S = K::S;
using Attributes = FixedPriority::Attributes;

TEST(Retune, OfATaskThatWasNeverSpawnedIsRefused) {
  K kernel;
  auto& task = kernel.make("task", [] {});
  kernel.boot([&] { EXPECT_FALSE(S::retune(task, {.priority = 3})); });
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Retune, OfAReadyTaskQueuesItAnew) {
  K kernel;
  for (const uint16_t priority : {5, 4, 3}) {
    kernel.make(std::to_string(priority),
                [&kernel, priority] { kernel.log(std::to_string(priority)); },
                {.priority = priority});
  }
  kernel.boot([&] {
    for (auto& thread : kernel.threads) kernel.spawn(thread);
    EXPECT_TRUE(S::retune(kernel.threads[2], {.priority = 9}));
    EXPECT_EQ(S::attributes(kernel.threads[2]), (Attributes{.priority = 9}));
    EXPECT_TRUE(S::retune(kernel.threads[0], {.priority = 1}));
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"3", "4", "5"}));
}

TEST(Retune, OfAReadyTaskMayPreempt) {
  K kernel;
  auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 1});
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_TRUE(S::retune(other, {.priority = 6}));
                             kernel.log("task");
                             EXPECT_EQ(S::usage(S::current()).preemptions, 1u);
                           },
                           {.priority = 5});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"other", "task"}));
}

TEST(Retune, OfTheRunningTaskBelowAnotherSwitches) {
  K kernel;
  auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 4});
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_TRUE(S::retune(S::current(), {.priority = 4}));
                             kernel.log("task");  // at 4, behind the other
                             EXPECT_EQ(S::attributes(S::current()), (Attributes{.priority = 4}));
                           },
                           {.priority = 5});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"other", "task"}));
}

TEST(Retune, OfTheRunningTaskThatStaysTheHighestDoesNotSwitch) {
  K kernel;
  auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 4});
  auto& task = kernel.make("task",
                           [&] {
                             const uint64_t before = kernel.world.report(0).switches;
                             EXPECT_TRUE(S::retune(S::current(), {.priority = 9}));
                             EXPECT_TRUE(S::retune(S::current(), {.priority = 5}));
                             EXPECT_EQ(kernel.world.report(0).switches, before);
                             EXPECT_EQ(S::usage(S::current()).involuntary, 0u);
                             kernel.log("task");
                           },
                           {.priority = 6});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"task", "other"}));
}

TEST(Retune, OfABlockedTaskCountsFromItsWake) {
  K kernel;
  auto& sleeper = kernel.make("sleeper",
                              [&] {
                                S::park();
                                kernel.log("sleeper");
                              },
                              {.priority = 9});
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_TRUE(S::retune(sleeper, {.priority = 1}));
                             EXPECT_EQ(S::state(sleeper), State::blocked);
                             S::wake(sleeper);
                             kernel.log("task");
                           },
                           {.priority = 5});
  kernel.boot_with(sleeper, task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"task", "sleeper"}));
}

TEST(Retune, ThatIsRefusedKeepsTheAttributesInEveryState) {
  K kernel;
  auto& sleeper = kernel.make("sleeper", [&] { S::park(); }, {.priority = 9});
  auto& ready = kernel.make("ready", [&] { kernel.log("ready"); }, {.priority = 3});
  auto& task = kernel.make("task",
                           [&] {
                             for (S::Task* each : {static_cast<S::Task*>(&sleeper),
                                                   static_cast<S::Task*>(&ready), &S::current()}) {
                               const Attributes before = S::attributes(*each);
                               EXPECT_FALSE(S::retune(*each, {.priority = 256})) << each->name();
                               EXPECT_EQ(S::attributes(*each), before) << each->name();
                             }
                             EXPECT_EQ(S::state(sleeper), State::blocked);
                             EXPECT_EQ(S::state(ready), State::ready);
                             EXPECT_EQ(S::state(S::current()), State::running);
                             S::wake(sleeper);
                             kernel.log("task");
                           },
                           {.priority = 5});
  kernel.on_finish = [&](auto& thread) { kernel.log("end of " + thread.text); };
  kernel.boot_with(sleeper, ready, task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines,
            (Lines{"end of sleeper", "task", "end of task", "ready", "end of ready"}));
}

TEST(Retune, OfTheRunningTaskUnderAGuardWaitsForItsEnd) {
  K kernel;
  auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 4});
  auto& task = kernel.make("task",
                           [&] {
                             {
                               const S::NoPreempt guard;
                               EXPECT_TRUE(S::retune(S::current(), {.priority = 2}));
                               EXPECT_TRUE(S::retune(S::current(), {.priority = 3}));
                               kernel.log("guarded");
                             }
                             kernel.log("task");
                           },
                           {.priority = 5});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"guarded", "other", "task"}));
}

TEST(Retune, InAnInterruptOfTheRunningTask) {
  K kernel;
  auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 4});
  auto& task = kernel.make("task",
                           [&] {
                             Sim::spend(ticks(1000));
                             kernel.log("task");
                           },
                           {.priority = 5});
  kernel.on_device = [&](uint32_t, auto&) { EXPECT_TRUE(S::retune(task, {.priority = 3})); };
  kernel.world.raise_at(0, 1, at(500));
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"other", "task"}));
}

TEST(Retune, GivesAnotherSliceFromTheNextTurnOn) {
  Kernel<RoundRobin> kernel;
  using S = decltype(kernel)::S;
  auto& first = kernel.make("first",
                            [&] {
                              Sim::spend(ticks(145));
                              kernel.log("first " + std::to_string(Sim::now().ticks));
                            },
                            {.slice = ticks(100)});
  auto& second = kernel.make("second",
                             [&] {
                               EXPECT_TRUE(S::retune(first, {.slice = ticks(10)}));
                               Sim::spend(ticks(1000));
                             },
                             {.slice = ticks(100)});
  kernel.boot_with(first, second);
  EXPECT_EQ(kernel.run(), End::quiet);
  // 100, then turns of 10 between turns of 100.
  EXPECT_EQ(kernel.lines, (Lines{"first 655"}));
}

// Told of all that its entities use.
class Metered : public Fifo {
 public:
  static inline uint64_t used = 0;
  void ran(Entity&, Instant from, Instant to) { used += (to - from).ticks; }
};
static_assert(Charges<Metered>);

// A kernel that has masked interrupts retunes the running task; that waits before the kick for it
// comes. Whoever runs then is not the one that is queued anew: it is charged, and put back.
TEST(Retune, OfARunningTaskThatWaitsBeforeTheKickComes) {
  Kernel<Metered> kernel({.interleave = 0, .kick_latency = ticks(500)});
  using S = decltype(kernel)::S;
  Metered::used = 0;
  auto& task = kernel.make("task", [] {
    const Sim::Irq irq = Sim::mask();
    EXPECT_TRUE(S::retune(S::current(), {}));
    Sim::unmask(irq);
    S::sleep_for(ticks(100));
  });
  auto& other = kernel.make("other", [] { Sim::spend(ticks(5000)); });
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(Metered::used, 5000u);
}

}  // namespace
}  // namespace sched::test
