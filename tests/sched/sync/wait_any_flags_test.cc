// Waiting for flags among other things: they are looked for once more in the line, and taken once.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/semaphore.h"
#include "sched/sync/wait_any.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/wait_any_kit.h"

namespace sched::test {
namespace {

TEST(WaitAny, TakesFlagsThatAreSetAlready) {
  K kernel;
  Semaphore<S> a;
  EventFlags<S> flags(0b0111);
  auto& task = kernel.make("task", [&] {
    uint32_t found = 0;
    const auto wait = [&](uint32_t wanted, FlagMatch match, FlagUse use) {
      found = 0;
      return wait_any<S>(at(0), taking(a), expecting(flags, wanted, match, use, found));
    };
    EXPECT_EQ(wait(0b1100, FlagMatch::any, FlagUse::keep), Index(1));
    EXPECT_EQ(found, 0b0100u);
    EXPECT_EQ(flags.flags(), 0b0111u);
    EXPECT_EQ(wait(0b1100, FlagMatch::all, FlagUse::clear), ended(Waited::timed_out));
    EXPECT_EQ(found, 0u);
    EXPECT_EQ(wait(0b0110, FlagMatch::all, FlagUse::clear), Index(1));
    EXPECT_EQ(found, 0b0110u);
    EXPECT_EQ(flags.flags(), 0b0001u);
    flags.set(0b1000);  // nobody is left in the line: no word is marked
    EXPECT_EQ(flags.clear(0b1001), 0b1001u);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(WaitAny, IsServedByFlagsAndLeavesTheOthers) {
  K kernel;
  Semaphore<S> a;
  EventFlags<S> flags;
  auto& waits =
      kernel.make("waits",
                  [&] {
                    uint32_t found = 0;
                    const auto wait = [&](Instant until, FlagMatch match) {
                      found = 0;
                      return wait_any<S>(
                          until, expecting(flags, 0b11, match, FlagUse::clear, found), taking(a));
                    };
                    EXPECT_EQ(wait(never, FlagMatch::all), Index(0));
                    EXPECT_EQ(found, 0b11u);
                    EXPECT_EQ(wait(never, FlagMatch::all), Index(1));
                    EXPECT_EQ(found, 0u);
                    EXPECT_EQ(flags.flags(), 0b101u);
                    EXPECT_EQ(wait(never, FlagMatch::any), Index(0));
                    EXPECT_EQ(found, 0b01u);
                    EXPECT_EQ(flags.flags(), 0b100u);
                    EXPECT_EQ(wait(at(500), FlagMatch::any), ended(Waited::timed_out));
                    EXPECT_EQ(wait(never, FlagMatch::any), ended(Waited::cancelled));
                    EXPECT_EQ(wait(never, FlagMatch::any), ended(Waited::killed));
                    EXPECT_EQ(found, 0u);
                    kernel.log("end");
                  },
                  {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              flags.set(0b001);
                              flags.set(0b110);
                              EXPECT_EQ(flags.flags(), 0b100u);
                              flags.set(0b001);
                              a.give();
                              S::sleep_until(at(600));
                              S::cancel_wait(waits);
                              S::kill(waits);
                              EXPECT_EQ(kernel.lines, (Lines{"end"}));
                              flags.set(0b011);
                              EXPECT_EQ(flags.flags(), 0b111u);
                              a.give();
                              EXPECT_EQ(a.permits(), 1);
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  kernel.finish();
}

// They are set just after the task has looked, and once more when it has been served already.
TEST(WaitAny, LooksForFlagsOnceMoreInTheLineAndTakesNoneOnceItIsOver) {
  K kernel;
  Semaphore<S> a;
  EventFlags<S> flags;
  auto& task = kernel.make("task", [&] {
    uint32_t found = 0;
    const Nothing sets{.looks = [&] { flags.set(1); }, .enters = {}};
    const auto expecting_1 = [&] {
      return expecting(flags, 1, FlagMatch::any, FlagUse::clear, found);
    };
    EXPECT_EQ(wait_any<S>(never, expecting_1(), sets), Index(0));
    EXPECT_EQ(found, 1u);
    EXPECT_EQ(flags.flags(), 0u);
    found = 0;
    const Nothing both{.looks = {}, .enters = [&] {
                         a.give();
                         flags.set(1);
                       }};
    EXPECT_EQ(wait_any<S>(never, taking(a), both, expecting_1()), Index(0));
    EXPECT_EQ(found, 0u);
    EXPECT_EQ(flags.flags(), 1u);
    S::Masked masked;
    Waiting<S> waiting(masked);
    auto late = expecting_1();
    auto waiter = late.waiter(waiting);
    EXPECT_TRUE(waiting.close(&S::relax));
    EXPECT_FALSE(late.enter(waiter));
    EXPECT_FALSE(waiter.is_in());
    EXPECT_EQ(flags.flags(), 1u);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(WaitAny, StopsAWaitForNoFlag) {
  K kernel;
  EventFlags<S> flags;
  auto& task = kernel.make("task", [&] {
    uint32_t found = 0;
    (void)wait_any<S>(never, expecting(flags, 0, FlagMatch::any, FlagUse::keep, found));
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), (Panic{"waiting for no event flag", "task"}));
}

// Each flag that is set is taken once, by somebody who waits for that and for something else.
TEST(WaitAny, OfManyCpusTakesEachFlagOnce) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Semaphore<S> a;
    EventFlags<S> flags;
    int taken = 0;
    int permits = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(&kernel.make("any",
                                   [&] {
                                     for (int n = 0; n < 6; ++n) {
                                       uint32_t found = 0;
                                       const Index index =
                                           wait_any<S>(S::now() + ticks(150), taking(a),
                                                       expecting(flags, 0b1111, FlagMatch::any,
                                                                 FlagUse::clear, found));
                                       EXPECT_EQ(found != 0, index == Index(1));
                                       permits += index == Index(0);
                                       taken += std::popcount(found);
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make(
          "one",
          [&] {
            for (int n = 0; n < 2; ++n) {
              taken += std::popcount(
                  flags.wait_for(0b0011, FlagMatch::all, FlagUse::clear, ticks(100)).flags);
            }
          },
          {.priority = static_cast<uint16_t>(i)}));
    }
    int set = 0;
    auto& source = kernel.make("source",
                               [&] {
                                 for (; set < 4; ++set) {
                                   flags.set(1u << set);
                                   Sim::spend(ticks(60));
                                   a.give();
                                 }
                               },
                               {.priority = 1});
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i) {
        kernel.spawn_on(static_cast<CpuNumber>((i + i / 3) % 3), *tasks[i]);
      }
      kernel.spawn(source);
    });
    kernel.finish();
    EXPECT_EQ(taken + std::popcount(flags.flags()), 4);
    EXPECT_EQ(permits + a.permits(), 4);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sched::test
