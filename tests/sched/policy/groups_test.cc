// Groups: whose turn it is, who has which share and which quota, and how deep they go.

#include "sched/policy/groups.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using RoundRobins = Groups<RoundRobin, RoundRobin>;

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

}  // namespace
}  // namespace sched::test
