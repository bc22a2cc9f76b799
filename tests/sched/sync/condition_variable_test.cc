// The condition variable: with which locks, order, and every way in which a wait ends.

#include "sched/sync/condition_variable.h"

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "sched/sync/mutex.h"
#include "sched/sync/semaphore.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
using Lock = std::unique_lock<Mutex<S>>;

TEST(ConditionVariable, NotifiesTheMostUrgentFirstAndEqualsAsTheyCame) {
  K kernel;
  Mutex<S> mutex;
  ConditionVariable<S> changed;
  const auto waiter = [&](std::string name) {
    return [&kernel, &mutex, &changed, name] {
      Lock lock(mutex);
      EXPECT_EQ(changed.wait(lock), Waited::done);
      EXPECT_EQ(mutex.owner(), &S::current());
      EXPECT_TRUE(lock.owns_lock());
      kernel.log(name);
    };
  };
  std::vector<K::Thread*> tasks{
      &kernel.make("low", waiter("low"), {.priority = 3}),
      &kernel.make("first", waiter("first"), {.priority = 5}),
      &kernel.make("second", waiter("second"), {.priority = 5}),
      &kernel.make("third", waiter("third"), {.priority = 5}),
      &kernel.make("notifier",
                   [&] {
                     changed.notify_one();
                     kernel.log("one");
                     {
                       Lock lock(mutex);
                       changed.notify_one();
                       kernel.log("with the mutex");
                     }
                     changed.notify_all();
                     kernel.log("all");
                     changed.notify_one();
                     changed.notify_all();
                   },
                   {.priority = 1}),
  };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines,
            (Lines{"first", "one", "with the mutex", "second", "third", "low", "all"}));
}

TEST(ConditionVariable, ChangesTheOrderWithTheAttributesOfWhoWaits) {
  K kernel;
  Mutex<S> mutex;
  ConditionVariable<S> changed;
  const auto waiter = [&](std::string name) {
    return [&kernel, &mutex, &changed, name] {
      Lock lock(mutex);
      EXPECT_EQ(changed.wait(lock), Waited::done);
      kernel.log(name);
    };
  };
  auto& a = kernel.make("a", waiter("a"), {.priority = 3});
  auto& b = kernel.make("b", waiter("b"), {.priority = 5});
  auto& notifier = kernel.make("notifier",
                               [&] {
                                 EXPECT_TRUE(S::retune(a, {.priority = 9}));
                                 changed.notify_one();
                                 changed.notify_one();
                               },
                               {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&a, &b, &notifier}) kernel.spawn(*task);
  });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"a", "b"}));
}

// Whoever has a mutex that somebody urgent waits for is urgent until it unlocks; its place among
// those who wait for the condition is its own.
TEST(ConditionVariable, IsNotWaitedForWithWhatWasLentForTheMutex) {
  K kernel;
  Mutex<S> mutex;
  ConditionVariable<S> changed;
  auto& high = kernel.make("high", [&] { const Lock lock(mutex); }, {.priority = 9});
  auto& middle = kernel.make("middle",
                             [&] {
                               Lock lock(mutex);
                               EXPECT_EQ(changed.wait(lock), Waited::done);
                               kernel.log("middle");
                             },
                             {.priority = 5});
  auto& low = kernel.make("low",
                          [&] {
                            mutex.lock();
                            kernel.spawn(high);
                            EXPECT_EQ(S::claim(S::current()), 9);
                            EXPECT_EQ(changed.wait(mutex), Waited::done);
                            kernel.log("low");
                            mutex.unlock();
                          },
                          {.priority = 2});
  auto& notifier = kernel.make("notifier",
                               [&] {
                                 kernel.spawn(middle);
                                 changed.notify_one();
                                 changed.notify_one();
                               },
                               {.priority = 1});
  kernel.boot_with(low, notifier);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"middle", "low"}));
}

