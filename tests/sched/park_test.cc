// Giving the CPU away on one CPU: yield, park and wake, and what a kill changes of it.

#include <cstdint>
#include <string>
#include <type_traits>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<Fifo>;
using S = K::S;

// --- Yield ---

TEST(Yield, TakesTurns) {
  K kernel;
  for (const char* name : {"a", "b", "c"}) {
    kernel.make(name, [&kernel, name] {
      for (int i = 0; i < 3; ++i) {
        kernel.log(name + std::to_string(i));
        S::yield();
      }
    });
  }
  kernel.boot([&] {
    for (auto& thread : kernel.threads) kernel.spawn(thread);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"}));
}

template <typename P>
class YieldAlone : public testing::Test {};
using Policies = testing::Types<Fifo, RoundRobin, FixedPriority, FixedPriorityThreshold>;
TYPED_TEST_SUITE(YieldAlone, Policies);

TYPED_TEST(YieldAlone, ReturnsAtOnceWithoutASwitch) {
  Kernel<TypeParam> kernel;
  using S = typename decltype(kernel)::S;
  auto& task = kernel.make("task", [&] {
    const uint64_t before = kernel.world.report(0).switches;
    for (int i = 0; i < 10; ++i) S::yield();
    EXPECT_EQ(kernel.world.report(0).switches, before);
    EXPECT_EQ(S::usage(S::current()).voluntary, 0u);
  });
  if constexpr (std::is_same_v<TypeParam, FixedPriorityThreshold>) {
    task.attributes = {.priority = 5, .threshold = 9};
  }
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// --- Park and wake ---

TEST(Park, LetsOthersRunUntilTheWake) {
  K kernel;
  auto& sleeper = kernel.make("sleeper", [&] {
    kernel.log("parks");
    EXPECT_EQ(S::park(), Woken::by_wake);
    kernel.log("is woken");
  });
  auto& waker = kernel.make("waker", [&] {
    kernel.log("wakes");
    S::wake(sleeper);
    kernel.log("goes on");
  });
  kernel.boot([&] {
    kernel.spawn(sleeper);
    kernel.spawn(waker);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"parks", "wakes", "goes on", "is woken"}));
}

TEST(Park, PassesAtOnceAfterAnEarlierWakeAndThatOnce) {
  K kernel;
  K::Thread* self = nullptr;
  auto& task = kernel.make("task", [&] {
    for (int i = 0; i < 5; ++i) S::wake(*self);  // count as one
    EXPECT_EQ(S::park(), Woken::by_wake);
    kernel.log("passed");
    S::park();
    kernel.log("woken");
  });
  self = &task;
  auto& other = kernel.make("other", [&] {
    kernel.log("other");
    S::wake(task);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"passed", "other", "woken"}));
}

TEST(Park, PassesAfterAWakeThatCameWhileTheTaskWasReady) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    S::park();
    kernel.log("passed");
  });
  kernel.boot([&] {
    kernel.spawn(task);
    S::wake(task);
    S::wake(task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"passed"});
}

TEST(Wake, OfABlockedTaskTwiceLeavesAPermit) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    S::park();
    S::park();
    kernel.log("passed twice");
    S::park();
    kernel.log("never");
  });
  auto& waker = kernel.make("waker", [&] {
    for (int i = 0; i < 3; ++i) S::wake(task);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(waker);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"passed twice"});
  EXPECT_EQ(S::state(task), State::blocked);
}

TEST(Wake, FromAnInterruptEndsTheIdleTime) {
  K kernel;
  uint64_t woken_at = 0;
  auto& task = kernel.make("task", [&] {
    S::park();
    woken_at = Sim::now().ticks;
  });
  kernel.on_device = [&](uint32_t line, auto&) {
    EXPECT_EQ(line, 7u);
    S::wake(task);
  };
  kernel.world.raise_at(0, 7, at(12345));
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(woken_at, 12345u);
}

