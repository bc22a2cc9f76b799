// Mutual exclusion with inheritance: while a task waits for a mutex, its owner counts for at least
// as much as the task does, in the policy's own terms (`Inherits`): no task that is less urgent
// than the waiting one keeps the owner from its CPU. docs/sync.md; how: sched/sync/owned.h

#ifndef BATON_SCHED_SYNC_MUTEX_H_
#define BATON_SCHED_SYNC_MUTEX_H_

#include <cstdint>

#include "sched/sync/owned.h"
#include "sched/sync/standard_time.h"

namespace sched {

/// One task at a time. Lockable, in the standard's terms, so that `std::unique_lock` and
/// `std::scoped_lock` do. Everything stored before an `unlock` is visible after the lock that
/// follows. Constant-initialised; must not go while anybody has it or waits. 48 bytes.
///
///     from          task   interrupt   on misuse
///     try_lock       x                  false
///     acquire(_...)  x                  says so
///     lock           x                  deadlock, chain too deep: stops (machine's panic)
///     unlock         x                  by another task: stops
///
/// O(1) while nobody waits: one compare-and-swap each. Otherwise O(log n) for n that wait, and O(h)
/// for h mutexes that an owner has, for each owner along the chain; at most `kDeepest` of them.
template <typename S>
class [[clang::capability("mutex")]] Mutex : public sync_internal::Owned<S> {
 public:
  constexpr Mutex() = default;

  /// Waits for it whatever happens: through cancel and kill. Whether its former owner has ended
  /// with it: see `abandoned`.
  [[clang::acquire_capability()]] void lock() {
    if (take_free()) [[likely]]
      return;
    switch (this->wait(never, true)) {
      case Locked::deadlock: stop("a mutex is waited for by its own owner");
      case Locked::too_deep: stop("a chain of mutex owners is too deep");
      default: return;
    }
  }

  /// If it is free.
  [[clang::try_acquire_capability(true)]] bool try_lock() {
    return take_free() || has(this->wait(Instant{}, true));
  }

  [[clang::release_capability()]] void unlock() {
    const typename S::Masked masked;
    this->unlock_masked(masked);
  }

  /// Waits, and says how it went: for ever, until an instant, or for so long.
  Locked acquire() { return acquire_until(never); }
  Locked acquire_until(Instant until) {
    return take_free() ? Locked::done : this->wait(until, false);
  }
  Locked acquire_for(Duration length) {
    return take_free() ? Locked::done : this->wait(S::now() + length, false);
  }

  /// In the standard's terms: whether the caller has it.
  template <StandardDuration D>
  [[clang::try_acquire_capability(true)]] bool try_lock_for(const D& length) {
    return has(acquire_for(ticks_of<S>(length)));
  }
  template <StandardTimePoint T>
  [[clang::try_acquire_capability(true)]] bool try_lock_until(const T& point) {
    return try_lock_for(point - T::clock::now());
  }

  /// For who has it, by `acquire`, which the compiler's analysis does not follow: says so. By
  /// another task: stops.
  [[clang::assert_capability()]] void assert_held() const {
    if (this->owner() != &S::current()) stop("a mutex is not held by who says so");
  }

  /// For who has it: whether it came from a task that had ended with it. Until the next unlock.
  bool abandoned() const { return this->is_abandoned(); }

 private:
  bool take_free() {
    const typename S::Masked masked;
    return this->lock_free(masked);
  }

  [[noreturn]] static void stop(const char* rule) { S::Masked::stop(rule, S::current()); }
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_MUTEX_H_
