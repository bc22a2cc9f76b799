// Event flags: any and all, keep and clear, order, and every way in which a wait ends.

#include "sched/sync/event_flags.h"

#include <bit>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using enum FlagMatch;
using enum FlagUse;
using K = Kernel<FixedPriority>;
using S = K::S;

constexpr FlagsWaited done(uint32_t flags) { return {Waited::done, flags}; }

TEST(EventFlags, AreTakenWithoutWaitingIfTheySuffice) {
  EventFlags<S> flags(0b0011);
  EXPECT_EQ(flags.try_wait(0b0110, all, clear), 0u);
  EXPECT_EQ(flags.try_wait(0b0110, any, keep), 0b0010u);
  EXPECT_EQ(flags.flags(), 0b0011u);
  EXPECT_EQ(flags.try_wait(0b0110, any, clear), 0b0010u);
  EXPECT_EQ(flags.flags(), 0b0001u);
  flags.set(0b1000'0010);
  EXPECT_EQ(flags.try_wait(0b0011, all, keep), 0b0011u);
  EXPECT_EQ(flags.try_wait(0b0011, all, clear), 0b0011u);
  EXPECT_EQ(flags.clear(0b1000'0001), 0b1000'0000u);
  EXPECT_EQ(flags.flags(), 0u);
  flags.set(0xffff'ffff);
  EXPECT_EQ(flags.try_wait(0xffff'ffff, all, clear), 0xffff'ffffu);
  EXPECT_EQ(flags.try_wait(0, any, keep), 0u);
  EXPECT_EQ(flags.try_wait(0, all, keep), 0u);
}

TEST(EventFlags, OfWhichNoneAreWantedStopTheMachine) {
  K kernel;
  EventFlags<S> flags;
  auto& task = kernel.make("task", [&] { flags.wait(0, all, keep); });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), (Panic{"waiting for no event flag", "task"}));
}

TEST(EventFlags, EndTheWaitsOfAllWhomTheySatisfyInOrder) {
  K kernel;
  EventFlags<S> flags;
  const auto waiter = [&](std::string name, uint32_t wanted, FlagMatch match, uint32_t found) {
    return [&kernel, &flags, name, wanted, match, found] {
      EXPECT_EQ(flags.wait(wanted, match, keep), done(found));
      kernel.log(name);
    };
  };
  std::vector<K::Thread*> tasks{
      &kernel.make("low", waiter("low", 0b001, any, 0b001), {.priority = 3}),
      &kernel.make("first", waiter("first", 0b011, any, 0b001), {.priority = 5}),
      &kernel.make("all", waiter("all", 0b011, all, 0b011), {.priority = 7}),
      &kernel.make("second", waiter("second", 0b101, all, 0b101), {.priority = 5}),
      &kernel.make("setter",
                   [&] {
                     flags.set(0b101);
                     kernel.log("set");
                     flags.set(0b010);
                   },
                   {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"first", "second", "low", "set", "all"}));
  EXPECT_EQ(flags.flags(), 0b111u);
}

TEST(EventFlags, ThatAreClearedBySomeoneAreGoneForWhoComesAfterIt) {
  K kernel;
  EventFlags<S> flags;
  const auto waiter = [&](std::string name, FlagUse use) {
    return [&kernel, &flags, name, use] {
      EXPECT_EQ(flags.wait(0b11, any, use), done(0b01));
      kernel.log(name);
    };
  };
  std::vector<K::Thread*> tasks{
      &kernel.make("fourth", waiter("fourth", keep), {.priority = 2}),
      &kernel.make("third", waiter("third", clear), {.priority = 3}),
      &kernel.make("second", waiter("second", clear), {.priority = 4}),
      &kernel.make("first", waiter("first", keep), {.priority = 5}),
      &kernel.make("setter",
                   [&] {
                     for (int i = 0; i < 3; ++i) {
                       flags.set(0b01);
                       kernel.log("set");
                     }
                   },
                   {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"first", "second", "set", "third", "set", "fourth", "set"}));
  EXPECT_EQ(flags.flags(), 0b01u);
}

TEST(EventFlags, WakeAllBeforeAnyoneRunsWhoIsLessUrgentThanThey) {
  K kernel;
  EventFlags<S> flags;
  const auto waiter = [&](std::string name) {
    return [&kernel, &flags, name] {
      EXPECT_EQ(flags.wait(1, any, keep), done(1));
      kernel.log(name);
    };
  };
  auto& between = kernel.make("between", [&] { kernel.log("between"); }, {.priority = 4});
  std::vector<K::Thread*> tasks{
      &kernel.make("a",
                   [&] {
                     EXPECT_EQ(flags.wait(1, any, keep), done(1));
                     kernel.log("a");
                     kernel.spawn(between);
                   },
                   {.priority = 9}),
      &kernel.make("b", waiter("b"), {.priority = 8}),
      &kernel.make("c", waiter("c"), {.priority = 5}),
      &kernel.make("setter", [&] { flags.set(1); }, {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a", "b", "c", "between"}));
}

TEST(EventFlags, AreSeenInTheOrderOfTheAttributesOfWhoWaits) {
  K kernel;
  EventFlags<S> flags;
  const auto waiter = [&](std::string name) {
    return [&kernel, &flags, name] {
      EXPECT_EQ(flags.wait(1, any, clear), done(1));
      kernel.log(name);
    };
  };
  auto& a = kernel.make("a", waiter("a"), {.priority = 3});
  auto& b = kernel.make("b", waiter("b"), {.priority = 5});
  auto& setter = kernel.make("setter",
                             [&] {
                               EXPECT_TRUE(S::retune(a, {.priority = 9}));
                               flags.set(1);
                               flags.set(1);
                             },
                             {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&a, &b, &setter}) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(EventFlags, AreWaitedForNoLongerThanItIsTold) {
  K kernel;
  EventFlags<S> flags;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(flags.wait_until(2, any, clear, at(500)), (FlagsWaited{Waited::timed_out, 0}));
    EXPECT_EQ(S::now(), at(500));
    EXPECT_EQ(flags.wait_until(2, any, clear, at(500)), (FlagsWaited{Waited::timed_out, 0}));
    flags.set(3);
    EXPECT_EQ(flags.flags(), 3u);
    EXPECT_EQ(flags.wait_for(2, any, clear, ticks(10)), done(2));
    EXPECT_EQ(flags.flags(), 1u);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(EventFlags, StayWhereAWaitIsCancelledOrKilled) {
  K kernel;
  EventFlags<S> flags;
  auto& waits =
      kernel.make("waits",
                  [&] {
                    EXPECT_EQ(flags.wait(1, all, clear).waited, Waited::cancelled);
                    EXPECT_EQ(flags.wait(1, all, clear).waited, Waited::killed);
                    EXPECT_EQ(flags.wait_for(1, all, clear, ticks(9)).waited, Waited::killed);
                  },
                  {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              S::cancel_wait(waits);
                              S::kill(waits);
                              flags.set(1);
                              EXPECT_EQ(flags.flags(), 1u);
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  kernel.finish();
}

TEST(EventFlags, AreSetByAnInterrupt) {
  K kernel;
  EventFlags<S> flags;
  std::vector<K::Thread*> tasks;
  for (const char* name : {"a", "b"}) {
    tasks.push_back(&kernel.make(name, [&] {
      EXPECT_EQ(flags.wait(4, all, keep), done(4));
      EXPECT_EQ(S::now(), at(700));
    }));
  }
  kernel.on_device = [&](uint32_t, S::Interrupt&) { flags.set(4); };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.world.raise_at(0, 1, at(700));
  kernel.finish();
  EXPECT_EQ(flags.flags(), 4u);
}

// More waiters than one masked step looks at, and an interrupt between two of the steps that moves
// one from behind the place where the sweep goes on to before it.
TEST(EventFlags, ReachThoseWhoMoveWhileTheyAreGoneThrough) {
  for (uint64_t when = 2000; when < 2400; ++when) {
    SCOPED_TRACE(when);
    K kernel({.call_cost = ticks(1)});
    EventFlags<S> flags;
    std::vector<K::Thread*> tasks;
    int woken = 0;
    for (uint16_t i = 0; i < 12; ++i) {
      tasks.push_back(&kernel.make("waiter",
                                   [&flags, &woken, i] {
                                     const uint32_t wanted = i < 2 ? 1 : 2;
                                     EXPECT_EQ(flags.wait(wanted, any, keep), done(wanted));
                                     ++woken;
                                   },
                                   {.priority = static_cast<uint16_t>(5 + i)}));
    }
    tasks.push_back(&kernel.make("setter",
                                 [&] {
                                   S::sleep_until(at(2000));
                                   flags.set(1);
                                   EXPECT_EQ(woken, 2);
                                   flags.set(2);
                                 },
                                 {.priority = 1}));
    kernel.on_device = [&](uint32_t, S::Interrupt&) { S::retune(*tasks[0], {.priority = 40}); };
    kernel.boot([&] {
      for (auto* task : tasks) kernel.spawn(*task);
    });
    kernel.world.raise_at(0, 1, at(when));
    kernel.finish();
    EXPECT_EQ(woken, 12);
  }
}

// While a `set` is on its way to somebody at the end of the queue, an interrupt and a task of
// another CPU want the same, at any instant.
TEST(EventFlags, AreNotTakenFromWhoWaitsByWhoComesLater) {
  for (uint64_t when = 2000; when < 2300; ++when) {
    SCOPED_TRACE(when);
    K kernel({.call_cost = ticks(1)});
    EventFlags<S> flags;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 10; ++i) {
      tasks.push_back(&kernel.make("other", [&] { EXPECT_EQ(flags.wait(2, any, keep), done(2)); },
                                   {.priority = 5}));
    }
    tasks.push_back(&kernel.make("waiter", [&] { EXPECT_EQ(flags.wait(1, any, clear), done(1)); },
                                 {.priority = 3}));
    tasks.push_back(&kernel.make("setter",
                                 [&] {
                                   S::sleep_until(at(2000));
                                   flags.set(1);
                                   EXPECT_EQ(S::state(*tasks[10]), State::finished);
                                   flags.set(2);
                                 },
                                 {.priority = 1}));
    kernel.on_device = [&](uint32_t, S::Interrupt&) {
      EXPECT_EQ(flags.try_wait(1, any, clear), 0u);
    };
    kernel.boot([&] {
      for (auto* task : tasks) kernel.spawn(*task);
    });
    kernel.world.raise_at(0, 1, at(when));
    kernel.finish();
    EXPECT_EQ(flags.flags(), 2u);
  }
}

TEST(EventFlags, AreFoundByWhoComesWhileOthersAreServed) {
  for (uint64_t when = 2000; when < 2300; ++when) {
    SCOPED_TRACE(when);
    K kernel({.cpus = 2, .call_cost = ticks(1)});
    EventFlags<S> flags;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 10; ++i) {
      tasks.push_back(&kernel.make("other", [&] { EXPECT_EQ(flags.wait(2, any, keep), done(2)); },
                                   {.priority = 5}));
    }
    tasks.push_back(&kernel.make("waiter", [&] { EXPECT_EQ(flags.wait(1, any, keep), done(1)); },
                                 {.priority = 3}));
    tasks.push_back(&kernel.make("setter",
                                 [&] {
                                   S::sleep_until(at(2000));
                                   flags.set(1);
                                 },
                                 {.priority = 1}));
    auto& late = kernel.make("late", [&] {
      S::sleep_until(at(when));
      EXPECT_EQ(flags.wait(1, any, clear), done(1));
      flags.set(2);
    });
    kernel.boot([&] {
      for (auto* task : tasks) kernel.spawn(*task);
      kernel.spawn_on(1, late);
    });
    kernel.finish();
    EXPECT_EQ(flags.flags(), 2u);
  }
}

TEST(EventFlags, OfManyCpusLoseNothing) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    EventFlags<S> flags;
    // Each setter has two flags of its own, and sets one again only when it has been taken.
    int set = 0;
    int taken = 0;
    int timeouts = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(&kernel.make("taker",
                                   [&] {
                                     for (int n = 0; n < 6; ++n) {
                                       const auto found =
                                           flags.wait_for(0x3f, any, clear, ticks(300));
                                       taken += std::popcount(found.flags);
                                       if (found.waited != Waited::done) ++timeouts;
                                       EXPECT_EQ(found.waited == Waited::done, found.flags != 0);
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make("setter",
                                   [&, i] {
                                     for (int n = 0; n < 6; ++n) {
                                       const uint32_t flag = 1u << (2 * i + n % 2);
                                       if ((flags.flags() & flag) == 0) {
                                         ++set;
                                         flags.set(flag);
                                       }
                                       hal::sim::Machine::spend(ticks(30));
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>((i + i / 3) % 3), *tasks[i]);
    });
    kernel.finish();
    EXPECT_EQ(taken + std::popcount(flags.flags()), set);
    EXPECT_GT(taken, 0);
  }
}

static_assert(sizeof(EventFlags<S>) == 56);

}  // namespace
}  // namespace sched::test
