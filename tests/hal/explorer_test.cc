// That the explorer finds what is there to be found, visits everything once, and says when it did.
// Built as explored tests are (tests/explore/defs.bzl).

#include "hal/sim/explorer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"

namespace hal::sim {
namespace {

using M = Machine;

// ---- The tree of choices ----

TEST(Explorer, VisitsEveryPathOfATreeOnce) {
  Explorer explorer;
  std::set<std::string> seen;
  while (explorer.next()) {
    // The second decision depends on the first.
    const uint64_t first = explorer.choose(3);
    explorer.choose(first + 1);
    explorer.choose(2);
    EXPECT_TRUE(seen.insert(explorer.schedule()).second) << explorer.schedule();
    EXPECT_FALSE(explorer.complete());
  }
  EXPECT_TRUE(explorer.complete());
  EXPECT_EQ(explorer.runs(), 12u);
  EXPECT_EQ(seen.size(), 12u);
  EXPECT_TRUE(seen.contains("2*2 1"));
  EXPECT_FALSE(explorer.next());
}

TEST(Explorer, RunsOnceWhereThereIsNothingToDecide) {
  Explorer explorer;
  while (explorer.next()) EXPECT_EQ(explorer.choose(1), 0u);
  EXPECT_TRUE(explorer.complete());
  EXPECT_EQ(explorer.runs(), 1u);
}

TEST(Explorer, GivesUpAfterTheLimit) {
  Explorer explorer({.runs = 10});
  while (explorer.next()) explorer.choose(1000);
  EXPECT_FALSE(explorer.complete());
  EXPECT_EQ(explorer.runs(), 10u);
}

TEST(ExplorerDeathTest, RefusesAScenarioThatVaries) {
  EXPECT_DEATH(
      {
        Explorer explorer;
        explorer.next();
        explorer.choose(2);
        explorer.next();
        explorer.choose(3);
      },
      "depends on something besides its schedule");
}

TEST(ExplorerDeathTest, RefusesWhatIsNoSchedule) {
  EXPECT_DEATH(Explorer({.replay = "0*3 x"}), "this is no schedule: 0\\*3 x");
}

// ---- Programs ----

// Runs one schedule of bodies that each have a CPU.
Outcome run(Explorer& explorer, const std::vector<std::function<void()>>& bodies) {
  World world({.cpus = static_cast<CpuNumber>(bodies.size()),
               .explorer = &explorer,
               .boot_stack = size_t{64} * 1024});
  for (size_t i = 0; i < bodies.size(); ++i) world.boot(static_cast<CpuNumber>(i), bodies[i]);
  return world.run();
}

// Two CPUs add to a number in two steps each; returns every result that some schedule has.
std::set<int> sums(Explorer& explorer) {
  std::set<int> results;
  while (explorer.next()) {
    std::atomic<int> number = 0;
    const auto add = [&] { number = number + 1; };
    const Outcome outcome = run(explorer, {add, add});
    if (outcome == End::cut) continue;
    EXPECT_EQ(outcome, End::quiet);
    results.insert(number);
  }
  return results;
}

TEST(Explorer, FindsALostUpdate) {
  Explorer explorer;
  EXPECT_EQ(sums(explorer), (std::set<int>{1, 2}));
  EXPECT_TRUE(explorer.complete());
  EXPECT_EQ(explorer.interleavings(), 4u);  // whose load, and whose store, are first
}

TEST(Explorer, TakesNoTurnFromACpuWithoutPreemptions) {
  Explorer explorer({.preemptions = 0});
  EXPECT_EQ(sums(explorer), (std::set<int>{2}));
  EXPECT_TRUE(explorer.complete());
}

TEST(Explorer, FindsALostUpdateWithOnePreemption) {
  Explorer explorer({.preemptions = 1});
  EXPECT_EQ(sums(explorer), (std::set<int>{1, 2}));
  EXPECT_TRUE(explorer.complete());
}

TEST(Explorer, FindsALostUpdateAtRandom) {
  Explorer explorer({.walks = 100});
  EXPECT_EQ(sums(explorer), (std::set<int>{1, 2}));
  EXPECT_FALSE(explorer.complete());
  EXPECT_EQ(explorer.runs(), 100u);
}

TEST(Explorer, RunsAScheduleAgain) {
  std::string lost;
  Explorer explorer;
  while (explorer.next()) {
    std::atomic<int> number = 0;
    const auto add = [&] { number = number + 1; };
    run(explorer, {add, add});
    if (number == 1) lost = explorer.schedule();
  }
  ASSERT_NE(lost, "");
  Explorer again({.replay = lost});
  EXPECT_EQ(sums(again), (std::set<int>{1}));
  EXPECT_EQ(again.runs(), 1u);
}

// What touches different objects, or only reads, commutes.
TEST(Explorer, RunsOnceWhatCommutes) {
  Explorer explorer;
  while (explorer.next()) {
    std::array<std::atomic<int>, 3> numbers = {};
    std::atomic<int> common = 7;
    const auto add = [&](size_t i) {
      for (int n = 0; n < 10; ++n) numbers[i].fetch_add(common);
    };
    EXPECT_EQ(run(explorer, {[&] { add(0); }, [&] { add(1); }, [&] { add(2); }}), End::quiet);
    for (const auto& number : numbers) EXPECT_EQ(number, 70);
  }
  EXPECT_TRUE(explorer.complete());
  EXPECT_EQ(explorer.runs(), 1u);
}

// ---- Against every schedule, without any reduction ----

// A random program of a few atomic operations on two words, for each CPU.
struct Program {
  struct Operation {
    bool is_store;  // else an addition of what was read last
    size_t word;
    uint64_t value;
  };
  std::vector<std::vector<Operation>> cpus;

