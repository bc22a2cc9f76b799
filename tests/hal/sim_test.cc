// The simulated machine itself: everything that `hal/sim/sim.h` promises, and that it finds every
// misuse of the contract in `hal/hal.h`.

#include "hal/sim/sim.h"

#include <cstdint>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace hal::sim {
namespace {

using M = Machine;

constexpr Duration ticks(uint64_t count) { return Duration{count}; }
constexpr Instant at(uint64_t instant) { return Instant{instant}; }

// Something to switch to: runs `body` on a stack of its own, then switches back to `home`.
class Thread {
 public:
  explicit Thread(std::function<void()> body) : body_(std::move(body)) {}

  // In a guest.
  void make() { context = M::make_context(stack, &enter, this); }
  void enter_from(M::Context& from) {
    home = &from;
    M::switch_to(from, context);
  }

  Stack stack;
  M::Context context;
  M::Context* home = nullptr;

 private:
  static void enter(void* self) {
    Thread& thread = *static_cast<Thread*>(self);
    thread.body_();
    M::mask();
    M::switch_to(thread.context, *thread.home);
  }

  std::function<void()> body_;
};

// An interrupt handler that writes down what came, and silences the timer.
class Log {
 public:
  std::function<bool(Interrupt)> handler() {
    return [this](Interrupt interrupt) {
      const std::string now = std::to_string(M::now().ticks);
      switch (interrupt.cause) {
        case Cause::timer:
          M::arm(never);
          lines.push_back("timer " + now);
          break;
        case Cause::kick: lines.push_back("kick " + now); break;
        case Cause::device:
          lines.push_back("line " + std::to_string(interrupt.line) + " " + now);
          break;
        case Cause::none: ADD_FAILURE() << "an interrupt without a cause"; break;
      }
      return false;
    };
  }

  std::vector<std::string> lines;
};

using Lines = std::vector<std::string>;

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

// --- Interrupts ---

TEST(Interrupts, AreTakenInsideSpendAtTheirExactInstant) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::arm(at(100));
    M::unmask(M::kUnmasked);
    M::spend(ticks(1000));
    EXPECT_EQ(M::now(), at(1001));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"timer 100"});
  EXPECT_EQ(world.report(0).timer_interrupts, 1u);
}

TEST(Interrupts, AtTheLastInstantOfSpendAreTakenBeforeItReturns) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::arm(at(101));
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
    log.lines.push_back("spent");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"timer 101", "spent"}));
}

TEST(Interrupts, WaitWhileMasked) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::arm(at(100));
    M::spend(ticks(1000));
    log.lines.push_back("unmask");
    M::unmask(M::kUnmasked);
    log.lines.push_back("unmasked");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"unmask", "timer 1001", "unmasked"}));
}

TEST(Interrupts, AreTakenEarliestFirst) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.raise_at(0, 5, at(30));
  world.raise_at(0, 6, at(10));
  world.raise_at(0, 7, at(10));
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::arm(at(20));
    M::spend(ticks(15));
    M::kick(0);
    M::spend(ticks(100));
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"line 6 116", "line 7 116", "kick 116", "timer 116", "line 5 116"}));
  EXPECT_EQ(world.report(0).device_interrupts, 3u);
}

TEST(Interrupts, AreTakenEarliestFirstWithTheTimerBeforeAKick) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::arm(at(5));
    M::spend(ticks(15));
    M::kick(0);
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"timer 16", "kick 16"}));
}

TEST(Interrupts, AreTakenAtEveryMachineCallWhenUnmasked) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::unmask(M::kUnmasked);
    world.raise_at(0, 1, at(0));
    M::now();
    log.lines.push_back("now");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"line 1 1", "now"}));
}

TEST(Interrupts, StayMaskedByUnmaskingToAMaskedState) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::kick(0);
    const M::Irq outer = M::mask();
    M::unmask(outer);
    EXPECT_EQ(M::mask(), M::Irq::masked);
    log.lines.push_back("masked");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"masked"});
}

