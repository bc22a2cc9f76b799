// Stride scheduling: shares in proportion to tickets, dealt out deterministically, so that nobody
// is ever more than a quantum behind his share. docs/policies/stride.md
//
// (C. A. Waldspurger and W. E. Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource
// Management", MIT/LCS/TM-528, 1995.) Each task has a virtual clock, its pass, which advances by
// the time it runs divided by its tickets; whose pass is the least runs. A global pass advances at
// the speed of one who had all tickets. A task that blocks remembers by how much its pass was ahead
// of the global one or behind it, and is put back so far ahead or behind when it is woken: sleeping
// neither forgives nor earns.
//
// Passes are kept exactly. A use of u ticks by one with t tickets is u * 2^20 / t units (see
// sched/policy/weight.h); what that division leaves over stays with the task, and even a change of
// tickets takes it along. Of the global pass less than half a unit is rounded away, up as often as
// down, each time the sum of tickets changes.

#ifndef BATON_SCHED_POLICY_STRIDE_H_
#define BATON_SCHED_POLICY_STRIDE_H_

#include <cstdint>

#include "sched/policy/policy.h"
#include "sched/policy/tree.h"
#include "sched/policy/weight.h"

namespace sched {

/// See the head of this file. `enqueue`, `dequeue` and `put_back` are O(log n) in the number of
/// runnable tasks, the rest O(1).
///
/// Passes wrap; they are compared by their difference, which stays below 2^63 among runnable tasks.
/// One turn while others wait counts as 2^62 units at most. A task that comes is put at most
/// `kFarthest` = 2^60 units from the global pass, and that at most as far from the least pass; so
/// nobody comes in farther than 2^61 units from the least. Where those limits have an effect at all
/// (a debt of 18 minutes at 1 GHz, of a task with one ticket) they forgive what is beyond.
class Stride {
 public:
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;
  class Entity : public TreeLink<Stride> {
    friend Stride;
    VirtualTime pass_;  // while it is not runnable: relative to the global pass
    Duration used_;     // not in its pass yet
    Stake stake_;
    Weight tickets_ = kNormalWeight;  // what its stake amounts to
    uint32_t rest_ = 0;  // what its pass lacks, in units / tickets_: less than one unit
  };

  /// A sum of tickets.
  using Claim = Stake::Claim;

  struct Attributes {
    Weight tickets = kNormalWeight;  ///< 1 to `kMaxWeight`

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  /// How long a turn lasts while others wait. Brought into the range from one tick to 2^40 ticks.
  /// Takes effect from the next turn. For the owning CPU, masked, or before the scheduler starts.
  void set_quantum(Duration quantum) {
    quantum_ = quantum == Duration{} ? Duration{1} : lesser(quantum, kLongestQuantum);
  }

  /// Refuses tickets out of range. A change keeps what the task is ahead or behind in time.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (!is_valid_weight(attributes.tickets)) return false;
    entity->stake_.set_own(attributes.tickets);
    settle(*entity);
    return true;
  }

  Attributes attributes(const Entity& entity) const { return {.tickets = entity.stake_.own()}; }

  Claim claim(const Entity& entity) const { return entity.stake_.all(); }
  static Claim join(Claim a, Claim b) { return a + b; }
  static Claim without(Claim sum, Claim claim) { return sum - claim; }
  /// Keeps what the task is ahead or behind in time, as a change of its own tickets does.
  void inherit(Detached<Entity> entity, const Claim* claims) {
    entity->stake_.inherit(claims);
    settle(*entity);
  }

  Links enqueue(Entity& entity, Enter why, Instant) {
    // Of one that runs alone the pass can be brought up to date where it is; it may be hours
    // behind.
    if (count_ == 1) charge(*tree_.first());
    if (why == Enter::created) {
      entity.pass_ = {};
      entity.rest_ = 0;
      entity.used_ = quantum_;
      charge(entity);
    }
    update_global();
    stay_near_the_least();
    const VirtualDuration remain = entity.pass_ - VirtualTime{};
    entity.pass_ = global_ + remain;
    if (tree_.insert(entity) == Links::corrupt) {
      entity.pass_ = VirtualTime{} + remain;
      return Links::corrupt;
    }
    set_tickets(tickets_ + entity.tickets_);
    ++count_;
    return Links::intact;
  }

  Links dequeue(Entity& entity, Leave why, Instant) {
    if (tree_.remove(entity) == Links::corrupt) return Links::corrupt;
    if (why == Leave::exited) entity.stake_.inherit(nullptr);
    charge_turn(entity);
    update_global();
    entity.pass_ = VirtualTime{} + within(entity.pass_ - global_, kFarthest);
    set_tickets(tickets_ - entity.tickets_);
    --count_;
    return Links::intact;
  }

  Links put_back(Entity& entity, Pause why, Instant) {
    if (why == Pause::preempted && entity.used_ == Duration{}) return Links::intact;
    if (tree_.remove(entity) == Links::corrupt) return Links::corrupt;
    charge_turn(entity);
    if (why == Pause::yielded) give_way(entity);
    return tree_.insert(entity);
  }

  /// Who yields goes behind the next one.
  bool has_peer(const Entity&) const { return count_ > 1; }

  Choice<Entity> pick(Instant now) {
    Entity* const first = tree_.first();
    if (first == nullptr) return {};
    return {first, count_ == 1 ? never : Instant{now.ticks + quantum_.ticks}};
  }

  /// No sum overflows: what was used is part of what the clock has counted.
  void ran(Entity& current, Instant from, Instant to) {
    const uint64_t ticks = (to - from).ticks;
    current.used_ = Duration{current.used_.ticks + ticks};
    elapsed_ = Duration{elapsed_.ticks + ticks};
  }

