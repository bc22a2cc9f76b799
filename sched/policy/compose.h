// What policies made of policies share: to call a part's optional callback if it has it, and to be
// to each part the mechanism that sched/policy/policy.h promises it.

#ifndef BATON_SCHED_POLICY_COMPOSE_H_
#define BATON_SCHED_POLICY_COMPOSE_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>

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

/// What a composition of one policy's claims passes on; of no meaning where there are none.
template <Policy P>
using ClaimOf = decltype([] {
  if constexpr (Inherits<P>) {
    return std::type_identity<typename P::Claim>();
  } else {
    return std::type_identity<std::monostate>();
  }
}())::type;

/// The algebra of these, for such a composition to derive from.
template <Policy P>
struct ClaimsOf {
  using Claim = ClaimOf<P>;

  static Claim join(const Claim& a, const Claim& b)
    requires Inherits<P>
  {
    return P::join(a, b);
  }
  static bool precedes(const Claim& a, const Claim& b)
    requires Ranks<P>
  {
    return P::precedes(a, b);
  }
  static Claim without(const Claim& sum, const Claim& claim)
    requires AddsClaims<P>
  {
    return P::without(sum, claim);
  }
};

/// Whether a part can run an entity that it has not admitted, and that has no attributes there,
/// for as long as the entity inherits something. A policy whose entities work as they are
/// constructed says so by `static constexpr bool kTakesGuests = true`.
template <Policy P>
inline constexpr bool takes_guests = [] {
  if constexpr (requires { P::kTakesGuests; }) {
    return P::kTakesGuests;
  } else {
    return false;
  }
}();

/// The claims of a part, all of which rank: a composition in which some add up and some rank can
/// keep one promise only. Of those that add up the larger counts. Where the part has none, or has
/// no order, all are equal.
template <Policy P>
struct RankedClaims {
  struct None {
    friend constexpr bool operator==(None, None) { return true; }
  };
  static constexpr bool kAdds = [] {
    if constexpr (AddsClaims<P>) {
      return std::totally_ordered<typename P::Claim>;
    } else {
      return false;
    }
  }();
  static constexpr bool kAny = kAdds || Ranks<P>;
  using Claim = decltype([] {
    if constexpr (kAny) {
      return std::type_identity<typename P::Claim>();
    } else {
      return std::type_identity<None>();
    }
  }())::type;

  static bool precedes([[maybe_unused]] const Claim& a, [[maybe_unused]] const Claim& b) {
    if constexpr (Ranks<P>) return P::precedes(a, b);
    if constexpr (kAdds) return b < a;
    return false;
  }

  static Claim claim([[maybe_unused]] const P& part,
                     [[maybe_unused]] const typename P::Entity& entity) {
    if constexpr (kAny) {
      return part.claim(entity);
    } else {
      return {};
    }
  }

  /// Has it count for the larger of its own and `*claims`.
  static void inherit([[maybe_unused]] P& part,
                      [[maybe_unused]] Detached<typename P::Entity> entity,
                      [[maybe_unused]] const Claim* claims) {
    if constexpr (Ranks<P>) part.inherit(entity, claims);
    if constexpr (kAdds) {
      part.inherit(entity, nullptr);
      if (claims == nullptr) return;
      const Claim own = part.claim(*entity);
      if (!precedes(*claims, own)) return;
      const Claim more = P::without(*claims, own);
      part.inherit(entity, &more);
    }
  }
};

/// Claims of one part or another; those of an earlier part precede.
template <Policy... Parts>
struct ClaimsOfParts {
  using Claim = std::variant<typename RankedClaims<Parts>::Claim...>;

  static bool precedes(const Claim& a, const Claim& b) {
    if (a.index() != b.index()) return a.index() < b.index();
    return precedes_in<0, Parts...>(a, b);
  }
  static Claim join(const Claim& a, const Claim& b) { return precedes(b, a) ? b : a; }

 private:
  template <size_t kPart, typename P, typename... Rest>
  static bool precedes_in(const Claim& a, const Claim& b) {
    if constexpr (sizeof...(Rest) != 0) {
      if (a.index() != kPart) return precedes_in<kPart + 1, Rest...>(a, b);
    }
    return RankedClaims<P>::precedes(*std::get_if<kPart>(&a), *std::get_if<kPart>(&b));
  }
};

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
