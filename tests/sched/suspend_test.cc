// Suspending and resuming: in every state, from everywhere, any number of times; and together with
// what else happens to a task meanwhile.

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
using Lines = std::vector<std::string>;

TEST(Suspend, AReadyTaskDoesNotRunUntilItIsResumed) {
  K kernel;
  auto& task = kernel.make("task", [&] { kernel.log("task"); }, {.priority = 1});
  auto& other = kernel.make("other",
                            [&] {
                              kernel.spawn(task);
                              Sim::spend(ticks(30));
                              EXPECT_TRUE(S::suspend(task));
                              EXPECT_EQ(S::state(task), State::suspended);
                              EXPECT_EQ(S::sleep_for(ticks(100)), Waited::timed_out);
                              kernel.log("other");
                              EXPECT_EQ(S::usage(task).wait, ticks(30));  // not while suspended
                              EXPECT_TRUE(S::resume(task));
                              EXPECT_EQ(S::state(task), State::ready);
                              EXPECT_FALSE(S::resume(task));
                            },
                            {.priority = 2});
  kernel.boot_with(other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"other", "task"}));
}

TEST(Suspend, NestsTo255) {
  K kernel;
  auto& task = kernel.make("task", [&] { kernel.log("task"); }, {.priority = 1});
  auto& other = kernel.make("other",
                            [&] {
                              kernel.spawn(task);
                              for (int i = 0; i < 255; ++i) EXPECT_TRUE(S::suspend(task));
                              EXPECT_FALSE(S::suspend(task));
                              for (int i = 0; i < 254; ++i) EXPECT_TRUE(S::resume(task));
                              EXPECT_EQ(S::state(task), State::suspended);
                              EXPECT_TRUE(S::resume(task));
                              EXPECT_EQ(S::state(task), State::ready);
                              EXPECT_FALSE(S::resume(task));
                            },
                            {.priority = 2});
  kernel.boot_with(other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"task"});
}

TEST(Suspend, OfOneselfStopsBeforeItReturns) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_TRUE(S::suspend(S::current()));
                             EXPECT_EQ(S::now(), at(500));
                             EXPECT_EQ(S::state(S::current()), State::running);
                             EXPECT_EQ(S::usage(S::current()).wait, ticks(0));
                           },
                           {.priority = 1});
  kernel.on_device = [&](uint32_t, auto&) {
    EXPECT_EQ(S::state(task), State::suspended);
    EXPECT_TRUE(S::resume(task));
  };
  kernel.world.raise_at(0, 1, at(500));
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

TEST(Suspend, OfTheRunningTaskByAnInterrupt) {
  for (const bool has_company : {false, true}) {
    K kernel;
    auto& task = kernel.make("task",
                             [&] {
                               Sim::spend(ticks(300));
                               EXPECT_EQ(S::now(), at(10 + 300 + 250));
                             },
                             {.priority = 1});
    auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 1});
    kernel.on_device = [&](uint32_t line, auto&) {
      EXPECT_TRUE(line == 1 ? S::suspend(task) : S::resume(task));
    };
    kernel.world.raise_at(0, 1, at(100));
    kernel.world.raise_at(0, 2, at(350));
    kernel.boot([&] {
      kernel.spawn(task);
      if (has_company) kernel.spawn(other);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(kernel.lines, has_company ? Lines{"other"} : Lines{});
    EXPECT_EQ(task.finishes, 1);
  }
}

// Suspended and resumed within one interrupt, or under one guard, it goes on as if nothing had
// been.
TEST(Suspend, AndResumeBeforeASwitchIsNone) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             Sim::spend(ticks(300));
                             {
                               const S::NoPreempt guard;
                               EXPECT_TRUE(S::suspend(S::current()));
                               EXPECT_EQ(S::state(S::current()), State::suspended);
                               Sim::spend(ticks(10));
                               EXPECT_TRUE(S::resume(S::current()));
                             }
                             EXPECT_EQ(S::now(), at(320));
                           },
                           {.priority = 1});
  kernel.on_device = [&](uint32_t, auto&) {
    EXPECT_TRUE(S::suspend(task));
    EXPECT_TRUE(S::resume(task));
  };
  kernel.world.raise_at(0, 1, at(100));
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Suspend, UnderAGuardComesWhenThatEnds) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             {
                               const S::NoPreempt guard;
                               EXPECT_TRUE(S::suspend(S::current()));
                               Sim::spend(ticks(50));
                               kernel.log("guarded");
                             }
                             kernel.log("resumed");
                           },
                           {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              kernel.log("other");
                              EXPECT_TRUE(S::resume(task));
                              kernel.log("done");
                            },
                            {.priority = 1});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"guarded", "other", "resumed", "done"}));
}

