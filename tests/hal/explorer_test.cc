// That the explorer finds what is there to be found, visits everything once, and says when it did.

#include "hal/sim/explorer.h"

#include <set>
#include <string>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"

namespace hal::sim {
namespace {

using M = Machine;

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
  EXPECT_TRUE(seen.contains("2 2 1"));
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

// Two CPUs increment a counter in two steps each; returns every result that some schedule has.
std::set<int> results(Explorer& explorer) {
  std::set<int> results;
  while (explorer.next()) {
    World world({.cpus = 2, .explorer = &explorer});
    int counter = 0;
    for (CpuNumber cpu : {0, 1}) {
      world.boot(cpu, [&] {
        const int read = counter;
        M::spend({});
        counter = read + 1;
      });
    }
    const Outcome outcome = world.run();
    EXPECT_EQ(outcome, End::quiet);
    results.insert(counter);
  }
  return results;
}

TEST(Explorer, FindsALostUpdate) {
  Explorer explorer({.hand_overs = 1});
  EXPECT_EQ(results(explorer), (std::set<int>{1, 2}));
  EXPECT_TRUE(explorer.complete());
  EXPECT_EQ(explorer.runs(), 4u);  // who is first, and whether it loses its turn
}

TEST(Explorer, TakesNoTurnFromACpuWithoutHandOvers) {
  Explorer explorer({.hand_overs = 0});
  EXPECT_EQ(results(explorer), (std::set<int>{2}));
  EXPECT_TRUE(explorer.complete());
}

// The classical lost wake-up: a CPU decides that there is nothing to do, and waits. Masked, the
// kick stays pending; unmasked for a moment in between, its handler runs too early and the CPU
// sleeps for ever. `broken` does that.
bool sleeps_for_ever(Explorer& explorer, bool broken) {
  while (explorer.next()) {
    bool work = false;
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
    world.boot(
        1,
        [&] {
          M::start_cpu(locals[1], 1);
          M::spend({});
          work = true;
          M::kick(0);
        },
        Instant{2});
    world.raise_at(0, 1, Instant{2});
    EXPECT_EQ(world.run(), End::quiet);
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
  EXPECT_GT(explorer.runs(), 10u);
}

TEST(Explorer, PrintsTheScheduleInPlaceOfTheSeed) {
  Explorer explorer;
  ASSERT_TRUE(explorer.next());
  World world({.cpus = 2, .explorer = &explorer});
  world.boot(0, [] {});
  world.boot(1, [] {});
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.trace().substr(0, world.trace().find('\n')), "schedule 0");
}

}  // namespace
}  // namespace hal::sim
