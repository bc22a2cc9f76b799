// Real-time scheduling beside its theory: the examples of the literature on the whole scheduler,
// on the simulated machine, to the tick; and thousands of random task sets on the bare policies.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/analysis.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/policy.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

constexpr RealTimeTask task(uint64_t runtime, uint64_t period, uint64_t deadline = 0) {
  return {ticks(runtime), ticks(deadline == 0 ? period : deadline), ticks(period)};
}
using Set = std::vector<RealTimeTask>;

// ---- The whole scheduler --------------------------------------------------------------------

// Instants here count from the first release; one unit of the literature is many ticks, so that a
// budget can be one tick more than a job needs: who uses his up to the last tick is held back, or
// postponed, before he can say that he is done.
constexpr uint64_t kUnit = 1000;
constexpr uint64_t kZero = 1'000'000;
Instant unit(uint64_t t) { return at(kZero + t * kUnit); }
uint64_t units(Instant t) {
  EXPECT_EQ((t.ticks - kZero) % kUnit, 0u) << t.ticks;
  return (t.ticks - kZero) / kUnit;
}
using Numbers = std::vector<uint64_t>;

// When a task had the CPU.
struct Slot {
  uint64_t from;
  uint64_t to;
  size_t task;  // counted from one
  friend bool operator==(const Slot&, const Slot&) = default;
  friend void PrintTo(const Slot& slot, std::ostream* out) {
    *out << "[" << slot.from << "," << slot.to << ")" << slot.task;
  }
};
using Slots = std::vector<Slot>;

// A policy that writes down who ran when.
template <typename P>
class Recorded : public P {
 public:
  using Entity = typename P::Entity;
  struct Run {
    const Entity* entity;
    Instant from;
    Instant to;
  };

  void ran(Entity& current, Instant from, Instant to) {
    if (!runs.empty() && runs.back().entity == &current && runs.back().to == from) {
      runs.back().to = to;
    } else {
      runs.push_back({&current, from, to});
    }
    if constexpr (Charges<P>) P::ran(current, from, to);
  }

  std::vector<Run> runs;
};

// One that also writes down what became of a server's deadline, and with which budget.
class RecordedEdf : public Recorded<Edf> {
 public:
  struct Change {
    Instant when;
    Instant deadline;
    uint64_t budget;
  };

  Links enqueue(Entity& entity, Enter why, Instant now) {
    const Links links = Edf::enqueue(entity, why, now);
    if (why == Enter::woken) note(entity, now);
    return links;
  }
  Links put_back(Entity& entity, Pause why, Instant now) {
    const Links links = Edf::put_back(entity, why, now);
    note(entity, now);
    return links;
  }

  const Entity* watched = nullptr;
  std::vector<Change> changes;

 private:
  void note(const Entity& entity, Instant now) {
    if (&entity != watched) return;
    if (!changes.empty() && changes.back().when == now) changes.pop_back();
    changes.push_back({now, deadline(entity), budget(entity).ticks});
  }
};

// Jobs of one task: when each comes and how long it works.
struct Job {
  uint64_t release;
  uint64_t work;
};
using Jobs = std::vector<Job>;

Jobs periodic(uint64_t work, uint64_t period, uint64_t until) {
  Jobs jobs;
  for (uint64_t t = 0; t < until; t += period) jobs.push_back({t, work});
  return jobs;
}

template <Policy P>
struct Played {
  std::vector<Numbers> finishes;  // of each task, of each job
  Slots slots;
  Numbers misses;
};

