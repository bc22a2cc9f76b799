// Lottery scheduling: against a model with the same luck, and what comes out of many draws.

#include "sched/policy/lottery.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using H = Harness<Lottery>;
using W = Workload<Lottery>;
using Attributes = Lottery::Attributes;

constinit Lottery policy_at_start;

TEST(Lottery, IsConstantInitialisedAndThisLarge) {
  EXPECT_EQ(policy_at_start.pick(at(1)).entity, nullptr);
  EXPECT_EQ(sizeof(Lottery::Entity), 56u);
  EXPECT_EQ(sizeof(Lottery), 40u);
}

uint64_t value_of(const H& h, int e) {
  uint64_t result = 0;
  h.policy.dump(h.entities[static_cast<size_t>(e)], [&](const char* field, uint64_t value) {
    if (std::string(field) == "value") result = value;
  });
  return result;
}

TEST(Lottery, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

TEST(Lottery, LetsTheWinnerHaveHisTurnWhoeverComesAndWhateverPreempts) {
  H h;
  h.policy.set_quantum(ticks(100));
  for (const int e : {0, 1, 2}) h.add(e);
  const int winner = h.pick(at(1)).entity;
  EXPECT_EQ(h.pick(at(1)), (H::Answer{winner, at(101)}));
  h.ran(winner, at(1), at(31));
  ASSERT_TRUE(h.attach(3, {.tickets = kMaxWeight}));
  ASSERT_EQ(h.enqueue(3, Enter::created, at(31)), Links::intact);
  EXPECT_EQ(h.contend(3, winner, at(31)), at(101));
  ASSERT_EQ(h.put_back(winner, Pause::preempted, at(31)), Links::intact);
  EXPECT_EQ(h.pick(at(40)), (H::Answer{winner, at(110)}));
  h.ran(winner, at(40), at(111));  // late
  EXPECT_EQ(h.contend(3, winner, at(111)), at(111));
  ASSERT_EQ(h.put_back(winner, Pause::preempted, at(111)), Links::intact);
  EXPECT_EQ(h.pick(at(111)).entity, 3);  // 2^20 of 2^20 + 3 * 2^10 tickets, with this seed
}

TEST(Lottery, RunsATaskThatIsAloneWithoutATimer) {
  H h;
  h.policy.set_quantum(ticks(100));
  h.add(0);
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, never}));
  h.ran(0, at(1), at(31));
  ASSERT_TRUE(h.attach(1));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(31)), Links::intact);
  EXPECT_EQ(h.contend(1, 0, at(31)), at(101));
}

TEST(Lottery, CompensatesExactlyForWhatWasNotUsedUntilTheNextTurnEnds) {
  H h;
  h.policy.set_quantum(ticks(1000));
  h.add(0, {.tickets = 100});
  EXPECT_EQ(value_of(h, 0), 100u << 10);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(201));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(201)), Links::intact);
  EXPECT_EQ(value_of(h, 0), 500u << 10);  // a fifth
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(201)), Links::intact);
  EXPECT_EQ(value_of(h, 0), 500u << 10);
  ASSERT_EQ(h.pick(at(201)).entity, 0);
  h.ran(0, at(201), at(501));
  ASSERT_EQ(h.put_back(0, Pause::yielded, at(501)), Links::intact);
  EXPECT_EQ(value_of(h, 0), (uint64_t{100} << 10) * 10 / 3);  // three tenths
  ASSERT_EQ(h.dequeue(0, Leave::retuned, at(501)), Links::intact);
  ASSERT_TRUE(h.attach(0, {.tickets = 7}));
  ASSERT_EQ(h.enqueue(0, Enter::retuned, at(501)), Links::intact);
  EXPECT_EQ(value_of(h, 0), (uint64_t{7} << 10) * 10 / 3);
  ASSERT_EQ(h.pick(at(501)).entity, 0);
  h.ran(0, at(501), at(1501));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(1501)), Links::intact);
  EXPECT_EQ(value_of(h, 0), 7u << 10);  // all of it
}

TEST(Lottery, RefusesTicketsOutOfRangeAndKeepsTheOldOnes) {
  H h;
  ASSERT_TRUE(h.attach(0, {.tickets = 7}));
  EXPECT_FALSE(h.attach(0, {.tickets = 0}));
  EXPECT_FALSE(h.attach(0, {.tickets = kMaxWeight + 1}));
  EXPECT_FALSE(h.attach(0, {.tickets = UINT32_MAX}));
  EXPECT_EQ(h.attributes(0), (Attributes{.tickets = 7}));
  EXPECT_TRUE(h.attach(0, {.tickets = 1}));
  EXPECT_TRUE(h.attach(0, {.tickets = kMaxWeight}));
}

