// Fixed priorities with and without preemption thresholds, alone and against naive models.

#include "sched/policy/fixed_priority.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "tests/sched/policy/harness.h"

namespace sched::test {
namespace {

// How long a turn without an end is, for a policy that need not say `never`.
Instant no_end(Instant now) { return now + forever; }

// A few levels, so that they fill, with both ends of the range among them.
constexpr std::array<uint16_t, 7> kSomeLevels = {0, 1, 15, 16, 100, 254, 255};

uint16_t random_level(absl::BitGenRef gen) {
  return kSomeLevels[absl::Uniform<size_t>(gen, 0, kSomeLevels.size())];
}

// --- Priorities alone ---

// The definition: a line for each priority; the front of the highest that has anybody runs. Who
// yields or has used up the slice of its level goes to the end of its line; the first of a line has
// the rest of its slice left when it is preempted.
struct Lines {
  using P = FixedPriority;
  using H = Harness<P>;
  using Attributes = P::Attributes;

  void configure(P& policy, absl::BitGenRef gen) {
    for (const uint16_t level : kSomeLevels) {
      if (absl::Bernoulli(gen, 0.5)) continue;
      slice[level] = ticks(absl::Uniform<uint64_t>(gen, 1, 100));
      policy.set_slice(static_cast<uint8_t>(level), slice[level]);
    }
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    if (absl::Bernoulli(gen, 0.1)) {
      return {.priority = absl::Uniform<uint16_t>(gen, 256, UINT16_MAX)};
    }
    return {.priority = random_level(gen)};
  }
  static std::optional<Attributes> accepts(const Attributes& attributes) {
    return attributes.priority <= 255 ? std::optional(attributes) : std::nullopt;
  }

  std::list<int>& line_of(int e) { return lines[level[static_cast<size_t>(e)]]; }
  // At the level of the most urgent that waits for it, if that is above its own; before its equals
  // when that is why it comes.
  void enqueue(int e, const Attributes& attributes, Enter why, Instant) {
    const uint16_t lent = inherited[static_cast<size_t>(e)].value_or(0);
    level[static_cast<size_t>(e)] = std::max(attributes.priority, lent);
    line_of(e).insert(why == Enter::inherited ? line_of(e).begin() : line_of(e).end(), e);
    if (why == Enter::inherited) left.erase(level[static_cast<size_t>(e)]);
  }
  void dequeue(int e, Leave why) {
    if (line_of(e).front() == e) left.erase(level[static_cast<size_t>(e)]);
    line_of(e).remove(e);
    if (line_of(e).empty()) lines.erase(level[static_cast<size_t>(e)]);
    if (why == Leave::exited) inherited[static_cast<size_t>(e)].reset();
  }
  void inherit(int e, std::optional<P::Claim> claims) {
    inherited[static_cast<size_t>(e)] = claims;
  }
  void put_back(int e, Pause why, Instant now) {
    if (why == Pause::preempted) {
      if (end < no_end(at(0)) && line_of(e).front() == e) {
        left[level[static_cast<size_t>(e)]] = std::max(end - now, ticks(1));
      }
      return;
    }
    line_of(e).remove(e);
    line_of(e).push_back(e);
  }
  Instant end_of_slice(uint16_t of, Instant now) {
    return slice.contains(of) ? now + slice[of] : no_end(now);
  }
  H::Answer pick(Instant now) {
    if (lines.empty()) return {};
    const auto& [highest, line] = *lines.rbegin();
    end = line.size() == 1         ? no_end(now)
          : left.contains(highest) ? now + left[highest]
                                   : end_of_slice(highest, now);
    left.erase(highest);
    return {line.front(), end};
  }
  Instant contend(int entered, int current, Instant now) {
    const uint16_t theirs = level[static_cast<size_t>(entered)];
    const uint16_t ours = level[static_cast<size_t>(current)];
    if (theirs != ours) return theirs > ours ? now : never;
    if (lines[ours].front() != current) return now;  // one that inherits came before it
    if (!slice.contains(ours)) return never;
    const Instant by = end_of_slice(ours, now);
    end = std::min(end, by);
    return by;
  }

