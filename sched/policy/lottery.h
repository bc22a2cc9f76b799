// Lottery scheduling: each turn goes to the holder of a ticket drawn at random, so that everybody
// gets a share in proportion to his tickets, and nobody needs a history for it.
// docs/policies/lottery.md
//
// (C. A. Waldspurger and W. E. Weihl, "Lottery Scheduling: Flexible Proportional-Share Resource
// Management", OSDI 1994.) A task that uses only a fraction f of its quantum has its tickets
// multiplied by 1 / f until it has won again (compensation tickets): it wins so much more often as
// its turns are shorter, and gets its share.
//
// Whose ticket it is, is found in a tree of sums (sched/policy/sum_tree.h). The generator is in the
// object: the same seed and the same calls give the same turns.

#ifndef BATON_SCHED_POLICY_LOTTERY_H_
#define BATON_SCHED_POLICY_LOTTERY_H_

#include <cstdint>

#include "sched/policy/policy.h"
#include "sched/policy/random.h"
#include "sched/policy/sum_tree.h"
#include "sched/policy/weight.h"

namespace sched {

/// See the head of this file. `enqueue`, `dequeue`, `put_back` and `pick` are O(log n) in the
/// number of runnable tasks (`pick` expected: `Random::below`), the rest O(1).
///
/// Whoever has won has his turn until he has used his quantum, yields or is no longer runnable;
/// to be preempted does not end it. Who has yielded takes part in the next draw: to keep him out of
/// it would cost a task whose turns are short half its share.
///
/// A ticket counts as 2^10 so that what compensation rounds off is small, a task with one 2^20
/// times as much at most, and compensation as 2^13 at most: who has used less than 1 / 8192 of his
/// quantum counts as if he had used that. So the values of 2^20 tasks sum up to 2^63 at most.
class Lottery {
 public:
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;
  class Entity : public SumLink<Lottery> {
    friend Lottery;
    Duration used_;                   // in the turn that it has, or had last
    Weight tickets_ = kNormalWeight;  // what its stake amounts to
    Stake stake_;
  };

  /// A sum of tickets.
  using Claim = Stake::Claim;

  struct Attributes {
    Weight tickets = kNormalWeight;  ///< 1 to `kMaxWeight`

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  /// From now on draws as every other lottery does that is in the same state and is given `seed`.
  constexpr void set_seed(uint64_t seed) { random_ = Random(seed); }

  /// How much a turn is while others wait. Brought into the range from one tick to 2^33 ticks.
  /// Takes effect from the next turn. For the owning CPU, masked, or before the scheduler starts.
  void set_quantum(Duration quantum) {
    quantum_ = quantum == Duration{}       ? Duration{1}
               : quantum > kLongestQuantum ? kLongestQuantum
                                           : quantum;
  }

  /// Refuses tickets out of range.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (!is_valid_weight(attributes.tickets)) return false;
    entity->stake_.set_own(attributes.tickets);
    entity->tickets_ = entity->stake_.effective();
    return true;
  }

  Attributes attributes(const Entity& entity) const { return {.tickets = entity.stake_.own()}; }

  Claim claim(const Entity& entity) const { return entity.stake_.all(); }
  static Claim join(Claim a, Claim b) { return a + b; }
  static Claim without(Claim sum, Claim claim) { return sum - claim; }
  void inherit(Detached<Entity> entity, const Claim* claims) {
    entity->stake_.inherit(claims);
    entity->tickets_ = entity->stake_.effective();
  }

  Links enqueue(Entity& entity, Enter why, Instant) {
    if (why == Enter::created) entity.used_ = quantum_;  // nothing to compensate
    return tree_.insert(entity, value(entity));
  }

  Links dequeue(Entity& entity, Leave why, Instant) {
    if (why == Leave::exited) entity.stake_.inherit(nullptr);
    if (tree_.remove(entity) == Links::corrupt) return Links::corrupt;
    if (winner_ == &entity) winner_ = nullptr;
    return Links::intact;
  }

  Links put_back(Entity& entity, Pause why, Instant) {
    if (why == Pause::preempted && entity.used_ < quantum_) return Links::intact;
    if (tree_.set(entity, value(entity)) == Links::corrupt) return Links::corrupt;
    winner_ = nullptr;
    return Links::intact;
  }

  Choice<Entity> pick(Instant now) {
    if (tree_.count() == 0) return {};
    if (winner_ == nullptr) {
      winner_ = tree_.owner(tree_.count() == 1 ? 0 : random_.below(tree_.total()));
      winner_->used_ = {};
    } else if (winner_->used_ >= quantum_) {
      // A quantum that has been shortened below what is used of it lasts for a tick more.
      winner_->used_ = Duration{quantum_.ticks - 1};
    }
    return {winner_, tree_.count() == 1 ? never : end_of_turn(*winner_, now)};
  }

  /// No sum overflows: what was used is part of what the clock has counted.
  void ran(Entity& current, Instant from, Instant to) {
    current.used_ = Duration{current.used_.ticks + (to - from).ticks};
  }

  /// Nobody is preempted within a turn; one that has lasted longer, because there was nobody else,
  /// ends.
  Instant contend(Entity&, Entity& current, Instant now) {
    return current.used_ >= quantum_ ? now : end_of_turn(current, now);
  }

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    field("tickets", entity.tickets_);
    field("used", entity.used_.ticks);
    field("value", value(entity));
  }

 private:
  static constexpr Duration kLongestQuantum{uint64_t{1} << 33};
  static constexpr int kTicketBits = 10;
  static constexpr int kCompensationBits = 13;

  // What `entity` puts into a draw: 2^10 * tickets * quantum / used, rounded down; without the last
  // factor when it has used it all. 10 + 20 + 33 bits before the division.
  uint64_t value(const Entity& entity) const {
    const uint64_t full = uint64_t{entity.tickets_} << kTicketBits;
    if (entity.used_ >= quantum_) return full;
    const uint64_t most = full << kCompensationBits;
    if (entity.used_ == Duration{}) return most;
    const uint64_t compensated = full * quantum_.ticks / entity.used_.ticks;
    return compensated < most ? compensated : most;
  }

  // Of one that has a part of its quantum left. Below 2^64, as `now + forever` is.
  Instant end_of_turn(const Entity& entity, Instant now) const {
    return Instant{now.ticks + (quantum_.ticks - entity.used_.ticks)};
  }

  SumTree<Entity, Lottery> tree_;        // of all who are runnable, the winner included
  Entity* winner_ = nullptr;             // whose turn it is
  Duration quantum_{uint64_t{1} << 22};  // about 4 ms at 1 GHz
  Random random_{0};
};

static_assert(AddsClaims<Lottery>);
static_assert(Contends<Lottery> && Charges<Lottery> && Dumps<Lottery>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_LOTTERY_H_
