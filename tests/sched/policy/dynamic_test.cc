// Policies exchanged under load: against naive lines, and the fate of each task.

#include "sched/policy/dynamic.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/groups.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/testing/conformance.h"
#include "tests/sched/policy/conforms.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using D = Dynamic<RoundRobin, FixedPriority>;
constexpr size_t kRoundRobin = 0;
constexpr size_t kFixedPriority = 1;
using H = Harness<D>;

D::Attributes given(uint64_t slice, uint16_t priority) {
  return {{{.slice = ticks(slice)}}, {{.priority = priority}}};
}

TEST(Dynamic, IsItsFirstPolicyToBeginWith) {
  H h;
  EXPECT_EQ(h.policy.index(), kRoundRobin);
  EXPECT_NE(h.policy.policy<kRoundRobin>(), nullptr);
  EXPECT_EQ(h.policy.policy<kFixedPriority>(), nullptr);
  h.add(0, given(10, 1));
  h.add(1, given(20, 2));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(110)}));
  EXPECT_TRUE(h.policy.has_peer(h.entities[0]));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(110)), Links::intact);
  EXPECT_EQ(h.pick(at(110)), (H::Answer{1, at(130)}));
  EXPECT_EQ(h.attributes(1), given(20, 2));
}

TEST(Dynamic, ExchangesPoliciesAndKeepsEverybody) {
  H h;
  h.add(0, given(10, 1));
  h.add(1, given(20, 2));
  h.add(2, given(30, 2));
  ASSERT_TRUE(h.attach(3, given(10, 9)));  // blocked
  EXPECT_EQ(h.policy.swap(kFixedPriority, at(100)), D::Swapped{});
  EXPECT_EQ(h.policy.index(), kFixedPriority);
  EXPECT_EQ(h.pick(at(100)).entity, 1);
  ASSERT_EQ(h.enqueue(3, Enter::woken, at(101)), Links::intact);
  EXPECT_EQ(h.contend(3, 1, at(101)), at(101));
  ASSERT_EQ(h.put_back(1, Pause::preempted, at(101)), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{3, 1, 2, 0}));
}

TEST(Dynamic, IsWorthNothingToAnotherPolicyWhatOneLends) {
  using P = Dynamic<FixedPriority, Mlfq>;
  Harness<P> h;
  h.add(0, {{{.priority = 5}}, {{.level = 3}}});
  h.add(1, {{{.priority = 9}}, {{.level = 1}}});
  h.pass_on(0, at(1), h.claim(1));
  EXPECT_EQ(h.claim(0), h.claim(1));
  EXPECT_EQ(h.pick().entity, 0);
  h.policy.swap(1, at(2));
  EXPECT_EQ(h.pick(at(2)).entity, 1);
  h.pass_on(0, at(2), h.claim(1));
  EXPECT_EQ(h.claim(0), h.claim(1));
  EXPECT_EQ(h.pick(at(2)).entity, 0);
  h.policy.swap(1, at(3));  // the same, begun anew: its claims are good
  EXPECT_EQ(h.claim(0), h.claim(1));
}

TEST(Dynamic, SetsTheNewPolicyUpBeforeItGetsTasks) {
  H h;
  for (const int e : {0, 1}) h.add(e, given(10, 5));
  h.policy.swap<kFixedPriority>(at(1), [](FixedPriority& fp) { fp.set_slice(5, ticks(7)); });
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(107)}));
}

TEST(Dynamic, ExchangesWithSomebodyRunning) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e, given(10, 5));
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::timed_out), Links::intact);
  ASSERT_EQ(h.pick().entity, 1);
  ASSERT_TRUE(h.policy.swap(kFixedPriority, at(2)));
  // To the mechanism 1 is current until it asks; whatever it does first, nobody is lost.
  h.add(3, given(10, 0));
  EXPECT_EQ(h.contend(3, 1, at(2)), at(2));
  EXPECT_FALSE(h.policy.has_peer(h.entities[1]));
  ASSERT_EQ(h.put_back(1, Pause::preempted, at(2)), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 2, 0, 3}));  // who ran is first
}

TEST(Dynamic, ExchangesWithSomebodyRunningWhoBlocksNext) {
  H h;
  for (const int e : {0, 1}) h.add(e, given(10, 5));
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_TRUE(h.policy.swap(kFixedPriority, at(2)));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(2)), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{1}));
}

TEST(Dynamic, KnowsNoPolicyBeyondTheLast) {
  H h;
  h.add(0, given(10, 1));
  EXPECT_EQ(h.policy.swap(2, at(1)), std::nullopt);
  EXPECT_EQ(h.policy.swap(SIZE_MAX, at(1)), std::nullopt);
  EXPECT_EQ(h.policy.index(), kRoundRobin);
  EXPECT_EQ(h.pick().entity, 0);
}