TEST(Wake, OfATaskThatIsNotAliveIsIgnoredAndCounted) {
  K kernel;
  auto& never_spawned = kernel.make("never spawned", [] {});
  auto& task = kernel.make("task", [] {});
  auto& other = kernel.make("other", [&] {
    EXPECT_EQ(S::state(task), State::finished);
    EXPECT_EQ(S::usage(kernel.cpu(0)).stale, 0u);
    S::wake(task);
    S::kill(task);
    EXPECT_EQ(S::usage(kernel.cpu(0)).stale, 2u);
    EXPECT_FALSE(S::retune(task, {}));
    const uint64_t stale = S::usage(kernel.cpu(0)).stale;
    S::wake(never_spawned);
    S::kill(never_spawned);
    EXPECT_EQ(S::usage(kernel.cpu(0)).stale, stale + 2);
    EXPECT_FALSE(S::retune(never_spawned, {}));
    EXPECT_EQ(S::state(task), State::finished);
    EXPECT_EQ(S::state(never_spawned), State::fresh);
    EXPECT_FALSE(task.kill_requested());
    EXPECT_FALSE(never_spawned.kill_requested());
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
  EXPECT_EQ(other.finishes, 1);
  EXPECT_EQ(never_spawned.finishes, 0);
}

// --- Kill ---

TEST(Kill, EndsAPark) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    EXPECT_FALSE(S::current().kill_requested());
    EXPECT_EQ(S::park(), Woken::by_kill);
    EXPECT_TRUE(S::current().kill_requested());
    EXPECT_EQ(S::park(), Woken::by_kill);  // and every one after it
    kernel.log("cleans up");
  });
  auto& killer = kernel.make("killer", [&] { S::kill(task); });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(killer);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"cleans up"});
  EXPECT_EQ(task.finishes, 1);
}

// Whichever way a task that has run lost the CPU: it holds something, perhaps.
TEST(Kill, OfAReadyTaskThatHasRunLetsItRunUntilItParks) {
  using K = Kernel<FixedPriority>;
  using S = K::S;
  for (const char* const way : {"yields", "is preempted", "is timed out", "is woken"}) {
    K kernel;
    kernel.cpu(0).policy().set_slice(1, ticks(100));
    auto& task = kernel.make("task",
                             [&] {
                               if (way == std::string("yields")) S::yield();
                               if (way == std::string("is woken")) S::park();
                               Sim::spend(ticks(150));
                               EXPECT_TRUE(S::current().kill_requested()) << way;
                               EXPECT_EQ(S::park(), Woken::by_kill) << way;
                               kernel.log(way);
                             },
                             {.priority = 1});
    auto& killer = kernel.make("killer",
                               [&] {
                                 if (way == std::string("is woken")) S::wake(task);
                                 EXPECT_EQ(S::state(task), State::ready) << way;
                                 S::kill(task);
                                 EXPECT_TRUE(task.kill_requested());
                               },
                               {.priority = 1});
    if (way == std::string("is preempted")) {
      killer.attributes.priority = 2;
      kernel.on_device = [&](uint32_t, auto&) { kernel.spawn(killer); };
      kernel.world.raise_at(0, 1, at(50));
    }
    kernel.boot([&] {
      kernel.spawn(task);
      if (killer.attributes.priority == 1) kernel.spawn(killer);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(kernel.lines, Lines{way});
    EXPECT_EQ(task.finishes, 1);
    EXPECT_FALSE(task.never_ran());
  }
}

// A wake before the kill does not say why `park` returns: the kill does.
TEST(Kill, AfterAWakeBeforeTheTaskRunsIsWhatTheNextParkReports) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(S::park(), Woken::by_wake);
    EXPECT_TRUE(S::current().kill_requested());
    EXPECT_EQ(S::park(), Woken::by_kill);
    kernel.log("knows");
  });
  auto& other = kernel.make("other", [&] {
    S::wake(task);
    EXPECT_EQ(S::state(task), State::ready);
    S::kill(task);
    EXPECT_EQ(S::usage(kernel.cpu(0)).wakes, 1u);
  });
  kernel.boot([&] {
    kernel.spawn(task);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"knows"});
}

TEST(Kill, OfTheRunningTaskTakesNothingFromIt) {
  K kernel;
  auto& task = kernel.make("task", [&] {
    S::kill(S::current());
    EXPECT_TRUE(S::current().kill_requested());
    S::yield();
    kernel.log("goes on");
    EXPECT_EQ(S::park(), Woken::by_kill);
  });
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"goes on"});
  EXPECT_EQ(task.finishes, 1);
}

}  // namespace
}  // namespace sched::test
