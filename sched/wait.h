// Waiting: what a task that waits leaves on its own stack, and the queues in which whoever serves
// it finds it. The ground that everything in sched/sync/ stands on; a kernel that builds a
// primitive of its own builds it on this too.
//
// A blocking call is one `Waiting`. It may be in several queues, by a `Waiter` each, and it ends
// exactly once: by one compare-and-swap on its outcome, either of a server that has taken a waiter
// out of its queue, or of the task itself whose time is over, or that was cancelled or killed. So
// where a wake races with a timeout one of them wins, and the other one knows.
//
//     typename S::MaskedTask masked;              // interrupts masked, in a task that may wait
//     WaitQueue<S>& queue = ...;
//     queue.lock();
//     ... the last look whether there is need to wait ...
//     Waiting<S> waiting(masked);
//     Waiter<S> waiter(waiting);
//     queue.insert(waiter);
//     queue.unlock();
//     return queue.wait(masked, waiting, waiter, until, [] {});  // afterwards it is in no queue
//
// and on the other side, masked too, with the queue locked:
//
//     const auto served = queue.serve([&](Waiter<S>& waiter) { ... hand something over ... });
//     queue.unlock();
//     if (served) masked.wake(served);
//
// The order in a queue is the policy's (`Ranks`), first come first served among equals, and follows
// when the claim of a waiting task changes. Who can run is in no queue, but for one whose call has
// ended otherwise: nobody serves it any more, and it leaves as it runs.
//
// Every function but `wait` is O(log n) for n waiters; `serve` is that also for each waiter that it
// finds to have ended otherwise, and takes out.

#ifndef BATON_SCHED_WAIT_H_
#define BATON_SCHED_WAIT_H_

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "sched/masked_atomic.h"
#include "sched/policy/policy.h"
#include "sched/policy/tree.h"
#include "sched/task.h"

namespace sched {

/// How a blocking call ended.
enum class Waited : uint8_t {
  done,       ///< it has what it waited for
  timed_out,  ///< the instant came first
  cancelled,  ///< somebody called `cancel_wait` first
  killed,     ///< somebody has called `kill`: clean up and finish
};

/// The word for a wait that `wake` did not end.
constexpr Waited waited(Woken reason) {
  switch (reason) {
    case Woken::by_wake: return Waited::done;
    case Woken::by_timeout: return Waited::timed_out;
    case Woken::by_cancel: return Waited::cancelled;
    case Woken::by_kill: return Waited::killed;
  }
  return Waited::done;
}

/// What a task claims under a policy that knows no claims.
struct NoClaim {
  friend bool operator==(const NoClaim&, const NoClaim&) = default;
};

namespace internal {

template <typename P>
struct ClaimOf {
  using Type = NoClaim;
};
template <Inherits P>
struct ClaimOf<P> {
  using Type = typename P::Claim;
};

class Wait;

/// What all waits of a kind have in common.
struct WaitKind {
  // Called masked, on the CPU that owns the task: when the wait has ended and was not served,
  // before the task runs; and when the claim of the task has changed. Null: never mind.
  void (*gave_up)(Wait& self) = nullptr;
  void (*claim_changed)(Wait& self) = nullptr;
  bool is_deaf = false;  // neither kill nor cancel ends it
};
inline constexpr WaitKind kPlainWait;

/// What of a `Waiting` the mechanism knows.
class Wait {
 public:
  explicit Wait(const WaitKind& kind = kPlainWait) : kind(kind) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  /// Whether a server has ended it. All that the server stored before is visible.
  template <bool kMany = true>
  bool is_served() const {
    if constexpr (!kMany) return outcome_.load(std::memory_order_relaxed) > kServing;
    return outcome_.load(std::memory_order_acquire) > kServing;
  }

  /// Whether it has ended, by a server or otherwise.
  bool is_over() const {
    const uintptr_t outcome = outcome_.load(std::memory_order_relaxed);
    return outcome != kOpen && outcome != kServing;
  }

