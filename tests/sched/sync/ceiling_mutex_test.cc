// The mutex with a ceiling: the ceiling at once, alone and nested, and whom it refuses.

#include "sched/sync/ceiling_mutex.h"

#include <chrono>
#include <mutex>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/sync/mutex.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/lock_kit.h"

namespace sched::test {
namespace {

static_assert(sizeof(CeilingMutex<S>) == 56);

TEST(CeilingMutex, CountsForTheCeilingAtOnceAndNoLongerAfterwards) {
  K kernel;
  CeilingMutex<S> mutex(8);
  auto& between = kernel.make("between", [&] { kernel.log("between"); }, {.priority = 5});
  auto& above = kernel.make("above", [&] { kernel.log("above"); }, {.priority = 9});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              EXPECT_EQ(effective(S::current()), 8);
                              kernel.spawn(between);
                              kernel.spawn(above);
                              kernel.log("owner");
                              mutex.unlock();
                              EXPECT_EQ(effective(S::current()), 1);
                              kernel.log("afterwards");
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"above", "owner", "between", "afterwards"}));
}

TEST(CeilingMutex, NestsWithOthersAndWithInheritance) {
  K kernel;
  CeilingMutex<S> low(4);
  CeilingMutex<S> high(8);
  Mutex<S> mutex;
  auto& waits = kernel.make("waits",
                            [&] {
                              mutex.lock();
                              mutex.unlock();
                            },
                            {.priority = 6});
  auto& owner = kernel.make("owner",
                            [&] {
                              low.lock();
                              EXPECT_EQ(effective(S::current()), 4);
                              mutex.lock();
                              kernel.spawn(waits);
                              EXPECT_EQ(effective(S::current()), 6);
                              high.lock();
                              EXPECT_EQ(effective(S::current()), 8);
                              low.unlock();
                              EXPECT_EQ(effective(S::current()), 8);
                              high.unlock();
                              EXPECT_EQ(effective(S::current()), 6);
                              mutex.unlock();
                              EXPECT_EQ(effective(S::current()), 1);
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(CeilingMutex, RefusesWhoIsAboveItsCeiling) {
  K kernel;
  CeilingMutex<S> mutex(4);
  auto& task = kernel.make("task",
                           [&] {
                             EXPECT_EQ(mutex.acquire(), Locked::above_ceiling);
                             EXPECT_FALSE(mutex.try_lock());
                             mutex.lock();
                           },
                           {.priority = 5});
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), (Panic{"a task above the ceiling of a mutex locks it", "task"}));
}

TEST(CeilingMutex, IsHandedOverWhereItsOwnerBlocksWithIt) {
  K kernel;
  CeilingMutex<S> mutex(8);
  auto& waits = kernel.make("waits",
                            [&] {
                              EXPECT_EQ(mutex.acquire(), Locked::done);
                              EXPECT_EQ(effective(S::current()), 8);
                              kernel.log("waits");
                              mutex.unlock();
                              EXPECT_EQ(effective(S::current()), 3);
                            },
                            {.priority = 3});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              kernel.spawn(waits);
                              S::sleep_until(at(500));
                              kernel.log("owner");
                              mutex.unlock();
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"owner", "waits"}));
}

}  // namespace
}  // namespace sched::test
