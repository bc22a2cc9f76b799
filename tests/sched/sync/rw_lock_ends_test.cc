// Readers and writers: how each call ends, also by the end of who has the lock, and by a deadlock.

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/sync/mutex.h"
#include "sched/sync/rw_lock.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/lock_kit.h"

namespace sched::test {
namespace {

TEST(RwLock, TriesWithoutWaiting) {
  K kernel;
  RwLock<S> lock;
  auto& other = kernel.make(
      "other",
      [&] {
        EXPECT_FALSE(lock.try_lock());
        EXPECT_TRUE(lock.try_lock_shared());
        lock.unlock_shared();
        S::park();
        EXPECT_FALSE(lock.try_lock());
        EXPECT_FALSE(lock.try_lock_shared());
      },
      priority(5));
  auto& task = kernel.make(
      "task",
      [&] {
        EXPECT_TRUE(lock.try_lock_shared());
        kernel.spawn(other);
        lock.unlock_shared();
        EXPECT_TRUE(lock.try_lock());
        S::wake(other);
        lock.unlock();
      },
      priority(1));
  kernel.boot_with(task);
  kernel.finish();
}

TEST(RwLock, EndsAReadersWaitByEachOfItsWays) {
  K kernel;
  RwLock<S> lock;
  auto& timed = kernel.make(
      "timed",
      [&] {
        EXPECT_EQ(lock.acquire_shared_until(at(500)), Locked::timed_out);
        EXPECT_EQ(S::now(), at(500));
      },
      priority(9));
  auto& cancelled = kernel.make(
      "cancelled", [&] { EXPECT_EQ(lock.acquire_shared(), Locked::cancelled); }, priority(8));
  auto& killed =
      kernel.make("killed", [&] { EXPECT_EQ(lock.acquire_shared(), Locked::killed); }, priority(7));
  auto& deaf = kernel.make(
      "deaf",
      [&] {
        lock.lock_shared();
        EXPECT_TRUE(S::current().kill_requested());
        kernel.log("deaf");
        lock.unlock_shared();
      },
      priority(6));
  auto& writer = kernel.make(
      "writer",
      [&] {
        lock.lock();
        for (auto* task : {&timed, &cancelled, &killed, &deaf}) {
          kernel.spawn(*task);
        }
        Sim::spend(ticks(1000));
        S::cancel_wait(cancelled);
        S::kill(killed);
        S::cancel_wait(deaf);
        S::kill(deaf);
        EXPECT_EQ(effective(S::current()), 6);
        kernel.log("writer");
        lock.unlock();
      },
      priority(1));
  kernel.boot_with(writer);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"writer", "deaf"}));
}

TEST(RwLock, TellsAllThatAWriterHasEndedWithItUntilAnotherHasWritten) {
  K kernel;
  RwLock<S> lock;
  const auto reads = [&] {
    EXPECT_EQ(lock.acquire_shared(), Locked::owner_died);
    EXPECT_TRUE(lock.abandoned());
    lock.unlock_shared();
  };
  auto& first = kernel.make("first", reads, priority(9));
  auto& second = kernel.make("second", reads, priority(8));
  auto& repairs = kernel.make(
      "repairs",
      [&] {
        EXPECT_EQ(lock.acquire(), Locked::owner_died);
        EXPECT_TRUE(lock.abandoned());
        lock.unlock();
      },
      priority(7));
  auto& last = kernel.make(
      "last",
      [&] {
        EXPECT_EQ(lock.acquire_shared(), Locked::done);
        EXPECT_FALSE(lock.abandoned());
        lock.unlock_shared();
      },
      priority(6));
  auto& dies = kernel.make(
      "dies",
      [&] {
        lock.lock();
        for (auto* task : {&first, &second, &repairs, &last}) {
          kernel.spawn(*task);
        }
      },
      priority(1));
  kernel.boot_with(dies);
  kernel.finish();
}

TEST(RwLock, TellsOfADeathAlsoWhoFindsItFree) {
  K kernel;
  RwLock<S> lock;
  auto& dies = kernel.make("dies", [&] { lock.lock(); }, priority(5));
  auto& next = kernel.make(
      "next",
      [&] {
        EXPECT_TRUE(lock.try_lock_shared());
        EXPECT_TRUE(lock.abandoned());
        lock.unlock_shared();
        EXPECT_EQ(lock.acquire_shared(), Locked::owner_died);
        lock.unlock_shared();
        EXPECT_EQ(lock.acquire(), Locked::owner_died);
        lock.unlock();
        EXPECT_EQ(lock.acquire(), Locked::done);
        lock.unlock();
      },
      priority(1));
  kernel.boot_with(dies, next);
  kernel.finish();
}