TEST(Interrupts, RunOnTheInterruptedStackMasked) {
  M::Context boot;
  M::Local local;
  uintptr_t frame = 0;
  World world({.interrupt = [&](Interrupt) {
    frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    EXPECT_EQ(M::mask(), M::Irq::masked);
    return false;
  }});
  Thread thread([&] {
    M::spend(ticks(10));
    EXPECT_EQ(M::mask(), M::Irq::unmasked);
  });
  world.raise_at(0, 1, at(5));
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    thread.make();
    thread.enter_from(boot);
  });
  EXPECT_EQ(world.run(), End::quiet);
  const auto low = reinterpret_cast<uintptr_t>(thread.stack.bytes().data());
  EXPECT_GE(frame, low);
  EXPECT_LT(frame, low + thread.stack.bytes().size());
}

TEST(Interrupts, MayBeTakenInsideAnInterruptThatUnmasks) {
  Lines lines;
  World world({.interrupt = [&](Interrupt interrupt) {
    lines.push_back("in " + std::to_string(interrupt.line));
    if (interrupt.line == 1) {
      M::unmask(M::kUnmasked);
      M::spend(ticks(20));
      M::mask();
    }
    lines.push_back("out " + std::to_string(interrupt.line));
    return false;
  }});
  M::Local local;
  world.raise_at(0, 1, at(10));
  world.raise_at(0, 2, at(20));
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
    EXPECT_EQ(M::now(), at(121));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(lines, (Lines{"in 1", "in 2", "out 2", "out 1"}));
}

// A handler that answers true, and a `preempt` that switches away in the middle of `spend`: the
// work goes on where it stopped when the context is switched to again.
TEST(Interrupts, PreemptATaskInTheMiddleOfItsWork) {
  M::Context boot;
  M::Local local;
  Lines lines;
  const auto say = [&](const std::string& what) {
    lines.push_back(what + " " + std::to_string(M::now().ticks));
  };
  Thread thread([&] {
    say("task");
    M::spend(ticks(100));
    EXPECT_EQ(M::mask(), M::Irq::unmasked);
    say("task done");
  });
  World world({.interrupt =
                   [&](Interrupt) {
                     M::arm(never);
                     return true;
                   },
               .preempt =
                   [&] {
                     say("preempt");
                     M::switch_to(thread.context, boot);
                     say("preempt returns");
                   }});
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    thread.make();
    M::arm(at(41));
    thread.enter_from(boot);
    say("boot");
    M::spend(ticks(1000));
    thread.enter_from(boot);
    say("boot");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(lines, (Lines{"task 1", "preempt 41", "boot 41", "preempt returns 1041",
                          "task done 1101", "boot 1101"}));
  EXPECT_EQ(world.report(0).preempts, 1u);
  EXPECT_EQ(world.report(0).switches, 4u);
  EXPECT_EQ(world.report(0).worked, ticks(1100));
}

TEST(Timer, AnInstantInThePastInterruptsAtOnce) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::spend(ticks(50));
    M::arm(at(0));
    log.lines.push_back("armed");
    M::unmask(M::kUnmasked);
    log.lines.push_back("unmasked");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"armed", "timer 51", "unmasked"}));
}

TEST(Timer, ArmReplacesAndNeverSilences) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::arm(at(10));
    M::arm(at(20));
    M::unmask(M::kUnmasked);
    M::spend(ticks(99));
    EXPECT_EQ(M::mask(), M::Irq::unmasked);
    M::arm(at(50));  // pending at once
    M::spend(ticks(10));
    M::arm(never);  // and gone
    M::unmask(M::kUnmasked);
    M::spend(ticks(10));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"timer 20"});
  EXPECT_EQ(world.report(0).arms, 5u);  // one of them by the handler
  EXPECT_EQ(world.report(0).armed, never);
}

TEST(Timer, SilencesForEveryInstantThatIsNoDeadline) {
  World world({.timer_reach = ticks(100)});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    for (const Instant no_deadline : {never, Instant{UINT64_MAX}}) {
      M::arm(at(20));
      M::arm(no_deadline);
      M::wait();
    }
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.now(), at(1));
}

TEST(Timer, InterruptsEarlyWhereItsHardwareReachesNoFarther) {
  Log log;
  World world({.timer_reach = ticks(100), .interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::spend(ticks(10));
    M::arm(at(1000));
    M::unmask(M::kUnmasked);
    M::spend(ticks(500));
    M::mask();
    M::arm(at(600));
    M::unmask(M::kUnmasked);
    M::spend(ticks(500));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"timer 111", "timer 600"}));
}

