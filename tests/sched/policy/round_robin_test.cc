// Round robin, alone and against a list.

#include "sched/policy/round_robin.h"

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
// the instant of the pick, or from that at which company came.
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
    const bool in_range = attributes.slice.ticks >= 1 && attributes.slice.ticks <= uint64_t{1}
                                                                                       << 62;
    return in_range ? std::optional(attributes) : std::nullopt;
  }

  void enqueue(int e, const Attributes& attributes) {
    slice[static_cast<size_t>(e)] = attributes.slice;
    line.push_back(e);
  }
  void dequeue(int e, Leave) { line.remove(e); }
  void put_back(int e, Pause why) {
    if (why == Pause::preempted) return;
    line.remove(e);
    line.push_back(e);
  }
  H::Answer pick(Instant now) {
    if (line.empty()) return {};
    if (line.size() == 1) return {line.front(), never};
    return {line.front(), now + slice[static_cast<size_t>(line.front())]};
  }
  Instant contend(int, int current, Instant now) {
    return now + slice[static_cast<size_t>(current)];
  }

  std::list<int> line;
  std::array<Duration, H::kEntities> slice{};
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