  explicit Program(uint64_t seed) {
    std::mt19937_64 random(seed);
    for (size_t cpu = 0; cpu < 3; ++cpu) {
      auto& operations = cpus.emplace_back();
      for (uint64_t i = 0, count = 1 + random() % 3; i < count; ++i) {
        const bool is_store = random() % 2 == 0;
        uint64_t word = random() % 2;
        // To read the same again and again is to wait for a change.
        if (!is_store && i > 0 && !operations.back().is_store) word = 1 - operations.back().word;
        operations.push_back({is_store, word, 1 + cpu * 100 + i * 10});
      }
    }
  }
};

// All that is different in the end: both words, and what each CPU has read.
using State = std::array<uint64_t, 5>;

template <typename Word>
void apply(const Program::Operation& operation, Word& word, uint64_t& read) {
  if (operation.is_store) {
    word = operation.value + read;
  } else {
    read += word;
  }
}

// `left`: so often may a CPU lose its turn; `last` had it.
void all_states(const Program& program, std::array<size_t, 3> at, const State& state, size_t last,
                uint32_t left, std::set<State>& states) {
  bool is_end = true;
  for (size_t cpu = 0; cpu < 3; ++cpu) {
    if (at[cpu] == program.cpus[cpu].size()) continue;
    is_end = false;
    State next = state;
    const Program::Operation& operation = program.cpus[cpu][at[cpu]];
    apply(operation, next[operation.word], next[2 + cpu]);
    const bool takes_turn = cpu != last && last < 3 && at[last] < program.cpus[last].size();
    if (takes_turn && left == 0) continue;
    std::array<size_t, 3> next_at = at;
    ++next_at[cpu];
    all_states(program, next_at, next, cpu, left - (takes_turn ? 1 : 0), states);
  }
  if (is_end) states.insert(state);
}

// What the explorer finds, and in how many runs.
std::set<State> found_states(const Program& program, Explorer& explorer) {
  std::set<State> found;
  while (explorer.next()) {
    std::array<std::atomic<uint64_t>, 2> words = {};
    std::array<uint64_t, 3> reads = {};
    std::vector<std::function<void()>> bodies;
    for (size_t cpu = 0; cpu < 3; ++cpu) {
      bodies.emplace_back([&, cpu] {
        for (const auto& operation : program.cpus[cpu]) {
          apply(operation, words[operation.word], reads[cpu]);
        }
      });
    }
    if (run(explorer, bodies) == End::cut) continue;
    found.insert({words[0], words[1], reads[0], reads[1], reads[2]});
  }
  EXPECT_TRUE(explorer.complete());
  return found;
}

TEST(Explorer, FindsEveryStateThatSomeScheduleHas) {
  uint64_t runs = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Program program(seed);
    std::set<State> expected;
    all_states(program, {}, {}, 3, 100, expected);
    Explorer explorer;
    ASSERT_EQ(found_states(program, explorer), expected) << seed;
    runs += explorer.runs();
  }
  EXPECT_LT(runs, 300u * 100);  // every schedule would be up to 1680
}

TEST(Explorer, FindsEveryStateThatSomeScheduleWithinTheBoundHas) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    for (const uint32_t preemptions : {0, 1, 2}) {
      const Program program(seed);
      std::set<State> expected;
      all_states(program, {}, {}, 3, preemptions, expected);
      Explorer explorer({.preemptions = preemptions});
      const std::set<State> found = found_states(program, explorer);
      ASSERT_TRUE(std::includes(found.begin(), found.end(), expected.begin(), expected.end()))
          << seed << ", " << preemptions;
    }
  }
}