TEST(Timer, IsOneForEachCpu) {
  Log log;
  World world({.cpus = 2, .interrupt = log.handler()});
  M::Local locals[2];
  for (CpuNumber cpu : {0, 1}) {
    world.boot(cpu, [&, cpu] {
      M::start_cpu(locals[cpu], cpu);
      M::arm(at(10u + cpu));
      M::unmask(M::kUnmasked);
      M::spend(ticks(100));
    });
  }
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"timer 10", "timer 11"}));
}

TEST(Kick, InterruptsTheOtherCpuInTheMiddleOfItsWork) {
  Log log;
  World world({.cpus = 2, .interrupt = log.handler()});
  M::Local locals[2];
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::spend(ticks(70));
    M::kick(1);
    M::spend(ticks(1));
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::unmask(M::kUnmasked);
    M::spend(ticks(500));
    EXPECT_EQ(M::now(), at(501));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"kick 71"});
  EXPECT_EQ(world.report(1).kick_interrupts, 1u);
  EXPECT_EQ(world.report(0).kick_interrupts, 0u);
}

TEST(Kick, ArrivesAfterTheLatency) {
  Log log;
  World world({.cpus = 2, .kick_latency = ticks(7), .interrupt = log.handler()});
  M::Local locals[2];
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::spend(ticks(70));
    M::kick(1);
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::wait();
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"kick 78"});
}

TEST(Kick, MergesWithOneThatIsOnItsWayAndDoesNotDelayIt) {
  Log log;
  World world({.cpus = 2, .kick_latency = ticks(7), .interrupt = log.handler()});
  M::Local locals[2];
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::spend(ticks(70));
    M::kick(1);
    M::spend(ticks(5));
    M::kick(1);
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::unmask(M::kUnmasked);
    M::spend(ticks(500));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"kick 78"});
}

TEST(Kick, MergesWithOneThatIsPending) {
  Log log;
  World world({.cpus = 2, .interrupt = log.handler()});
  M::Local locals[2];
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::spend(ticks(10));
    for (int i = 0; i < 5; ++i) M::kick(1);
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::spend(ticks(100));
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"kick 101"});
}

TEST(Kick, OfItselfIsTakenAtOnceWhenUnmasked) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::kick(0);
    log.lines.push_back("masked");
    M::unmask(M::kUnmasked);
    M::kick(0);
    log.lines.push_back("unmasked");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"masked", "kick 1", "kick 1", "unmasked"}));
}

TEST(Kick, OfACpuThatIsDoneIsHarmless) {
  World world({.cpus = 2});
  M::Local locals[2];
  world.boot(1, [&] { M::start_cpu(locals[1], 1); });
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::spend(ticks(10));
    M::kick(1);
  });
  EXPECT_EQ(world.run(), End::quiet);
}

TEST(Device, InterruptsFromOutsideAndFromAGuest) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.raise_at(0, 1, at(10));
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
    world.raise_at(0, 3, at(150));
    M::spend(ticks(100));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"line 1 10", "line 3 150"}));
}

TEST(Device, AnInstantInThePastIsNow) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.raise_at(0, 1, at(80));
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::spend(ticks(100));
    world.raise_at(0, 2, at(50));
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"line 1 101", "line 2 101"}));
}

TEST(Device, WakesAWorldThatWasQuiet) {
  Log log;
  World world({.interrupt = log.handler()});
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    for (;;) {
      M::wait();
      M::unmask(M::kUnmasked);
      M::mask();
    }
  });
  EXPECT_EQ(world.run(), End::quiet);
  world.raise_at(0, 9, at(1000));
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"line 9 1000"});
  EXPECT_EQ(world.now(), at(1000));
}

// --- Wait ---

