// First in, first out: a task runs until it blocks, yields or finishes; then the one that has
// waited longest. No slice, no rank, no preemption. docs/policies/fifo.md

#ifndef BATON_SCHED_POLICY_FIFO_H_
#define BATON_SCHED_POLICY_FIFO_H_

#include "sched/policy/policy.h"
#include "sched/policy/ring.h"

namespace sched {

/// The order of arrival. Every callback is O(1). The current entity is the front of the ring.
class Fifo {
 public:
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;
  struct Entity : RingLink<Fifo> {};

  /// There is nothing to set.
  struct Attributes {
    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  bool attach(Detached<Entity>, const Attributes&) { return true; }

  Attributes attributes(const Entity&) const { return {}; }

  Links enqueue(Entity& entity, Enter, Instant) { return ring_.push_back(entity); }

  Links dequeue(Entity& entity, Leave, Instant) { return ring_.remove(entity); }

  Links put_back(Entity& entity, Pause why, Instant) {
    return why == Pause::yielded ? ring_.rotate(entity) : Links::intact;
  }

  bool has_peer(const Entity& current) const { return !Ring<Entity, Fifo>::is_alone(current); }

  Choice<Entity> pick(Instant) {
    if (ring_.empty()) return {};
    return {&ring_.front(), never};
  }

  /// One of the first 16.
  template <typename F>
  Entity* surplus(F allowed, Instant) {
    int looks = 16;
    return ring_.find(allowed, looks);
  }

 private:
  Ring<Entity, Fifo> ring_;
};

static_assert(KnowsPeers<Fifo>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_FIFO_H_
