// Interrupts of the simulated machine, from its timers, from other CPUs and from outside; and the
// wait for them.

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "tests/hal/sim/guest.h"

namespace hal::sim::test {
namespace {

// --- Interrupts ---

TEST(Interrupts, AreTakenInsideSpendAtTheirExactInstant) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
    M::arm(at(100));
    M::unmask(M::kUnmasked);
    M::spend(ticks(1000));
    EXPECT_EQ(M::now(), at(1001));
  });
  EXPECT_EQ(log.lines, Lines{"timer 100"});
  EXPECT_EQ(world.report(0).timer_interrupts, 1u);
}

TEST(Interrupts, AtTheLastInstantOfSpendAreTakenBeforeItReturns) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
    M::arm(at(101));
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
    log.lines.push_back("spent");
  });
  EXPECT_EQ(log.lines, (Lines{"timer 101", "spent"}));
}

TEST(Interrupts, WaitWhileMasked) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
    M::arm(at(100));
    M::spend(ticks(1000));
    log.lines.push_back("unmask");
    M::unmask(M::kUnmasked);
    log.lines.push_back("unmasked");
  });
  EXPECT_EQ(log.lines, (Lines{"unmask", "timer 1001", "unmasked"}));
}

TEST(Interrupts, AreTakenEarliestFirst) {
  Log log;
  World world({.interrupt = log.handler()});
  world.raise_at(0, 5, at(30));
  world.raise_at(0, 6, at(10));
  world.raise_at(0, 7, at(10));
  run_one(world, [&] {
    M::arm(at(20));
    M::spend(ticks(15));
    M::kick(0);
    M::spend(ticks(100));
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(log.lines, (Lines{"line 6 116", "line 7 116", "kick 116", "timer 116", "line 5 116"}));
  EXPECT_EQ(world.report(0).device_interrupts, 3u);
}

TEST(Interrupts, AreTakenEarliestFirstWithTheTimerBeforeAKick) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
    M::arm(at(5));
    M::spend(ticks(15));
    M::kick(0);
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(log.lines, (Lines{"timer 16", "kick 16"}));
}

TEST(Interrupts, AreTakenAtEveryMachineCallWhenUnmasked) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
    M::unmask(M::kUnmasked);
    world.raise_at(0, 1, at(0));
    M::now();
    log.lines.push_back("now");
  });
  EXPECT_EQ(log.lines, (Lines{"line 1 1", "now"}));
}

TEST(Interrupts, StayMaskedByUnmaskingToAMaskedState) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
    M::kick(0);
    const M::Irq outer = M::mask();
    M::unmask(outer);
    EXPECT_EQ(M::mask(), M::Irq::masked);
    log.lines.push_back("masked");
  });
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
  world.raise_at(0, 1, at(10));
  world.raise_at(0, 2, at(20));
  run_one(world, [&] {
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
    EXPECT_EQ(M::now(), at(121));
  });
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
  run_one(world, [&] {
    M::spend(ticks(50));
    M::arm(at(0));
    log.lines.push_back("armed");
    M::unmask(M::kUnmasked);
    log.lines.push_back("unmasked");
  });
  EXPECT_EQ(log.lines, (Lines{"armed", "timer 51", "unmasked"}));
}

TEST(Timer, ArmReplacesAndNeverSilences) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
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
  EXPECT_EQ(log.lines, Lines{"timer 20"});
  EXPECT_EQ(world.report(0).arms, 5u);  // one of them by the handler
  EXPECT_EQ(world.report(0).armed, never);
}

TEST(Timer, SilencesForEveryInstantThatIsNoDeadline) {
  World world({.timer_reach = ticks(100)});
  run_one(world, [&] {
    for (const Instant no_deadline : {never, Instant{UINT64_MAX}}) {
      M::arm(at(20));
      M::arm(no_deadline);
      M::wait();
    }
  });
  EXPECT_EQ(world.now(), at(1));
}

TEST(Timer, InterruptsEarlyWhereItsHardwareReachesNoFarther) {
  Log log;
  World world({.timer_reach = ticks(100), .interrupt = log.handler()});
  run_one(world, [&] {
    M::spend(ticks(10));
    M::arm(at(1000));
    M::unmask(M::kUnmasked);
    M::spend(ticks(500));
    M::mask();
    M::arm(at(600));
    M::unmask(M::kUnmasked);
    M::spend(ticks(500));
  });
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
  run_one(world, [&] {
    M::kick(0);
    log.lines.push_back("masked");
    M::unmask(M::kUnmasked);
    M::kick(0);
    log.lines.push_back("unmasked");
  });
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
  world.raise_at(0, 1, at(10));
  run_one(world, [&] {
    M::unmask(M::kUnmasked);
    M::spend(ticks(100));
    world.raise_at(0, 3, at(150));
    M::spend(ticks(100));
  });
  EXPECT_EQ(log.lines, (Lines{"line 1 10", "line 3 150"}));
}

TEST(Device, AnInstantInThePastIsNow) {
  Log log;
  World world({.interrupt = log.handler()});
  world.raise_at(0, 1, at(80));
  run_one(world, [&] {
    M::spend(ticks(100));
    world.raise_at(0, 2, at(50));
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(log.lines, (Lines{"line 1 101", "line 2 101"}));
}

TEST(Device, WakesAWorldThatWasQuiet) {
  Log log;
  World world({.interrupt = log.handler()});
  run_one(world, [&] {
    for (;;) {
      M::wait();
      M::unmask(M::kUnmasked);
      M::mask();
    }
  });
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
    run_one(world, [&] {
      M::arm(at(500));
      M::wait();
      EXPECT_EQ(M::now(), at(500));
      log.lines.push_back("woken");
      EXPECT_EQ(M::mask(), M::Irq::masked);
      M::unmask(M::kUnmasked);
    });
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
  bool returned = false;
  run_one(world, [&] {
    M::wait();
    returned = true;
  });
  EXPECT_FALSE(returned);
  EXPECT_FALSE(world.report(0).done);
}

TEST(WaitFor, EndsInEitherShapeBySeed) {
  std::set<size_t> pending;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Log log;
    World world({.seed = seed, .interrupt = log.handler()});
    run_one(world, [&] {
      M::arm(at(500));
      M::wait();
      pending.insert(log.lines.size());
      M::unmask(M::kUnmasked);
    });
    EXPECT_EQ(log.lines.size(), 1u);
  }
  EXPECT_EQ(pending, (std::set<size_t>{0, 1}));
}

}  // namespace
}  // namespace hal::sim::test