TEST(Lottery, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e);
  const int winner = h.pick().entity;
  const Lottery::Entity good = h.entities[static_cast<size_t>(winner)];
  static_cast<SumLink<Lottery>&>(h.entities[static_cast<size_t>(winner)]) = h.entities[5];
  // The sixth is in no tree, as if it were the root of one.
  if (winner != 0) {
    EXPECT_EQ(h.put_back(winner, Pause::yielded), Links::corrupt);
    EXPECT_EQ(h.dequeue(winner), Links::corrupt);
    EXPECT_EQ(h.pick().entity, winner);
  }
  static_cast<SumLink<Lottery>&>(h.entities[static_cast<size_t>(winner)]) = good;
  static_cast<SumLink<Lottery>&>(h.entities[0]) = h.entities[1];
  ASSERT_TRUE(h.attach(3));
  EXPECT_EQ(h.enqueue(3), Links::corrupt);
}

TEST(Lottery, IsRepeatedByItsSeed) {
  const auto turns = [](uint64_t seed) {
    W w;
    w.h.policy.set_seed(seed);
    w.h.policy.set_quantum(ticks(10));
    std::vector<int> turns;
    w.on_pick = [&](int e) { turns.push_back(e); };
    for (int e = 0; e < 5; ++e) w.spawn(e, {.tickets = static_cast<Weight>(e + 1)});
    w.run(1000);
    return turns;
  };
  EXPECT_EQ(turns(7), turns(7));
  EXPECT_NE(turns(7), turns(8));
}

// --- Against a model ---

// The definition: tickets side by side, in the order of a complete tree in a vector; one is drawn.
// The luck is the policy's own.
struct Tickets {
  using P = Lottery;
  using Attributes = P::Attributes;

  struct Task {
    uint64_t tickets = 0;
    uint64_t used = 0;
  };

  void configure(P& policy, absl::BitGenRef gen) {
    const uint64_t seed = absl::Uniform<uint64_t>(gen);
    random = Random(seed);
    policy.set_seed(seed);
    quantum = absl::Uniform<uint64_t>(gen, 1, 200);
    policy.set_quantum(ticks(quantum));
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    switch (absl::Uniform(gen, 0, 10)) {
      case 0: return {.tickets = 0};
      case 1: return {.tickets = kMaxWeight + 1};
      case 2: return {.tickets = kMaxWeight};
      case 3: return {.tickets = 1};
      default: return {.tickets = absl::Uniform<Weight>(gen, 1, 100)};
    }
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    return is_valid_weight(attributes.tickets) ? std::optional(attributes) : std::nullopt;
  }

  Task& task(int e) { return tasks[static_cast<size_t>(e)]; }
  // Tickets as they count: 1024 each, more for who left some of the quantum, 8192 times at most.
  uint64_t value(int e) {
    const uint64_t full = task(e).tickets * 1024;
    if (task(e).used >= quantum) return full;
    if (task(e).used * 8192 < quantum) return full * 8192;
    return full * quantum / task(e).used;
  }

  void ran(int e, Instant from, Instant to) { task(e).used += (to - from).ticks; }
  void enqueue(int e, const Attributes& attributes, Enter why, Instant) {
    task(e).tickets = attributes.tickets;
    if (why == Enter::created) task(e).used = quantum;
    rows.push_back(e);
  }
  void dequeue(int e, Leave) {
    *std::find(rows.begin(), rows.end(), e) = rows.back();
    rows.pop_back();
    if (winner == e) winner = H::kNobody;
  }
  void put_back(int e, Pause why) {
    if (why == Pause::preempted && task(e).used < quantum) return;
    winner = H::kNobody;
  }
  std::vector<int> line() const {
    std::vector<int> line;
    const std::function<void(size_t)> visit = [&](size_t node) {
      if (node > rows.size()) return;
      visit(2 * node);
      line.push_back(rows[node - 1]);
      visit(2 * node + 1);
    };
    visit(1);
    return line;
  }
  int draw() {
    if (rows.size() == 1) return rows[0];
    uint64_t sum = 0;
    for (const int e : rows) sum += value(e);
    uint64_t number = random.below(sum);
    for (const int e : line()) {
      if (number < value(e)) return e;
      number -= value(e);
    }
    return H::kNobody;
  }
  H::Answer pick(Instant now) {
    if (rows.empty()) return {};
    if (winner == H::kNobody) {
      winner = draw();
      task(winner).used = 0;
    }
    return {winner, rows.size() == 1 ? never : end_of_turn(winner, now)};
  }
  Instant end_of_turn(int e, Instant now) {
    return now + ticks(std::max<uint64_t>(1, quantum - std::min(quantum, task(e).used)));
  }
  Instant contend(int, int current, Instant now) {
    return task(current).used >= quantum ? now : end_of_turn(current, now);
  }