  absl::btree_map<uint16_t, std::list<int>> lines;
  absl::btree_map<uint16_t, Duration> left;  // of the slice of the first
  Instant end;                               // of the turn
  std::array<uint16_t, H::kEntities> level{};
  std::array<std::optional<P::Claim>, H::kEntities> inherited;
  absl::btree_map<uint16_t, Duration> slice;
};

using H = Harness<FixedPriority>;
using Attributes = FixedPriority::Attributes;

TEST(FixedPriority, RunsTheHighestFirstAndOneLevelInOrderOfArrival) {
  H h;
  h.add(0, {.priority = 0});
  h.add(1, {.priority = 255});
  h.add(2, {.priority = 7});
  h.add(3, {.priority = 255});
  h.add(4, {.priority = 7});
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 3, 2, 4, 0}));
}

TEST(FixedPriority, RunsOneOfEachLevelInOrder) {
  for (int first = 0; first < 256; first += H::kEntities) {
    H h;
    std::vector<int> expected;
    for (int e = 0; e < H::kEntities && first + e < 256; ++e) {
      h.add(e, {.priority = static_cast<uint16_t>(first + e)});
      expected.insert(expected.begin(), e);
    }
    ASSERT_EQ(h.drain(), expected) << first;
  }
}

TEST(FixedPriority, HasNobodyToRunAtFirst) {
  H h;
  EXPECT_EQ(h.pick(), (H::Answer{H::kNobody, never}));
}

TEST(FixedPriority, IsFirstInFirstOutUnlessALevelHasASlice) {
  H h;
  h.policy.set_slice(5, ticks(10));
  for (const int e : {0, 1}) h.add(e, {.priority = 5});
  for (const int e : {2, 3}) h.add(e, {.priority = 6});
  EXPECT_EQ(h.pick(at(100)), (H::Answer{2, no_end(at(100))}));
  ASSERT_EQ(h.dequeue(2), Links::intact);
  EXPECT_EQ(h.pick(at(100)), (H::Answer{3, no_end(at(100))}));
  ASSERT_EQ(h.dequeue(3), Links::intact);
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(110)}));
  ASSERT_EQ(h.put_back(0, Pause::timed_out), Links::intact);
  EXPECT_EQ(h.pick(at(110)), (H::Answer{1, at(120)}));
  ASSERT_EQ(h.dequeue(1), Links::intact);
  EXPECT_EQ(h.pick(at(120)), (H::Answer{0, no_end(at(120))}));  // alone: no slice
}

TEST(FixedPriority, TakesANewSliceFromTheNextTurnOn) {
  H h;
  for (const int e : {0, 1}) h.add(e, {.priority = 5});
  h.policy.set_slice(5, ticks(10));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(110)}));
  h.policy.set_slice(5, ticks(20));
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, at(120)}));
  h.policy.set_slice(5, Duration{});
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, no_end(at(100))}));
  h.policy.set_slice(5, Duration{UINT64_MAX});
  EXPECT_EQ(h.pick(at(100)), (H::Answer{0, no_end(at(100))}));
}

// Were the slice whole again after each preemption, one that is preempted often enough would run
// for ever, and its equals starve.
TEST(FixedPriority, GoesOnWithWhatWasLeftOfTheSlice) {
  H h;
  h.policy.set_slice(5, ticks(10));
  for (const int e : {0, 1}) h.add(e, {.priority = 5});
  ASSERT_EQ(h.pick(at(100)), (H::Answer{0, at(110)}));
  ASSERT_TRUE(h.attach(2, {.priority = 9}));
  for (const uint64_t i : {1, 2, 3}) {
    const Instant begin = at(100 * i), end = at(100 * (i + 1));
    ASSERT_EQ(h.enqueue(2, Enter::woken, begin + ticks(3)), Links::intact);
    ASSERT_EQ(h.put_back(0, Pause::preempted, begin + ticks(3)), Links::intact);
    ASSERT_EQ(h.pick(begin + ticks(3)).entity, 2);
    ASSERT_EQ(h.dequeue(2, Leave::blocked, end), Links::intact);
    ASSERT_EQ(h.pick(end), (H::Answer{0, end + ticks(10 - 3 * i)})) << i;
  }
}

TEST(FixedPriority, LeavesNobodyWhatWasLeftOfAnothersSlice) {
  H h;
  h.policy.set_slice(5, ticks(10));
  for (const int e : {0, 1, 2}) h.add(e, {.priority = 5});
  ASSERT_EQ(h.pick(at(100)).entity, 0);
  ASSERT_EQ(h.put_back(0, Pause::preempted, at(104)), Links::intact);
  ASSERT_EQ(h.dequeue(0, Leave::moved, at(150)), Links::intact);
  EXPECT_EQ(h.pick(at(200)), (H::Answer{1, at(210)}));
}