TEST(Dynamic, RefusesWhatThePolicyInChargeRefuses) {
  H h;
  EXPECT_FALSE(h.attach(0, given(0, 3)));
  EXPECT_TRUE(h.attach(0, given(10, 300)));  // nobody has asked the other one
  EXPECT_FALSE(h.attach(0, given(0, 3)));
  EXPECT_EQ(h.attributes(0), given(10, 300));
  ASSERT_TRUE(h.policy.swap(kFixedPriority, at(1)));
  EXPECT_FALSE(h.attach(0, given(10, 300)));
  EXPECT_TRUE(h.attach(0, given(0, 3)));
  EXPECT_EQ(h.attributes(0), given(0, 3));
}

TEST(Dynamic, GivesDefaultAttributesToWhomTheNewPolicyRefuses) {
  H h;
  h.add(0, given(10, 300));
  h.add(1, given(10, 1));
  ASSERT_TRUE(h.attach(2, given(10, 301)));
  EXPECT_EQ(h.policy.swap(kFixedPriority, at(1)), (D::Swapped{.by_default = 2, .strays = 0}));
  EXPECT_EQ(h.attributes(0), given(10, 300));  // what it was given stays what it was
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 0}));
  EXPECT_EQ(h.policy.swap(kRoundRobin, at(1)), D::Swapped{});
}

// Has room for two, and none for those who ask for nothing.
class Small : public Fifo {
 public:
  struct Attributes {
    bool is_asking = false;
    friend bool operator==(const Attributes&, const Attributes&) = default;
  };
  bool attach(Detached<Entity>, const Attributes& attributes) {
    if (!attributes.is_asking || room == 0) return false;
    --room;
    return true;
  }
  Attributes attributes(const Entity&) const { return {.is_asking = true}; }
  void detach(Detached<Entity>) { ++room; }
  int room = 2;
};

using Cramped = Dynamic<RoundRobin, Small>;
Cramped::Attributes asking(bool is_asking) {
  return {{{.slice = ticks(10)}}, {{.is_asking = is_asking}}};
}

TEST(Dynamic, RunsThoseWithoutAPlaceWhileThePolicyHasNobody) {
  Harness<Cramped> h;
  for (const int e : {0, 1, 2, 3, 4}) h.add(e, asking(e != 0));
  EXPECT_EQ(h.policy.swap(1, at(1)), (Cramped::Swapped{.by_default = 0, .strays = 3}));
  ASSERT_EQ(h.pick().entity, 1);
  EXPECT_TRUE(h.policy.has_peer(h.entities[1]));
  ASSERT_EQ(h.dequeue(1), Links::intact);
  ASSERT_EQ(h.pick().entity, 2);
  EXPECT_FALSE(h.policy.has_peer(h.entities[2]));
  ASSERT_EQ(h.dequeue(2), Links::intact);
  ASSERT_EQ(h.pick().entity, 0);  // a stray
  EXPECT_TRUE(h.policy.has_peer(h.entities[0]));
  ASSERT_EQ(h.put_back(0, Pause::yielded), Links::intact);
  ASSERT_EQ(h.pick().entity, 3);
  ASSERT_EQ(h.enqueue(1, Enter::woken), Links::intact);
  EXPECT_EQ(h.contend(1, 3), at(1));  // preempts it
  ASSERT_EQ(h.put_back(3, Pause::preempted), Links::intact);
  ASSERT_EQ(h.pick().entity, 1);
  ASSERT_EQ(h.dequeue(4), Links::intact);
  ASSERT_EQ(h.enqueue(4, Enter::woken), Links::intact);
  EXPECT_EQ(h.contend(4, 1), never);
  // One that has place gives it up; other attributes find it for a stray.
  ASSERT_EQ(h.dequeue(1, Leave::exited), Links::intact);
  h.detach(1);
  ASSERT_EQ(h.pick().entity, 3);
  ASSERT_EQ(h.dequeue(4, Leave::retuned), Links::intact);
  ASSERT_TRUE(h.attach(4, asking(true)));
  ASSERT_EQ(h.enqueue(4, Enter::retuned), Links::intact);
  EXPECT_EQ(h.contend(4, 3), at(1));
  ASSERT_EQ(h.put_back(3, Pause::preempted), Links::intact);
  EXPECT_FALSE(h.attach(5, asking(true)));
  ASSERT_EQ(h.dequeue(0, Leave::retuned), Links::intact);
  EXPECT_FALSE(h.attach(0, asking(true)));
  ASSERT_EQ(h.enqueue(0, Enter::retuned), Links::intact);
  // Back, everybody has a place.
  EXPECT_EQ(h.policy.swap(0, at(1)), Cramped::Swapped{});
  EXPECT_EQ(h.drain(), (std::vector<int>{4, 3, 0}));
}