TEST(WaitFor, TheTimerSleepsUntilItAndNoLonger) {
  for (const Wait shape : {Wait::returns_masked, Wait::takes}) {
    Log log;
    World world({.wait = shape, .interrupt = log.handler()});
    M::Local local;
    world.boot(0, [&] {
      M::start_cpu(local, 0);
      M::arm(at(500));
      M::wait();
      EXPECT_EQ(M::now(), at(500));
      log.lines.push_back("woken");
      EXPECT_EQ(M::mask(), M::Irq::masked);
      M::unmask(M::kUnmasked);
    });
    EXPECT_EQ(world.run(), End::quiet);
    EXPECT_EQ(log.lines,
              shape == Wait::takes ? (Lines{"timer 500", "woken"}) : (Lines{"woken", "timer 500"}));
    EXPECT_EQ(world.report(0).waits, 1u);
    EXPECT_EQ(world.report(0).waited, ticks(499));
  }
}

TEST(WaitFor, WhatIsPendingAlreadyReturnsAtOnce) {
  Log log;
  World world({.cpus = 2, .interrupt = log.handler()});
  M::Local locals[2];
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::spend(ticks(10));
    M::kick(1);
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::spend(ticks(100));  // masked: the kick falls between "nothing to do" and "wait"
    M::wait();
    M::unmask(M::kUnmasked);
    EXPECT_EQ(M::now(), at(101));
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, Lines{"kick 101"});
  EXPECT_EQ(world.report(1).waits, 0u);
}

TEST(WaitFor, NothingIsQuiet) {
  World world;
  M::Local local;
  bool returned = false;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::wait();
    returned = true;
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_FALSE(returned);
  EXPECT_FALSE(world.report(0).done);
}

TEST(WaitFor, EndsInEitherShapeBySeed) {
  std::set<size_t> pending;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Log log;
    World world({.seed = seed, .interrupt = log.handler()});
    M::Local local;
    world.boot(0, [&] {
      M::start_cpu(local, 0);
      M::arm(at(500));
      M::wait();
      pending.insert(log.lines.size());
      M::unmask(M::kUnmasked);
    });
    EXPECT_EQ(world.run(), End::quiet);
    EXPECT_EQ(log.lines.size(), 1u);
  }
  EXPECT_EQ(pending, (std::set<size_t>{0, 1}));
}

// --- Contexts ---

TEST(Contexts, RunOnTheirStacksAndComeBackToWhereTheyWere) {
  M::Context boot;
  M::Local local;
  Lines lines;
  Thread* first = nullptr;
  Thread second([&] {
    lines.push_back("second");
    M::mask();
    M::switch_to(second.context, first->context);
    lines.push_back("second again");
  });
  Thread one([&] {
    int on_stack = 7;
    const auto low = reinterpret_cast<uintptr_t>(one.stack.bytes().data());
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    EXPECT_GE(frame, low);
    EXPECT_LT(frame, low + one.stack.bytes().size());
    lines.push_back("first");
    EXPECT_EQ(M::mask(), M::Irq::unmasked);
    M::switch_to(one.context, second.context);
    EXPECT_EQ(M::mask(), M::Irq::masked);
    EXPECT_EQ(on_stack, 7);
    lines.push_back("first again");
  });
  first = &one;
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    one.make();
    second.make();
    one.enter_from(boot);
    lines.push_back("boot");
    second.enter_from(boot);
    lines.push_back("boot again");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(lines, (Lines{"first", "second", "first again", "boot", "second again", "boot again"}));
}

TEST(Contexts, KeepWhatACallPreserves) {
  M::Context boot;
  M::Local local;
  // More live values than there are registers, in both threads, so that the preserved ones are
  // used.
  const auto churn = [](M::Context& mine, M::Context& other, uint64_t seed) {
    uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13;
    for (uint64_t i = 0; i < 100; ++i) {
      a += b ^ i, b += c ^ i, c += d ^ i, d += e ^ i, e += f ^ i, f += a ^ i;
      const uint64_t sum = a ^ b ^ c ^ d ^ e ^ f;
      M::switch_to(mine, other);
      EXPECT_EQ(sum, a ^ b ^ c ^ d ^ e ^ f);
    }
    return a ^ b ^ c ^ d ^ e ^ f;
  };
  Thread thread([&] {
    M::mask();
    churn(thread.context, boot, 17);
  });
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    thread.make();
    thread.home = &boot;
    churn(boot, thread.context, 19);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.report(0).switches, 200u);
}

