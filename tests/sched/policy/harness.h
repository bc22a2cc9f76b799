// Drives a policy with nothing around it: no scheduler, no clock, no stacks. `Harness` calls a
// policy in the order that sched/policy/policy.h promises; `check_against_model` does so at random
// and compares every answer with a model that is written from the policy's definition alone.

#ifndef BATON_TESTS_SCHED_POLICY_HARNESS_H_
#define BATON_TESTS_SCHED_POLICY_HARNESS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/policy.h"

namespace sched {

// How a failed comparison is printed.
inline void PrintTo(Links links, std::ostream* out) {
  *out << (links == Links::intact ? "intact" : "corrupt");
}

}  // namespace sched

namespace sched::test {

constexpr Duration ticks(uint64_t count) { return Duration{count}; }
constexpr Instant at(uint64_t instant) { return Instant{instant}; }

/// A generator that gives the same numbers for the same seed in every run; Abseil's own are salted
/// anew in each process.
inline std::mt19937_64 generator(uint64_t seed) { return std::mt19937_64(seed); }

/// A policy with some entities, which the tests call by their number.
template <Policy P>
class Harness : public Mechanism {
 public:
  using Entity = typename P::Entity;
  using Attributes = typename P::Attributes;
  static constexpr int kEntities = 12;
  static constexpr int kNobody = -1;

  /// What `pick` answered, with the entity's number.
  struct Answer {
    int entity = kNobody;
    Instant until = never;

    friend bool operator==(const Answer&, const Answer&) = default;
    friend void PrintTo(const Answer& answer, std::ostream* out) {
      *out << "entity " << answer.entity << " until " << answer.until.ticks;
    }
  };

  bool attach(int e, const Attributes& attributes = {}) {
    return policy.attach(detached(entities[static_cast<size_t>(e)]), attributes);
  }
  Attributes attributes(int e) const { return policy.attributes(entities[static_cast<size_t>(e)]); }
  Links enqueue(int e, Enter why = Enter::created, Instant now = at(1)) {
    return policy.enqueue(entities[static_cast<size_t>(e)], why, now);
  }
  Links dequeue(int e, Leave why = Leave::blocked, Instant now = at(1)) {
    return policy.dequeue(entities[static_cast<size_t>(e)], why, now);
  }
  Links put_back(int e, Pause why = Pause::yielded, Instant now = at(1)) {
    return policy.put_back(entities[static_cast<size_t>(e)], why, now);
  }
  Answer pick(Instant now = at(1)) {
    const auto [entity, until] = policy.pick(now);
    if (entity == nullptr) return {kNobody, until};
    return {static_cast<int>(entity - entities.data()), until};
  }
  Instant contend(int entered, int current, Instant now = at(1))
    requires Contends<P>
  {
    return policy.contend(entities[static_cast<size_t>(entered)],
                          entities[static_cast<size_t>(current)], now);
  }

  void ran(int e, Instant from, Instant to)
    requires Charges<P>
  {
    policy.ran(entities[static_cast<size_t>(e)], from, to);
  }
  Links yield_to(int e, int target, Instant now = at(1))
    requires YieldsTo<P>
  {
    return policy.yield_to(entities[static_cast<size_t>(e)], entities[static_cast<size_t>(target)],
                           now);
  }
  void detach(int e)
    requires Detaches<P>
  {
    policy.detach(detached(entities[static_cast<size_t>(e)]));
  }

  auto claim(int e) const
    requires Inherits<P>
  {
    return policy.claim(entities[static_cast<size_t>(e)]);
  }
  /// Of a detached one. Without claims it inherits nothing.
  void inherit(int e)
    requires Inherits<P>
  {
    policy.inherit(detached(entities[static_cast<size_t>(e)]), nullptr);
  }
  template <typename Claim>
  void inherit(int e, const Claim& claims)
    requires Inherits<P>
  {
    const typename P::Claim inherited = claims;
    policy.inherit(detached(entities[static_cast<size_t>(e)]), &inherited);
  }
  /// Of a runnable one: what a mechanism does when somebody begins or ceases to wait for it.
  template <typename... Claim>
  void pass_on(int e, Instant now, const Claim&... claims)
    requires Inherits<P>
  {
    ASSERT_EQ(dequeue(e, Leave::inherited, now), Links::intact) << e;
    inherit(e, claims...);
    ASSERT_EQ(enqueue(e, Enter::inherited, now), Links::intact) << e;
  }