// ---- Waiting ----

// A lock that spins: no schedule is endless, and each lets one in at a time.
TEST(Explorer, LetsNobodySpinWhileAnotherCanGoOn) {
  Explorer explorer;
  while (explorer.next()) {
    std::atomic<bool> busy = false;
    int inside = 0;
    const auto enter = [&] {
      while (busy.exchange(true, std::memory_order_acquire)) M::relax();
      EXPECT_EQ(++inside, 1);
      --inside;
      busy.store(false, std::memory_order_release);
    };
    const Outcome outcome = run(explorer, {enter, enter});
    if (outcome != End::cut) ASSERT_EQ(outcome, End::quiet) << explorer.story();
  }
  EXPECT_TRUE(explorer.complete());
}

TEST(Explorer, SaysThatACpuSpinsForEver) {
  Explorer explorer;
  ASSERT_TRUE(explorer.next());
  std::atomic<bool> flag = false;
  EXPECT_EQ(run(explorer, {[&] {
                  while (!flag.load()) continue;
                }}),
            End::steps);
}

// The classical lost wake-up: a CPU decides that there is nothing to do, and waits. Masked, the
// kick stays pending; unmasked for a moment in between, its handler may run too early, and the CPU
// sleeps for ever. `broken` does that.
bool sleeps_for_ever(Explorer& explorer, bool broken) {
  while (explorer.next()) {
    std::atomic<bool> work = false;
    bool done = false;
    M::Local locals[2];
    World world({.cpus = 2, .explorer = &explorer, .interrupt = [](Interrupt) { return false; }});
    world.boot(0, [&] {
      M::start_cpu(locals[0], 0);
      while (!work) {
        if (broken) {
          M::unmask(M::kUnmasked);
          M::mask();
        }
        M::wait();
        M::unmask(M::kUnmasked);
        M::mask();
      }
      done = true;
    });
    world.boot(1, [&] {
      M::start_cpu(locals[1], 1);
      work = true;
      M::kick(0);
    });
    const Outcome outcome = world.run();
    if (outcome == End::cut) continue;
    EXPECT_EQ(outcome, End::quiet);
    if (!done) return true;
  }
  return false;
}

TEST(Explorer, FindsALostWakeUp) {
  Explorer explorer;
  EXPECT_TRUE(sleeps_for_ever(explorer, /*broken=*/true));
}

TEST(Explorer, ShowsThatThereIsNone) {
  Explorer explorer;
  EXPECT_FALSE(sleeps_for_ever(explorer, /*broken=*/false));
  EXPECT_TRUE(explorer.complete());
}

// A timer comes before, between or after what its CPU does, and what another one does.
TEST(Explorer, LetsATimerComeAtAnyMoment) {
  std::set<int> seen;
  Explorer explorer;
  while (explorer.next()) {
    std::atomic<int> step = 0;
    int at_interrupt = -1;
    M::Local local;
    World world({.explorer = &explorer, .interrupt = [&](Interrupt) {
                   M::arm(never);
                   at_interrupt = step;
                   return false;
                 }});
    world.boot(0, [&] {
      M::start_cpu(local, 0);
      M::arm(Instant{1000});
      M::unmask(M::kUnmasked);
      step = 1;
      step = 2;
      M::mask();
      M::wait();
      M::unmask(M::kUnmasked);
    });
    const Outcome outcome = world.run();
    if (outcome == End::cut) continue;
    ASSERT_EQ(outcome, End::quiet);
    seen.insert(at_interrupt);
  }
  EXPECT_EQ(seen, (std::set<int>{0, 1, 2}));
}

// ---- Races ----

// A message in plain memory, and a flag. Says whether some schedule has a race.
bool has_race(std::memory_order store, std::memory_order load) {
  Explorer explorer;
  while (explorer.next()) {
    std::atomic<bool> flag = false;
    int message = 0;
    const Outcome outcome = run(explorer, {[&] {
                                             message = 7;
                                             flag.store(true, store);
                                           },
                                           [&] {
                                             if (flag.load(load)) EXPECT_EQ(message, 7);
                                           }});
    if (outcome == End::race) {
      EXPECT_NE(outcome.rule.find("data race: write by CPU 0"), std::string::npos) << outcome.rule;
      return true;
    }
  }
  return false;
}