TEST(Contexts, BeginWithAnInterruptThatIsPending) {
  Log log;
  M::Context boot;
  M::Local local;
  Thread thread([&] { log.lines.push_back("entry"); });
  World world({.interrupt = log.handler()});
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    thread.make();
    M::kick(0);
    thread.enter_from(boot);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"kick 1", "entry"}));
}

TEST(Contexts, MoveToAnotherCpu) {
  M::Context boots[2];
  M::Local locals[2];
  std::vector<CpuNumber> cpus;
  Thread thread([&] {
    cpus.push_back(M::local()->number);
    M::spend(ticks(5));
    M::mask();
    M::switch_to(thread.context, boots[0]);
    cpus.push_back(M::local()->number);
    thread.home = &boots[1];
  });
  World world({.cpus = 2});
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    thread.make();
    thread.enter_from(boots[0]);
    EXPECT_EQ(M::local()->number, 0);
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::spend(ticks(100));
    thread.enter_from(boots[1]);
    EXPECT_EQ(M::local()->number, 1);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(cpus, (std::vector<CpuNumber>{0, 1}));
}

TEST(Contexts, UseAStackAgainAfterItsTaskIsGone) {
  M::Context boot;
  M::Local local;
  int runs = 0;
  Thread thread([&] { ++runs; });
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    for (int i = 0; i < 20'000; ++i) {
      thread.make();
      thread.enter_from(boot);
    }
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(runs, 20'000);
}

// --- Spaces and the FPU ---

TEST(Spaces, LoadsAreCountedForEachCpu) {
  World world({.cpus = 2});
  M::Local locals[2];
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::load_space({.root = 3});
    M::load_space({.root = 4});
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.report(0).space, (Space{.root = 4}));
  EXPECT_EQ(world.report(0).space_loads, 2u);
  EXPECT_EQ(world.report(1).space_loads, 0u);
}

TEST(FpuOfACpu, IsSavedAndLoaded) {
  World world;
  M::Local local;
  Fpu one, two;
  two.registers[0] = 22;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::fpu().registers[0] = 11;
    M::swap_fpu(&one, &two);
    EXPECT_EQ(M::fpu().registers[0], 22u);
    M::swap_fpu(nullptr, &one);
    EXPECT_EQ(M::fpu().registers[0], 11u);
    M::fpu().registers[0] = 33;
    M::swap_fpu(&two, nullptr);
    EXPECT_EQ(M::fpu().registers[0], 33u);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(one.registers[0], 11u);
  EXPECT_EQ(two.registers[0], 33u);
  EXPECT_EQ(world.report(0).fpu_saves, 2u);
  EXPECT_EQ(world.report(0).fpu_loads, 2u);
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
  M::Local local;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::arm(at(10));
    M::unmask(M::kUnmasked);
    M::spend(ticks(20));
    world.note("half way");
  });
  EXPECT_EQ(world.run(), End::quiet);
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

// --- Misuse ---

// What boot code on one of two CPUs does wrong, and the rule that the world names.
struct Wrong {
  const char* rule;
  void (*code)();
};

M::Local locals[2];
M::Context boot_context;
M::Context other_context;
alignas(16) std::byte some_stack[65536];
void idle_for_ever(void*) {
  for (;;) M::spend(ticks(1'000'000));
}
void start_0() { M::start_cpu(locals[0], 0); }
void start_0_unmasked() {
  start_0();
  M::unmask(M::kUnmasked);
}

