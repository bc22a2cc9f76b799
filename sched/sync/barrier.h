// A barrier: so many tasks wait for each other, the last to arrive releases all, and the next round
// begins. (E. Lusk and R. Overbeek, "Implementation of Monitors with Macros", ANL-83-97, 1983.)
// docs/sync.md
//
// Who gives up waiting takes its arrival back, unless the round is over already: then it has been
// released like all of its round, whatever would have ended its wait. The next round may begin, and
// end, while the last one of a round still wakes the others (sched/sync/sweep.h).

#ifndef BATON_SCHED_SYNC_BARRIER_H_
#define BATON_SCHED_SYNC_BARRIER_H_

#include <cstdint>
#include <optional>

#include "sched/scheduler.h"
#include "sched/sync/sweep.h"
#include "sched/wait.h"

namespace sched {

/// How a task has got past a barrier, or not.
struct BarrierPassed {
  Waited waited;  ///< `done`: all have arrived; otherwise it counts as if it had not
  bool is_last;   ///< it was the one that released the others: one of each round
  friend bool operator==(const BarrierPassed&, const BarrierPassed&) = default;
};

/// See the head of this file. Everything stored before an arrival is visible to all of its round
/// after it. Constant-initialised; must not go while somebody waits or is in a call. 56 bytes.
///
///     from                  task   interrupt or boot   on misuse
///     arrive_and_wait(_...)  x                         stops: machine's panic
///
/// There is no trying: who arrives changes what the others wait for. O(log n) for n tasks, and for
/// the last one as often as that.
template <typename S>
class Barrier {
 public:
  /// For `count` tasks, from 1.
  constexpr explicit Barrier(uint32_t count) : count_(count) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  /// Waits until all have arrived: for ever, or until an instant, or for so long.
  BarrierPassed arrive_and_wait() { return arrive_and_wait_until(never); }
  BarrierPassed arrive_and_wait_for(Duration length) {
    return arrive_and_wait_until(S::now() + length);
  }
  BarrierPassed arrive_and_wait_until(Instant until) {
    std::optional<typename S::NoPreempt> guard;  // the last one stays until all are awake
    {
      typename S::Masked masked;
      masked.require_task();
      waiters_.lock();
      if (arrived_ + 1 < count_) return {wait_for_others(masked, until), false};
      arrived_ = 0;
      waiters_.begin_sweep();
      waiters_.unlock();
      guard.emplace();
    }
    release();
    return {Waited::done, true};
  }

 private:
  // Locked; afterwards not any more.
  Waited wait_for_others(typename S::Masked& masked, Instant until)
      __attribute__((release_capability(waiters_))) {
    ++arrived_;
    const uint64_t round = waiters_.sweep();
    Waiting<S> waiting(masked);
    sync_internal::SweptWaiter<S> waiter(waiting);
    waiters_.insert(waiter);
    waiters_.unlock();
    bool is_taken_back = false;
    const Waited waited = waiters_.wait(masked, waiting, waiter, until, [&] {
      if (waiters_.sweep() != round) return;
      is_taken_back = true;
      --arrived_;
    });
    return is_taken_back ? waited : Waited::done;
  }

  void release() {
    sync_internal::serve_each<S>([&]() -> sync_internal::Step<S> {
      waiters_.lock();
      const auto served = waiters_.step([](Waiter<S>&) { return true; }, [](Waiter<S>&) {});
      const bool is_last = !waiters_.is_sweeping();
      waiters_.unlock();
      return {served, is_last};
    });
  }

  const uint32_t count_;
  uint32_t arrived_ = 0;  // in this round
  sync_internal::SweepQueue<S> waiters_;
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_BARRIER_H_