TEST(Races, AreWhereAnOrderIsTooWeak) {
  EXPECT_FALSE(has_race(std::memory_order_release, std::memory_order_acquire));
  EXPECT_TRUE(has_race(std::memory_order_relaxed, std::memory_order_acquire));
  EXPECT_TRUE(has_race(std::memory_order_release, std::memory_order_relaxed));
}

// The same by fences; each of the two can be left out.
bool has_race_with_fences(bool releases, bool acquires) {
  Explorer explorer;
  while (explorer.next()) {
    std::atomic<bool> flag = false;
    int message = 0;
    const Outcome outcome = run(explorer, {[&] {
                                             message = 7;
                                             if (releases)
                                               std::atomic_thread_fence(std::memory_order_release);
                                             flag.store(true, std::memory_order_relaxed);
                                           },
                                           [&] {
                                             if (!flag.load(std::memory_order_relaxed)) return;
                                             if (acquires)
                                               std::atomic_thread_fence(std::memory_order_acquire);
                                             EXPECT_EQ(message, 7);
                                           }});
    if (outcome == End::race) return true;
  }
  return false;
}

TEST(Races, AreWhereAFenceIsMissing) {
  EXPECT_FALSE(has_race_with_fences(true, true));
  EXPECT_TRUE(has_race_with_fences(false, true));
  EXPECT_TRUE(has_race_with_fences(true, false));
}

// A read-modify-write goes on with a release sequence, a store ends it.
bool has_race_after(const std::function<void(std::atomic<int>&)>& middle) {
  Explorer explorer;
  while (explorer.next()) {
    std::atomic<int> flag = 0;
    int message = 0;
    const Outcome outcome = run(explorer, {[&] {
                                             message = 7;
                                             flag.store(1, std::memory_order_release);
                                           },
                                           [&] {
                                             if (flag.load(std::memory_order_relaxed) == 1)
                                               middle(flag);
                                           },
                                           [&] {
                                             if (flag.load(std::memory_order_acquire) != 2) return;
                                             EXPECT_EQ(message, 7);
                                           }});
    if (outcome == End::race) return true;
  }
  return false;
}

TEST(Races, AreWhereAReleaseSequenceEnds) {
  EXPECT_FALSE(has_race_after([](auto& flag) { flag.fetch_add(1, std::memory_order_relaxed); }));
  EXPECT_TRUE(has_race_after([](auto& flag) { flag.store(2, std::memory_order_relaxed); }));
}

TEST(Races, AreNotBetweenNeighboursInAWord) {
  Explorer explorer;
  while (explorer.next()) {
    std::array<char, 8> bytes = {};
    const auto write = [&](size_t i) { bytes[i] = 1; };
    EXPECT_EQ(run(explorer, {[&] { write(0); }, [&] { write(1); }}), End::quiet);
  }
}

// ---- The story ----

TEST(Story, TellsWhoDidWhatToWhatAndWhere) {
  Explorer explorer;
  ASSERT_TRUE(explorer.next());
  std::atomic<int> shared = 0;
  std::atomic<int> own = 0;
  explorer.name(&shared, sizeof(shared), "shared");
  run(explorer, {[&] {
                   own.store(1);
                   own.store(2);
                   shared.store(1, std::memory_order_release);
                 },
                 [&] { shared.load(std::memory_order_acquire); }});
  const std::string story = explorer.story();
  EXPECT_NE(story.find("CPU 0  ... 2 of its own\n"), std::string::npos) << story;
  EXPECT_NE(story.find("CPU 0  store shared+0 (release)  "), std::string::npos) << story;
  EXPECT_NE(story.find("CPU 1  load shared+0 (acquire)  "), std::string::npos) << story;
}

TEST(Story, PrintsTheScheduleInPlaceOfTheSeed) {
  Explorer explorer;
  ASSERT_TRUE(explorer.next());
  World world({.cpus = 2, .explorer = &explorer});
  world.boot(0, [] {});
  world.boot(1, [] {});
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.trace().substr(0, world.trace().find('\n')), "schedule 0 1");
}

}  // namespace
}  // namespace hal::sim
