// The multilevel feedback queue: alone, against a model that counts every tick, and against tasks
// that try to game it.

#include "sched/policy/mlfq.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"
#include "tests/sched/policy/workload.h"

namespace sched::test {
namespace {

using H = Harness<Mlfq>;
using W = Workload<Mlfq>;
using Attributes = Mlfq::Attributes;

constinit Mlfq policy_at_start;

TEST(Mlfq, IsConstantInitialisedAndThisLarge) {
  EXPECT_EQ(policy_at_start.pick(at(1)).entity, nullptr);
  EXPECT_EQ(sizeof(Mlfq::Entity), 40u);
  EXPECT_EQ(sizeof(Mlfq), 176u);
}

// Quanta of 10, 20, 40, ... ticks.
void set_quanta(Mlfq& policy, Duration boost = {}) {
  for (uint8_t level = 0; level < Mlfq::kLevels; ++level) {
    policy.set_quantum(level, ticks(uint64_t{10} << level));
  }
  policy.set_boost(boost);
}

uint64_t field_of(const H& h, int e, const std::string& name) {
  uint64_t result = UINT64_MAX;
  h.policy.dump(h.entities[static_cast<size_t>(e)], [&](const char* field, uint64_t value) {
    if (field == name) result = value;
  });
  return result;
}
uint64_t level_of(const H& h, int e) { return field_of(h, e, "level"); }
uint64_t used_of(const H& h, int e) { return field_of(h, e, "used"); }

TEST(Mlfq, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

TEST(Mlfq, RunsTheHighestLevelFirstAndOneLevelInOrderOfArrival) {
  H h;
  h.add(0, {.level = 7});
  h.add(1, {.level = 0});
  h.add(2, {.level = 3});
  h.add(3, {.level = 0});
  h.add(4, {.level = 3});
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 3, 2, 4, 0}));
}

TEST(Mlfq, LetsATaskDownOneLevelAQuantumToTheLowestAndThenAround) {
  W w;
  set_quanta(w.h.policy);
  std::vector<int> picks;
  std::vector<uint64_t> when;
  w.on_pick = [&](int e) {
    picks.push_back(e);
    when.push_back(w.now - 1);
  };
  w.spawn(0);
  w.spawn(1);
  w.run(150);
  // 0 gives up its timer's absence when 1 comes; then each has 10 at the top, 20 below, 40, ...
  EXPECT_EQ(picks, (std::vector<int>{0, 1, 0, 1, 0, 1, 0}));
  EXPECT_EQ(when, (std::vector<uint64_t>{0, 10, 20, 40, 60, 100, 140}));
  w.run(100'000);
  EXPECT_EQ(level_of(w.h, 0), 7u);
  EXPECT_EQ(level_of(w.h, 1), 7u);
}

TEST(Mlfq, RunsATaskThatIsAloneWithoutATimer) {
  H h;
  set_quanta(h.policy, ticks(1000));
  h.add(0);
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, never}));
  h.ran(0, at(1), at(8));
  ASSERT_TRUE(h.attach(1));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(8)), Links::intact);
  EXPECT_EQ(h.contend(1, 0, at(8)), at(11));  // what is left of its quantum
}

TEST(Mlfq, ChargesATaskForWhatItUsedWhileItWasAlone) {
  H h;
  set_quanta(h.policy);
  h.add(0);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(36));
  ASSERT_TRUE(h.attach(1));
  ASSERT_EQ(h.enqueue(1, Enter::created, at(36)), Links::intact);
  EXPECT_EQ(h.contend(1, 0, at(36)), at(36));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(36)), Links::intact);
  EXPECT_EQ(h.pick(at(36)), (H::Answer{1, at(46)}));
  EXPECT_EQ(level_of(h, 0), 2u);  // 35: 10, 20 and 5
  EXPECT_EQ(used_of(h, 0), 5u);
}

