// A kill of a task whose first turn has not come: it never runs, and the sink has it, once, from
// wherever it was killed and wherever it was.

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

// A task that must not run.
K::Thread& victim(K& kernel, uint16_t priority = 1) {
  return kernel.make("victim", [] { ADD_FAILURE() << "it runs"; }, {.priority = priority});
}

// What is true of one that was killed once, spawned once.
void expect_never_ran(const K::Thread& task) {
  EXPECT_EQ(task.finishes, 1);
  EXPECT_TRUE(task.never_ran());
  EXPECT_FALSE(task.refused());
  EXPECT_TRUE(task.kill_requested());
  EXPECT_EQ(S::state(task), State::finished);
  EXPECT_TRUE(task.ownership().is_free());
}

TEST(KillBeforeItRuns, ByATaskHandsItToTheSinkBeforeItReturns) {
  K kernel;
  auto& task = victim(kernel);
  auto& next = kernel.make("next", [&] { kernel.log("next"); }, {.priority = 1});
  auto& killer = kernel.make("killer",
                             [&] {
                               kernel.spawn(task);
                               kernel.spawn(next);
                               Sim::spend(ticks(70));
                               const uint64_t switches = kernel.world.report(0).switches;
                               S::kill(task);
                               expect_never_ran(task);
                               const Usage usage = S::usage(task);
                               EXPECT_EQ(usage.run, ticks(0));
                               EXPECT_EQ(usage.wait, ticks(70));
                               EXPECT_EQ(usage.voluntary + usage.involuntary + usage.wakes, 0u);
                               EXPECT_EQ(usage.cpu, 0);
                               EXPECT_EQ(kernel.world.report(0).switches, switches);
                               const Sim::Irq irq = Sim::mask();
                               EXPECT_EQ(irq, Sim::Irq::unmasked);
                               Sim::unmask(irq);
                               S::kill(task);
                               EXPECT_EQ(S::usage(kernel.cpu(0)).stale, 1u);
                               kernel.log("killer");
                               S::yield();
                             },
                             {.priority = 1});
  kernel.on_finish = [&](K::Thread& thread) {
    if (&thread != &task) return;
    EXPECT_EQ(&S::current(), &killer);
    const Sim::Irq irq = Sim::mask();
    EXPECT_EQ(irq, Sim::Irq::unmasked);
    Sim::unmask(irq);
    kernel.log("sink");
  };
  kernel.boot_with(killer);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"sink", "killer", "next"}));
}

