// Waiting for the first of several things, and for no longer than until an instant. docs/sync.md
//
//     Message message;
//     switch (wait_any<S>(until, taking(stop), receiving(queue, message)).value_or(2)) {
//       case 0: ...  // `stop` gave a permit, and the queue has all its messages
//       case 1: ...  // `message` is the queue's first
//       case 2: ...  // neither: timed out, cancelled or killed
//     }
//
// The task waits in the line of each, with one call that ends once (sched/wait.h): so exactly one
// of them serves it, whatever else happens at the same time on other CPUs, and the others keep what
// they have. Of those that need no waiting the first that is named serves.

#ifndef BATON_SCHED_SYNC_WAIT_ANY_H_
#define BATON_SCHED_SYNC_WAIT_ANY_H_

#include <concepts>
#include <cstddef>
#include <expected>
#include <utility>

#include "sched/scheduler.h"
#include "sched/wait.h"

namespace sched {

/// What can be waited for among others: a small object that says of which primitive, and how. It
/// is made by a function of that primitive's header: `taking(semaphore)`, `receiving(queue, into)`,
/// `expecting(flags, wanted, match, use, found)`.
///
///     W::Waiter              a `Waiter<S>`, with what the primitive must know of who waits there
///     w.waiter(waiting)      makes one, for this call
///     w.try_now()            takes, without waiting, what is waited for: whether it was there
///     w.enter(waiter)        masked, not locked. Is it there now, it takes it if the call is still
///                            open: `begin_to_serve`, take, `serve` - in this order, under the
///                            primitive's lock, and not a bit of it if the first says that the call
///                            is over. Is it not, the waiter joins the primitive's line. Answers
///                            whom to wake because of what was taken, if anybody
///     w.leave(waiter)        masked, not locked. The waiter is not in the line any more, if it
///                            ever was
template <typename W, typename S>
concept Waitable = std::derived_from<typename W::Waiter, Waiter<S>> &&
                   requires(W w, Waiting<S>& waiting, typename W::Waiter& waiter) {
                     { w.waiter(waiting) } -> std::same_as<typename W::Waiter>;
                     { w.try_now() } -> std::same_as<bool>;
                     { w.enter(waiter) } -> std::same_as<typename S::Served>;
                     { w.leave(waiter) } -> std::same_as<void>;
                   };

namespace internal {

// Places in the lines of several waitables, one within the other: waiters cannot be moved.
template <typename S, typename... W>
struct Places {
  explicit Places(Waiting<S>&) {}

  void enter(typename S::Masked&, Waiting<S>&) {}
  void leave() {}
  size_t index_of(const void*) const { return 0; }
};

template <typename S, typename First, typename... Rest>
struct Places<S, First, Rest...> {
  explicit Places(Waiting<S>& waiting, First& first, Rest&... rest)
      : waitable(first), waiter(first.waiter(waiting)), others(waiting, rest...) {}

  // In the order in which they are named, until one has served.
  void enter(typename S::Masked& masked, Waiting<S>& waiting) {
    if (const auto served = waitable.enter(waiter)) masked.wake(served);
    if (waiting.is_over()) return;
    breathe();
    others.enter(masked, waiting);
  }
  void leave() {
    waitable.leave(waiter);
    breathe();
    others.leave();
  }
  size_t index_of(const void* served_by) const {
    const Waiter<S>* const mine = &waiter;
    return served_by == mine ? 0 : 1 + others.index_of(served_by);
  }

  // Masked for one of them at a time.
  static void breathe() {
    S::Machine::unmask(S::Machine::kUnmasked);
    S::Machine::mask();
  }

  First& waitable;
  typename First::Waiter waiter;
  [[no_unique_address]] Places<S, Rest...> others;
};

template <typename S, typename... W>
[[gnu::noinline]] std::expected<size_t, Waited> wait_for_any(Instant until, W&... waitables) {
  typename S::Masked masked;
  masked.require_task();
  Waiting<S> waiting(masked);
  Places<S, W...> places(waiting, waitables...);
  places.enter(masked, waiting);
  const Woken reason =
      waiting.is_served() ? Woken::by_wake : masked.park(waiting.task, waiting, until);
  places.leave();
  if (reason != Woken::by_wake) return std::unexpected(waited(reason));
  return places.index_of(waiting.served_by());
}

}  // namespace internal

/// Waits until one of `waitables` serves, and until `until` at the latest. The index of the one
/// that did; or how it ended otherwise, which is never `done`. For tasks: from an interrupt, or
/// where rescheduling is forbidden, it stops the machine, unless it need not wait. O(log n) for
/// each waitable with n that wait there; masked for one at a time.
template <typename S, Waitable<S>... W>
  requires(sizeof...(W) > 0)
std::expected<size_t, Waited> wait_any(Instant until, W... waitables) {
  size_t index = 0;
  if (((waitables.try_now() || (++index, false)) || ...)) return index;
  return internal::wait_for_any<S>(until, waitables...);
}

}  // namespace sched

#endif  // BATON_SCHED_SYNC_WAIT_ANY_H_
