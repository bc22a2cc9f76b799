// Worlds: how they begin, go on and end; how time passes and CPUs interleave in them; that a seed
// gives the same run again, and a trace tells of it.

#include <cstdint>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "tests/hal/sim/guest.h"

namespace hal::sim::test {
namespace {

// --- Boot, ends, several worlds ---

TEST(World, IsQuietWithoutAnyCpuBooted) {
  World world;
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.now(), at(1));
}

TEST(World, BootsMaskedAtTheFirstInstant) {
  World world;
  M::Local local;
  bool ran = false;
  world.boot(0, [&] {
    EXPECT_EQ(World::current(), &world);
    EXPECT_EQ(M::mask(), M::Irq::masked);
    EXPECT_EQ(M::now(), at(1));
    M::start_cpu(local, 0);
    EXPECT_EQ(M::local(), &local);
    EXPECT_EQ(local.number, 0);
    ran = true;
  });
  EXPECT_FALSE(world.report(0).done);
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_TRUE(ran);
  EXPECT_TRUE(world.report(0).done);
  EXPECT_EQ(World::current(), nullptr);
}

TEST(World, BootsACpuWhenToldTo) {
  World world({.cpus = 2});
  uint64_t second = 0;
  world.boot(0, [&] {
    M::spend(ticks(10));
    world.boot(1, [&] { second = M::now().ticks; }, at(500));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(second, 500u);
}

TEST(World, GivesEachCpuItsOwnBlockUnderTheNumberThatTheKernelChose) {
  World world({.cpus = 2});
  M::Local locals[2];
  for (CpuNumber cpu : {0, 1}) {
    world.boot(cpu, [&locals, cpu] {
      const CpuNumber number = 1 - cpu;
      M::start_cpu(locals[number], number);
      M::spend(ticks(10));
      EXPECT_EQ(M::local(), &locals[number]);
      EXPECT_EQ(M::local()->number, number);
    });
  }
  EXPECT_EQ(world.run(), End::quiet);
}

TEST(World, StopsAndContinues) {
  World world;
  Lines lines;
  world.boot(0, [&] {
    M::spend(ticks(10));
    world.stop();
    lines.push_back("again " + std::to_string(M::now().ticks));
  });
  const Outcome outcome = world.run();
  EXPECT_EQ(outcome, End::stopped);
  EXPECT_EQ(outcome.at, at(11));
  EXPECT_EQ(lines, Lines{});
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(lines, Lines{"again 11"});
}

TEST(World, RunsUntilAnInstantAndContinues) {
  World world;
  M::Local local;
  bool done = false;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::spend(ticks(100));
    done = true;
  });
  EXPECT_EQ(world.run(at(50)), End::until);
  EXPECT_EQ(world.now(), at(50));
  EXPECT_FALSE(done);
  EXPECT_EQ(world.run(at(100)), End::until);
  EXPECT_FALSE(done);
  EXPECT_EQ(world.run(at(101)), End::quiet);
  EXPECT_TRUE(done);
  EXPECT_EQ(world.now(), at(101));
}

TEST(World, EndsAHangByItsSteps) {
  World world({.steps = 1000});
  int calls = 0;
  world.boot(0, [&] {
    while (M::now() < at(2)) ++calls;
  });
  const Outcome outcome = world.run();
  EXPECT_EQ(outcome, End::steps);
  EXPECT_TRUE(outcome.failed());
  EXPECT_EQ(calls, 1000);
  EXPECT_EQ(world.run(), End::steps);
  EXPECT_EQ(calls, 1000);
}

TEST(World, PanicEndsTheRunForGood) {
  World world({.cpus = 2});
  bool after = false;
  world.boot(0, [&] {
    M::spend(ticks(10));
    M::panic("broken", "worker");
  });
  world.boot(1, [&] {
    M::spend(ticks(20));
    after = true;
  });
  const Outcome outcome = world.run();
  EXPECT_EQ(outcome, (Panic{"broken", "worker"}));
  EXPECT_FALSE(outcome == (Panic{"broken", "other"}));
  EXPECT_FALSE(outcome == (Panic{"other", "worker"}));
  EXPECT_FALSE(outcome == (Misuse{"broken"}));
  EXPECT_TRUE(outcome.failed());
  EXPECT_EQ(outcome.cpu, 0);
  EXPECT_EQ(outcome.at, at(11));
  EXPECT_EQ(world.run(), (Panic{"broken", "worker"}));
  EXPECT_FALSE(after);
}

TEST(World, PanicNeedsNoTask) {
  World world;
  world.boot(0, [] { M::panic("broken", nullptr); });
  EXPECT_EQ(world.run(), Panic{"broken"});
}

TEST(World, AnotherRunsAfterOneThatPanicked) {
  for (int i = 0; i < 3; ++i) {
    World world;
    world.boot(0, [] { M::panic("broken", nullptr); });
    EXPECT_EQ(world.run(), Panic{"broken"});
  }
}

TEST(World, SeveralTakeTurns) {
  World one({.seed = 1}), two({.seed = 2});
  Lines lines;
  const auto boot = [&lines](World& world, const char* name) {
    world.boot(0, [&lines, &world, name] {
      for (int i = 0; i < 2; ++i) {
        M::spend(ticks(10));
        lines.push_back(name + std::to_string(M::now().ticks));
        world.stop();
      }
    });
  };
  boot(one, "one ");
  boot(two, "two ");
  EXPECT_EQ(one.run(), End::stopped);
  EXPECT_EQ(two.run(), End::stopped);
  EXPECT_EQ(one.run(), End::stopped);
  EXPECT_EQ(two.run(), End::stopped);
  EXPECT_EQ(lines, (Lines{"one 11", "two 11", "one 21", "two 21"}));
}

TEST(World, RunsInEachHostThreadOnItsOwn) {
  std::vector<uint64_t> prints(4);
  std::vector<std::thread> threads;
  for (uint64_t& print : prints) {
    threads.emplace_back([&print] {
      World world({.cpus = 2, .stall = ticks(9)});
      M::Local locals[2];
      for (CpuNumber cpu : {0, 1}) {
        world.boot(cpu, [&locals, cpu] {
          M::start_cpu(locals[cpu], cpu);
          for (int i = 0; i < 100; ++i) M::spend(ticks(10));
        });
      }
      EXPECT_EQ(world.run(), End::quiet);
      print = world.fingerprint();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const uint64_t print : prints) EXPECT_EQ(print, prints[0]);
}

// --- Time ---

TEST(Time, PassesInSpendAndNowhereElse) {
  World world;
  world.boot(0, [] {
    M::mask();
    EXPECT_EQ(M::now(), at(1));
    M::spend(ticks(41));
    EXPECT_EQ(M::now(), at(42));
    M::spend(ticks(0));
    EXPECT_EQ(M::now(), at(42));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.report(0).worked, ticks(41));
}

TEST(Time, IsOneForAllCpus) {
  World world({.cpus = 3});
  Lines lines;
  for (CpuNumber cpu : {0, 1, 2}) {
    world.boot(cpu, [&lines, cpu] {
      for (int i = 0; i < 2; ++i) {
        M::spend(ticks(30 - 7u * cpu));
        lines.push_back(std::to_string(cpu) + " at " + std::to_string(M::now().ticks));
      }
    });
  }
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(lines, (Lines{"2 at 17", "1 at 24", "0 at 31", "2 at 33", "1 at 47", "0 at 61"}));
}

TEST(Time, HasTheRateOfTheOptions) {
  World world({.ticks_per_second = 10'000'000});
  world.boot(0, [] { EXPECT_EQ(M::ticks_per_second(), 10'000'000u); });
  EXPECT_EQ(world.run(), End::quiet);
}

TEST(Time, IsWhatAMachineCallCosts) {
  World world({.call_cost = ticks(3)});
  world.boot(0, [] {
    EXPECT_EQ(M::now(), at(4));
    EXPECT_EQ(M::now(), at(7));
  });
  EXPECT_EQ(world.run(), End::quiet);
}

TEST(Time, LetsAPollingLoopEndWhereCallsCostSomething) {
  World world({.cpus = 2, .call_cost = ticks(1)});
  bool flag = false;
  world.boot(0, [&] {
    while (!flag) M::now();
  });
  world.boot(1, [&] {
    M::spend(ticks(100));
    flag = true;
  });
  EXPECT_EQ(world.run(), End::quiet);
}

TEST(Time, StallsMakeCpusDrift) {
  std::set<uint64_t> ends;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    World world({.seed = seed, .interleave = 2, .stall = ticks(50)});
    world.boot(0, [] {
      for (int i = 0; i < 20; ++i) M::spend(ticks(10));
    });
    EXPECT_EQ(world.run(), End::quiet);
    EXPECT_EQ(world.report(0).worked, ticks(200));
    EXPECT_GT(world.now(), at(201));
    EXPECT_LE(world.now(), at(201 + 20 * 50));
    ends.insert(world.now().ticks);
  }
  EXPECT_GT(ends.size(), 10u);
}

// --- Determinism and interleaving ---

uint64_t fingerprint_of(uint64_t seed) {
  Log log;
  World world({.cpus = 3, .seed = seed, .interleave = 3, .interrupt = log.handler()});
  M::Local locals[3];
  for (CpuNumber cpu : {0, 1, 2}) {
    world.boot(cpu, [&, cpu] {
      M::start_cpu(locals[cpu], cpu);
      M::spend(ticks(5));
      for (int i = 0; i < 20; ++i) {
        M::kick((cpu + 1) % 3);
        M::unmask(M::kUnmasked);
        M::spend(ticks(10));
        M::mask();
      }
    });
  }
  EXPECT_EQ(world.run(), End::quiet);
  return world.fingerprint();
}

TEST(Seed, GivesTheSameRunAgain) {
  for (uint64_t seed = 0; seed < 10; ++seed) EXPECT_EQ(fingerprint_of(seed), fingerprint_of(seed));
}

TEST(Seed, GivesAnotherRunThanAnother) {
  std::set<uint64_t> prints;
  for (uint64_t seed = 0; seed < 10; ++seed) prints.insert(fingerprint_of(seed));
  EXPECT_EQ(prints.size(), 10u);
}

TEST(Seed, GivesAFingerprintOfWhatHappenedAndWhen) {
  const auto print = [](Duration work, uint64_t space) {
    World world;
    world.boot(0, [&] {
      M::spend(work);
      M::load_space({.root = space});
    });
    EXPECT_EQ(world.run(), End::quiet);
    return world.fingerprint();
  };
  EXPECT_EQ(print(ticks(1), 1), print(ticks(1), 1));
  EXPECT_NE(print(ticks(1), 1), print(ticks(2), 1));
  EXPECT_NE(print(ticks(1), 1), print(ticks(1), 2));
}

// Two CPUs increment a counter in two steps.
int lost_updates(Options options) {
  int counter = 0;
  World world(std::move(options));
  M::Local locals[2];
  for (CpuNumber cpu : {0, 1}) {
    world.boot(cpu, [&, cpu] {
      M::start_cpu(locals[cpu], cpu);
      for (int i = 0; i < 20; ++i) {
        const int read = counter;
        M::spend({});
        counter = read + 1;
      }
    });
  }
  EXPECT_EQ(world.run(), End::quiet);
  return 40 - counter;
}

TEST(Interleaving, LetsAnotherCpuInAtEveryMachineCall) {
  EXPECT_GT(lost_updates({.cpus = 2, .interleave = 2}), 0);
  EXPECT_GT(lost_updates({.cpus = 2}), 0);
}

TEST(Interleaving, CanBeTurnedOff) { EXPECT_EQ(lost_updates({.cpus = 2, .interleave = 0}), 0); }

// --- The trace ---

TEST(Trace, TellsWhatHappenedOldestFirst) {
  Log log;
  World world({.seed = 5, .interrupt = log.handler()});
  run_one(world, [&] {
    M::arm(at(10));
    M::unmask(M::kUnmasked);
    M::spend(ticks(20));
    world.note("half way");
  });
  EXPECT_EQ(world.trace(),
            "seed 5\n"
            "           1  CPU 0  boots\n"
            "           1  CPU 0  start_cpu, number 0\n"
            "           1  CPU 0  arm 10\n"
            "          10  CPU 0  takes the timer's interrupt\n"
            "          10  CPU 0  arm never\n"
            "          21  CPU 0  half way\n"
            "          21  CPU 0  boot code returned\n");
}

TEST(Trace, KeepsTheLatest) {
  World world({.trace = 2});
  world.boot(0, [&] {
    for (const char* text : {"one", "two", "three", "four"}) world.note(text);
    M::panic("over", "me");
  });
  EXPECT_EQ(world.run(), (Panic{"over", "me"}));
  std::ostringstream text;
  text << world;
  EXPECT_EQ(text.str(),
            "seed 1\n(4 earlier records are gone)\n"
            "           1  CPU 0  four\n"
            "           1  CPU 0  panic: over (task me)\n");
}

TEST(Trace, IsPrintedWithAnOutcome) {
  World world({.seed = 12, .trace = 1});
  world.boot(0, [] { M::panic("over", "me"); });
  std::ostringstream text;
  text << world.run();
  EXPECT_EQ(text.str(),
            "panic \"over\" of task \"me\" on CPU 0 at 1; seed 12\n"
            "(1 earlier records are gone)\n"
            "           1  CPU 0  panic: over (task me)\n");
}

TEST(Trace, ExpectationsPrint) {
  const auto printed = [](const auto& value) {
    std::ostringstream text;
    text << value;
    return text.str();
  };
  EXPECT_EQ(printed(End::quiet), "quiet");
  EXPECT_EQ(printed(End::stopped), "stopped");
  EXPECT_EQ(printed(End::until), "until");
  EXPECT_EQ(printed(End::steps), "steps");
  EXPECT_EQ(printed(End::panic), "panic");
  EXPECT_EQ(printed(End::misuse), "misuse");
  EXPECT_EQ(printed(Panic{"a"}), "panic \"a\"");
  EXPECT_EQ(printed(Panic{"a", "b"}), "panic \"a\" of task \"b\"");
  EXPECT_EQ(printed(Misuse{"a"}), "misuse \"a\"");
}

}  // namespace
}  // namespace hal::sim::test