TEST(KillBeforeItRuns, OfTheOnlyOneOnItsLevelLeavesTheOthers) {
  for (const uint16_t priority : {uint16_t{3}, uint16_t{5}, uint16_t{250}}) {
    K kernel;
    auto& task = victim(kernel, priority);
    auto& other = kernel.make("other", [&] { kernel.log("other"); }, {.priority = 4});
    kernel.boot([&] {
      kernel.spawn(task);
      kernel.spawn(other);
      S::kill(task);
      EXPECT_EQ(S::state(task), State::finished);
      EXPECT_EQ(task.finishes, 0);  // nobody may switch yet
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(kernel.lines, Lines{"other"});
    expect_never_ran(task);
  }
}

TEST(KillBeforeItRuns, InAnInterruptHandsItToTheSinkOnTheIdleTask) {
  for (const bool busy : {false, true}) {
    K kernel;
    auto& task = victim(kernel);
    auto& runner = kernel.make("runner",
                               [&] {
                                 if (busy) Sim::spend(ticks(100));
                                 kernel.log("runner");
                               },
                               {.priority = 2});
    kernel.on_device = [&](uint32_t, auto&) {
      kernel.spawn(task);
      S::kill(task);
      EXPECT_EQ(S::state(task), State::finished);
      EXPECT_EQ(task.finishes, 0);
      // Not before the sink has had it.
      EXPECT_EQ(kernel.try_spawn(task).error(), SpawnError::already_spawned);
    };
    kernel.on_finish = [&](K::Thread& thread) {
      EXPECT_EQ(&S::current(), &kernel.cpu(0).idle());
      if (&thread == &task) kernel.log("sink");
    };
    kernel.world.raise_at(0, 1, at(60));
    kernel.boot_with(runner);
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(kernel.lines, busy ? (Lines{"sink", "runner"}) : (Lines{"runner", "sink"}));
    expect_never_ran(task);
  }
}

TEST(KillBeforeItRuns, UnderAGuardOrMaskedComesWhenThatEnds) {
  K kernel;
  auto& first = victim(kernel);
  auto& second = victim(kernel);
  auto& killer = kernel.make("killer",
                             [&] {
                               kernel.spawn(first);
                               kernel.spawn(second);
                               {
                                 const S::NoPreempt guard;
                                 S::kill(first);
                                 EXPECT_EQ(first.finishes, 0);
                               }
                               expect_never_ran(first);
                               const Sim::Irq irq = Sim::mask();
                               S::kill(second);
                               EXPECT_EQ(second.finishes, 0);
                               Sim::unmask(irq);
                               expect_never_ran(second);
                             },
                             {.priority = 2});
  kernel.boot_with(killer);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(killer.finishes, 1);
}

// The sink kills another: that one comes after this one, not within.
TEST(KillBeforeItRuns, InTheSinkDoesNotNest) {
  K kernel;
  auto& first = victim(kernel);
  auto& second = victim(kernel);
  auto& third = victim(kernel);
  int depth = 0;
  kernel.on_finish = [&](K::Thread& thread) {
    EXPECT_EQ(++depth, 1);
    if (&thread == &first) S::kill(second);
    if (&thread == &second) {
      kernel.world.raise_at(0, 1, at(Sim::now().ticks + 10));
      Sim::spend(ticks(20));
    }
    --depth;
    kernel.log(thread.text);
  };
  kernel.on_device = [&](uint32_t, auto&) { S::kill(third); };
  auto& killer = kernel.make("killer",
                             [&] {
                               for (auto* task : {&first, &second, &third}) kernel.spawn(*task);
                               S::kill(first);
                               for (auto* task : {&first, &second, &third}) expect_never_ran(*task);
                             },
                             {.priority = 1});
  kernel.boot_with(killer);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"victim", "victim", "victim", "killer"}));
}

// What became urgent while the sink ran on the killer's stack is not forgotten.
TEST(KillBeforeItRuns, LetsAMoreUrgentTaskRunAfterTheSink) {
  K kernel;
  auto& task = victim(kernel);
  auto& urgent = kernel.make("urgent", [&] { kernel.log("urgent"); }, {.priority = 9});
  kernel.on_finish = [&](K::Thread& thread) {
    if (&thread != &task) return;
    kernel.spawn(urgent);
    kernel.log("sink");
  };
  auto& killer = kernel.make("killer",
                             [&] {
                               kernel.spawn(task);
                               S::kill(task);
                               kernel.log("killer");
                             },
                             {.priority = 1});
  kernel.boot_with(killer);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"sink", "urgent", "killer"}));
}

TEST(KillBeforeItRuns, ForgetsAWakeAndIsSpawnedAgain) {
  K kernel;
  int runs = 0;
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_FALSE(S::current().kill_requested());
                             EXPECT_FALSE(static_cast<S::Task&>(S::current()).never_ran());
                             ++runs;
                             S::park();
                             kernel.log("woken");
                           },
                           {.priority = 1});
  auto& killer = kernel.make("killer",
                             [&] {
                               for (int life = 0; life < 3; ++life) {
                                 kernel.spawn(task);
                                 S::wake(task);
                                 S::retune(task, {.priority = 1});
                                 S::kill(task);
                                 EXPECT_TRUE(task.never_ran());
                               }
                               kernel.spawn(task);
                               S::yield();
                               EXPECT_EQ(S::state(task), State::blocked);
                               S::wake(task);
                             },
                             {.priority = 1});
  kernel.boot_with(killer);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(kernel.lines, Lines{"woken"});
  EXPECT_EQ(task.finishes, 4);
  EXPECT_FALSE(task.never_ran());
}

