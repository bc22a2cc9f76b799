// Policies made of policies as subjects of the conformance kit: a subject for each part makes the
// subject of the whole, so that compositions can be put through the kit to any depth.

#ifndef BATON_SCHED_POLICY_TESTING_COMPOSITIONS_H_
#define BATON_SCHED_POLICY_TESTING_COMPOSITIONS_H_

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "sched/policy/budgeted.h"
#include "sched/policy/classes.h"
#include "sched/policy/testing/conformance.h"

namespace sched::conformance {

template <typename S>
void set_up(typename S::Tested& policy) {
  if constexpr (requires { S::begin(policy); }) S::begin(policy);
}

/// Budgets at both ends of their range, in between, none, and some that are out of it.
template <typename Inner, size_t kRefills = 4>
struct BudgetedSubject : Subject<Budgeted<typename Inner::Tested, kRefills>> {
  using P = Budgeted<typename Inner::Tested, kRefills>;
  static constexpr bool kKeepsTurn = Inner::kKeepsTurn;
  static constexpr bool kReadsClock = Inner::kReadsClock;

  static typename P::Attributes sample(Source& source) {
    struct Limit {
      Duration budget;
      Duration period;
    };
    constexpr Limit kLimits[] = {
        {},
        {forever, {}},
        {{1}, {1}},
        {{1}, {100}},
        {{20}, {60}},
        {{20}, {200}},
        {{50}, {200}},
        {{99}, {100}},
        {{7}, forever},
        {{forever.ticks - 1}, forever},
        {{2}, {1}},
        {{1}, {forever.ticks + 1}},
        {{1}, {UINT64_MAX}},
        {{UINT64_MAX}, {UINT64_MAX}},
    };
    const Limit limit = source.one_of(kLimits);
    return {.inner = Inner::sample(source), .budget = limit.budget, .period = limit.period};
  }
  static void begin(P& policy) { set_up<Inner>(policy.inner()); }
};

/// Some reserve below each class, which now and then changes.
template <typename... Inner>
struct ClassesSubject : Subject<Classes<typename Inner::Tested...>> {
  using P = Classes<typename Inner::Tested...>;
  static constexpr bool kKeepsTurn = (Inner::kKeepsTurn && ...);
  static constexpr bool kReadsClock = (Inner::kReadsClock || ...);
  static constexpr size_t kCount = sizeof...(Inner);

  static typename P::Attributes sample(Source& source) {
    return sample_in<0>(source, source.below(kCount));
  }
  static void begin(P& policy) {
    each(std::make_index_sequence<kCount>(), [&]<size_t k>(std::integral_constant<size_t, k>) {
      set_up<std::tuple_element_t<k, std::tuple<Inner...>>>(policy.template part<k>());
    });
    each(std::make_index_sequence<kCount - 1>(), [&]<size_t k>(std::integral_constant<size_t, k>) {
      policy.template set_reserve_below<k>(Duration{10 + 5 * k}, Duration{100});
    });
  }
  static void act(P& policy, Source& source, Instant) {
    constexpr Duration kPeriods[] = {{0}, {1}, {30}, {100}, {1000}, forever};
    const Duration period = source.one_of(kPeriods);
    const Duration amount{source.below(period.ticks + 1)};
    const size_t below = source.below(kCount - 1);
    each(std::make_index_sequence<kCount - 1>(), [&]<size_t k>(std::integral_constant<size_t, k>) {
      if (k == below) policy.template set_reserve_below<k>(amount, period);
    });
  }

 private:
  template <size_t k>
  static typename P::Attributes sample_in(Source& source, size_t index) {
    if constexpr (k + 1 < kCount) {
      if (index != k) return sample_in<k + 1>(source, index);
    }
    return P::template in<k>(std::tuple_element_t<k, std::tuple<Inner...>>::sample(source));
  }
  template <size_t... k, typename F>
  static void each(std::index_sequence<k...>, F f) {
    (f(std::integral_constant<size_t, k>()), ...);
  }
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_COMPOSITIONS_H_
