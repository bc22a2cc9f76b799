// A mutex that its owner may lock again: for code that calls itself through others. docs/sync.md

#ifndef BATON_SCHED_SYNC_RECURSIVE_MUTEX_H_
#define BATON_SCHED_SYNC_RECURSIVE_MUTEX_H_

#include <cstdint>

#include "sched/sync/owned.h"
#include "sched/sync/standard_time.h"

namespace sched {

/// As `Mutex` (sched/sync/mutex.h), but as often as its owner likes: it is free after as many
/// unlocks. Its owner's death ends all of them. 56 bytes.
template <typename S>
class [[clang::capability("mutex")]] RecursiveMutex : public sync_internal::Owned<S> {
 public:
  constexpr RecursiveMutex() = default;

  /// Waits for it whatever happens: through cancel and kill. A deadlock with others stops.
  void lock() {
    if (take_mine_or_free()) [[likely]]
      return;
    switch (this->wait(never, true)) {
      case Locked::deadlock: stop("a mutex is waited for by its own owner");
      case Locked::too_deep: stop("a chain of mutex owners is too deep");
      default: depth_ = 0; return;
    }
  }

  /// If it is free, or the caller's.
  bool try_lock() { return take_mine_or_free() || begun(this->wait(Instant{}, true)); }

  /// As often as it was locked; by another task: stops.
  void unlock() {
    const typename S::Masked masked;
    if (depth_ != 0 && this->owner() == &masked.self()) {
      --depth_;
      return;
    }
    this->unlock_masked(masked);
  }

  /// Waits, and says how it went: for ever, until an instant, or for so long.
  Locked acquire() { return acquire_until(never); }
  Locked acquire_until(Instant until) {
    if (take_mine_or_free()) return Locked::done;
    const Locked result = this->wait(until, false);
    begun(result);
    return result;
  }
  Locked acquire_for(Duration length) { return acquire_until(S::now() + length); }

  /// In the standard's terms: whether the caller has it.
  template <StandardDuration D>
  bool try_lock_for(const D& length) {
    return has(acquire_for(ticks_of<S>(length)));
  }
  template <StandardTimePoint T>
  bool try_lock_until(const T& point) {
    return try_lock_for(point - T::clock::now());
  }

  /// For who has it, by `acquire`, which the compiler's analysis does not follow: says so. By
  /// another task: stops.
  [[clang::assert_capability()]] void assert_held() const {
    if (this->owner() != &S::current()) stop("a mutex is not held by who says so");
  }

  /// For who has it: whether it came from a task that had ended with it. Until the last unlock.
  bool abandoned() const { return this->is_abandoned(); }

 private:
  bool take_mine_or_free() {
    const typename S::Masked masked;
    if (this->owner() == &masked.self()) {
      ++depth_;
      return true;
    }
    if (!this->lock_free(masked)) return false;
    depth_ = 0;
    return true;
  }

  // What a former owner that died has left in it does not count.
  bool begun(Locked result) {
    if (has(result)) depth_ = 0;
    return has(result);
  }

  [[noreturn]] static void stop(const char* rule) { S::Masked::stop(rule, S::current()); }

  uint32_t depth_ = 0;  // the owner's: how often it has locked it beyond the first time
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_RECURSIVE_MUTEX_H_
