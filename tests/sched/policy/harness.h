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

/// Thousands of random actions on a policy and its model side by side. A `Model` has
///
///     std::optional<Attributes> attributes         what `attach` accepts, from what it is given
///     void enqueue(int e, Attributes)              behind, or wherever it belongs
///     void dequeue(int e, Leave)
///     void put_back(int e, Pause)
///     Answer pick(Instant now)
///     Instant contend(int entered, int current, Instant now)
///
/// and `Model::random_attributes(gen)`, which are sometimes wrong.
template <Policy P, typename Model>
void check_against_model(uint64_t seed, int actions) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  using H = Harness<P>;
  using Attributes = typename P::Attributes;
  enum class Where : uint8_t { nowhere, detached, runnable };
  static constexpr int kNobody = H::kNobody;

  std::mt19937_64 gen = generator(seed);
  const auto below = [&](int bound) { return absl::Uniform(gen, 0, bound); };

  H harness;
  Model model;
  model.configure(harness.policy, gen);
  std::array<Where, H::kEntities> where{};
  std::array<Attributes, H::kEntities> given{};
  int current = kNobody;
  // The current entity has been given other attributes: the mechanism will pick anew.
  bool requeued = false;
  // Somebody preempts the current entity, and the mechanism has not picked yet.
  bool preempted = false;
  Instant now = at(1);

  const auto attach = [&](int e) {
    const Attributes attributes = Model::random_attributes(gen);
    const std::optional<Attributes> accepted = Model::accepts(attributes);
    const bool admitted = harness.attach(e, attributes);
    ASSERT_EQ(admitted, accepted.has_value());
    if (accepted) given[static_cast<size_t>(e)] = *accepted;
    // A refused one keeps what it had.
    if (accepted || where[static_cast<size_t>(e)] != Where::nowhere) {
      ASSERT_EQ(harness.attributes(e), given[static_cast<size_t>(e)]);
    }
    if (accepted && where[static_cast<size_t>(e)] == Where::nowhere) {
      where[static_cast<size_t>(e)] = Where::detached;
    }
  };
  const auto enqueue = [&](int e, Enter why) {
    ASSERT_EQ(harness.enqueue(e, why, now), Links::intact);
    model.enqueue(e, given[static_cast<size_t>(e)]);
    where[static_cast<size_t>(e)] = Where::runnable;
    if constexpr (Contends<P>) {
      if (current != kNobody && e != current && !requeued) {
        const Instant until = harness.contend(e, current, now);
        ASSERT_EQ(until, model.contend(e, current, now));
        if (until <= now) preempted = true;
      }
    }
  };
  const auto dequeue = [&](int e, Leave why) {
    ASSERT_EQ(harness.dequeue(e, why, now), Links::intact);
    model.dequeue(e, why);
    where[static_cast<size_t>(e)] = why == Leave::exited ? Where::nowhere : Where::detached;
  };
  const auto pick = [&] {
    const auto answer = harness.pick(now);
    ASSERT_EQ(answer, model.pick(now));
    ASSERT_GT(answer.until, now);
    ASSERT_EQ(harness.pick(now), answer);  // asking again changes nothing
    current = answer.entity;
    requeued = false;
    preempted = false;
    ASSERT_TRUE(current == kNobody || where[static_cast<size_t>(current)] == Where::runnable);
  };

  for (int action = 0; action < actions && !testing::Test::HasFatalFailure(); ++action) {
    SCOPED_TRACE("action " + std::to_string(action));
    now = now + ticks(absl::Uniform<uint64_t>(gen, 0, 50));
    const int e = below(H::kEntities);
    switch (below(8)) {
      case 0:  // a task is spawned, or a blocked one gets other attributes
        if (where[static_cast<size_t>(e)] != Where::runnable) attach(e);
        break;
      case 1:
      case 2:
      case 3:  // a wake
        if (where[static_cast<size_t>(e)] == Where::detached) enqueue(e, Enter::woken);
        break;
      case 4:  // other attributes for one that is runnable, the current one included
        if (where[static_cast<size_t>(e)] != Where::runnable) break;
        dequeue(e, Leave::retuned);
        attach(e);
        enqueue(e, Enter::retuned);
        if (e == current) requeued = true;
        break;
      case 5:  // the current entity stops
        if (current == kNobody || requeued) break;
        dequeue(current, below(4) == 0 ? Leave::exited : Leave::blocked);
        pick();
        break;
      default:  // the mechanism asks anew
        if (current != kNobody && !requeued) {
          const Pause why = static_cast<Pause>(below(3));
          const int before = current;
          std::optional<bool> has_peer;
          if constexpr (KnowsPeers<P>) {
            // Nobody yields while somebody preempts him.
            if (why == Pause::yielded && !preempted) {
              has_peer = harness.policy.has_peer(harness.entities[static_cast<size_t>(before)]);
            }
          }
          ASSERT_EQ(harness.put_back(current, why, now), Links::intact);
          model.put_back(current, why);
          pick();
          if (has_peer) {
            ASSERT_EQ(*has_peer, current != before);
          }
          break;
        }
        pick();
    }
  }
}

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_POLICY_HARNESS_H_
