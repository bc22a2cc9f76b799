// Groups: against the plain policy where there is but one group, against a naive model of round
// robins in a tree, and what hierarchies, shares and quotas are for.

#include "sched/policy/groups.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/testing/conformance.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using RoundRobins = Groups<RoundRobin, RoundRobin>;

// ---- One group alone is its policy -----------------------------------------------------------

// The plain policy itself is the model; but a turn that ends only because the kernel needs the CPU
// goes on later with what was left of it.
template <Policy P, typename Sample>
struct Plain : Mechanism {
  using G = Groups<P, RoundRobin>;
  using Attributes = G::Attributes;
  using Answer = Harness<G>::Answer;

  void configure(G&, absl::BitGenRef) {}
  Attributes random_attributes(absl::BitGenRef gen) {
    const bool exists = !absl::Bernoulli(gen, 0.1);
    return {.group = static_cast<GroupNumber>(exists ? 0 : 7), .task = Sample::sample(gen)};
  }
  std::optional<Attributes> accepts(int e, const Attributes& a) {
    if (a.group != 0 || !plain.attach(detached(at_index(e)), a.task)) return std::nullopt;
    return a;
  }
  void detach(int e) {
    if constexpr (Detaches<P>) plain.detach(detached(at_index(e)));
  }
  void enqueue(int e, const Attributes&, Enter why, Instant now) {
    EXPECT_EQ(plain.enqueue(at_index(e), why, now), Links::intact);
  }
  void dequeue(int e, Leave why, Instant now) {
    EXPECT_EQ(plain.dequeue(at_index(e), why, now), Links::intact);
    if (e == rest_of) rest_of = -1;
  }
  void put_back(int e, Pause why, Instant now) {
    EXPECT_EQ(plain.put_back(at_index(e), why, now), Links::intact);
    rest_of = why == Pause::preempted && !is_due && now < until ? e : -1;
    rest = until - now;
  }
  Answer pick(Instant now) {
    const auto [entity, plain_until] = plain.pick(now);
    until = plain_until;
    is_due = false;
    if (entity == nullptr) return {Harness<G>::kNobody, until};
    const int e = static_cast<int>(entity - entities.data());
    if (e != rest_of) rest_of = -1;
    if (e == rest_of) until = std::min(until, now + rest);
    return {e, until};
  }
  Instant contend(int entered, int current, Instant now) {
    if constexpr (!Contends<P>) return never;
    const Instant by = plain.contend(at_index(entered), at_index(current), now);
    if (by <= now) {
      is_due = true;
    } else {
      until = std::min(until, by);
    }
    return by;
  }
  void ran(int e, Instant from, Instant to) {
    if constexpr (Charges<P>) plain.ran(at_index(e), from, to);
  }
  void yield_to(int e, int target, Instant now) {
    if constexpr (YieldsTo<P>) {
      EXPECT_EQ(plain.yield_to(at_index(e), at_index(target), now), Links::intact);
      rest_of = -1;
    }
  }

  typename P::Entity& at_index(int e) { return entities[static_cast<size_t>(e)]; }

  P plain;
  Instant until = never;
  bool is_due = false;
  int rest_of = -1;
  Duration rest;
  std::array<typename P::Entity, Harness<G>::kEntities> entities{};
};

struct Slices {
  static RoundRobin::Attributes sample(absl::BitGenRef gen) {
    return {.slice = ticks(absl::Uniform<uint64_t>(gen, 0, 60))};
  }
};
struct Priorities {
  static FixedPriority::Attributes sample(absl::BitGenRef gen) {
    return {.priority = static_cast<uint16_t>(absl::Uniform(gen, 0, 260))};
  }
};
struct Levels {
  static Mlfq::Attributes sample(absl::BitGenRef gen) {
    return {.level = static_cast<uint8_t>(absl::Uniform(gen, 0, 9))};
  }
};
struct Weights {
  static Eevdf::Attributes sample(absl::BitGenRef gen) {
    return {.weight = absl::Uniform<Weight>(gen, 0, 4000)};
  }
};

template <Policy P, typename Sample>
void check_one_group() {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    check_against_model<Groups<P, RoundRobin>, Plain<P, Sample>>(seed, 3000);
  }
}

TEST(Groups, AreTheirTasksPolicyWhereThereIsOneGroup) {
  check_one_group<RoundRobin, Slices>();
  check_one_group<FixedPriority, Priorities>();
  check_one_group<Mlfq, Levels>();
  check_one_group<Eevdf, Weights>();
}

// ---- Round robins in a tree ------------------------------------------------------------------

//     root: group 0, group 1, branch: group 2, group 3
//
// The definition: everything that has members is a line. The front of a line has its turn until its
// slice ends while it has company, or its last member is gone; then it goes to the back. Whoever's
// turn ends only because a turn above does stays at the front, and goes on with what is left of it.
struct Lines {
  using P = RoundRobins;
  using H = Harness<P>;
  using Attributes = P::Attributes;
  static constexpr int kRoot = 100;
  static constexpr int kBranch = 101;
  static constexpr int kGroup = 200;  // the first of four

  struct Line {
    int parent = 0;
    std::list<int> members;  // those runnable
    int current = -1;
    Instant until = never;  // of the current one's turn
    int rest_of = -1;
    Duration rest;
    bool yields = false;
  };

  void configure(P& policy, absl::BitGenRef gen) {
    const auto random_slice = [&] { return ticks(absl::Uniform<uint64_t>(gen, 1, 100)); };
    for (const int node : {kBranch, kGroup, kGroup + 1, kGroup + 2, kGroup + 3}) {
      slice[node] = random_slice();
      lines[node].parent = node >= kGroup + 2 ? kBranch : kRoot;
    }
    ASSERT_TRUE(policy.retune(policy.default_group(), {.slice = slice[kGroup]}, at(1)));
    ASSERT_TRUE(policy.create(branch, {.slice = slice[kBranch]}));
    ASSERT_TRUE(policy.create(groups[1], 1, {.slice = slice[kGroup + 1]}));
    ASSERT_TRUE(policy.create(groups[2], 2, {.slice = slice[kGroup + 2]}, branch, at(1)));
    ASSERT_TRUE(policy.create(groups[3], 3, {.slice = slice[kGroup + 3]}, branch, at(1)));
  }
  Attributes random_attributes(absl::BitGenRef gen) {
    return {.group = absl::Uniform<GroupNumber>(gen, 0, 5),  // there is no 4
            .task = {.slice = ticks(absl::Uniform<uint64_t>(gen, 0, 60))}};
  }
  std::optional<Attributes> accepts(const Attributes& a) {
    if (a.group > 3 || a.task.slice == Duration{}) return std::nullopt;
    return a;
  }

