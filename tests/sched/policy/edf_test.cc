// Earliest deadline first: who runs, who is admitted, and what is told of a task.

#include "sched/policy/edf.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/edf_kit.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using H = Harness<Edf>;

// What the page says.
static_assert(sizeof(Edf::Entity) == 160);
static_assert(sizeof(EdfExact::Entity) == 176);
static_assert(sizeof(EdfReclaiming::Entity) == 168);

TEST(Edf, RunsTheEarliestDeadlineFirst) {
  Drive<Edf> h;
  h.create(0, server(1, 30), at(100));
  h.create(1, server(1, 10), at(100));
  h.create(2, server(1, 20), at(100));
  h.create(3, server(1, 10), at(100));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{1, at(101)}));
  std::vector<int> order;
  for (int i = 0; i < 4; ++i) {
    order.push_back(h.pick(at(100)).entity);
    h.block(order.back(), at(100));
  }
  EXPECT_EQ(order, (std::vector<int>{1, 3, 2, 0}));
}

TEST(Edf, RunsByADeadlineThatItInheritsAndPaysAfterwards) {
  Drive<Edf> h;
  h.create(0, server(2, 30), at(100));
  h.create(1, server(5, 20), at(100));
  h.create(2, server(1, 10), at(100));
  ASSERT_EQ(h.claim(2), at(110));
  h.block(2, at(100));  // waits for 0
  h.pass_on(0, at(100), h.claim(2));
  EXPECT_EQ(h.claim(0), at(110));
  EXPECT_EQ(h.deadline(0), at(130));
  EXPECT_EQ(h.attributes(0), server(2, 30, 30));
  ASSERT_EQ(h.pick(at(100)), (H::Answer{0, at(102)}));
  h.ran(0, at(100), at(102));  // its budget is used up
  h.end_turn(0, Pause::timed_out, at(102));
  ASSERT_EQ(h.pick(at(102)).entity, 0);
  h.ran(0, at(102), at(103));
  h.pass_on(0, at(103));
  EXPECT_EQ(h.claim(0), at(160));  // its next period, from which it has had a tick
  EXPECT_EQ(h.budget(0), ticks(1));
  EXPECT_EQ(h.pick(at(103)).entity, 1);
  h.block(1, at(103));
  EXPECT_EQ(h.pick(at(103)), (H::Answer{H::kNobody, at(130)}));
}

TEST(Edf, InheritsWhileItIsHeldBack) {
  Drive<Edf> h;
  h.create(0, server(2, 30), at(100));
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  h.ran(0, at(100), at(102));
  h.end_turn(0, Pause::timed_out, at(102));
  EXPECT_EQ(h.pick(at(102)), (H::Answer{H::kNobody, at(130)}));
  h.pass_on(0, at(105), at(140));
  EXPECT_EQ(h.pick(at(105)).entity, 0);
  h.pass_on(0, at(106));
  EXPECT_EQ(h.pick(at(106)), (H::Answer{H::kNobody, at(130)}));
}

TEST(Edf, LeavesAdmissionAloneWhenItInherits) {
  H h;
  ASSERT_TRUE(h.attach(0, server(1, 2)));
  const Bandwidth before = h.policy.reserved();
  h.inherit(0, at(5));
  EXPECT_EQ(h.policy.reserved(), before);
  h.detach(0);
  EXPECT_EQ(h.policy.reserved(), Bandwidth{});
}

