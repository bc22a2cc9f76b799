// Scheduling classes, each a policy, in strict order: a class runs when those above it have nobody
// to run; except that so much of the time is left to the classes below each as has been reserved
// for them. docs/policies/classes.md
//
// The rule. Below each class but the last there is a *boundary*, which may have a reserve: an
// amount of each period. Whenever somebody below a boundary is runnable, *windows* of one period
// follow one another there; the first begins when somebody becomes runnable and none is open.
// Whatever runs below the boundary within a window counts towards its reserve, for whatever reason
// it runs. From the instant at which the rest of the window is just what is still missing, the
// boundary is *pressing*: classes below it precede those above it. If several press, the lowest
// does first, which is right for all: whoever runs below a low boundary runs below the higher ones.
//
// Hence, for a mechanism that asks on time:
// - Who is below a boundary gets all its reserve in each window in which somebody there can run
//   from the start of the pressing on. (From then to the end of the window whoever runs is below
//   it, and what was missing then is what is left of the window.)
// - Above a boundary no more than the reserve is lost in any stretch of time as long as the period.
//   (It presses only within the last `amount` of a window, and windows do not overlap: any such
//   stretch has no more than `amount` in common with those ends.)
// - Nothing is lost to a boundary below which nobody is runnable.
//
// This is the server for fair tasks that Linux has had since 6.12, which likewise defers to the
// latest possible moment, but exact: there is no replenishment that begins late, and one boundary
// never takes from another.

#ifndef BATON_SCHED_POLICY_CLASSES_H_
#define BATON_SCHED_POLICY_CLASSES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "sched/policy/compose.h"
#include "sched/policy/part.h"
#include "sched/policy/policy.h"

namespace sched {

/// One boundary: see the head of this file. Every function is O(1).
class Boundary {
 public:
  /// False, and nothing changes, where the amount is more than the period, or that is more than
  /// `forever`. An amount of zero: no reserve.
  bool set_reserve(Duration amount, Duration period) {
    if (amount > period || period > forever) return false;
    amount_ = amount;
    period_ = period;
    missing_ = {};
    end_ = {};  // no window has been
    return true;
  }

  /// Somebody below it is runnable from now on.
  void enter(Instant now) {
    if (amount_ != Duration{} && waiting_ == 0 && now >= end_) open(now);
    ++waiting_;
  }
  /// Somebody is no longer. Up to date.
  void leave() { --waiting_; }

  /// Brings the windows up to date, before anything else at `now`.
  void advance(Instant now) {
    if (now < end_ || waiting_ == 0 || amount_ == Duration{}) return;
    if (end_ == Instant{}) return open(now);
    const uint64_t late = now.ticks - end_.ticks;
    // Seldom more than a period: only if nobody above was there all the time.
    open(Instant{late < period_.ticks ? end_.ticks : now.ticks - late % period_.ticks});
  }

  /// Somebody below it has run in [from, to). Up to date.
  void ran(Instant from, Instant to) {
    if (missing_ == Duration{}) return;
    const Instant start{end_.ticks - period_.ticks};
    const Duration length = to - (from < start ? start : from);
    missing_ = length < missing_ ? Duration{missing_.ticks - length.ticks} : Duration{};
  }

  /// Up to date.
  bool is_pressing(Instant now) const {
    return waiting_ != 0 && missing_ != Duration{} && end_ - now <= missing_;
  }

  /// While somebody above it runs: when it begins to press, of itself. Not if it does already (then
  /// nobody below can run) and not if nobody is runnable there. Up to date.
  Instant press_time(Instant now) const {
    if (waiting_ == 0 || amount_ == Duration{} || is_pressing(now)) return never;
    if (missing_ != Duration{}) return Instant{end_.ticks - missing_.ticks};
    return end_ + Duration{period_.ticks - amount_.ticks};
  }

  /// While somebody below it runs: when it ceases to press. Up to date.
  Instant relief_time(Instant now) const { return is_pressing(now) ? end_ : never; }

 private:
  void open(Instant start) {
    end_ = Instant{start.ticks + period_.ticks};
    missing_ = amount_;
  }

  Duration amount_;
  Duration period_;
  Instant end_;       // of the window
  Duration missing_;  // of the reserve, in this window
  uint32_t waiting_ = 0;
};

/// Policies in strict order, the first before the second and so on, with reserves. Costs are those
/// of the part that an entity is in, and O(number of classes); `pick` asks each class that precedes
/// the one it finds somebody in.
template <Policy... Parts>
class Classes {
  static constexpr size_t kCount = sizeof...(Parts);
  static_assert(kCount >= 2, "one class alone is its policy");
  static_assert(kCount <= 16, "each decision may look at each class");

