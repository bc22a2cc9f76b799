// A policy that keeps every rule, and the same with one mistake, of the kind that is made. The
// conformance kit has to find each of them by its name: broken_test.cc.

#ifndef BATON_TESTS_CONFORMANCE_BROKEN_H_
#define BATON_TESTS_CONFORMANCE_BROKEN_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "sched/policy/policy.h"
#include "sched/policy/ring.h"
#include "sched/policy/testing/conformance.h"

namespace sched::conformance {

/// What is wrong with it.
enum class Flaw : uint8_t {
  none,
  reports_corrupt_links,   // of a line that is only long
  runs_the_blocked,        // remembers who ran last, and not that it has blocked
  leaves_one_waiting,      // names nobody just after somebody has blocked
  waits_for_ever,          // holds one back and names no instant
  waits_in_vain,           // holds one back and asks to be asked, again and again
  overflows,               // an extreme slice times an extreme share does not fit
  keeps_to_a_grid,         // the next end of a slice is the last one and a slice: behind by a jump
  demotes_the_preempted,   // who is put back in the middle of a turn goes behind the others
  tires_when_asked,        // each `pick` of nobody puts off the next one
  always_has_a_peer,       // of one that is alone, too
  ages_attributes,         // writes what it makes of the attributes where they are
  gives_away_the_held,     // `surplus` does not ask who is allowed to go
  keeps_shares,            // `detach` gives nothing back
  ties_by_address,         // of those that came at the same instant
  counts_the_refused,      // `attach` first counts, then looks
  turns_when_questioned,   // `surplus` moves the line
  remembers_the_finished,  // `created` does not begin anew
  compares_plainly,        // arrival numbers wrap, and are compared as numbers
  keeps_32_bits,           // of an instant
  skips_the_retuned,       // a current entity that comes back at once need not be queued, it thinks
  skips_the_moved,         // has no case for `moved`
  skips_a_quick_wake,      // at the instant at which it blocked: nothing has changed, it thinks
  loses_the_yielder,       // `yield_to` puts the target first and the current one nowhere
  stays_away,              // misses `given_back`
  keeps_the_inherited,     // for ever, when nobody waits any longer, too
  loses_the_inherited,     // when it is given other attributes
  inherits_attributes,     // writes what it inherits where the attributes are
  bequeaths,               // what one life has inherited, to the next
  joins_in_order,          // of the last that came, and not of all
};

/// Turns of a slice each in order of arrival, with a limited number of shares to give away. Slow
/// and simple: `pick` looks at everybody.
template <Flaw kFlaw>
class Turns {
  static constexpr bool has(Flaw flaw) { return kFlaw == flaw; }

 public:
  static constexpr bool kHoldsBack = has(Flaw::waits_for_ever) || has(Flaw::waits_in_vain);
  static constexpr uint32_t kShares = 30;

  struct Attributes {
    Duration slice{10};
    uint32_t share = 1;
    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  using Claim = uint64_t;  // ticks of a slice

  class Entity : public RingLink<Turns> {
    friend Turns;
    Attributes attributes;
    Claim inherited = 0;
    bool is_admitted = false;
    uint16_t number = 0;  // of its arrival: wraps
    Duration used;        // since it was created: half a slice from some time on
    Instant came;         // to its place in the line
    Instant left;         // when it blocked
  };

  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    const uint32_t had = entity->is_admitted ? entity->attributes.share : 0;
    if (attributes.slice == Duration{} || attributes.slice > forever) {
      if (has(Flaw::counts_the_refused)) ++given_;
      return false;
    }
    if (attributes.share == 0 || attributes.share > kShares - given_ + had) return false;
    given_ += attributes.share - had;
    entity->attributes = attributes;
    entity->is_admitted = true;
    if (has(Flaw::loses_the_inherited)) entity->inherited = 0;
    return true;
  }
  void detach(Detached<Entity> entity) {
    if (!has(Flaw::bequeaths)) entity->inherited = 0;
    if (!has(Flaw::keeps_shares)) given_ -= entity->attributes.share;
    entity->is_admitted = false;
  }
  Attributes attributes(const Entity& entity) const { return entity.attributes; }

  Claim claim(const Entity& entity) const { return slice_of(entity); }
  static Claim join(Claim a, Claim b) {
    if (has(Flaw::joins_in_order)) return b;
    return a < b ? b : a;
  }
  void inherit(Detached<Entity> entity, const Claim* claims) {
    if (has(Flaw::keeps_the_inherited) && claims == nullptr) return;
    entity->inherited = claims == nullptr ? 0 : *claims;
    if (has(Flaw::inherits_attributes)) entity->attributes.slice = Duration{slice_of(*entity)};
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    if (has(Flaw::skips_the_moved) && why == Enter::moved) return Links::intact;
    if (has(Flaw::skips_the_retuned) && why == Enter::retuned && current_ == &entity) {
      return Links::intact;
    }
    if (has(Flaw::skips_a_quick_wake) && why == Enter::woken && entity.left == now) {
      return Links::intact;
    }
    if (why == Enter::created && !has(Flaw::remembers_the_finished)) entity.used = Duration{};
    entity.number = next_++;
    entity.came = now;
    if (ring_.empty()) began_ = now;
    somebody_blocked_ = false;
    if (has(Flaw::reports_corrupt_links) && ++length_ == 5) return Links::corrupt;
    return ring_.push_back(entity);
  }
  Links dequeue(Entity& entity, Leave why, Instant now) {
    if (why == Leave::exited && !has(Flaw::bequeaths)) entity.inherited = 0;
    if (why == Leave::blocked) {
      entity.left = now;
      somebody_blocked_ = true;
    }
    if (why == Leave::blocked && current_ == &entity && !has(Flaw::runs_the_blocked)) {
      current_ = nullptr;
    }
    --length_;
    // In the line or not: this is what the mistakes rely on.
    return entity.next == nullptr ? Links::intact : ring_.remove(entity);
  }
  Links put_back(Entity& entity, Pause why, Instant now) {
    if (why != Pause::preempted || has(Flaw::demotes_the_preempted)) {
      entity.number = next_++;
      entity.came = now;
    }
    if (why == Pause::timed_out) began_ = began_ + entity.attributes.slice;
    if (has(Flaw::ages_attributes) && why == Pause::timed_out) entity.attributes.slice.ticks ^= 1;
    return Links::intact;
  }
  Links yield_to(Entity& current, Entity& target, Instant now) {
    target.number = static_cast<uint16_t>(first()->number - 1);
    current.number = next_++;
    current.came = now;
    return has(Flaw::loses_the_yielder) ? ring_.remove(current) : Links::intact;
  }

