// Readers and writers: who gets in beside whom and in which order, what who waits lends to whom,
// and how each call ends.

#include "sched/sync/rw_lock.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/sync/mutex.h"
#include "tests/sched/kernel.h"

// Here locks are taken and not given back, and given back by who has not taken them.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

static_assert(sizeof(RwLock<S>) == 56 + 4 * 48);
static_assert(sizeof(RwLock<S, 1>) == 56 + 48);

int effective(const S::Task& task) { return S::claim(task); }

constexpr S::Attributes priority(int value) { return {.priority = static_cast<uint16_t>(value)}; }

TEST(RwLock, LetsReadersInTogetherAndAWriterAlone) {
  K kernel;
  RwLock<S> lock;
  int reading = 0;
  int most = 0;
  bool writing = false;
  const auto read = [&] {
    lock.lock_shared();
    EXPECT_FALSE(writing);
    most = std::max(most, ++reading);
    S::sleep_for(ticks(100));
    --reading;
    lock.unlock_shared();
  };
  const auto write = [&] {
    lock.lock();
    EXPECT_EQ(lock.next(), &S::current());
    EXPECT_EQ(reading, 0);
    EXPECT_FALSE(writing);
    writing = true;
    S::sleep_for(ticks(100));
    writing = false;
    lock.unlock();
  };
  kernel.boot([&] {
    for (int i = 0; i < 6; ++i) {
      kernel.spawn(kernel.make(i % 3 == 2 ? "writer" : "reader",
                               i % 3 == 2 ? std::function<void()>(write) : read));
    }
  });
  kernel.finish();
  EXPECT_EQ(most, 2);
  EXPECT_EQ(lock.next(), nullptr);
}

// Elsewhere: readers that come again and again, each while another one is still there, keep a
// writer out for good.
TEST(RwLock, DoesNotLetReadersStarveAWriter) {
  K kernel;
  RwLock<S> lock;
  bool written = false;
  int reads_before = 0;
  for (const uint64_t begin : {100, 150, 200}) {
    auto& reader = kernel.make("reader", [&, begin] {
      S::sleep_until(at(begin));
      for (int i = 0; i < 20; ++i) {
        lock.lock_shared();
        if (!written) ++reads_before;
        S::sleep_for(ticks(100));
        lock.unlock_shared();
      }
    });
    (void)reader;
  }
  kernel.make("writer", [&] {
    S::sleep_until(at(1'000));
    lock.lock();
    written = true;
    EXPECT_LT(S::now(), at(1'200)) << "who came later was first";
    lock.unlock();
  });
  kernel.boot_with_all();
  kernel.finish();
  EXPECT_LT(reads_before, 33);
}

// And writers readers: they take turns, for who is served first is who came first.
TEST(RwLock, DoesNotLetWritersStarveAReader) {
  K kernel;
  RwLock<S> lock;
  for (int i = 0; i < 2; ++i) {
    kernel.make("writer", [&] {
      for (int n = 0; n < 10; ++n) {
        lock.lock();
        S::sleep_for(ticks(100));
        lock.unlock();
      }
    });
  }
  kernel.make("reader", [&] {
    S::sleep_until(at(350));
    lock.lock_shared();
    EXPECT_LT(S::now(), at(700));
    lock.unlock_shared();
  });
  kernel.boot_with_all();
  kernel.finish();
}

TEST(RwLock, ServesThePolicysOrderAndFirstComeFirstAmongEquals) {
  K kernel;
  RwLock<S> lock;
  const auto reader = [&](std::string name, int value) -> K::Thread& {
    return kernel.make(
        name,
        [&, name] {
          lock.lock_shared();
          kernel.log(name);
          lock.unlock_shared();
        },
        priority(value));
  };
  const auto writer = [&](std::string name, int value) -> K::Thread& {
    return kernel.make(
        name,
        [&, name] {
          lock.lock();
          kernel.log(name);
          lock.unlock();
        },
        priority(value));
  };
  std::vector<K::Thread*> tasks{&reader("r5", 5), &writer("w5", 5), &reader("late r5", 5),
                                &writer("w7", 7), &reader("r9", 9), &reader("retuned", 3)};
  auto& owner = kernel.make(
      "owner",
      [&] {
        lock.lock();
        for (auto* task : tasks) kernel.spawn(*task);
        S::sleep_for(ticks(50));
        EXPECT_TRUE(S::retune(*tasks.back(), priority(8)));
        lock.unlock();
      },
      priority(1));
  kernel.boot_with(owner);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"r9", "retuned", "w7", "r5", "w5", "late r5"}));
}

// ---- What who waits lends

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

// ---- How calls end

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

TEST(RwLock, AssertsWhoHasIt) {
  const char* const rule = "a lock is not held by who says so";
  for (const bool shared : {false, true}) {
    K kernel;
    RwLock<S> lock;
    auto& task = kernel.make("task", [&] {
      EXPECT_EQ(lock.acquire_shared(), Locked::done);
      lock.assert_held_shared();
      lock.unlock_shared();
      EXPECT_EQ(lock.acquire(), Locked::done);
      lock.assert_held();
      if (shared) return lock.assert_held_shared();
      lock.unlock();
      lock.assert_held();
    });
    kernel.boot_with(task);
    EXPECT_EQ(kernel.run(), (Panic{rule, "task"}));
  }
}

// The world's clock, as the standard has clocks.
struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static time_point now() { return time_point(duration(S::now().ticks)); }
};