TEST(RwLock, LetsAReaderGoThatEndsWithIt) {
  K kernel;
  RwLock<S> lock;
  auto& writer = kernel.make(
      "writer",
      [&] {
        EXPECT_EQ(lock.acquire(), Locked::done);
        EXPECT_FALSE(lock.abandoned());
        lock.unlock();
        EXPECT_TRUE(lock.try_lock_shared());
        EXPECT_EQ(lock.reader(0), &S::current());
        lock.unlock_shared();
      },
      priority(5));
  auto& reader = kernel.make(
      "reader",
      [&] {
        lock.lock_shared();
        kernel.spawn(writer);
      },
      priority(1));
  kernel.boot_with(reader);
  kernel.finish();
}

TEST(RwLock, RefusesADeadlock) {
  K kernel;
  RwLock<S> lock;
  Mutex<S> mutex;
  auto& writer = kernel.make(
      "writer",
      [&] {
        mutex.lock();
        EXPECT_EQ(lock.acquire(), Locked::done);
        lock.unlock();
        mutex.unlock();
      },
      priority(5));
  auto& reader = kernel.make(
      "reader",
      [&] {
        EXPECT_EQ(lock.acquire_shared(), Locked::done);
        EXPECT_EQ(lock.acquire_shared(), Locked::done) << "nobody writes";
        lock.unlock_shared();
        EXPECT_EQ(lock.acquire(), Locked::deadlock) << "it reads itself";
        kernel.spawn(writer);
        EXPECT_EQ(lock.acquire_shared(), Locked::deadlock);
        EXPECT_EQ(lock.acquire(), Locked::deadlock);
        EXPECT_EQ(mutex.acquire(), Locked::deadlock) << "a chain of two";
        lock.unlock_shared();
      },
      priority(1));
  kernel.boot_with(reader);
  kernel.finish();
}

// The writer waits for the first reader, and the second one would wait for the writer, which is to
// wait for it next. Not the writer is told, which did nothing wrong.
TEST(RwLock, RefusesToLetAReaderWaitForAWriterThatWaitsForAnother) {
  for (const bool reads : {false, true}) {
    K kernel;
    RwLock<S> lock;
    auto& writer = kernel.make(
        "writer",
        [&] {
          lock.lock();
          EXPECT_EQ(S::now(), at(500));
          lock.unlock();
        },
        priority(5));
    auto& first = kernel.make(
        "first",
        [&] {
          lock.lock_shared();
          S::sleep_until(at(500));
          lock.unlock_shared();
        },
        priority(3));
    auto& second = kernel.make(
        "second",
        [&] {
          lock.lock_shared();
          kernel.spawn(writer);
          EXPECT_EQ(reads ? lock.acquire_shared() : lock.acquire(), Locked::deadlock);
          lock.unlock_shared();
        },
        priority(1));
    kernel.boot_with(first, second);
    kernel.finish();
  }
}

TEST(RwLock, StopsALockThatWouldWaitForItself) {
  K kernel;
  RwLock<S> lock;
  auto& task = kernel.make("task", [&] {
    lock.lock_shared();
    lock.lock();
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), (Panic{"a lock is waited for by who reads", "task"}));
}

// What the first reader does not lead back to, the second does: it is found when its turn comes.
TEST(RwLock, RefusesADeadlockByAReaderThatIsNotTheFirst) {
  K kernel;
  RwLock<S> lock;
  Mutex<S> mutex;
  auto& first = kernel.make(
      "first",
      [&] {
        lock.lock_shared();
        S::sleep_until(at(500));
        lock.unlock_shared();
      },
      priority(3));
  auto& second = kernel.make(
      "second",
      [&] {
        lock.lock_shared();
        mutex.lock();
        EXPECT_EQ(S::now(), at(500));
        mutex.unlock();
        lock.unlock_shared();
      },
      priority(2));
  auto& writer = kernel.make(
      "writer",
      [&] {
        mutex.lock();
        kernel.spawn(first);
        kernel.spawn(second);
        S::sleep_until(at(100));
        EXPECT_EQ(lock.acquire(), Locked::deadlock);
        mutex.unlock();
        lock.lock();
        lock.unlock();
      },
      priority(1));
  kernel.boot_with(writer);
  kernel.finish();
}

TEST(RwLock, StopsAnUnlockByAnotherTask) {
  for (const bool shared : {false, true}) {
    K kernel;
    RwLock<S> lock;
    auto& other = kernel.make(
        "other",
        [&] {
          if (shared) {
            lock.unlock_shared();
          } else {
            lock.unlock();
          }
        },
        priority(5));
    auto& owner = kernel.make(
        "owner",
        [&] {
          if (shared) {
            lock.lock_shared();
          } else {
            lock.lock();
          }
          kernel.spawn(other);
        },
        priority(1));
    kernel.boot_with(owner);
    EXPECT_EQ(kernel.run(),
              (Panic{shared ? "unlock of what another task holds"
                            : "unlock of what another task holds, or unbind of its bond",
                     "other"}));
  }
}

}  // namespace
}  // namespace sched::test