  /// The same; but a server on another CPU, masked, that is between its two steps is waited for,
  /// with `relax()` between two looks.
  template <bool kMany = true, typename Relax>
  bool await_service(Relax relax) const {
    if (outcome_.load(std::memory_order_relaxed) < kServing) return false;
    while (!is_served<kMany>()) relax();
    return true;
  }

  /// A server's first step: from here on nobody else ends it, and the task does not return before
  /// the second. False: it has ended already. Where there is one CPU, masked, a look will do.
  template <bool kMany = true>
  bool begin_to_serve() {
    if constexpr (!kMany) return outcome_.load(std::memory_order_relaxed) == kOpen;
    uintptr_t open = kOpen;
    return outcome_.compare_exchange_strong(open, kServing, std::memory_order_acquire,
                                            std::memory_order_relaxed);
  }

  /// A server's second and last step: after it this object may be gone.
  template <bool kMany = true>
  void serve(const void* waiter) {
    const uintptr_t outcome = reinterpret_cast<uintptr_t>(waiter);
    if constexpr (!kMany) return outcome_.store(outcome, std::memory_order_relaxed);
    outcome_.store(outcome, std::memory_order_release);
  }

  /// The end of it that is no service. False: it has been served, as `await_service` says.
  template <typename Relax>
  bool close(Relax relax) {
    uintptr_t open = kOpen;
    return outcome_.compare_exchange_strong(open, kClosed, std::memory_order_relaxed,
                                            std::memory_order_relaxed) ||
           !await_service(relax);
  }

  /// The waiter by which it was served. Only if it was.
  const void* served_by() const {
    return reinterpret_cast<const void*>(outcome_.load(std::memory_order_relaxed));
  }

  const WaitKind& kind;
  Bond* bonds;  // the task's, while it waits
  void* owned;  // what it waits for, of one that waits for an owner (sched/sync/owned.h)

 private:
  static constexpr uintptr_t kOpen = 0;
  static constexpr uintptr_t kClosed = 1;
  static constexpr uintptr_t kServing = 2;  // above it: the waiter

  std::atomic<uintptr_t> outcome_{kOpen};
};

/// Who waits for the end of a task; in that task's list, under the lock of the graph.
struct Joiner {
  // What ends a task that has joiners: `give`, so that a kernel without any does not contain it.
  using Give = void (*)(void* cpu, Postable& ended);

  Joiner(Wait& wait, Postable& task, Give give) : wait(wait), task(task), give(give) {}
  Joiner(const Joiner&) = delete;
  Joiner& operator=(const Joiner&) = delete;

  /// In the place of a list: nobody enters any more.
  static Joiner* closed() { return reinterpret_cast<Joiner*>(uintptr_t{1}); }

  void enter(Joiner*& list) {
    next = list;
    if (next != nullptr) next->link = &next;
    list = this;
    link = &list;
  }
  /// Wherever the head of the list is by now. Nothing if it is in none.
  void leave() {
    if (link == nullptr) return;
    *link = next;
    if (next != nullptr) next->link = link;
    link = nullptr;
  }

  Wait& wait;
  Postable& task;
  const Give give;
  Joiner* next = nullptr;
  Joiner** link = nullptr;  // what points to this one; null: nothing
  uint64_t value = 0;
  bool never_ran = false;
};

}  // namespace internal

template <typename S>
class Waiter;
template <typename S>
class WaitTree;
template <typename S>
class WaitQueue;

/// One blocking call of the task that makes it, as long as this lives. Masked.
template <typename S>
class Waiting : public internal::Wait {
 public:
  explicit Waiting(const typename S::Masked& masked, const internal::WaitKind& kind = kReordered)
      : Waiting(masked.caller(), kind) {}
  ~Waiting() { S::Masked::end_wait(task, *this); }

  /// Its waiter, where it has one.
  Waiter<S>& only() const { return *first_; }

  typename S::Task& task;

 private:
  friend Waiter<S>;

  Waiting(typename S::Masked::Caller caller, const internal::WaitKind& kind)
      : internal::Wait(kind), task(caller.task), claim_(caller.claim) {
    S::Masked::begin_wait(task, *this);
  }

