// Event flags: 32 bits that are set by whoever knows that something has happened, and waited for,
// any of several or all of them, by whoever must know. (As in many real-time kernels since RSX-11M,
// 1974; the forms are those of uITRON 4.0, section 4.4.2.) docs/sync.md
//
// The flags are one atomic word. Whoever must wait marks it; from then on flags are set, and taken
// by who clears what it found, under the lock of the queue, so that none who waits is overtaken. A
// `set` looks at all who wait, in order (sched/sync/sweep.h), and each sees what those before it
// have left.

#ifndef BATON_SCHED_SYNC_EVENT_FLAGS_H_
#define BATON_SCHED_SYNC_EVENT_FLAGS_H_

#include <atomic>
#include <cstdint>

#include "sched/scheduler.h"
#include "sched/sync/sweep.h"
#include "sched/wait.h"

namespace sched {

/// Which of the wanted flags must be set.
enum class FlagMatch : uint8_t { any, all };

/// What becomes of the flags that end a wait.
enum class FlagUse : uint8_t { keep, clear };

/// How a wait for flags has ended.
struct FlagsWaited {
  Waited waited;
  uint32_t flags;  ///< of the wanted ones those that were set; none, unless it is `done`
  friend bool operator==(const FlagsWaited&, const FlagsWaited&) = default;
};

/// See the head of this file. Everything stored before a `set` is visible after the wait that it
/// ends. Constant-initialised; must not go while somebody waits or is in a call. 56 bytes.
///
///     from                   task   interrupt or boot   on misuse
///     set, clear, try_wait    x          x
///     wait(_...)              x                         also for no flag: stops (machine's panic)
///
/// O(1) while nobody waits. A `set` with n that do: O(n) steps, with O(log n) masked in each where
/// the caller is not. If somebody else clears flags before it has come to all, it sees them no
/// more.
template <typename S>
class EventFlags {
 public:
  constexpr explicit EventFlags(uint32_t flags = 0) : word_(flags) {}
  EventFlags(const EventFlags&) = delete;
  EventFlags& operator=(const EventFlags&) = delete;

  /// Those that were set a moment ago.
  uint32_t flags() const { return static_cast<uint32_t>(word_.load(std::memory_order_acquire)); }

  /// Sets flags, and ends the waits of all whom that satisfies.
  void set(uint32_t flags) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while ((word & kMarked) == 0) [[likely]] {
      if (word_.compare_exchange_weak(word, word | flags, std::memory_order_release,
                                      std::memory_order_relaxed)) {
        return;
      }
    }
    set_and_serve(flags);
  }

  /// Clears flags. Those of them that were set.
  uint32_t clear(uint32_t flags) {
    return static_cast<uint32_t>(word_.fetch_and(~uint64_t{flags}, std::memory_order_acq_rel)) &
           flags;
  }

  /// Of the `wanted` flags those that are set, if they suffice; otherwise, and while those who wait
  /// already are being served with what it would clear: none.
  uint32_t try_wait(uint32_t wanted, FlagMatch match, FlagUse use) {
    const Want want{wanted, match, use};
    uint64_t word = word_.load(std::memory_order_acquire);
    while (want.is_met_by(word)) {
      if (use == FlagUse::keep) return want.of(word);
      if ((word & kMarked) != 0) [[unlikely]]
        return take_marked(want);
      if (word_.compare_exchange_weak(word, word & ~uint64_t{want.of(word)},
                                      std::memory_order_acq_rel, std::memory_order_acquire)) {
        return want.of(word);
      }
    }
    return 0;
  }

  /// Waits until they suffice: for ever, or until an instant, or for so long.
  FlagsWaited wait(uint32_t wanted, FlagMatch match, FlagUse use) {
    return wait_until(wanted, match, use, never);
  }
  FlagsWaited wait_until(uint32_t wanted, FlagMatch match, FlagUse use, Instant until) {
    if (const uint32_t found = try_wait(wanted, match, use)) return {Waited::done, found};
    return block({wanted, match, use}, until);
  }
  FlagsWaited wait_for(uint32_t wanted, FlagMatch match, FlagUse use, Duration length) {
    if (const uint32_t found = try_wait(wanted, match, use)) return {Waited::done, found};
    return block({wanted, match, use}, S::now() + length);
  }

 private:
  struct Want;
  struct FlagWaiter;

 public:
  /// For `wait_any` (sched/sync/wait_any.h), which says what these are.
  class Expecting {
   public:
    using Waiter = FlagWaiter;

    Expecting(EventFlags& flags, const Want& want, uint32_t& found)
        : flags_(flags), want_(want), found_(found) {}
    bool try_now() {
      const uint32_t found = flags_.try_wait(want_.wanted, want_.match, want_.use);
      if (found != 0) found_ = found;
      return found != 0;
    }
    Waiter waiter(Waiting<S>& waiting) { return Waiter(waiting, want_); }
    typename S::Served enter(Waiter& waiter) { return flags_.enter(waiter); }
    void leave(Waiter& waiter) {
      flags_.leave(waiter);
      if (waiter.found != 0) found_ = waiter.found;
    }

   private:
    EventFlags& flags_;
    const Want want_;
    uint32_t& found_;
  };

 private:
  static constexpr uint64_t kMarked = uint64_t{1} << 32;  // somebody waits

