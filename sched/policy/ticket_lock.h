// A lock for a few words of memory that several CPUs share: short, fair, and for masked CPUs only.
//
// Who asks first gets it first, as at a counter with tickets: so a wait is bounded by as many
// critical sections as there are other CPUs, and that bound is why it is not a plain test-and-set.
// (D. Reed and R. Kanodia, "Synchronization with Eventcounts and Sequencers", CACM 1979; J.
// Mellor-Crummey and M. Scott, "Algorithms for Scalable Synchronization on Shared-Memory
// Multiprocessors", TOCS 1991, section 2.2. Theirs backs off in proportion to the distance in the
// line; this one does not: it would take a clock or a loop of known length.)

#ifndef BATON_SCHED_POLICY_TICKET_LOCK_H_
#define BATON_SCHED_POLICY_TICKET_LOCK_H_

#include <atomic>
#include <cstdint>

namespace sched {

/// See the head of this file. Interrupts are masked from before `lock` to after `unlock`: whoever
/// were interrupted in between by somebody who wants the lock would wait for ever. Not recursive.
/// Tickets wrap, which does no harm while fewer than 2^32 CPUs wait.
class [[clang::capability("mutex")]] TicketLock {
 public:
  constexpr TicketLock() = default;
  TicketLock(const TicketLock&) = delete;
  TicketLock& operator=(const TicketLock&) = delete;

  [[clang::acquire_capability()]] void lock() {
    lock([] {});
  }

  /// The same, with `relax()` between two looks.
  template <typename Relax>
  [[clang::acquire_capability()]] void lock(Relax relax) {
    const uint32_t mine = next_.fetch_add(1, std::memory_order_relaxed);
    while (serving_.load(std::memory_order_acquire) != mine) relax();
  }

  /// Only if it has not to wait.
  [[clang::try_acquire_capability(true)]] bool try_lock() {
    // Whom it serves is never ahead of who is next: if this ticket is next to be given out, it is
    // still the one to be served.
    uint32_t mine = serving_.load(std::memory_order_acquire);
    return next_.compare_exchange_strong(mine, mine + 1, std::memory_order_relaxed);
  }

  [[clang::release_capability()]] void unlock() {
    // Nobody else writes it while the lock is held.
    serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

 private:
  std::atomic<uint32_t> next_{0};
  std::atomic<uint32_t> serving_{0};
};

/// Holds a lock as long as it lives.
class [[clang::scoped_lockable]] TicketGuard {
 public:
  explicit TicketGuard(TicketLock& lock) __attribute__((acquire_capability(lock))) : lock_(lock) {
    lock_.lock();
  }
  template <typename F>
  TicketGuard(TicketLock& lock, F relax) __attribute__((acquire_capability(lock))) : lock_(lock) {
    lock_.lock(relax);
  }
  [[clang::release_capability()]] ~TicketGuard() { lock_.unlock(); }
  TicketGuard(const TicketGuard&) = delete;
  TicketGuard& operator=(const TicketGuard&) = delete;

 private:
  TicketLock& lock_;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_TICKET_LOCK_H_