const Wrong kWrongs[] = {
    {"start_cpu: interrupts are not masked",
     [] {
       M::unmask(M::kUnmasked);
       start_0();
     }},
    {"start_cpu: this CPU was started before",
     [] {
       start_0();
       M::start_cpu(locals[1], 1);
     }},
    {"start_cpu: the number is not below the count of CPUs", [] { M::start_cpu(locals[0], 2); }},
    {"local: before start_cpu", [] { M::local(); }},
    {"arm: before start_cpu", [] { M::arm(never); }},
    {"arm: interrupts are not masked",
     [] {
       start_0_unmasked();
       M::arm(never);
     }},
    {"wait: before start_cpu", [] { M::wait(); }},
    {"wait: interrupts are not masked",
     [] {
       start_0_unmasked();
       M::wait();
     }},
    {"kick: before start_cpu", [] { M::kick(0); }},
    {"kick: no CPU was started with this number",
     [] {
       start_0();
       M::kick(1);
     }},
    {"load_space: interrupts are not masked",
     [] {
       start_0_unmasked();
       M::load_space({});
     }},
    {"swap_fpu: interrupts are not masked",
     [] {
       start_0_unmasked();
       M::swap_fpu(nullptr, nullptr);
     }},
    {"make_context: no entry", [] { M::make_context(some_stack, nullptr, nullptr); }},
    {"make_context: the stack is too small",
     [] {
       M::make_context(std::span(some_stack).first(2 * M::kContextBytes - 16), idle_for_ever,
                       nullptr);
     }},
    {"make_context: the stack is not 16-byte aligned",
     [] { M::make_context(std::span(some_stack).subspan(8, 4096), idle_for_ever, nullptr); }},
    {"make_context: the stack is not 16-byte aligned",
     [] { M::make_context(std::span(some_stack).first(4100), idle_for_ever, nullptr); }},
    {"make_context: a CPU still runs on this stack",
     [] {
       start_0();
       other_context = M::make_context(
           some_stack,
           [](void*) {
             M::make_context(std::span(some_stack).first(4096), idle_for_ever, nullptr);
           },
           nullptr);
       M::switch_to(boot_context, other_context);
     }},
    {"make_context: the entry returned",
     [] {
       start_0();
       other_context = M::make_context(some_stack, [](void*) {}, nullptr);
       M::switch_to(boot_context, other_context);
     }},
    {"switch_to: before start_cpu",
     [] {
       other_context = M::make_context(some_stack, idle_for_ever, nullptr);
       M::switch_to(boot_context, other_context);
     }},
    {"switch_to: interrupts are not masked",
     [] {
       start_0_unmasked();
       other_context = M::make_context(some_stack, idle_for_ever, nullptr);
       M::switch_to(boot_context, other_context);
     }},
    {"switch_to: the target was never made",
     [] {
       start_0();
       M::switch_to(boot_context, other_context);
     }},
    {"switch_to: the target runs already",
     [] {
       start_0();
       other_context = M::make_context(
           some_stack,
           [](void*) {
             M::mask();
             M::switch_to(other_context, other_context);
           },
           nullptr);
       M::switch_to(boot_context, other_context);
     }},
    {"switch_to: `from` is not what runs here",
     [] {
       start_0();
       other_context = M::make_context(
           some_stack,
           [](void*) {
             M::mask();
             M::Context third;
             M::switch_to(third, boot_context);
           },
           nullptr);
       M::switch_to(boot_context, other_context);
     }},
    {"switch_to: `from` is not what runs here",
     [] {
       start_0();
       M::Context saved = M::make_context(some_stack, idle_for_ever, nullptr);
       other_context = saved;
       M::switch_to(saved, other_context);
     }},
};

TEST(MisuseIsFound, WithTheRuleThatWasBroken) {
  for (const Wrong& wrong : kWrongs) {
    boot_context = {};
    other_context = {};
    World world({.cpus = 2});
    world.boot(0, wrong.code);
    EXPECT_EQ(world.run(), Misuse{wrong.rule});
  }
}

TEST(MisuseIsFound, OfAnotherCpusNumberAndBlock) {
  for (const bool same_number : {true, false}) {
    World world({.cpus = 2});
    world.boot(0, [] { M::start_cpu(locals[0], 0); });
    world.boot(1, [=] {
      M::spend(ticks(10));
      M::start_cpu(same_number ? locals[1] : locals[0], same_number ? 0 : 1);
    });
    EXPECT_EQ(world.run(), Misuse{same_number ? "start_cpu: another CPU has this number"
                                              : "start_cpu: another CPU has this block"});
  }
}

TEST(MisuseIsFound, OfAContextThatRunsOnAnotherCpu) {
  M::Context boots[2];
  Thread thread([] { M::spend(ticks(100)); });
  World world({.cpus = 2});
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    thread.make();
    thread.enter_from(boots[0]);
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::spend(ticks(50));
    thread.enter_from(boots[1]);
  });
  EXPECT_EQ(world.run(), Misuse{"switch_to: the target runs already"});
}

