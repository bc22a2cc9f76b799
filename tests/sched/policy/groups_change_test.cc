// Groups that come, move and go, and tasks that move between them.

#include <cstdint>
#include <expected>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/groups.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using RoundRobins = Groups<RoundRobin, RoundRobin>;

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

using Held = Groups<Budgeted<RoundRobin>, FixedPriority>;

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

}  // namespace
}  // namespace sched::test
