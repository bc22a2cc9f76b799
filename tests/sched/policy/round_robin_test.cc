// Round robin, alone and against a list.

#include "sched/policy/round_robin.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

using H = Harness<RoundRobin>;
using Attributes = RoundRobin::Attributes;

// The definition: a line; who yields or has used up its slice goes to its end; a slice runs from
// the instant of the pick, or from that at which company came. Who is preempted has the rest of its
// slice left.
struct Line {
  using Attributes = RoundRobin::Attributes;

  void configure(RoundRobin&, absl::BitGenRef) {}
  static Attributes random_attributes(absl::BitGenRef gen) {
    switch (absl::Uniform(gen, 0, 10)) {
      case 0: return {.slice = Duration{}};
      case 1: return {.slice = Duration{forever.ticks + 1}};
      case 2: return {.slice = forever};
      default: return {.slice = ticks(absl::Uniform<uint64_t>(gen, 1, 100))};
    }
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    const bool in_range = attributes.slice.ticks >= 1 && attributes.slice <= forever;
    return in_range ? std::optional(attributes) : std::nullopt;
  }

  void enqueue(int e, const Attributes& attributes) {
    slice[static_cast<size_t>(e)] = attributes.slice;
    line.push_back(e);
  }
  void dequeue(int e, Leave) {
    line.remove(e);
    left[static_cast<size_t>(e)].reset();
  }
  void put_back(int e, Pause why, Instant now) {
    if (why == Pause::preempted) {
      if (end != never) left[static_cast<size_t>(e)] = std::max(end - now, ticks(1));
      return;
    }
    line.remove(e);
    line.push_back(e);
  }
  H::Answer pick(Instant now) {
    end = never;
    if (line.empty()) return {};
    const size_t front = static_cast<size_t>(line.front());
    if (line.size() > 1) end = now + left[front].value_or(slice[front]);
    left[front].reset();
    return {line.front(), end};
  }
  Instant contend(int, int current, Instant now) {
    const Instant by = now + slice[static_cast<size_t>(current)];
    end = std::min(end, by);
    return by;
  }

  std::list<int> line;
  std::array<Duration, H::kEntities> slice{};
  std::array<std::optional<Duration>, H::kEntities> left;
  Instant end = never;  // of the turn
};

TEST(RoundRobin, TakesTurnsOfASlice) {
  H h;
  h.add(0, {.slice = ticks(10)});
  h.add(1, {.slice = ticks(20)});
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(110)}));
  ASSERT_EQ(h.put_back(0, Pause::timed_out), Links::intact);
  EXPECT_EQ(h.pick(at(110)), (H::Answer{1, at(130)}));
  ASSERT_EQ(h.put_back(1, Pause::timed_out), Links::intact);
  EXPECT_EQ(h.pick(at(130)), (H::Answer{0, at(140)}));
}

TEST(RoundRobin, HasNoSliceForOneThatIsAlone) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
  h.add(0, {.slice = ticks(10)});
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, never}));
}

TEST(RoundRobin, BeginsTheSliceWhenCompanyComes) {
  H h;
  h.add(0, {.slice = ticks(10)});
  ASSERT_EQ(h.pick(at(100)), (H::Answer{0, never}));
  ASSERT_TRUE(h.attach(1, {.slice = ticks(20)}));
  ASSERT_EQ(h.enqueue(1, Enter::woken, at(500)), Links::intact);
  EXPECT_EQ(h.contend(1, 0, at(500)), at(510));
}

TEST(RoundRobin, KeepsThePlaceOfOneThatWasPreempted) {
  H h;
  for (const int e : {0, 1}) h.add(e, {.slice = ticks(10)});
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::preempted), Links::intact);
  EXPECT_EQ(h.pick().entity, 0);
}

// Were the slice whole again after each preemption, one that is preempted often enough would run
// for ever, and its equals starve.
TEST(RoundRobin, GoesOnWithWhatWasLeftOfTheSlice) {
  H h;
  for (const int e : {0, 1}) h.add(e, {.slice = ticks(10)});
  ASSERT_EQ(h.pick(at(100)), (H::Answer{0, at(110)}));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(104)), Links::intact);
  ASSERT_EQ(h.pick(at(200)), (H::Answer{0, at(206)}));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(206)), Links::intact);
  ASSERT_EQ(h.pick(at(300)), (H::Answer{0, at(301)}));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(301)), Links::intact);
  EXPECT_EQ(h.pick(at(301)), (H::Answer{1, at(311)}));
}

TEST(RoundRobin, LeavesNobodyWhatWasLeftOfAnothersSlice) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e, {.slice = ticks(10)});
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(104)), Links::intact);
  ASSERT_EQ(h.dequeue(0, Leave::moved, at(150)), Links::intact);
  EXPECT_EQ(h.pick(at(200)), (H::Answer{1, at(210)}));
}

TEST(RoundRobin, RefusesASliceOutOfRangeAndKeepsTheOldOne) {
  H h;
  ASSERT_TRUE(h.attach(0, {.slice = ticks(10)}));
  EXPECT_FALSE(h.attach(0, {.slice = Duration{}}));
  EXPECT_FALSE(h.attach(0, {.slice = Duration{forever.ticks + 1}}));
  EXPECT_FALSE(h.attach(0, {.slice = Duration{UINT64_MAX}}));
  EXPECT_EQ(h.attributes(0), (Attributes{.slice = ticks(10)}));
  EXPECT_TRUE(h.attach(0, {.slice = ticks(1)}));
  EXPECT_TRUE(h.attach(0, {.slice = forever}));
  EXPECT_EQ(h.attributes(0), (Attributes{.slice = forever}));
}

TEST(RoundRobin, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e);
  RingLink<RoundRobin>& link = h.entities[1];
  link.prev = &link;
  EXPECT_EQ(h.put_back(0, Pause::timed_out), Links::corrupt);
  EXPECT_EQ(h.dequeue(0), Links::corrupt);
  EXPECT_EQ(h.dequeue(1), Links::corrupt);
  RingLink<RoundRobin>& back = h.entities[2];
  back.next = &link;
  ASSERT_TRUE(h.attach(3));
  EXPECT_EQ(h.enqueue(3), Links::corrupt);
}

TEST(RoundRobin, MatchesALine) {
  for (uint64_t seed = 1; seed <= 20; ++seed) check_against_model<RoundRobin, Line>(seed, 3000);
}

}  // namespace
}  // namespace sched::test