TEST(FixedPriority, PreemptsForAHigherPriorityOnly) {
  H h;
  h.policy.set_slice(5, ticks(10));
  h.add(0, {.priority = 5});
  ASSERT_EQ(h.pick().entity, 0);
  h.add(1, {.priority = 4});
  EXPECT_EQ(h.contend(1, 0, at(100)), never);
  h.add(2, {.priority = 5});
  EXPECT_EQ(h.contend(2, 0, at(100)), at(110));  // company: its slice begins
  h.add(3, {.priority = 6});
  EXPECT_EQ(h.contend(3, 0, at(100)), at(100));
  ASSERT_EQ(h.put_back(0, Pause::preempted), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{3, 0, 2, 1}));  // 0 has kept its place before 2
}

TEST(FixedPriority, RunsWithWhatItInheritsBeforeItsEquals) {
  H h;
  for (const int e : {0, 1}) h.add(e, {.priority = 5});
  for (const int e : {2, 3}) h.add(e, {.priority = 9});
  h.pass_on(1, at(1), h.claim(2));
  EXPECT_EQ(h.claim(1), 9);
  EXPECT_EQ(h.attributes(1), (Attributes{.priority = 5}));
  EXPECT_EQ(h.pick().entity, 1);
  h.pass_on(1, at(1));  // gives it back: the first of its own level
  EXPECT_EQ(h.claim(1), 5);
  EXPECT_EQ(h.drain(), (std::vector<int>{2, 3, 1, 0}));
}

TEST(FixedPriority, PreemptsItsEqualWithWhatItInherits) {
  for (const Pause why : {Pause::timed_out, Pause::preempted}) {
    H h;
    for (const int e : {0, 1, 2}) h.add(e, {.priority = 5});
    h.add(3, {.priority = 4});
    ASSERT_EQ(h.pick().entity, 0);
    h.pass_on(3, at(1), uint8_t{5});
    EXPECT_EQ(h.contend(3, 0, at(100)), at(100));
    ASSERT_EQ(h.put_back(0, why), Links::intact);
    EXPECT_EQ(h.drain(), why == Pause::preempted ? (std::vector<int>{3, 0, 1, 2})
                                                 : (std::vector<int>{3, 1, 2, 0}));
  }
}

TEST(FixedPriority, InheritsNothingFromTheLessUrgent) {
  H h;
  for (const int e : {0, 1}) h.add(e, {.priority = 5});
  h.pass_on(1, at(1), uint8_t{4});
  EXPECT_EQ(h.claim(1), 5);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 0}));
}

TEST(FixedPriority, KeepsWhatItInheritsWhileItIsBlockedAndWhenItsPriorityChanges) {
  H h;
  h.add(0, {.priority = 5});
  h.add(1, {.priority = 8});
  ASSERT_EQ(h.dequeue(0, Leave::blocked), Links::intact);
  h.inherit(0, uint8_t{9});
  ASSERT_TRUE(h.attach(0, {.priority = 7}));
  EXPECT_EQ(h.claim(0), 9);
  EXPECT_EQ(h.attributes(0), (Attributes{.priority = 7}));
  ASSERT_EQ(h.enqueue(0, Enter::woken), Links::intact);
  EXPECT_EQ(h.contend(0, 1, at(100)), at(100));
  h.pass_on(0, at(1));
  EXPECT_EQ(h.claim(0), 7);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 0}));
}

TEST(FixedPriority, InheritsNothingInItsNextLife) {
  H h;
  h.add(0, {.priority = 5});
  h.pass_on(0, at(1), uint8_t{9});
  ASSERT_EQ(h.dequeue(0, Leave::exited), Links::intact);
  h.add(0, {.priority = 6});
  EXPECT_EQ(h.claim(0), 6);
}

TEST(FixedPriority, OrdersClaimsByLevel) {
  EXPECT_TRUE(FixedPriority::precedes(9, 8));
  EXPECT_FALSE(FixedPriority::precedes(8, 8));
  EXPECT_FALSE(FixedPriority::precedes(8, 9));
  EXPECT_EQ(FixedPriority::join(8, 9), 9);
  EXPECT_EQ(FixedPriority::join(9, 8), 9);
}

