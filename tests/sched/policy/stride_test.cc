// Stride scheduling: against a model in exact fractions, its bounds on how far anybody gets from
// his share, and the ends of its arithmetic.

#include "sched/policy/stride.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
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

using H = Harness<Stride>;
using W = Workload<Stride>;
using Attributes = Stride::Attributes;

constinit Stride policy_at_start;

TEST(Stride, IsConstantInitialisedAndThisLarge) {
  EXPECT_EQ(policy_at_start.pick(at(1)).entity, nullptr);
  EXPECT_EQ(sizeof(Stride::Entity), 64u);
  EXPECT_EQ(sizeof(Stride), 64u);
}

uint64_t field_of(const H& h, int e, const std::string& name) {
  uint64_t result = UINT64_MAX;
  h.policy.dump(h.entities[static_cast<size_t>(e)], [&](const char* field, uint64_t value) {
    if (field == name) result = value;
  });
  return result;
}
int64_t pass_of(const H& h, int e) { return static_cast<int64_t>(field_of(h, e, "pass")); }

TEST(Stride, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

// The example of the paper, three clients with 3, 2 and 1 tickets. Ties: those who
// wait longer come first.
TEST(Stride, DealsOutQuantaByTickets) {
  W w;
  w.h.policy.set_quantum(ticks(10));
  std::vector<int> picks;
  w.on_pick = [&](int e) { picks.push_back(e); };
  w.spawn(0, {.tickets = 3});
  w.spawn(1, {.tickets = 2});
  w.spawn(2, {.tickets = 1});
  w.run(115);
  EXPECT_EQ(picks, (std::vector<int>{0, 1, 0, 2, 1, 0, 0, 1, 0, 2, 1, 0}));
}

TEST(Stride, RunsATaskThatIsAloneWithoutATimerUntilItHasCompany) {
  H h;
  h.policy.set_quantum(ticks(10));
  h.add(0);
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, never}));
  EXPECT_FALSE(h.policy.has_peer(h.entities[0]));
  h.ran(0, at(1), at(1000));
  ASSERT_TRUE(h.attach(1));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(1000)), Links::intact);
  EXPECT_EQ(h.contend(1, 0, at(1000)), at(1010));  // its quantum begins
  h.ran(0, at(1000), at(1004));
  ASSERT_TRUE(h.attach(2));
  ASSERT_EQ(h.enqueue(2, Enter::created, at(1004)), Links::intact);
  EXPECT_EQ(h.contend(2, 0, at(1004)), at(1010));
  h.ran(0, at(1004), at(1011));
  ASSERT_TRUE(h.attach(3));
  ASSERT_EQ(h.enqueue(3, Enter::created, at(1011)), Links::intact);
  EXPECT_EQ(h.contend(3, 0, at(1011)), at(1011));  // the timer is late
}

TEST(Stride, ChargesByUseAndNotByTurns) {
  W w;
  w.h.policy.set_quantum(ticks(1000));
  // Yields or sleeps after a fraction of each turn, and gets its half all the same.
  w.spawn(0, [] { return W::Burst{.work = 10, .sleep = 1}; });
  w.spawn(1);
  w.run(1'000'000);
  EXPECT_GE(w.task(0).turns, 500u);
  EXPECT_LE(w.used(0), 500'000u + 1000);
}

TEST(Stride, PutsWhoYieldsBehindTheNextAndDoesNotGiveItBack) {
  H h;
  h.policy.set_quantum(ticks(1000));
  h.add(0, {.tickets = 1000});
  h.add(1, {.tickets = 500});
  h.add(2, {.tickets = 100});
  EXPECT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::yielded), Links::intact);
  EXPECT_GE(pass_of(h, 0), pass_of(h, 1));
  EXPECT_LT(pass_of(h, 0), pass_of(h, 1) + 1049);  // by less than a tick
  EXPECT_EQ(h.pick().entity, 1);
}

