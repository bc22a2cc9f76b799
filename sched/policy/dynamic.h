// Dynamic: one of several policies, chosen at run time and exchanged under load.
// docs/policies/dynamic.md
//
// There is room for the largest of the policies and not for all, and so in each entity for the
// largest of their parts. What an entity keeps for all of them is its attributes, so that whoever
// takes over has something to attach it with. The policies are a closed set and the choice is an
// index that is compared: calls through pointers cost some 30 instructions more on every yield.
//
// No task is lost in an exchange, whatever the new policy thinks of its attributes: a task that it
// refuses gets the policy's default attributes, and one that it refuses even then is a *stray*. It
// waits in a line of its own, which runs while the policy has nobody to run, until other attributes
// or another policy find it a place. (To refuse the exchange would not leave everything as it was:
// whether the new policy would have everybody is only known when the old one, whose room it takes,
// is gone.)

#ifndef BATON_SCHED_POLICY_DYNAMIC_H_
#define BATON_SCHED_POLICY_DYNAMIC_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "sched/policy/compose.h"
#include "sched/policy/fifo.h"
#include "sched/policy/policy.h"
#include "sched/policy/ring.h"

namespace sched {

namespace internal {

// One of several things; which, its owner knows. Each lies at the address of the union.
template <typename... Ts>
union OneOf {};

template <typename T, typename... Rest>
union OneOf<T, Rest...> {
  constexpr OneOf() : first() {}
  constexpr explicit OneOf(std::in_place_index_t<0>) : first() {}
  template <size_t kIndex>
  constexpr explicit OneOf(std::in_place_index_t<kIndex>) : rest(std::in_place_index<kIndex - 1>) {}

  template <size_t kIndex>
  constexpr auto& get(this auto& self) {
    if constexpr (kIndex == 0) {
      return self.first;
    } else {
      return self.rest.template get<kIndex - 1>();
    }
  }

  T first;
  OneOf<Rest...> rest;
};

template <size_t kIndex, typename T>
struct Item {
  T value{};

  friend bool operator==(const Item&, const Item&) = default;
};

template <typename Indices, typename... Ts>
struct Items;

// A tuple that is an aggregate and trivially copyable, as attributes must be.
template <size_t... kIndices, typename... Ts>
struct Items<std::index_sequence<kIndices...>, Ts...> : Item<kIndices, Ts>... {
  template <size_t kIndex, typename T>
  static const T& value_of(const Item<kIndex, T>& item) {
    return item.value;
  }
  template <size_t kIndex, typename T>
  static T& value_of(Item<kIndex, T>& item) {
    return item.value;
  }

  /// Those for the policy with this number.
  template <size_t kIndex>
  auto& of(this auto& self) {
    return value_of<kIndex>(self);
  }

  friend bool operator==(const Items&, const Items&) = default;
};

}  // namespace internal

/// See the head of this file. Every callback costs what it does in the policy that is in charge,
/// and a comparison for each policy before it in the list.
template <Policy... Ps>
class Dynamic : Mechanism {
  static_assert(sizeof...(Ps) >= 1);
  static_assert((std::is_trivially_destructible_v<Ps> && ...), "a policy's memory just ends");
  static_assert((std::is_trivially_destructible_v<typename Ps::Entity> && ...),
                "an entity's memory just ends");

 public:
  static constexpr size_t kPolicies = sizeof...(Ps);
  static constexpr bool kHoldsBack = (holds_back<Ps> || ...);

  /// Of one of the policies, or of a stray. A claim of another policy than the one in charge is
  /// worth nothing to it.
  using Claim = ClaimsOfParts<Ps..., Fifo>::Claim;

 private:
  static constexpr bool kInherits = (Inherits<Ps> || ...);
  struct Nothing {};
  static constexpr size_t kStray = kPolicies;  // as if it were another policy
  using Policies = internal::OneOf<Ps...>;
  using Parts = internal::OneOf<typename Ps::Entity..., Fifo::Entity>;
  static_assert(kPolicies < UINT8_MAX);

  // Apart, so that the way back from a part is one from the beginning of an object.
  struct Holder {
    Parts parts;
  };

 public:
  class Entity : Holder, public RingLink<Dynamic> {
    friend Dynamic;