  Choice<Entity> pick(Instant now) {
    if (has(Flaw::leaves_one_waiting) && somebody_blocked_) {
      return {nullptr, now + Duration{10}};
    }
    if (is_taken_) return {nullptr, never};
    if (has(Flaw::runs_the_blocked) && current_ != nullptr) return {current_, never};
    Entity* chosen = first();
    current_ = chosen;
    if (chosen == nullptr) {
      return {nullptr, has(Flaw::tires_when_asked) ? now + Duration{++asked_} : never};
    }
    if (kHoldsBack && chosen->attributes.share == 7) {
      return {nullptr, has(Flaw::waits_in_vain) ? now + Duration{1} : never};
    }
    if (Ring<Entity, Turns>::is_alone(*chosen)) return {chosen, never};
    return {chosen, end_of_slice(*chosen, now)};
  }
  Instant contend(Entity&, Entity& current, Instant now) { return end_of_slice(current, now); }
  void ran(Entity& current, Instant from, Instant to) {
    current.used = Duration{current.used.ticks + (to - from).ticks};
  }
  bool has_peer(const Entity& current) const {
    return has(Flaw::always_has_a_peer) || !Ring<Entity, Turns>::is_alone(current);
  }

  void taken(Instant) { is_taken_ = has(Flaw::stays_away); }
  void given_back(Instant) {}

  Entity* surplus(bool (*allowed)(const Entity&), Instant) {
    if (ring_.empty()) return nullptr;
    Entity& chosen = next_of(ring_.front());
    if (has(Flaw::turns_when_questioned)) chosen.number = next_++;
    return has(Flaw::gives_away_the_held) || allowed(chosen) ? &chosen : nullptr;
  }

  void set_next_number(uint16_t number) { next_ = number; }

 private:
  Entity& next_of(Entity& entity) {
    return static_cast<Entity&>(*static_cast<RingLink<Turns>&>(entity).next);
  }

  static uint64_t slice_of(const Entity& entity) {
    const uint64_t own = entity.attributes.slice.ticks;
    return own < entity.inherited ? entity.inherited : own;
  }

  bool is_before(const Entity& a, const Entity& b) const {
    if (has(Flaw::compares_plainly)) return a.number < b.number;
    if (has(Flaw::keeps_32_bits) && a.came != b.came) {
      return static_cast<uint32_t>(a.came.ticks) < static_cast<uint32_t>(b.came.ticks);
    }
    if (has(Flaw::ties_by_address) && a.came == b.came) return &a < &b;
    return static_cast<int16_t>(a.number - b.number) < 0;
  }

  Entity* first() {
    if (ring_.empty()) return nullptr;
    Entity* first = &ring_.front();
    for (Entity* e = &next_of(*first); e != &ring_.front(); e = &next_of(*e)) {
      if (is_before(*e, *first)) first = e;
    }
    return first;
  }

  Instant end_of_slice(const Entity& entity, Instant now) {
    constexpr Duration kLong{100};
    const uint64_t slice = slice_of(entity);
    const Duration turn{entity.used < kLong ? slice : (slice + 1) / 2};
    if (has(Flaw::overflows)) {
      return Instant{now.ticks + turn.ticks * (entity.attributes.share * 16) / 16};
    }
    if (has(Flaw::keeps_to_a_grid)) return began_ + turn;
    return now + turn;
  }

  Ring<Entity, Turns> ring_;
  Entity* current_ = nullptr;
  uint16_t next_ = 0;
  uint64_t asked_ = 0;
  uint32_t given_ = 0;
  int length_ = 0;
  bool somebody_blocked_ = false;
  bool is_taken_ = false;
  Instant began_;
};

template <Flaw kFlaw>
struct TurnsSubject : Subject<Turns<kFlaw>> {
  static Turns<kFlaw>::Attributes sample(Source& source) {
    constexpr Duration kSlices[] = {Duration{},   Duration{1},  Duration{10}, Duration{15},
                                    Duration{30}, Duration{60}, forever,      {UINT64_MAX}};
    constexpr uint32_t kSomeShares[] = {1, 1, 2, 3, 4, 7, 30, 0, 31, UINT32_MAX};
    return {.slice = source.one_of(kSlices), .share = source.one_of(kSomeShares)};
  }
  static void near_wrap(Turns<kFlaw>& policy) { policy.set_next_number(UINT16_MAX - 20); }
};

}  // namespace sched::conformance

#endif  // BATON_TESTS_CONFORMANCE_BROKEN_H_
