// A fair spin lock: for a few words that several CPUs, or tasks and interrupt handlers, share.
// docs/sync.md
//
// For kernels' own use. Whoever holds it is masked and must not wait for anything; what takes
// longer than some hundred instructions is a mutex's business.

#ifndef BATON_SCHED_SYNC_SPIN_LOCK_H_
#define BATON_SCHED_SYNC_SPIN_LOCK_H_

#include "sched/policy/ticket_lock.h"

namespace sched {

/// A ticket lock (sched/policy/ticket_lock.h), with the machine's pause while it waits: who asks
/// first gets it first, so whoever waits does so for one critical section of each other CPU at
/// most. `S` is the scheduler. Constant-initialised. 8 bytes.
///
///     from                    task   interrupt or boot
///     SpinGuard                 x          x             masks, and puts back what was
///     lock, try_lock, unlock  masked       x
///
/// `Lockable` of the standard; but `lock` leaves interrupts as they are, for who locks several
/// restores them once, after the last. So `std::scoped_lock` belongs after an `S::Masked`. Not
/// recursive.
template <typename S>
class [[clang::capability("mutex")]] SpinLock {
 public:
  constexpr SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  [[clang::acquire_capability()]] void lock() { lock_.lock(&S::relax); }
  [[clang::try_acquire_capability(true)]] bool try_lock() { return lock_.try_lock(); }
  [[clang::release_capability()]] void unlock() { lock_.unlock(); }

 private:
  TicketLock lock_;
};

/// Holds a spin lock, with interrupts masked, as long as it lives. They nest, the last to come goes
/// first.
template <typename S>
class [[clang::scoped_lockable]] SpinGuard {
 public:
  explicit SpinGuard(SpinLock<S>& lock) __attribute__((acquire_capability(lock))) : lock_(lock) {
    lock_.lock();
  }
  [[clang::release_capability()]] ~SpinGuard() { lock_.unlock(); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  typename S::Masked masked_;  // before the lock, and after it
  SpinLock<S>& lock_;
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_SPIN_LOCK_H_
