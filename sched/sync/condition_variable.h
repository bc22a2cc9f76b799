// A condition variable: tasks wait for something that is guarded by a mutex, and have the mutex
// again when they are told to look. (C. A. R. Hoare, "Monitors", CACM 1974; what is told is a hint,
// as in B. Lampson and D. Redell, "Experience with Processes and Monitors in Mesa", CACM 1980.)
// docs/sync.md
//
// Who waits enters the queue while it still has the mutex, and parks when it has not: whoever tells
// it in between ends its wait all the same. Its place is the one that it claims without the mutex.

#ifndef BATON_SCHED_SYNC_CONDITION_VARIABLE_H_
#define BATON_SCHED_SYNC_CONDITION_VARIABLE_H_

#include <concepts>
#include <optional>

#include "sched/scheduler.h"
#include "sched/sync/sweep.h"
#include "sched/wait.h"

namespace sched {

/// The standard's named requirement, as far as a compiler can tell.
template <typename L>
concept BasicLockable = requires(L& lock) {
  lock.lock();
  lock.unlock();
};

/// See the head of this file. With a `Mutex`, a `std::unique_lock` of one, or anything else that is
/// BasicLockable, also a spinlock that masks interrupts. Constant-initialised; must not go while
/// somebody waits or is in a call. 48 bytes.
///
///     from          task   interrupt or boot   on misuse
///     notify_(...)   x          x
///     wait(_...)     x                         stops: machine's panic
///
/// However a wait ends, the caller has the lock again, and how long that takes is no part of the
/// wait; a former owner of the mutex may have ended with it (`Mutex::abandoned`).
///
/// O(1) to notify while nobody waits; O(log n) for n that do, and for all as often as that.
template <typename S>
class ConditionVariable {
 public:
  constexpr ConditionVariable() = default;
  ConditionVariable(const ConditionVariable&) = delete;
  ConditionVariable& operator=(const ConditionVariable&) = delete;

  /// Ends the wait of the first who waits.
  void notify_one() {
    if (!waiters_.empty()) wake_first();
  }

  /// Ends the waits of all who wait now.
  void notify_all() {
    if (!waiters_.empty()) wake_all();
  }

  /// Unlocks `lock`, waits to be notified, and locks it again: for ever, or until an instant, or
  /// for so long. Look whether it is true what is waited for: somebody else may have been first.
  template <BasicLockable L>
  Waited wait(L& lock) {
    return wait_until(lock, never);
  }
  template <BasicLockable L>
  [[clang::no_thread_safety_analysis]] Waited wait_until(L& lock, Instant until) {
    Place place;
    enter(place);
    lock.unlock();
    const Waited waited = park(place, until);
    lock.lock();
    return waited;
  }
  template <BasicLockable L>
  Waited wait_for(L& lock, Duration length) {
    return wait_until(lock, S::now() + length);
  }

  /// The same until `holds()`, which is called with the lock. `done`: it does.
  template <BasicLockable L, std::predicate F>
  Waited wait(L& lock, F holds) {
    return wait_until(lock, never, holds);
  }
  template <BasicLockable L, std::predicate F>
  Waited wait_until(L& lock, Instant until, F holds) {
    while (!holds()) {
      const Waited waited = wait_until(lock, until);
      if (waited != Waited::done) return holds() ? Waited::done : waited;
    }
    return Waited::done;
  }
  template <BasicLockable L, std::predicate F>
  Waited wait_for(L& lock, Duration length, F holds) {
    return wait_until(lock, S::now() + length, holds);
  }

 private:
  // A task's, on its stack.
  struct Place {
    std::optional<Waiting<S>> waiting;
    std::optional<sync_internal::SweptWaiter<S>> waiter;
  };

  // With the caller's lock, which may be one that masks interrupts.
  [[gnu::noinline]] void enter(Place& place) {
    typename S::Masked masked;
    place.waiting.emplace(masked);
    place.waiter.emplace(*place.waiting);
    waiters_.lock();
    waiters_.insert(*place.waiter);
    waiters_.unlock();
    // To unlock is not part of the wait: it changes what the task is bound to, and may wait itself.
    S::Masked::end_wait(masked.self(), *place.waiting);
  }

  // Without the caller's lock.
  [[gnu::noinline]] Waited park(Place& place, Instant until) {
    typename S::Masked masked;
    masked.require_task();
    S::Masked::begin_wait(masked.self(), *place.waiting);
    Waited waited = Waited::done;
    // The wake that follows a notification may have been spent already.
    if (!place.waiting->await_service(&S::relax)) {
      if constexpr (Ranks<typename S::Policy>) {
        const auto claim = S::claim(masked.self());
        waiters_.lock();
        waiters_.update(*place.waiter, claim);
        waiters_.unlock();
      }
      waited = waiters_.wait(masked, *place.waiting, *place.waiter, until, [] {});
    }
    place.waiter.reset();
    place.waiting.reset();
    return waited;
  }

  [[gnu::noinline]] void wake_first() {
    typename S::Masked masked;
    waiters_.lock();
    const auto served = waiters_.serve([](Waiter<S>&) {});
    waiters_.unlock();
    if (served) masked.wake(served);
  }

  [[gnu::noinline]] void wake_all() {
    bool has_begun = false;
    sync_internal::serve_each<S>([&]() -> sync_internal::Step<S> {
      waiters_.lock();
      if (!has_begun) waiters_.begin_sweep();
      has_begun = true;
      const auto served = waiters_.step([](Waiter<S>&) { return true; }, [](Waiter<S>&) {});
      const bool is_last = !waiters_.is_sweeping();
      waiters_.unlock();
      return {served, is_last};
    });
  }

  sync_internal::SweepQueue<S> waiters_;
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_CONDITION_VARIABLE_H_
