// Real-time scheduling beside its theory: thousands of random task sets on the bare policies.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/analysis.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/policy.h"
#include "tests/sched/kernel.h"
#include "tests/sched/theory_kit.h"

namespace sched::test {
namespace {

// What somebody does who has worked for a while.
enum class Then : uint8_t {
  ends,      // the job is done: until the next one
  suspends,  // it is not, but waits for something
  yields,    // the next one follows at once, as far as the policy lets it
};

// Drives a policy as sched/policy/policy.h promises, with jobs that come, work and block. What
// happens at the same instant: who is done blocks, then jobs come, then the timer fires.
template <Policy P>
class Bare : public Mechanism {
 public:
  using Mechanism::detached;

  struct Actor {
    typename P::Entity entity;
    Instant next;       // when its next job comes, or its suspended one goes on
    uint64_t left = 0;  // of the job that it is at
    bool is_at_work = false;
    Instant released;
    uint64_t longest = 0;  // response
    bool missed = false;   // a job that was not done `deadline` after its release
    Duration deadline;
  };

  explicit Bare(size_t count) : actors(count) {}

  bool admit(size_t i, const typename P::Attributes& attributes, Instant now = at(1)) {
    if (!policy.attach(detached(actors[i].entity), attributes)) return false;
    EXPECT_EQ(policy.enqueue(actors[i].entity, Enter::created, now), Links::intact);
    EXPECT_EQ(policy.dequeue(actors[i].entity, Leave::blocked, now), Links::intact);
    return true;
  }

  // `on_release(i, now)`: a job of actor i comes; sets `left`, and `deadline` if it has one.
  // `on_done(i, now)`: it has worked that long; what now. Sets `next` unless it yields.
  template <typename OnRelease, typename OnDone>
  void run(Instant end, OnRelease on_release, OnDone on_done) {
    Actor* current = nullptr;
    Instant charged;
    Instant until = never;
    Instant now = at(1);
    const auto charge = [&] {
      if constexpr (Charges<P>) {
        if (current != nullptr && now > charged) policy.ran(current->entity, charged, now);
      }
      charged = now;
    };
    while (now < end) {
      Instant then = until;
      for (const Actor& actor : actors) {
        if (!actor.is_at_work) then = std::min(then, actor.next);
      }
      if (current != nullptr) then = std::min(then, now + ticks(current->left));
      if (then == never) return;
      ASSERT_GE(then, now);
      if (current != nullptr) current->left -= (then - now).ticks;
      now = then;
      charge();
      bool due = current == nullptr;
      if (current != nullptr && current->left == 0) {
        Actor& actor = *current;
        const Then then = on_done(index_of(actor), now);
        if (then == Then::yields) {
          EXPECT_EQ(policy.put_back(actor.entity, Pause::yielded, now), Links::intact);
          on_release(index_of(actor), now);
        } else {
          EXPECT_EQ(policy.dequeue(actor.entity, Leave::blocked, now), Links::intact);
          actor.is_at_work = false;
        }
        current = nullptr;
        due = true;
        if (then == Then::ends) {
          const Duration response = now - actor.released;
          actor.longest = std::max(actor.longest, response.ticks);
          if (response > actor.deadline) actor.missed = true;
        }
      }
      for (Actor& actor : actors) {
        if (actor.is_at_work || actor.next > now) continue;
        actor.is_at_work = true;
        on_release(index_of(actor), now);
        EXPECT_EQ(policy.enqueue(actor.entity, Enter::woken, now), Links::intact);
        if (current != nullptr) {
          const Instant by = policy.contend(actor.entity, current->entity, now);
          due |= by <= now;
          until = std::min(until, by);
        }
      }
      const bool timed_out = now >= until;
      if (!due && !timed_out) continue;
      if (current != nullptr) {
        EXPECT_EQ(
            policy.put_back(current->entity, timed_out ? Pause::timed_out : Pause::preempted, now),
            Links::intact);
      }
      const auto choice = policy.pick(now);
      ASSERT_GT(choice.until, now);
      until = choice.until;
      current = nullptr;
      for (Actor& actor : actors) {
        if (&actor.entity == choice.entity) current = &actor;
      }
    }
    // Who is not done yet, and should be.
    for (Actor& actor : actors) {
      if (actor.is_at_work && now - actor.released > actor.deadline) actor.missed = true;
    }
  }