  Random random{0};
  uint64_t quantum = 0;
  int winner = H::kNobody;
  std::vector<int> rows;
  std::array<Task, H::kEntities> tasks{};
};

TEST(Lottery, MatchesTicketsSideBySide) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    check_against_model<Lottery, Tickets>(seed, 3000);
  }
}

// --- What comes out of many draws ---

// Of each seed, how far the numbers of turns are from what the tickets promise. With 11 degrees of
// freedom one seed in a million has 50 or more, and the mean of 50 seeds is 11 with a standard
// deviation of 0.66.
TEST(Lottery, DrawsInProportionToTickets) {
  constexpr int kSeeds = 50;
  double mean = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    W w;
    w.h.policy.set_seed(seed);
    w.h.policy.set_quantum(ticks(1));
    std::array<double, H::kEntities> wins{};
    double tickets = 0;
    for (int e = 0; e < H::kEntities; ++e) {
      w.spawn(e, {.tickets = static_cast<Weight>(10 + 7 * e)});
      tickets += 10 + 7 * e;
    }
    w.on_pick = [&](int e) { ++wins[static_cast<size_t>(e)]; };
    constexpr int kDraws = 20'000;
    w.run(kDraws);
    double chi_square = 0;
    for (int e = 0; e < H::kEntities; ++e) {
      const double expected = kDraws * (10 + 7 * e) / tickets;
      const double error = wins[static_cast<size_t>(e)] - expected;
      chi_square += error * error / expected;
    }
    EXPECT_LT(chi_square, 50);
    mean += chi_square / kSeeds;
  }
  EXPECT_NEAR(mean, 11, 3 * 0.66);
}

// A turn to a task with t of T tickets is a trial with probability t / T, independent of others:
// the numbers of turns in between are geometric. (The paper: the mean wait is T / t
// turns.)
TEST(Lottery, LetsATaskWaitForTheMeanOfAGeometricDistribution) {
  W w;
  w.h.policy.set_seed(3);
  w.h.policy.set_quantum(ticks(1));
  w.spawn(0, {.tickets = 10});
  for (const int e : {1, 2, 3}) w.spawn(e, {.tickets = 30});
  int64_t last = -1;
  int64_t draws = 0;
  std::array<double, 60> gaps{};
  double count = 0;
  w.on_pick = [&](int e) {
    ++draws;
    if (e != 0) return;
    if (last >= 0) {
      ++gaps[static_cast<size_t>(std::min<int64_t>(draws - last, 60)) - 1];
      ++count;
    }
    last = draws;
  };
  w.run(200'000);
  double chi_square = 0;
  double tail = 1;  // the probability of a gap longer than those before
  for (size_t i = 0; i < gaps.size(); ++i) {
    const double probability = i + 1 < gaps.size() ? tail * 0.1 : tail;
    tail *= 0.9;
    const double error = gaps[i] - count * probability;
    chi_square += error * error / (count * probability);
  }
  EXPECT_LT(chi_square, 99);  // one in a thousand seeds, of 59 degrees of freedom
  EXPECT_GT(chi_square, 30);  // and one in a thousand is closer
}

// The example of the paper: two with 400 tickets, of which one uses a fifth of its
// turns and yields. Without compensation it would get a sixth of the time.
TEST(Lottery, GivesWhoUsesAFractionOfItsTurnsItsShareOfTheTime) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    W w;
    w.h.policy.set_seed(seed);
    w.h.policy.set_quantum(ticks(100));
    w.spawn(0, {.tickets = 400});
    w.spawn(1, [] { return W::Burst{.work = 20, .sleep = 0}; }, {.tickets = 400});
    w.run(1'000'000);
    // 5000 turns of the first, each after 5 of the other in the mean; the standard deviation of the
    // time that the first gets is 250 * sqrt(6 / 5) turns of the other, or less.
    EXPECT_NEAR(static_cast<double>(w.used(0)), 500'000, 4 * 20 * 274);
    EXPECT_NEAR(static_cast<double>(w.task(1).turns), 5.0 * static_cast<double>(w.task(0).turns),
                4 * 500);
  }
}

