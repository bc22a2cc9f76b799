// `Groups`, `Dynamic` and `Global` as subjects of the conformance kit, made of the subjects of
// their parts. Budgets and classes are in compositions.h.

#ifndef BATON_SCHED_POLICY_TESTING_COMBINATORS_H_
#define BATON_SCHED_POLICY_TESTING_COMBINATORS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>

#include "sched/policy/dynamic.h"
#include "sched/policy/global.h"
#include "sched/policy/groups.h"
#include "sched/policy/testing/conformance.h"

namespace sched::conformance {

/// Three groups beside the one of those who name none, two of them under a branch. Now and then a
/// group gets other attributes, goes elsewhere, or is removed and made anew.
template <typename Tasks, typename Nodes>
struct GroupsSubject : Subject<Groups<typename Tasks::Tested, typename Nodes::Tested>> {
  using P = Groups<typename Tasks::Tested, typename Nodes::Tested>;
  static constexpr bool kKeepsTurn = Tasks::kKeepsTurn && Nodes::kKeepsTurn;
  static constexpr bool kReadsClock = Tasks::kReadsClock || Nodes::kReadsClock;
  static constexpr bool kEmptyIsFresh = Tasks::kEmptyIsFresh;

  struct Context {
    std::array<typename P::Group, 3> groups;
    typename P::Branch branch;
    std::array<typename Tasks::Context, 4> tasks;
    std::array<typename Nodes::Context, 2> nodes;
  };

  static void begin(P& policy, Context& context) {
    set_up<Nodes>(policy.root().groups(), context.nodes[0]);
    set_up<Nodes>(context.branch.groups(), context.nodes[1]);
    set_up<Tasks>(policy.default_group().tasks(), context.tasks[3]);
    for (size_t i = 0; i < context.groups.size(); ++i) {
      set_up<Tasks>(context.groups[i].tasks(), context.tasks[i]);
    }
    // Sooner or later there are attributes that are not refused.
    constexpr int kAttempts = 100;
    Source source(1);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (policy.create(context.branch, Nodes::sample(source))) break;
    }
    for (size_t i = 0; i < context.groups.size(); ++i) {
      typename P::Branch& parent = i == 0 ? policy.root() : context.branch;
      for (int attempt = 0; attempt < kAttempts; ++attempt) {
        if (create(policy, context, i, Nodes::sample(source), parent, Instant{1})) break;
      }
    }
  }

  static P::Attributes sample(Source& source) {
    constexpr GroupNumber kSome[] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 63, 64, UINT16_MAX};
    const GroupNumber group = source.one_of(kSome);
    return {.group = group, .task = Tasks::sample(source)};
  }

  static void act(P& policy, Context& context, Source& source, Instant now) {
    const size_t which = source.below(context.groups.size() + 1);
    typename P::Node* node = &context.branch;
    if (which < context.groups.size()) node = &context.groups[which];
    switch (source.below(3)) {
      case 0: accept(policy.retune(*node, Nodes::sample(source), now)); return;
      case 1:
        accept(policy.move(*node, source.below(2) == 0 ? policy.root() : context.branch, now));
        return;
      default: {
        if (which == context.groups.size()) return;
        // Its place is free then, wherever it was.
        const typename Nodes::Tested::Attributes attributes = policy.group_attributes(*node);
        if (!policy.remove(*node, now)) return;
        if (create(policy, context, which, attributes, policy.root(), now)) return;
        create(policy, context, which, attributes, context.branch, now);
      }
    }
  }

 private:
  // Whatever came of it is part of the schedule.
  template <typename Result>
  static void accept(const Result&) {}

  static bool create(P& policy, Context& context, size_t which,
                     const typename Nodes::Tested::Attributes& attributes,
                     typename P::Branch& parent, Instant now) {
    const GroupNumber number = static_cast<GroupNumber>(which + 1);
    return policy.create(context.groups[which], number, attributes, parent, now).has_value();
  }
};

/// One of several, exchanged now and then.
template <typename... Ss>
struct DynamicSubject : Subject<Dynamic<typename Ss::Tested...>> {
  using P = Dynamic<typename Ss::Tested...>;
  using Context = std::tuple<typename Ss::Context...>;
  static constexpr bool kKeepsTurn = (Ss::kKeepsTurn && ...);
  static constexpr bool kReadsClock = (Ss::kReadsClock || ...);
  static constexpr bool kEmptyIsFresh = false;  // another may be in charge

  static void begin(P& policy, Context& context) {
    using First = std::tuple_element_t<0, std::tuple<Ss...>>;
    set_up<First>(*policy.template policy<0>(), std::get<0>(context));
  }
  static P::Attributes sample(Source& source) {
    typename P::Attributes attributes;
    each(
        [&]<size_t kIndex, typename S>() { attributes.template of<kIndex>() = S::sample(source); });
    return attributes;
  }
  static void act(P& policy, Context& context, Source& source, Instant now) {
    const size_t chosen = source.below(sizeof...(Ss));
    each([&]<size_t kIndex, typename S>() {
      if (kIndex != chosen) return;
      policy.template swap<kIndex>(now, [&](typename S::Tested& fresh) {
        // What lay beside the last one of its kind was that one's.
        auto& beside = std::get<kIndex>(context);
        std::destroy_at(&beside);
        std::construct_at(&beside);
        set_up<S>(fresh, beside);
      });
    });
  }

 private:
  template <typename F>
  static void each(F f) {
    [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
      (f.template operator()<kIndex, Ss>(), ...);
    }(std::index_sequence_for<Ss...>());
  }
};

/// One CPU's part of a queue that it has to itself: all that the mechanism of one CPU can check.
template <typename S>
struct GlobalSubject : Subject<Global<typename S::Tested>> {
  using P = Global<typename S::Tested>;
  static constexpr bool kKeepsTurn = S::kKeepsTurn;
  static constexpr bool kReadsClock = S::kReadsClock;
  static constexpr bool kEmptyIsFresh = S::kEmptyIsFresh;

  struct Context {
    typename P::Shared shared;
    typename S::Context policy;
  };
  static void begin(P& policy, Context& context) {
    set_up<S>(context.shared.policy(), context.policy);
    policy.join(context.shared, 0);
  }
  static P::Attributes sample(Source& source) { return S::sample(source); }
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_COMBINATORS_H_
