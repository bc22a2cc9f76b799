// Once: who tries, who waits, and what happens when a try fails or ends with its task.

#include "sched/sync/once.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

TEST(Once, IsDoneByTheFirstAndByNobodyAfterwards) {
  K kernel;
  Once<S> once;
  int calls = 0;
  auto& task = kernel.make("task", [&] {
    EXPECT_FALSE(once.is_done());
    EXPECT_EQ(once.call([&] { ++calls; }), Called::done);
    EXPECT_TRUE(once.is_done());
    EXPECT_EQ(once.call([&] { ++calls; }), Called::done);
    EXPECT_EQ(once.try_call([&] { ++calls; }), Called::done);
    EXPECT_EQ(once.call_for(ticks(0), [&] { ++calls; }), Called::done);
  });
  kernel.boot_with(task);
  kernel.finish();
  EXPECT_EQ(calls, 1);
}

TEST(Once, LetsAllWaitUntilItIsDoneAndPassInOrder) {
  K kernel;
  Once<S> once;
  const auto caller = [&](std::string name) {
    return [&kernel, &once, name] {
      EXPECT_EQ(once.call([&] {
        kernel.log(name + " tries");
        S::sleep_until(at(500));
        kernel.log("done");
      }),
                Called::done);
      kernel.log(name);
    };
  };
  std::vector<K::Thread*> tasks{
      &kernel.make("doer", caller("doer"), {.priority = 9}),
      &kernel.make("low", caller("low"), {.priority = 3}),
      &kernel.make("first", caller("first"), {.priority = 5}),
      &kernel.make("second", caller("second"), {.priority = 5}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"doer tries", "done", "doer", "first", "second", "low"}));
}

TEST(Once, IsTriedByTheNextIfATryFails) {
  K kernel;
  Once<S> once;
  const auto caller = [&](std::string name, bool result) {
    return [&kernel, &once, name, result] {
      const Called called = once.call([&] {
        kernel.log(name + " tries");
        S::sleep_for(ticks(500));
        return result;
      });
      EXPECT_EQ(called, name == "a" || name == "b" ? Called::failed : Called::done);
      kernel.log(name);
    };
  };
  auto& d = kernel.make("d", caller("d", true), {.priority = 1});
  std::vector<K::Thread*> tasks{
      &kernel.make("a", caller("a", false), {.priority = 9}),
      &kernel.make("b", caller("b", false), {.priority = 5}),
      &kernel.make("c", caller("c", true), {.priority = 3}),
      &d,
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a tries", "a", "b tries", "b", "c tries", "c", "d"}));
}

TEST(Once, CanBeTriedAgainIfNobodyWaitedForATryThatFailed) {
  K kernel;
  Once<S> once;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(once.call([] { return false; }), Called::failed);
    EXPECT_FALSE(once.is_done());
    EXPECT_EQ(once.call([] { return true; }), Called::done);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(Once, IsTriedByTheNextIfTheTaskIsKilledAndExitsInIt) {
  K kernel;
  Once<S> once;
  auto& victim = kernel.make("victim",
                             [&] {
                               once.call([&] {
                                 EXPECT_EQ(S::sleep_for(ticks(500)), Waited::killed);
                                 kernel.log("dies");
                                 S::exit(1);
                               });
                             },
                             {.priority = 5});
  auto& next =
      kernel.make("next", [&] { EXPECT_EQ(once.call([&] { kernel.log("next"); }), Called::done); },
                  {.priority = 4});
  auto& killer = kernel.make("killer", [&] { S::kill(victim); }, {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&victim, &next, &killer}) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"dies", "next"}));
  EXPECT_TRUE(once.is_done());
}