  /// Admits and enqueues.
  void add(int e, const Attributes& attributes = {}) {
    ASSERT_TRUE(attach(e, attributes)) << e;
    ASSERT_EQ(enqueue(e), Links::intact) << e;
  }

  /// Whom the policy would run one after the other if each ended as soon as it was picked.
  std::vector<int> drain() {
    std::vector<int> order;
    for (Answer answer = pick(); answer.entity != kNobody; answer = pick()) {
      order.push_back(answer.entity);
      EXPECT_EQ(dequeue(answer.entity, Leave::exited), Links::intact);
    }
    return order;
  }

  std::array<Entity, kEntities> entities{};
  P policy;
};

/// Thousands of random actions on a policy and its model side by side, made by a mechanism that
/// keeps to the head of sched/policy/policy.h: it charges before all else, in contiguous intervals;
/// it asks again when `until` has come (now and then late, as a timer is); it makes every call that
/// is there named. A `Model` is written from the policy's definition and has
///
///     void configure(P&, absl::BitGenRef)          sets up the policy and the model alike
///     Attributes random_attributes(absl::BitGenRef)    sometimes wrong
///     std::optional<Attributes> accepts(Attributes)    what `attach` makes of them, or refuses
///     void enqueue(int e, Attributes)              behind, or wherever it belongs
///     void dequeue(int e, Leave)
///     void put_back(int e, Pause)
///     Answer pick(Instant now)
///     Instant contend(int entered, int current, Instant now)     if the policy has it
///     void ran(int e, Instant from, Instant to)                  if the policy has it
///     void yield_to(int e, int target, Instant now)              if the policy has it
///
/// and may have, or have in the place of those,
///
///     std::optional<Attributes> accepts(int e, Attributes)   where it depends on who else is there
///     void attach(int e, Attributes)               it has been admitted, or given other attributes
///     void detach(int e)                           it is gone, or has moved away
///     void enqueue(int e, Attributes, Enter, Instant now)
///     void dequeue(int e, Leave, Instant now)
///     void put_back(int e, Pause, Instant now)
///     void inherit(int e, std::optional<Claim>)    what it inherits from now on. Whose model has
///     it
///                                                  not inherits nothing. `dequeue` of an exited
///                                                  one, and `detach`, end it
///     Duration random_step(absl::BitGenRef)        how far the clock goes from one action to the
///                                                  next: 0 to 50 ticks without it
template <Policy P, typename Model>
void check_against_model(uint64_t seed, int actions) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  using H = Harness<P>;
  using Attributes = typename P::Attributes;
  // `away`: it has moved to another CPU, to come back some time.
  enum class Where : uint8_t { nowhere, blocked, runnable, away_blocked, away_runnable };
  static constexpr int kNobody = H::kNobody;

  std::mt19937_64 gen = generator(seed);
  const auto below = [&](int bound) { return absl::Uniform(gen, 0, bound); };

  H harness;
  Model model;
  model.configure(harness.policy, gen);
  std::array<Where, H::kEntities> where_is{};
  const auto where = [&](int e) -> Where& { return where_is[static_cast<size_t>(e)]; };
  std::array<Attributes, H::kEntities> given_to{};
  const auto given = [&](int e) -> Attributes& { return given_to[static_cast<size_t>(e)]; };

  Instant now = at(1);
  int current = kNobody;
  Instant charged = now;  // until here what `current` has used is told
  Instant until = never;  // of the last pick, or earlier because of a newcomer
  // The mechanism is to choose: nobody is current although somebody came, or the current entity is
  // preempted. Not always at once: a guard may forbid it for a while.
  bool due = false;