TEST(FixedPriority, RefusesAPriorityOutOfRangeAndKeepsTheOldOne) {
  H h;
  ASSERT_TRUE(h.attach(0, {.priority = 7}));
  EXPECT_FALSE(h.attach(0, {.priority = 256}));
  EXPECT_FALSE(h.attach(0, {.priority = UINT16_MAX}));
  EXPECT_EQ(h.attributes(0), (Attributes{.priority = 7}));
  EXPECT_TRUE(h.attach(0, {.priority = 0}));
  EXPECT_TRUE(h.attach(0, {.priority = 255}));
  EXPECT_EQ(h.attributes(0), (Attributes{.priority = 255}));
}

TEST(FixedPriority, ReportsBrokenLinks) {
  H h;
  for (const int e : {0, 1, 2}) h.add(e, {.priority = 9});
  RingLink<FixedPriority>& link = h.entities[1];
  link.prev = &link;
  EXPECT_EQ(h.put_back(0, Pause::yielded), Links::corrupt);
  EXPECT_EQ(h.dequeue(0), Links::corrupt);
  RingLink<FixedPriority>& back = h.entities[2];
  back.next = &link;
  ASSERT_TRUE(h.attach(3, {.priority = 9}));
  EXPECT_EQ(h.enqueue(3), Links::corrupt);
}

TEST(FixedPriority, MatchesALineForEachPriority) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    check_against_model<FixedPriority, Lines>(seed, 3000);
  }
}

// --- With preemption thresholds ---

// The definition: once a task has been chosen it counts as its threshold, until it blocks or its
// turn ends. Of those that count most, one that has been chosen and not yet ended comes first, then
// the one that has waited longest at that level.
struct Jobs {
  using P = FixedPriorityThreshold;
  using H = Harness<P>;
  using Attributes = P::Attributes;

  struct Job {
    int e = H::kNobody;
    Attributes attributes;
    bool started = false;
    int64_t since = 0;  // its place among those of its level
    uint16_t inherited = 0;

    uint16_t counts_as() const {
      return std::max(started ? attributes.threshold : attributes.priority, inherited);
    }
  };

  void configure(P& policy, absl::BitGenRef gen) {
    for (const uint16_t level : kSomeLevels) {
      if (absl::Bernoulli(gen, 0.5)) continue;
      slice[level] = ticks(absl::Uniform<uint64_t>(gen, 1, 100));
      policy.set_slice(static_cast<uint8_t>(level), slice[level]);
    }
  }
  static Attributes random_attributes(absl::BitGenRef gen) {
    switch (absl::Uniform(gen, 0, 12)) {
      case 0: return {.priority = 256, .threshold = 255};
      case 1: return {.priority = 5, .threshold = 256};
      case 2: return {.priority = 100, .threshold = 99};
      case 3: return {.priority = random_level(gen), .threshold = 0};
      default: {
        const uint16_t priority = random_level(gen);
        const uint16_t threshold = random_level(gen);
        return {.priority = priority, .threshold = threshold};
      }
    }
  }
  static std::optional<Attributes> accepts(Attributes attributes) {
    if (attributes.priority > 255 || attributes.threshold > 255) return std::nullopt;
    if (attributes.threshold == 0) attributes.threshold = attributes.priority;
    if (attributes.threshold < attributes.priority) return std::nullopt;
    return attributes;
  }

