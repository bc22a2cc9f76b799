// A mutex with a ceiling: whoever has it counts for the ceiling at once, and not only when somebody
// waits. docs/sync.md
//
// The immediate ceiling protocol (J. Goodenough and L. Sha, "The Priority Ceiling Protocol", 1988;
// POSIX calls it PTHREAD_PRIO_PROTECT). With ceilings that no user's own claim precedes, tasks of
// one CPU that do not block while they have one never wait for such a mutex, cannot deadlock by
// them, and are blocked at most once by a less urgent task.

#ifndef BATON_SCHED_SYNC_CEILING_MUTEX_H_
#define BATON_SCHED_SYNC_CEILING_MUTEX_H_

#include "sched/sync/owned.h"
#include "sched/sync/standard_time.h"

namespace sched {

/// As `Mutex` (sched/sync/mutex.h), for policies that have an order of claims (`Ranks`). A task
/// whose own claim precedes the ceiling may not have it. Each lock and unlock is a change of what
/// the task inherits, and costs that. 56 bytes.
template <typename S>
  requires Ranks<typename S::Policy>
class [[clang::capability("mutex")]] CeilingMutex : public sync_internal::Owned<S> {
  using P = typename S::Policy;

 public:
  using Claim = typename S::Claim;

  constexpr explicit CeilingMutex(const Claim& ceiling)
      : sync_internal::Owned<S>(&ceiling_of_this_), ceiling_of_this_(ceiling) {}

  /// Waits for it whatever happens: through cancel and kill. What `acquire` refuses stops.
  [[clang::acquire_capability()]] void lock() {
    switch (acquire_with(never, true)) {
      case Locked::above_ceiling: stop("a task above the ceiling of a mutex locks it");
      case Locked::deadlock: stop("a mutex is waited for by its own owner");
      case Locked::too_deep: stop("a chain of mutex owners is too deep");
      default: return;
    }
  }

  /// If it is free and the caller not above its ceiling.
  [[clang::try_acquire_capability(true)]] bool try_lock() {
    return has(acquire_with(Instant{}, true));
  }

  /// By another task: stops.
  [[clang::release_capability()]] void unlock() {
    const typename S::Masked masked;
    typename S::Task& self = masked.self();
    masked.unbind(self, *this);
    this->hand_over(masked, self, 0);
  }

  /// Waits, and says how it went: for ever, until an instant, or for so long.
  Locked acquire() { return acquire_with(never, false); }
  Locked acquire_until(Instant until) { return acquire_with(until, false); }
  Locked acquire_for(Duration length) { return acquire_with(S::now() + length, false); }

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
  Locked acquire_with(Instant until, bool deaf) {
    {
      const typename S::Masked masked;
      if (P::precedes(S::claim(masked.self()), ceiling_of_this_)) return Locked::above_ceiling;
    }
    return this->wait(until, deaf);
  }

  [[noreturn]] static void stop(const char* rule) { S::Masked::stop(rule, S::current()); }

  const Claim ceiling_of_this_;
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_CEILING_MUTEX_H_