  const auto charge = [&] {
    if (current == kNobody || charged == now) return;
    if constexpr (Charges<P>) {
      harness.policy.ran(harness.entities[static_cast<size_t>(current)], charged, now);
      model.ran(current, charged, now);
    }
    charged = now;
  };
  const auto accepts = [&](int e, const Attributes& attributes) {
    if constexpr (requires { model.accepts(e, attributes); }) {
      return model.accepts(e, attributes);
    } else {
      return model.accepts(attributes);
    }
  };
  const auto attach = [&](int e, const Attributes& attributes) {
    const std::optional<Attributes> accepted = accepts(e, attributes);
    const bool admitted = harness.attach(e, attributes);
    EXPECT_EQ(admitted, accepted.has_value());
    if (accepted) {
      given(e) = *accepted;
      if constexpr (requires { model.attach(e, *accepted); }) model.attach(e, *accepted);
    }
    // A refused one keeps what it had.
    if (accepted || where(e) == Where::blocked || where(e) == Where::runnable) {
      EXPECT_EQ(harness.attributes(e), given(e));
    }
    return admitted;
  };
  const auto pick = [&] {
    const auto answer = harness.pick(now);
    ASSERT_EQ(answer, model.pick(now));
    ASSERT_GT(answer.until, now);
    if (answer.entity == kNobody) ASSERT_EQ(harness.pick(now), answer);  // changes nothing
    current = answer.entity;
    until = answer.until;
    charged = now;
    due = false;
    ASSERT_TRUE(current == kNobody || where(current) == Where::runnable);
  };
  const auto put_back = [&](Pause why) {
    ASSERT_EQ(harness.put_back(current, why, now), Links::intact);
    if constexpr (requires { model.put_back(current, why, now); }) {
      model.put_back(current, why, now);
    } else {
      model.put_back(current, why);
    }
    current = kNobody;
  };
  const auto enqueue = [&](int e, Enter why) {
    ASSERT_EQ(harness.enqueue(e, why, now), Links::intact);
    if constexpr (requires { model.enqueue(e, given(e), why, now); }) {
      model.enqueue(e, given(e), why, now);
    } else {
      model.enqueue(e, given(e));
    }
    where(e) = Where::runnable;
    if (current == kNobody) {
      due = true;
    } else if constexpr (Contends<P>) {
      const Instant by = harness.contend(e, current, now);
      ASSERT_EQ(by, model.contend(e, current, now));
      if (by <= now) {
        due = true;
      } else {
        until = std::min(until, by);
      }
    }
  };
  const auto dequeue = [&](int e, Leave why) {
    ASSERT_EQ(harness.dequeue(e, why, now), Links::intact);
    if constexpr (requires { model.dequeue(e, why, now); }) {
      model.dequeue(e, why, now);
    } else {
      model.dequeue(e, why);
    }
    if (e == current) {
      current = kNobody;
      due = true;
    }
  };
  const auto detach = [&](int e) {
    if constexpr (Detaches<P>) harness.detach(e);
    if constexpr (requires { model.detach(e); }) model.detach(e);
  };
  const auto is_here = [&](int e) {
    return where(e) == Where::blocked || where(e) == Where::runnable;
  };
  // A detached one inherits what one or two others have, or nothing.
  static constexpr bool kInherits = [] {
    if constexpr (Inherits<P>) {
      return requires(Model m, std::optional<typename P::Claim> c) { m.inherit(0, c); };
    }
    return false;
  }();
  const auto inherit = [&](int e) {
    if constexpr (kInherits) {
      std::optional<typename P::Claim> claims;
      for (int waiters = below(3); waiters > 0; --waiters) {
        const int waiter = below(H::kEntities);
        if (waiter == e || !is_here(waiter)) continue;
        const typename P::Claim claim = harness.claim(waiter);
        claims = claims ? P::join(*claims, claim) : claim;
      }
      harness.inherit(e);
      model.inherit(e, std::nullopt);
      const typename P::Claim own = harness.claim(e);
      if (claims) {
        harness.inherit(e, *claims);
        model.inherit(e, claims);
      }
      EXPECT_EQ(harness.claim(e), claims ? P::join(own, *claims) : own);
      EXPECT_EQ(harness.attributes(e), given(e));
    }
  };
  // Chooses because that is due: the until has come, or somebody preempts, or nobody is current.
  const auto choose = [&] {
    charge();
    if (current != kNobody) put_back(now >= until ? Pause::timed_out : Pause::preempted);
    pick();
  };
  const auto yield = [&] {
    const int before = current;
    std::optional<bool> has_peer;
    if constexpr (KnowsPeers<P>) {
      has_peer = harness.policy.has_peer(harness.entities[static_cast<size_t>(before)]);
      // A mechanism need not ask then; that it gets the same answer if it does is tested too.
      if (!*has_peer && below(2) == 0) return;
    }
    charge();
    put_back(Pause::yielded);
    pick();
    if (has_peer) {
      ASSERT_EQ(*has_peer, current != before);
    }
  };
  const auto yield_to = [&](int target) {
    charge();
    if constexpr (YieldsTo<P>) {
      ASSERT_EQ(harness.yield_to(current, target, now), Links::intact);
      model.yield_to(current, target, now);
      current = kNobody;
    } else {
      put_back(Pause::yielded);
    }
    pick();
  };