TEST(Stride, YieldsWithoutEndLeaveNobodyFarFromTheGlobalPass) {
  W w;
  w.h.policy.set_quantum(ticks(100));
  w.spawn(0, [] { return W::Burst{.work = 1, .sleep = 0}; });
  w.spawn(1);
  w.run(1'000'000);
  // A newcomer is not let in behind the times, and gets a third of what comes, no more.
  w.spawn(2);
  const uint64_t before = w.used(1);
  w.run(30'000);
  EXPECT_NEAR(static_cast<double>(w.used(2)), 15'000, 600);
  EXPECT_NEAR(static_cast<double>(w.used(1) - before), 15'000, 600);
}

TEST(Stride, RemembersOverASleepWhatATaskIsAheadOrBehind) {
  H h;
  h.policy.set_quantum(ticks(100));
  h.add(0);
  h.add(1);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(101));
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(101)), Links::intact);
  // One quantum at the start, and half of what it has run ahead of the global pass.
  EXPECT_EQ(pass_of(h, 0), 150 * 1024);
  ASSERT_EQ(h.pick(at(101)).entity, 1);
  h.ran(1, at(101), at(100'001));
  ASSERT_EQ(h.enqueue(0, Enter::woken, at(100'001)), Links::intact);
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(100'001)), Links::intact);
  // 1 is the one that was left behind then.
  EXPECT_EQ(pass_of(h, 0) - pass_of(h, 1), 100 * 1024);
  EXPECT_EQ(h.pick(at(100'001)).entity, 1);
}

TEST(Stride, KeepsTheTimeThatATaskIsAheadWhenItsTicketsChange) {
  H h;
  h.policy.set_quantum(ticks(100));
  h.add(0, {.tickets = 1000});
  ASSERT_TRUE(h.attach(1, {.tickets = 1000}));
  ASSERT_EQ(h.enqueue(1), Links::intact);
  const int64_t before = pass_of(h, 1);
  ASSERT_EQ(h.dequeue(1, Leave::retuned), Links::intact);
  ASSERT_TRUE(h.attach(1, {.tickets = 2000}));
  EXPECT_EQ(pass_of(h, 1), before / 2);
  ASSERT_TRUE(h.attach(1, {.tickets = 7}));
  ASSERT_TRUE(h.attach(1, {.tickets = 999'999}));
  ASSERT_TRUE(h.attach(1, {.tickets = 1000}));
  ASSERT_EQ(h.enqueue(1, Enter::retuned), Links::intact);
  EXPECT_EQ(pass_of(h, 1), before);  // to the unit
}

TEST(Stride, RefusesTicketsOutOfRangeAndKeepsTheOldOnes) {
  H h;
  ASSERT_TRUE(h.attach(0, {.tickets = 7}));
  EXPECT_FALSE(h.attach(0, {.tickets = 0}));
  EXPECT_FALSE(h.attach(0, {.tickets = kMaxWeight + 1}));
  EXPECT_FALSE(h.attach(0, {.tickets = UINT32_MAX}));
  EXPECT_EQ(h.attributes(0), (Attributes{.tickets = 7}));
  EXPECT_TRUE(h.attach(0, {.tickets = 1}));
  EXPECT_TRUE(h.attach(0, {.tickets = kMaxWeight}));
}

TEST(Stride, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e);
  ASSERT_EQ(h.pick().entity, 0);
  const Stride::Entity good = h.entities[0];
  static_cast<TreeLink<Stride>&>(h.entities[0]) = TreeLink<Stride>{};
  h.ran(0, at(1), at(2));
  EXPECT_EQ(h.put_back(0, Pause::yielded), Links::corrupt);
  EXPECT_EQ(h.dequeue(0), Links::corrupt);
  static_cast<TreeLink<Stride>&>(h.entities[0]) = good;
  static_cast<TreeLink<Stride>&>(h.entities[1]) = good;
  ASSERT_TRUE(h.attach(3));
  const int64_t remain = 100 * 1024;
  h.policy.set_quantum(ticks(100));
  EXPECT_EQ(h.enqueue(3), Links::corrupt);
  EXPECT_EQ(pass_of(h, 3), remain);
}

// --- Against a model ---

// The definition, in fractions: a task's clock in units / tickets. Time that has passed is in it at
// once.
struct Clocks {
  using P = Stride;
  using Attributes = P::Attributes;
  using int128 = absl::int128;

  struct Task {
    int128 parts = 0;  // of a unit; absolute while it is runnable, else relative to the global pass
    int128 tickets = kNormalWeight;
    uint64_t turn = 0;  // used of its quantum
  };

  static int128 floor_of(int128 n, int128 d) { return (n % d < 0) ? n / d - 1 : n / d; }

  void configure(P& policy, absl::BitGenRef gen) {
    quantum = absl::Uniform<uint64_t>(gen, 1, 200);
    policy.set_quantum(ticks(quantum));
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    switch (absl::Uniform(gen, 0, 10)) {
      case 0: return {.tickets = 0};
      case 1: return {.tickets = kMaxWeight + 1};
      case 2: return {.tickets = kMaxWeight};
      case 3: return {.tickets = 1};
      case 4: return {.tickets = absl::Uniform<Weight>(gen, 1, kMaxWeight)};
      case 5: return {};
      default: return {.tickets = absl::Uniform<Weight>(gen, 1, 100)};
    }
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    return is_valid_weight(attributes.tickets) ? std::optional(attributes) : std::nullopt;
  }

  Task& task(int e) { return tasks[static_cast<size_t>(e)]; }
  int128 pass(int e) { return floor_of(task(e).parts, task(e).tickets); }
  int128 sum() {
    int128 sum = 0;
    for (const int e : line) sum += task(e).tickets;
    return sum;
  }
  int128 global_now() { return line.empty() ? global : global + (elapsed << 20) / sum(); }
  // Before the sum of tickets changes.
  void settle_global() {
    if (line.empty()) return;
    global += ((elapsed << 21) + sum()) / (2 * sum());
    elapsed = 0;
  }
  void use(int e, uint64_t ticks) {
    task(e).parts += int128(ticks) << 20;
    elapsed += ticks;
  }

  void ran(int e, Instant from, Instant to) {
    use(e, (to - from).ticks);
    task(e).turn += (to - from).ticks;
  }
  void attach(int e, const Attributes& attributes) { task(e).tickets = attributes.tickets; }
  void enqueue(int e, const Attributes&, Enter why, Instant) {
    if (why == Enter::created) {
      task(e).parts = int128(quantum) << 20;
    }
    if (line.size() == 1) task(line[0]).turn = 0;
    const int128 base = global_now();
    settle_global();
    task(e).parts += base * task(e).tickets;
    line.push_back(e);
  }
  void dequeue(int e, Leave) {
    const int128 base = global_now();
    settle_global();
    std::erase(line, e);
    task(e).turn = 0;
    task(e).parts -= base * task(e).tickets;
  }
  void put_back(int e, Pause why) {
    if (why == Pause::preempted && task(e).turn == 0) return;
    std::erase(line, e);
    task(e).turn = 0;
    line.push_back(e);
    if (why != Pause::yielded || line.size() == 1) return;
    line.pop_back();
    const int128 behind = pass(first()) - pass(e);
    line.push_back(e);
    if (behind > 0) {
      const int128 tick = 1 << 20;
      use(e, static_cast<uint64_t>((behind * task(e).tickets + tick - 1) / tick));
    }
  }
  int first() {
    return *std::min_element(line.begin(), line.end(),
                             [this](int a, int b) { return pass(a) < pass(b); });
  }
  H::Answer pick(Instant now) {
    if (line.empty()) return {};
    return {first(), line.size() == 1 ? never : now + ticks(quantum)};
  }
  Instant contend(int, int current, Instant now) {
    const uint64_t used = task(current).turn;
    return used >= quantum ? now : now + ticks(quantum - used);
  }

  uint64_t quantum = 0;
  int128 global = 0;
  int128 elapsed = 0;
  std::vector<int> line;  // in the order in which they were put there
  std::array<Task, H::kEntities> tasks{};
};

TEST(Stride, MatchesClocksInExactFractions) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    check_against_model<Stride, Clocks>(seed, 3000);
  }
}

// --- How far from their shares ---

TEST(Stride, KeepsEveryPairWithinAQuantumAndNobodyMoreThanAQuantumBehind) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto gen = generator(seed);
    const uint64_t quantum = absl::Uniform<uint64_t>(gen, 1, 1000);
    const int count = absl::Uniform<int>(gen, 2, H::kEntities + 1);
    W w;
    w.h.policy.set_quantum(ticks(quantum));
    std::vector<uint64_t> tickets;
    for (int e = 0; e < count; ++e) {
      tickets.push_back(absl::LogUniform<uint64_t>(gen, 1, seed % 2 == 0 ? 100 : 100'000));
      w.spawn(e, {.tickets = static_cast<Weight>(tickets.back())});
    }
    const uint64_t all = std::accumulate(tickets.begin(), tickets.end(), uint64_t{0});
    w.on_pick = [&](int) {
      uint64_t used = 0;
      for (int e = 0; e < count; ++e) used += w.used(e);
      for (int i = 0; i < count; ++i) {
        const uint64_t t_i = tickets[static_cast<size_t>(i)];
        // Multiplied by all tickets, and by 2^20 for what rounding of passes allows: t_i * t_j
        // each.
        const auto ideal = absl::int128(used) * t_i << 20;
        const auto actual = absl::int128(w.used(i)) * all << 20;
        const auto one = absl::int128(quantum) << 20;
        ASSERT_LE(ideal - actual, one * all + absl::int128(t_i) * all);
        ASSERT_LE(actual - ideal, one * (count - 1) * t_i + absl::int128(t_i) * all);
        for (int j = 0; j < count; ++j) {
          const uint64_t t_j = tickets[static_cast<size_t>(j)];
          const auto difference = (absl::int128(w.used(i)) * t_j - absl::int128(w.used(j)) * t_i)
                                  << 20;
          ASSERT_LE(difference, one * std::max(t_i, t_j) + absl::int128(t_i) * t_j);
        }
      }
    };
    w.run(quantum * 3000);
  }
}

TEST(Stride, SleepingEarnsNothing) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto gen = generator(seed);
    W w;
    w.h.policy.set_quantum(ticks(100));
    // Just before its quantum ends, or anywhere.
    w.spawn(0, [] { return W::Burst{.work = 99, .sleep = 1}; });
    w.spawn(1, [&gen] {
      return W::Burst{.work = absl::Uniform<uint64_t>(gen, 1, 150),
                      .sleep = absl::Uniform<uint64_t>(gen, 1, 200)};
    });
    w.spawn(2);
    w.spawn(3);
    w.run(1'000'000);
    for (const int e : {0, 1}) {
      // No more than those who are always there.
      EXPECT_LE(w.used(e), w.used(2) + 200) << e;
    }
    EXPECT_NEAR(static_cast<double>(w.used(2)), static_cast<double>(w.used(3)), 100);
  }
}

TEST(Stride, HoldsSharesFromTheChangeOfTicketsOn) {
  W w;
  w.h.policy.set_quantum(ticks(100));
  w.spawn(0, {.tickets = 100});
  w.spawn(1, {.tickets = 100});
  w.run(50'000);
  for (const Weight tickets : {300, 50, 1, 1000, 100}) {
    SCOPED_TRACE(tickets);
    for (const int e : {w.current(), 1 - w.current()}) {  // running, and waiting
      w.retune(e, {.tickets = e == 0 ? tickets : 100});
    }
    const uint64_t first = w.used(0);
    const uint64_t second = w.used(1);
    w.run(400'000);
    const double share = static_cast<double>(tickets) / (100.0 + tickets);
    EXPECT_NEAR(static_cast<double>(w.used(0) - first), 400'000 * share, 300);
    EXPECT_NEAR(static_cast<double>(w.used(1) - second), 400'000 * (1 - share), 300);
  }
}

TEST(Stride, LetsNobodyWaitLongerThanHisShareIsSmall) {
  W w;
  w.h.policy.set_quantum(ticks(10));
  w.spawn(0, {.tickets = 1});
  for (int e = 1; e < H::kEntities; ++e) w.spawn(e, {.tickets = 50});
  w.run(200'000);
  // 1 of 551 tickets: at most a quantum behind, so a turn each 551 quanta and one of each other's.
  EXPECT_LE(w.task(0).longest_wait, 10u * (551 + 11));
  EXPECT_GE(w.task(0).turns, 200'000u / 5510 - 1);
}

TEST(Stride, ChargesWhoComesAndGoesAsOftenAsHeLikes) {
  // 1 unit of pass is a tick at the most tickets: what is left over there must not be lost.
  W w;
  w.h.policy.set_quantum(ticks(50));
  w.spawn(0, [] { return W::Burst{.work = 1, .sleep = 1}; }, {.tickets = kMaxWeight - 1});
  w.spawn(1, {.tickets = (kMaxWeight - 1) / 2});
  w.run(300'000);
  EXPECT_LE(w.used(0), 150'000u + 1000);
  W v;
  v.h.policy.set_quantum(ticks(50));
  v.spawn(0, {.tickets = 700'000});
  v.spawn(1, [] { return W::Burst{.work = 3, .sleep = 0}; }, {.tickets = 700'000});
  v.run(300'000);
  EXPECT_LE(v.used(1), 150'000u + 100);
}

// --- The ends of the arithmetic ---

TEST(Stride, BringsTheQuantumIntoItsRange) {
  H h;
  for (const int e : {0, 1}) h.add(e);
  h.policy.set_quantum(Duration{});
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, at(2)}));
  for (const Duration quantum : {ticks(uint64_t{1} << 40), forever, Duration{UINT64_MAX}}) {
    h.policy.set_quantum(quantum);
    EXPECT_EQ(h.pick(at(1)), (H::Answer{0, at(1 + (uint64_t{1} << 40))}));
  }
}

TEST(Stride, KeepsItsPlaceForTasksAfterAnyTimeAlone) {
  // Longer alone than 64 bits of units last, several times around.
  for (const Weight tickets : {Weight{1}, Weight{3}, kMaxWeight}) {
    H h;
    h.policy.set_quantum(ticks(100));
    h.add(0, {.tickets = tickets});
    ASSERT_EQ(h.pick(at(1)).entity, 0);
    const uint64_t late = (uint64_t{1} << 62) + 12345;
    h.ran(0, at(1), at(late));
    ASSERT_TRUE(h.attach(1, {.tickets = tickets}));
    ASSERT_EQ(h.enqueue(1, Enter::created, at(late)), Links::intact);
    EXPECT_EQ(pass_of(h, 0), pass_of(h, 1));
  }
}

TEST(Stride, StandsTheLongestTurnOfTheSmallestBesideTheLargest) {
  H h;
  h.policy.set_quantum(forever);
  h.add(0, {.tickets = 1});
  h.add(1, {.tickets = kMaxWeight});
  ASSERT_EQ(h.pick(at(1)).entity, 1);
  ASSERT_EQ(h.put_back(1, Pause::yielded, at(1)), Links::intact);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  const uint64_t late = uint64_t{1} << 62;  // masked for a century
  h.ran(0, at(1), at(late));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(late)), Links::intact);
  EXPECT_EQ(h.pick(at(late)).entity, 1);
  // Whoever comes now, by any route, is near the least.
  ASSERT_TRUE(h.attach(2, {.tickets = 1}));
  ASSERT_EQ(h.enqueue(2, Enter::created, at(late)), Links::intact);
  EXPECT_LE(std::abs(pass_of(h, 2) - pass_of(h, 1)), int64_t{1} << 61);
  ASSERT_EQ(h.dequeue(0, Leave::blocked, at(late)), Links::intact);
  EXPECT_LE(std::abs(pass_of(h, 0)), int64_t{1} << 60);
  ASSERT_TRUE(h.attach(0, {.tickets = kMaxWeight}));
  ASSERT_TRUE(h.attach(0, {.tickets = 1}));
  EXPECT_LE(std::abs(pass_of(h, 0)), int64_t{1} << 60);
}

// Turns and quanta of all lengths, in all orders, at both ends of the range of tickets: passes stay
// less than 2^63 apart, of which the tree's order depends. Their true distances are followed in 128
// bits, where nothing wraps.
TEST(Stride, KeepsPassesComparable) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto gen = generator(seed);
    H h;
    h.policy.set_quantum(forever);
    std::array<absl::int128, H::kEntities> unwrapped{};
    std::array<bool, H::kEntities> is_in{};
    std::array<bool, H::kEntities> is_known{};
    uint64_t now = 1;
    const auto follow = [&](int e, absl::int128 near) {
      // The value congruent to its pass that is nearest to `near`.
      const auto difference =
          static_cast<int64_t>(static_cast<uint64_t>(pass_of(h, e)) - static_cast<uint64_t>(near));
      unwrapped[static_cast<size_t>(e)] = near + difference;
    };
    for (int i = 0; i < 2000; ++i) {
      const int e = absl::Uniform(gen, 0, H::kEntities);
      const size_t index = static_cast<size_t>(e);
      const auto current = h.pick(at(now));
      if (absl::Bernoulli(gen, 0.4)) {
        const bool few = absl::Bernoulli(gen, 0.5);
        if (is_in[index]) {
          ASSERT_EQ(h.dequeue(e, Leave::blocked, at(now)), Links::intact);
          ASSERT_TRUE(h.attach(e, {.tickets = few ? 1 : kMaxWeight}));
        } else {
          ASSERT_TRUE(h.attach(e, {.tickets = few ? 1 : kMaxWeight}));
          const Enter why = is_known[index] ? Enter::woken : Enter::created;
          ASSERT_EQ(h.enqueue(e, why, at(now)), Links::intact);
          is_known[index] = true;
          follow(e,
                 current.entity == H::kNobody ? 0 : unwrapped[static_cast<size_t>(current.entity)]);
        }
        is_in[index] = !is_in[index];
      } else if (current.entity != H::kNobody) {
        const uint64_t use = absl::LogUniform<uint64_t>(gen, 1, uint64_t{1} << 50);
        const size_t c = static_cast<size_t>(current.entity);
        const absl::int128 before = unwrapped[c];
        h.ran(current.entity, at(now), at(now + use));
        now += use;
        ASSERT_EQ(h.put_back(current.entity, static_cast<Pause>(absl::Uniform(gen, 0, 3)), at(now)),
                  Links::intact);
        // A turn goes ahead, by 2^62 units at most; alone by any number.
        follow(current.entity, before);
        if (unwrapped[c] < before) unwrapped[c] += absl::int128(1) << 64;
      }
      if (now > uint64_t{1} << 61) now = 1;
      absl::int128 least = absl::Int128Max();
      absl::int128 most = absl::Int128Min();
      int count = 0;
      for (size_t k = 0; k < H::kEntities; ++k) {
        if (!is_in[k]) continue;
        ++count;
        least = std::min(least, unwrapped[k]);
        most = std::max(most, unwrapped[k]);
      }
      if (count < 2) continue;
      ASSERT_LT(most - least, absl::int128(1) << 63);
      const auto first = h.pick(at(now));
      ASSERT_EQ(unwrapped[static_cast<size_t>(first.entity)], least);
    }
  }
}

}  // namespace
}  // namespace sched::test
