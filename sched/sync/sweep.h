// For primitives by which several waiters may be served at once: to go through all who wait, in
// order, a bounded number of them while interrupts are masked, although the queue changes between.
//
// A sweep has a number, and every waiter that of the last one that looked at it; who comes during a
// sweep counts as looked at. How many it has still to look at is counted. The place where it goes
// on is only a hint: it is forgotten when the waiter there leaves, and where others move past it
// because their claims change, the sweep starts over and passes by whom it knows. It is over when
// the count says so. A sweep that begins before another one is over takes its place, and whoever
// began either of the two brings it to its end.

#ifndef BATON_SCHED_SYNC_SWEEP_H_
#define BATON_SCHED_SYNC_SWEEP_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "sched/scheduler.h"
#include "sched/wait.h"

namespace sched::sync_internal {

template <typename S>
class SweepQueue;

/// A place in a `SweepQueue`.
template <typename S>
class SweptWaiter : public Waiter<S> {
 public:
  using Waiter<S>::Waiter;

 private:
  friend SweepQueue<S>;

  uint64_t sweep_ = 0;  // the last one that does not have to look at it any more
};

/// See the head of this file. Everything but `wait` is called masked and locked. 48 bytes.
template <typename S>
class [[clang::capability("mutex")]] SweepQueue : private WaitQueue<S> {
 public:
  using Served = typename S::Served;

  /// How many waiters one step looks at, at most.
  static constexpr int kLooks = 4;

  constexpr SweepQueue() = default;

  [[clang::acquire_capability()]] void lock() { WaitQueue<S>::lock(); }
  [[clang::release_capability()]] void unlock() { WaitQueue<S>::unlock(); }

  /// Also without the lock, as of a moment ago.
  bool empty() const { return count() == 0; }

  /// Whether there is somebody whom a sweep has still to look at.
  bool is_sweeping() const { return unlooked_ != 0; }

  /// The number of the last sweep.
  uint64_t sweep() const { return sweep_; }

  /// A sweep that is under way looks at it too if it is `to_be_looked_at`.
  void insert(SweptWaiter<S>& waiter, bool to_be_looked_at = false) {
    waiter.sweep_ = to_be_looked_at ? sweep_ - 1 : sweep_;
    set_count(count() + 1);
    if (to_be_looked_at) ++unlooked_;
    WaitQueue<S>::insert(waiter);
  }

  /// As `WaitQueue::wait`.
  template <typename F>
  Waited wait(const typename S::Masked& masked, Waiting<S>& waiting, SweptWaiter<S>& waiter,
              Instant until, F gave_up) {
    return WaitQueue<S>::wait(masked, waiting, waiter, until, [&] {
      forget(waiter);
      gave_up();
    });
  }

  /// As `WaitQueue::remove`.
  void remove(SweptWaiter<S>& waiter) {
    if (!waiter.is_in()) return;
    forget(waiter);
    WaitQueue<S>::remove(waiter);
  }

  /// As `WaitQueue::update`.
  void update(SweptWaiter<S>& waiter, const typename S::Claim& claim) {
    WaitQueue<S>::update(waiter, claim);
  }

  /// As `WaitQueue::serve`: the first, whatever a sweep does.
  template <typename F>
  Served serve(F hand_over) {
    while (Waiter<S>* const first = this->first()) {
      if (const Served served = serve(static_cast<SweptWaiter<S>&>(*first), hand_over)) {
        return served;
      }
    }
    return {};
  }

  /// From here on all who wait now are to be looked at.
  void begin_sweep() {
    ++sweep_;
    unlooked_ = count();
    next_ = nullptr;
  }

  /// Looks at the next few, until it has served one that `wants(waiter)`: who is to be woken,
  /// if anybody. While `is_sweeping` there is more to do.
  template <typename Wants, typename F>
  Served step(Wants wants, F hand_over) {
    for (int looks = 0; looks < kLooks && is_sweeping(); ++looks) {
      auto& waiter = static_cast<SweptWaiter<S>&>(next_ != nullptr ? *next_ : *this->first());
      next_ = this->next(waiter);
      if (waiter.sweep_ == sweep_) continue;
      waiter.sweep_ = sweep_;
      --unlooked_;
      if (!wants(waiter)) continue;
      if (const Served served = serve(waiter, hand_over)) return served;
    }
    return {};
  }

 private:
  template <typename F>
  Served serve(SweptWaiter<S>& waiter, F& hand_over) {
    forget(waiter);
    return WaitQueue<S>::serve(waiter, hand_over);
  }

  // It leaves, or has just left.
  void forget(SweptWaiter<S>& waiter) {
    set_count(count() - 1);
    if (waiter.sweep_ != sweep_) --unlooked_;
    if (next_ == &waiter) next_ = nullptr;
  }

  uint32_t count() const { return count_.load(std::memory_order_relaxed); }
  void set_count(uint32_t count) { count_.store(count, std::memory_order_relaxed); }

  Waiter<S>* next_ = nullptr;  // where the sweep goes on; null: with the first
  uint64_t sweep_ = 0;
  std::atomic<uint32_t> count_{0};  // who waits
  uint32_t unlooked_ = 0;
};

/// What a step of `serve_each` has done.
template <typename S>
struct Step {
  typename S::Served served;
  bool is_last;
};

/// Calls `step()` until it was the last, masked, once at a time, and wakes whom it has served. They
/// are all awake before one of them preempts the caller, who may be less urgent than any of them.
template <typename S, typename F>
void serve_each(F step) {
  std::optional<typename S::NoPreempt> guard;
  for (;;) {
    typename S::Masked masked;
    const Step<S> done = step();
    if (!done.is_last && !guard) guard.emplace();
    if (done.served) masked.wake(done.served);
    if (done.is_last) return;
  }
}

}  // namespace sched::sync_internal

#endif  // BATON_SCHED_SYNC_SWEEP_H_
