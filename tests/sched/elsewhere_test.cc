// Faults that other kernels have had, by name: each of these tests would find one of them here.
// More of this suite are beside the primitives (tests/sched/sync) and policies that they are about.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/time/periodic.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

// Relative deadlines drift: each period of `sleep(period)` in a loop begins as late as the task was
// preempted, or worked, before it computed the next one.
TEST(Elsewhere, ARelativeDeadlineDrifts) {
  K kernel;
  uint64_t latest = 0;
  auto& noise = kernel.make("noise",
                            [] {
                              for (uint64_t n = 0; n < 300; ++n) {
                                Sim::spend(ticks(13 + n % 5));
                                S::sleep_for(ticks(29));
                              }
                            },
                            {.priority = 2});
  auto& task = kernel.make("task",
                           [&] {
                             Periodic<S> period(at(10), ticks(100));
                             for (uint64_t n = 1; n <= 100; ++n) {
                               period.next();
                               EXPECT_EQ(period.due(), at(10 + 100 * n));
                               latest = std::max(latest, (S::now() - period.due()).ticks);
                               Sim::spend(ticks(20));
                             }
                             EXPECT_EQ(period.missed(), 0u);
                           },
                           {.priority = 1});
  kernel.boot_with(noise, task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_GT(latest, 0u);
  EXPECT_LT(latest, 20u);  // no more than one piece of noise, the last time as the first
}

// The object and stack of a task are reused while its last instructions still run on them: the one
// who joins returns too early.
TEST(Elsewhere, AnObjectIsReusedWhileItsStackStillRuns) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    K kernel({.cpus = 2, .seed = seed, .interleave = 2, .stall = ticks(40), .call_cost = ticks(1)});
    int lives = 0;
    auto& task = kernel.make("task",
                             [&] {
                               ++lives;
                               Sim::spend(ticks(10));
                             },
                             {.priority = 1});
    auto& parent = kernel.make("parent",
                               [&] {
                                 for (int n = 1; n <= 10; ++n) {
                                   // The sink has overwritten it by then.
                                   kernel.spawn_on(static_cast<CpuNumber>(n % 2), task);
                                   EXPECT_EQ(S::join(task), uint64_t{0});
                                   EXPECT_EQ(task.finishes, n);
                                   EXPECT_EQ(task.stack.bytes().back(), std::byte{0xdb});
                                   // At once, and not only some time later.
                                   EXPECT_TRUE(task.ownership().is_free());
                                 }
                               },
                               {.priority = 2});
    kernel.boot_with(parent);
    ASSERT_EQ(kernel.run(), End::quiet) << seed;
    ASSERT_EQ(lives, 10) << seed;
  }
}

// Two tasks that kill each other: each waits for the other's end, or each frees the other.
TEST(Elsewhere, TwoTasksKillEachOther) {
  for (const CpuNumber cpus : {CpuNumber{1}, CpuNumber{2}}) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
      K kernel({.cpus = cpus, .seed = seed, .interleave = 2, .stall = ticks(40)});
      K::Thread* both[2];
      for (size_t i = 0; i < 2; ++i) {
        both[i] =
            &kernel.make("task",
                         [&, i] {
                           Sim::spend(ticks(20));
                           S::kill(*both[1 - i]);
                           // Its end, or my own.
                           const auto joined = S::join(*both[1 - i]);
                           EXPECT_TRUE(joined.has_value() || joined.error() == JoinError::killed ||
                                       joined.error() == JoinError::never_ran);
                           S::exit(i);
                         },
                         {.priority = 1});
      }
      kernel.boot([&] {
        for (size_t i = 0; i < 2; ++i) kernel.spawn_on(static_cast<CpuNumber>(i % cpus), *both[i]);
      });
      ASSERT_EQ(kernel.run(), End::quiet) << seed;
      for (const auto* task : both) ASSERT_EQ(task->finishes, 1) << seed;
    }
  }
}

// A suspended task is woken by its timeout: "blocked with a timeout" and "suspended" share a state,
// and the timer's interrupt makes it ready.
TEST(Elsewhere, ASuspendedTaskIsWokenByItsTimeout) {
  for (const bool by_wake : {false, true}) {
    K kernel;
    auto& task = kernel.make("task",
                             [&] {
                               EXPECT_EQ(S::park_until(at(200)),
                                         by_wake ? Woken::by_wake : Woken::by_timeout);
                               EXPECT_EQ(S::now(), at(1000));
                             },
                             {.priority = 9});
    kernel.on_device = [&](uint32_t line, auto&) {
      if (line == 1) EXPECT_TRUE(S::suspend(task));
      if (line == 2 && by_wake) S::wake(task);
      if (line == 3) EXPECT_TRUE(S::resume(task));
    };
    kernel.world.raise_at(0, 1, at(100));
    kernel.world.raise_at(0, 2, at(150));
    kernel.world.raise_at(0, 3, at(1000));
    kernel.boot_with(task);
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
  }
}

