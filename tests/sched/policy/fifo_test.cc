// First in, first out, alone and against a list.

#include "sched/policy/fifo.h"

#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using H = Harness<Fifo>;

// The definition: a line; one who yields goes to its end.
struct Line {
  using Attributes = Fifo::Attributes;

  void configure(Fifo&, absl::BitGenRef) {}
  static Attributes random_attributes(absl::BitGenRef) { return {}; }
  static std::optional<Attributes> accepts(const Attributes& attributes) { return attributes; }

  void enqueue(int e, const Attributes&) { line.push_back(e); }
  void dequeue(int e, Leave) { line.remove(e); }
  void put_back(int e, Pause why) {
    if (why != Pause::yielded) return;
    line.remove(e);
    line.push_back(e);
  }
  H::Answer pick(Instant) { return line.empty() ? H::Answer{} : H::Answer{line.front(), never}; }

  std::list<int> line;
};

TEST(Fifo, RunsInOrderOfArrival) {
  H h;
  for (const int e : {3, 1, 2}) h.add(e);
  EXPECT_EQ(h.drain(), (std::vector<int>{3, 1, 2}));
}

TEST(Fifo, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(at(5)), (H::Answer{H::kNobody, never}));
}

TEST(Fifo, SetsNoLimitToATurn) {
  H h;
  h.add(0);
  h.add(1);
  EXPECT_EQ(h.pick(at(5)), (H::Answer{0, never}));
}

TEST(Fifo, GoesToTheEndByYieldingOnly) {
  H h;
  for (const int e : {0, 1}) h.add(e);
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::preempted), Links::intact);
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::timed_out), Links::intact);
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::yielded), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 0}));
}

TEST(Fifo, NeverPreempts) { static_assert(!Contends<Fifo>); }

TEST(Fifo, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e);
  RingLink<Fifo>& link = h.entities[1];
  link.prev = &link;
  EXPECT_EQ(h.put_back(0, Pause::yielded), Links::corrupt);
  EXPECT_EQ(h.dequeue(0), Links::corrupt);
  EXPECT_EQ(h.pick().entity, 0);
}

TEST(Fifo, MatchesALine) {
  for (uint64_t seed = 1; seed <= 20; ++seed) check_against_model<Fifo, Line>(seed, 3000);
}

}  // namespace
}  // namespace sched::test