  if constexpr (HearsOfCpu<P>) harness.policy.online(now);
  for (int action = 0; action < actions && !testing::Test::HasFailure(); ++action) {
    SCOPED_TRACE("action " + std::to_string(action));
    Instant next = now;
    if constexpr (requires { model.random_step(gen); }) {
      next = now + model.random_step(gen);
    } else {
      next = now + ticks(absl::Uniform<uint64_t>(gen, 0, 50));
    }
    // The timer: exact, but for now and then.
    if (next > until && below(8) != 0) next = std::max(now, until);
    now = next;
    if (now >= until) due = true;
    if (due && below(4) != 0) {
      choose();
      continue;
    }

    const int e = below(H::kEntities);
    switch (below(kInherits ? 12 : 10)) {
      case 0:
      case 1:
      case 2:
        switch (where(e)) {
          case Where::nowhere:  // a task is spawned
            if (attach(e, model.random_attributes(gen))) {
              charge();
              enqueue(e, Enter::created);
            }
            break;
          case Where::blocked:  // a wake
            charge();
            enqueue(e, Enter::woken);
            break;
          case Where::away_blocked:  // it comes back
            if (attach(e, given(e))) where(e) = Where::blocked;
            break;
          case Where::away_runnable:
            if (attach(e, given(e))) {
              charge();
              enqueue(e, Enter::moved);
            }
            break;
          case Where::runnable: break;
        }
        break;
      case 3:  // other attributes, for the current entity too
        if (where(e) == Where::blocked) attach(e, model.random_attributes(gen));
        if (where(e) == Where::runnable) {
          charge();
          dequeue(e, Leave::retuned);
          attach(e, model.random_attributes(gen));
          enqueue(e, Enter::retuned);
        }
        break;
      case 4:  // off to another CPU
        if (below(3) != 0) break;
        if (where(e) == Where::runnable) {
          charge();
          dequeue(e, Leave::moved);
          detach(e);
          where(e) = Where::away_runnable;
        } else if (where(e) == Where::blocked) {
          detach(e);
          where(e) = Where::away_blocked;
        }
        break;
      // What the current task does; it cannot while it is preempted.
      case 5:
      case 6: {
        if (current == kNobody || due) break;
        const int self = current;
        const bool exits = below(4) == 0;
        charge();
        dequeue(self, exits ? Leave::exited : Leave::blocked);
        where(self) = exits ? Where::nowhere : Where::blocked;
        if (exits) detach(self);
        pick();
        break;
      }
      case 7:
        if (current != kNobody && !due) yield();
        break;
      case 8:
        if (current != kNobody && !due && e != current && where(e) == Where::runnable) yield_to(e);
        break;
      case 10:  // others begin or cease to wait for it
      case 11:
        if (where(e) == Where::blocked) inherit(e);
        if (where(e) == Where::runnable) {
          charge();
          dequeue(e, Leave::inherited);
          inherit(e);
          enqueue(e, Enter::inherited);
        }
        break;
      default: choose();  // the kernel needs the CPU for a moment
    }
  }
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_HARNESS_H_