  struct Want {
    uint32_t of(uint64_t word) const { return static_cast<uint32_t>(word) & wanted; }
    bool is_met_by(uint64_t word) const {
      return match == FlagMatch::any ? of(word) != 0 : of(word) == wanted && wanted != 0;
    }

    uint32_t wanted;
    FlagMatch match;
    FlagUse use;
  };

  struct FlagWaiter : sync_internal::SweptWaiter<S> {
    FlagWaiter(Waiting<S>& waiting, const Want& want)
        : sync_internal::SweptWaiter<S>(waiting), want(want) {}

    const Want want;
    uint32_t found = 0;
  };

  [[gnu::noinline]] FlagsWaited block(const Want& want, Instant until) {
    typename S::Masked masked;
    masked.require_task();
    if (want.wanted == 0) S::Masked::stop("waiting for no event flag", masked.self());
    waiters_.lock();
    // The last look. Under the lock the word is marked if and only if somebody waits.
    for (uint64_t word = word_.load(std::memory_order_acquire);;) {
      if (const uint32_t found = take(want, word)) {
        waiters_.unlock();
        return {Waited::done, found};
      }
      if ((word & kMarked) != 0) break;
      if (word_.compare_exchange_weak(word, word | kMarked, std::memory_order_acquire)) break;
    }
    Waiting<S> waiting(masked);
    FlagWaiter waiter(waiting, want);
    waiters_.insert(waiter, waiters_.is_sweeping());
    waiters_.unlock();
    const Waited waited = waiters_.wait(masked, waiting, waiter, until, [&] { unmark(); });
    return {waited, waiter.found};
  }

  [[gnu::noinline]] uint32_t take_marked(const Want& want) {
    typename S::Masked masked;
    waiters_.lock();
    uint64_t word = word_.load(std::memory_order_acquire);
    const uint32_t found = take(want, word);
    waiters_.unlock();
    return found;
  }

  typename S::Served enter(FlagWaiter& waiter) {
    const Want& want = waiter.want;
    if (want.wanted == 0) S::Masked::stop("waiting for no event flag", waiter.task());
    waiters_.lock();
    // Marked, they are set and taken under the lock: what is seen here is still there when the call
    // has begun to be served.
    const uint64_t word = word_.fetch_or(kMarked, std::memory_order_acq_rel);
    if (!want.is_met_by(word) || (want.use == FlagUse::clear && waiters_.is_sweeping())) {
      waiters_.insert(waiter, waiters_.is_sweeping());
    } else if (waiter.waiting().begin_to_serve()) {
      hand_over(waiter, word);
      waiter.waiting().serve(static_cast<Waiter<S>*>(&waiter));
    }
    unmark();
    waiters_.unlock();
    return {};
  }

  void leave(FlagWaiter& waiter) {
    waiters_.lock();
    waiters_.remove(waiter);
    unmark();
    waiters_.unlock();
  }

  // What it wants is in `word`. Locked, and marked.
  void hand_over(FlagWaiter& waiter, uint64_t word) {
    waiter.found = waiter.want.of(word);
    if (waiter.want.use == FlagUse::clear) clear(waiter.found);
  }

  // What it wants, as far as those who wait already leave it. Locked. None: `word` does not hold
  // it, or a sweep is on its way to somebody who may want it too.
  uint32_t take(const Want& want, uint64_t& word) {
    while (want.is_met_by(word)) {
      if (want.use == FlagUse::keep) return want.of(word);
      if (waiters_.is_sweeping()) return 0;
      if (word_.compare_exchange_weak(word, word & ~uint64_t{want.of(word)},
                                      std::memory_order_acq_rel, std::memory_order_acquire)) {
        return want.of(word);
      }
    }
    return 0;
  }

  [[gnu::noinline]] void set_and_serve(uint32_t flags) {
    bool is_set = false;
    sync_internal::serve_each<S>([&]() -> sync_internal::Step<S> {
      waiters_.lock();
      if (!is_set) {
        is_set = true;
        const uint64_t before = word_.fetch_or(flags, std::memory_order_acq_rel);
        // What was set already nobody waits for.
        if ((flags & ~before) != 0) waiters_.begin_sweep();
      }
      uint64_t word = 0;
      const auto served = waiters_.step(
          [&](Waiter<S>& waiter) {
            word = word_.load(std::memory_order_acquire);
            return static_cast<FlagWaiter&>(waiter).want.is_met_by(word);
          },
          [&](Waiter<S>& waiter) { hand_over(static_cast<FlagWaiter&>(waiter), word); });
      unmark();
      const bool is_last = !waiters_.is_sweeping();
      waiters_.unlock();
      return {served, is_last};
    });
  }

  // If nobody waits any more. Locked.
  void unmark() {
    if (waiters_.empty()) word_.fetch_and(~kMarked, std::memory_order_relaxed);
  }

  std::atomic<uint64_t> word_;
  sync_internal::SweepQueue<S> waiters_;
};

/// Those of `flags` that are wanted, among other things to be waited for: `found`, if it is they.
template <typename S>
typename EventFlags<S>::Expecting expecting(EventFlags<S>& flags, uint32_t wanted, FlagMatch match,
                                            FlagUse use, uint32_t& found) {
  return typename EventFlags<S>::Expecting(flags, {wanted, match, use}, found);
}

}  // namespace sched

#endif  // BATON_SCHED_SYNC_EVENT_FLAGS_H_
