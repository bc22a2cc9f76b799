// Weighted virtual time: alone, against a model, and its shares.

#include "sched/policy/vtime.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using H = Harness<Vtime>;
using W = Workload<Vtime>;
using Attributes = Vtime::Attributes;
__extension__ using Wide = __int128;

constinit Vtime policy_at_start;

TEST(Vtime, IsConstantInitialisedAndThisLarge) {
  EXPECT_EQ(policy_at_start.pick(at(1)).entity, nullptr);
  EXPECT_EQ(sizeof(Vtime::Entity), 48u);
  EXPECT_EQ(sizeof(Vtime), 40u);
}

TEST(Vtime, RefusesAWeightOutOfRangeAndKeepsTheOldOne) {
  H h;
  ASSERT_TRUE(h.attach(0, {.weight = 7}));
  EXPECT_FALSE(h.attach(0, {.weight = 0}));
  EXPECT_FALSE(h.attach(0, {.weight = kMaxWeight + 1}));
  EXPECT_EQ(h.attributes(0), (Attributes{.weight = 7}));
  EXPECT_TRUE(h.attach(0, {.weight = 1}));
  EXPECT_TRUE(h.attach(0, {.weight = kMaxWeight}));
}

TEST(Vtime, RunsWhoHasHadTheLeastForASliceAndEqualsInOrderOfArrival) {
  H h;
  h.policy.set_slice(ticks(10));
  for (const int e : {1, 0, 2}) h.add(e, {.weight = e == 2 ? 2 * kNormalWeight : kNormalWeight});
  ASSERT_EQ(h.pick(at(1)), (H::Answer{1, at(11)}));
  h.ran(1, at(1), at(11));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(11)), Links::intact);
  ASSERT_EQ(h.pick(at(11)), (H::Answer{0, at(21)}));
  h.ran(0, at(11), at(16));
  ASSERT_EQ(h.put_back(0, Pause::yielded, at(16)), Links::intact);
  ASSERT_EQ(h.pick(at(16)), (H::Answer{2, at(26)}));
  h.ran(2, at(16), at(26));
  ASSERT_EQ(h.put_back(2, Pause::timed_out, at(26)), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{0, 2, 1}));  // 5, 10 at twice the weight, 10
}

TEST(Vtime, RunsATaskThatIsAloneWithoutATimerUntilCompanyComes) {
  H h;
  h.policy.set_slice(ticks(10));
  h.add(0);
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, never}));
  h.ran(0, at(1), at(1001));
  h.add(1);
  EXPECT_EQ(h.contend(1, 0, at(1001)), at(1011));
  h.ran(0, at(1001), at(1011));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(1011)), Links::intact);
  ASSERT_EQ(h.pick(at(1011)), (H::Answer{1, at(1021)}));
  h.ran(1, at(1011), at(1022));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(1022)), Links::intact);
  EXPECT_EQ(h.pick(at(1022)).entity, 0);  // it is not behind by the 1000
}

TEST(Vtime, LetsASleeperBeBehindByASliceAtMost) {
  for (const uint64_t slept : {5, 1000}) {
    W w;
    w.h.policy.set_slice(ticks(10));
    w.spawn(0);
    bool has_slept = false;
    w.spawn(1, [&] {
      if (has_slept) return W::Burst{};
      has_slept = true;
      return W::Burst{.work = 10, .sleep = slept};
    });
    w.run(10 + 10 + slept);
    const int64_t before = static_cast<int64_t>(w.used(0) - w.used(1));
    w.run(10'000);
    const int64_t after = static_cast<int64_t>(w.used(0) - w.used(1));
    EXPECT_NEAR(static_cast<double>(before - after), slept < 10 ? 0 : 10, 10);
  }
}

TEST(Vtime, SharesByWeight) {
  W w;
  w.h.policy.set_slice(ticks(30));
  const std::array<Weight, 4> weights = {100, 1000, 2000, 7000};
  for (size_t e = 0; e < weights.size(); ++e) w.spawn(static_cast<int>(e), {.weight = weights[e]});
  w.run(1'000'000);
  for (size_t e = 0; e < weights.size(); ++e) {
    // Each is within a slice of its clock of the others: that of the lightest is the longest.
    const double share = 1e6 * weights[e] / 10'100;
    EXPECT_NEAR(static_cast<double>(w.used(static_cast<int>(e))), share,
                30 + 30.0 * weights[e] / 100 / 10);
  }
}

TEST(Vtime, TakesItsPlaceAlongToAnotherCpu) {
  H here;
  H there;
  there.policy.set_virtual_time({uint64_t{1} << 63});
  for (H* h : {&here, &there}) h->policy.set_slice(ticks(10));
  for (const int e : {0, 1}) here.add(e);
  for (const int e : {2, 3}) there.add(e);
  ASSERT_EQ(here.pick(at(1)).entity, 0);
  here.ran(0, at(1), at(6));
  ASSERT_EQ(here.dequeue(0, Leave::moved, at(6)), Links::intact);
  here.detach(0);
  there.entities[0] = here.entities[0];
  ASSERT_TRUE(there.attach(0));
  ASSERT_EQ(there.pick(at(6)).entity, 2);
  there.ran(2, at(6), at(12));
  ASSERT_EQ(there.enqueue(0, Enter::moved, at(12)), Links::intact);
  ASSERT_EQ(there.put_back(2, Pause::preempted, at(12)), Links::intact);
  EXPECT_EQ(there.drain(), (std::vector<int>{3, 0, 2}));
}

TEST(Vtime, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2, 3}) h.add(e);
  TreeLink<Vtime>& link = h.entities[0];
  TreeLink<Vtime>* const elsewhere = &h.entities[2];
  std::memcpy(static_cast<void*>(&link), &elsewhere, sizeof(elsewhere));
  EXPECT_EQ(h.dequeue(0), Links::corrupt);
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