  using Indices = std::make_index_sequence<kCount>;

  template <size_t kClass>
  using PolicyOf = std::tuple_element_t<kClass, std::tuple<Parts...>>;
  template <size_t kClass>
  using InnerOf = typename PolicyOf<kClass>::Entity;
  template <size_t kClass>
  using PartOf = Part<Classes, kClass, InnerOf<kClass>>;

  template <typename>
  struct AllParts;
  template <size_t... kClass>
  struct AllParts<std::index_sequence<kClass...>> : PartOf<kClass>... {};

 public:
  /// A part for each class and not a union of them: a policy may keep a link to an entity that is
  /// not runnable (an admitted one, say), and a class that refuses an entity must not have touched
  /// what it is in the class it stays in.
  class Entity : public AllParts<Indices> {
    friend Classes;
    uint8_t class_ = kCount - 1;  // that it runs in
    uint8_t home_ = kCount - 1;   // that it was admitted to
    bool is_admitted_ = false;
    bool is_new_to_class_ = false;  // to that it runs in
    bool is_new_at_home_ = false;
    std::optional<typename ClaimsOfParts<Parts...>::Claim> inherited_;

    bool is_guest() const { return class_ != home_; }
  };

  /// A class and the attributes there; without any, those that the last class has without any.
  class Attributes {
   public:
    constexpr Attributes() : of_(std::in_place_index<kCount - 1>) {}

    size_t index() const { return of_.index(); }

    /// The attributes in this class, which must be `index()`.
    template <size_t kClass>
    const typename PolicyOf<kClass>::Attributes& get() const {
      return *std::get_if<kClass>(&of_);
    }

    friend bool operator==(const Attributes&, const Attributes&) = default;

   private:
    friend Classes;
    using Variant = std::variant<typename Parts::Attributes...>;
    constexpr explicit Attributes(const Variant& of) : of_(of) {}
    Variant of_;
  };

  static constexpr bool kHoldsBack = (holds_back<Parts> || ...);
  static constexpr bool kTakesGuests = (takes_guests<Parts> && ...);

  /// A class, and a claim there if its policy has any.
  using Claim = ClaimsOfParts<Parts...>::Claim;

  /// Attributes in class `kClass`.
  template <size_t kClass>
  static constexpr Attributes in(const typename PolicyOf<kClass>::Attributes& attributes = {}) {
    return Attributes(typename Attributes::Variant(std::in_place_index<kClass>, attributes));
  }

  /// The policy of class `kClass`, to set it up.
  template <size_t kClass>
  PolicyOf<kClass>& part() {
    return std::get<kClass>(seats_).policy();
  }

  /// Leaves `amount` of each `period` to the classes below `kClass` when they have somebody
  /// runnable; zero: nothing. False, and nothing changes, if the amount is more than the period or
  /// that more than `forever`. For the owning CPU, masked, or before the scheduler starts; the next
  /// decision goes by it.
  template <size_t kClass>
  bool set_reserve_below(Duration amount, Duration period) {
    static_assert(kClass + 1 < kCount, "nobody is below the last class");
    return boundaries_[kClass].set_reserve(amount, period);
  }

  /// What the class refuses. A class other than before admits it first, then the old one is told
  /// that it is gone; in the new one it begins anew.
  ///
  /// What it inherits goes on: a guest stays one, if the other class is not the one that lends.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    const size_t to = attributes.index();
    const bool accepted = in_class(to, [&]<size_t kTo>(Index<kTo>) {
      // It comes as somebody new: nobody is to see, in its claim, what it was there in another
      // life.
      if constexpr (std::is_copy_assignable_v<InnerOf<kTo>>) {
        if (to != entity->home_ && to != entity->class_) inner<kTo>(*entity) = InnerOf<kTo>{};
      }
      return part<kTo>().attach(detached_inner<kTo>(entity), attributes.template get<kTo>());
    });
    if (!accepted) return false;
    if (to != entity->home_) {
      if (entity->is_admitted_) leave_home(entity);
      if (!entity->is_guest()) entity->class_ = static_cast<uint8_t>(to);
      entity->home_ = static_cast<uint8_t>(to);
      entity->is_new_at_home_ = true;
    }
    entity->is_admitted_ = true;
    settle(entity);
    return true;
  }

