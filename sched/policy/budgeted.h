// Budgets: no task runs for more than its budget in any stretch of time as long as its period,
// under whatever policy it is scheduled otherwise. docs/policies/sporadic.md
//
// What a task used comes back one period after it was used, not before: the rule of the sporadic
// server (Sprunt, Sha and Lehoczky, "Aperiodic Task Scheduling for Hard Real-Time Systems",
// Real-Time Systems 1, 1989), with the corrections of Stanovich, Baker, Wang and González Harbour,
// "Defects of the POSIX Sporadic Server and How to Correct Them", RTAS 2010, and with a bounded
// number of refills as there and in the scheduling contexts of seL4. Here a refill is kept as the
// use that it comes from: a *stretch* of time in which the task ran, forgotten as it leaves the
// window of one period that ends now. What is left of the budget is the budget less what is
// remembered. So the window is the definition and not a consequence, a stretch that was too long is
// paid for in full, and other attributes apply to what was used before as well.

#ifndef BATON_SCHED_POLICY_BUDGETED_H_
#define BATON_SCHED_POLICY_BUDGETED_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "sched/policy/compose.h"
#include "sched/policy/part.h"
#include "sched/policy/policy.h"
#include "sched/policy/tree.h"

namespace sched {

/// When a task ran lately: at most `kCapacity` stretches, oldest first, disjoint, and none beyond
/// the present. Every function is O(kCapacity).
template <size_t kCapacity>
class RecentUse {
 public:
  bool is_full() const { return count_ == kCapacity; }

  /// Whether a stretch that begins at `now` would only lengthen the last one.
  bool reaches(Instant now) const { return count_ != 0 && stretches_[count_ - 1].end() == now; }

  void clear() { count_ = 0; }

  Duration total() const {
    Duration sum;
    for (size_t i = 0; i < count_; ++i) sum.ticks += stretches_[i].length.ticks;
    return sum;
  }

  /// Forgets what was before `start`.
  void forget_before(Instant start) {
    size_t gone = 0;
    while (gone < count_ && stretches_[gone].end() <= start) ++gone;
    drop(gone);
    if (count_ != 0 && stretches_[0].start < start) stretches_[0].shorten(start);
  }

  /// Forgets the oldest until no more than `length` is left.
  void forget_beyond(Duration length) {
    const Duration sum = total();
    if (sum > length) forget_before(start_of(Duration{sum.ticks - length.ticks}));
  }

  /// The instant at which the oldest `length` of it, which is less than the total, had been used.
  Instant start_of(Duration length) const {
    size_t i = 0;
    while (length >= stretches_[i].length) length.ticks -= stretches_[i++].length.ticks;
    return stretches_[i].start + length;
  }

  /// Makes one stretch of the two that are closest: as if the earlier had ended where the later
  /// begins. To move what was used towards the present brings no refill forward.
  void merge_closest() {
    size_t closest = 1;
    for (size_t i = 2; i < count_; ++i) {
      if (gap_before(i) < gap_before(closest)) closest = i;
    }
    Stretch& later = stretches_[closest];
    const Stretch& earlier = stretches_[closest - 1];
    // The earlier one fits between its own start and the start of the later.
    later.start.ticks -= earlier.length.ticks;
    later.length.ticks += earlier.length.ticks;
    for (size_t i = closest; i < count_; ++i) stretches_[i - 1] = stretches_[i];
    --count_;
  }

  /// Adds [from, to), which begins where the last one ends or later.
  void add(Instant from, Instant to) {
    if (reaches(from)) {
      stretches_[count_ - 1].length.ticks += to.ticks - from.ticks;
      return;
    }
    if (is_full()) merge_closest();
    stretches_[count_++] = {from, Duration{to.ticks - from.ticks}};
  }

  /// Until when it may run on from `now` before more than `budget` of some `period` is used:
  /// later than `now`. What leaves the window on the way makes it longer. All that is remembered is
  /// less than `budget`, and less than `period` ago.
  Instant end_of_run(Instant now, Duration budget, Duration period) const {
    Instant end = now + Duration{budget.ticks - total().ticks};
    for (size_t i = 0; i < count_ && stretches_[i].start + period <= end; ++i) {
      end = end + stretches_[i].length;
    }
    return end;
  }

 private:
  static_assert(kCapacity >= 2, "two stretches are needed to make one of them");

  struct Stretch {
    Instant start;
    Duration length;

    Instant end() const { return Instant{start.ticks + length.ticks}; }
    void shorten(Instant later_start) {
      length.ticks -= later_start.ticks - start.ticks;
      start = later_start;
    }
  };

  uint64_t gap_before(size_t i) const {
    return stretches_[i].start.ticks - stretches_[i - 1].end().ticks;
  }

  void drop(size_t oldest) {
    if (oldest == 0) return;
    for (size_t i = oldest; i < count_; ++i) stretches_[i - oldest] = stretches_[i];
    count_ -= static_cast<uint32_t>(oldest);
  }