// The definition, with clocks that are wide enough not to wrap.
struct LeastClock {
  using P = Vtime;

  struct Client {
    Wide clock = 0;
    Weight weight = 0;
    bool is_relative = false;
    bool waits = false;
    uint64_t queued = 0;
  };

  void configure(P& policy, absl::BitGenRef gen) {
    slice = absl::Uniform<uint64_t>(gen, 1, 150);
    policy.set_slice(ticks(slice));
    policy.set_virtual_time({absl::Uniform<uint64_t>(gen, 0, UINT64_MAX)});
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    switch (absl::Uniform(gen, 0, 12)) {
      case 0: return {.weight = absl::Bernoulli(gen, 0.5) ? 0 : kMaxWeight + 1};
      case 1: return {.weight = 1};
      case 2: return {.weight = kMaxWeight};
      default: return {.weight = weight_of_nice(absl::Uniform(gen, -20, 20))};
    }
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    const bool is_valid = attributes.weight >= 1 && attributes.weight <= 1 << 20;
    return is_valid ? std::optional(attributes) : std::nullopt;
  }

  Client& client(int e) { return clients[static_cast<size_t>(e)]; }
  Wide virtual_time(uint64_t real, const Client& c) const { return (Wide{real} << 20) / c.weight; }

  void attach(int e, const Attributes& attributes) { client(e).weight = attributes.weight; }
  void detach(int e) {
    if (!client(e).is_relative) client(e).clock -= clock;
    client(e).is_relative = true;
  }
  void wait(int e) {
    client(e).waits = true;
    client(e).queued = ++count;
  }
  void enqueue(int e, const Attributes&, Enter why, Instant) {
    Client& c = client(e);
    const Wide limit = virtual_time(slice, c);
    const Wide ahead = c.is_relative ? c.clock : c.clock - clock;
    c.clock = clock + (why == Enter::created ? 0 : std::clamp(ahead, -limit, limit));
    c.is_relative = false;
    wait(e);
  }
  void dequeue(int e, Leave) {
    client(e).waits = false;
    if (e == current) current = H::kNobody;
  }
  void put_back(int e, Pause) {
    wait(e);
    current = H::kNobody;
  }
  int first() const {
    int best = H::kNobody;
    for (int e = 0; e < H::kEntities; ++e) {
      const Client& c = clients[static_cast<size_t>(e)];
      if (!c.waits) continue;
      const Client& b = clients[static_cast<size_t>(best == H::kNobody ? e : best)];
      if (best == H::kNobody || c.clock < b.clock || (c.clock == b.clock && c.queued < b.queued)) {
        best = e;
      }
    }
    return best;
  }
  H::Answer pick(Instant now) {
    if (current == H::kNobody) {
      current = first();
      if (current == H::kNobody) return {};
      client(current).waits = false;
      clock = std::max(clock, client(current).clock);
    }
    return {current, first() == H::kNobody ? never : now + ticks(slice)};
  }
  void ran(int e, Instant from, Instant to) {
    client(e).clock += virtual_time((to - from).ticks, client(e));
    if (first() == H::kNobody) clock = std::max(clock, client(e).clock);
  }
  Instant contend(int, int, Instant now) { return now + ticks(slice); }

  std::array<Client, H::kEntities> clients{};
  uint64_t slice = 0;
  Wide clock = 0;
  int current = H::kNobody;
  uint64_t count = 0;
};

TEST(Vtime, MatchesTheLeastOfAllClocks) {
  for (uint64_t seed = 1; seed <= 40; ++seed) check_against_model<Vtime, LeastClock>(seed, 3000);
}

// --- The ends of its arithmetic ---

TEST(VtimeArithmetic, SurvivesTurnsOfHoursAndAlwaysRunsWhoIsFurthestBehind) {
  for (const Weight weight : {Weight{1}, kMaxWeight}) {
    H h;
    h.policy.set_slice(ticks(UINT64_MAX));
    h.policy.set_virtual_time({uint64_t{1} << 63});
    for (const int e : {0, 1, 2}) h.add(e, {.weight = weight});
    uint64_t now = 1;
    for (int turn = 0; turn < 3000; ++turn) {
      ASSERT_EQ(h.pick(at(now)).entity, turn % 3);
      h.ran(turn % 3, at(now), at(now + kLongestCharge.ticks));
      now += kLongestCharge.ticks;
      ASSERT_EQ(h.put_back(turn % 3, Pause::timed_out, at(now)), Links::intact);
    }
  }
}

TEST(VtimeArithmetic, HoldsNothingAgainstASleeperWhoseClockHasBeenOvertakenByAWrap) {
  H h;
  h.policy.set_slice(ticks(10));
  for (const int e : {0, 1}) h.add(e, {.weight = 1});
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(1)), Links::intact);
  ASSERT_EQ(h.pick(at(1)).entity, 1);
  uint64_t now = 1;
  for (int i = 0; i < 3; ++i) {  // 3 * 2^62 units: the clock of the sleeper seems to be ahead
    h.ran(1, at(now), at(now + kLongestCharge.ticks));
    now += kLongestCharge.ticks;
  }
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(now)), Links::intact);
  h.ran(1, at(now), at(now + 11));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(now + 11)), Links::intact);
  EXPECT_EQ(h.pick(at(now + 11)).entity, 0);
}

}  // namespace
}  // namespace sched::test
