// One queue for all CPUs under the scheduler: the most urgent run, on all CPUs together, and nobody
// is lost on the way from one to another.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/global.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

template <typename P>
struct OneQueue : Kernel<Global<P>> {
  explicit OneQueue(hal::sim::Options options) : Kernel<Global<P>>(std::move(options)) {
    for (CpuNumber cpu = 0; cpu < this->count(); ++cpu) this->cpu(cpu).policy().join(queue, cpu);
  }

  Global<P>::Shared queue;
  size_t online = this->count();
};

using Deadlines = BasicEdf<EdfOptions{.admission = Admission::none}>;

template <typename P>
P::Attributes any(std::mt19937_64& gen) {
  const uint64_t number = gen() % 5;
  if constexpr (std::is_same_v<P, FixedPriority>) {
    return {.priority = static_cast<uint16_t>(number)};
  } else {
    return {.runtime = ticks(100 + gen() % 200),
            .period = ticks(1000 + 200 * number),
            .overrun = Overrun::postpone};
  }
}

// Looks before every machine call whether the m most urgent of those that are runnable run. It may
// be otherwise for `patience` after it has changed who these are.
template <typename P>
class MostUrgent {
 public:
  using K = OneQueue<P>;
  using S = K::S;
  using Claim = P::Claim;

  MostUrgent(K& kernel, Duration patience) : kernel_(kernel), patience_(patience) {
    kernel.on_step = [this, before = std::move(kernel.on_step)] {
      before();
      look();
    };
  }

  Duration longest() const { return longest_; }

 private:
  static void sort(std::vector<Claim>& claims) {
    std::sort(claims.begin(), claims.end(),
              [](const Claim& a, const Claim& b) { return P::precedes(a, b); });
  }

  void look() {
    std::vector<Claim> runnable;
    std::vector<Claim> running;
    for (const auto& thread : kernel_.threads) {
      const State state = S::state(thread);
      if (state != State::ready && state != State::running) continue;
      const Claim claim = kernel_.queue.policy().claim(inner(thread));
      runnable.push_back(claim);
      if (state == State::running) running.push_back(claim);
    }
    sort(runnable);
    sort(running);
    const bool has_changed = runnable != runnable_;
    runnable_ = runnable;
    runnable.resize(std::min(runnable.size(), kernel_.online));
    const Instant now = kernel_.world.now();
    if (has_changed || running == runnable) since_ = now;
    longest_ = std::max(longest_, now - since_);
    EXPECT_LE((now - since_).ticks, patience_.ticks) << kernel_.world;
  }

  static const P::Entity& inner(const S::Task& task) {
    return static_cast<const Part<Global<P>, 0, typename P::Entity>&>(task);
  }

  K& kernel_;
  const Duration patience_;
  std::vector<Claim> runnable_;
  Instant since_;
  Duration longest_{};
};

// Takes CPUs offline and brings them back, all but one at most.
template <typename K>
void come_and_go(K& kernel, std::mt19937_64& gen, int rounds) {
  using S = K::S;
  std::vector<bool> is_online(kernel.count(), true);
  for (int round = 0; round < rounds; ++round) {
    S::sleep_for(ticks(gen() % 300));
    const auto cpu = static_cast<CpuNumber>(gen() % kernel.count());
    if (is_online[cpu] && kernel.online == 1) continue;
    // First: the caller itself may have to wait then.
    is_online[cpu] = !is_online[cpu];
    is_online[cpu] ? ++kernel.online : --kernel.online;
    EXPECT_TRUE(is_online[cpu] ? S::bring_online(cpu) : S::take_offline(cpu));
    while (is_online[cpu] && S::is_offline(cpu)) S::sleep_for(ticks(1));
  }
}

