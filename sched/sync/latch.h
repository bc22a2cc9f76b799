// A latch: tasks wait until something has happened a given number of times; from then on nobody
// waits any more. The standard's `std::latch`, for a kernel: it counts down from interrupts, too.
// docs/sync.md
//
// The count is an atomic word, whose highest bit marks that somebody waits. Who takes it to zero
// and finds it marked wakes them all, in order, one at a time masked.

#ifndef BATON_SCHED_SYNC_LATCH_H_
#define BATON_SCHED_SYNC_LATCH_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "sched/scheduler.h"
#include "sched/sync/sweep.h"
#include "sched/wait.h"

namespace sched {

/// See the head of this file. Everything stored before a `count_down` is visible after the wait
/// that it ends. Constant-initialised; must not go while somebody waits or is in a call. 32 bytes.
///
///     from                 task   interrupt or boot   on misuse
///     count_down, try_wait  x          x              false
///     wait(_...),           x                         stops: machine's panic
///     arrive_and_wait(_...)
///
/// O(1) while nobody waits; O(log n) for n that do, and for the last `count_down` as often as that.
template <typename S>
class Latch {
 public:
  static constexpr uint32_t kMost = INT32_MAX;

  /// Opens after `count` counts, from 0 to `kMost`.
  constexpr explicit Latch(uint32_t count) : word_(count) {}
  Latch(const Latch&) = delete;
  Latch& operator=(const Latch&) = delete;

  /// Counts `by` down. False: there is not so much left, and nothing has changed.
  bool count_down(uint32_t by = 1) {
    std::optional<typename S::NoPreempt> guard;  // who opens it stays until all are awake
    uint32_t word = word_.load(std::memory_order_relaxed);
    do {
      if (by > (word & ~kMarked)) [[unlikely]]
        return false;
      if (word - by == kMarked && by != 0 && !guard) [[unlikely]]
        guard.emplace();
    } while (!word_.compare_exchange_weak(word, word - by, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    if (word - by == kMarked && by != 0) [[unlikely]]
      open();
    return true;
  }

  /// Whether it is open.
  bool try_wait() const { return (word_.load(std::memory_order_acquire) & ~kMarked) == 0; }

  /// Waits until it is open: for ever, or until an instant, or for so long.
  Waited wait() { return wait_until(never); }
  Waited wait_until(Instant until) { return try_wait() ? Waited::done : block(until); }
  Waited wait_for(Duration length) { return try_wait() ? Waited::done : block(S::now() + length); }

  /// Counts one down, which stays so however the wait ends, and waits.
  Waited arrive_and_wait() { return arrive_and_wait_until(never); }
  Waited arrive_and_wait_until(Instant until) {
    count_down();
    return wait_until(until);
  }
  Waited arrive_and_wait_for(Duration length) { return arrive_and_wait_until(S::now() + length); }

  /// How much was left a moment ago.
  uint32_t count() const { return word_.load(std::memory_order_relaxed) & ~kMarked; }

 private:
  static constexpr uint32_t kMarked = uint32_t{1} << 31;  // somebody waits, or has waited

  [[gnu::noinline]] Waited block(Instant until) {
    typename S::Masked masked;
    masked.require_task();
    waiters_.lock();
    // The last look.
    for (uint32_t word = word_.load(std::memory_order_acquire);;) {
      if ((word & ~kMarked) == 0) {
        waiters_.unlock();
        return Waited::done;
      }
      if ((word & kMarked) != 0) break;
      if (word_.compare_exchange_weak(word, word | kMarked, std::memory_order_acquire)) break;
    }
    Waiting<S> waiting(masked);
    Waiter<S> waiter(waiting);
    waiters_.insert(waiter);
    waiters_.unlock();
    return waiters_.wait(masked, waiting, waiter, until, [] {});
  }

  // Nobody comes any more: who looks now finds it open.
  [[gnu::noinline]] void open() {
    sync_internal::serve_each<S>([&]() -> sync_internal::Step<S> {
      waiters_.lock();
      const auto served = waiters_.serve([](Waiter<S>&) {});
      const bool is_last = waiters_.empty();
      waiters_.unlock();
      return {served, is_last};
    });
  }

  std::atomic<uint32_t> word_;
  WaitQueue<S> waiters_;
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_LATCH_H_
