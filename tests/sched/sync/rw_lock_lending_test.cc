// Readers and writers: what who waits lends to whom, and when that is taken back.

#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/edf.h"
#include "sched/sync/rw_lock.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/lock_kit.h"

namespace sched::test {
namespace {

TEST(RwLock, LendsFromAWriterToEachReaderItWaitsForInTurn) {
  K kernel;
  RwLock<S> lock;
  bool go[2] = {};
  std::vector<K::Thread*> readers;
  for (int i = 0; i < 2; ++i) {
    readers.push_back(&kernel.make(
        "reader",
        [&, i] {
          lock.lock_shared();
          while (!go[i]) S::park();
          lock.unlock_shared();
          EXPECT_EQ(effective(S::current()), 1 + i);
        },
        priority(1 + i)));
  }
  auto& writer = kernel.make(
      "writer",
      [&] {
        lock.lock();
        kernel.log("writes");
        lock.unlock();
      },
      priority(6));
  auto& urgent = kernel.make(
      "urgent",
      [&] {
        // Waits for the writer, and lends through it.
        lock.lock_shared();
        kernel.log("reads");
        lock.unlock_shared();
      },
      priority(8));
  auto& test = kernel.make(
      "test",
      [&] {
        const auto claims = [&] {
          return std::vector{effective(*readers[0]), effective(*readers[1])};
        };
        S::sleep_for(ticks(50));
        EXPECT_EQ(lock.reader(0), readers[1]);
        EXPECT_EQ(claims(), (std::vector{1, 2}));
        kernel.spawn(writer);
        S::sleep_for(ticks(50));
        EXPECT_EQ(claims(), (std::vector{1, 6}));
        kernel.spawn(urgent);
        S::sleep_for(ticks(50));
        EXPECT_EQ(claims(), (std::vector{1, 8}));
        EXPECT_EQ(effective(writer), 8);
        go[1] = true;
        S::wake(*readers[1]);
        S::sleep_for(ticks(50));
        EXPECT_EQ(claims(), (std::vector{8, 2}));
        EXPECT_TRUE(kernel.lines.empty());
        go[0] = true;
        S::wake(*readers[0]);
        S::sleep_for(ticks(50));
        EXPECT_EQ(kernel.lines, (Lines{"writes", "reads"}));
      },
      priority(10));
  kernel.boot([&] {
    for (auto* reader : readers) kernel.spawn(*reader);
    kernel.spawn(test);
  });
  kernel.finish();
}

// The inversion that it is for: a reader that nobody would let run, and a writer that waits for it.
TEST(RwLock, DoesNotLetWhoIsLessUrgentThanAWriterKeepItsReaderFromTheCpu) {
  K kernel;
  RwLock<S> lock;
  auto& writer = kernel.make(
      "writer",
      [&] {
        lock.lock();
        kernel.log("writes");
        lock.unlock();
      },
      priority(9));
  auto& between = kernel.make("between", [&] { kernel.log("between"); }, priority(5));
  auto& reader = kernel.make(
      "reader",
      [&] {
        lock.lock_shared();
        kernel.spawn(writer);
        kernel.spawn(between);
        kernel.log("reads");
        lock.unlock_shared();
      },
      priority(1));
  kernel.boot_with(reader);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"reads", "writes", "between"}));
}

TEST(RwLock, TakesBackWhatAWriterLentThatGaveUp) {
  K kernel;
  RwLock<S> lock;
  const auto gives_up = [&](Locked how) {
    return [&lock, how] {
      EXPECT_EQ(how == Locked::timed_out ? lock.acquire_until(at(500)) : lock.acquire(), how);
      EXPECT_FALSE(lock.try_lock());
      EXPECT_TRUE(lock.try_lock_shared()) << "the gate is open again";
      lock.unlock_shared();
    };
  };
  auto& timed = kernel.make("timed", gives_up(Locked::timed_out), priority(9));
  auto& cancelled = kernel.make("cancelled", gives_up(Locked::cancelled), priority(8));
  auto& killed = kernel.make("killed", gives_up(Locked::killed), priority(7));
  auto& reader = kernel.make(
      "reader",
      [&] {
        lock.lock_shared();
        kernel.spawn(timed);
        EXPECT_EQ(effective(S::current()), 9);
        Sim::spend(ticks(1000));
        EXPECT_EQ(effective(S::current()), 1);
        kernel.spawn(cancelled);
        EXPECT_EQ(effective(S::current()), 8);
        EXPECT_TRUE(S::retune(cancelled, priority(10)));
        EXPECT_EQ(effective(S::current()), 10);
        S::cancel_wait(cancelled);
        EXPECT_EQ(effective(S::current()), 1);
        kernel.spawn(killed);
        EXPECT_EQ(effective(S::current()), 7);
        S::kill(killed);
        EXPECT_EQ(effective(S::current()), 1);
        lock.unlock_shared();
      },
      priority(1));
  kernel.boot_with(reader);
  kernel.finish();
}

// The deadline, where that is what counts.
TEST(RwLock, LendsInThePolicysOwnTerms) {
  using D = Kernel<Edf>;
  D kernel;
  RwLock<D::S> lock;
  D::Thread* reader = nullptr;
  auto& writer =
      kernel.make("writer",
                  [&] {
                    lock.lock();
                    kernel.log("writes");
                    lock.unlock();
                  },
                  {.runtime = ticks(100), .deadline = ticks(1'000), .period = ticks(1'000)});
  auto& between =
      kernel.make("between", [&] { kernel.log("between"); },
                  {.runtime = ticks(100), .deadline = ticks(5'000), .period = ticks(5'000)});
  reader =
      &kernel.make("reader",
                   [&] {
                     lock.lock_shared();
                     kernel.spawn(writer);
                     kernel.spawn(between);
                     kernel.log("reads");
                     lock.unlock_shared();
                   },
                   {.runtime = ticks(100), .deadline = ticks(50'000), .period = ticks(50'000)});
  kernel.boot([&] { kernel.spawn(*reader); });
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"reads", "writes", "between"}));
}

TEST(RwLock, LendsFromAReaderThatFindsNoPlace) {
  K kernel;
  RwLock<S, 2> lock;
  auto& third = kernel.make(
      "third",
      [&] {
        EXPECT_FALSE(lock.try_lock_shared());
        EXPECT_EQ(lock.acquire_shared_for(ticks(10)), Locked::timed_out);
        EXPECT_EQ(lock.acquire_shared(), Locked::done);
        kernel.log("third");
        lock.unlock_shared();
      },
      priority(9));
  auto& second = kernel.make(
      "second",
      [&] {
        lock.lock_shared();
        S::park();
        kernel.log("second");
        lock.unlock_shared();
      },
      priority(3));
  auto& first = kernel.make(
      "first",
      [&] {
        lock.lock_shared();
        kernel.spawn(second);
        kernel.spawn(third);
        Sim::spend(ticks(100));
        EXPECT_EQ(effective(S::current()), 9);
        EXPECT_EQ(effective(second), 3);
        kernel.log("first");
        lock.unlock_shared();
        EXPECT_EQ(effective(S::current()), 1);
        S::wake(second);
      },
      priority(1));
  kernel.boot_with(first);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"first", "third", "second"}));
}

}  // namespace
}  // namespace sched::test
