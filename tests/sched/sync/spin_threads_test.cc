// The locks that spin on real threads, which interleave wherever they like: as they are, and once
// more under ThreadSanitizer, to whom a copy that is torn and not thrown away is a race as well.

#include <array>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "sched/sync/seq_lock.h"
#include "sched/sync/spin_lock.h"

namespace sched::test {
namespace {

// What the locks need of a scheduler.
struct Threads {
  static void relax() { std::this_thread::yield(); }
  struct Masked {
    Masked() {}  // a thread is not interrupted by another that waits for it
  };
};

TEST(SpinLock, OrdersWhatIsNotAtomic) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5000;
  SpinLock<Threads> lock;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < kRounds; ++n) {
        if (i % 2 == 0) {
          SpinGuard<Threads> guard(lock);
          ++count;
        } else {
          while (!lock.try_lock()) Threads::relax();
          ++count;
          lock.unlock();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * kRounds);
}

// All words are the same, and so is what was stored before them in memory that is not atomic.
struct Wide {
  static constexpr size_t kWords = 64;
  std::array<uint64_t, kWords> words = {};

  bool is_whole() const {
    for (const uint64_t word : words)
      if (word != words[0]) return false;
    return true;
  }
};

TEST(SeqLock, GivesNoTornCopiesAndHoldsUpNoWriter) {
  constexpr uint64_t kStores = 30'000;
  SeqLock<Threads, Wide> lock;
  std::vector<uint64_t> before(kStores + 1);
  std::vector<std::thread> readers;
  for (const bool waits : {false, true}) {
    readers.emplace_back([&, waits] {
      for (uint64_t last = 0; last != kStores;) {
        Wide value;
        value.words.fill(last);
        if (waits) {
          value = lock.load();
        } else if (!lock.try_load(value)) {
          EXPECT_EQ(value.words[0], last);
        }
        ASSERT_TRUE(value.is_whole());
        ASSERT_GE(value.words[0], last);
        last = value.words[0];
        EXPECT_EQ(before[last], last);
      }
    });
  }
  Wide value;
  for (uint64_t n = 1; n <= kStores; ++n) {
    before[n] = n;
    value.words.fill(n);
    lock.store(value);
  }
  for (auto& thread : readers) thread.join();
}

}  // namespace
}  // namespace sched::test