  bool anybody_missed() const {
    return std::any_of(actors.begin(), actors.end(), [](const Actor& a) { return a.missed; });
  }

  P policy;
  std::vector<Actor> actors;

 private:
  size_t index_of(const Actor& actor) const { return static_cast<size_t>(&actor - actors.data()); }
};

using Random = std::mt19937_64;

uint64_t between(Random& random, uint64_t low, uint64_t high) {
  return low + random() % (high - low + 1);
}
double unit_interval(Random& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// Periods that have a small common multiple.
constexpr std::array<uint64_t, 14> kPeriods = {4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 40, 60, 80};
constexpr uint64_t kMultiple = 240;

// UUniFast (Bini and Buttazzo, "Measuring the Performance of Schedulability Tests", 2005):
// utilisations that sum up to `total`, all such sets equally likely; to whole ticks.
Set uunifast(Random& random, size_t count, double total, bool constrained) {
  Set set;
  double rest = total;
  for (size_t i = 0; i < count; ++i) {
    const double next = i + 1 == count ? 0
                                       : rest * std::pow(unit_interval(random),
                                                         1.0 / static_cast<double>(count - 1 - i));
    const uint64_t period = kPeriods[random() % kPeriods.size()];
    const uint64_t runtime = std::clamp<uint64_t>(
        static_cast<uint64_t>(std::lround((rest - next) * static_cast<double>(period))), 1, period);
    rest = next;
    set.push_back(task(runtime, period, constrained ? between(random, runtime, period) : period));
  }
  return set;
}

std::string text_of(const Set& set) {
  std::string text;
  for (const RealTimeTask& t : set) {
    text += "(" + std::to_string(t.runtime.ticks) + "," + std::to_string(t.period.ticks) + ",D" +
            std::to_string(t.deadline.ticks) + ")";
  }
  return text;
}

// Lets the jobs of `set` come, the first ones at once and then each a period after the last; or,
// with `slack`, up to so much later each time.
template <Policy P>
void release(Bare<P>& bare, const Set& set, Random& random, uint64_t slack, Duration length) {
  const Instant first = at(1000);
  for (size_t i = 0; i < set.size(); ++i) {
    bare.actors[i].deadline = set[i].deadline;
    bare.actors[i].next = first + ticks(between(random, 0, slack));
  }
  bare.run(
      first + length,
      [&](size_t i, Instant now) {
        bare.actors[i].left = set[i].runtime.ticks;
        // When it should have come: one before took longer than a period.
        bare.actors[i].released = std::min(bare.actors[i].next, now);
      },
      [&](size_t i, Instant) {
        bare.actors[i].next =
            bare.actors[i].released + set[i].period + ticks(between(random, 0, slack));
        return Then::ends;
      });
}

TEST(RandomSets, ResponseTimesAreThoseOfTheAnalysis) {
  Random random(1);
  int schedulable = 0;
  for (int round = 0; round < 3000 && !testing::Test::HasFailure(); ++round) {
    const Set set =
        uunifast(random, between(random, 2, 7), 0.4 + 0.6 * unit_interval(random), round % 2 == 0);
    SCOPED_TRACE(text_of(set));
    std::vector<uint16_t> priorities(set.size());
    ASSERT_TRUE(assign(Monotonic::deadline, set, priorities));
    Bare<FixedPriority> together(set.size());
    Bare<FixedPriority> apart(set.size());
    for (size_t i = 0; i < set.size(); ++i) {
      ASSERT_TRUE(together.admit(i, {.priority = priorities[i]}));
      ASSERT_TRUE(apart.admit(i, {.priority = priorities[i]}));
    }
    release(together, set, random, 0, ticks(kMultiple));
    release(apart, set, random, 7, ticks(4 * kMultiple));
    bool all = true;
    for (size_t i = 0; i < set.size(); ++i) {
      const std::optional<Duration> response = response_time(set, priorities, i, set[i].deadline);
      if (response && all) {
        EXPECT_EQ(together.actors[i].longest, response->ticks) << i;
        EXPECT_LE(apart.actors[i].longest, response->ticks) << i;
        EXPECT_FALSE(apart.actors[i].missed) << i;
      } else if (!response) {
        EXPECT_TRUE(together.actors[i].missed) << i;
        all = false;
      }
    }
    EXPECT_EQ(all, meets_deadlines(set, priorities));
    schedulable += all;
  }
  EXPECT_GT(schedulable, 500);
  EXPECT_LT(schedulable, 2500);
}

TEST(RandomSets, DeadlinesAreMissedExactlyWhenDemandSaysSo) {
  using P = BasicEdf<EdfOptions{.admission = Admission::none}>;
  Random random(2);
  int feasible = 0;
  for (int round = 0; round < 4000 && !testing::Test::HasFailure(); ++round) {
    const Set set =
        uunifast(random, between(random, 2, 7), 0.6 + 0.5 * unit_interval(random), round % 4 != 0);
    SCOPED_TRACE(text_of(set));
    // From the definition: every instant up to the common multiple.
    bool fits = utilisation_fits(set) == Verdict::holds;
    for (uint64_t end = 1; end <= 2 * kMultiple && fits; ++end) {
      fits = demand(set, ticks(end)).ticks <= end;
    }
    EXPECT_EQ(demand_fits(set), fits ? Verdict::holds : Verdict::fails);

    const auto attributes = [&](size_t i) {
      return EdfExact::Attributes{
          .runtime = set[i].runtime, .deadline = set[i].deadline, .period = set[i].period};
    };
    Bare<P> together(set.size());
    Bare<P> apart(set.size());
    Bare<EdfExact> exact(set.size());
    bool admitted = true;
    for (size_t i = 0; i < set.size(); ++i) {
      const auto [runtime, deadline, period, overrun] = attributes(i);
      ASSERT_TRUE(together.admit(i, {runtime, deadline, period}));
      ASSERT_TRUE(apart.admit(i, {runtime, deadline, period}));
      if (!exact.policy.attach(Bare<EdfExact>::detached(exact.actors[i].entity), attributes(i))) {
        admitted = false;
      }
    }
    EXPECT_EQ(admitted, fits);
    release(together, set, random, 0, ticks(3 * kMultiple));
    EXPECT_EQ(together.anybody_missed(), !fits);
    EXPECT_EQ(together.policy.misses() != 0, !fits);
    if (fits) {
      release(apart, set, random, 9, ticks(5 * kMultiple));
      EXPECT_FALSE(apart.anybody_missed());
      EXPECT_EQ(apart.policy.misses(), 0u);
    }
    feasible += fits;
  }
  EXPECT_GT(feasible, 1000);
  EXPECT_LT(feasible, 3000);
}

// Half of the tasks keep to what they have reserved and must never miss a deadline; the others do
// as they like: work too long, come too early, wait in the middle, yield.
template <EdfOptions kOptions>
void check_isolation(uint64_t seed, bool constrained) {
  using P = BasicEdf<kOptions>;
  Random random(seed);
  int admitted = 0;
  uint64_t misdeeds = 0;
  for (int round = 0; round < 2000 && !testing::Test::HasFailure(); ++round) {
    const size_t count = between(random, 2, 6);
    const Set set = uunifast(random, count, 0.7 + 0.3 * unit_interval(random), constrained);
    SCOPED_TRACE(text_of(set) + " in round " + std::to_string(round));
    Bare<P> bare(set.size());
    bool all = true;
    for (size_t i = 0; i < count; ++i) {
      all &= bare.admit(i, {.runtime = set[i].runtime,
                            .deadline = set[i].deadline,
                            .period = set[i].period,
                            .overrun = random() % 2 ? Overrun::throttle : Overrun::postpone});
    }
    if (!all) continue;
    ++admitted;
    const size_t honest = (count + 1) / 2;
    const Instant first = at(1000);
    // Budgets that are reclaimed end between two ticks, and each may be ahead by the rest of one.
    const uint64_t rest = kOptions.reclaims ? count - 1 : 0;
    for (size_t i = 0; i < count; ++i) {
      bare.actors[i].next = first + ticks(between(random, 0, 5));
      bare.actors[i].deadline = i < honest ? ticks(set[i].deadline.ticks + rest) : forever;
    }
    bare.run(
        first + ticks(2000),
        [&](size_t i, Instant now) {
          const uint64_t runtime = set[i].runtime.ticks;
          bare.actors[i].left = i < honest ? runtime : between(random, 1, 3 * runtime);
          bare.actors[i].released = now;
        },
        [&](size_t i, Instant now) {
          if (i < honest) {
            const bool late = random() % 2;
            bare.actors[i].next = bare.actors[i].released + set[i].period +
                                  ticks(late ? between(random, 0, set[i].period.ticks) : 0);
            return Then::ends;
          }
          ++misdeeds;
          if (random() % 4 == 0) return Then::yields;
          bare.actors[i].next = now + ticks(between(random, 0, set[i].period.ticks / 2));
          return Then::suspends;
        });
    for (size_t i = 0; i < honest; ++i) {
      EXPECT_FALSE(bare.actors[i].missed) << i;
      if (rest == 0) {
        EXPECT_EQ(bare.policy.misses(bare.actors[i].entity), 0u) << i;
      }
    }
  }
  EXPECT_GT(admitted, 100);
  EXPECT_GT(misdeeds, 5000u);
}

TEST(RandomSets, AServerDelaysNobody) { check_isolation<EdfOptions{}>(3, false); }
TEST(RandomSets, AServerWithAShorterDeadlineDelaysNobody) {
  check_isolation<EdfOptions{}>(4, true);
}
TEST(RandomSets, AServerDelaysNobodyWhoseAdmissionIsExact) {
  using enum Admission;
  check_isolation<EdfOptions{.admission = demand}>(5, false);
  check_isolation<EdfOptions{.admission = demand}>(6, true);
}
TEST(RandomSets, AServerThatReclaimsDelaysNobody) {
  check_isolation<EdfOptions{.reclaims = true}>(7, false);
  check_isolation<EdfOptions{.reclaims = true}>(8, true);
}

// All tasks want the CPU all the time: each gets its runtime in every period, within its deadline,
// and not a tick more.
template <EdfOptions kOptions>
void check_guarantee(uint64_t seed) {
  using P = Recorded<BasicEdf<kOptions>>;
  Random random(seed);
  int admitted = 0;
  for (int round = 0; round < 1000 && !testing::Test::HasFailure(); ++round) {
    const Set set =
        uunifast(random, between(random, 1, 6), 0.3 + 0.7 * unit_interval(random), round % 2 == 0);
    SCOPED_TRACE(text_of(set));
    Bare<P> bare(set.size());
    bool all = true;
    for (size_t i = 0; i < set.size(); ++i) {
      all &= bare.admit(
          i, {.runtime = set[i].runtime, .deadline = set[i].deadline, .period = set[i].period});
    }
    if (!all) continue;
    ++admitted;
    std::vector<uint64_t> first(set.size());
    for (size_t i = 0; i < set.size(); ++i) {
      first[i] = between(random, 1000, 1100);
      bare.actors[i].next = at(first[i]);
      bare.actors[i].deadline = forever;
    }
    constexpr uint64_t kEnd = 2000;
    bare.run(
        at(kEnd), [&](size_t i, Instant) { bare.actors[i].left = uint64_t{1} << 40; },
        [](size_t, Instant) { return Then::ends; });
    for (size_t i = 0; i < set.size(); ++i) {
      const uint64_t period = set[i].period.ticks;
      std::vector<uint64_t> had((kEnd - first[i]) / period);
      for (const auto& run : bare.policy.runs) {
        if (run.entity != &bare.actors[i].entity) continue;
        for (uint64_t t = run.from.ticks; t < run.to.ticks; ++t) {
          const uint64_t since = t - first[i];
          if (since / period >= had.size()) break;
          EXPECT_LT(since % period, set[i].deadline.ticks) << i;
          ++had[since / period];
        }
      }
      EXPECT_EQ(had, std::vector<uint64_t>(had.size(), set[i].runtime.ticks)) << i;
    }
  }
  EXPECT_GT(admitted, 300);
}

TEST(RandomSets, AServerGetsWhatItHasReserved) {
  check_guarantee<EdfOptions{}>(9);
  check_guarantee<EdfOptions{.admission = Admission::demand}>(10);
}

}  // namespace
}  // namespace sched::test
