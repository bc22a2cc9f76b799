// What policies made of policies share: to call a part's optional callback if it has it, and to be
// to each part the mechanism that sched/policy/policy.h promises it.

#ifndef BATON_SCHED_POLICY_COMPOSE_H_
#define BATON_SCHED_POLICY_COMPOSE_H_

#include <cstdint>
#include <utility>

#include "sched/policy/policy.h"

namespace sched {

/// A part and its optional callbacks: where the part lacks one, what policy.h says happens without
/// it. Not `has_peer`: a composition has that only if its parts do, for there is no answer in the
/// place of a missing one.
///
///     optional(part).ran(entity, from, to);
template <Policy P>
class Optional {
 public:
  using Entity = typename P::Entity;

  explicit Optional(P& part) : part_(part) {}

  void ran(Entity& current, Instant from, Instant to) const {
    if constexpr (Charges<P>) part_.ran(current, from, to);
  }

  Instant contend(Entity& entered, Entity& current, Instant now) const {
    if constexpr (Contends<P>) return part_.contend(entered, current, now);
    return never;
  }

  Links yield_to(Entity& current, Entity& target, Instant now) const {
    if constexpr (YieldsTo<P>) return part_.yield_to(current, target, now);
    return part_.put_back(current, Pause::yielded, now);
  }

  void detach(Detached<Entity> entity) const {
    if constexpr (Detaches<P>) part_.detach(entity);
  }

  void online(Instant now) const {
    if constexpr (HearsOfCpu<P>) part_.online(now);
  }
  void offline(Instant now) const {
    if constexpr (HearsOfCpu<P>) part_.offline(now);
  }

  void taken(Instant now) const {
    if constexpr (HearsOfOthers<P>) part_.taken(now);
  }
  void given_back(Instant now) const {
    if constexpr (HearsOfOthers<P>) part_.given_back(now);
  }

 private:
  P& part_;
};

template <Policy P>
Optional<P> optional(P& part) {
  return Optional<P>(part);
}

/// What a part can tell a person of its entity, if anything.
template <Policy P, typename Field>
void dump_part(const P& part, const typename P::Entity& entity, Field&& field) {
  if constexpr (Dumps<P>) part.dump(entity, std::forward<Field>(field));
}

/// A part together with its turn: what a composition keeps for each part that it may leave for
/// another and come back to.
///
/// The mechanism above asks a composition again for reasons that are no business of the part whose
/// entity runs: another part's `until` has come, or somebody has come to another part. Told of a
/// turn's end each time, a round robin would begin a new slice each time, and its peers would wait
/// for ever. So a turn that ends before the part itself has asked for it is only *paused*, and goes
/// on if the part is picked from again at the same instant. To the part it was one turn. Otherwise
/// the part is told `preempted`, at the latest before it is asked, or taken.
template <Policy P>
class Seat {
 public:
  using Entity = typename P::Entity;

  P& policy() { return policy_; }
  const P& policy() const { return policy_; }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    const Links links = policy_.enqueue(entity, why, now);
    if (paused_ && links == Links::intact) contend(entity, *current_, now);
    return links;
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    const Links links = policy_.dequeue(entity, why, now);
    if (&entity == current_ && links == Links::intact) end_turn();
    return links;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    if (why != Pause::yielded && now < until_) {
      paused_ = true;
      paused_at_ = now;
      return Links::intact;
    }
    const Links links = policy_.put_back(entity, why, now);
    if (links == Links::intact) end_turn();
    return links;
  }

  Links yield_to(Entity& entity, Entity& target, Instant now) {
    const Links links = optional(policy_).yield_to(entity, target, now);
    if (links == Links::intact) end_turn();
    return links;
  }

  Choice<Entity> pick(Instant now) {
    if (current_ != nullptr && now < until_ && (!paused_ || now == paused_at_)) {
      paused_ = false;
      return {current_, until_};
    }
    // What `pick` cannot report is reported by the next call for that entity: nothing has changed.
    if (settle(now) == Links::corrupt) return {};
    if (taken_) {
      taken_ = false;
      optional(policy_).given_back(now);
    }
    const Choice<Entity> choice = policy_.pick(now);
    current_ = choice.entity;
    until_ = choice.until;
    return choice;
  }

  /// As the part's own; `now` where its own current one is not current any more, having got other
  /// attributes: then the mechanism is about to ask anyway.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    if (&current != current_) return now;
    const Instant until = optional(policy_).contend(entered, current, now);
    if (until < until_) until_ = until;
    return until;
  }

  /// Another part is preferred. Any number of times in a row; `pick` gives it back.
  void taken(Instant now) {
    if (settle(now) == Links::corrupt) return;  // as in `pick`
    if constexpr (HearsOfOthers<P>) {
      if (!taken_) policy_.taken(now);
      taken_ = true;
    }
  }

 private:
  // Ends a paused turn.
  Links settle(Instant now) {
    if (!paused_) return Links::intact;
    const Links links = policy_.put_back(*current_, Pause::preempted, now);
    if (links == Links::intact) end_turn();
    return links;
  }

  void end_turn() {
    current_ = nullptr;
    paused_ = false;
  }

  P policy_;
  Entity* current_ = nullptr;  // from the part's `pick` to its `put_back` or `dequeue`
  Instant until_ = never;      // the part's own, for this turn
  Instant paused_at_;
  bool paused_ = false;  // to the mechanism above there is no current entity
  bool taken_ = false;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_COMPOSE_H_