  void detach(int) {}
  void enqueue(int e, const Attributes& a, Enter, Instant now) {
    slice[e] = a.task.slice;
    lines[e].parent = kGroup + a.group;
    contention = never;
    enter(e, now);
  }
  void enter(int member, Instant now) {
    Line& line = lines[lines[member].parent];
    line.members.push_back(member);
    if (line.current >= 0) {
      contention = now + slice[line.current];
      line.until = std::min(line.until, contention);
    }
    if (line.members.size() == 1 && lines[member].parent != kRoot) {
      enter(lines[member].parent, now);
    }
  }
  void dequeue(int member, Leave, Instant) {
    Line& line = lines[lines[member].parent];
    line.members.remove(member);
    if (line.current == member) {
      line.current = -1;
      line.yields = false;
    }
    if (line.rest_of == member) line.rest_of = -1;
    if (line.members.empty() && lines[member].parent != kRoot) {
      dequeue(lines[member].parent, Leave::blocked, {});
    }
  }
  void end_turn(Line& line, Pause why, Instant now) {
    line.rest_of = -1;
    if (why != Pause::preempted) {
      line.members.splice(line.members.end(), line.members, line.members.begin());
    } else if (line.until != never) {
      line.rest_of = line.current;
      line.rest = std::max(line.until - now, ticks(1));
    }
    line.current = -1;
    line.yields = false;
  }
  void put_back(int e, Pause why, Instant now) {
    Line& line = lines[lines[e].parent];
    if (why == Pause::timed_out && now < line.until) why = Pause::preempted;
    if (why == Pause::yielded && line.members.size() == 1) {
      for (int above = lines[e].parent; above != kRoot; above = lines[above].parent) {
        Line& wider = lines[lines[above].parent];
        if (wider.members.size() == 1) continue;
        wider.yields = true;
        why = now < line.until ? Pause::preempted : Pause::timed_out;
        break;
      }
    }
    end_turn(line, why, now);
  }
  void end_turns(int above, Instant now) {
    Line& line = lines[above];
    const int below = line.current;
    if (below < kRoot) return;  // nobody, or a task: its turn has ended
    end_turn(line,
             line.yields         ? Pause::yielded
             : now >= line.until ? Pause::timed_out
                                 : Pause::preempted,
             now);
    end_turns(below, now);
  }
  H::Answer pick(Instant now) {
    if (lines[kRoot].members.empty()) return {};
    Instant until = never;
    int at = kRoot;
    while (at >= kRoot) {
      Line& line = lines[at];
      if (line.current >= kRoot && (now >= line.until || line.yields)) end_turns(at, now);
      if (line.current < kRoot) {
        line.current = line.members.front();
        line.until = line.members.size() == 1 ? never : now + slice[line.current];
        if (line.rest_of == line.current) line.until = std::min(line.until, now + line.rest);
        if (line.rest_of != line.current) line.rest_of = -1;
      }
      until = std::min(until, line.until);
      at = line.current;
    }
    return {at, until};
  }
  Instant contend(int entered, int current, Instant now) {
    if (lines[entered].parent != lines[current].parent) return contention;
    return now + slice[current];
  }

  absl::btree_map<int, Line> lines;
  absl::btree_map<int, Duration> slice;
  Instant contention = never;
  P::Branch branch;
  std::array<P::Group, 4> groups;
};

TEST(Groups, MatchLinesOfLines) {
  for (uint64_t seed = 1; seed <= 30; ++seed) check_against_model<RoundRobins, Lines>(seed, 3000);
}

// ---- Turns of groups and turns of tasks --------------------------------------------------------

template <Policy P>
std::vector<int> turns(Workload<P>& workload, uint64_t ticks) {
  std::vector<int> order;
  workload.on_pick = [&](int e) {
    if (order.empty() || order.back() != e) order.push_back(e);
  };
  workload.run(ticks);
  return order;
}

TEST(Groups, PassOnWhatTheirTasksLendWhereverTheyGo) {
  using G = Groups<Eevdf, RoundRobin>;
  Harness<G> h;
  G::Group group;
  ASSERT_TRUE(h.policy.create(group, 1));
  h.add(0, {.task = {.weight = 100}});
  h.add(1, {.group = 1, .task = {.weight = 300}});
  h.pass_on(0, at(1), h.claim(1));
  EXPECT_EQ(h.claim(0), 400U);
  ASSERT_EQ(h.dequeue(0), Links::intact);
  ASSERT_TRUE(h.attach(0, {.group = 1, .task = {.weight = 50}}));
  EXPECT_EQ(h.claim(0), 350U);
  h.inherit(0);
  EXPECT_EQ(h.claim(0), 50U);
}

TEST(Groups, LetAGroupHaveItsTurnWhileItsTasksTakeTurns) {
  RoundRobins::Group one;
  RoundRobins::Group two;
  Workload<RoundRobins> w;
  ASSERT_TRUE(w.h.policy.create(one, 1, {.slice = ticks(25)}));
  ASSERT_TRUE(w.h.policy.create(two, 2, {.slice = ticks(25)}));
  w.spawn(0, {.group = 1, .task = {.slice = ticks(10)}});
  w.spawn(1, {.group = 1, .task = {.slice = ticks(10)}});
  w.spawn(2, {.group = 2});
  // 0 for 10, 1 for 10, 0 for 5 and, after 2 has had 25, for the other 5.
  EXPECT_EQ(turns(w, 100), (std::vector<int>{0, 1, 0, 2, 0, 1, 0, 2, 1}));
  EXPECT_EQ(w.used(0), 30u);
  EXPECT_EQ(w.used(1), 20u);
  EXPECT_EQ(w.used(2), 50u);
}

TEST(Groups, LetTasksWithSlicesLongerThanTheirGroupsTakeTurns) {
  RoundRobins::Group one;
  RoundRobins::Group two;
  Workload<RoundRobins> w;
  ASSERT_TRUE(w.h.policy.create(one, 1, {.slice = ticks(10)}));
  ASSERT_TRUE(w.h.policy.create(two, 2, {.slice = ticks(10)}));
  w.spawn(0, {.group = 1, .task = {.slice = ticks(25)}});
  w.spawn(1, {.group = 1, .task = {.slice = ticks(25)}});
  w.spawn(2, {.group = 2});
  w.run(2000);
  EXPECT_EQ(w.used(0), 500u);
  EXPECT_EQ(w.used(1), 500u);
  EXPECT_EQ(w.used(2), 1000u);
}