  std::array<Stretch, kCapacity> stretches_{};
  uint32_t count_ = 0;
};

/// Policy `P`, and for each task a budget. A task that has used up its budget is held back: it is
/// taken out of `P` (as `Leave::moved`; it returns as `Enter::moved`) until some of it comes back.
///
/// `kRefills` is how many stretches of use a task is remembered by while it does not run; where
/// there were more, neighbours are taken together, and come back later than they need. Costs are
/// those of `P`, and O(kRefills); to hold back and to release O(log n) more, for n held back.
/// `pick` releases all that are due.
template <Policy P, size_t kRefills = 4>
class Budgeted : public ClaimsOf<P> {
  using Inner = typename P::Entity;

 public:
  class Entity : public Part<Budgeted, 0, Inner>, public TreeLink<Budgeted> {
    friend Budgeted;
    Duration budget_;
    Duration period_;
    RecentUse<kRefills + 1> use_;  // one more: that of the turn
    Instant release_;              // while it is held back: until when
    Enter entry_{};                // what `P` is to be told when it gets it
    bool is_held_ = false;
    bool owes_entry_ = false;  // it left while held back, to come back at once
    bool inherits_ = false;
  };

  /// Those of `P`, and the budget.
  struct Attributes {
    typename P::Attributes inner{};
    /// The most it may run in any `period`; zero or `forever`: no limit.
    Duration budget{};
    /// At least the budget, at most `forever`; of no meaning where there is no limit.
    Duration period{};

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  static constexpr bool kHoldsBack = true;
  static constexpr bool kTakesGuests = takes_guests<P>;
  using typename ClaimsOf<P>::Claim;

  /// The policy under the budgets, to set it up.
  P& inner() { return seat_.policy(); }

  /// Refuses a budget longer than its period, a period beyond `forever`, and what `P` refuses.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    const bool is_limited = attributes.budget != Duration{} && attributes.budget != forever;
    if (is_limited && (attributes.budget > attributes.period || attributes.period > forever)) {
      return false;
    }
    if (!inner().attach(detached_inner(entity), attributes.inner)) return false;
    entity->budget_ = attributes.budget;
    entity->period_ = attributes.period;
    return true;
  }

  Attributes attributes(const Entity& entity) const {
    return {.inner = seat_.policy().attributes(part(entity)),
            .budget = entity.budget_,
            .period = entity.period_};
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    if (why == Enter::created) entity.use_.clear();
    // It came to be held back and never left, as far as `P` was told: that is still to be told.
    const bool comes_back = why == Enter::retuned || why == Enter::inherited || why == Enter::moved;
    if (entity.owes_entry_ && comes_back) why = entity.entry_;
    entity.owes_entry_ = false;
    if (may_run(entity, now)) return seat_.enqueue(part(entity), why, now);
    return hold_back(entity, why);
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    if (entity.is_held_) {
      if (release(entity) == Links::corrupt) return Links::corrupt;
      entity.owes_entry_ = why == Leave::retuned || why == Leave::inherited || why == Leave::moved;
    } else if (seat_.dequeue(part(entity), why, now) == Links::corrupt) {
      return Links::corrupt;
    }
    if (why == Leave::exited) {
      entity.use_.clear();
      entity.inherits_ = false;
    }
    return Links::intact;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    if (may_run(entity, now)) return seat_.put_back(part(entity), why, now);
    return take_out(entity, now);
  }

  Links yield_to(Entity& entity, Entity& target, Instant now)
    requires YieldsTo<P>
  {
    if (!may_run(entity, now)) return take_out(entity, now);
    if (target.is_held_) return seat_.put_back(part(entity), Pause::yielded, now);
    return seat_.yield_to(part(entity), part(target), now);
  }

  bool has_peer(const Entity& current) const
    requires KnowsPeers<P>
  {
    return seat_.policy().has_peer(part(current));
  }

  Choice<Entity> pick(Instant now) {
    Entity* first = held_.first();
    while (first != nullptr && first->release_ <= now) {
      if (release(*first) == Links::corrupt ||
          seat_.enqueue(part(*first), first->entry_, now) == Links::corrupt) {
        return {};
      }
      first = held_.first();
    }
    const auto [inner_entity, inner_until] = seat_.pick(now);
    Instant until = inner_until;
    if (first != nullptr && first->release_ < until) until = first->release_;
    if (inner_entity == nullptr) return {nullptr, until};
    Entity& entity = whole(*inner_entity);
    if (is_limited(entity)) {
      forget(entity, now);
      // So that what it runs now has room without moving what `end_of_run` counts on.
      if (entity.use_.is_full() && !entity.use_.reaches(now)) entity.use_.merge_closest();
      if (!entity.inherits_) {
        const Instant end = entity.use_.end_of_run(now, entity.budget_, entity.period_);
        if (end < until) until = end;
      }
    }
    return {&entity, until};
  }

