// Real-time scheduling beside its theory: the examples of the literature on the whole scheduler, on
// the simulated machine, to the tick.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <ostream>
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
#include "tests/sched/theory_kit.h"

namespace sched::test {
namespace {

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

}  // namespace
}  // namespace sched::test