    internal::Items<std::make_index_sequence<kPolicies>, typename Ps::Attributes...> given_{};
    uint8_t holds_ = 0;  // which of the parts
    bool is_attached_ = false;
    bool is_runnable_ = false;
    bool is_new_ = false;  // to the policy whose part it holds; not yet enqueued there
    [[no_unique_address]] std::conditional_t<kInherits, std::optional<Claim>, Nothing> inherited_;
  };

  /// Those of each policy, in order: `{{{.slice = slice}}, {{.priority = 3}}}`, or by
  /// `attributes.of<1>() = {.priority = 3}`.
  using Attributes =
      internal::Items<std::make_index_sequence<kPolicies>, typename Ps::Attributes...>;

  /// What became of the tasks in an exchange.
  struct Swapped {
    size_t by_default = 0;  ///< the policy refused their attributes, and they have its default ones
    size_t strays = 0;      ///< it refused those, too

    friend bool operator==(const Swapped&, const Swapped&) = default;
  };

  Dynamic() = default;
  Dynamic(const Dynamic&) = delete;
  Dynamic& operator=(const Dynamic&) = delete;

  /// The number of the policy in charge; the first to begin with.
  size_t index() const { return index_; }

  /// The policy with this number, for what can be set beyond attributes; null if another is in
  /// charge.
  template <size_t kIndex>
  auto* policy() {
    auto* const policy = &policies_.template get<kIndex>();
    return index_ == kIndex ? policy : nullptr;
  }

  /// Puts policy `kIndex` in charge, fresh and set up by `set_up(policy)`, and gives it all tasks:
  /// those that are runnable in the order in which the old one would have run them, each with the
  /// history of a new one. If it is in charge already it begins anew.
  ///
  /// Who is current is only runnable from then on: the mechanism must choose, as after a retune of
  /// the current one. For the owning CPU, masked. O(n) times the costs of the two policies, for n
  /// tasks, runnable or not.
  template <size_t kIndex, typename F>
  Swapped swap(Instant now, F set_up) {
    Members moving = with_policy([&](auto index) { return take_all<index>(now); });
    policies_.~Policies();
    std::construct_at(&policies_, std::in_place_index<kIndex>);
    index_ = kIndex;
    auto& fresh = policies_.template get<kIndex>();
    set_up(fresh);
    if (is_online_) optional(fresh).online(now);
    if (is_taken_) optional(fresh).taken(now);
    Swapped swapped;
    while (!moving.empty()) {
      Entity& entity = moving.front();
      require(moving.remove(entity));
      require(members_.push_back(entity));
      find_place<kIndex>(entity, swapped);
      pass_on(entity);
      if (entity.is_runnable_) require(insert<kIndex>(entity, Enter::created, now));
      if (links_ == Links::corrupt) break;
    }
    displaced_ = std::exchange(current_, nullptr);
    return swapped;
  }

  /// The same for a number that is known only at run time. Nothing happens if there is no such
  /// policy.
  std::optional<Swapped> swap(size_t index, Instant now) {
    if (index >= kPolicies) return std::nullopt;
    return with<0>(index,
                   [&](auto chosen) { return this->template swap<chosen>(now, [](auto&) {}); });
  }

  /// Refuses what the policy in charge refuses. What is for the others is found out when they are
  /// in charge.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    const bool admitted =
        with_policy([&](auto index) { return admit<index>(*entity, attributes); });
    if (!admitted) return false;
    entity->given_ = attributes;
    if (!entity->is_attached_) require(members_.push_back(*entity));
    entity->is_attached_ = true;
    pass_on(*entity);
    return true;
  }

  void detach(Detached<Entity> entity) {
    forget_inherited(*entity);
    pass_on(*entity);
    if (!is_stray(*entity)) {
      with_policy([&](auto index) {
        optional(policies_.template get<index>()).detach(detached(part<index>(*entity)));
      });
    }
    require(members_.remove(*entity));
    entity->is_attached_ = false;
  }

  Attributes attributes(const Entity& entity) const { return entity.given_; }