TEST(ConditionVariable, LooksAgainUntilWhatIsWaitedForHolds) {
  K kernel;
  Mutex<S> mutex;
  ConditionVariable<S> changed;
  int value = 0;
  int looks = 0;
  auto& waiter =
      kernel.make("waiter",
                  [&] {
                    Lock lock(mutex);
                    const auto is = [&](int wanted) {
                      return [&, wanted] {
                        EXPECT_EQ(mutex.owner(), &S::current());
                        ++looks;
                        return value == wanted;
                      };
                    };
                    EXPECT_EQ(changed.wait(lock, is(2)), Waited::done);
                    EXPECT_EQ(looks, 3);
                    EXPECT_EQ(changed.wait(lock, is(2)), Waited::done);
                    EXPECT_EQ(changed.wait_until(lock, at(500), is(3)), Waited::timed_out);
                    EXPECT_EQ(S::now(), at(500));
                    EXPECT_EQ(changed.wait_for(lock, ticks(100), is(3)), Waited::timed_out);
                    EXPECT_EQ(S::now(), at(600));
                    // Not told, but true when it looks.
                    EXPECT_EQ(changed.wait_until(lock, at(700), is(4)), Waited::done);
                  },
                  {.priority = 2});
  auto& notifier = kernel.make("notifier",
                               [&] {
                                 for (int i = 1; i <= 2; ++i) {
                                   {
                                     Lock lock(mutex);
                                     value = i;
                                   }
                                   changed.notify_one();
                                 }
                                 S::sleep_until(at(650));
                                 Lock lock(mutex);
                                 value = 4;
                               },
                               {.priority = 1});
  kernel.boot_with(waiter, notifier);
  kernel.finish();
}

TEST(ConditionVariable, HasTheMutexAgainHoweverTheWaitEnds) {
  K kernel;
  Mutex<S> mutex;
  ConditionVariable<S> changed;
  auto& waits = kernel.make("waits",
                            [&] {
                              Lock lock(mutex);
                              // The other one keeps the mutex for longer.
                              EXPECT_EQ(changed.wait_until(lock, at(500)), Waited::timed_out);
                              EXPECT_EQ(S::now(), at(600));
                              EXPECT_EQ(mutex.owner(), &S::current());
                              EXPECT_EQ(changed.wait(lock), Waited::cancelled);
                              EXPECT_EQ(mutex.owner(), &S::current());
                              kernel.log("cancelled");
                              EXPECT_EQ(changed.wait(lock), Waited::killed);
                              EXPECT_EQ(mutex.owner(), &S::current());
                              EXPECT_EQ(changed.wait_for(lock, ticks(100)), Waited::killed);
                              EXPECT_EQ(mutex.owner(), &S::current());
                            },
                            {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              {
                                Lock lock(mutex);
                                S::sleep_until(at(600));
                              }
                              Lock lock(mutex);
                              S::cancel_wait(waits);
                              kernel.log("still without it");
                              lock.unlock();
                              S::kill(waits);
                              changed.notify_all();
                            },
                            {.priority = 1});
  kernel.boot_with(waits, other);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"still without it", "cancelled"}));
  EXPECT_EQ(mutex.owner(), nullptr);
}

TEST(ConditionVariable, IsNotifiedByAnInterrupt) {
  K kernel;
  Mutex<S> mutex;
  ConditionVariable<S> changed;
  std::vector<K::Thread*> tasks;
  for (const char* name : {"a", "b"}) {
    tasks.push_back(&kernel.make(name, [&] {
      Lock lock(mutex);
      EXPECT_EQ(changed.wait(lock), Waited::done);
      EXPECT_EQ(S::now(), at(700));
    }));
  }
  kernel.on_device = [&](uint32_t, S::Interrupt&) { changed.notify_all(); };
  kernel.boot([&] {
    for (auto* task : tasks) kernel.spawn(*task);
  });
  kernel.world.raise_at(0, 1, at(700));
  kernel.finish();
}