using Budgets = Dynamic<Budgeted<RoundRobin>, Fifo>;

TEST(Dynamic, FreesThoseWhomTheOldPolicyHeldBack) {
  Harness<Budgets> h;
  ASSERT_TRUE(h.attach(0, {{{.budget = ticks(10), .period = ticks(100)}}, {}}));
  ASSERT_EQ(h.enqueue(0, Enter::created, at(1)), Links::intact);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(11));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  ASSERT_EQ(h.pick(at(11)).entity, Harness<Budgets>::kNobody);
  ASSERT_TRUE(h.policy.swap(1, at(12)));
  ASSERT_EQ(h.pick(at(12)).entity, 0);
  ASSERT_TRUE(h.policy.swap(0, at(13)));
  EXPECT_EQ(h.pick(at(13)), (Harness<Budgets>::Answer{0, at(23)}));  // with a history of its own
}

TEST(Dynamic, TakesAlongAHistoryThatTheOtherCpuUnderstands) {
  using E = Dynamic<Eevdf, RoundRobin>;
  Harness<E> here;
  E elsewhere;
  here.add(0);
  here.add(1);
  ASSERT_EQ(here.pick(at(1)).entity, 0);
  here.ran(0, at(1), at(1001));
  ASSERT_EQ(here.dequeue(0, Leave::moved, at(1001)), Links::intact);
  here.detach(0);
  struct Mover : Mechanism {
    static Detached<E::Entity> prove(E::Entity& entity) { return detached(entity); }
  };
  const auto enter = [&](int e, Enter why) {
    E::Entity& entity = here.entities[static_cast<size_t>(e)];
    EXPECT_TRUE(elsewhere.attach(Mover::prove(entity), {}));
    EXPECT_EQ(elsewhere.enqueue(entity, why, at(1001)), Links::intact);
  };
  enter(2, Enter::created);
  enter(0, Enter::moved);
  EXPECT_EQ(elsewhere.pick(at(1001)).entity, &here.entities[2]);  // 0 has had its share
}

TEST(Dynamic, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e, given(10, 5));
  RingLink<D>& link = h.entities[1];
  link.prev = &link;
  ASSERT_TRUE(h.policy.swap(kFixedPriority, at(1)));
  EXPECT_EQ(h.enqueue(0, Enter::woken), Links::corrupt);
}

// ---- At random, against lines
// --------------------------------------------------------------------

// The definition of both policies, and of what an exchange does to the order.
struct Lines {
  void enter(int e) { line.push_back(e); }
  void leave(int e) { std::erase(line, e); }
  void to_the_back(int e) {
    leave(e);
    enter(e);
  }
  // Of the highest rank, who has been there longest.
  int first() const {
    return *std::max_element(line.begin(), line.end(), [this](int a, int b) {
      return is_ranked && priority[static_cast<size_t>(a)] < priority[static_cast<size_t>(b)];
    });
  }
  void swap(bool to_ranks, std::optional<int> current) {
    std::vector<int> order;
    if (current) {
      order.push_back(*current);
      leave(*current);
    }
    while (!line.empty()) {
      order.push_back(first());
      leave(order.back());
    }
    line = order;
    is_ranked = to_ranks;
  }

  bool is_ranked = false;
  std::vector<int> line;
  std::array<uint16_t, H::kEntities> priority{};
};

