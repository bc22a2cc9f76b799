// Statistics that may be read at any time, from anywhere, without stopping anything.
//
// Each number is one 64-bit word with one writer (the CPU that owns it) and any number of readers:
// plain loads and stores of an aligned word, never torn, no read-modify-write, no lock. Numbers
// read together are each exact but may be a few instructions apart.

#ifndef BATON_SCHED_STATS_H_
#define BATON_SCHED_STATS_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "hal/time.h"

namespace sched {

/// Counts events.
class Counter {
 public:
  void add(uint64_t more = 1) {
    count_.store(count_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  uint64_t read() const { return count_.load(std::memory_order_relaxed); }
  void reset() { count_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> count_{0};
};

/// Adds up intervals, and can be read in the middle of one.
///
/// One word says both how much and whether it runs: stopped it holds the sum; running, the sum
/// minus the instant at which the interval began, which is negative because the clock starts above
/// zero and the sum is at most the time since boot. To start subtracts the clock, to stop adds it.
class Stopwatch {
 public:
  /// It must be stopped.
  void start(hal::Instant now) { shift(-now.ticks); }

  /// It must be running.
  void stop(hal::Instant now) { shift(now.ticks); }

  void reset() { word_.store(0, std::memory_order_relaxed); }

  bool running() const { return static_cast<int64_t>(word_.load(std::memory_order_relaxed)) < 0; }

  /// The sum, with the interval under way up to `now`.
  hal::Duration read(hal::Instant now) const {
    const uint64_t word = word_.load(std::memory_order_relaxed);
    if (static_cast<int64_t>(word) >= 0) return hal::Duration{word};
    // Another CPU's clock may be a little behind the one that started the interval.
    const uint64_t sum = word + now.ticks;
    return hal::Duration{static_cast<int64_t>(sum) < 0 ? 0 : sum};
  }

 private:
  void shift(uint64_t ticks) {
    word_.store(word_.load(std::memory_order_relaxed) + ticks, std::memory_order_relaxed);
  }

  std::atomic<uint64_t> word_{0};
};

/// How long tasks waited from ready to running: bucket `i` counts the waits of `i` significant
/// bits, 2^(i-1) to 2^i - 1 ticks; bucket 0 those of no time, the last one all longer.
class LatencyHistogram {
 public:
  static constexpr size_t kBuckets = 40;

  void add(hal::Duration wait) {
    const size_t bits = static_cast<size_t>(std::bit_width(wait.ticks));
    buckets_[bits < kBuckets ? bits : kBuckets - 1].add();
    total_.add(wait.ticks);
  }

  uint64_t read(size_t bucket) const { return buckets_[bucket].read(); }

  void reset() {
    for (Counter& bucket : buckets_) bucket.reset();
    total_.reset();
  }

  /// All waits together.
  hal::Duration total() const { return hal::Duration{total_.read()}; }

  /// An upper bound of the wait that `permille` of all waits did not exceed (unless that is in the
  /// last bucket, which has none); zero without any wait.
  hal::Duration percentile(uint64_t permille) const {
    uint64_t total = 0;
    for (const Counter& bucket : buckets_) total += bucket.read();
    uint64_t below = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      below += buckets_[i].read();
      if (total != 0 && below * 1000 >= total * permille) {
        return hal::Duration{(uint64_t{1} << i) - 1};
      }
    }
    return {};
  }

 private:
  std::array<Counter, kBuckets> buckets_{};
  Counter total_;
};

}  // namespace sched

#endif  // BATON_SCHED_STATS_H_