  Claim claim(const Entity& entity) const
    requires kInherits
  {
    const Claim own = own_claim(entity);
    return entity.inherited_ ? join(own, *entity.inherited_) : own;
  }
  /// Between claims of different policies, as there may be for a while after an exchange: in the
  /// order of the list.
  static bool precedes(const Claim& a, const Claim& b)
    requires kInherits
  {
    return ClaimsOfParts<Ps..., Fifo>::precedes(a, b);
  }
  static Claim join(const Claim& a, const Claim& b)
    requires kInherits
  {
    return ClaimsOfParts<Ps..., Fifo>::join(a, b);
  }
  void inherit(Detached<Entity> entity, const Claim* claims)
    requires kInherits
  {
    entity->inherited_.reset();
    if (claims != nullptr) entity->inherited_ = *claims;
    pass_on(*entity);
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    entity.is_runnable_ = true;
    const Links links = with_policy([&](auto index) { return insert<index>(entity, why, now); });
    return links == Links::intact ? links_ : links;
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    const Links links =
        with_part(entity, [&](auto& policy, auto& part) { return policy.dequeue(part, why, now); });
    if (links == Links::corrupt) return Links::corrupt;
    entity.is_runnable_ = false;
    if (why == Leave::exited) forget_inherited(entity);
    if (current_ == &entity) current_ = nullptr;
    if (displaced_ == &entity) displaced_ = nullptr;
    return links_;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    if (displaced_ == &entity) [[unlikely]] {
      displaced_ = nullptr;
      return links_;
    }
    current_ = nullptr;
    const Links links = with_part(
        entity, [&](auto& policy, auto& part) { return policy.put_back(part, why, now); });
    return links == Links::intact ? links_ : links;
  }

  Links yield_to(Entity& entity, Entity& target, Instant now)
    requires(YieldsTo<Ps> || ...)
  {
    if (is_stray(entity) || is_stray(target) || displaced_ == &entity) {
      return put_back(entity, Pause::yielded, now);
    }
    current_ = nullptr;
    return with_policy([&](auto index) {
      return optional(policies_.template get<index>())
          .yield_to(part<index>(entity), part<index>(target), now);
    });
  }

  bool has_peer(const Entity& current) const
    requires(KnowsPeers<Ps> && ...)
  {
    if (displaced_ == &current) [[unlikely]]
      return false;  // the mechanism is about to choose
    if (is_stray(current)) return strays_.has_peer(part<kStray>(current));
    return with<0>(index_, [&](auto index) {
      return policies_.template get<index>().has_peer(part<index>(current));
    });
  }

  Choice<Entity> pick(Instant now) {
    displaced_ = nullptr;
    const Choice<Entity> choice = with_policy([&](auto index) {
      const auto [entity, until] = policies_.template get<index>().pick(now);
      return Choice<Entity>{entity == nullptr ? nullptr : &whole(*entity), until};
    });
    current_ = choice.entity;
    if (current_ == nullptr) [[unlikely]] {
      const auto [stray, until] = strays_.pick(now);
      if (stray != nullptr) current_ = &whole(*stray);
    }
    return {current_, choice.until};
  }

  void ran(Entity& current, Instant from, Instant to)
    requires(Charges<Ps> || ...)
  {
    if (is_stray(current) || displaced_ == &current) return;
    with_policy([&](auto index) {
      optional(policies_.template get<index>()).ran(part<index>(current), from, to);
    });
  }

