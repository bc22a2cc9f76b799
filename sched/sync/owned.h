// What has an owner and is waited for: the part that mutexes of all kinds share, and inheritance.
//
// The word is the owner's address, and two marks. Nobody waiting, lock and unlock are one
// compare-and-swap each. Whoever must wait marks the word; from then on every change goes through
// the lock of the graph (`Scheduler::Graph`), and an unlock hands the mutex over to the first who
// waits: nobody overtakes, and at no moment is it free although somebody wants it.
//
// Inheritance. What a task inherits is never added to or taken from: it is computed anew, from
// those who wait now for what it holds now, whenever one of these has changed (L. Sha, R. Rajkumar,
// J. Lehoczky, "Priority Inheritance Protocols", IEEE Transactions on Computers, 1990; what goes
// wrong with stored boosts: V. Yodaiken, "Against Priority Inheritance", 2002). If that changes
// what the task itself claims, and it waits for something with an owner in turn, the same follows
// there: a loop along the chain, no recursion. Only a task's own CPU changes what it inherits; to a
// task of another CPU goes a request to compute it, which may be repeated or late without harm.
//
// Deadlock. A chain that leads back to whoever is about to wait is refused, and so is one of more
// than `kDeepest` owners: the time with interrupts masked stays bounded.

#ifndef BATON_SCHED_SYNC_OWNED_H_
#define BATON_SCHED_SYNC_OWNED_H_

#include <atomic>
#include <cstdint>

#include "sched/scheduler.h"
#include "sched/wait.h"

namespace sched {

/// How an attempt to lock ended. With the first two the caller has it.
enum class Locked : uint8_t {
  done,
  owner_died,     ///< it has it, from a task that ended with it: what it protects may be half done
  timed_out,      ///< the instant came first
  cancelled,      ///< somebody called `cancel_wait` first
  killed,         ///< somebody has called `kill`: clean up and finish
  deadlock,       ///< it would wait for itself: by a chain of owners, or because it has it already
  too_deep,       ///< the chain of owners is longer than is followed
  above_ceiling,  ///< its claim precedes the ceiling that was to precede all
};

/// Whether the caller has it.
constexpr bool has(Locked result) { return result == Locked::done || result == Locked::owner_died; }

namespace sync_internal {

/// See the head of this file. For the mutexes in this folder to derive from.
template <typename S>
class Owned : public Bond {
 public:
  using Task = typename S::Task;
  using Claim = typename S::Claim;

  /// How many owners, each waiting for the next one, a chain may have.
  static constexpr int kDeepest = 16;

  constexpr Owned() : Bond(&abandon) {}

  /// Who has it; null: nobody. Stale as soon as it is read, unless that is the caller.
  Task* owner() const { return owner_of(word_.load(std::memory_order_relaxed)); }

 protected:
  using P = typename S::Policy;
  using Masked = typename S::Masked;
  using Graph = typename S::Graph;

  // Counts for its owner as if somebody with this claim waited.
  constexpr explicit Owned(const Claim* ceiling) : Bond(&abandon), ceiling_(ceiling) {}

  // Masked, in a task: if it is free, and was not abandoned.
  bool lock_free(const Masked& masked) {
    Task& self = masked.self();
    uintptr_t free = 0;
    if (!word_.compare_exchange_strong(free, address(self), std::memory_order_acquire,
                                       std::memory_order_relaxed)) [[unlikely]] {
      return false;
    }
    masked.bind(self, *this);
    return true;
  }

  // The owner, masked; it need not be waited for.
  void unlock_masked(const Masked& masked) {
    Task& self = masked.self();
    masked.unbind(self, *this);  // first: whoever has it next binds it anew
    uintptr_t mine = address(self);
    if (!word_.compare_exchange_strong(mine, 0, std::memory_order_release,
                                       std::memory_order_relaxed)) [[unlikely]] {
      hand_over(masked, self, 0);
    }
  }

  bool is_abandoned() const { return (word_.load(std::memory_order_relaxed) & kAbandoned) != 0; }