TEST(Groups, LetTurnsBeCutShortAtEveryLevel) {
  RoundRobins::Group one;
  RoundRobins::Branch branch;
  std::array<RoundRobins::Group, 2> in_branch;
  Workload<RoundRobins> w;
  ASSERT_TRUE(w.h.policy.create(one, 1, {.slice = ticks(7)}));
  ASSERT_TRUE(w.h.policy.create(branch, {.slice = ticks(7)}));
  for (const GroupNumber i : {0, 1}) {
    ASSERT_TRUE(w.h.policy.create(in_branch[i], i + 2, {.slice = ticks(30)}, branch, at(1)));
    w.spawn(2 * i, {.group = static_cast<GroupNumber>(i + 2), .task = {.slice = ticks(50)}});
    w.spawn(2 * i + 1, {.group = static_cast<GroupNumber>(i + 2), .task = {.slice = ticks(50)}});
  }
  w.spawn(4, {.group = 1});
  w.run(84000);
  EXPECT_EQ(w.used(4), 42000u);
  for (const int e : {0, 1, 2, 3}) EXPECT_NEAR(w.used(e), 10500, 100) << e;
}

TEST(Groups, YieldToWhoeverIsNearest) {
  using G = Groups<Fifo, Fifo>;
  G::Group one;
  Harness<G> h;
  ASSERT_TRUE(h.policy.create(one, 1));
  h.add(0, {.group = 1});
  h.add(1, {.group = 1});
  h.add(2, {.group = 0});
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::yielded), Links::intact);
  ASSERT_EQ(h.pick().entity, 1);  // a peer in the group: the group's turn goes on
  ASSERT_EQ(h.dequeue(0), Links::intact);
  EXPECT_TRUE(h.policy.has_peer(h.entities[1]));
  ASSERT_EQ(h.put_back(1, Pause::yielded), Links::intact);
  ASSERT_EQ(h.pick().entity, 2);  // none there any more: the group yields
  ASSERT_EQ(h.put_back(2, Pause::yielded), Links::intact);
  ASSERT_EQ(h.pick().entity, 1);
  ASSERT_EQ(h.dequeue(2), Links::intact);
  EXPECT_FALSE(h.policy.has_peer(h.entities[1]));
}

TEST(Groups, PreemptByTheRankOfTheGroupBeforeThatOfTheTask) {
  using G = Groups<FixedPriority, FixedPriority>;
  G::Group high;
  G::Branch branch;
  G::Group in_branch;
  Harness<G> h;
  ASSERT_TRUE(h.policy.create(high, 1, {.priority = 9}));
  ASSERT_TRUE(h.policy.create(branch, {.priority = 5}));
  ASSERT_TRUE(h.policy.create(in_branch, 2, {.priority = 200}, branch, at(1)));
  h.add(0, {.group = 2, .task = {.priority = 100}});
  ASSERT_EQ(h.pick().entity, 0);
  h.add(1, {.group = 0, .task = {.priority = 255}});
  EXPECT_EQ(h.contend(1, 0), never);  // group 0 has priority 0, in_branch counts as its branch
  h.add(2, {.group = 2, .task = {.priority = 101}});
  EXPECT_EQ(h.contend(2, 0), at(1));  // within the group
  ASSERT_EQ(h.put_back(0, Pause::preempted), Links::intact);
  ASSERT_EQ(h.pick().entity, 2);
  h.add(3, {.group = 1, .task = {.priority = 0}});
  EXPECT_EQ(h.contend(3, 2), at(1));
  ASSERT_EQ(h.put_back(2, Pause::preempted), Links::intact);
  ASSERT_EQ(h.pick().entity, 3);
  h.add(4, {.group = 1, .task = {.priority = 0}});
  EXPECT_EQ(h.drain(), (std::vector<int>{3, 4, 2, 0, 1}));
}

// ---- Shares and quotas -------------------------------------------------------------------------

using Shares = Groups<Eevdf, Eevdf>;