  Attributes attributes(const Entity& entity) const {
    return in_class(entity.home_, [&]<size_t kClass>(Index<kClass>) {
      return in<kClass>(std::get<kClass>(seats_).policy().attributes(inner<kClass>(entity)));
    });
  }

  Claim claim(const Entity& entity) const {
    if (lends_class(entity)) return *entity.inherited_;
    return in_class(entity.home_, [&]<size_t kClass>(Index<kClass>) {
      return Claim(std::in_place_index<kClass>,
                   RankedClaims<PolicyOf<kClass>>::claim(std::get<kClass>(seats_).policy(),
                                                         inner<kClass>(entity)));
    });
  }
  /// One of an earlier class; within a class the one that its policy prefers.
  static bool precedes(const Claim& a, const Claim& b) {
    return ClaimsOfParts<Parts...>::precedes(a, b);
  }
  static Claim join(const Claim& a, const Claim& b) { return ClaimsOfParts<Parts...>::join(a, b); }

  /// From an earlier class: it runs there, as a guest. From its own: as that class has it. From a
  /// later one: nothing.
  void inherit(Detached<Entity> entity, const Claim* claims) {
    entity->inherited_.reset();
    if (claims != nullptr) entity->inherited_ = *claims;
    settle(entity);
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    bool& is_new = entity.is_guest() ? entity.is_new_to_class_ : entity.is_new_at_home_;
    if (is_new) why = Enter::created;
    const Links links = in_class(entity.class_, [&]<size_t kClass>(Index<kClass>) {
      return std::get<kClass>(seats_).enqueue(inner<kClass>(entity), why, now);
    });
    if (links == Links::corrupt) return Links::corrupt;
    is_new = false;
    advance(now);
    for (size_t b = 0; b < entity.class_; ++b) boundaries_[b].enter(own_time(now));
    return Links::intact;
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    const Links links = in_class(entity.class_, [&]<size_t kClass>(Index<kClass>) {
      return std::get<kClass>(seats_).dequeue(inner<kClass>(entity), why, now);
    });
    if (links == Links::corrupt) return Links::corrupt;
    advance(now);
    for (size_t b = 0; b < entity.class_; ++b) boundaries_[b].leave();
    if (why == Leave::exited) come_home(entity);
    return Links::intact;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    return in_class(entity.class_, [&]<size_t kClass>(Index<kClass>) {
      return std::get<kClass>(seats_).put_back(inner<kClass>(entity), why, now);
    });
  }

  /// A yield to another class is a yield.
  Links yield_to(Entity& entity, Entity& target, Instant now)
    requires(YieldsTo<Parts> || ...)
  {
    return in_class(entity.class_, [&]<size_t kClass>(Index<kClass>) {
      Seat<PolicyOf<kClass>>& seat = std::get<kClass>(seats_);
      if (target.class_ != kClass) return seat.put_back(inner<kClass>(entity), Pause::yielded, now);
      return seat.yield_to(inner<kClass>(entity), inner<kClass>(target), now);
    });
  }

  bool has_peer(const Entity& current) const
    requires(KnowsPeers<Parts> && ...)
  {
    return in_class(current.class_, [&]<size_t kClass>(Index<kClass>) {
      return std::get<kClass>(seats_).policy().has_peer(inner<kClass>(current));
    });
  }

  Choice<Entity> pick(Instant now) {
    advance(now);
    Instant until = never;
    std::array<bool, kCount> asked{};
    // The lowest boundary that presses is the first to be listened to.
    for (size_t b = kCount - 1; b-- > 0;) {
      if (!boundaries_[b].is_pressing(own_time(now))) continue;
      if (Entity* const found = ask_from(b + 1, asked, until, now)) return {found, until};
    }
    return {ask_from(0, asked, until, now), until};
  }

  void ran(Entity& current, Instant from, Instant to) {
    in_class(current.class_, [&]<size_t kClass>(Index<kClass>) {
      optional(part<kClass>()).ran(inner<kClass>(current), from, to);
    });
    advance(to);
    for (size_t b = 0; b < current.class_; ++b) boundaries_[b].ran(own_time(from), own_time(to));
  }