// Two tasks that are killed by interrupts of each other's CPUs at one instant: each CPU waits for
// the other, with interrupts masked.
TEST(Elsewhere, InterruptsOnTwoCpusKillEachOthersTasks) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    K kernel({.cpus = 2, .seed = seed, .interleave = 2, .stall = ticks(20)});
    for (int i = 0; i < 2; ++i) {
      kernel.make("task",
                  [seed] {
                    while (!S::current().kill_requested()) {
                      if (seed % 2 == 0) S::park();
                      Sim::spend(ticks(10));
                    }
                  },
                  {.priority = 1});
    }
    kernel.on_device = [&](uint32_t, auto&) { S::kill(kernel.threads[1 - S::here().number]); };
    for (CpuNumber cpu = 0; cpu < 2; ++cpu) kernel.world.raise_at(cpu, 1, at(3000));
    kernel.boot([&] {
      for (CpuNumber cpu = 0; cpu < 2; ++cpu) kernel.spawn_on(cpu, kernel.threads[cpu]);
    });
    Invariants invariants(kernel);
    kernel.finish();
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

// A wake finds the task still on its way off its stack, and spins until it is: with two that wake
// each other so, masked, both spin for ever.
TEST(Elsewhere, TwoCpusWakeTasksThatAreStillSwitchingOut) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    K kernel({.cpus = 2, .seed = seed, .interleave = 1, .find_races = true});
    for (size_t i = 0; i < 2; ++i) {
      kernel.make("task",
                  [&, i] {
                    for (int round = 0; round < 20; ++round) {
                      S::wake(kernel.threads[1 - i]);
                      S::park();
                    }
                    S::wake(kernel.threads[1 - i]);
                  },
                  {.priority = 1});
    }
    kernel.boot([&] {
      for (CpuNumber cpu = 0; cpu < 2; ++cpu) kernel.spawn_on(cpu, kernel.threads[cpu]);
    });
    Invariants invariants(kernel);
    ASSERT_NE(kernel.run(), End::steps) << seed;
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

// A CPU sends itself a kick and takes the one that another CPU has sent for its own: one of the two
// reasons is forgotten, and it sleeps on its mail.
TEST(Elsewhere, ACpuTakesItsOwnKickForAnothers) {
  for (uint64_t latency = 0; latency <= 200; latency += 10) {
    K kernel({.cpus = 2, .interleave = 0, .kick_latency = ticks(latency)});
    auto& urgent = kernel.make("urgent", [] { S::park(); }, {.priority = 9});
    auto& mailed = kernel.make("mailed", [] { S::park(); }, {.priority = 8});
    auto& task = kernel.make("task",
                             [&] {
                               Sim::spend(at(2000) - S::now());
                               const Sim::Irq irq = Sim::mask();
                               S::wake(urgent);         // kicks itself
                               Sim::spend(ticks(100));  // mail comes meanwhile, with a kick
                               Sim::unmask(irq);
                             },
                             {.priority = 1});
    auto& waker = kernel.make("waker", [&] {
      Sim::spend(at(2050) - S::now());
      S::wake(mailed);
    });
    kernel.boot([&] {
      for (auto* thread : {&urgent, &mailed, &task}) kernel.spawn(*thread);
      kernel.spawn_on(1, waker);
    });
    Invariants invariants(kernel);
    kernel.finish();
  }
}

// Everybody kicks a CPU that is busy, for each wake: one interrupt is enough for all that comes
// before it is taken.
TEST(Elsewhere, WakesStormACpuWithKicks) {
  static constexpr size_t kWakes = 50;
  K kernel({.cpus = 4, .interleave = 0});
  for (size_t i = 0; i < kWakes; ++i) kernel.make("task", [] { S::park(); }, {.priority = 2});
  auto& masked = kernel.make("masked",
                             [] {
                               Sim::spend(ticks(500));
                               const Sim::Irq irq = Sim::mask();
                               Sim::spend(ticks(1000));
                               Sim::unmask(irq);
                             },
                             {.priority = 1});
  for (int i = 0; i < 3; ++i) {
    kernel.make("waker", [&] {
      Sim::spend(at(2000) - S::now());
      for (size_t j = 0; j < kWakes; ++j) S::wake(kernel.threads[j]);
    });
  }
  kernel.on_finish = [&](auto& thread) {
    if (&thread != &masked) return;
    uint64_t kicks = 0;
    for (CpuNumber cpu = 1; cpu < 4; ++cpu) kicks += S::usage(kernel.cpu(cpu)).kicks;
    EXPECT_EQ(kicks, 1u);
  };
  kernel.boot([&] {
    for (size_t i = 0; i <= kWakes; ++i) kernel.spawn(kernel.threads[i]);
    for (size_t i = 0; i < 3; ++i) {
      kernel.spawn_on(static_cast<CpuNumber>(i + 1), kernel.threads[kWakes + 1 + i]);
    }
  });
  Invariants invariants(kernel);
  kernel.finish();
}