TEST(Mlfq, PreemptsForAHigherLevelOnlyAndKeepsPlaceAndQuantum) {
  H h;
  set_quanta(h.policy);
  h.add(0, {.level = 2});
  h.add(1, {.level = 2});
  ASSERT_EQ(h.pick(at(1)), (H::Answer{0, at(41)}));
  h.ran(0, at(1), at(11));
  ASSERT_TRUE(h.attach(2, {.level = 3}));
  ASSERT_EQ(h.enqueue(2, Enter::created, at(11)), Links::intact);
  EXPECT_EQ(h.contend(2, 0, at(11)), at(41));
  ASSERT_TRUE(h.attach(3, {.level = 1}));
  ASSERT_EQ(h.enqueue(3, Enter::created, at(11)), Links::intact);
  EXPECT_EQ(h.contend(3, 0, at(11)), at(11));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(11)), Links::intact);
  ASSERT_EQ(h.pick(at(11)), (H::Answer{3, at(31)}));
  ASSERT_EQ(h.dequeue(3, Leave::blocked, at(11)), Links::intact);
  EXPECT_EQ(h.pick(at(11)), (H::Answer{0, at(41)}));  // before 1; 30 are left
}

TEST(Mlfq, PutsWhoYieldsBehindItsPeersAndNotBehindLowerLevels) {
  H h;
  set_quanta(h.policy);
  h.add(0, {.level = 2});
  h.add(1, {.level = 2});
  h.add(2, {.level = 3});
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::yielded), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 0, 2}));
}

TEST(Mlfq, BoostsWhoWaitsWhoRunsAndWhoIsAsleepInOrderOfTheirLevels) {
  H h;
  set_quanta(h.policy, ticks(1000));
  for (const int e : {0, 1}) h.add(e, {.level = 5});
  h.add(2, {.level = 3});
  h.add(3, {.level = 4});
  h.add(4, {.level = 2});
  ASSERT_EQ(h.pick(at(900)).entity, 4);
  h.ran(4, at(900), at(910));
  ASSERT_EQ(h.dequeue(4, Leave::blocked, at(910)), Links::intact);
  EXPECT_EQ(h.pick(at(910)), (H::Answer{2, at(990)}));
  ASSERT_EQ(h.put_back(2, Pause::preempted, at(960)), Links::intact);
  EXPECT_EQ(h.pick(at(960)), (H::Answer{2, at(1000)}));  // the boost comes first
  h.ran(2, at(960), at(1003));                           // the timer is late
  ASSERT_EQ(h.put_back(2, Pause::preempted, at(1003)), Links::intact);
  EXPECT_EQ(used_of(h, 2), 3u);
  ASSERT_EQ(h.enqueue(4, Enter::woken, at(1003)), Links::intact);
  for (int e = 0; e < 5; ++e) EXPECT_EQ(level_of(h, e), 0u) << e;
  EXPECT_EQ(used_of(h, 4), 0u);
  EXPECT_EQ(h.pick(at(1003)), (H::Answer{2, at(1010)}));
  EXPECT_EQ(h.drain(), (std::vector<int>{2, 3, 0, 1, 4}));
}

TEST(Mlfq, RunsWhoComesBetweenABoostAndItsChoiceAheadOfNobodyThatWaited) {
  H h;
  set_quanta(h.policy, ticks(1000));
  h.add(0, {.level = 5});
  h.add(1, {.level = 5});
  ASSERT_EQ(h.pick(at(990)).entity, 0);
  // 2 is above 0, and its preemption is put off until after the boost.
  ASSERT_TRUE(h.attach(2));
  h.ran(0, at(990), at(999));
  ASSERT_EQ(h.enqueue(2, Enter::created, at(999)), Links::intact);
  ASSERT_EQ(h.contend(2, 0, at(999)), at(999));
  h.ran(0, at(999), at(1002));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(1002)), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{2, 1, 0}));
}