  static void reorder(internal::Wait& self) {
    const typename S::Claim claim = S::claim(static_cast<Waiting&>(self).task);
    for (auto* waiter = static_cast<Waiting&>(self).first_; waiter != nullptr;
         waiter = waiter->next_) {
      if (waiter->home_ == nullptr) {  // it has yet to enter
        waiter->claim_ = claim;
        continue;
      }
      WaitQueue<S>& queue = *static_cast<WaitQueue<S>*>(waiter->home_);
      queue.lock();
      queue.update(*waiter, claim);
      queue.unlock();
    }
  }

  static constexpr internal::WaitKind kReordered = [] {
    internal::WaitKind kind;
    if constexpr (Ranks<typename S::Policy>) kind.claim_changed = &reorder;
    return kind;
  }();

  Waiter<S>* first_ = nullptr;
  [[no_unique_address]] const typename S::Claim claim_;  // when it began
};

/// A task's place in one queue. A primitive derives from it to say what is waited for there.
template <typename S>
class Waiter : public TreeLink<Waiter<S>> {
 public:
  explicit Waiter(Waiting<S>& waiting)
      : TreeLink<Waiter>(Unlinked{}),
        waiting_(waiting),
        next_(waiting.first_),
        claim_(waiting.claim_) {
    waiting.first_ = this;
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  Waiting<S>& waiting() const { return waiting_; }
  typename S::Task& task() const { return waiting_.task; }

  /// Whether it is in a queue. With the lock of that queue.
  bool is_in() const { return is_in_; }

 private:
  friend Waiting<S>;
  friend WaitTree<S>;
  friend WaitQueue<S>;

  Waiting<S>& waiting_;
  Waiter* const next_;  // of the same call
  WaitTree<S>* home_ = nullptr;
  bool is_in_ = false;
  [[no_unique_address]] typename S::Claim claim_;
};

/// Waiters in the order in which they are served. Whoever calls holds the lock that it is under.
template <typename S>
class WaitTree {
 public:
  using P = typename S::Policy;
  using Claim = typename S::Claim;
  using Served = typename S::Served;

  constexpr WaitTree() = default;
  WaitTree(const WaitTree&) = delete;
  WaitTree& operator=(const WaitTree&) = delete;

  bool empty() const { return tree_.empty(); }

  /// The one to be served next; null when there is none.
  Waiter<S>* first() const { return tree_.first(); }

  /// The one after `waiter`, which is in it; null after the last.
  Waiter<S>* next(const Waiter<S>& waiter) const { return tree_.next(waiter); }

  void insert(Waiter<S>& waiter) {
    waiter.home_ = this;
    waiter.is_in_ = true;
    if (tree_.insert_only(waiter)) [[likely]] {
      if constexpr (AddsClaims<P>) sum_ = waiter.claim_;
    } else {
      insert_among(waiter);
    }
  }

  /// Nothing if it is not in any more.
  void remove(Waiter<S>& waiter) {
    if (waiter.is_in_) take_out(waiter);
  }

  /// The task claims this from now on. Nothing if the waiter is not in any more.
  void update(Waiter<S>& waiter, const Claim& claim) {
    if (!waiter.is_in_ || waiter.claim_ == claim) return;
    remove(waiter);
    waiter.claim_ = claim;
    insert(waiter);
  }

  /// What all that wait claim together. Not when it is empty.
  const Claim& claims() const
    requires Inherits<P>
  {
    if constexpr (AddsClaims<P>) {
      return sum_;
    } else {
      return first()->claim_;
    }
  }

  /// Takes out the first whose call has not ended otherwise, lets `hand_over(waiter)` give it what
  /// it waits for, and ends its call. Who is to be woken, once nothing is locked, if anybody.
  template <typename F>
  Served serve(F hand_over) {
    Waiter<S>* const waiter = first();
    if (waiter == nullptr) return {};
    if (!tree_.remove_only(*waiter)) [[unlikely]]
      return serve_among(hand_over);
    waiter->is_in_ = false;
    return serve_removed(*waiter, hand_over);
  }

