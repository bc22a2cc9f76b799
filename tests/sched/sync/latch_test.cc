// The latch: counting, order, and every way in which a wait ends.

#include "sched/sync/latch.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

TEST(Latch, CountsDownToZeroAndNoFurther) {
  Latch<S> latch(5);
  EXPECT_FALSE(latch.try_wait());
  EXPECT_TRUE(latch.count_down());
  EXPECT_FALSE(latch.count_down(5));
  EXPECT_EQ(latch.count(), 4u);
  EXPECT_TRUE(latch.count_down(4));
  EXPECT_TRUE(latch.try_wait());
  EXPECT_TRUE(latch.count_down(0));
  EXPECT_FALSE(latch.count_down());
  EXPECT_TRUE(latch.try_wait());
  EXPECT_TRUE(Latch<S>(0).try_wait());
}

TEST(Latch, LetsAllPassInOrderAndNobodyWaitAfterwards) {
  K kernel;
  Latch<S> latch(2);
  const auto waiter = [&](std::string name) {
    return [&kernel, &latch, name] {
      EXPECT_EQ(latch.wait(), Waited::done);
      kernel.log(name);
    };
  };
  std::vector<K::Thread*> tasks{
      &kernel.make("low", waiter("low"), {.priority = 3}),
      &kernel.make("first", waiter("first"), {.priority = 5}),
      &kernel.make("second", waiter("second"), {.priority = 5}),
      &kernel.make("arrives",
                   [&] {
                     EXPECT_EQ(latch.arrive_and_wait(), Waited::done);
                     kernel.log("arrived");
                   },
                   {.priority = 6}),
      &kernel.make("counter",
                   [&] {
                     EXPECT_EQ(latch.count(), 1u);
                     EXPECT_TRUE(latch.count_down());
                     kernel.log("counted");
                     EXPECT_EQ(latch.wait(), Waited::done);
                   },
                   {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"arrived", "first", "second", "low", "counted"}));
}