// Tasks that work, wait for each other, and change each other's rank, on as many CPUs; of which
// some go, and come back, so many times.
template <typename P>
void run_at_random(uint64_t seed, CpuNumber cpus, Duration kick, Duration patience,
                   Duration& longest, int changes = 0) {
  using K = OneQueue<P>;
  using S = K::S;
  K kernel({.cpus = cpus, .seed = seed, .kick_latency = kick, .steps = 500'000});
  std::mt19937_64 gen(seed);
  constexpr int kTasks = 8;
  constexpr int kRounds = 8;
  std::vector<typename K::Thread*> tasks;
  int left = kTasks;
  for (int i = 0; i < kTasks; ++i) {
    tasks.push_back(&kernel.make(
        "task " + std::to_string(i),
        [&] {
          for (int round = 0; round < kRounds; ++round) {
            Sim::spend(ticks(gen() % 300));
            auto& other = *tasks[gen() % kTasks];
            switch (gen() % 7) {
              case 0: S::sleep_for(ticks(gen() % 200)); break;
              case 1: S::park_until(S::now() + ticks(gen() % 500)); break;
              case 2: S::wake(other); break;
              case 3:
                // Under `Deadlines` it would be held back.
                if (std::is_same_v<P, FixedPriority>) S::yield();
                break;
              case 4: S::retune(other, any<P>(gen)); break;
              case 5:
                if (&other != &S::current() && S::suspend(other)) S::resume(other);
                break;
              case 6: S::cancel_wait(other); break;
            }
          }
          --left;
        },
        any<P>(gen)));
  }
  auto& operator_task =
      kernel.make("operator", [&] { come_and_go(kernel, gen, changes); }, any<P>(gen));
  kernel.boot([&] {
    for (auto* task : tasks) {
      kernel.spawn_on(static_cast<CpuNumber>(gen() % cpus), *task);
    }
    kernel.spawn(operator_task);
  });
  Invariants invariants(kernel);
  MostUrgent<P> most_urgent(kernel, patience);
  kernel.finish();
  invariants.expect_nothing_left();
  longest = std::max(longest, most_urgent.longest());
  EXPECT_EQ(left, 0);
}

template <typename P>
class Ranked : public testing::Test {};
using Policies = testing::Types<FixedPriority, Deadlines>;
TYPED_TEST_SUITE(Ranked, Policies);

// Kicks that take no time: neither does anything else.
TYPED_TEST(Ranked, TheMostUrgentRunAtEveryInstant) {
  constexpr uint64_t kSeeds = std::is_same_v<TypeParam, FixedPriority> ? 240 : 60;
  Duration longest{};
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto cpus = static_cast<CpuNumber>(1 + seed % 4);
    run_at_random<TypeParam>(seed, cpus, {}, {}, longest);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

TYPED_TEST(Ranked, TheMostUrgentRunWhateverCpusThereAre) {
  constexpr uint64_t kSeeds = std::is_same_v<TypeParam, FixedPriority> ? 240 : 60;
  Duration longest{};
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto cpus = static_cast<CpuNumber>(2 + seed % 3);
    run_at_random<TypeParam>(seed, cpus, {}, {}, longest, 20);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

// To a CPU that is to choose, from there to the one that has the task, and the task: and what mail
// there is before, of which each takes a kick to oneself.
TEST(OneQueue, TheMostUrgentRunAfterThreeKicks) {
  constexpr uint64_t kKick = 5;
  Duration longest{};
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    run_at_random<FixedPriority>(seed, 3, ticks(kKick), ticks((3 + 8) * kKick), longest);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
  EXPECT_GE(longest, ticks(3 * kKick));  // it is seen
}

TEST(OneQueue, TheMostUrgentRunSoonAfterACpuHasGoneOrCome) {
  constexpr uint64_t kKick = 5;
  Duration longest{};
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    run_at_random<FixedPriority>(seed, 3, ticks(kKick), ticks((3 + 8) * kKick), longest, 20);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

// The idle CPU that has it is about to go, and takes it no more.
TEST(OneQueue, AWakeReachesWhoTakesTheTask) {
  using K = OneQueue<FixedPriority>;
  using S = K::S;
  K kernel({.cpus = 2, .kick_latency = ticks(10)});
  Instant woken = never;
  auto& urgent = kernel.make("urgent",
                             [&] {
                               EXPECT_EQ(S::here().number, 1);
                               EXPECT_EQ(S::park(), Woken::by_wake);
                               EXPECT_EQ(S::here().number, 0);
                               woken = S::now();
                             },
                             {.priority = 9});
  auto& waker = kernel.make("waker",
                            [&] {
                              Sim::spend(ticks(1000));
                              const Instant now = S::now();
                              EXPECT_TRUE(S::take_offline(1));
                              S::wake(urgent);
                              Sim::spend(ticks(1000));
                              EXPECT_LE(woken, now + ticks(100));
                            },
                            {.priority = 1});
  kernel.boot([&] {
    kernel.spawn(waker);
    kernel.spawn_on(1, urgent);
  });
  kernel.finish();
}

// Turns of one rank go round on all CPUs.
TEST(OneQueue, SharesAllCpusInTurns) {
  using K = OneQueue<RoundRobin>;
  using S = K::S;
  K kernel({.cpus = 2, .interleave = 0});
  for (int i = 0; i < 3; ++i) {
    kernel.make("task", [] { Sim::spend(ticks(2000)); }, {.slice = ticks(100)});
  }
  kernel.boot_with_all();
  kernel.on_finish = [](K::Thread& thread) {
    EXPECT_EQ(S::usage(thread).run, ticks(2000));
    EXPECT_GE(S::now(), at(1000 + 3000 - 300));
    EXPECT_LE(S::now(), at(1000 + 3000 + 200));
  };
  kernel.finish();
}

}  // namespace
}  // namespace sched::test
