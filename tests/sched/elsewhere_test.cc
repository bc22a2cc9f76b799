// Faults that other kernels have had, by name: each of these tests would find one of them here.
// More of this suite are beside the primitives (tests/sched/sync) and policies that they are about.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/time/periodic.h"
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
  kernel.boot([&] {
    kernel.spawn(noise);
    kernel.spawn(task);
  });
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
    kernel.boot([&] { kernel.spawn(parent); });
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
    kernel.boot([&] { kernel.spawn(task); });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(task.finishes, 1);
  }
}

}  // namespace
}  // namespace sched::test