TEST(Groups, ShareByTheWeightsOfGroupsHoweverManyTheirTasks) {
  Shares::Group one;
  Shares::Group two;
  Shares::Branch branch;
  std::array<Shares::Group, 2> in_branch;
  Workload<Shares> w;
  w.h.policy.root().groups().set_quantum(ticks(50));
  ASSERT_TRUE(w.h.policy.create(one, 1, {.weight = 1024, .slice = ticks(50)}));
  ASSERT_TRUE(w.h.policy.create(two, 2, {.weight = 1024, .slice = ticks(50)}));
  ASSERT_TRUE(w.h.policy.create(branch, {.weight = 2048, .slice = ticks(50)}));
  ASSERT_TRUE(w.h.policy.create(in_branch[0], 3, {.weight = 300, .slice = ticks(50)}, branch, {}));
  ASSERT_TRUE(w.h.policy.create(in_branch[1], 4, {.weight = 100, .slice = ticks(50)}, branch, {}));
  w.spawn(0, {.group = 1, .task = {.slice = ticks(50)}});
  for (int e = 1; e <= 5; ++e) w.spawn(e, {.group = 2, .task = {.slice = ticks(50)}});
  w.spawn(6, {.group = 3, .task = {.slice = ticks(50)}});
  w.spawn(7, {.group = 4, .task = {.weight = 3072, .slice = ticks(50)}});
  w.spawn(8, {.group = 4, .task = {.slice = ticks(50)}});
  w.run(160'000);
  EXPECT_NEAR(w.used(0), 40'000, 200);
  for (int e = 1; e <= 5; ++e) EXPECT_NEAR(w.used(e), 8'000, 200) << e;
  EXPECT_NEAR(w.used(6), 60'000, 300);
  EXPECT_NEAR(w.used(7), 15'000, 300);
  EXPECT_NEAR(w.used(8), 5'000, 300);
}

TEST(Groups, GiveWhatAGroupDoesNotUseToTheOthers) {
  Shares::Group one;
  Shares::Group two;
  Workload<Shares> w;
  ASSERT_TRUE(w.h.policy.create(one, 1, {.slice = ticks(50)}));
  ASSERT_TRUE(w.h.policy.create(two, 2, {.slice = ticks(50)}));
  w.spawn(0, [] { return Workload<Shares>::Burst{.work = 10, .sleep = 90}; }, {.group = 1});
  w.spawn(1, {.group = 2});
  w.run(100'000);
  EXPECT_GT(w.used(0), 6'000u);
  EXPECT_EQ(w.used(0) + w.used(1), 100'000u);
}

using Quotas = Groups<RoundRobin, Budgeted<RoundRobin>>;

TEST(Groups, HoldAGroupToItsQuota) {
  Quotas::Group limited;
  Workload<Quotas> w;
  ASSERT_TRUE(w.h.policy.create(
      limited, 1, {.inner = {.slice = ticks(10)}, .budget = ticks(30), .period = ticks(100)}));
  ASSERT_TRUE(w.h.policy.retune(w.h.policy.default_group(), {.inner = {.slice = ticks(10)}}, {}));
  for (const int e : {0, 1}) w.spawn(e, {.group = 1, .task = {.slice = ticks(10)}});
  w.run(10'000);
  EXPECT_EQ(w.used(0) + w.used(1), 3'000u);  // and the CPU idles the rest
  EXPECT_NEAR(w.used(0), 1'500, 20);
  w.spawn(2, {.group = 0});
  w.run(10'000);
  // All of the CPU is used; the quota nearly, for what comes back comes back in a few pieces.
  EXPECT_LE(w.used(0) + w.used(1), 6'000u);
  EXPECT_GE(w.used(0) + w.used(1), 5'600u);
  EXPECT_EQ(w.used(0) + w.used(1) + w.used(2), 13'000u);
}

TEST(Groups, NeverThrottleWhoHasNotUsedTheQuota) {
  // Bursts of 29 of 30 every 100, at any phase, and between them two others that use all they can.
  for (uint64_t phase = 0; phase < 100; phase += 7) {
    Quotas::Group limited;
    Workload<Quotas> w;
    ASSERT_TRUE(w.h.policy.create(limited, 1, {.budget = ticks(30), .period = ticks(100)}));
    w.run(phase);
    bool is_first = true;
    uint64_t last = 0;
    uint64_t bursts = 0;
    w.spawn(0,
            [&] {
              if (!is_first) {
                EXPECT_EQ(w.now - last, bursts == 0 ? 29u : 100u) << "at " << w.now;
                ++bursts;
              }
              is_first = false;
              last = w.now;
              return Workload<Quotas>::Burst{.work = 29, .sleep = 71};
            },
            {.group = 1});
    w.run(10'000);
    EXPECT_EQ(w.used(0), 2'900u) << phase;
  }
}

TEST(Groups, LetOthersRunWhileAGroupIsThrottledAtAnyLevel) {
  Quotas::Branch branch;
  std::array<Quotas::Group, 2> groups;
  Workload<Quotas> w;
  ASSERT_TRUE(w.h.policy.create(
      branch, {.inner = {.slice = ticks(10)}, .budget = ticks(60), .period = ticks(100)}));
  for (const GroupNumber i : {0, 1}) {
    ASSERT_TRUE(w.h.policy.create(
        groups[i], i + 1,
        {.inner = {.slice = ticks(10)}, .budget = ticks(20u + 30u * i), .period = ticks(100)},
        branch, at(1)));
    w.spawn(i, {.group = static_cast<GroupNumber>(i + 1)});
  }
  w.run(100'000);
  EXPECT_LE(w.used(0), 20'000u);
  EXPECT_LE(w.used(1), 50'000u);
  EXPECT_EQ(w.used(0) + w.used(1), 60'000u);
}

// A group of tasks that all are held back is to its branch as one that sleeps.
using Held = Groups<Budgeted<RoundRobin>, FixedPriority>;

TEST(Groups, PassOverAGroupWhoseTasksAreAllHeldBack) {
  Held::Group high;
  Workload<Held> w;
  ASSERT_TRUE(w.h.policy.create(high, 1, {.priority = 9}));
  w.spawn(0, {.group = 1, .task = {.budget = ticks(10), .period = ticks(100)}});
  w.spawn(1, {.group = 1, .task = {.budget = ticks(20), .period = ticks(100)}});
  w.spawn(2, {.group = 0, .task = {}});
  w.run(10'000);
  EXPECT_EQ(w.used(0), 1'000u);
  EXPECT_EQ(w.used(1), 2'000u);
  EXPECT_EQ(w.used(2), 7'000u);
}

TEST(Groups, SaysWhenSomebodyHeldBackMayRunAgain) {
  Held::Branch branch;
  Held::Group inner_group;
  Harness<Held> h;
  ASSERT_TRUE(h.policy.create(branch, {.priority = 3}));
  ASSERT_TRUE(h.policy.create(inner_group, 1, {.priority = 9}, branch, at(1)));
  ASSERT_TRUE(h.attach(0, {.group = 1, .task = {.budget = ticks(10), .period = ticks(100)}}));
  ASSERT_EQ(h.enqueue(0, Enter::created, at(1)), Links::intact);
  ASSERT_EQ(h.pick(at(1)), (Harness<Held>::Answer{0, at(11)}));
  h.ran(0, at(1), at(11));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  // What it used comes back from 101 on. Asked too early, and late, it is the same.
  EXPECT_EQ(h.pick(at(11)), (Harness<Held>::Answer{Harness<Held>::kNobody, at(101)}));
  EXPECT_EQ(h.pick(at(100)), (Harness<Held>::Answer{Harness<Held>::kNobody, at(101)}));
  // Somebody else runs until then, and is preempted.
  ASSERT_TRUE(h.attach(1, {.group = 0, .task = {}}));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(100)), Links::intact);
  ASSERT_EQ(h.pick(at(100)), (Harness<Held>::Answer{1, at(101)}));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(101)), Links::intact);
  EXPECT_EQ(h.pick(at(101)).entity, 0);
}

TEST(Groups, RunAHeldBackGroupAsSoonAsSomebodyElseComesToIt) {
  Held::Group high;
  Harness<Held> h;
  ASSERT_TRUE(h.policy.create(high, 1, {.priority = 9}));
  ASSERT_TRUE(h.attach(0, {.group = 1, .task = {.budget = ticks(10), .period = ticks(100)}}));
  ASSERT_EQ(h.enqueue(0, Enter::created, at(1)), Links::intact);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(11));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  ASSERT_EQ(h.pick(at(11)).entity, Harness<Held>::kNobody);
  h.add(1, {.group = 0});
  ASSERT_EQ(h.pick(at(20)).entity, 1);
  ASSERT_TRUE(h.attach(2, {.group = 1}));
  ASSERT_EQ(h.enqueue(2, Enter::created, at(30)), Links::intact);
  EXPECT_EQ(h.contend(2, 1, at(30)), at(30));
  ASSERT_EQ(h.put_back(1, Pause::preempted, at(30)), Links::intact);
  EXPECT_EQ(h.pick(at(30)).entity, 2);
  // And a group that is held back may lose its last task.
  ASSERT_EQ(h.dequeue(2, Leave::blocked, at(40)), Links::intact);
  ASSERT_EQ(h.pick(at(40)), (Harness<Held>::Answer{1, at(101)}));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(50)), Links::intact);
  ASSERT_EQ(h.put_back(1, Pause::preempted, at(50)), Links::intact);
  EXPECT_EQ(h.pick(at(50)).entity, 1);
  EXPECT_GT(h.pick(at(50)).until, at(forever.ticks));  // nobody is waited for any more
}

// ---- Groups come, move and go ------------------------------------------------------------------

using G = Groups<Fifo, FixedPriority>;

TEST(Groups, RefuseATaskWhoseGroupIsNotThere) {
  Harness<G> h;
  EXPECT_FALSE(h.attach(0, {.group = 1}));
  EXPECT_FALSE(h.attach(0, {.group = 64}));
  EXPECT_FALSE(h.attach(0, {.group = UINT16_MAX}));
  EXPECT_EQ(h.attributes(0), G::Attributes{});
  G::Group group;
  ASSERT_TRUE(h.policy.create(group, 63));
  EXPECT_TRUE(h.attach(0, {.group = 63}));
  EXPECT_FALSE(h.attach(0, {.group = 1}));
  EXPECT_EQ(h.attributes(0), (G::Attributes{.group = 63}));
}

TEST(Groups, CreateAGroupOnlyWhereThereIsPlace) {
  Harness<G> h;
  G& policy = h.policy;
  G::Group a;
  G::Group b;
  G::Branch branch;
  const auto error = [](GroupError e) { return std::expected<void, GroupError>(std::unexpect, e); };
  EXPECT_EQ(policy.create(a, 0), error(GroupError::bad_number));
  EXPECT_EQ(policy.create(a, 64), error(GroupError::bad_number));
  EXPECT_EQ(policy.create(a, 1, {.priority = 256}), error(GroupError::refused));
  EXPECT_EQ(policy.create(a, 1, {}, branch, at(1)), error(GroupError::not_there));
  EXPECT_FALSE(h.attach(0, {.group = 1}));
  EXPECT_TRUE(policy.create(a, 1, {.priority = 255}));
  EXPECT_EQ(policy.create(a, 2), error(GroupError::already_there));
  EXPECT_EQ(policy.create(b, 1), error(GroupError::number_taken));
  EXPECT_TRUE(policy.create(branch));
  EXPECT_EQ(policy.create(branch), error(GroupError::already_there));
  EXPECT_TRUE(policy.create(b, 2, {}, branch, at(1)));
  EXPECT_EQ(policy.group_attributes(a).priority, 255);
  EXPECT_EQ(policy.root().members(), 2u);
}

TEST(Groups, RemoveAGroupOnlyWhenItHoldsNothing) {
  Harness<G> h;
  G& policy = h.policy;
  G::Group group;
  G::Branch branch;
  const auto error = [](GroupError e) { return std::expected<void, GroupError>(std::unexpect, e); };
  EXPECT_EQ(policy.remove(group), error(GroupError::not_there));
  EXPECT_EQ(policy.remove(policy.root()), error(GroupError::permanent));
  EXPECT_EQ(policy.remove(policy.default_group()), error(GroupError::permanent));
  ASSERT_TRUE(policy.create(branch));
  ASSERT_TRUE(policy.create(group, 1, {}, branch, at(1)));
  ASSERT_TRUE(h.attach(0, {.group = 1}));  // blocked: it counts, too
  EXPECT_EQ(policy.remove(group), error(GroupError::has_members));
  EXPECT_EQ(policy.remove(branch), error(GroupError::has_members));
  ASSERT_TRUE(h.attach(0, {.group = 0}));  // it moves away
  EXPECT_TRUE(policy.remove(group));
  EXPECT_FALSE(h.attach(0, {.group = 1}));
  EXPECT_TRUE(policy.remove(branch));
  EXPECT_TRUE(policy.create(group, 5));  // the storage is free, and so is the number
  ASSERT_TRUE(h.attach(0, {.group = 5}));
  h.detach(0);
  EXPECT_TRUE(policy.remove(group));
}

TEST(Groups, MoveATaskInEveryState) {
  Harness<G> h;
  G::Group high;
  ASSERT_TRUE(h.policy.create(high, 1, {.priority = 9}));
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_TRUE(h.attach(3));
  ASSERT_EQ(h.pick().entity, 0);
  // Queued: it is before all others now.
  ASSERT_EQ(h.dequeue(2, Leave::retuned), Links::intact);
  ASSERT_TRUE(h.attach(2, {.group = 1}));
  ASSERT_EQ(h.enqueue(2, Enter::retuned), Links::intact);
  EXPECT_EQ(h.contend(2, 0), at(1));
  // Running.
  ASSERT_EQ(h.dequeue(0, Leave::retuned), Links::intact);
  ASSERT_TRUE(h.attach(0, {.group = 1}));
  ASSERT_EQ(h.enqueue(0, Enter::retuned), Links::intact);
  ASSERT_EQ(h.pick().entity, 2);
  // Blocked.
  ASSERT_TRUE(h.attach(3, {.group = 1}));
  ASSERT_EQ(h.enqueue(3, Enter::woken), Links::intact);
  EXPECT_EQ(high.members(), 3u);
  EXPECT_EQ(h.drain(), (std::vector<int>{2, 0, 3, 1}));
}

TEST(Groups, RetuneAGroup) {
  Harness<G> h;
  G& policy = h.policy;
  G::Group one;
  G::Group two;
  const auto error = [](GroupError e) { return std::expected<void, GroupError>(std::unexpect, e); };
  EXPECT_EQ(policy.retune(one, {}, at(1)), error(GroupError::not_there));
  ASSERT_TRUE(policy.create(one, 1, {.priority = 3}));
  ASSERT_TRUE(policy.create(two, 2, {.priority = 2}));
  EXPECT_TRUE(policy.retune(policy.default_group(), {.priority = 1}, at(1)));
  for (const int e : {0, 1, 2}) h.add(e, {.group = static_cast<GroupNumber>(e)});
  ASSERT_EQ(h.pick().entity, 1);
  ASSERT_EQ(h.put_back(1, Pause::preempted), Links::intact);
  EXPECT_EQ(policy.retune(one, {.priority = 256}, at(1)), error(GroupError::refused));
  EXPECT_EQ(policy.group_attributes(one).priority, 3);
  ASSERT_EQ(h.pick().entity, 1);  // nothing has changed
  ASSERT_EQ(h.put_back(1, Pause::preempted), Links::intact);
  EXPECT_TRUE(policy.retune(one, {.priority = 0}, at(1)));
  EXPECT_TRUE(policy.retune(policy.default_group(), {.priority = 4}, at(1)));
  EXPECT_EQ(h.drain(), (std::vector<int>{0, 2, 1}));
}

TEST(Groups, MoveAGroupWithAllItHolds) {
  Harness<G> h;
  G& policy = h.policy;
  G::Group a;
  G::Group b;
  G::Branch branch;
  G::Branch lower;
  const auto error = [](GroupError e) { return std::expected<void, GroupError>(std::unexpect, e); };
  EXPECT_EQ(policy.move(a, policy.root(), at(1)), error(GroupError::not_there));
  ASSERT_TRUE(policy.create(branch, {.priority = 9}));
  ASSERT_TRUE(policy.create(lower, {.priority = 8}, branch, at(1)));
  ASSERT_TRUE(policy.create(a, 1, {.priority = 3}));
  ASSERT_TRUE(policy.create(b, 2, {.priority = 5}));
  EXPECT_EQ(policy.move(branch, lower, at(1)), error(GroupError::loop));
  EXPECT_EQ(policy.move(branch, branch, at(1)), error(GroupError::loop));
  EXPECT_EQ(policy.move(policy.root(), lower, at(1)), error(GroupError::permanent));
  EXPECT_EQ(policy.move(policy.default_group(), lower, at(1)), error(GroupError::permanent));
  for (const int e : {0, 1}) h.add(e, {.group = 1});
  for (const int e : {2, 3}) h.add(e, {.group = 2});
  ASSERT_EQ(h.pick().entity, 2);
  ASSERT_EQ(h.put_back(2, Pause::preempted), Links::intact);
  EXPECT_TRUE(policy.move(a, a.members() == 2 ? policy.root() : lower, at(1)));  // it is there
  EXPECT_TRUE(policy.move(a, lower, at(1)));
  ASSERT_EQ(h.pick().entity, 0);
  EXPECT_EQ(policy.remove(lower), error(GroupError::has_members));
  ASSERT_EQ(h.put_back(0, Pause::preempted), Links::intact);
  EXPECT_TRUE(policy.move(lower, policy.root(), at(1)));  // priority 8
  EXPECT_TRUE(policy.move(b, branch, at(1)));             // priority 9
  EXPECT_EQ(h.drain(), (std::vector<int>{2, 3, 0, 1}));
}

TEST(Groups, ChangeAGroupWhileATaskRuns) {
  // Whose own group it is, or another; whatever the mechanism says of the one that ran, nobody is
  // lost, and the next to run is as the change says.
  for (const bool is_own : {true, false}) {
    for (const int next : {0, 1, 2, 3}) {
      Harness<G> h;
      G::Group one;
      G::Group two;
      ASSERT_TRUE(h.policy.create(one, 1, {.priority = 3}));
      ASSERT_TRUE(h.policy.create(two, 2, {.priority = 2}));
      for (const int e : {0, 1}) h.add(e, {.group = 1});
      h.add(2, {.group = 2});
      ASSERT_EQ(h.pick().entity, 0);
      if (is_own) {
        ASSERT_TRUE(h.policy.retune(one, {.priority = 1}, at(1)));
      } else {
        ASSERT_TRUE(h.policy.retune(two, {.priority = 4}, at(1)));
      }
      EXPECT_FALSE(h.policy.has_peer(h.entities[0]));
      switch (next) {
        case 0: ASSERT_EQ(h.put_back(0, Pause::preempted), Links::intact); break;
        case 1: ASSERT_EQ(h.put_back(0, Pause::yielded), Links::intact); break;
        case 2:
          h.add(3, {.group = 2});
          EXPECT_EQ(h.contend(3, 0), at(1));
          break;
        default:
          ASSERT_EQ(h.dequeue(0, Leave::retuned), Links::intact);
          ASSERT_TRUE(h.attach(0, {.group = 2}));
          ASSERT_EQ(h.enqueue(0, Enter::retuned), Links::intact);
      }
      const std::vector<int> order = h.drain();
      switch (next) {
        case 2: EXPECT_EQ(order, (std::vector<int>{2, 3, 0, 1})); break;
        case 3: EXPECT_EQ(order, (std::vector<int>{2, 0, 1})); break;
        default: EXPECT_EQ(order, (std::vector<int>{2, 0, 1}));
      }
    }
  }
}

TEST(Groups, MoveAGroupWhileItsTaskRuns) {
  Harness<RoundRobins> h;
  RoundRobins::Group one;
  RoundRobins::Branch branch;
  ASSERT_TRUE(h.policy.create(one, 1));
  ASSERT_TRUE(h.policy.create(branch));
  for (const int e : {0, 1}) h.add(e, {.group = 1, .task = {.slice = ticks(10)}});
  h.add(2);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  ASSERT_TRUE(h.policy.move(one, branch, at(4)));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(4)), Links::intact);
  ASSERT_EQ(h.pick(at(4)).entity, 2);
  ASSERT_EQ(h.dequeue(2), Links::intact);
  EXPECT_EQ(h.pick(at(20)), (Harness<RoundRobins>::Answer{0, at(27)}));  // what was left of it
}

TEST(Groups, MoveAGroupThatIsHeldBack) {
  Held::Group group;
  Held::Branch branch;
  Harness<Held> h;
  ASSERT_TRUE(h.policy.create(group, 1, {.priority = 9}));
  ASSERT_TRUE(h.policy.create(branch, {.priority = 9}));
  ASSERT_TRUE(h.attach(0, {.group = 1, .task = {.budget = ticks(10), .period = ticks(100)}}));
  ASSERT_EQ(h.enqueue(0, Enter::created, at(1)), Links::intact);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(11));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  ASSERT_EQ(h.pick(at(11)).entity, Harness<Held>::kNobody);
  ASSERT_TRUE(h.policy.retune(group, {.priority = 8}, at(12)));
  ASSERT_TRUE(h.policy.move(group, branch, at(12)));
  EXPECT_EQ(h.pick(at(12)), (Harness<Held>::Answer{Harness<Held>::kNobody, at(101)}));
  EXPECT_EQ(h.pick(at(101)).entity, 0);
}

// A policy that gives out places: what it hears of tasks and groups that move is checked.
class Counted : public Fifo {
 public:
  struct Entity : Fifo::Entity {
    bool is_admitted = false;
  };
  struct Attributes {
    bool is_welcome = true;
  };
  bool attach(Detached<Entity> e, const Attributes& attributes) {
    if (!e->is_admitted && places == 0) return false;
    if (!attributes.is_welcome) return false;
    if (!e->is_admitted) --places;
    e->is_admitted = true;
    return true;
  }
  Attributes attributes(const Entity&) const { return {}; }
  void detach(Detached<Entity> e) {
    EXPECT_TRUE(e->is_admitted);
    e->is_admitted = false;
    ++places;
  }
  Links enqueue(Entity& e, Enter why, Instant now) {
    EXPECT_TRUE(e.is_admitted);
    entered.push_back(why);
    return Fifo::enqueue(e, why, now);
  }
  Links dequeue(Entity& e, Leave why, Instant now) {
    left.push_back(why);
    return Fifo::dequeue(e, why, now);
  }
  Links put_back(Entity& e, Pause why, Instant now) { return Fifo::put_back(e, why, now); }
  Choice<Entity> pick(Instant now) {
    const auto [entity, until] = Fifo::pick(now);
    return {static_cast<Entity*>(entity), until};
  }
  bool has_peer(const Entity& e) const { return Fifo::has_peer(e); }

  int places = 1;
  std::vector<Enter> entered;
  std::vector<Leave> left;
};

TEST(Groups, GiveBackAPlaceInOneGroupBeforeTheyTakeOneInAnother) {
  using C = Groups<Counted, Fifo>;
  C::Group one;
  C::Group two;
  Harness<C> h;
  ASSERT_TRUE(h.policy.create(one, 1));
  ASSERT_TRUE(h.policy.create(two, 2));
  h.add(0, {.group = 1});
  EXPECT_FALSE(h.attach(1, {.group = 1}));  // it is full
  // Refused there: all is as before, and the task is queued where it was.
  two.tasks().places = 0;
  ASSERT_EQ(h.dequeue(0, Leave::retuned), Links::intact);
  EXPECT_FALSE(h.attach(0, {.group = 2}));
  ASSERT_EQ(h.enqueue(0, Enter::retuned), Links::intact);
  EXPECT_EQ(h.attributes(0).group, 1);
  EXPECT_EQ(one.tasks().places, 0);
  ASSERT_EQ(h.pick().entity, 0);
  // Accepted. Each object hears of it what the concept promises.
  two.tasks().places = 1;
  one.tasks().entered.clear();
  one.tasks().left.clear();
  ASSERT_EQ(h.dequeue(0, Leave::retuned), Links::intact);
  EXPECT_TRUE(h.attach(0, {.group = 2}));
  ASSERT_EQ(h.enqueue(0, Enter::retuned), Links::intact);
  EXPECT_EQ(one.tasks().left, (std::vector<Leave>{Leave::retuned, Leave::moved}));
  EXPECT_EQ(one.tasks().entered, (std::vector<Enter>{Enter::retuned}));
  EXPECT_EQ(two.tasks().entered, (std::vector<Enter>{Enter::moved}));
  EXPECT_EQ(one.tasks().places, 1);
  EXPECT_EQ(two.tasks().places, 0);
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.dequeue(0, Leave::exited), Links::intact);
  h.detach(0);
  EXPECT_EQ(two.tasks().places, 1);
}

TEST(Groups, LeaveAGroupWhereItIsIfTheOtherBranchRefusesIt) {
  using C = Groups<Fifo, Counted>;
  C::Group one;
  C::Branch branch;
  C::Group full;
  Harness<C> h;
  h.policy.root().groups().places = 2;
  ASSERT_TRUE(h.policy.create(one, 1));
  ASSERT_TRUE(h.policy.create(branch));
  ASSERT_TRUE(h.policy.create(full, 2, {}, branch, at(1)));
  h.add(0, {.group = 1});
  ASSERT_EQ(h.policy.move(one, branch, at(1)).error(), GroupError::refused);
  EXPECT_EQ(h.pick().entity, 0);
  EXPECT_EQ(h.policy.root().members(), 2u);
  EXPECT_EQ(h.policy.root().groups().places, 0);
  ASSERT_EQ(h.put_back(0), Links::intact);
  ASSERT_TRUE(h.policy.remove(full));
  ASSERT_TRUE(h.policy.move(one, branch, at(1)));
  EXPECT_EQ(h.policy.root().groups().places, 1);
  EXPECT_EQ(h.pick().entity, 0);
}

TEST(Groups, ReportBrokenLinks) {
  Harness<G> h;
  for (const int e : {0, 1, 2}) h.add(e);
  RingLink<Fifo>& link = h.entities[1];
  link.prev = &link;
  EXPECT_EQ(h.dequeue(0), Links::corrupt);
}

// ---- Any depth, any parts ----------------------------------------------------------------------

TEST(Groups, GoAsDeepAsTheirObjects) {
  constexpr size_t kDepth = 1000;
  std::array<RoundRobins::Branch, kDepth> branches;
  RoundRobins::Group bottom;
  Harness<RoundRobins> h;
  RoundRobins::Branch* parent = &h.policy.root();
  for (RoundRobins::Branch& branch : branches) {
    ASSERT_TRUE(h.policy.create(branch, {.slice = ticks(10)}, *parent, at(1)));
    parent = &branch;
  }
  ASSERT_TRUE(h.policy.create(bottom, 1, {}, *parent, at(1)));
  h.add(0, {.group = 1});
  h.add(1);
  EXPECT_EQ(h.pick(), (Harness<RoundRobins>::Answer{0, at(11)}));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(11)), Links::intact);
  EXPECT_EQ(h.pick(at(11)).entity, 1);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 0}));
}

TEST(Groups, NestAsTypes) {
  using Inner = Groups<RoundRobin, RoundRobin>;
  using Outer = Groups<Inner, RoundRobin>;
  Outer::Group outer;
  Inner::Group inner;
  Workload<Outer> w;
  ASSERT_TRUE(w.h.policy.create(outer, 1, {.slice = ticks(10)}));
  ASSERT_TRUE(w.h.policy.retune(w.h.policy.default_group(), {.slice = ticks(10)}, at(1)));
  ASSERT_TRUE(outer.tasks().create(inner, 1, {.slice = ticks(25)}));
  ASSERT_TRUE(outer.tasks().retune(outer.tasks().default_group(), {.slice = ticks(25)}, at(1)));
  const auto task = [](GroupNumber of, GroupNumber in) {
    return Outer::Attributes{.group = of, .task = {.group = in, .task = {.slice = ticks(40)}}};
  };
  w.spawn(0, task(0, 0));
  w.spawn(1, task(1, 0));
  w.spawn(2, task(1, 1));
  w.spawn(3, task(1, 1));
  w.run(80'000);
  EXPECT_EQ(w.used(0), 40'000u);
  EXPECT_NEAR(w.used(1), 20'000, 50);
  EXPECT_NEAR(w.used(2), 10'000, 50);
  EXPECT_NEAR(w.used(3), 10'000, 50);
}

TEST(Groups, AskForALittleMoreOfATask) {
  static_assert(sizeof(RoundRobins::Entity) == sizeof(RoundRobin::Entity) + 16);
  static_assert(sizeof(Groups<Fifo, Eevdf>::Entity) == sizeof(Fifo::Entity) + 16);
  static_assert(sizeof(RoundRobins::Attributes) == 16);
  static_assert(sizeof(RoundRobins::Group) == 160);
  static_assert(sizeof(RoundRobins::Branch) == 184);
}

// What needs no group object may be constant-initialised, and so may groups.
constinit RoundRobins policy_in_static_memory;
constinit RoundRobins::Group group_in_static_memory;
constinit RoundRobins::Branch branch_in_static_memory;

TEST(Groups, AreConstantInitialised) {
  ASSERT_TRUE(policy_in_static_memory.create(branch_in_static_memory));
  ASSERT_TRUE(policy_in_static_memory.create(group_in_static_memory, 1, {}, branch_in_static_memory,
                                             at(1)));
}

// ---- The rules of every policy -----------------------------------------------------------------

//     root: group 0, group 1, branch: group 2, group 3
template <Policy P, Policy Q>
class Tree4 : public Groups<P, Q> {
 public:
  using Base = Groups<P, Q>;
  std::array<typename Base::Group, 3> groups;
  typename Base::Branch branch;

  void plant(const typename Q::Attributes& of_group, const typename Q::Attributes& of_branch) {
    EXPECT_TRUE(this->create(branch, of_branch));
    EXPECT_TRUE(this->create(groups[0], 1, of_group));
    EXPECT_TRUE(this->create(groups[1], 2, of_group, branch, at(0)));
    EXPECT_TRUE(this->create(groups[2], 3, of_branch, branch, at(0)));
  }
};

template <typename T, typename TaskSubject>
struct TreeSubject : conformance::Subject<T> {
  static T::Attributes sample(conformance::Source& source) {
    return {.group = static_cast<GroupNumber>(source.below(5)),
            .task = TaskSubject::sample(source)};
  }
};

struct SliceSubject {
  static RoundRobin::Attributes sample(conformance::Source& source) {
    return {.slice = Duration{source.below(60)}};
  }
};
struct WeightSubject {
  static Eevdf::Attributes sample(conformance::Source& source) {
    return {.weight = static_cast<Weight>(source.below(5000)), .slice = {source.below(50)}};
  }
};
struct BudgetSubject {
  static Budgeted<RoundRobin>::Attributes sample(conformance::Source& source) {
    return {.inner = SliceSubject::sample(source),
            .budget = Duration{source.below(20)},
            .period = Duration{source.below(200)}};
  }
};

struct RoundRobinTree : TreeSubject<Tree4<RoundRobin, RoundRobin>, SliceSubject> {
  static void begin(Tested& tree) { tree.plant({.slice = ticks(15)}, {.slice = ticks(40)}); }
  static void act(Tested& tree, conformance::Source& source, Instant now) {
    const auto i = source.below(3);
    if (source.below(2) == 0) {
      (void)tree.retune(tree.groups[i], {.slice = Duration{source.below(60)}}, now);
    } else {
      (void)tree.move(tree.groups[i], source.below(2) == 0 ? tree.root() : tree.branch, now);
    }
  }
};
struct FairTree : TreeSubject<Tree4<Eevdf, Eevdf>, WeightSubject> {
  static constexpr bool kKeepsTurn = false;
  static void begin(Tested& tree) { tree.plant({.weight = 100}, {.weight = 3000}); }
  static void act(Tested& tree, conformance::Source& source, Instant now) {
    (void)tree.move(tree.groups[source.below(3)], source.below(2) == 0 ? tree.root() : tree.branch,
                    now);
  }
};
struct QuotaTree : TreeSubject<Tree4<Budgeted<RoundRobin>, Budgeted<Eevdf>>, BudgetSubject> {
  static constexpr bool kKeepsTurn = false;
  static void begin(Tested& tree) {
    tree.plant({.budget = ticks(10), .period = ticks(50)},
               {.budget = ticks(5), .period = ticks(9)});
  }
  static void act(Tested& tree, conformance::Source& source, Instant now) {
    (void)tree.move(tree.groups[source.below(3)], source.below(2) == 0 ? tree.root() : tree.branch,
                    now);
  }
};

template <typename S>
void conforms() {
  const auto trial = std::make_unique<conformance::Trial<S>>();
  for (const conformance::Check check : conformance::kChecks) {
    for (const conformance::Pace pace : conformance::kPaces) {
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        const conformance::Fault fault = trial->run({.check = check, .pace = pace, .seed = seed});
        ASSERT_FALSE(fault) << to_string(fault.rule) << " at action " << fault.action << ", check "
                            << to_string(check) << ", pace " << static_cast<int>(pace) << ", seed "
                            << seed;
      }
    }
  }
}

TEST(Groups, KeepTheRulesOfEveryPolicy) {
  conforms<RoundRobinTree>();
  conforms<FairTree>();
  conforms<QuotaTree>();
}

}  // namespace
}  // namespace sched::test
