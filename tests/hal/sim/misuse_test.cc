// That the simulated machine finds every misuse of the contract in hal/hal.h, and of its own.

#include <cstddef>
#include <span>
#include <utility>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "tests/hal/sim/guest.h"

namespace hal::sim::test {
namespace {

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

}  // namespace
}  // namespace hal::sim::test
