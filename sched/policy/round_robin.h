// Round robin: first in, first out, but no longer than a slice at a time. Each task has a slice of
// its own; a task that is alone runs without one, and without a timer. docs/policies/round_robin.md

#ifndef BATON_SCHED_POLICY_ROUND_ROBIN_H_
#define BATON_SCHED_POLICY_ROUND_ROBIN_H_

#include "sched/policy/policy.h"
#include "sched/policy/ring.h"

namespace sched {

/// Turns of bounded length. Every callback is O(1). The current entity is the front of the ring.
class RoundRobin {
 public:
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;
  class Entity : public RingLink<RoundRobin> {
    friend RoundRobin;
    Duration slice_ = forever;
  };

  struct Attributes {
    /// The longest turn while others wait: above zero, at most `forever` (which makes it `Fifo`).
    Duration slice = forever;

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  /// Refuses a slice outside its range.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (attributes.slice == Duration{} || attributes.slice > forever) return false;
    entity->slice_ = attributes.slice;
    return true;
  }

  Attributes attributes(const Entity& entity) const { return {.slice = entity.slice_}; }

  Links enqueue(Entity& entity, Enter, Instant) { return ring_.push_back(entity); }

  Links dequeue(Entity& entity, Leave, Instant) { return ring_.remove(entity); }

  Links put_back(Entity& entity, Pause why, Instant) {
    return why == Pause::preempted ? Links::intact : ring_.rotate(entity);
  }

  bool has_peer(const Entity& current) const {
    return !Ring<Entity, RoundRobin>::is_alone(current);
  }

  Choice<Entity> pick(Instant now) {
    if (ring_.empty()) return {};
    Entity& front = ring_.front();
    if (ring_.front_is_alone()) return {&front, never};
    return {&front, end_of_slice(front, now)};
  }

  /// Company has come: the slice of a task that ran alone begins now. (Of one that had company
  /// already it began earlier, and the mechanism keeps the earlier end.)
  Instant contend(Entity&, Entity& current, Instant now) { return end_of_slice(current, now); }

 private:
  // No saturation needed: both terms stay below 2^63 (`forever`).
  static Instant end_of_slice(const Entity& entity, Instant now) {
    return Instant{now.ticks + entity.slice_.ticks};
  }

  Ring<Entity, RoundRobin> ring_;
};

static_assert(Contends<RoundRobin> && KnowsPeers<RoundRobin>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_ROUND_ROBIN_H_