TEST(Mlfq, PutsATaskWhereNewAttributesSayAndLeavesItWithTheSame) {
  H h;
  set_quanta(h.policy);
  h.add(0);
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(36));
  ASSERT_EQ(h.dequeue(0, Leave::retuned, at(36)), Links::intact);
  ASSERT_TRUE(h.attach(0));
  ASSERT_EQ(h.enqueue(0, Enter::retuned, at(36)), Links::intact);
  EXPECT_EQ(level_of(h, 0), 2u);
  EXPECT_EQ(used_of(h, 0), 5u);
  ASSERT_EQ(h.dequeue(0, Leave::retuned, at(36)), Links::intact);
  ASSERT_TRUE(h.attach(0, {.level = 6}));
  ASSERT_EQ(h.enqueue(0, Enter::retuned, at(36)), Links::intact);
  EXPECT_EQ(level_of(h, 0), 6u);
  EXPECT_EQ(used_of(h, 0), 0u);
}

TEST(Mlfq, RefusesALevelThatThereIsNotAndKeepsTheOldOne) {
  H h;
  ASSERT_TRUE(h.attach(0, {.level = 7}));
  EXPECT_FALSE(h.attach(0, {.level = 8}));
  EXPECT_FALSE(h.attach(0, {.level = 255}));
  EXPECT_EQ(h.attributes(0), (Attributes{.level = 7}));
}

TEST(Mlfq, ReportsBrokenLinks) {
  H h;
  set_quanta(h.policy, ticks(1000));
  for (const int e : {0, 1, 2}) h.add(e, {.level = 3});
  h.add(3, {.level = 1});
  RingLink<Mlfq>& middle = h.entities[1];
  RingLink<Mlfq>& back = h.entities[2];
  ASSERT_EQ(h.pick().entity, 3);
  RingLink<Mlfq>* const next = back.next;
  back.next = &middle;
  ASSERT_TRUE(h.attach(4, {.level = 3}));
  EXPECT_EQ(h.enqueue(4), Links::corrupt);
  // A boost that cannot be done has not begun: 3 is where it was.
  EXPECT_EQ(h.put_back(3, Pause::preempted, at(1000)), Links::corrupt);
  EXPECT_EQ(h.dequeue(3, Leave::blocked, at(1000)), Links::corrupt);
  EXPECT_EQ(h.enqueue(4, Enter::created, at(1000)), Links::corrupt);
  EXPECT_EQ(h.pick(at(1000)), (H::Answer{H::kNobody, never}));
  EXPECT_EQ(level_of(h, 3), 1u);
  back.next = next;
  EXPECT_EQ(h.put_back(3, Pause::preempted, at(1000)), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{3, 0, 1, 2}));
}

// --- Against a model ---

// The definition, tick by tick. A task's level is determined by what it has used since the last
// boost; where it stands in line is looked at when it is put back or leaves.
template <typename P>
struct Ticks {
  using H = Harness<P>;
  using Attributes = typename P::Attributes;
  static constexpr size_t kLevels = P::kLevels;

  struct Task {
    uint64_t use = 0;  // as if it had begun at the top
    size_t level = 0;  // where it stands, or will
    uint8_t entry = 0;
    size_t inherited = kLevels - 1;

    size_t line() const { return std::min(level, inherited); }
  };

  void configure(P& policy, absl::BitGenRef gen) {
    for (size_t level = 0; level < kLevels; ++level) {
      quantum[level] = absl::Uniform<uint64_t>(gen, 1, 80);
      policy.set_quantum(static_cast<uint8_t>(level), ticks(quantum[level]));
    }
    period = absl::Bernoulli(gen, 0.2) ? 0 : absl::Uniform<uint64_t>(gen, 1, 1500);
    policy.set_boost(ticks(period));
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    return {.level = absl::Uniform<uint8_t>(gen, 0, kLevels + 1)};
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    return attributes.level < kLevels ? std::optional(attributes) : std::nullopt;
  }

  Task& task(int e) { return tasks[static_cast<size_t>(e)]; }
  uint64_t start_of(size_t level) {
    uint64_t sum = 0;
    for (size_t i = 0; i < level; ++i) sum += quantum[i];
    return sum;
  }
  size_t level_by_use(int e) {
    size_t level = 0;
    while (level + 1 < kLevels && task(e).use >= start_of(level + 1)) ++level;
    return level;
  }
  uint64_t end_of_quantum(int e) { return start_of(task(e).level + 1); }
  bool is_used_up(int e) { return task(e).use >= end_of_quantum(e); }
  void sink(int e) {
    if (!is_used_up(e)) return;
    task(e).level = level_by_use(e);
    if (is_used_up(e)) task(e).use = start_of(kLevels - 1);  // at the bottom: a new quantum
  }
  void place(int e, size_t level) {
    task(e).use = start_of(level);
    task(e).level = level;
  }