  void ran(Entity& current, Instant from, Instant to) {
    optional(inner()).ran(part(current), from, to);
    if (!is_limited(current)) return;
    forget(current, to);
    current.use_.add(from, to);
    // Of more than the budget the oldest has to be forgotten before anything comes back: so it may
    // as well be now.
    current.use_.forget_beyond(current.budget_);
  }

  /// A newcomer that is held back makes the mechanism ask when it no longer is.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    if (entered.is_held_) return entered.release_;
    return seat_.contend(part(entered), part(current), now);
  }

  /// Whom the policy would give away: nobody who is held back. What it has used goes along.
  template <typename F>
  Entity* surplus(F allowed, Instant now)
    requires Donates<P>
  {
    typename P::Entity* const found = seat_.policy().surplus(
        [&](const typename P::Entity& entity) {
          return allowed(whole(const_cast<typename P::Entity&>(entity)));
        },
        now);
    return found == nullptr ? nullptr : &whole(*found);
  }

  Claim claim(const Entity& entity) const
    requires Inherits<P>
  {
    return seat_.policy().claim(part(entity));
  }
  /// Who inherits is not held back: those who wait for it would be, too. What it uses is counted,
  /// and keeps it from running afterwards.
  void inherit(Detached<Entity> entity, const Claim* claims)
    requires Inherits<P>
  {
    entity->inherits_ = claims != nullptr;
    inner().inherit(detached_inner(entity), claims);
  }

  void detach(Detached<Entity> entity)
    requires Detaches<P>
  {
    entity->inherits_ = false;
    inner().detach(detached_inner(entity));
  }

  void online(Instant now)
    requires HearsOfCpu<P>
  {
    inner().online(now);
  }
  void offline(Instant now)
    requires HearsOfCpu<P>
  {
    inner().offline(now);
  }

  void taken(Instant now) { seat_.taken(now); }
  /// The next `pick` passes it on.
  void given_back(Instant) {}

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    dump_part(seat_.policy(), part(entity), field);
    if (!is_limited(entity)) return;
    field("budget", entity.budget_.ticks);
    field("period", entity.period_.ticks);
    field("used", entity.use_.total().ticks);
    if (entity.is_held_) field("held_until", entity.release_.ticks);
  }

 private:
  using InnerPart = Part<Budgeted, 0, Inner>;

  struct ByRelease {
    using Key = Instant;
    static Key key(const Entity& entity) { return entity.release_; }
    static bool before(Key a, Key b) { return a < b; }
  };

  // To make the proof that the inner entity is detached, out of the proof that the whole one is.
  struct Prover : Mechanism {
    static Detached<Inner> prove(Inner& entity) { return detached(entity); }
  };
  static Detached<Inner> detached_inner(Detached<Entity> entity) {
    return Prover::prove(part(*entity));
  }

  static Inner& part(Entity& entity) { return static_cast<InnerPart&>(entity); }
  static const Inner& part(const Entity& entity) { return static_cast<const InnerPart&>(entity); }
  static Entity& whole(Inner& inner) {
    return static_cast<Entity&>(static_cast<InnerPart&>(inner));
  }

  static bool is_limited(const Entity& entity) {
    return entity.budget_ != Duration{} && entity.budget_ != forever;
  }

  // What was before the period that ends with the next tick. (The clock may not have counted as
  // much as a period yet.)
  static void forget(Entity& entity, Instant now) {
    const Duration before = now + Duration{1} - Instant{entity.period_.ticks};
    entity.use_.forget_before(Instant{before.ticks});
  }

  // Whether it has not used all its budget.
  static bool may_run(Entity& entity, Instant now) {
    if (!is_limited(entity) || entity.inherits_) return true;
    forget(entity, now);
    return entity.use_.total() < entity.budget_;
  }

  Links take_out(Entity& entity, Instant now) {
    if (seat_.dequeue(part(entity), Leave::moved, now) == Links::corrupt) return Links::corrupt;
    return hold_back(entity, Enter::moved);
  }

  // Until so much has come back that one tick of the budget is left. Attributes do not change
  // meanwhile, nor does what was used.
  Links hold_back(Entity& entity, Enter entry) {
    const Duration excess{entity.use_.total().ticks - entity.budget_.ticks};
    entity.release_ = entity.use_.start_of(excess) + entity.period_;
    entity.entry_ = entry;
    if (held_.insert(entity) == Links::corrupt) return Links::corrupt;
    entity.is_held_ = true;
    return Links::intact;
  }

  Links release(Entity& entity) {
    if (held_.remove(entity) == Links::corrupt) return Links::corrupt;
    entity.is_held_ = false;
    return Links::intact;
  }

  Seat<P> seat_;
  Tree<Entity, Budgeted, ByRelease> held_;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_BUDGETED_H_
