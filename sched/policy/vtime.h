// Weighted virtual time: of all runnable tasks the one that has had the least runs, each measured
// by its weight. The shortest useful policy here, to read before the others. docs/policies/vtime.md
//
// The idea of `scx_simple`, the example of Linux's sched_ext: each task has a clock that advances
// by the time it has run divided by its weight, and the clock that is furthest behind is next. A
// task that slept may be behind by one slice at most, so that a long sleep buys no more than a
// turn.

#ifndef BATON_SCHED_POLICY_VTIME_H_
#define BATON_SCHED_POLICY_VTIME_H_

#include "sched/policy/policy.h"
#include "sched/policy/tree.h"
#include "sched/policy/weight.h"

namespace sched {

/// See the head of this file. `ran` and `contend` are O(1), the rest O(log n).
class Vtime {
 public:
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;
  struct Attributes {
    Weight weight = kNormalWeight;  ///< its share, from 1 to `kMaxWeight`

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  /// A sum of weights.
  using Claim = Stake::Claim;

  class Entity : public TreeLink<Vtime> {
    friend Vtime;
    bool has_moved_ = false;         // its clock is relative
    Weight weight_ = kNormalWeight;  // what its stake amounts to
    Stake stake_;
    VirtualTime clock_;
  };

  /// How long a turn lasts while others wait: from one tick to 2^32. For the owning CPU, masked, or
  /// before the scheduler starts.
  void set_slice(Duration slice) {
    constexpr Duration kLongest{uint64_t{1} << 32};
    slice_ = slice == Duration{} ? Duration{1} : slice < kLongest ? slice : kLongest;
  }

  /// Where the clocks begin, for a test of their wrap. Before the first task comes.
  void set_virtual_time(VirtualTime start) { clock_ = start; }

  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (!is_valid_weight(attributes.weight)) return false;
    entity->stake_.set_own(attributes.weight);
    entity->weight_ = entity->stake_.effective();
    return true;
  }
  Attributes attributes(const Entity& entity) const { return {.weight = entity.stake_.own()}; }

  Claim claim(const Entity& entity) const { return entity.stake_.all(); }
  static Claim join(Claim a, Claim b) { return a + b; }
  static Claim without(Claim sum, Claim claim) { return sum - claim; }
  void inherit(Detached<Entity> entity, const Claim* claims) {
    entity->stake_.inherit(claims);
    entity->weight_ = entity->stake_.effective();
  }

  void detach(Detached<Entity> entity) {
    inherit(entity, nullptr);
    if (!entity->has_moved_) entity->clock_ = VirtualTime{} + (entity->clock_ - clock_);
    entity->has_moved_ = true;
  }

  Links enqueue(Entity& entity, Enter why, Instant) {
    // At most a slice, 2^52 units, from the policy's clock, before which nobody in the tree is by
    // more and which nobody is ahead of by more than a charge, 2^62: so clocks can be compared
    // though they wrap. That of a sleeper too: by whatever it seems to be off, it counts as a
    // slice.
    const VirtualDuration limit = to_virtual(slice_, entity.weight_);
    VirtualDuration ahead = entity.clock_ - (entity.has_moved_ ? VirtualTime{} : clock_);
    if (why == Enter::created) ahead = {};
    if (ahead > limit) ahead = limit;
    if (ahead.units < -limit.units) ahead.units = -limit.units;
    entity.clock_ = clock_ + ahead;
    entity.has_moved_ = false;
    return tree_.insert(entity);
  }

  Links dequeue(Entity& entity, Leave why, Instant) {
    if (why == Leave::exited) entity.stake_.inherit(nullptr);
    if (&entity != current_) return tree_.remove(entity);
    current_ = nullptr;
    return Links::intact;
  }

  Links put_back(Entity& entity, Pause, Instant) {
    if (tree_.insert(entity) == Links::corrupt) return Links::corrupt;
    current_ = nullptr;
    return Links::intact;
  }

  Choice<Entity> pick(Instant now) {
    if (current_ == nullptr) {
      Entity* const first = tree_.first();
      if (first == nullptr || tree_.remove(*first) == Links::corrupt) return {};
      current_ = first;
      if (is_before(clock_, first->clock_)) clock_ = first->clock_;
    }
    return {current_, tree_.empty() ? never : now + slice_};
  }

  void ran(Entity& current, Instant from, Instant to) {
    current.clock_ = current.clock_ + to_virtual(to - from, current.weight_);
    if (tree_.empty() && is_before(clock_, current.clock_)) clock_ = current.clock_;
  }

  /// One that was alone has a slice left when company comes.
  Instant contend(Entity&, Entity&, Instant now) { return now + slice_; }

 private:
  struct Order {
    using Key = VirtualTime;
    static VirtualTime key(const Entity& entity) { return entity.clock_; }
    static bool before(VirtualTime a, VirtualTime b) { return is_before(a, b); }
  };

  Tree<Entity, Vtime, Order> tree_;  // all that are runnable, but the current one
  Entity* current_ = nullptr;
  VirtualTime clock_;  // the latest at which anybody began a turn
  Duration slice_{3'000'000};
};

static_assert(AddsClaims<Vtime>);
static_assert(Charges<Vtime> && Contends<Vtime> && Detaches<Vtime>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_VTIME_H_