// What has it switched from is a kick, which may come late: until then it may do anything.
TEST(Suspend, MaskedByTheKernelComesSoon) {
  for (const uint64_t latency : {0, 100}) {
    for (const bool exits : {false, true}) {
      K kernel({.kick_latency = ticks(latency)});
      auto& task = kernel.make("task",
                               [&] {
                                 const Sim::Irq irq = Sim::mask();
                                 EXPECT_TRUE(S::suspend(S::current()));
                                 Sim::unmask(irq);
                                 if (exits) return;
                                 EXPECT_EQ(S::park_until(at(700)), Woken::by_timeout);
                                 kernel.log("task");
                               },
                               {.priority = 1});
      auto& other = kernel.make("other", [&] { Sim::spend(ticks(400)); }, {.priority = 1});
      kernel.on_device = [&](uint32_t, auto&) {
        if (S::state(task) == State::finished) return;
        EXPECT_EQ(S::state(task), State::suspended);
        EXPECT_TRUE(S::resume(task));
        kernel.log("resumed");
      };
      kernel.world.raise_at(0, 1, at(1000));
      kernel.boot_with(task, other);
      EXPECT_EQ(kernel.run(), End::quiet);
      if (!exits) EXPECT_EQ(kernel.lines, (Lines{"resumed", "task"}));
      EXPECT_EQ(task.finishes, 1);
      EXPECT_EQ(other.finishes, 1);
    }
  }
}

// ---- What waits ----

// A known fault elsewhere: the timeout makes the suspended task ready, and it runs.
TEST(Suspend, ATaskThatWaitsIsNotRunByItsTimeout) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_EQ(S::park_until(at(100)), Woken::by_timeout);
                             EXPECT_EQ(S::now(), at(500));
                           },
                           {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              EXPECT_TRUE(S::suspend(task));
                              EXPECT_EQ(S::state(task), State::suspended_blocked);
                              EXPECT_EQ(S::usage(task).wakes, 0u);
                              S::sleep_until(at(500));
                              EXPECT_EQ(S::state(task), State::suspended);
                              EXPECT_EQ(S::usage(task).wakes, 1u);
                              // Later: the timeout was the reason. This wake is the next park's.
                              S::wake(task);
                              S::cancel_wait(task);
                              EXPECT_TRUE(S::resume(task));
                            },
                            {.priority = 1});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