  void tick() {
    ++clock;
    if (period == 0 || clock % period != 0) return;
    for (size_t level = 1; level < kLevels; ++level) {
      lines[0].splice(lines[0].end(), lines[level]);
    }
    for (int e = 0; e < H::kEntities; ++e) place(e, 0);
  }
  void come_to(Instant now) {
    while (clock < now.ticks) tick();
  }
  Instant next_boost() { return period == 0 ? never : Instant{(clock / period + 1) * period}; }

  void ran(int e, Instant from, Instant to) {
    for (uint64_t t = from.ticks; t < to.ticks; ++t) {
      come_to(at(t));
      ++task(e).use;
    }
  }
  void attach(int e, const Attributes& attributes) {
    if (task(e).entry != attributes.level) place(e, attributes.level);
    task(e).entry = attributes.level;
  }
  void inherit(int e, std::optional<typename P::Claim> claims) {
    task(e).inherited = claims.value_or(kLevels - 1);
  }
  void enqueue(int e, const Attributes& attributes, Enter why, Instant now) {
    come_to(now);
    if (why == Enter::created) place(e, attributes.level);
    std::list<int>& line = lines[task(e).line()];
    line.insert(why == Enter::inherited ? line.begin() : line.end(), e);
  }
  void dequeue(int e, Leave why, Instant now) {
    come_to(now);
    lines[task(e).line()].remove(e);
    sink(e);
    if (why == Leave::exited) task(e).inherited = kLevels - 1;
  }
  void put_back(int e, Pause why, Instant now) {
    come_to(now);
    if (why == Pause::preempted && !is_used_up(e)) return;
    lines[task(e).line()].remove(e);
    sink(e);
    lines[task(e).line()].push_back(e);
  }
  Instant end_of_turn(int e, Instant now) {
    return std::min(now + ticks(end_of_quantum(e) - task(e).use), next_boost());
  }
  typename H::Answer pick(Instant now) {
    come_to(now);
    size_t count = 0;
    for (const std::list<int>& line : lines) count += line.size();
    for (const std::list<int>& line : lines) {
      if (line.empty()) continue;
      return {line.front(), count == 1 ? never : end_of_turn(line.front(), now)};
    }
    return {};
  }
  Instant contend(int entered, int current, Instant now) {
    const size_t theirs = task(entered).line();
    const size_t ours = task(current).line();
    if (theirs < ours || is_used_up(current)) return now;
    if (theirs == ours && lines[ours].front() == entered) return now;
    return end_of_turn(current, now);
  }

  uint64_t clock = 1;
  uint64_t period = 0;
  std::array<uint64_t, kLevels> quantum{};
  std::array<std::list<int>, kLevels> lines;
  std::array<Task, H::kEntities> tasks{};
};

TEST(Mlfq, MatchesALevelByWhatWasUsed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    check_against_model<BasicMlfq<4>, Ticks<BasicMlfq<4>>>(seed, 3000);
    check_against_model<Mlfq, Ticks<Mlfq>>(100 + seed, 3000);
  }
}

TEST(Mlfq, MatchesWithOneLevelAlone) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    check_against_model<BasicMlfq<1>, Ticks<BasicMlfq<1>>>(seed, 3000);
  }
}

// --- Gaming ---

// What a task that has used so much since the last boost must stand at.
uint64_t level_by_use(uint64_t use) {
  uint64_t level = 0;
  for (; level < 7 && use >= uint64_t{10} << level; ++level) use -= uint64_t{10} << level;
  return level;
}

// Works just not long enough to be let down if each turn were counted by itself.
struct Gamer {
  const H& h;
  int e;
  uint64_t sleep;