TEST(RwLock, ServesTheGuardsOfTheStandard) {
  K kernel;
  RwLock<S> lock;
  auto& other = kernel.make("other", [&] {
    std::unique_lock writes(lock, std::defer_lock);
    const Instant begin = S::now();
    EXPECT_FALSE(writes.try_lock_for(std::chrono::nanoseconds(100)));
    EXPECT_FALSE(writes.try_lock_until(Clock::now() + std::chrono::nanoseconds(100)));
    EXPECT_EQ(S::now() - begin, ticks(200));
    {
      std::shared_lock reads(lock, std::chrono::hours(1));
      EXPECT_TRUE(reads.owns_lock());
      reads.unlock();
      EXPECT_TRUE(reads.try_lock());
      reads.unlock();
      EXPECT_TRUE(reads.try_lock_until(Clock::now()));
    }
    EXPECT_TRUE(writes.try_lock_for(std::chrono::hours(1)));
    kernel.log("written");
  });
  auto& task = kernel.make("task", [&] {
    {
      const std::scoped_lock writes(lock);
      EXPECT_EQ(lock.next(), &S::current());
    }
    std::shared_lock reads(lock);
    kernel.spawn(other);
    S::sleep_until(at(5000));
    EXPECT_TRUE(kernel.lines.empty());
  });
  kernel.boot_with(task);
  kernel.finish();
  EXPECT_EQ(kernel.lines, (Lines{"written"}));
}

TEST(RwLock, ExcludesOnManyCpusAndForgetsNoInheritance) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    RwLock<S, 2> lock;
    int readers = 0;
    int writers = 0;
    int done = 0;
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(&kernel.make(
          "user",
          [&, i] {
            for (int n = 0; n < 4; ++n, ++done) {
              if ((i + n) % 3 == 0) {
                if (!has(lock.acquire_for(ticks(300)))) continue;
                EXPECT_EQ(++writers, 1);
                Sim::spend(ticks(20));
                EXPECT_EQ(readers, 0);
                --writers;
                lock.unlock();
              } else {
                if (n % 2 == 0) {
                  lock.lock_shared();
                } else if (!has(lock.acquire_shared_for(ticks(100)))) {
                  continue;
                }
                EXPECT_LE(++readers, 2);
                Sim::spend(ticks(20));
                EXPECT_EQ(writers, 0);
                --readers;
                lock.unlock_shared();
              }
            }
            EXPECT_EQ(effective(S::current()), i);
          },
          priority(i)));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i) {
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
      }
    });
    kernel.finish();
    EXPECT_EQ(done, 24);
    EXPECT_EQ(lock.next(), nullptr);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(lock.reader(i), nullptr);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sched::test