TEST(Edf, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

TEST(Edf, RefusesWhatIsNoReservation) {
  H h;
  const uint64_t longest = Edf::kLongestPeriod.ticks;
  ASSERT_TRUE(h.attach(0, server(2, 10)));
  EXPECT_FALSE(h.attach(0, {}));
  EXPECT_FALSE(h.attach(0, server(0, 10)));
  EXPECT_FALSE(h.attach(0, server(2, 0)));
  EXPECT_FALSE(h.attach(0, server(11, 10)));
  EXPECT_FALSE(h.attach(0, server(3, 10, 2)));
  EXPECT_FALSE(h.attach(0, server(3, 10, 11)));
  EXPECT_FALSE(h.attach(0, server(1, longest + 1)));
  EXPECT_FALSE(h.attach(0, server(UINT64_MAX, UINT64_MAX, UINT64_MAX)));
  EXPECT_EQ(h.attributes(0), server(2, 10, 10));
  EXPECT_TRUE(h.attach(0, server(1, longest)));
  EXPECT_TRUE(h.attach(0, server(longest, longest)));
  EXPECT_TRUE(h.attach(0, server(1, 1)));
}

TEST(Edf, AdmitsBandwidthUpToTheWhole) {
  H h;
  for (const int e : {0, 1, 2}) EXPECT_TRUE(h.attach(e, server(1, 3)));
  EXPECT_FALSE(h.attach(3, server(1, Edf::kLongestPeriod.ticks)));
  EXPECT_FALSE(h.attach(0, server(2, 5)));
  EXPECT_TRUE(h.attach(0, server(3, 10)));
  EXPECT_TRUE(h.attach(3, server(1, 30)));
  h.detach(1);
  EXPECT_TRUE(h.attach(4, server(1, 3)));
  EXPECT_FALSE(h.attach(1, server(1, 3)));
}

TEST(Edf, CountsAShorterDeadlineAsMoreBandwidth) {
  H h;
  EXPECT_TRUE(h.attach(0, server(2, 10, 4)));
  EXPECT_FALSE(h.attach(1, server(6, 10)));
  EXPECT_TRUE(h.attach(1, server(5, 10)));
}

TEST(Edf, KeepsTheLimitThatItIsGiven) {
  H h;
  EXPECT_FALSE(h.policy.set_limit(ticks(0), ticks(10)));
  EXPECT_FALSE(h.policy.set_limit(ticks(11), ticks(10)));
  EXPECT_TRUE(h.policy.set_limit(ticks(95), ticks(100)));
  EXPECT_TRUE(h.attach(0, server(9, 10)));
  EXPECT_FALSE(h.attach(1, server(6, 100)));
  EXPECT_TRUE(h.attach(1, server(5, 100)));
  EXPECT_FALSE(h.policy.set_limit(ticks(94), ticks(100)));
  EXPECT_TRUE(h.policy.set_limit(ticks(1), ticks(1)));
  EXPECT_TRUE(h.attach(2, server(5, 100)));
  EXPECT_FALSE(h.attach(3, server(1, 1000)));
  EXPECT_GT(h.policy.reserved(), bandwidth(ticks(999), ticks(1000)));
}

TEST(EdfExact, AdmitsWhatDemandAllows) {
  // Their densities sum up to 1.33, and all deadlines can be met.
  Harness<EdfExact> h;
  EXPECT_TRUE(h.attach(0, {.runtime = ticks(2), .deadline = ticks(4), .period = ticks(6)}));
  EXPECT_TRUE(h.attach(1, {.runtime = ticks(2), .deadline = ticks(5), .period = ticks(8)}));
  EXPECT_TRUE(h.attach(2, {.runtime = ticks(3), .deadline = ticks(7), .period = ticks(9)}));
  EXPECT_FALSE(h.attach(3, {.runtime = ticks(1), .deadline = ticks(7), .period = ticks(1000)}));
  EXPECT_FALSE(h.attach(2, {.runtime = ticks(3), .deadline = ticks(6), .period = ticks(9)}));
  EXPECT_EQ(h.attributes(2).deadline, ticks(7));
  h.detach(0);
  EXPECT_TRUE(h.attach(3, {.runtime = ticks(2), .deadline = ticks(7), .period = ticks(1000)}));
}

TEST(EdfExact, RefusesWhatItCannotDecideInTime) {
  using Hasty = BasicEdf<EdfOptions{.admission = Admission::demand, .demand_steps = 1}>;
  Harness<Hasty> h;
  EXPECT_TRUE(h.attach(0, {.runtime = ticks(2), .deadline = ticks(4), .period = ticks(6)}));
  EXPECT_FALSE(h.attach(1, {.runtime = ticks(2), .deadline = ticks(5), .period = ticks(8)}));
}

TEST(Edf, TakesItsHistoryAlong) {
  Drive<Edf> there;
  Drive<Edf> here;
  there.create(0, server(4, 16), at(100));
  there.ran(0, at(100), at(104));
  there.end_turn(0, Pause::timed_out, at(104));
  ASSERT_EQ(there.dequeue(0, Leave::moved, at(105)), Links::intact);
  there.detach(0);
  here.entities[0] = there.entities[0];
  here.create(1, server(4, 100), at(100));
  ASSERT_TRUE(here.attach(0, server(4, 16)));
  ASSERT_EQ(here.enqueue(0, Enter::moved, at(105)), Links::intact);
  EXPECT_EQ(here.contend(0, 1, at(105)), at(116));
  EXPECT_EQ(here.deadline(0), at(132));
}

TEST(Edf, TellsWhatItKnows) {
  Drive<Edf> h;
  h.create(0, server(4, 16, 8), at(100));
  h.ran(0, at(100), at(101));
  absl::btree_map<std::string, uint64_t> fields;
  h.policy.dump(h.entity(0), [&](const char* name, uint64_t value) { fields[name] = value; });
  EXPECT_EQ(fields, (absl::btree_map<std::string, uint64_t>{{"runtime", 4},
                                                            {"deadline", 8},
                                                            {"period", 16},
                                                            {"due", 108},
                                                            {"budget", 3},
                                                            {"misses", 0}}));
}

TEST(Edf, ReportsBrokenLinks) {
  Drive<Edf> h;
  for (const int e : {0, 1, 2}) h.create(e, server(1, 10), at(100));
  h.entities[0] = h.entities[1];  // the links of another place in the tree
  EXPECT_EQ(h.dequeue(0, Leave::blocked, at(100)), Links::corrupt);
  EXPECT_EQ(h.put_back(0, Pause::yielded, at(100)), Links::corrupt);
}

}  // namespace
}  // namespace sched::test