TEST(Once, CannotWaitForItself) {
  K kernel;
  Once<S> once;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(once.call([&] { EXPECT_EQ(once.call([] {}), Called::itself); }), Called::done);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(Once, IsNotCalledInAnInterrupt) {
  K kernel;
  Once<S> once;
  auto& task = kernel.make("task", [&] { Sim::spend(ticks(1000)); });
  kernel.on_device = [&](uint32_t, S::Interrupt&) { once.call([] {}); };
  kernel.boot_with(task);
  kernel.world.raise_at(0, 1, at(700));
  EXPECT_EQ(kernel.run(), (Panic{"yield, park or exit in an interrupt", "task"}));
}

TEST(Once, ChangesTheOrderWithTheAttributesOfWhoWaits) {
  K kernel;
  Once<S> once;
  const auto caller = [&](std::string name) {
    return [&kernel, &once, name] {
      EXPECT_EQ(once.call([] {}), Called::done);
      kernel.log(name);
    };
  };
  auto& a = kernel.make("a", caller("a"), {.priority = 3});
  auto& b = kernel.make("b", caller("b"), {.priority = 5});
  auto& doer = kernel.make("doer",
                           [&] {
                             EXPECT_EQ(once.call([&] {
                               kernel.spawn(a);
                               kernel.spawn(b);
                               S::sleep_for(ticks(100));
                               EXPECT_TRUE(S::retune(a, {.priority = 7}));
                               return false;
                             }),
                                       Called::failed);
                           },
                           {.priority = 1});
  kernel.boot_with(doer);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

TEST(Once, IsWaitedForNoLongerThanItIsTold) {
  K kernel;
  Once<S> once;
  auto& doer =
      kernel.make("doer", [&] { once.call([&] { S::sleep_until(at(900)); }); }, {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              const auto never_called = [] { ADD_FAILURE(); };
                              EXPECT_EQ(once.try_call(never_called), Called::timed_out);
                              EXPECT_EQ(once.call_until(at(500), never_called), Called::timed_out);
                              EXPECT_EQ(S::now(), at(500));
                              EXPECT_EQ(once.call_for(ticks(100), never_called), Called::timed_out);
                              EXPECT_EQ(S::now(), at(600));
                              EXPECT_EQ(once.call(never_called), Called::done);
                              EXPECT_EQ(S::now(), at(900));
                            },
                            {.priority = 1});
  kernel.boot_with(doer, other);
  kernel.finish();
}

TEST(Once, LetsGoWhoIsCancelledOrKilled) {
  K kernel;
  Once<S> once;
  const auto never_called = [] { ADD_FAILURE(); };
  auto& waits = kernel.make("waits",
                            [&] {
                              S::sleep_until(at(100));
                              EXPECT_EQ(once.call(never_called), Called::cancelled);
                              EXPECT_EQ(once.call(never_called), Called::killed);
                              EXPECT_EQ(once.call(never_called), Called::killed);
                            },
                            {.priority = 2});
  auto& doer = kernel.make("doer",
                           [&] {
                             EXPECT_EQ(once.call([&] {
                               S::sleep_until(at(200));
                               S::cancel_wait(waits);
                               S::kill(waits);
                               return false;
                             }),
                                       Called::failed);
                             EXPECT_EQ(once.call([] { return true; }), Called::done);
                           },
                           {.priority = 1});
  kernel.boot_with(waits, doer);
  kernel.finish();
}

TEST(Once, OfManyCpusIsTriedByOneAtATimeAndDoneOnce) {
  int seeds_done = 0;
  int seeds_with_timeouts = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Once<S> once;
    int trying = 0;
    int tries = 0;
    int failed = 0;
    int done = 0;
    int exited = 0;
    int timeouts = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 8; ++i) {
      tasks.push_back(&kernel.make("caller",
                                   [&, i] {
                                     const Called called = once.call_for(ticks(500), [&] {
                                       EXPECT_EQ(++trying, 1);
                                       ++tries;
                                       if (i % 2 == 0) S::sleep_for(ticks(30));
                                       --trying;
                                       if (tries == 2) {
                                         ++exited;
                                         S::exit();
                                       }
                                       return tries == 4;
                                     });
                                     if (called == Called::done) {
                                       EXPECT_EQ(tries, 4);
                                       ++done;
                                     }
                                     if (called == Called::failed) ++failed;
                                     if (called == Called::timed_out) ++timeouts;
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    kernel.finish();
    EXPECT_EQ(tries, exited + failed + (once.is_done() ? 1 : 0));
    EXPECT_EQ(exited + failed + timeouts + done, 8);
    EXPECT_EQ(done != 0, once.is_done());
    if (done != 0) ++seeds_done;
    if (timeouts != 0) ++seeds_with_timeouts;
  }
  EXPECT_GT(seeds_done, 50);
  EXPECT_GT(seeds_with_timeouts, 10);
}

static_assert(sizeof(Once<S>) == 32);

}  // namespace
}  // namespace sched::test