  /// Within a class as the class has it; a class that precedes the current one's preempts.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    if (entered.class_ == current.class_) {
      return in_class(current.class_, [&]<size_t kClass>(Index<kClass>) {
        return std::get<kClass>(seats_).contend(inner<kClass>(entered), inner<kClass>(current),
                                                now);
      });
    }
    advance(now);
    if (precedes(entered.class_, current.class_, now)) return now;
    return change_time(current.class_, now);
  }

  /// Of the first class that has somebody to give away.
  template <typename F>
  Entity* surplus(F allowed, Instant now)
    requires(Donates<Parts> || ...)
  {
    return surplus_from(Index<0>(), allowed, now);
  }

  /// The class that it is in is told, and forgets it.
  void detach(Detached<Entity> entity) {
    inherit(entity, nullptr);
    leave_home(entity);
    entity->is_admitted_ = false;
  }

  void online(Instant now)
    requires(HearsOfCpu<Parts> || ...)
  {
    for_each_seat([&](auto& seat) { optional(seat.policy()).online(now); });
  }
  void offline(Instant now)
    requires(HearsOfCpu<Parts> || ...)
  {
    for_each_seat([&](auto& seat) { optional(seat.policy()).offline(now); });
  }

  /// Where others are preferred to all of it, time stands still for the windows: a reserve is one
  /// of the time that there is to divide.
  void taken(Instant now) {
    advance(now);
    taken_at_ = now;
    is_taken_ = true;
    for_each_seat([&](auto& seat) { seat.taken(now); });
  }
  void given_back(Instant now) {
    lost_.ticks += (now - taken_at_).ticks;
    is_taken_ = false;
  }

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    field("class", entity.class_);
    if (entity.is_guest()) field("guest from class", entity.home_);
    in_class(entity.class_, [&]<size_t kClass>(Index<kClass>) {
      dump_part(std::get<kClass>(seats_).policy(), inner<kClass>(entity), field);
    });
  }

 private:
  template <size_t kClass>
  using Index = std::integral_constant<size_t, kClass>;

  // Calls `f` with the class as a constant.
  template <size_t kClass = 0, typename F>
  static decltype(auto) in_class(size_t index, F&& f) {
    if constexpr (kClass + 1 < kCount) {
      if (index != kClass) return in_class<kClass + 1>(index, std::forward<F>(f));
    }
    return f(Index<kClass>{});
  }

  template <typename F>
  void for_each_seat(F f) {
    std::apply([&](auto&... seat) { (f(seat), ...); }, seats_);
  }

  template <size_t kClass>
  static InnerOf<kClass>& inner(Entity& entity) {
    return static_cast<PartOf<kClass>&>(entity);
  }
  template <size_t kClass>
  static const InnerOf<kClass>& inner(const Entity& entity) {
    return static_cast<const PartOf<kClass>&>(entity);
  }
  template <size_t kClass>
  static Entity& whole(InnerOf<kClass>& inner) {
    return static_cast<Entity&>(static_cast<PartOf<kClass>&>(inner));
  }

  // To make the proof that a part is detached, out of the proof that the whole one is.
  struct Prover : Mechanism {
    template <typename E>
    static Detached<E> prove(E& entity) {
      return detached(entity);
    }
  };
  template <size_t kClass>
  static Detached<InnerOf<kClass>> detached_inner(Detached<Entity> entity) {
    return Prover::prove(inner<kClass>(*entity));
  }

  template <size_t kClass, typename F>
  Entity* surplus_from(Index<kClass>, F allowed, Instant now) {
    if constexpr (Donates<PolicyOf<kClass>>) {
      InnerOf<kClass>* const found = part<kClass>().surplus(
          [&](const InnerOf<kClass>& entity) {
            return allowed(whole<kClass>(const_cast<InnerOf<kClass>&>(entity)));
          },
          now);
      if (found != nullptr) return &whole<kClass>(*found);
    }
    if constexpr (kClass + 1 < kCount) {
      return surplus_from(Index<kClass + 1>(), allowed, now);
    } else {
      return nullptr;
    }
  }

  void leave_home(Detached<Entity> entity) {
    in_class(entity->home_, [&]<size_t kClass>(Index<kClass>) {
      optional(part<kClass>()).detach(detached_inner<kClass>(entity));
    });
  }

  // Whether it inherits from a class before its own.
  static bool lends_class(const Entity& entity) {
    return entity.inherited_ && entity.inherited_->index() < entity.home_;
  }

  // Where it runs: at home, or in the class that lends, or the next one that takes guests.
  static size_t class_for(const Entity& entity) {
    constexpr std::array<bool, kCount> kGuests = {takes_guests<Parts>...};
    size_t c = lends_class(entity) ? entity.inherited_->index() : entity.home_;
    while (c < entity.home_ && !kGuests[c]) ++c;
    return c;
  }

  // Its part there ends: as if it had never been there. Assigned, not constructed: what derives
  // from a part may lie in its padding.
  static void forget_guest(Entity& entity) {
    in_class(entity.class_, [&]<size_t kClass>(Index<kClass>) {
      if constexpr (takes_guests<PolicyOf<kClass>>) inner<kClass>(entity) = InnerOf<kClass>{};
    });
  }

  // It inherits nothing any more, and is not queued.
  static void come_home(Entity& entity) {
    entity.inherited_.reset();
    if (entity.is_guest()) forget_guest(entity);
    entity.class_ = entity.home_;
  }

  // Goes where it is to run by its home and what it inherits, and inherits it there. While it is
  // elsewhere it inherits nothing at home, where it is as it left.
  void settle(Detached<Entity> entity) {
    const size_t to = class_for(*entity);
    if (to != entity->class_) {
      if (entity->is_guest()) {
        forget_guest(*entity);
      } else {
        inherit_in_class(entity, nullptr);
      }
      entity->class_ = static_cast<uint8_t>(to);
      if (entity->is_guest()) {
        forget_guest(*entity);  // what it may have been there before
        entity->is_new_to_class_ = true;
      }
    }
    inherit_in_class(entity, entity->inherited_ ? &*entity->inherited_ : nullptr);
  }

  void inherit_in_class(Detached<Entity> entity, const Claim* claims) {
    in_class(entity->class_, [&]<size_t kClass>(Index<kClass>) {
      const bool is_of_class = claims != nullptr && claims->index() == kClass;
      RankedClaims<PolicyOf<kClass>>::inherit(part<kClass>(), detached_inner<kClass>(entity),
                                              is_of_class ? std::get_if<kClass>(claims) : nullptr);
    });
  }

  // The time that there has been to divide.
  Instant own_time(Instant now) const {
    return Instant{(is_taken_ ? taken_at_ : now).ticks - lost_.ticks};
  }
  void advance(Instant now) {
    for (Boundary& boundary : boundaries_) boundary.advance(own_time(now));
  }

  // Asks the classes from `first` on that have not been asked. If one has somebody, those that have
  // not been asked by then are told that they need not wait for it, and `until` is complete.
  Entity* ask_from(size_t first, std::array<bool, kCount>& asked, Instant& until, Instant now) {
    for (size_t c = first; c < kCount; ++c) {
      if (asked[c]) continue;
      asked[c] = true;
      Entity* const found = in_class(c, [&]<size_t kClass>(Index<kClass>) -> Entity* {
        const auto [entity, part_until] = std::get<kClass>(seats_).pick(now);
        if (part_until < until) until = part_until;
        return entity == nullptr ? nullptr : &whole<kClass>(*entity);
      });
      if (found == nullptr) continue;
      for (size_t other = 0; other < kCount; ++other) {
        if (asked[other]) continue;
        in_class(other, [&]<size_t kOther>(Index<kOther>) { std::get<kOther>(seats_).taken(now); });
      }
      const Instant change = change_time(c, now);
      if (change < until) until = change;
      return found;
    }
    return nullptr;
  }

  // Whether `a` is asked before `b`, another class.
  bool precedes(size_t a, size_t b, Instant now) const {
    for (size_t boundary = kCount - 1; boundary-- > 0;) {
      if ((a > boundary) != (b > boundary) && boundaries_[boundary].is_pressing(own_time(now))) {
        return a > boundary;
      }
    }
    return a < b;
  }

  // When the order of the classes changes for one that runs.
  Instant change_time(size_t running, Instant now) const {
    Instant change = never;
    for (size_t b = 0; b + 1 < kCount; ++b) {
      const Instant next = b < running ? boundaries_[b].relief_time(own_time(now))
                                       : boundaries_[b].press_time(own_time(now));
      if (next < change) change = next;
    }
    return change == never ? never : change + lost_;
  }

  std::tuple<Seat<Parts>...> seats_;
  std::array<Boundary, kCount - 1> boundaries_{};
  Duration lost_;     // to those preferred to all of it, so far
  Instant taken_at_;  // if they are now: since when
  bool is_taken_ = false;
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_CLASSES_H_