  W::Burst operator()() const {
    return {.work = (uint64_t{10} << level_of(h, e)) - 1, .sleep = sleep};
  }
};

TEST(Mlfq, HasEachTaskAtTheLevelOfItsUseHoweverItIsSpread) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto gen = generator(seed);
    W w;
    set_quanta(w.h.policy);
    w.on_pick = [&](int e) {
      // At the bottom there is no telling how often it went around.
      ASSERT_EQ(level_of(w.h, e), level_by_use(w.used(e)));
      if (level_of(w.h, e) == 7) return;
      const uint64_t above = (uint64_t{10} << level_of(w.h, e)) - 10;
      ASSERT_EQ(used_of(w.h, e), w.used(e) - above);
    };
    for (const int e : {0, 1, 2, 3}) {
      w.spawn(e, [&gen] {
        return W::Burst{.work = absl::Uniform<uint64_t>(gen, 1, 30),
                        .sleep = absl::Uniform<uint64_t>(gen, 0, 40)};
      });
    }
    for (const int e : {4, 5}) w.spawn(e, Gamer{w.h, e, e == 4 ? uint64_t{0} : uint64_t{1}});
    w.spawn(6);
    w.run(20'000);
  }
}

TEST(Mlfq, GivesAGamerNoMoreThanOneWhoDoesNotTry) {
  for (const uint64_t sleep : {0, 1, 3}) {
    SCOPED_TRACE("sleeps " + std::to_string(sleep));
    W w;
    set_quanta(w.h.policy, ticks(20'000));
    w.spawn(0, Gamer{w.h, 0, sleep});
    w.spawn(1);
    w.spawn(2);
    w.run(600'000);
    // It yields or sleeps, and so goes to the back more often: it may get less, by the turns that
    // it cuts short, but not more than a turn of the others ahead in each period.
    EXPECT_LE(w.used(0), 200'000u + 200'000u / 50);
  }
}

// --- Nobody starves, and who uses little waits little ---

TEST(Mlfq, LetsNobodyWaitForMoreThanAPeriodAndAQuantumOfEach) {
  constexpr uint64_t kPeriod = 2000;
  constexpr uint64_t kTasks = H::kEntities;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto gen = generator(seed);
    W w;
    set_quanta(w.h.policy, ticks(kPeriod));
    w.spawn(0);
    for (int e = 1; e < H::kEntities; ++e) {
      w.spawn(e, [&gen] {
        return W::Burst{.work = absl::Uniform<uint64_t>(gen, 1, 12),
                        .sleep = absl::Uniform<uint64_t>(gen, 0, 30)};
      });
    }
    w.run(200'000);
    for (int e = 0; e < H::kEntities; ++e) {
      EXPECT_LE(w.task(e).longest_wait, kPeriod + 10 * (kTasks - 1)) << e;
    }
    EXPECT_GE(w.task(0).longest_wait, 150u);  // it was the others' turn
  }
}

TEST(Mlfq, StarvesTheLowestWithoutABoost) {
  W w;
  set_quanta(w.h.policy);
  // Ever new short tasks: what a boost is there for.
  w.spawn(0);
  w.run(10'000);
  const uint64_t before = w.used(0);
  for (int i = 0; i < 1000; ++i) {
    w.spawn(1, [] { return W::Burst{.work = 9, .sleep = W::kEndless}; });
    w.run(9);
  }
  EXPECT_EQ(w.used(0), before);
}

TEST(Mlfq, EvenAPeriodShorterThanAQuantumStarvesNobody) {
  W w;
  set_quanta(w.h.policy, ticks(7));
  for (const int e : {0, 1, 2}) w.spawn(e);
  w.run(21'000);
  for (const int e : {0, 1, 2}) EXPECT_NEAR(static_cast<double>(w.used(e)), 7000, 7) << e;
}

TEST(Mlfq, RunsWhoUsesLittleAtOnce) {
  W w;
  set_quanta(w.h.policy, ticks(20'000));
  for (const int e : {0, 1, 2, 3}) w.spawn(e);
  w.run(10'000);  // all at the bottom
  // Uses 9 of 20'000: always at the top.
  w.spawn(4, [] { return W::Burst{.work = 1, .sleep = 2200}; });
  w.run(400'000);
  EXPECT_GE(w.task(4).turns, 170u);
  // But for the quanta of those who are at the top with it after a boost.
  EXPECT_LE(w.task(4).longest_wait, 4 * 10u);
}

// --- The ends of the arithmetic ---

TEST(Mlfq, BringsQuantaAndPeriodsIntoTheirRange) {
  H h;
  h.policy.set_quantum(0, Duration{});
  h.policy.set_boost(Duration{});
  for (const int e : {0, 1}) h.add(e);
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, at(2)}));
  for (const Duration quantum : {forever, Duration{UINT64_MAX}}) {
    h.policy.set_quantum(0, quantum);
    EXPECT_EQ(h.pick(at(1)), (H::Answer{0, at(1) + forever}));
  }
  h.policy.set_boost(ticks(100));
  EXPECT_EQ(h.pick(at(1)), (H::Answer{0, at(100)}));
  for (const Duration period : {forever, Duration{UINT64_MAX}}) {
    h.policy.set_boost(period);
    EXPECT_EQ(h.pick(at(1)), (H::Answer{0, at(1) + forever}));
  }
  // Shortened below what is used of it: the turn ends as soon as a turn can.
  h.policy.set_quantum(0, ticks(50));
  ASSERT_EQ(h.pick(at(1)).entity, 0);
  h.ran(0, at(1), at(31));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(31)), Links::intact);
  h.policy.set_quantum(0, ticks(20));
  EXPECT_EQ(h.pick(at(31)), (H::Answer{0, at(32)}));
}

TEST(Mlfq, KeepsItsBoostsInOrderWhenThePeriodChanges) {
  H h;
  set_quanta(h.policy, ticks(100));
  for (const int e : {0, 1}) h.add(e, {.level = 7});
  EXPECT_EQ(h.pick(at(250)).until, at(260));  // at the top since 200
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(250)), Links::intact);
  h.policy.set_boost(ticks(1000));
  h.policy.set_quantum(0, ticks(5000));
  EXPECT_EQ(h.pick(at(250)).until, at(1200));  // a period since the last one
  h.ran(0, at(250), at(1200));
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(1200)), Links::intact);
  EXPECT_EQ(used_of(h, 0), 200u);  // since 1000
  EXPECT_EQ(h.pick(at(1200)).until, at(2000));
}