  /// The same for one that is in it: whoever chooses goes through it by `first` and `next`.
  template <typename F>
  Served serve(Waiter<S>& waiter, F hand_over) {
    take_out(waiter);
    return serve_removed(waiter, hand_over);
  }

 private:
  struct Order {
    using Key = Claim;
    static Claim key(const Waiter<S>& waiter) { return waiter.claim_; }
    static bool before([[maybe_unused]] const Claim& a, [[maybe_unused]] const Claim& b) {
      if constexpr (Ranks<P>) {
        return P::precedes(a, b);
      } else {
        return false;
      }
    }
  };
  struct NoSum {};

  template <typename F>
  [[gnu::noinline]] Served serve_among(F hand_over) {
    while (Waiter<S>* const waiter = first()) {
      if (const Served served = serve(*waiter, hand_over)) return served;
    }
    return {};
  }

  template <typename F>
  Served serve_removed(Waiter<S>& waiter, F& hand_over) {
    if (!waiter.waiting_.template begin_to_serve<S::kMany>()) [[unlikely]]
      return {};
    hand_over(waiter);
    // Before the last step, after which a task of another CPU may return for an older wake, and
    // end.
    const Served served = S::Masked::promise(waiter.task());
    waiter.waiting_.template serve<S::kMany>(&waiter);
    return served;
  }

  void take_out(Waiter<S>& waiter) {
    waiter.is_in_ = false;
    if (!tree_.remove_only(waiter)) [[unlikely]]
      remove_from_among(waiter);
  }

  [[gnu::noinline]] void insert_among(Waiter<S>& waiter) {
    check(tree_.insert(waiter), waiter);
    if constexpr (AddsClaims<P>) sum_ = P::join(sum_, waiter.claim_);
  }
  [[gnu::noinline]] void remove_from_among(Waiter<S>& waiter) {
    check(tree_.remove(waiter), waiter);
    if constexpr (AddsClaims<P>) sum_ = P::without(sum_, waiter.claim_);
  }

  static void check(Links links, const Waiter<S>& waiter) {
    if (links == Links::corrupt) [[unlikely]]
      S::Masked::stop("corrupted link of a wait queue", waiter.task());
  }

  Tree<Waiter<S>, Waiter<S>, Order> tree_;
  [[no_unique_address]] std::conditional_t<AddsClaims<P>, Claim, NoSum> sum_{};
};

/// A wait tree under a lock of its own. Everything but `wait` is called masked and locked.
template <typename S>
class [[clang::capability("mutex")]] WaitQueue : public WaitTree<S> {
 public:
  constexpr WaitQueue() = default;

  [[clang::acquire_capability()]] void lock() { lock_.lock(&S::relax); }
  [[clang::release_capability()]] void unlock() { lock_.unlock(); }

  /// Parks until the call of `waiter` ends; not locked. Afterwards the waiter is in no queue; if
  /// the call was not served, `gave_up()` has been called, locked, just after it left.
  template <typename F>
  [[gnu::always_inline]] Waited wait(const typename S::Masked& masked, Waiting<S>& waiting,
                                     Waiter<S>& waiter, Instant until, F gave_up) {
    const Woken reason = masked.park(waiting.task, waiting, until);
    if (reason == Woken::by_wake) [[likely]]
      return Waited::done;
    return leave(waiter, reason, gave_up);
  }

 private:
  template <typename F>
  [[gnu::noinline, clang::minsize]] static Waited leave(Waiter<S>& waiter, Woken reason,
                                                        F gave_up) {
    WaitQueue& queue = *static_cast<WaitQueue*>(waiter.home_);
    queue.lock();
    // Not if a server has found it closed and taken it out.
    if (waiter.is_in()) {
      queue.remove(waiter);
      gave_up();
    }
    queue.unlock();
    return waited(reason);
  }

  [[no_unique_address]] internal::MaskedLock<S::kMany> lock_;
};

}  // namespace sched

#endif  // BATON_SCHED_WAIT_H_