  std::list<Job>::iterator find(int e) {
    auto job = jobs.begin();
    while (job->e != e) ++job;
    return job;
  }
  size_t company(const Job& of) {
    size_t others = 0;
    for (const Job& job : jobs) others += job.e != of.e && job.counts_as() == of.counts_as();
    return others;
  }
  // Whose inheritance changes has begun as it had before; it comes before its equals.
  void enqueue(int e, const Attributes& attributes, Enter why, Instant) {
    const bool is_same = why == Enter::inherited;
    jobs.push_back({.e = e,
                    .attributes = attributes,
                    .started = is_same && had_started,
                    .since = is_same ? -++clock : ++clock,
                    .inherited = inherited[static_cast<size_t>(e)]});
    if (is_same) left.erase(jobs.back().counts_as());
  }
  void dequeue(int e, Leave why) {
    if (is_first(e)) left.erase(find(e)->counts_as());
    had_started = find(e)->started;
    if (why == Leave::exited) inherited[static_cast<size_t>(e)] = 0;
    jobs.erase(find(e));
  }
  void inherit(int e, std::optional<P::Claim> claims) {
    inherited[static_cast<size_t>(e)] = claims.value_or(0);
  }
  // Of those that count as much.
  bool is_first(int e) {
    const Job& that = *find(e);
    for (const Job& job : jobs) {
      if (job.counts_as() == that.counts_as() && job.since < that.since) return false;
    }
    return true;
  }
  void put_back(int e, Pause why, Instant now) {
    if (why == Pause::preempted) {
      if (end < no_end(at(0)) && is_first(e)) {
        left[find(e)->counts_as()] = std::max(end - now, ticks(1));
      }
      return;
    }
    Job& job = *find(e);
    job.started = false;
    job.since = ++clock;
  }
  Instant end_of_slice(uint16_t of, Instant now) {
    return slice.contains(of) ? now + slice[of] : no_end(now);
  }
  H::Answer pick(Instant now) {
    Job* best = nullptr;
    for (Job& job : jobs) {
      if (best == nullptr || job.counts_as() > best->counts_as() ||
          (job.counts_as() == best->counts_as() && job.since < best->since)) {
        best = &job;
      }
    }
    if (best == nullptr) return {};
    best->started = true;
    const uint16_t level = best->counts_as();
    end = company(*best) == 0    ? no_end(now)
          : left.contains(level) ? now + left[level]
                                 : end_of_slice(level, now);
    left.erase(level);
    return {best->e, end};
  }
  Instant contend(int entered, int current, Instant now) {
    const uint16_t theirs = find(entered)->counts_as();
    const uint16_t ours = find(current)->counts_as();
    if (theirs != ours) return theirs > ours ? now : never;
    for (const Job& job : jobs) {  // one that inherits came before it
      if (job.counts_as() == ours && job.since < find(current)->since) return now;
    }
    if (!slice.contains(ours)) return never;
    const Instant by = end_of_slice(ours, now);
    end = std::min(end, by);
    return by;
  }

  std::list<Job> jobs;
  absl::btree_map<uint16_t, Duration> left;  // of the slice of the first
  Instant end;                               // of the turn
  absl::btree_map<uint16_t, Duration> slice;
  std::array<uint16_t, H::kEntities> inherited{};
  bool had_started = false;  // the last that left
  int64_t clock = 0;
};

using T = Harness<FixedPriorityThreshold>;
using ThresholdAttributes = FixedPriorityThreshold::Attributes;

TEST(Threshold, ShieldsARunningTaskFromThoseNotAboveIt) {
  T h;
  h.add(0, {.priority = 5, .threshold = 10});
  ASSERT_EQ(h.pick().entity, 0);
  h.add(1, {.priority = 9});
  EXPECT_EQ(h.contend(1, 0, at(100)), never);
  h.add(2, {.priority = 10});
  EXPECT_GE(h.contend(2, 0, at(100)), no_end(at(100)));
  h.add(3, {.priority = 11});
  EXPECT_EQ(h.contend(3, 0, at(100)), at(100));
}

TEST(Threshold, DoesNotCountBeforeTheTaskHasStarted) {
  T h;
  h.add(0, {.priority = 6});
  ASSERT_EQ(h.pick().entity, 0);
  h.add(1, {.priority = 5, .threshold = 255});
  EXPECT_EQ(h.contend(1, 0, at(100)), never);
}

TEST(Threshold, LastsWhileTheTaskIsPreempted) {
  T h;
  h.add(0, {.priority = 5, .threshold = 10});
  ASSERT_EQ(h.pick().entity, 0);
  h.add(1, {.priority = 11});
  h.add(2, {.priority = 10});
  h.add(3, {.priority = 9});
  ASSERT_EQ(h.put_back(0, Pause::preempted), Links::intact);
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 0, 2, 3}));
}

TEST(Threshold, EndsWhenTheTaskBlocks) {
  T h;
  h.add(0, {.priority = 5, .threshold = 10});
  h.add(1, {.priority = 5});
  ASSERT_EQ(h.pick().entity, 0);
  ASSERT_EQ(h.dequeue(0, Leave::blocked), Links::intact);
  ASSERT_EQ(h.pick().entity, 1);
  ASSERT_EQ(h.enqueue(0, Enter::woken), Links::intact);
  EXPECT_GE(h.contend(0, 1, at(100)), no_end(at(100)));  // at 5 again
}

