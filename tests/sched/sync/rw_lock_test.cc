// Readers and writers: who gets in beside whom and in which order.

#include "sched/sync/rw_lock.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "tests/sched/kernel.h"
#include "tests/sched/sync/lock_kit.h"

namespace sched::test {
namespace {

static_assert(sizeof(RwLock<S>) == 56 + 4 * 48);
static_assert(sizeof(RwLock<S, 1>) == 56 + 48);

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
