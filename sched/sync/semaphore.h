// A counting semaphore: permits that are given by whoever has some, and taken by whoever needs one.
// (E. W. Dijkstra, "Over de sequentialiteit van procesbeschrijvingen", EWD 35, 1962.) docs/sync.md
//
// While nobody waits the count is one atomic word, and give and take are one compare-and-swap each.
// Whoever finds no permit marks the word; as long as it is marked there are no permits in it, and
// each one given goes straight to the first who waits. So none is overtaken by who comes later.

#ifndef BATON_SCHED_SYNC_SEMAPHORE_H_
#define BATON_SCHED_SYNC_SEMAPHORE_H_

#include <atomic>
#include <cstdint>

#include "sched/scheduler.h"
#include "sched/wait.h"

namespace sched {

/// See the head of this file. Everything stored before a `give` is visible after the `take` that
/// gets its permit. Constant-initialised; must not go while somebody waits. 32 bytes.
///
///     from          task   interrupt or boot   on misuse
///     give, try_take  x          x
///     take(_...)      x                        stops: machine's panic
///
/// O(1) while nobody waits, O(log n) for n that do.
template <typename S>
class Semaphore {
 public:
  static constexpr int32_t kMost = INT32_MAX;

  /// With `permits` to begin with and at most `most` at a time: from 0, and 1, to `kMost`.
  constexpr explicit Semaphore(int32_t permits = 0, int32_t most = kMost)
      : word_(permits), most_(most) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// One permit more, or the first who waits has it. False: there are `most` already.
  bool give() {
    int32_t word = word_.load(std::memory_order_relaxed);
    // Marked, as unsigned, is above any number of permits.
    while (static_cast<uint32_t>(word) < static_cast<uint32_t>(most_)) [[likely]] {
      if (word_.compare_exchange_weak(word, word + 1, std::memory_order_release,
                                      std::memory_order_relaxed)) {
        return true;
      }
    }
    return word == kMarked && hand_over();
  }

  /// A permit, if there is one.
  bool try_take() {
    int32_t word = word_.load(std::memory_order_relaxed);
    while (word > 0) [[likely]] {
      if (word_.compare_exchange_weak(word, word - 1, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  /// Waits for a permit: for ever, or until an instant, or for so long. `done`: it has one.
  Waited take() { return take_until(never); }
  Waited take_until(Instant until) { return try_take() ? Waited::done : wait(until); }
  Waited take_for(Duration length) { return try_take() ? Waited::done : wait(S::now() + length); }

  /// How many permits there were a moment ago.
  int32_t permits() const {
    const int32_t word = word_.load(std::memory_order_relaxed);
    return word == kMarked ? 0 : word;
  }

  /// For `wait_any` (sched/sync/wait_any.h), which says what these are.
  class Taking {
   public:
    using Waiter = sched::Waiter<S>;

    explicit Taking(Semaphore& semaphore) : semaphore_(semaphore) {}
    bool try_now() { return semaphore_.try_take(); }
    Waiter waiter(Waiting<S>& waiting) { return Waiter(waiting); }
    typename S::Served enter(Waiter& waiter) { return semaphore_.enter(waiter); }
    void leave(Waiter& waiter) { semaphore_.leave(waiter); }

   private:
    Semaphore& semaphore_;
  };

 private:
  static constexpr int32_t kMarked = -1;  // no permit, and somebody waits

  [[gnu::noinline]] Waited wait(Instant until) {
    typename S::MaskedTask masked;
    waiters_.lock();
    // The last look. Under the lock the word is marked if and only if somebody waits.
    static_assert(kMarked == 0 - 1);
    int32_t word = word_.load(std::memory_order_relaxed);
    while (word != kMarked &&
           !internal::change_masked<S::kMany>(word_, word, word - 1, std::memory_order_acquire)) {
    }
    if (word > 0) [[unlikely]] {
      waiters_.unlock();
      return Waited::done;
    }
    Waiting<S> waiting(masked);
    Waiter<S> waiter(waiting);
    waiters_.insert(waiter);
    waiters_.unlock();
    return waiters_.wait(masked, waiting, waiter, until, [&] { unmark(0); });
  }

  // The word is marked, or was a moment ago.
  [[gnu::noinline]] bool hand_over() {
    typename S::Masked masked;
    waiters_.lock();
    if (word_.load(std::memory_order_relaxed) != kMarked) {
      waiters_.unlock();
      return give();
    }
    const auto served = waiters_.serve([this](Waiter<S>&) { unmark(0); });
    if (!served) [[unlikely]]
      unmark(1);
    waiters_.unlock();
    if (served) masked.wake(served);
    return true;
  }

  typename S::Served enter(Waiter<S>& waiter) {
    waiters_.lock();
    // A permit may be taken if and only if this ends the call, which may be over by now: so none is
    // to be had by others meanwhile. A `try_take` may miss one that is left in the end.
    int32_t word = word_.load(std::memory_order_relaxed);
    while (word != kMarked && !word_.compare_exchange_weak(word, kMarked, std::memory_order_acquire,
                                                           std::memory_order_relaxed)) {
    }
    if (word <= 0) {
      waiters_.insert(waiter);
    } else {
      const bool taken = waiter.waiting().begin_to_serve();
      word_.store(taken ? word - 1 : word, std::memory_order_release);
      if (taken) waiter.waiting().serve(&waiter);
    }
    waiters_.unlock();
    return {};
  }

  void leave(Waiter<S>& waiter) {
    waiters_.lock();
    if (waiter.is_in()) {
      waiters_.remove(waiter);
      unmark(0);
    }
    waiters_.unlock();
  }

  // If nobody waits any more. Locked, and marked: nobody else writes a marked word.
  void unmark(int32_t permits) {
    if (waiters_.empty()) word_.store(permits, S::kRelease);
  }

  std::atomic<int32_t> word_;
  const int32_t most_;
  WaitQueue<S> waiters_;
};

/// A permit of `semaphore`, among other things to be waited for.
template <typename S>
typename Semaphore<S>::Taking taking(Semaphore<S>& semaphore) {
  return typename Semaphore<S>::Taking(semaphore);
}

}  // namespace sched

#endif  // BATON_SCHED_SYNC_SEMAPHORE_H_