TEST(Suspend, ATaskThatWaitsGoesOnWaitingWhenItIsResumed) {
  K kernel;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_EQ(S::park_until(at(300)), Woken::by_timeout);
                             EXPECT_EQ(S::now(), at(300));
                             EXPECT_EQ(S::park(), Woken::by_wake);
                             EXPECT_EQ(S::park(), Woken::by_cancel);
                             EXPECT_EQ(S::park_until(at(10'000)), Woken::by_kill);
                           },
                           {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              for (const int step : {0, 1, 2, 3}) {
                                EXPECT_TRUE(S::suspend(task));
                                EXPECT_TRUE(S::suspend(task));
                                EXPECT_TRUE(S::resume(task));
                                EXPECT_EQ(S::state(task), State::suspended_blocked);
                                if (step == 1) S::wake(task);
                                if (step == 2) S::cancel_wait(task);
                                if (step == 3) {
                                  // What had it suspended is forgotten.
                                  S::kill(task);
                                  EXPECT_EQ(task.finishes, 1);
                                  EXPECT_FALSE(S::resume(task));
                                  EXPECT_FALSE(S::suspend(task));
                                  return;
                                }
                                EXPECT_EQ(S::state(task),
                                          step == 0 ? State::suspended_blocked : State::suspended);
                                EXPECT_TRUE(S::resume(task));
                                EXPECT_EQ(S::state(task), State::blocked);
                                if (step == 0) S::sleep_until(at(400));
                              }
                            },
                            {.priority = 1});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

TEST(Suspend, IsForgottenByAKill) {
  K kernel;
  auto& begun = kernel.make("begun",
                            [&] {
                              S::suspend(S::current());
                              EXPECT_TRUE(S::current().kill_requested());
                              EXPECT_EQ(S::park(), Woken::by_kill);
                              kernel.log("cleaned up");
                            },
                            {.priority = 3});
  auto& fresh = kernel.make("fresh", [] { ADD_FAILURE() << "it runs"; }, {.priority = 1});
  auto& killer = kernel.make("killer",
                             [&] {
                               for (auto* task : {&begun, &fresh}) {
                                 S::suspend(*task);
                                 S::suspend(*task);
                                 EXPECT_EQ(S::state(*task), State::suspended);
                                 S::kill(*task);
                                 EXPECT_EQ(task->finishes, 1);
                                 EXPECT_FALSE(S::resume(*task));
                               }
                               EXPECT_TRUE(fresh.never_ran());
                             },
                             {.priority = 2});
  kernel.boot([&] {
    for (auto* task : {&begun, &fresh, &killer}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"cleaned up"});
}

TEST(Suspend, IsNotInheritedByTheNextLife) {
  K kernel;
  int runs = 0;
  auto& task = kernel.make("task", [&] { ++runs; }, {.priority = 1});
  auto& other = kernel.make("other",
                            [&] {
                              EXPECT_FALSE(S::suspend(task));
                              kernel.spawn(task);
                              const S::NoPreempt guard;
                              S::suspend(task);
                              S::kill(task);
                            },
                            {.priority = 2});
  kernel.on_finish = [&](K::Thread& thread) {
    if (&thread == &task && runs == 0) kernel.spawn(task);
  };
  kernel.boot_with(other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(runs, 1);
}

TEST(Suspend, GivesNewAttributesWithoutRunning) {
  K kernel;
  auto& task = kernel.make("task", [&] { kernel.log("task"); }, {.priority = 1});
  auto& other = kernel.make("other",
                            [&] {
                              S::suspend(task);
                              EXPECT_TRUE(S::retune(task, {.priority = 9}));
                              EXPECT_FALSE(S::retune(task, {.priority = 999}));
                              EXPECT_EQ(S::state(task), State::suspended);
                              kernel.log("other");
                              S::resume(task);
                              kernel.log("after");
                            },
                            {.priority = 2});
  kernel.boot_with(task, other);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"other", "task", "after"}));
}

TEST(Suspend, WorksUnderASlicedPolicyToo) {
  using Rr = Kernel<RoundRobin>;
  Rr kernel;
  std::vector<Rr::Thread*> tasks;
  for (const char* name : {"a", "b", "c"}) {
    tasks.push_back(&kernel.make(name, [&] { Sim::spend(ticks(500)); }, {.slice = ticks(50)}));
  }
  kernel.on_device = [&](uint32_t line, auto&) {
    auto& task = *tasks[line % 3];
    EXPECT_TRUE(line < 300 ? Rr::S::suspend(task) : Rr::S::resume(task));
  };
  kernel.on_finish = [&](Rr::Thread& task) { EXPECT_EQ(Rr::S::usage(task).run, ticks(500)); };
  for (uint32_t i = 0; i < 300; ++i) kernel.world.raise_at(0, i, at(20 + i * 3));
  for (uint32_t i = 0; i < 300; ++i) kernel.world.raise_at(0, 300 + i, at(1200 + i));
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  for (auto* task : tasks) EXPECT_EQ(task->finishes, 1);
}

// ---- Several CPUs ----

// The switch that mail makes due is the next interrupt's, which may come late: not this one.
TEST(Suspend, ByMailHasTheRunningTaskStopAtOnce) {
  for (const uint64_t latency : {0, 100}) {
    K kernel({.cpus = 2, .kick_latency = ticks(latency)});
    auto& task = kernel.make("task",
                             [&] {
                               for (int n = 0; n < 5'000; ++n) {
                                 Sim::spend(ticks(7));
                                 EXPECT_NE(S::state(S::current()), State::suspended);
                                 S::park_until(S::now() + ticks(1));
                               }
                             },
                             {.priority = 1});
    auto& other = kernel.make("other",
                              [&] {
                                for (int n = 0; n < 20; ++n) {
                                  EXPECT_TRUE(S::suspend(task));
                                  Sim::spend(ticks(300));
                                  EXPECT_TRUE(S::resume(task));
                                  Sim::spend(ticks(201));
                                }
                              },
                              {.priority = 1});
    kernel.boot([&] {
      kernel.spawn_on(1, other);
      kernel.spawn(task);
    });
    ASSERT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
  }
}

// From everywhere, and together with everything else: who was suspended as often as resumed runs
// on, and each wait ends once.
TEST(Suspend, AcrossCpusLosesNobody) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    constexpr size_t kTasks = 4;
    int woken = 0, timeouts = 0, cancels = 0;
    std::vector<K::Thread*> tasks;
    for (size_t i = 0; i < kTasks; ++i) {
      tasks.push_back(&kernel.make("task",
                                   [&, i] {
                                     for (int n = 0; n < 20; ++n) {
                                       Sim::spend(ticks(10 + i));
                                       switch (S::park_until(S::now() + ticks(60))) {
                                         case Woken::by_wake: ++woken; break;
                                         case Woken::by_timeout: ++timeouts; break;
                                         case Woken::by_cancel: ++cancels; break;
                                         case Woken::by_kill: ADD_FAILURE();
                                       }
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i % 2)}));
    }
    std::vector<K::Thread*> others;
    for (size_t i = 0; i < 3; ++i) {
      others.push_back(&kernel.make("other",
                                    [&, i] {
                                      for (size_t n = 0; n < 30; ++n) {
                                        auto& task = *tasks[(n * 7 + i) % kTasks];
                                        const bool suspended = S::suspend(task);
                                        if (n % 3 == 0) S::wake(task);
                                        if (n % 3 == 1) S::cancel_wait(task);
                                        Sim::spend(ticks(5 + n % 11));
                                        // Not if it has ended meanwhile.
                                        if (suspended && task.finishes == 0)
                                          EXPECT_TRUE(S::resume(task));
                                      }
                                    },
                                    {.priority = 2}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < kTasks; ++i) kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
      for (size_t i = 0; i < 3; ++i) kernel.spawn_on(static_cast<CpuNumber>(i), *others[i]);
    });
    ASSERT_EQ(kernel.run(), End::quiet);
    for (auto* task : tasks) ASSERT_EQ(task->finishes, 1);
    EXPECT_EQ(woken + timeouts + cancels, 80);
  }
}

}  // namespace
}  // namespace sched::test
