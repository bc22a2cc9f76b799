// Round robin: first in, first out, but no longer than a slice at a time. Each task has a slice of
// its own; a task that is alone runs without one, and without a timer. A task that is preempted
// goes on later with what is left of its slice: were it whole again, whoever is preempted often
// enough would never be done with it, and its equals would starve. docs/policies/round_robin.md

#ifndef BATON_SCHED_POLICY_ROUND_ROBIN_H_
#define BATON_SCHED_POLICY_ROUND_ROBIN_H_

#include <algorithm>

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

  Links dequeue(Entity& entity, Leave, Instant) {
    // What was left of its slice is nobody's.
    if (left_ != Duration{} && &entity == &ring_.front()) [[unlikely]]
      left_ = {};
    return ring_.remove(entity);
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    if (why == Pause::preempted) {
      if (end_ < never) left_ = left_until(end_, now);
      return Links::intact;
    }
    [[assume(left_.ticks == 0)]];  // since it was picked
    return ring_.rotate(entity);
  }

  bool has_peer(const Entity& current) const {
    return !Ring<Entity, RoundRobin>::is_alone(current);
  }

  Choice<Entity> pick(Instant now) {
    if (ring_.empty()) return {};
    Entity& front = ring_.front();
    end_ = end_of_slice(front, now);
    if (left_ != Duration{}) {
      end_ = Instant{now.ticks + left_.ticks};
      left_ = {};
    }
    if (ring_.front_is_alone()) end_ = never;
    return {&front, end_};
  }

  /// Company has come: the slice of a task that ran alone begins now. Of one that had company
  /// already it began earlier.
  Instant contend(Entity&, Entity& current, Instant now) {
    const Instant end = end_of_slice(current, now);
    end_ = std::min(end_, end);
    return end;
  }

  /// One of the first 16.
  template <typename F>
  Entity* surplus(F allowed, Instant) {
    int looks = 16;
    return ring_.find(allowed, looks);
  }

 private:
  // No saturation needed: both terms stay below 2^63 (`forever`).
  // At least a tick: the next pick must tell it from a whole slice.
  static Duration left_until(Instant end, Instant now) {
    return now < end ? Duration{end.ticks - now.ticks} : Duration{1};
  }

  static Instant end_of_slice(const Entity& entity, Instant now) {
    return Instant{now.ticks + entity.slice_.ticks};
  }

  Ring<Entity, RoundRobin> ring_;
  Instant end_ = never;  // of the current turn
  Duration left_;        // of the front's slice; zero: all of it
};

static_assert(Contends<RoundRobin> && KnowsPeers<RoundRobin>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_ROUND_ROBIN_H_