  // Takes it whether free or not; waits until `until`, `deaf` through cancel and kill.
  [[gnu::noinline]] Locked wait(Instant until, bool deaf) {
    Masked masked;
    Task& self = masked.self();
    Graph& graph = S::graph();
    graph.acquire();
    if (graph.settle == nullptr) graph.settle = &settle_by_mail;
    for (uintptr_t word = word_.load(std::memory_order_relaxed);;) {
      if (owner_of(word) == nullptr) {
        if (!change(word, address(self) | word)) continue;
        masked.bind(self, *this);
        if (ceiling_ != nullptr) settle(self);
        graph.release();
        masked.settle();
        return (word & kAbandoned) != 0 ? Locked::owner_died : Locked::done;
      }
      if ((word & kContended) != 0 || change(word, word | kContended)) break;
    }
    // From here on nobody but who has the graph changes the word.
    Task& owner = *this->owner();
    if (const Locked refused = follow(owner, self); refused != Locked::done || until <= S::now()) {
      if (waiters_.empty()) unmark();
      graph.release();
      return refused != Locked::done ? refused : Locked::timed_out;
    }
    masked.require_task();
    Locked result;
    {
      Waiting<S> waiting(masked, deaf ? kDeaf : kHearing);
      waiting.owned = this;
      self.set_bonds(self.bonds_word() | Task::kWaitsForOwner);
      OwnedWaiter waiter(waiting);
      waiters_.insert(waiter);
      settle(owner);
      graph.release();
      masked.forget_preemption();
      const Woken reason = masked.park(self, waiting, until);
      graph.acquire();  // until whoever follows a chain to here has gone
      if (reason == Woken::by_wake) {
        result = is_abandoned() ? Locked::owner_died : Locked::done;
      } else {
        forget(waiter);
        result = reason == Woken::by_timeout  ? Locked::timed_out
                 : reason == Woken::by_cancel ? Locked::cancelled
                                              : Locked::killed;
      }
    }
    if (has(result)) masked.bind(self, *this);
    graph.release();
    masked.settle();
    return result;
  }

  // From the owner, `self`, who is not bound to it any more, to the first who waits, if anybody
  // does.
  [[gnu::noinline]] void hand_over(const Masked& masked, Task& self, uintptr_t marks) {
    Graph& graph = S::graph();
    graph.acquire();
    const auto heir = waiters_.serve([&](Waiter<S>& waiter) {
      const uintptr_t contended = waiters_.empty() ? 0 : kContended;
      word_.store(address(waiter.task()) | contended | marks, std::memory_order_release);
    });
    if (!heir) {
      word_.store(marks, std::memory_order_release);
    } else if (!waiters_.empty() || ceiling_ != nullptr) {
      settle(heir.task());
    }
    settle(self);
    graph.release();
    if (heir) {
      masked.wake_and_settle(heir);
    } else {
      masked.settle();
    }
  }

 private:
  static constexpr uintptr_t kContended = 1;  // somebody waits, or is about to
  static constexpr uintptr_t kAbandoned = 2;  // a former owner has ended with it
  static constexpr uintptr_t kMarks = kContended | kAbandoned;
  static_assert(alignof(Task) > kMarks);

  struct OwnedWaiter : Waiter<S> {
    using Waiter<S>::Waiter;
  };

  static uintptr_t address(const Task& task) { return reinterpret_cast<uintptr_t>(&task); }
  static Task* owner_of(uintptr_t word) { return reinterpret_cast<Task*>(word & ~kMarks); }

  bool change(uintptr_t& from, uintptr_t to) {
    return word_.compare_exchange_weak(from, to, std::memory_order_acquire,
                                       std::memory_order_relaxed);
  }

  // Nobody waits any more. With the graph.
  void unmark() {
    word_.store(word_.load(std::memory_order_relaxed) & ~kContended, std::memory_order_relaxed);
  }

  // A waiter that was not served, if it is still in. With the graph.
  void forget(Waiter<S>& waiter) {
    if (!waiter.is_in()) return;
    waiters_.remove(waiter);
    settle(*owner());  // as long as the word is marked there is one
    if (waiters_.empty()) unmark();
  }

  // Whether `self` may wait for `owner`. With the graph.
  static Locked follow(const Task& owner, const Task& self) {
    const Task* at = &owner;
    for (int depth = 0; depth < kDeepest; ++depth) {
      if (at == &self) return Locked::deadlock;
      if (!at->waits_for_owner() || at->wait().is_over()) return Locked::done;
      at = static_cast<const Owned*>(at->wait().owned)->owner();
    }
    return Locked::too_deep;
  }

