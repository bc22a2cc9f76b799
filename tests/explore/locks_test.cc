// What tasks wait for by primitives, across CPUs: a mutex that is handed over, with what its owner
// inherits; a semaphore; and the ends of such waits that are no service.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "sched/sync/mutex.h"
#include "sched/sync/semaphore.h"
#include "tests/explore/explore.h"

namespace sched::test {
namespace {

using K = Scenario<FixedPriority>;
using S = K::S;

// Not where the compiler looks for whether each lock has its unlock: some have none.
void lock(Mutex<S>& mutex) __attribute__((no_thread_safety_analysis)) { mutex.lock(); }
void unlock(Mutex<S>& mutex) __attribute__((no_thread_safety_analysis)) { mutex.unlock(); }

// What each task claims must be what it has itself once nobody waits for it any more.
void expect_no_inheritance(K::Thread& task) {
  const S::Masked masked;
  EXPECT_EQ(S::claim(task), static_cast<S::Claim>(task.attributes.priority));
}

EXPLORE(AMutexIsFoundFreeOrHandedOver, .preemptions = 2) {
  K kernel(explorer);
  Mutex<S> mutex;
  int inside = 0;
  int entered = 0;
  const auto enter = [&] {
    lock(mutex);
    EXPECT_EQ(++inside, 1);
    ++entered;
    --inside;
    unlock(mutex);
  };
  kernel.task(0, "a", enter, {.priority = 1});
  kernel.task(1, "b", enter, {.priority = 2});
  if (kernel.run()) EXPECT_EQ(entered, 2);
}

// The owner is on CPU 0, beside a task that is more urgent than it and less than who waits on CPU
// 1, and that does not give up its CPU before the owner has run.
EXPLORE(AnOwnerInheritsFromAnotherCpu, .preemptions = 2) {
  K kernel(explorer);
  Mutex<S> mutex;
  int stored = 0;
  std::atomic<bool> has_run = false;
  auto& middle = kernel.early_task(0, "middle",
                                   [&] {
                                     S::park();
                                     K::line_up();
                                     while (!has_run.load(std::memory_order_relaxed)) S::relax();
                                   },
                                   {.priority = 5});
  auto& owner = kernel.early_task(0, "owner",
                                  [&] {
                                    lock(mutex);
                                    S::wake(middle);
                                    stored = 7;
                                    has_run.store(true, std::memory_order_relaxed);
                                    unlock(mutex);
                                    expect_no_inheritance(K::current());
                                  },
                                  {.priority = 1});
  auto& waiter = kernel.task(1, "waiter",
                             [&] {
                               lock(mutex);
                               EXPECT_EQ(stored, 7);
                               EXPECT_EQ(mutex.owner(), &S::current());
                               unlock(mutex);
                               expect_no_inheritance(K::current());
                             },
                             {.priority = 9});
  if (kernel.run()) {
    EXPECT_EQ(mutex.owner(), nullptr);
    EXPECT_EQ(owner.finishes + waiter.finishes, 2);
  }
}

// It gives up, or is given the mutex; what it lent is taken back either way.
EXPLORE(AnOwnerInheritsUntilATimeout, .preemptions = 1) {
  K kernel(explorer);
  Mutex<S> mutex;
  int stored = 0;
  kernel.early_task(0, "owner",
                    [&] {
                      lock(mutex);
                      K::line_up();
                      stored = 7;
                      unlock(mutex);
                    },
                    {.priority = 1});
  kernel.task(1, "waiter",
              [&] {
                const Locked locked = mutex.acquire_until(kStart + ticks(100));
                if (has(locked)) {
                  EXPECT_EQ(stored, 7);
                  unlock(mutex);
                } else {
                  EXPECT_EQ(locked, Locked::timed_out);
                }
                expect_no_inheritance(K::current());
              },
              {.priority = 9});
  if (kernel.run()) EXPECT_EQ(mutex.owner(), nullptr);
}

// The owner ends with it: whoever has it next is told, on its own CPU.
EXPLORE(AnOwnerDies, .preemptions = 2) {
  K kernel(explorer);
  Mutex<S> mutex;
  int stored = 0;
  kernel.early_task(0, "owner",
                    [&] {
                      lock(mutex);
                      K::line_up();
                      stored = 7;
                    },
                    {.priority = 1});
  kernel.task(1, "heir",
              [&] {
                EXPECT_EQ(mutex.acquire(), Locked::owner_died);
                EXPECT_EQ(stored, 7);
                unlock(mutex);
              },
              {.priority = 1});
  kernel.run();
}

EXPLORE(ASemaphoreIsGivenAndTaken) {
  K kernel(explorer);
  Semaphore<S> semaphore;
  int stored = 0;
  kernel.task(0, "taker",
              [&] {
                EXPECT_EQ(semaphore.take(), Waited::done);
                EXPECT_EQ(stored, 7);
              },
              {.priority = 1});
  kernel.task(1, "giver",
              [&] {
                stored = 7;
                EXPECT_TRUE(semaphore.give());
              },
              {.priority = 1});
  if (kernel.run()) EXPECT_EQ(semaphore.permits(), 0);
}

// A server on one CPU, the timeout on the other: one of them wins, and the permit is not lost.
EXPLORE(ASemaphoreIsGivenAtTheTimeout, .preemptions = 2) {
  K kernel(explorer);
  Semaphore<S> semaphore;
  Waited end = Waited::done;
  kernel.early_task(0, "taker", [&] { end = semaphore.take_until(kStart + ticks(100)); },
                    {.priority = 1});
  kernel.task(1, "giver", [&] { EXPECT_TRUE(semaphore.give()); }, {.priority = 1});
  if (!kernel.run()) return;
  EXPECT_TRUE(end == Waited::done || end == Waited::timed_out);
  EXPECT_EQ(semaphore.permits(), end == Waited::done ? 0 : 1);
}

// Too much for every schedule: three CPUs, and everything at once.
EXPLORE(AStorm, .walks = 200) {
  K kernel(explorer, 3);
  Mutex<S> mutex;
  Semaphore<S> semaphore;
  int entered = 0;
  std::vector<K::Thread*> tasks;
  for (uint16_t i = 0; i < 6; ++i) {
    tasks.push_back(&kernel.task(i % 3, "task",
                                 [&, i] {
                                   for (size_t n = 0; n < 2; ++n) {
                                     lock(mutex);
                                     ++entered;
                                     unlock(mutex);
                                     EXPECT_TRUE(semaphore.give());
                                     S::wake(*tasks[(i + n) % 6]);
                                     S::park_until(S::now() + ticks(50));
                                     EXPECT_EQ(semaphore.take(), Waited::done);
                                   }
                                 },
                                 {.priority = static_cast<uint16_t>(i % 4)}));
  }
  if (!kernel.run()) return;
  EXPECT_EQ(entered, 12);
  EXPECT_EQ(semaphore.permits(), 0);
  EXPECT_EQ(mutex.owner(), nullptr);
}

// A wake for nothing, and then what it waits for. For the first it may look while it is served, and
// may have no other; or just after, and end before its server has come to wake it: nothing of that
// reaches its next life.
EXPLORE(AServiceAndAnEnd, .preemptions = 2) {
  K kernel(explorer);
  Semaphore<S> semaphore;
  int stored = 0;
  auto& task = kernel.early_task(0, "task", [&] {
    if (K::current().finishes == 0) {
      EXPECT_EQ(semaphore.take(), Waited::done);
      EXPECT_EQ(stored, 7);
    } else {
      EXPECT_EQ(S::park_until(kStart), Woken::by_timeout);
    }
  });
  kernel.on_finish = [&](auto& finished) {
    if (&finished == &task && finished.finishes == 1) kernel.spawn_on(0, task);
  };
  kernel.task(1, "server", [&] {
    S::wake(task);
    stored = 7;
    EXPECT_TRUE(semaphore.give());
  });
  kernel.lives_twice = &task;
  kernel.run();
}

}  // namespace
}  // namespace sched::test