// Runs the jobs of some tasks on the whole scheduler.
template <Policy P, typename Check = void (*)(P&)>
Played<P> play(
    const std::vector<std::pair<typename P::Attributes, Jobs>>& tasks, Check check = [](P&) {}) {
  using K = Kernel<P>;
  using S = typename K::S;
  struct Actor {
    typename K::Thread* thread;
    size_t released = 0;
  };
  K kernel;
  Played<P> played;
  played.finishes.resize(tasks.size());
  std::deque<Actor> actors;
  for (size_t i = 0; i < tasks.size(); ++i) {
    actors.push_back({});
    Actor& actor = actors.back();
    actor.thread = &kernel.make(
        std::to_string(i + 1),
        [&actor, &jobs = tasks[i].second] {
          for (size_t job = 0; job < jobs.size(); ++job) {
            while (actor.released <= job) S::park();
            Sim::spend(ticks(jobs[job].work * kUnit));
          }
        },
        tasks[i].first);
    for (const Job& job : tasks[i].second) {
      kernel.world.raise_at(0, static_cast<uint32_t>(i), unit(job.release));
    }
  }
  kernel.on_device = [&](uint32_t line, auto& interrupt) {
    ++actors[line].released;
    interrupt.wake(*actors[line].thread);
  };
  if constexpr (requires(P& p) { p.watched; }) {
    kernel.cpu(0).policy().watched = actors[0].thread;
  }
  kernel.boot([&] {
    for (Actor& actor : actors) kernel.spawn(*actor.thread);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  // A job is done when the task has had the CPU for as long as all jobs up to it work: at that very
  // instant it may lose the CPU, before it could say so.
  Numbers owed(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) owed[i] = tasks[i].second[0].work;
  for (const auto& run : kernel.cpu(0).policy().runs) {
    if (run.from.ticks < kZero) continue;
    for (size_t i = 0; i < actors.size(); ++i) {
      if (run.entity != actors[i].thread) continue;
      uint64_t from = units(run.from);
      const uint64_t to = units(run.to);
      played.slots.push_back({from, to, i + 1});
      Numbers& finishes = played.finishes[i];
      const Jobs& jobs = tasks[i].second;
      while (finishes.size() < jobs.size() && to - from >= owed[i]) {
        finishes.push_back(from += owed[i]);
        if (finishes.size() < jobs.size()) owed[i] = jobs[finishes.size()].work;
      }
      if (finishes.size() < jobs.size()) owed[i] -= to - from;
    }
  }
  if constexpr (requires(P& p) { p.misses(); }) {
    for (const Actor& actor : actors) {
      played.misses.push_back(kernel.cpu(0).policy().misses(*actor.thread));
    }
  }
  check(kernel.cpu(0).policy());
  return played;
}

// The same under fixed priorities: the response time of each one's first job, all coming at once.
Numbers first_responses(Monotonic order, const Set& set) {
  using P = Recorded<FixedPriority>;
  std::vector<uint16_t> priorities(set.size());
  EXPECT_TRUE(assign(order, set, priorities));
  uint64_t longest = 0;
  for (const RealTimeTask& t : set) longest = std::max(longest, t.period.ticks);
  std::vector<std::pair<P::Attributes, Jobs>> tasks;
  for (size_t i = 0; i < set.size(); ++i) {
    tasks.push_back({{.priority = priorities[i]},
                     periodic(set[i].runtime.ticks, set[i].period.ticks, 2 * longest)});
  }
  Numbers responses;
  for (const Numbers& finishes : play<P>(tasks).finishes) responses.push_back(finishes[0]);
  return responses;
}

uint64_t longest_response(const Numbers& finishes, uint64_t period) {
  uint64_t longest = 0;
  for (size_t job = 0; job < finishes.size(); ++job) {
    longest = std::max(longest, finishes[job] - job * period);
  }
  return longest;
}

// And what the analysis says.
Numbers response_times(Monotonic order, const Set& set) {
  std::vector<uint16_t> priorities(set.size());
  EXPECT_TRUE(assign(order, set, priorities));
  Numbers responses;
  for (size_t i = 0; i < set.size(); ++i) {
    const std::optional<Duration> response = response_time(set, priorities, i, ticks(1'000'000));
    responses.push_back(response ? response->ticks : 0);
  }
  return responses;
}

// A tick more than the job needs.
template <typename P>
typename P::Attributes server(const RealTimeTask& t, Overrun overrun = Overrun::throttle) {
  return {.runtime = ticks(t.runtime.ticks * kUnit + 1),
          .deadline = ticks(t.deadline.ticks * kUnit),
          .period = ticks(t.period.ticks * kUnit),
          .overrun = overrun};
}

TEST(Theory, RateMonotonicMissesWhereEarliestDeadlineFirstDoesNot) {
  const Set set = {task(2, 5), task(4, 7)};
  EXPECT_EQ(response_times(Monotonic::rate, set), (Numbers{2, 8}));
  EXPECT_EQ(first_responses(Monotonic::rate, set), (Numbers{2, 8}));  // the deadline was 7

  EXPECT_EQ(demand_fits(set), Verdict::holds);
  using P = Recorded<Edf>;
  const auto played =
      play<P>({{server<P>(set[0]), periodic(2, 5, 14)}, {server<P>(set[1]), periodic(4, 7, 14)}});
  EXPECT_EQ(longest_response(played.finishes[0], 5), 4u);
  EXPECT_EQ(longest_response(played.finishes[1], 7), 6u);
  EXPECT_EQ(played.slots, (Slots{{0, 2, 1}, {2, 6, 2}, {6, 8, 1}, {8, 12, 2}, {12, 14, 1}}));
  EXPECT_EQ(played.misses, (Numbers{0, 0}));
}

TEST(Theory, ResponseTimesUnderRateMonotonicPriorities) {
  for (const auto& [set, expected] : std::vector<std::pair<Set, Numbers>>{
           {{task(20, 100), task(40, 150), task(100, 350)}, {20, 60, 240}},
           {{task(3, 7), task(3, 12), task(5, 20)}, {3, 6, 20}}}) {
    EXPECT_EQ(response_times(Monotonic::rate, set), expected);
    EXPECT_EQ(first_responses(Monotonic::rate, set), expected);
  }
}

TEST(Theory, ResponseTimesUnderDeadlineMonotonicPriorities) {
  const Set set = {task(1, 4, 3), task(1, 5, 4), task(2, 6, 5), task(1, 11, 10)};
  EXPECT_EQ(response_times(Monotonic::deadline, set), (Numbers{1, 2, 4, 10}));
  EXPECT_EQ(first_responses(Monotonic::deadline, set), (Numbers{1, 2, 4, 10}));
}

TEST(Theory, EarliestDeadlineFirstMeetsWhatDemandSaysItCan) {
  const Set set = {task(2, 6, 4), task(2, 8, 5), task(3, 9, 7)};
  using P = Recorded<BasicEdf<EdfOptions{.admission = Admission::none}>>;
  std::vector<std::pair<P::Attributes, Jobs>> tasks;
  for (const RealTimeTask& t : set) {
    tasks.push_back({server<P>(t), periodic(t.runtime.ticks, t.period.ticks, 72)});
  }
  const auto played = play<P>(tasks);
  for (size_t i = 0; i < set.size(); ++i) {
    const uint64_t period = set[i].period.ticks;
    EXPECT_EQ(played.finishes[i].size(), 72 / period);
    EXPECT_LE(longest_response(played.finishes[i], period), set[i].deadline.ticks);
    EXPECT_EQ(played.misses[i], 0u);
  }
  EXPECT_EQ(demand_fits(set), Verdict::holds);
  Numbers demands;
  for (const uint64_t end : {4, 5, 7, 10, 13, 16, 21, 22}) {
    demands.push_back(demand(set, ticks(end)).ticks);
  }
  EXPECT_EQ(demands, (Numbers{2, 4, 7, 9, 11, 16, 18, 20}));
}

TEST(Theory, AConstantBandwidthServerPostponesItsDeadline) {
  using P = RecordedEdf;
  const P::Attributes soft = {
      .runtime = ticks(3 * kUnit), .period = ticks(8 * kUnit), .overrun = Overrun::postpone};
  const auto played = play<P>({{soft, {{3, 4}, {13, 3}}},  //
                               {server<P>(task(4, 7)), periodic(4, 7, 21)}},
                              [](P& policy) {
                                std::vector<std::pair<uint64_t, uint64_t>> changes;
                                std::vector<uint64_t> budgets;
                                for (const P::Change& change : policy.changes) {
                                  if (change.when.ticks < kZero) continue;
                                  changes.push_back({units(change.when), units(change.deadline)});
                                  budgets.push_back(change.budget / kUnit);
                                }
                                EXPECT_EQ(changes, (std::vector<std::pair<uint64_t, uint64_t>>{
                                                       {3, 11}, {7, 19}, {13, 19}, {15, 27}}));
                                EXPECT_EQ(budgets, (Numbers{3, 3, 2, 3}));
                              });
  EXPECT_EQ(played.finishes[0], (Numbers{12, 20}));
  EXPECT_EQ(played.finishes[1], (Numbers{4, 11, 19}));
  EXPECT_EQ(
      played.slots,
      (Slots{
          {0, 4, 2}, {4, 7, 1}, {7, 11, 2}, {11, 12, 1}, {13, 15, 1}, {15, 19, 2}, {19, 20, 1}}));
  EXPECT_EQ(played.misses, (Numbers{2, 0}));  // 11 and 19, which it was given
}

// A task that is periodic by itself: it yields when a job is done. Its runtime is enough for that.
TEST(Theory, AYieldWaitsForTheNextPeriod) {
  Kernel<Edf> kernel;
  using S = decltype(kernel)::S;
  Numbers begins;
  auto& periodic = kernel.make("periodic",
                               [&] {
                                 for (int job = 0; job < 4; ++job) {
                                   begins.push_back(S::now().ticks);
                                   Sim::spend(ticks(20 + 5 * static_cast<uint64_t>(job)));
                                   S::yield();
                                 }
                               },
                               {.runtime = ticks(40), .period = ticks(100)});
  auto& greedy = kernel.make("greedy", [] { Sim::spend(ticks(300)); },
                             {.runtime = ticks(10), .period = ticks(20)});
  kernel.boot([&] {
    kernel.spawn(periodic);
    kernel.spawn(greedy);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(begins, (Numbers{20, 120, 220, 320}));  // behind the shorter deadline, each time
  EXPECT_EQ(kernel.cpu(0).policy().misses(periodic), 0u);
  EXPECT_EQ(kernel.cpu(0).policy().reserved(), Bandwidth{});  // all have gone
}

TEST(Theory, ASpawnThatIsNotAdmittedIsRefused) {
  Kernel<Edf> kernel;
  const Edf::Attributes most = {.runtime = ticks(6), .period = ticks(10)};
  auto& first = kernel.make("first", [] { Sim::spend(ticks(5)); }, most);
  auto& second = kernel.make("second", [] { Sim::spend(ticks(5)); }, most);
  kernel.on_finish = [&](auto& thread) {
    if (&thread == &first) kernel.spawn(second);
  };
  kernel.boot([&] {
    kernel.spawn(first);
    EXPECT_EQ(kernel.try_spawn(second).error(), SpawnError::bad_attributes);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(second.finishes, 1);
}

// ---- Random task sets, on the bare policies -------------------------------------------------

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