TEST(MisuseIsFound, OfATimerThatNobodyAnswers) {
  World world({.interrupt = [](Interrupt) { return false; }});
  world.boot(0, [] {
    start_0();
    M::arm(at(10));
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
  });
  const Outcome outcome = world.run();
  EXPECT_EQ(outcome, Misuse{"timer: the handler neither re-armed nor silenced it"});
  EXPECT_EQ(outcome.at, at(10));
}

TEST(MisuseIsFound, OfATimerThatIsReArmedInThePastForEver) {
  World world({.interrupt = [](Interrupt) {
    M::arm(at(10));
    return false;
  }});
  world.boot(0, [] {
    start_0();
    M::arm(at(10));
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
  });
  EXPECT_EQ(world.run(), Misuse{"timer: re-armed in the past over and over"});
}

TEST(MisuseIsFound, OfAMissingOrUnmaskingHandler) {
  const auto outcome = [](Options options) {
    World world(std::move(options));
    world.raise_at(0, 1, at(1));
    world.boot(0, [] { start_0_unmasked(); });
    return world.run();
  };
  EXPECT_EQ(outcome({}), Misuse{"interrupt: there is no handler"});
  EXPECT_EQ(outcome({.interrupt = [](Interrupt) { return true; }}),
            Misuse{"interrupt: there is no `preempt`"});
  EXPECT_EQ(outcome({.interrupt =
                         [](Interrupt) {
                           M::unmask(M::kUnmasked);
                           return false;
                         }}),
            Misuse{"interrupt: the handler returned unmasked"});
  EXPECT_EQ(outcome({.interrupt = [](Interrupt) { return true; },
                     .preempt = [] { M::unmask(M::kUnmasked); }}),
            Misuse{"interrupt: `preempt` returned unmasked"});
}

// --- What cannot be a result, because there is no run, aborts ---

using DeathTest = ::testing::Test;

TEST(DeathTest, CallsOutsideARunningWorldAbort) {
  EXPECT_DEATH(M::now(), "now outside a running world");
  EXPECT_DEATH(M::local(), "local outside a running world");
  EXPECT_DEATH(M::spend(ticks(1)), "spend outside a running world");
  EXPECT_DEATH(M::panic("broken", "me"), "panic outside a running world: broken \\(task me\\)");
  World world;
  EXPECT_DEATH(world.stop(), "not called by a guest");
}

TEST(DeathTest, WorldsAreNotNested) {
  World outer, inner;
  outer.boot(0, [&] { inner.run(); });
  EXPECT_DEATH(outer.run(), "World::run while a world runs in this thread");
}

TEST(DeathTest, CpusThatAreNotThereOrBootTwice) {
  World world({.cpus = 2});
  EXPECT_DEATH(world.boot(2, [] {}), "World::boot: there is no such CPU");
  EXPECT_DEATH(world.raise_at(2, 1, at(1)), "World::raise_at: there is no such CPU");
  EXPECT_DEATH(world.report(2), "World::report: there is no such CPU");
  world.boot(0, [] {});
  EXPECT_DEATH(world.boot(0, [] {}), "World::boot: the CPU was booted before");
}

TEST(Stacks, HaveAtLeastTheirSizeAndMove) {
  Stack stack(10'000);
  EXPECT_GE(stack.bytes().size(), 10'000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.bytes().data()) % 16, 0u);
  stack.bytes().front() = stack.bytes().back() = std::byte{1};
  const std::byte* const data = stack.bytes().data();
  Stack other = std::move(stack);
  EXPECT_EQ(other.bytes().data(), data);
  EXPECT_EQ(other.bytes().front(), std::byte{1});
  stack = std::move(other);
  EXPECT_EQ(stack.bytes().data(), data);
}

TEST(DeathTest, AStackThatOverflowsDoesNotReachWhatIsBelow) {
  EXPECT_DEATH(
      {
        Stack stack;
        static_cast<volatile std::byte*>(stack.bytes().data())[-1] = std::byte{1};
      },
      "");
}

}  // namespace
}  // namespace hal::sim