TEST(ConditionVariable, IsNotWaitedForInAnInterrupt) {
  K kernel;
  Mutex<S> mutex;
  ConditionVariable<S> changed;
  auto& task = kernel.make("task", [&] {
    const Lock lock(mutex);
    Sim::spend(ticks(1000));
  });
  kernel.on_device = [&](uint32_t, S::Interrupt&) { changed.wait(mutex); };
  kernel.boot_with(task);
  kernel.world.raise_at(0, 1, at(700));
  EXPECT_EQ(kernel.run(), (Panic{"yield, park or exit in an interrupt", "task"}));
}

// Masks interrupts from lock to unlock.
class MaskingLock {
 public:
  void lock() { masked_.emplace(); }
  void unlock() { masked_.reset(); }

 private:
  std::optional<S::Masked> masked_;
};

TEST(ConditionVariable, WaitsWithALockThatMasksInterrupts) {
  K kernel;
  MaskingLock mask;
  ConditionVariable<S> changed;
  bool is_done = false;
  auto& task = kernel.make("task", [&] {
    std::unique_lock lock(mask);
    EXPECT_EQ(changed.wait(lock, [&] { return is_done; }), Waited::done);
    EXPECT_EQ(S::now(), at(700));
  });
  kernel.on_device = [&](uint32_t, S::Interrupt&) {
    is_done = true;
    changed.notify_one();
  };
  kernel.boot_with(task);
  kernel.world.raise_at(0, 1, at(700));
  kernel.finish();
  EXPECT_TRUE(is_done);
}

// To unlock may wait, and so consume the wake that belongs to a notification in between.
TEST(ConditionVariable, KeepsANotificationThatComesWhileTheLockIsUnlocked) {
  struct SlowLock {
    Semaphore<S>& semaphore;
    void lock() {}
    void unlock() { EXPECT_EQ(semaphore.take(), Waited::done); }
  };
  K kernel;
  Semaphore<S> semaphore;
  ConditionVariable<S> changed;
  auto& task = kernel.make("task",
                           [&] {
                             SlowLock lock{semaphore};
                             EXPECT_EQ(changed.wait_until(lock, at(500)), Waited::done);
                             EXPECT_LT(S::now(), at(500));
                           },
                           {.priority = 2});
  auto& other = kernel.make("other",
                            [&] {
                              changed.notify_one();
                              semaphore.give();
                            },
                            {.priority = 1});
  kernel.boot_with(task, other);
  kernel.finish();
}

// A bounded buffer: nothing is lost, nothing comes twice, and nobody waits for ever.
TEST(ConditionVariable, OfManyCpusLosesNothing) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Mutex<S> mutex;
    ConditionVariable<S> not_empty;
    ConditionVariable<S> not_full;
    std::deque<int> items;
    int put = 0;
    int got = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(&kernel.make(
          "putter",
          [&] {
            for (int n = 0; n < 6; ++n) {
              Lock lock(mutex);
              EXPECT_EQ(not_full.wait(lock, [&] { return items.size() < 2; }), Waited::done);
              items.push_back(++put);
              not_empty.notify_one();
            }
          },
          {.priority = static_cast<uint16_t>(i)}));
      tasks.push_back(&kernel.make("getter",
                                   [&] {
                                     for (int n = 0; n < 6; ++n) {
                                       Lock lock(mutex);
                                       while (not_empty.wait_for(lock, ticks(100), [&] {
                                         return !items.empty();
                                       }) == Waited::timed_out) {
                                         continue;
                                       }
                                       EXPECT_EQ(items.front(), ++got);
                                       items.pop_front();
                                       lock.unlock();
                                       not_full.notify_all();
                                       Sim::spend(ticks(30));
                                     }
                                   },
                                   {.priority = static_cast<uint16_t>(i)}));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>((i + i / 3) % 3), *tasks[i]);
    });
    kernel.finish();
    EXPECT_EQ(got, 18);
  }
}

static_assert(sizeof(ConditionVariable<S>) == 48);

}  // namespace
}  // namespace sched::test
