// The barrier: rounds, who is the last, and every way in which a wait ends.

#include "sched/sync/barrier.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

constexpr BarrierPassed kReleased{Waited::done, false};
constexpr BarrierPassed kReleases{Waited::done, true};

TEST(Barrier, ReleasesAllInOrderWhenTheLastArrivesRoundAfterRound) {
  K kernel;
  Barrier<S> barrier(4);
  const auto comer = [&](std::string name, BarrierPassed passed) {
    return [&kernel, &barrier, name, passed] {
      for (int round = 1; round <= 2; ++round) {
        EXPECT_EQ(barrier.arrive_and_wait(), passed);
        kernel.log(name + std::to_string(round));
      }
    };
  };
  std::vector<K::Thread*> tasks{
      &kernel.make("low", comer("low", kReleased), {.priority = 3}),
      &kernel.make("first", comer("first", kReleased), {.priority = 5}),
      &kernel.make("second", comer("second", kReleased), {.priority = 5}),
      &kernel.make("last", comer("last", kReleases), {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"first1", "second1", "low1", "last1",  //
                                 "first2", "second2", "low2", "last2"}));
}

TEST(Barrier, OfOneIsAlwaysPassed) {
  K kernel;
  Barrier<S> barrier(1);
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(barrier.arrive_and_wait(), kReleases);
    EXPECT_EQ(barrier.arrive_and_wait_until(at(0)), kReleases);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(Barrier, ChangesTheOrderWithTheAttributesOfWhoWaits) {
  K kernel;
  Barrier<S> barrier(3);
  const auto comer = [&](std::string name) {
    return [&kernel, &barrier, name] {
      EXPECT_EQ(barrier.arrive_and_wait(), kReleased);
      kernel.log(name);
    };
  };
  auto& a = kernel.make("a", comer("a"), {.priority = 3});
  auto& b = kernel.make("b", comer("b"), {.priority = 5});
  auto& last = kernel.make("last",
                           [&] {
                             EXPECT_TRUE(S::retune(a, {.priority = 5}));
                             EXPECT_TRUE(S::retune(b, {.priority = 3}));
                             EXPECT_EQ(barrier.arrive_and_wait(), kReleases);
                           },
                           {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&a, &b, &last}) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(Barrier, DoesNotCountWhoHasGivenUp) {
  K kernel;
  Barrier<S> barrier(2);
  auto& fickle = kernel.make(
      "fickle",
      [&] {
        EXPECT_EQ(barrier.arrive_and_wait_until(at(500)),
                  (BarrierPassed{Waited::timed_out, false}));
        EXPECT_EQ(S::now(), at(500));
        EXPECT_EQ(barrier.arrive_and_wait_until(at(500)),
                  (BarrierPassed{Waited::timed_out, false}));
        EXPECT_EQ(barrier.arrive_and_wait(), (BarrierPassed{Waited::cancelled, false}));
        EXPECT_EQ(barrier.arrive_and_wait_for(ticks(900)), (BarrierPassed{Waited::killed, false}));
        EXPECT_EQ(barrier.arrive_and_wait(), (BarrierPassed{Waited::killed, false}));
      },
      {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              EXPECT_EQ(S::sleep_until(at(600)), Waited::timed_out);
                              S::cancel_wait(fickle);
                              S::kill(fickle);
                              EXPECT_EQ(barrier.arrive_and_wait_for(ticks(100)),
                                        (BarrierPassed{Waited::timed_out, false}));
                              EXPECT_EQ(S::now(), at(700));
                            },
                            {.priority = 1});
  kernel.boot_with(fickle, other);
  kernel.finish();
}

// The last one arrives, and while it wakes the others an interrupt kills one, at any instant:
// either its arrival was taken back before, or it has passed.
TEST(Barrier, CountsWhoIsKilledOnceItsRoundIsOver) {
  int passed = 0;
  int killed = 0;
  for (uint64_t when = 2000; when < 2200; ++when) {
    SCOPED_TRACE(when);
    K kernel({.call_cost = ticks(1)});
    Barrier<S> barrier(8);
    std::vector<K::Thread*> tasks;
    int released = 0;
    for (uint16_t i = 0; i < 7; ++i) {
      tasks.push_back(&kernel.make("comer",
                                   [&] {
                                     const BarrierPassed how = barrier.arrive_and_wait();
                                     if (how == kReleased) ++released;
                                     if (how.waited == Waited::killed) ++killed;
                                   },
                                   {.priority = static_cast<uint16_t>(5 + i)}));
    }
    tasks.push_back(&kernel.make("last",
                                 [&] {
                                   S::sleep_until(at(2000));
                                   const BarrierPassed how =
                                       barrier.arrive_and_wait_until(at(10'000));
                                   if (how == kReleases) {
                                     EXPECT_EQ(released, 7);
                                     ++passed;
                                   } else {
                                     EXPECT_EQ(how.waited, Waited::timed_out);
                                     for (auto* task : tasks) S::cancel_wait(*task);
                                   }
                                 },
                                 {.priority = 1}));
    kernel.on_device = [&](uint32_t, S::Interrupt&) { S::kill(*tasks[0]); };
    kernel.boot([&] {
      for (auto* task : tasks) kernel.spawn(*task);
    });
    kernel.world.raise_at(0, 1, at(when));
    kernel.finish();
  }
  EXPECT_GT(passed, 0);
  EXPECT_GT(killed, 0);
}

TEST(Barrier, OfManyCpusReleasesWholeRounds) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    constexpr int kTasks = 5;
    constexpr int kRounds = 6;
    Barrier<S> barrier(kTasks);
    int last = 0;
    int rounds[kTasks] = {};
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < kTasks; ++i) {
      tasks.push_back(&kernel.make("comer",
                                   [&, i] {
                                     for (int n = 0; n < kRounds; ++n) {
                                       BarrierPassed how;
                                       do {
                                         how = barrier.arrive_and_wait_for(ticks(150));
                                       } while (how.waited == Waited::timed_out);
                                       if (how.is_last) ++last;
                                       ++rounds[i];
                                       const auto [least, most] =
                                           std::minmax_element(rounds, rounds + kTasks);
                                       EXPECT_LE(*most - *least, 1);
                                       hal::sim::Machine::spend(ticks(30));
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    kernel.finish();
    EXPECT_EQ(last, kRounds);
  }
}

// Twice as many tasks as a round takes: a round may be over before the one before has all gone.
TEST(Barrier, OfManyCpusLetsRoundsOverlap) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Barrier<S> barrier(3);
    int last = 0;
    int passed = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(&kernel.make("comer",
                                   [&] {
                                     for (int n = 0; n < 5; ++n) {
                                       const BarrierPassed how =
                                           barrier.arrive_and_wait_for(ticks(400));
                                       if (how.waited == Waited::done) ++passed;
                                       if (how.is_last) ++last;
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    kernel.finish();
    EXPECT_EQ(passed, 3 * last);
    EXPECT_GT(last, 0);
  }
}

static_assert(sizeof(Barrier<S>) == 56);

}  // namespace
}  // namespace sched::test
