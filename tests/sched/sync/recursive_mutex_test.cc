// The recursive mutex: depth, whose it is, and the end of its owner.

#include "sched/sync/recursive_mutex.h"

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

static_assert(sizeof(RecursiveMutex<S>) == 56);

TEST(RecursiveMutex, IsFreeAfterAsManyUnlocks) {
  K kernel;
  RecursiveMutex<S> mutex;
  auto& other = kernel.make("other",
                            [&] {
                              EXPECT_FALSE(mutex.try_lock());
                              mutex.lock();
                              kernel.log("other");
                              mutex.unlock();
                            },
                            {.priority = 5});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              EXPECT_TRUE(mutex.try_lock());
                              EXPECT_EQ(mutex.acquire(), Locked::done);
                              kernel.spawn(other);
                              mutex.unlock();
                              mutex.unlock();
                              EXPECT_EQ(mutex.owner(), &S::current());
                              kernel.log("owner");
                              mutex.unlock();
                              EXPECT_EQ(mutex.owner(), nullptr);
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (std::vector<std::string>{"owner", "other"}));
}

TEST(RecursiveMutex, BeginsAnewAfterItsOwnersDeath) {
  K kernel;
  RecursiveMutex<S> mutex;
  auto& next = kernel.make("next", [&] {
    EXPECT_EQ(mutex.acquire(), Locked::owner_died);
    EXPECT_TRUE(mutex.abandoned());
    mutex.unlock();
    EXPECT_EQ(mutex.owner(), nullptr);
  });
  auto& owner = kernel.make("owner", [&] {
    mutex.lock();
    mutex.lock();
  });
  kernel.boot_with(owner, next);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(RecursiveMutex, StopsAnUnlockByAnotherTask) {
  K kernel;
  RecursiveMutex<S> mutex;
  auto& other = kernel.make("other", [&] { mutex.unlock(); }, {.priority = 5});
  auto& owner = kernel.make("owner",
                            [&] {
                              mutex.lock();
                              mutex.lock();
                              kernel.spawn(other);
                            },
                            {.priority = 1});
  kernel.boot_with(owner);
  EXPECT_EQ(kernel.run(),
            (Panic{"unlock of what another task holds, or unbind of its bond", "other"}));
}

TEST(RecursiveMutex, ServesTheGuardsOfTheStandard) {
  K kernel;
  RecursiveMutex<S> mutex;
  auto& task = kernel.make("task", [&] {
    const std::scoped_lock outer(mutex);
    const std::unique_lock inner(mutex, std::try_to_lock);
    EXPECT_TRUE(inner.owns_lock());
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(mutex.owner(), nullptr);
}

}  // namespace
}  // namespace sched::test