TEST(Threshold, EndsWhenTheTaskYieldsOrItsSliceEnds) {
  for (const Pause why : {Pause::yielded, Pause::timed_out}) {
    T h;
    h.add(0, {.priority = 5, .threshold = 10});
    ASSERT_EQ(h.pick().entity, 0);
    h.add(1, {.priority = 9});
    ASSERT_EQ(h.put_back(0, why), Links::intact);
    EXPECT_EQ(h.drain(), (std::vector<int>{1, 0}));
  }
}

TEST(Threshold, UsesTheSliceOfTheLevelThatTheTaskCountsAs) {
  T h;
  h.policy.set_slice(5, ticks(10));
  h.policy.set_slice(10, ticks(20));
  h.add(0, {.priority = 5, .threshold = 10});
  h.add(1, {.priority = 5});
  EXPECT_EQ(h.pick(at(100)), (T::Answer{0, no_end(at(100))}));  // alone at 10
  h.add(2, {.priority = 10});
  EXPECT_EQ(h.contend(2, 0, at(100)), at(120));
}

TEST(Threshold, CountsAsWhatItInheritsWhereThatIsMore) {
  T h;
  h.add(0, {.priority = 5, .threshold = 10});
  h.add(1, {.priority = 4});
  h.pass_on(0, at(1), uint8_t{8});  // above its priority, below its threshold
  EXPECT_EQ(h.claim(0), 8);
  EXPECT_EQ(h.attributes(0), (ThresholdAttributes{.priority = 5, .threshold = 10}));
  h.add(2, {.priority = 7});
  ASSERT_EQ(h.pick().entity, 0);
  h.add(3, {.priority = 9});
  EXPECT_EQ(h.contend(3, 0, at(100)), never);
  h.pass_on(0, at(1), uint8_t{12});  // above both
  h.add(4, {.priority = 11});
  EXPECT_EQ(h.contend(4, 0, at(100)), never);
  ASSERT_EQ(h.put_back(0, Pause::yielded), Links::intact);
  EXPECT_EQ(h.pick().entity, 0);  // also at home it is at 12 now
}

TEST(Threshold, OutlivesWhatWasInherited) {
  // Begun before it inherited, and begun while it did: it counts as its threshold afterwards.
  for (const bool begins_first : {true, false}) {
    T h;
    h.add(0, {.priority = 5, .threshold = 10});
    if (begins_first) {
      ASSERT_EQ(h.pick().entity, 0);
    }
    h.pass_on(0, at(1), uint8_t{12});
    ASSERT_EQ(h.pick().entity, 0);
    h.pass_on(0, at(1));
    h.add(1, {.priority = 9});
    EXPECT_EQ(h.contend(1, 0, at(100)), never) << begins_first;
    EXPECT_EQ(h.pick().entity, 0) << begins_first;
  }
}

TEST(Threshold, DoesNotBeginByInheriting) {
  T h;
  h.add(0, {.priority = 5, .threshold = 10});
  h.add(1, {.priority = 13});
  h.pass_on(0, at(1), uint8_t{12});
  h.pass_on(0, at(1));
  h.add(2, {.priority = 9});
  EXPECT_EQ(h.drain(), (std::vector<int>{1, 2, 0}));
}

TEST(Threshold, RefusesWhatIsOutOfRangeAndKeepsTheOldValues) {
  T h;
  ASSERT_TRUE(h.attach(0, {.priority = 7, .threshold = 9}));
  EXPECT_FALSE(h.attach(0, {.priority = 256, .threshold = 0}));
  EXPECT_FALSE(h.attach(0, {.priority = 1, .threshold = 256}));
  EXPECT_FALSE(h.attach(0, {.priority = 8, .threshold = 7}));
  EXPECT_EQ(h.attributes(0), (ThresholdAttributes{.priority = 7, .threshold = 9}));
  EXPECT_TRUE(h.attach(0, {.priority = 8, .threshold = 8}));
  EXPECT_TRUE(h.attach(0, {.priority = 8}));
  EXPECT_EQ(h.attributes(0), (ThresholdAttributes{.priority = 8, .threshold = 8}));
  EXPECT_TRUE(h.attach(0, {.priority = 255, .threshold = 255}));
}

TEST(Threshold, MatchesJobsThatCountAsTheirThreshold) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    check_against_model<FixedPriorityThreshold, Jobs>(seed, 3000);
  }
}

}  // namespace
}  // namespace sched::test