  // Its owner ends.
  static void abandon(Bond& bond) {
    const Masked masked;
    Task& self = masked.self();
    masked.unbind(self, bond);  // in one step with what follows: till then who waits lends
    static_cast<Owned&>(bond).hand_over(masked, self, kAbandoned);
  }

  // What some claims amount to.
  struct Sum {
    void add(const Claim& claim) {
      if (all == nullptr) {
        all = &claim;
      } else if constexpr (Ranks<P>) {
        if (P::precedes(claim, *all)) all = &claim;
      } else {
        joined = P::join(*all, claim);
        all = &joined;
      }
    }
    // Of those that wait for `held`.
    void add(const Owned& held) {
      if (held.ceiling_ != nullptr) add(*held.ceiling_);
      if (!held.waiters_.empty()) add(held.waiters_.claims());
    }
    void add(const Bond* bonds) {
      for (const Bond* bond = bonds; bond != nullptr; bond = bond->next) {
        if (bond->abandon == &abandon) add(static_cast<const Owned&>(*bond));
      }
    }

    const Claim* all = nullptr;  // null: nobody claims anything
    [[no_unique_address]] Claim joined{};
  };

  // Brings up to date what `first` inherits, and whoever it waits for in turn. With the graph.
  static void settle(Task& first) {
    if constexpr (Inherits<P>) {
      typename S::Cpu& cpu = S::here();
      if (!S::is_private(cpu, first) || first.is_waiting()) [[unlikely]]
        return settle_chain(first);
      Sum claims;
      claims.add(first.bonds());
      S::inherit(cpu, first, claims.all);
    }
  }
  [[gnu::noinline]] static void settle_chain(Task& first) {
    if constexpr (Inherits<P>) {
      typename S::Cpu& cpu = S::here();
      for (Task* task = &first;;) {
        const Ownership seen = task->ownership();
        if (!S::may_touch(cpu, seen))
          return S::post(cpu, *task, seen.generation(), request::inherit);
        const Claim before = cpu.policy().claim(*task);
        const bool waits = task->is_waiting();
        Sum claims;
        claims.add(waits ? task->wait().bonds : task->bonds());
        const bool waits_for_owner = waits && task->waits_for_owner();
        // Handed over to it while it waited: it holds that, too.
        const bool is_heir = waits_for_owner && task->wait().is_served();
        if (is_heir) claims.add(*static_cast<const Owned*>(task->wait().owned));
        S::inherit(cpu, *task, claims.all);
        const Claim after = cpu.policy().claim(*task);
        if (after == before || !waits || task->wait().is_over()) return;
        if (!waits_for_owner) {
          internal::Wait& wait = task->wait();
          if (wait.kind.claim_changed != nullptr) wait.kind.claim_changed(wait);
          return;
        }
        Owned& next = *static_cast<Owned*>(task->wait().owned);
        next.waiters_.update(static_cast<Waiting<S>&>(task->wait()).only(), after);
        task = next.owner();
      }
    }
  }

  // As the mail of its CPU, or after other attributes.
  static void settle_by_mail(Task& task) {
    typename S::GraphGuard guard(S::graph());
    settle(task);
  }
  static void claim_changed(internal::Wait& wait) {
    if constexpr (Inherits<P>) {
      typename S::GraphGuard guard(S::graph());
      Waiting<S>& waiting = static_cast<Waiting<S>&>(wait);
      if (wait.is_over()) return;
      Owned& owned = *static_cast<Owned*>(wait.owned);
      owned.waiters_.update(waiting.only(), S::claim(waiting.task));
      settle(*owned.owner());
    }
  }

  // What a waiter lent ends with its wait, not only when it runs again.
  static void gave_up(internal::Wait& wait) {
    typename S::GraphGuard guard(S::graph());
    static_cast<Owned*>(wait.owned)->forget(static_cast<Waiting<S>&>(wait).only());
  }

  static constexpr internal::WaitKind kHearing{.gave_up = &gave_up,
                                               .claim_changed = &claim_changed};
  static constexpr internal::WaitKind kDeaf{
      .gave_up = &gave_up, .claim_changed = &claim_changed, .is_deaf = true};

  internal::MaskedAtomic<uintptr_t, S::kMany> word_{0};
  WaitTree<S> waiters_;  // with the graph
  const Claim* const ceiling_ = nullptr;
};

}  // namespace sync_internal
}  // namespace sched

#endif  // BATON_SCHED_SYNC_OWNED_H_