  /// As the policy in charge says; a stray gives way to all others.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    if (displaced_ == &current) [[unlikely]]
      return now;
    if (is_stray(entered)) return never;
    if (is_stray(current)) return now;
    return with_policy([&](auto index) {
      return optional(policies_.template get<index>())
          .contend(part<index>(entered), part<index>(current), now);
    });
  }

  /// Of the policy that there is, if it gives anybody away; of the strays nobody.
  template <typename F>
  Entity* surplus(F allowed, Instant now)
    requires(Donates<Ps> || ...)
  {
    return with_policy([&](auto index) -> Entity* {
      auto& policy = policies_.template get<index>();
      if constexpr (Donates<std::remove_reference_t<decltype(policy)>>) {
        auto* const found = policy.surplus(
            [&](const auto& entity) {
              return allowed(whole(const_cast<std::remove_cvref_t<decltype(entity)>&>(entity)));
            },
            now);
        if (found != nullptr) return &whole(*found);
      }
      return nullptr;
    });
  }

  void online(Instant now)
    requires(HearsOfCpu<Ps> || ...)
  {
    is_online_ = true;
    with_policy([&](auto index) { optional(policies_.template get<index>()).online(now); });
  }
  void offline(Instant now)
    requires(HearsOfCpu<Ps> || ...)
  {
    is_online_ = false;
    with_policy([&](auto index) { optional(policies_.template get<index>()).offline(now); });
  }

  void taken(Instant now)
    requires(HearsOfOthers<Ps> || ...)
  {
    is_taken_ = true;
    with_policy([&](auto index) { optional(policies_.template get<index>()).taken(now); });
  }
  void given_back(Instant now)
    requires(HearsOfOthers<Ps> || ...)
  {
    is_taken_ = false;
    with_policy([&](auto index) { optional(policies_.template get<index>()).given_back(now); });
  }

  template <typename CpuSet>
  Place place(const Entity& entity, const Arrival<CpuSet>& arrival) const
    requires(Places<Ps, CpuSet> && ...)
  {
    // Whose part it holds may be another than that in charge here, and a stray's says nothing: the
    // part is a fresh one then.
    return with<0>(index_, [&](auto index) {
      const auto& policy = policies_.template get<index>();
      if (entity.holds_ == index) return policy.place(part<index>(entity), arrival);
      return policy.place(typename std::remove_cvref_t<decltype(policy)>::Entity{}, arrival);
    });
  }

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    field("policy", uint64_t{index_});
    if (is_stray(entity)) return field("stray", uint64_t{1});
    with<0>(index_, [&](auto index) {
      dump_part(policies_.template get<index>(), part<index>(entity), field);
    });
  }

 private:
  using Members = Ring<Entity, Dynamic>;

  // Calls `f` with the number as a constant.
  template <size_t kFirst, typename F>
  [[gnu::always_inline]] static decltype(auto) with(size_t index, F&& f) {
    if constexpr (kFirst + 1 == kPolicies) {
      return f(std::integral_constant<size_t, kFirst>{});
    } else {
      if (index == kFirst) return f(std::integral_constant<size_t, kFirst>{});
      return with<kFirst + 1>(index, f);
    }
  }
  template <typename F>
  [[gnu::always_inline]] decltype(auto) with_policy(F&& f) {
    return with<0>(index_, f);
  }

  // Calls `f` with the policy that has the entity, and with the part it has of it.
  template <typename F>
  [[gnu::always_inline]] Links with_part(Entity& entity, F&& f) {
    if (is_stray(entity)) [[unlikely]]
      return f(strays_, part<kStray>(entity));
    return with_policy(
        [&](auto index) { return f(policies_.template get<index>(), part<index>(entity)); });
  }

  static bool is_stray(const Entity& entity) { return entity.holds_ == kStray; }

  template <size_t kIndex>
  static auto& part(Entity& entity) {
    return entity.parts.template get<kIndex>();
  }
  template <size_t kIndex>
  static const auto& part(const Entity& entity) {
    return entity.parts.template get<kIndex>();
  }
  // A union and what it holds have one address, and it is all there is in a holder.
  template <typename E>
  static Entity& whole(E& part) {
    static_assert(sizeof(Holder) == sizeof(Parts));
    return static_cast<Entity&>(reinterpret_cast<Holder&>(part));
  }

  void require(Links links) {
    if (links == Links::corrupt) [[unlikely]]
      links_ = Links::corrupt;
  }

  // That of the part it has, with what that inherits.
  Claim own_claim(const Entity& entity) const {
    if (entity.holds_ != index_) return Claim(std::in_place_index<kStray>);
    return with<0>(index_, [&](auto index) {
      const auto& policy = policies_.template get<index>();
      return Claim(
          std::in_place_index<index>,
          RankedClaims<std::remove_cvref_t<decltype(policy)>>::claim(policy, part<index>(entity)));
    });
  }

  // What it inherits, to its part: which may be another one than before.
  void pass_on(Entity& entity) {
    if constexpr (kInherits) {
      if (entity.holds_ != index_) return;
      with_policy([&](auto index) {
        auto& policy = policies_.template get<index>();
        const bool is_of_policy = entity.inherited_ && entity.inherited_->index() == index;
        RankedClaims<std::remove_cvref_t<decltype(policy)>>::inherit(
            policy, detached(part<index>(entity)),
            is_of_policy ? std::get_if<index>(&*entity.inherited_) : nullptr);
      });
    }
  }
  static void forget_inherited(Entity& entity) {
    if constexpr (kInherits) entity.inherited_.reset();
  }

  // Begins the part for policy `kIndex`.
  template <size_t kIndex>
  static void hold(Entity& entity) {
    std::construct_at(&entity.parts, std::in_place_index<kIndex>);
    entity.holds_ = kIndex;
    entity.is_new_ = true;
  }

  template <size_t kIndex>
  bool try_attach(Entity& entity, const auto& attributes) {
    return policies_.template get<kIndex>().attach(detached(part<kIndex>(entity)), attributes);
  }

  // A part of this policy may come from its object on another CPU, with its history. One of another
  // policy's is only given up for the attributes once they are known to be accepted.
  template <size_t kIndex>
  bool admit(Entity& entity, const Attributes& attributes) {
    const auto& given = attributes.template of<kIndex>();
    if (entity.holds_ != kIndex) {
      auto& policy = policies_.template get<kIndex>();
      typename std::remove_cvref_t<decltype(policy)>::Entity probe{};
      if (!policy.attach(detached(probe), given)) return false;
      optional(policy).detach(detached(probe));
      hold<kIndex>(entity);
    }
    return try_attach<kIndex>(entity, given);
  }

  template <size_t kIndex>
  void find_place(Entity& entity, Swapped& swapped) {
    hold<kIndex>(entity);
    if (try_attach<kIndex>(entity, entity.given_.template of<kIndex>())) return;
    if (try_attach<kIndex>(entity,
                           std::remove_cvref_t<decltype(entity.given_.template of<kIndex>())>{})) {
      ++swapped.by_default;
      return;
    }
    hold<kStray>(entity);
    ++swapped.strays;
  }

  template <size_t kIndex>
  Links insert(Entity& entity, Enter why, Instant now) {
    if (std::exchange(entity.is_new_, false) && why != Enter::dispatched) why = Enter::created;
    if (is_stray(entity)) [[unlikely]]
      return strays_.enqueue(part<kStray>(entity), why, now);
    return policies_.template get<kIndex>().enqueue(part<kIndex>(entity), why, now);
  }

  // Empties the policy in charge, which is `kIndex`: the current one first, then whom it would run
  // one after the other, then strays, then those it holds back and those that are not runnable.
  template <size_t kIndex>
  Members take_all(Instant now) {
    auto& old = policies_.template get<kIndex>();
    Members taken;
    const auto take = [&](Entity& entity) {
      if (is_stray(entity)) {
        if (entity.is_runnable_) require(strays_.dequeue(part<kStray>(entity), Leave::moved, now));
      } else {
        if (entity.is_runnable_) require(old.dequeue(part<kIndex>(entity), Leave::moved, now));
        optional(old).detach(detached(part<kIndex>(entity)));
      }
      require(members_.remove(entity));
      require(taken.push_back(entity));
    };
    if (current_ != nullptr) take(*current_);
    const auto take_in_order = [&](auto& policy) {
      while (links_ == Links::intact) {
        const auto choice = policy.pick(now);
        if (choice.entity == nullptr) return;
        take(whole(*choice.entity));
      }
    };
    take_in_order(old);
    take_in_order(strays_);
    while (links_ == Links::intact && !members_.empty()) take(members_.front());
    if (is_online_) optional(old).offline(now);
    return taken;
  }

  Policies policies_;
  Fifo strays_;
  size_t index_ = 0;
  Links links_ = Links::intact;  // corrupt: found where nothing could be said; the next call does
  bool is_online_ = false;
  bool is_taken_ = false;
  Entity* current_ = nullptr;
  Entity* displaced_ =
      nullptr;       // current to the mechanism alone: it was when policies were swapped
  Members members_;  // all who are attached
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_DYNAMIC_H_