// The task of the highest priority is made ready, and none of eight CPUs that run less urgent ones
// comes to know of it.
TEST(Elsewhere, TheHighestPriorityNeverRunsOnEightCpus) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    static constexpr uint64_t kPeriod = 200;
    K kernel({.cpus = 8, .seed = seed, .interleave = 3, .find_races = true});
    std::vector<S::Balancer> balancers(8);
    uint64_t woken = 0;
    uint64_t latest = 0;
    auto& highest = kernel.make("highest",
                                [&] {
                                  for (int round = 0; round < 20; ++round) {
                                    S::park();
                                    latest = std::max(latest, S::now().ticks - woken);
                                  }
                                },
                                {.priority = 9});
    for (CpuNumber cpu = 0; cpu < 8; ++cpu) {
      kernel.make("low",
                  [&, cpu] {
                    S::balance(balancers[cpu], ticks(kPeriod));
                    if (cpu == 0) {
                      kernel.spawn_in({.floats = true}, highest);
                      for (int round = 0; round < 20; ++round) {
                        Sim::spend(ticks(300));
                        woken = S::now().ticks;
                        S::wake(highest);
                      }
                    }
                    Sim::spend(ticks(10'000));
                  },
                  {.priority = static_cast<uint16_t>(cpu == 0 ? 8 : 1)});
    }
    kernel.boot([&] {
      for (CpuNumber cpu = 0; cpu < 8; ++cpu) kernel.spawn_on(cpu, kernel.threads[1 + cpu]);
    });
    Invariants invariants(kernel);
    kernel.finish();
    EXPECT_LE(latest, 2 * kPeriod);
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

// CPUs idle while tasks wait for one: those that wake on a busy one stay there because it was
// theirs (J.-P. Lozi et al., "The Linux Scheduler: a Decade of Wasted Cores", EuroSys 2016).
TEST(Elsewhere, CoresIdleWhileWorkWaits) {
  static constexpr uint64_t kPeriod = 100;
  static constexpr uint64_t kWork = 1000;
  static constexpr size_t kTasks = 3;  // and one CPU more, for the waker
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    K kernel({.cpus = kTasks + 1, .seed = seed, .interleave = 3, .find_races = true});
    std::vector<S::Balancer> balancers(kTasks + 1);
    uint64_t woken = 0;
    uint64_t latest = 0;
    for (size_t i = 0; i < kTasks; ++i) {
      kernel.make("task", [&] {
        S::park();
        Sim::spend(ticks(kWork));
        latest = std::max(latest, S::now().ticks - woken);
      });
    }
    auto& waker = kernel.make("waker",
                              [&] {
                                // All begin on one CPU, one after the other.
                                for (size_t i = 0; i < kTasks; ++i) {
                                  kernel.spawn_in({.cpus = {1}, .floats = true}, kernel.threads[i]);
                                  S::sleep_for(ticks(200));
                                  S::set_affinity(kernel.threads[i], S::CpuSet::all());
                                }
                                woken = S::now().ticks;
                                for (size_t i = 0; i < kTasks; ++i) S::wake(kernel.threads[i]);
                              },
                              {.priority = 9});
    kernel.boot([&] {
      for (CpuNumber cpu = 0; cpu <= kTasks; ++cpu) {
        auto& first =
            kernel.make("first", [&, cpu] { S::balance(balancers[cpu], ticks(kPeriod)); });
        kernel.spawn_on(cpu, first);
      }
      kernel.spawn(waker);
    });
    Invariants invariants(kernel);
    kernel.finish();
    EXPECT_LE(latest, kWork + 2 * kPeriod);
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

// What is asked of the current task is asked of the idle task, which happens to be that: it is sent
// to another CPU, put to sleep or ended, and its own CPU has nothing left to run.
TEST(Elsewhere, TheIdleTaskIsTakenForATask) {
  K kernel({.cpus = 2});
  auto& after = kernel.make("after", [] { EXPECT_EQ(S::here().number, 1); });
  auto& waker = kernel.make("waker", [&] {
    S::sleep_until(at(3000));
    kernel.spawn_on(1, after);
  });
  kernel.on_device = [&](uint32_t, S::Interrupt&) {
    auto& idle = S::current();
    EXPECT_EQ(&idle, &kernel.cpu(1).idle());
    EXPECT_FALSE(S::set_affinity(idle, {0}));
    EXPECT_FALSE(S::retune(idle, {.priority = 9}));
    EXPECT_FALSE(S::suspend(idle));
    EXPECT_FALSE(S::resume(idle));
    S::wake(idle);
    S::cancel_wait(idle);
    S::kill(idle);
    EXPECT_FALSE(idle.kill_requested());
    EXPECT_EQ(S::usage(S::here()).stale, 3u);
  };
  kernel.boot_with(waker);
  kernel.world.raise_at(1, 1, at(2000));
  Invariants invariants(kernel);
  kernel.finish();
}

}  // namespace
}  // namespace sched::test
