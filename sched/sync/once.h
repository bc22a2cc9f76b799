// Something that is to be done once: whoever comes first does it, the others wait until it is done.
// Like `std::call_once`, except that waiting can end otherwise too, that what is done may fail, and
// that whoever is doing it may end in the midst of it: then the next one tries. docs/sync.md
//
// One word says it all: nobody has tried, or it is done, or who is trying. A failed try is handed
// over to the first who waits, so that nobody who comes later gets in between.

#ifndef BATON_SCHED_SYNC_ONCE_H_
#define BATON_SCHED_SYNC_ONCE_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "sched/scheduler.h"
#include "sched/sync/sweep.h"
#include "sched/wait.h"

namespace sched {

/// How a call has ended.
enum class Called : uint8_t {
  done,       ///< it is done, by this call or another one
  failed,     ///< this call tried, and what it called said that it has failed
  itself,     ///< the caller is trying already
  timed_out,  ///< the instant came first
  cancelled,  ///< somebody called `cancel_wait` first
  killed,     ///< somebody has called `kill`: clean up and finish
};

/// See the head of this file. Everything that a successful try has stored is visible after any call
/// that says `done`. Constant-initialised; must not go while somebody is in a call. 32 bytes.
///
///     from                 task   interrupt or boot   on misuse
///     is_done               x          x
///     call(_...), try_call  x                         `itself`; in an interrupt it stops
///
/// What is called runs in the calling task, unmasked and with nothing locked; it may wait. Who
/// waits for it lends it nothing. O(1) while nobody waits; O(log n) for n that do, and for who has
/// done it as often as that.
template <typename S>
class Once {
 public:
  constexpr Once() = default;
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;

  /// Whether it is done.
  bool is_done() const { return word_.load(std::memory_order_acquire) == kDone; }

  /// Calls `f()` if nobody has done so, or waits while somebody does: for ever, or until an
  /// instant, or for so long. `f` returns nothing, or whether it has done it. If it has not, or the
  /// task exits in it, the next one tries.
  template <std::invocable F>
  Called call(F&& f) {
    return call_until(never, f);
  }
  template <std::invocable F>
  Called call_until(Instant until, F&& f) {
    return is_done() ? Called::done : call_undone(until, f);
  }
  template <std::invocable F>
  Called call_for(Duration length, F&& f) {
    return is_done() ? Called::done : call_undone(S::now() + length, f);
  }

  /// The same without waiting: `timed_out` while somebody else tries.
  template <std::invocable F>
  Called try_call(F&& f) {
    return call_until(Instant{}, f);
  }

 private:
  using Task = typename S::Task;

  static constexpr uintptr_t kUndone = 0;
  static constexpr uintptr_t kDone = 1;
  // Above it: the task that tries.

  // The try under way, in its task's hands.
  struct Try : Bond {
    explicit Try(Once& once) : Bond(&abandon), once(once) {}
    static void abandon(Bond& self) { static_cast<Try&>(self).once.hand_over(); }
    Once& once;
  };

  template <typename F>
  Called call_undone(Instant until, F& f) {
    const Called turn = wait_for_turn(until);
    if (turn != Called::failed) return turn;
    bool is_done = true;
    {
      Try mine(*this);
      S::bind(mine);
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        f();
      } else {
        is_done = f();
      }
      S::unbind(mine);
    }
    if (!is_done) {
      hand_over();
      return Called::failed;
    }
    release();
    return Called::done;
  }

  // `failed`: whoever tried before has, or nobody did; it is this task's turn.
  [[gnu::noinline]] Called wait_for_turn(Instant until) {
    typename S::Masked masked;
    masked.require_task();
    const uintptr_t self = reinterpret_cast<uintptr_t>(&masked.self());
    waiters_.lock();
    // The last look. Who is done stores it before it takes the lock to wake those who wait.
    uintptr_t word = kUndone;
    if (word_.compare_exchange_strong(word, self, std::memory_order_acquire) || word == kDone ||
        word == self) {
      waiters_.unlock();
      return word == kUndone ? Called::failed : word == kDone ? Called::done : Called::itself;
    }
    Waiting<S> waiting(masked);
    Waiter<S> waiter(waiting);
    waiters_.insert(waiter);
    waiters_.unlock();
    switch (waiters_.wait(masked, waiting, waiter, until, [] {})) {
      case Waited::done:
        return word_.load(std::memory_order_acquire) == kDone ? Called::done : Called::failed;
      case Waited::timed_out: return Called::timed_out;
      case Waited::cancelled: return Called::cancelled;
      case Waited::killed: return Called::killed;
    }
  }

  // To the first who waits; if nobody does, to the next who comes.
  void hand_over() {
    typename S::Masked masked;
    waiters_.lock();
    const auto heir = waiters_.serve([&](Waiter<S>& waiter) {
      word_.store(reinterpret_cast<uintptr_t>(&waiter.task()), std::memory_order_release);
    });
    if (!heir) word_.store(kUndone, std::memory_order_release);
    waiters_.unlock();
    if (heir) masked.wake(heir);
  }

  // It is done. Nobody comes any more.
  // From when it is done to when all are awake nobody comes in between.
  void release() {
    sync_internal::serve_each<S>([&]() -> sync_internal::Step<S> {
      waiters_.lock();
      word_.store(kDone, std::memory_order_release);
      const auto served = waiters_.serve([](Waiter<S>&) {});
      const bool is_last = waiters_.empty();
      waiters_.unlock();
      return {served, is_last};
    });
  }

  std::atomic<uintptr_t> word_{kUndone};
  WaitQueue<S> waiters_;
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_ONCE_H_