// Current, interrupted before its first instruction: its first turn has come, so it is only asked.
TEST(KillBeforeItRuns, IsNotAKillOfTheTaskThatIsCurrent) {
  K kernel({.call_cost = ticks(1)});
  auto& task = kernel.make("task",
                           [&] {
                             Sim::spend(ticks(100));
                             kernel.log("ran");
                           },
                           {.priority = 1});
  kernel.on_device = [&](uint32_t, auto&) {
    if (&S::current() == &task) S::kill(task);
  };
  for (uint64_t when = 1; when < 100; ++when) kernel.world.raise_at(0, 1, at(when));
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"ran"});
  EXPECT_FALSE(task.never_ran());
}

// Preempted before its first instruction it holds nothing either: what counts is whether its entry
// has been called.
TEST(KillBeforeItRuns, OfOneThatLostTheCpuOnItsWayToItsEntry) {
  int ended = 0, only_asked = 0;
  for (uint64_t when = 1; when < 100; ++when) {
    K kernel({.call_cost = ticks(1)});
    bool has_begun = false;
    bool had_begun = false;
    auto& task = kernel.make("task",
                             [&] {
                               has_begun = true;
                               Sim::spend(ticks(100));
                             },
                             {.priority = 1});
    auto& killer = kernel.make("killer",
                               [&] {
                                 had_begun = has_begun;
                                 S::kill(task);
                                 EXPECT_EQ(task.finishes, had_begun ? 0 : 1);
                               },
                               {.priority = 2});
    bool was_current = false;
    kernel.on_device = [&](uint32_t, auto&) {
      was_current = &S::current() == &task;
      if (was_current) kernel.spawn(killer);
    };
    kernel.world.raise_at(0, 1, at(when));
    kernel.boot_with(task);
    EXPECT_EQ(kernel.run(), End::quiet);
    if (!was_current) continue;
    EXPECT_EQ(task.finishes, 1);
    EXPECT_EQ(task.never_ran(), !had_begun);
    EXPECT_EQ(has_begun, had_begun);
    ++(had_begun ? only_asked : ended);
  }
  EXPECT_GT(ended, 0);
  EXPECT_GT(only_asked, 0);
}

// ---- Two CPUs ----

