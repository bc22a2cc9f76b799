// The semaphore: permits, order, and every way in which a wait ends.

#include "sched/sync/semaphore.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

// Takes a permit, and writes down when it has it.
K::Thread& make_taker(K& kernel, Semaphore<S>& semaphore, const std::string& name,
                      uint16_t priority) {
  return kernel.make(name,
                     [&kernel, &semaphore, name] {
                       EXPECT_EQ(semaphore.take(), Waited::done);
                       kernel.log(name);
                     },
                     {.priority = priority});
}

TEST(Semaphore, CountsPermitsUpToTheMost) {
  Semaphore<S> semaphore(1, 2);
  EXPECT_TRUE(semaphore.try_take());
  EXPECT_FALSE(semaphore.try_take());
  EXPECT_TRUE(semaphore.give());
  EXPECT_TRUE(semaphore.give());
  EXPECT_FALSE(semaphore.give());
  EXPECT_EQ(semaphore.permits(), 2);
}

TEST(Semaphore, ServesTheMostUrgentFirstAndEqualsAsTheyCame) {
  K kernel;
  Semaphore<S> semaphore;
  auto& low = make_taker(kernel, semaphore, "low", 3);
  auto& first = make_taker(kernel, semaphore, "first", 5);
  auto& second = make_taker(kernel, semaphore, "second", 5);
  auto& giver = kernel.make("giver",
                            [&] {
                              for (int i = 0; i < 3; ++i) EXPECT_TRUE(semaphore.give());
                              EXPECT_EQ(semaphore.permits(), 0);
                            },
                            {.priority = 1});
  kernel.boot_with(low, first, second, giver);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"first", "second", "low"}));
}

TEST(Semaphore, ChangesTheOrderWithTheAttributesOfWhoWaits) {
  K kernel;
  Semaphore<S> semaphore;
  auto& a = make_taker(kernel, semaphore, "a", 3);
  auto& b = make_taker(kernel, semaphore, "b", 5);
  auto& giver = kernel.make("giver",
                            [&] {
                              EXPECT_TRUE(S::retune(a, {.priority = 9}));
                              semaphore.give();
                              semaphore.give();
                            },
                            {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&a, &b, &giver}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(Semaphore, WaitsNoLongerThanItIsTold) {
  K kernel;
  Semaphore<S> semaphore;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(semaphore.take_until(at(500)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(500));
    EXPECT_EQ(semaphore.take_until(at(500)), Waited::timed_out);
    EXPECT_TRUE(semaphore.give());
    EXPECT_EQ(semaphore.permits(), 1);
    EXPECT_EQ(semaphore.take_for(ticks(10)), Waited::done);
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Semaphore, CanBeCancelledAndKilledButKeepsThePermits) {
  K kernel;
  Semaphore<S> semaphore;
  auto& waits = kernel.make("waits",
                            [&] {
                              EXPECT_EQ(semaphore.take(), Waited::cancelled);
                              EXPECT_EQ(semaphore.take(), Waited::killed);
                              EXPECT_EQ(semaphore.take_for(ticks(100)), Waited::killed);
                            },
                            {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              S::cancel_wait(waits);
                              S::kill(waits);
                              EXPECT_TRUE(semaphore.give());
                              EXPECT_EQ(semaphore.permits(), 1);
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// A wake that has nothing for it makes it ready for a moment, in which it waits all the same.
TEST(Semaphore, CanBeCancelledThoughAnAlienWakeHasJustComeForTheTask) {
  K kernel;
  Semaphore<S> semaphore;
  auto& waits = kernel.make("waits",
                            [&] {
                              EXPECT_EQ(semaphore.take(), Waited::cancelled);
                              EXPECT_EQ(semaphore.take_for(ticks(1000)), Waited::cancelled);
                              EXPECT_EQ(S::sleep_for(ticks(1000)), Waited::cancelled);
                              EXPECT_EQ(S::now(), at(10));
                            },
                            {.priority = 1});
  auto& other = kernel.make("other",
                            [&] {
                              for (int i = 0; i < 3; ++i) {
                                S::wake(waits);
                                S::cancel_wait(waits);
                                S::cancel_wait(waits);  // one is enough
                                S::retune(S::current(), {.priority = 0});
                                S::retune(S::current(), {.priority = 2});
                              }
                            },
                            {.priority = 2});
  kernel.boot([&] {
    kernel.spawn(waits);
    kernel.spawn(other);
    S::retune(other, {.priority = 0});
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(waits.finishes, 1);
}

TEST(Semaphore, IsGivenByAnInterrupt) {
  K kernel;
  Semaphore<S> semaphore;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(semaphore.take(), Waited::done);
    EXPECT_EQ(S::now(), at(700));
  });
  kernel.on_device = [&](uint32_t, S::Interrupt&) { EXPECT_TRUE(semaphore.give()); };
  kernel.boot_with(task);
  kernel.world.raise_at(0, 1, at(700));
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Semaphore, OfManyCpusLosesNoPermit) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Semaphore<S> semaphore;
    int taken = 0;
    int timeouts = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 4; ++i) {
      tasks.push_back(&kernel.make("taker",
                                   [&] {
                                     for (int n = 0; n < 5; ++n) {
                                       if (semaphore.take_for(ticks(200)) == Waited::done) {
                                         ++taken;
                                       } else {
                                         ++timeouts;
                                       }
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make("giver",
                                   [&] {
                                     for (int n = 0; n < 5; ++n) {
                                       EXPECT_TRUE(semaphore.give());
                                       hal::sim::Machine::spend(ticks(30));
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(taken + timeouts, 20);
    EXPECT_EQ(taken + semaphore.permits(), 20);
  }
}

static_assert(sizeof(Semaphore<S>) == 32);

}  // namespace
}  // namespace sched::test