TEST(Dynamic, MatchesLinesThroughManyExchanges) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 gen = generator(seed);
    const auto below = [&](int bound) { return absl::Uniform(gen, 0, bound); };
    enum class Where : uint8_t { nowhere, blocked, runnable };
    std::array<Where, H::kEntities> where{};
    H h;
    Lines lines;
    std::optional<int> current;
    for (int action = 0; action < 3000 && !HasFailure(); ++action) {
      SCOPED_TRACE(action);
      const int e = below(H::kEntities);
      Where& is = where[static_cast<size_t>(e)];
      const auto pick = [&] {
        const int picked = h.pick().entity;
        ASSERT_EQ(picked, lines.line.empty() ? H::kNobody : lines.first());
        ASSERT_EQ(h.pick().entity, picked);
        current.reset();
        if (picked != H::kNobody) current = picked;
      };
      switch (below(8)) {
        case 0:
        case 1:
          if (is == Where::runnable) break;
          if (is == Where::nowhere || below(2) == 0) {
            lines.priority[static_cast<size_t>(e)] = static_cast<uint16_t>(below(4));
            ASSERT_TRUE(h.attach(e, given(10, lines.priority[static_cast<size_t>(e)])));
          }
          ASSERT_EQ(h.enqueue(e, is == Where::nowhere ? Enter::created : Enter::woken),
                    Links::intact);
          lines.enter(e);
          is = Where::runnable;
          break;
        case 2:
          if (is != Where::runnable) break;
          ASSERT_EQ(h.dequeue(e, Leave::blocked), Links::intact);
          lines.leave(e);
          is = Where::blocked;
          if (current == e) current.reset();
          break;
        case 3:
          if (is != Where::blocked) break;
          h.detach(e);
          is = Where::nowhere;
          break;
        case 4: {
          const bool to_ranks = below(2) == 0;
          ASSERT_EQ(h.policy.swap(to_ranks ? kFixedPriority : kRoundRobin, at(1)), D::Swapped{});
          lines.swap(to_ranks, current);
          if (current && below(2) == 0) {
            ASSERT_EQ(h.put_back(*current, Pause::preempted), Links::intact);
          }
          pick();
          break;
        }
        default:
          if (current) {
            const Pause why = below(2) == 0 ? Pause::preempted : Pause::timed_out;
            ASSERT_EQ(h.put_back(*current, why), Links::intact);
            if (why != Pause::preempted) lines.to_the_back(*current);
          }
          pick();
      }
    }
  }
}

// ---- The rules of every policy -----------------------------------------------------------------

// (What one policy accepts and another does not would be refused in the end, or not, by chance.)
struct PairSubject : conformance::Subject<D> {
  static D::Attributes sample(conformance::Source& source) {
    if (source.below(10) == 0) return given(0, 256);
    return given(1 + source.below(50), static_cast<uint16_t>(source.below(256)));
  }
  static void act(D& policy, conformance::Source& source, Instant now) {
    (void)policy.swap(source.below(2), now);
  }
};

// What holds back, what is fair, and what may have no place for somebody.
using Four = Dynamic<Budgeted<RoundRobin>, Eevdf, Fifo, Small>;
struct FourSubject : conformance::Subject<Four> {
  static constexpr bool kKeepsTurn = false;
  static Four::Attributes sample(conformance::Source& source) {
    Four::Attributes attributes;
    attributes.of<0>() = {.inner = {.slice = Duration{1 + source.below(50)}},
                          .budget = Duration{source.below(20)},
                          .period = Duration{20 + source.below(200)}};
    attributes.of<1>() = {.weight = static_cast<Weight>(1 + source.below(5000))};
    attributes.of<3>() = {.is_asking = true};
    return attributes;
  }
  static void act(Four& policy, conformance::Source& source, Instant now) {
    (void)policy.swap(source.below(4), now);
  }
};

TEST(Dynamic, KeepsTheRulesOfEveryPolicy) {
  conforms<PairSubject>();
  conforms<FourSubject>();
}

TEST(Dynamic, NestsInGroupsAndHoldsThem) {
  using Inner = Dynamic<RoundRobin, Eevdf>;
  using Outer = Dynamic<Groups<Inner, RoundRobin>, Fifo>;
  Workload<Outer> w;
  Outer::Attributes attributes;
  attributes.of<0>() = {.group = 0, .task = {{{.slice = ticks(10)}}, {{.slice = ticks(10)}}}};
  for (const int e : {0, 1}) w.spawn(e, attributes);
  w.run(1000);
  EXPECT_EQ(w.used(0), 500u);
  (void)w.h.policy.policy<0>()->default_group().tasks().swap(1, at(w.now));
  w.run(1000);
  EXPECT_NEAR(w.used(0), 1000, 20);
}

TEST(Dynamic, HasRoomForTheLargestOnly) {
  static_assert(sizeof(D) < sizeof(FixedPriority) + 100);
  static_assert(sizeof(Dynamic<FixedPriority, Fifo, FixedPriority, RoundRobin>) == sizeof(D));
  // The larger part, a ring's link, 16 bytes of attributes, and what it is.
  static_assert(sizeof(D::Entity) == 64);
  static_assert(std::is_trivially_copyable_v<D::Attributes>);
}

constinit D policy_in_static_memory;
constinit D::Entity entity_in_static_memory;

TEST(Dynamic, IsConstantInitialised) {
  EXPECT_EQ(policy_in_static_memory.index(), kRoundRobin);
  EXPECT_EQ(policy_in_static_memory.attributes(entity_in_static_memory), D::Attributes{});
}

}  // namespace
}  // namespace sched::test