TEST(KillBeforeItRuns, ByMailFromAnotherCpu) {
  K kernel({.cpus = 2});
  auto& runner = kernel.make("runner", [&] { Sim::spend(ticks(5000)); }, {.priority = 2});
  auto& task = victim(kernel);
  auto& killer = kernel.make("killer",
                             [&] {
                               Sim::spend(ticks(500));
                               EXPECT_EQ(S::state(task), State::ready);
                               S::kill(task);
                               S::kill(task);
                               S::wake(task);
                             },
                             {.priority = 1});
  kernel.boot([&] {
    kernel.spawn_on(1, runner);
    kernel.spawn_on(1, task);
    kernel.spawn(killer);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  expect_never_ran(task);
}

TEST(KillBeforeItRuns, OnItsWayToItsCpu) {
  for (const bool itself : {false, true}) {
    K kernel({.cpus = 2, .kick_latency = ticks(300)});
    auto& task = victim(kernel);
    kernel.boot([&] {
      kernel.spawn_on(1, task);
      S::wake(task);
      if (itself) S::retune(task, {.priority = 7});
      S::kill(task);
      EXPECT_EQ(task.finishes, 0);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    expect_never_ran(task);
  }
}

// Everybody kills everybody while tasks are spawned, on any CPU: each life has one end, and a task
// that ran did so because no kill had come before.
// The mail of a resume and a kill on the spot.
TEST(KillBeforeItRuns, OfASuspendedTaskWhoseResumeIsOnItsWay) {
  for (const bool has_run : {false, true}) {
    K kernel({.cpus = 2, .interleave = 0, .kick_latency = ticks(300)});
    auto& task = kernel.make("task", [] { EXPECT_EQ(S::park(), Woken::by_kill); });
    auto& busy = kernel.make("busy", [&] {
      if (has_run) S::yield();
      EXPECT_TRUE(S::suspend(task));
      Sim::spend(ticks(500));
      S::kill(task);
      Sim::spend(ticks(1000));
    });
    auto& other = kernel.make("other", [&] {
      Sim::spend(ticks(100));
      EXPECT_TRUE(S::resume(task));
    });
    kernel.boot([&] {
      kernel.spawn(busy);
      kernel.spawn(task);
      kernel.spawn_on(1, other);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
    EXPECT_EQ(task.never_ran(), !has_run);
  }
}

TEST(KillBeforeItRuns, GivesEachLifeOneEndWhateverTheSchedule) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    constexpr int kTasks = 6, kRounds = 40;
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(20), .call_cost = ticks(1)});
    int runs = 0, spawns = 0, ends = 0, never = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < kTasks; ++i) {
      tasks.push_back(&kernel.make("task", [&] { ++runs; }, {.priority = 1}));
    }
    kernel.on_finish = [&](K::Thread& thread) {
      if (thread.text != "task") return;
      ++ends;
      never += thread.never_ran();
      EXPECT_TRUE(!thread.never_ran() || thread.kill_requested());
    };
    for (CpuNumber cpu = 0; cpu < 3; ++cpu) {
      kernel.make("killer " + std::to_string(cpu),
                  [&, cpu] {
                    for (int round = 0; round < kRounds; ++round) {
                      const size_t i = static_cast<size_t>(round * 7 + cpu) % kTasks;
                      const CpuNumber to = static_cast<CpuNumber>((round + cpu) % 3);
                      if (kernel.try_spawn_on(to, *tasks[i]).has_value()) ++spawns;
                      Sim::spend(ticks((round * 13 + cpu * 5) % 60));
                      S::kill(*tasks[(i + static_cast<size_t>(round % 2)) % kTasks]);
                      S::yield();
                    }
                  },
                  {.priority = 2});
    }
    kernel.boot([&] {
      for (CpuNumber cpu = 0; cpu < 3; ++cpu) kernel.spawn_on(cpu, kernel.threads[kTasks + cpu]);
    });
    ASSERT_EQ(kernel.run(), End::quiet) << seed;
    ASSERT_EQ(ends, spawns) << seed;
    ASSERT_EQ(runs + never, spawns) << seed;
    EXPECT_GT(never, 0) << seed;
  }
}

// ---- The way to the sink ----

// An interrupt at any instant of the end, and another CPU, that try to spawn it again: they succeed
// only after the sink has had it.
TEST(Dead, CannotBeSpawnedBeforeTheSinkHasIt) {
  for (const bool killed : {false, true}) {
    for (uint64_t when = 1000; when < 1200; ++when) {
      K kernel({.cpus = 2, .call_cost = ticks(1)});
      int lives = 0;
      const auto again = [&](K::Thread& task) {
        if (lives > 0 && kernel.try_spawn(task).has_value()) {
          EXPECT_GE(task.finishes, lives) << when;
          ++lives;
        }
      };
      auto& task = kernel.make("task", [] {}, {.priority = 1});
      auto& killer = kernel.make("killer",
                                 [&] {
                                   kernel.spawn(task);
                                   lives = 1;
                                   if (killed) S::kill(task);
                                 },
                                 {.priority = 1});
      kernel.on_device = [&](uint32_t, auto&) { again(task); };
      kernel.world.raise_at(0, 1, at(when));
      kernel.world.raise_at(1, 1, at(when));
      kernel.boot_with(killer);
      ASSERT_EQ(kernel.run(), End::quiet) << when;
      EXPECT_EQ(task.finishes, lives) << when;
    }
  }
}

}  // namespace
}  // namespace sched::test
