// Counters, stopwatches and histograms: exact for their one writer, whole for every reader.

#include "sched/stats.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "gtest/gtest.h"
#include "hal/time.h"

namespace sched::test {
namespace {

constexpr hal::Duration ticks(uint64_t count) { return hal::Duration{count}; }
constexpr hal::Instant at(uint64_t instant) { return hal::Instant{instant}; }

TEST(Counter, Counts) {
  Counter counter;
  EXPECT_EQ(counter.read(), 0u);
  for (int i = 0; i < 3; ++i) counter.add();
  EXPECT_EQ(counter.read(), 3u);
  counter.reset();
  EXPECT_EQ(counter.read(), 0u);
}

TEST(Stopwatch, AddsUpIntervals) {
  Stopwatch watch;
  watch.start(at(10));
  watch.stop(at(25));
  watch.start(at(100));
  watch.stop(at(101));
  EXPECT_EQ(watch.read(at(500)), ticks(16));
}

TEST(Stopwatch, CanBeReadInTheMiddleOfAnInterval) {
  Stopwatch watch;
  EXPECT_EQ(watch.read(at(1)), ticks(0));
  watch.start(at(1));
  EXPECT_EQ(watch.read(at(1)), ticks(0));
  EXPECT_EQ(watch.read(at(8)), ticks(7));
  watch.stop(at(11));
  watch.start(at(50));
  EXPECT_EQ(watch.read(at(53)), ticks(13));
}

TEST(Stopwatch, KnowsWhetherItRuns) {
  Stopwatch watch;
  EXPECT_FALSE(watch.running());
  watch.start(at(1));
  EXPECT_TRUE(watch.running());
  watch.stop(at(1));
  EXPECT_FALSE(watch.running());
  watch.start(at(7));  // it has already measured as much as the clock shows, less one
  watch.stop(at(13));
  watch.start(at(13));
  EXPECT_TRUE(watch.running());
}

// It runs from the clock's very first instant and is never stopped for longer than nothing.
TEST(Stopwatch, MayRunAllTheTimeSinceTheFirstInstant) {
  Stopwatch watch;
  for (uint64_t now = 1; now < 100; ++now) {
    watch.start(at(now));
    ASSERT_TRUE(watch.running()) << now;
    watch.stop(at(now + 1));
    ASSERT_FALSE(watch.running()) << now;
    ASSERT_EQ(watch.read(at(now + 1)), ticks(now));
  }
}

TEST(Stopwatch, LastsForAClockOfSixtyThreeBits) {
  constexpr uint64_t kLate = uint64_t{1} << 62;
  Stopwatch watch;
  watch.start(at(kLate));
  EXPECT_EQ(watch.read(at(kLate + 5)), ticks(5));
  watch.stop(at(kLate + kLate / 2));
  EXPECT_EQ(watch.read(at(kLate + kLate / 2)), ticks(kLate / 2));
}

// Read by a CPU whose clock is a little behind: a little too small, never enormous.
TEST(Stopwatch, ShowsNothingUnreasonableToAClockThatIsBehind) {
  Stopwatch watch;
  watch.start(at(1000));
  EXPECT_EQ(watch.read(at(990)), ticks(0));
  watch.stop(at(1100));
  watch.start(at(1200));
  EXPECT_EQ(watch.read(at(1190)), ticks(90));
  EXPECT_EQ(watch.read(at(1000)), ticks(0));
}

TEST(Stopwatch, ForgetsOnReset) {
  Stopwatch watch;
  watch.start(at(10));
  watch.stop(at(20));
  watch.reset();
  EXPECT_EQ(watch.read(at(30)), ticks(0));
}

// One writer, and a reader in another thread who must never see half of a change. Both halves of
// the words change all the time: the clock counts in steps of more than 2^32.
TEST(Statistics, AreNeverTorn) {
  constexpr uint64_t kStep = (uint64_t{1} << 32) + 1;
  constexpr uint64_t kRounds = 20'000;
  Stopwatch watch;
  Counter counter;
  LatencyHistogram histogram;
  std::atomic<uint64_t> clock{kStep};
  std::atomic<bool> done{false};

  std::thread reader([&] {
    uint64_t last_count = 0;
    uint64_t last_bucket = 0;
    while (!done.load(std::memory_order_acquire)) {
      const uint64_t count = counter.read();
      EXPECT_GE(count, last_count);
      last_count = count;
      const uint64_t bucket = histogram.read(5);
      EXPECT_GE(bucket, last_bucket);
      last_bucket = bucket;
      // Whatever is read between two clock readings is a sum that was reached between them: never
      // more than all the time there was, and with every step intact a multiple of the step.
      const uint64_t read = watch.read(at(clock.load(std::memory_order_acquire))).ticks;
      EXPECT_EQ(read % kStep, 0u);
      EXPECT_LE(read, clock.load(std::memory_order_acquire));
    }
  });
  for (uint64_t round = 1; round <= kRounds; ++round) {
    watch.start(at(round * kStep));
    counter.add();
    histogram.add(ticks(31));
    clock.store((round + 1) * kStep, std::memory_order_release);
    watch.stop(at((round + 1) * kStep));
  }
  done.store(true, std::memory_order_release);
  reader.join();
  EXPECT_EQ(counter.read(), kRounds);
  EXPECT_EQ(histogram.read(5), kRounds);
  EXPECT_EQ(watch.read(at(0)), ticks(kRounds * kStep));
}

TEST(LatencyHistogram, CountsByPowersOfTwo) {
  LatencyHistogram histogram;
  for (const uint64_t wait : {0u, 1u, 2u, 3u, 4u, 7u, 8u, 1023u, 1024u}) histogram.add(ticks(wait));
  EXPECT_EQ(histogram.read(0), 1u);   // 0
  EXPECT_EQ(histogram.read(1), 1u);   // 1
  EXPECT_EQ(histogram.read(2), 2u);   // 2, 3
  EXPECT_EQ(histogram.read(3), 2u);   // 4, 7
  EXPECT_EQ(histogram.read(4), 1u);   // 8
  EXPECT_EQ(histogram.read(10), 1u);  // 1023
  EXPECT_EQ(histogram.read(11), 1u);  // 1024
}

TEST(LatencyHistogram, KeepsWhatIsLongerInTheLastBucket) {
  LatencyHistogram histogram;
  histogram.add(ticks(uint64_t{1} << 38));
  histogram.add(ticks(uint64_t{1} << 39));
  histogram.add(ticks(UINT64_MAX));
  EXPECT_EQ(histogram.read(LatencyHistogram::kBuckets - 1), 3u);
}

TEST(LatencyHistogram, BoundsPercentilesFromAbove) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile(500), ticks(0));
  for (int i = 0; i < 90; ++i) histogram.add(ticks(5));
  for (int i = 0; i < 9; ++i) histogram.add(ticks(100));
  histogram.add(ticks(5000));
  EXPECT_EQ(histogram.percentile(500), ticks(7));
  EXPECT_EQ(histogram.percentile(900), ticks(7));
  EXPECT_EQ(histogram.percentile(901), ticks(127));
  EXPECT_EQ(histogram.percentile(990), ticks(127));
  EXPECT_EQ(histogram.percentile(1000), ticks(8191));
}

// Nothing but words that every machine here reads and writes whole.
TEST(Statistics, TakeOneWordEach) {
  static_assert(sizeof(Counter) == 8 && sizeof(Stopwatch) == 8);
  static_assert(std::atomic<uint64_t>::is_always_lock_free);
  static_assert(sizeof(LatencyHistogram) == 8 * (LatencyHistogram::kBuckets + 1));
}

}  // namespace
}  // namespace sched::test