TEST(Latch, ChangesTheOrderWithTheAttributesOfWhoWaits) {
  K kernel;
  Latch<S> latch(1);
  const auto waiter = [&](std::string name) {
    return [&kernel, &latch, name] {
      EXPECT_EQ(latch.wait(), Waited::done);
      kernel.log(name);
    };
  };
  auto& a = kernel.make("a", waiter("a"), {.priority = 3});
  auto& b = kernel.make("b", waiter("b"), {.priority = 5});
  auto& counter = kernel.make("counter",
                              [&] {
                                EXPECT_TRUE(S::retune(a, {.priority = 5}));
                                EXPECT_TRUE(S::retune(b, {.priority = 3}));
                                latch.count_down();
                              },
                              {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&a, &b, &counter}) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(Latch, WakesAllBeforeAnyoneRunsWhoIsLessUrgentThanThey) {
  K kernel;
  Latch<S> latch(1);
  auto& between = kernel.make("between", [&] { kernel.log("between"); }, {.priority = 4});
  std::vector<K::Thread*> tasks{
      &kernel.make("a",
                   [&] {
                     EXPECT_EQ(latch.wait(), Waited::done);
                     kernel.spawn(between);
                   },
                   {.priority = 9}),
      &kernel.make("b",
                   [&] {
                     EXPECT_EQ(latch.wait(), Waited::done);
                     kernel.log("b");
                   },
                   {.priority = 5}),
      &kernel.make("counter", [&] { latch.count_down(); }, {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"b", "between"}));
}

TEST(Latch, IsWaitedForNoLongerThanItIsTold) {
  K kernel;
  Latch<S> latch(2);
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(latch.wait_until(at(500)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(500));
    EXPECT_EQ(latch.wait_until(at(500)), Waited::timed_out);
    EXPECT_EQ(latch.arrive_and_wait_for(ticks(100)), Waited::timed_out);
    EXPECT_EQ(S::now(), at(600));
    EXPECT_EQ(latch.count(), 1u);  // it has arrived all the same
    EXPECT_EQ(latch.arrive_and_wait(), Waited::done);
    EXPECT_EQ(latch.wait_for(ticks(0)), Waited::done);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(Latch, LetsGoWhoIsCancelledOrKilled) {
  K kernel;
  Latch<S> latch(2);
  auto& waits = kernel.make("waits",
                            [&] {
                              EXPECT_EQ(latch.wait(), Waited::cancelled);
                              EXPECT_EQ(latch.arrive_and_wait(), Waited::killed);
                              EXPECT_EQ(latch.wait_for(ticks(100)), Waited::killed);
                            },
                            {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              S::cancel_wait(waits);
                              S::kill(waits);
                              EXPECT_EQ(latch.count(), 1u);
                              EXPECT_TRUE(latch.count_down());
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  kernel.finish();
}

TEST(Latch, IsCountedDownByInterrupts) {
  K kernel;
  Latch<S> latch(2);
  std::vector<K::Thread*> tasks;
  for (const char* name : {"a", "b"}) {
    tasks.push_back(&kernel.make(name, [&] {
      EXPECT_EQ(latch.wait(), Waited::done);
      EXPECT_EQ(S::now(), at(800));
    }));
  }
  kernel.on_device = [&](uint32_t, S::Interrupt&) { EXPECT_TRUE(latch.count_down()); };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.world.raise_at(0, 1, at(700));
  kernel.world.raise_at(0, 1, at(800));
  kernel.finish();
}

// Somebody suspends who counts it down, at any instant: either it is closed still, or nobody waits.
TEST(Latch, IsNotLeftHalfOpenByASuspendedTask) {
  int closed = 0;
  int opened = 0;
  for (uint64_t when = 2000; when < 2100; ++when) {
    SCOPED_TRACE(when);
    K kernel({.call_cost = ticks(1)});
    Latch<S> latch(1);
    int passed = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(&kernel.make("waiter",
                                   [&] {
                                     EXPECT_EQ(latch.wait(), Waited::done);
                                     ++passed;
                                   },
                                   {.priority = 1}));
    }
    auto& opener = kernel.make("opener",
                               [&] {
                                 S::sleep_until(at(2000));
                                 EXPECT_TRUE(latch.count_down());
                               },
                               {.priority = 2});
    auto& watcher = kernel.make("watcher",
                                [&] {
                                  S::sleep_until(at(5000));
                                  EXPECT_EQ(passed, latch.try_wait() ? 3 : 0);
                                  ++(latch.try_wait() ? opened : closed);
                                  S::resume(opener);
                                },
                                {.priority = 3});
    kernel.on_device = [&](uint32_t, S::Interrupt&) { S::suspend(opener); };
    kernel.boot([&] {
      for (auto* task : tasks) kernel.spawn(*task);
      kernel.spawn(opener);
      kernel.spawn(watcher);
    });
    kernel.world.raise_at(0, 1, at(when));
    kernel.finish();
  }
  EXPECT_GT(closed, 0);
  EXPECT_GT(opened, 0);
}

TEST(Latch, OfManyCpusOpensForAllAndNotTooEarly) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Latch<S> latch(8);
    std::atomic<int> counted = 0;
    int passed = 0;
    int timeouts = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 4; ++i) {
      tasks.push_back(&kernel.make("waiter",
                                   [&] {
                                     while (latch.wait_for(ticks(60)) == Waited::timed_out) {
                                       ++timeouts;
                                     }
                                     EXPECT_EQ(counted, 8);
                                     ++passed;
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make("counter",
                                   [&] {
                                     ++counted;
                                     EXPECT_TRUE(latch.count_down());
                                     hal::sim::Machine::spend(ticks(100));
                                     ++counted;
                                     EXPECT_EQ(latch.arrive_and_wait(), Waited::done);
                                     EXPECT_EQ(counted, 8);
                                     ++passed;
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    kernel.finish();
    EXPECT_EQ(passed, 8);
  }
}

static_assert(sizeof(Latch<S>) == 32);

}  // namespace
}  // namespace sched::test