  /// Nobody is preempted within a quantum. That of a task that was alone begins now.
  Instant contend(Entity&, Entity& current, Instant now) {
    if (current.used_ >= quantum_) return now;
    return Instant{now.ticks + (quantum_.ticks - current.used_.ticks)};
  }

  /// The least pass of the first 16. It goes along, relative to the global one.
  template <typename F>
  Entity* surplus(F allowed, Instant) {
    int looks = 16;
    for (Entity* e = tree_.first(); e != nullptr && looks > 0; e = tree_.next(*e), --looks) {
      if (allowed(*e)) return e;
    }
    return nullptr;
  }

  /// `pass` of one that is not runnable is relative to the global pass.
  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    field("tickets", entity.tickets_);
    field("pass", entity.pass_.units);
    field("global pass", global_.units);
  }

 private:
  struct ByPass {
    using Key = VirtualTime;
    static VirtualTime key(const Entity& entity) { return entity.pass_; }
    static bool before(VirtualTime a, VirtualTime b) { return is_before(a, b); }
  };

  static constexpr Duration kLongestQuantum{uint64_t{1} << 40};
  static constexpr VirtualDuration kFarthest{int64_t{1} << 60};

  static constexpr Duration lesser(Duration a, Duration b) { return b < a ? b : a; }
  static constexpr VirtualDuration within(VirtualDuration length, VirtualDuration limit) {
    if (length > limit) return limit;
    return length.units < -limit.units ? VirtualDuration{-limit.units} : length;
  }

  // (used * 2^20 + rest) / tickets, modulo 2^64; `rest`, which is below `tickets`, becomes what is
  // left over. Without leaving 64 bits for any use and up to 2^43 tickets: 2^23 tasks with the
  // most.
  template <typename Tickets>
  static VirtualDuration advance(Duration used, Tickets tickets, Tickets& rest) {
    uint64_t whole = 0;
    uint64_t ticks = used.ticks;
    if (ticks >> 43 != 0) [[unlikely]] {
      whole = ticks / tickets << 20;
      ticks %= tickets;
    }
    const uint64_t part = (ticks << 20) + rest;
    rest = static_cast<Tickets>(part % tickets);
    return {static_cast<int64_t>(whole + part / tickets)};
  }

  // Not for one that is in the tree with others.
  void charge(Entity& entity) {
    entity.pass_ = entity.pass_ + advance(entity.used_, entity.tickets_, entity.rest_);
    entity.used_ = {};
  }

  // Of a turn that has ended. While it is alone it cannot get too far away from anybody.
  void charge_turn(Entity& entity) {
    if (count_ > 1) {
      // 2^62 units: at most 2^62 ticks.
      entity.used_ = lesser(entity.used_, Duration{kLongestCharge.ticks * entity.tickets_});
    }
    charge(entity);
  }

  // As if `entity` had used so much of the CPU that it is no longer before the next one. To merely
  // let the next one run would leave it with a claim that grows with each yield. The global pass
  // takes part: what is given away is given to all.
  void give_way(Entity& entity) {
    const Entity* const next = tree_.first();
    if (next == nullptr) return;
    entity.used_ = to_real(next->pass_ - entity.pass_, entity.tickets_);
    elapsed_ = Duration{elapsed_.ticks + entity.used_.ticks};
    charge(entity);
  }

  void update_global() {
    if (tickets_ == 0) return;
    global_ = global_ + advance(elapsed_, tickets_, rest_);
    elapsed_ = {};
  }

  void stay_near_the_least() {
    const Entity* const least = tree_.first();
    if (least != nullptr) global_ = least->pass_ + within(global_ - least->pass_, kFarthest);
  }

  // After `update_global`.
  void set_tickets(uint64_t tickets) {
    if (2 * rest_ >= tickets_ && rest_ != 0) global_ = global_ + VirtualDuration{1};
    rest_ = 0;
    tickets_ = tickets;
  }

  static void settle(Entity& entity) {
    const Weight tickets = entity.stake_.effective();
    if (tickets != entity.tickets_) exchange(entity, tickets);
  }

  // Of one that is not runnable. remain * tickets stays what it is, exactly:
  // with remain = q * fresh + r it is (q * old + (r * old + rest) / fresh) * fresh.
  static void exchange(Entity& entity, Weight fresh) {
    const int64_t old = entity.tickets_;
    const int64_t remain = (entity.pass_ - VirtualTime{}).units;
    int64_t q = remain / fresh;
    int64_t r = remain % fresh;
    if (r < 0) {
      r += fresh;
      --q;
    }
    entity.tickets_ = fresh;
    if (q >= kFarthest.units / old || q <= -kFarthest.units / old) {
      entity.pass_ = VirtualTime{} + VirtualDuration{q > 0 ? kFarthest.units : -kFarthest.units};
      entity.rest_ = 0;
      return;
    }
    const int64_t part = r * old + entity.rest_;
    entity.pass_ = VirtualTime{} + VirtualDuration{q * old + part / fresh};
    entity.rest_ = static_cast<uint32_t>(part % fresh);
  }

  Tree<Entity, Stride, ByPass> tree_;  // of all who are runnable, the current one included
  VirtualTime global_;
  Duration elapsed_;      // not in the global pass yet
  uint64_t tickets_ = 0;  // of all who are runnable
  uint64_t rest_ = 0;     // what the global pass lacks, in units / tickets_: less than one unit
  uint64_t count_ = 0;
  Duration quantum_{uint64_t{1} << 22};  // about 4 ms at 1 GHz
};

static_assert(AddsClaims<Stride>);
static_assert(Contends<Stride> && Charges<Stride> && KnowsPeers<Stride> && Dumps<Stride>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_STRIDE_H_