TEST(Mlfq, StandsAClockThatIsLateOrStandsStillOrIsNearItsEnd) {
  constexpr uint64_t kLate = uint64_t{1} << 62;
  H h;
  set_quanta(h.policy, ticks(1000));
  for (const int e : {0, 1}) h.add(e, {.level = 7});
  for (int i = 0; i < 100; ++i) {
    const auto answer = h.pick(at(5));
    ASSERT_EQ(answer, (H::Answer{i % 2, at(1000)}));
    ASSERT_EQ(h.put_back(i % 2, Pause::yielded, at(5)), Links::intact);
  }
  ASSERT_EQ(h.pick(at(5)).entity, 0);
  h.ran(0, at(5), at(kLate));
  ASSERT_EQ(h.put_back(0, Pause::timed_out, at(kLate)), Links::intact);
  EXPECT_EQ(h.pick(at(kLate)).entity, 1);
  EXPECT_LE(used_of(h, 0), 1000u);
  // All use that a clock below 2^63 can count.
  h.policy.set_boost(forever);
  h.ran(1, at(kLate), at(2 * kLate - 1));
  ASSERT_EQ(h.put_back(1, Pause::timed_out, at(2 * kLate - 1)), Links::intact);
  EXPECT_EQ(level_of(h, 1), 7u);
  h.policy.set_quantum(0, forever);
  h.policy.set_quantum(1, forever);
  const auto answer = h.pick(at(2 * kLate - 1));
  EXPECT_EQ(answer.entity, 0);
  EXPECT_GT(answer.until, at(2 * kLate - 1));
  EXPECT_LT(answer.until, never);
}

}  // namespace
}  // namespace sched::test