TEST(Lottery, GivesNobodyMoreThanItsShareHoweverShortItsTurns) {
  for (const uint64_t work : {1, 2, 7, 100, 999, 9'999}) {
    SCOPED_TRACE(work);
    W w;
    w.h.policy.set_seed(work);
    w.h.policy.set_quantum(ticks(10'000));
    w.spawn(0, [work] { return W::Burst{.work = work, .sleep = 0}; }, {.tickets = 10});
    w.spawn(1, {.tickets = 10});
    w.spawn(2, {.tickets = 20});
    w.run(20'000'000);
    // Of less than 1 / 8192 of a quantum compensation makes up only so much.
    const double share = work == 1 ? 0.8192 / (0.8192 + 3) : 0.25;
    EXPECT_NEAR(static_cast<double>(w.used(0)), 20'000'000 * share, 800'000);
    const double rest = static_cast<double>(w.used(1) + w.used(2));
    EXPECT_NEAR(static_cast<double>(w.used(1)) / rest, 1.0 / 3, 0.04);
  }
}

// While it sleeps it is in no draw, so it may get less than its share; by sleeping just before its
// turns end it does not get more.
TEST(Lottery, SleepingEarnsNothing) {
  for (const uint64_t work : {1, 10, 50, 99}) {
    SCOPED_TRACE(work);
    W w;
    w.h.policy.set_seed(work);
    w.h.policy.set_quantum(ticks(100));
    w.spawn(0, [work] { return W::Burst{.work = work, .sleep = 1}; });
    for (const int e : {1, 2, 3}) w.spawn(e);
    w.run(2'000'000);
    EXPECT_LE(w.used(0), 500'000u + 15'000);
  }
}

// --- The ends of the arithmetic ---

TEST(Lottery, BringsTheQuantumIntoItsRange) {
  H h;
  h.policy.set_quantum(Duration{});
  for (const int e : {0, 1}) h.add(e);
  const int winner = h.pick(at(1)).entity;
  EXPECT_EQ(h.pick(at(1)), (H::Answer{winner, at(2)}));
  for (const Duration quantum : {ticks(uint64_t{1} << 33), forever, Duration{UINT64_MAX}}) {
    h.policy.set_quantum(quantum);
    EXPECT_EQ(h.pick(at(1)), (H::Answer{winner, at(1 + (uint64_t{1} << 33))}));
  }
  // Shortened below what is used of it: the turn ends as soon as a turn can.
  h.ran(winner, at(1), at(101));
  h.policy.set_quantum(ticks(200));
  ASSERT_EQ(h.put_back(winner, Pause::preempted, at(101)), Links::intact);
  h.policy.set_quantum(ticks(50));
  EXPECT_EQ(h.pick(at(101)), (H::Answer{winner, at(102)}));
}

// What a task puts into a draw is 2^43 at most, so 2^20 tasks are 2^63 at most.
TEST(Lottery, LimitsCompensation) {
  for (const uint64_t quantum :
       {uint64_t{1}, uint64_t{2}, uint64_t{8191}, uint64_t{8192}, uint64_t{8193}, uint64_t{16'383},
        uint64_t{1'000'000}, (uint64_t{1} << 33) - 1, uint64_t{1} << 33}) {
    SCOPED_TRACE(quantum);
    for (const uint64_t used : {uint64_t{0}, uint64_t{1}, uint64_t{2}, quantum / 8192 + 1,
                                quantum / 2, quantum - 1, quantum, UINT64_MAX / 2}) {
      SCOPED_TRACE(used);
      H h;
      h.policy.set_quantum(ticks(quantum));
      h.add(0, {.tickets = kMaxWeight});
      ASSERT_EQ(h.pick(at(1)).entity, 0);
      h.ran(0, at(1), at(1 + used));
      ASSERT_EQ(h.put_back(0, Pause::timed_out, at(1 + used)), Links::intact);
      const uint64_t full = uint64_t{kMaxWeight} << 10;
      EXPECT_GE(value_of(h, 0), full);
      EXPECT_LE(value_of(h, 0), uint64_t{1} << 43);
      const auto exact = absl::uint128(full) * quantum / std::max<uint64_t>(used, 1);
      EXPECT_EQ(absl::uint128(value_of(h, 0)), used >= quantum ? absl::uint128(full)
                                               : used == 0
                                                   ? absl::uint128(full) << 13
                                                   : std::min(exact, absl::uint128(full) << 13));
    }
  }
}

}  // namespace
}  // namespace sched::test
