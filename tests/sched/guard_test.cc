// `NoPreempt`: no switch happens while one lives; what came due meanwhile happens once, when the
// last one goes, wherever that is.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using Lines = std::vector<std::string>;

// A task "low", whose body a test gives, and "high", which parks until it is woken, again and
// again.
class GuardTest : public testing::Test {
 public:
  using K = Kernel<FixedPriority>;
  using S = K::S;

  GuardTest() {
    high = &kernel.make("high",
                        [this] {
                          for (;;) {
                            S::park();
                            kernel.log("high");
                          }
                        },
                        {.priority = 9});
  }

  hal::sim::Outcome run(std::function<void()> body) {
    auto& low = kernel.make("low", std::move(body), {.priority = 1});
    kernel.boot([&] {
      kernel.spawn(low);
      kernel.spawn(*high);
    });
    const hal::sim::Outcome outcome = kernel.run();
    EXPECT_EQ(low.finishes, 1);
    return outcome;
  }

  uint64_t switches() const { return kernel.world.report(0).switches; }
  uint64_t kicks() const { return kernel.world.report(0).kick_interrupts; }

  K kernel;
  K::Thread* high = nullptr;
};

TEST_F(GuardTest, WithoutOneAHigherTaskRunsAtOnce) {
  EXPECT_EQ(run([&] {
              kernel.log("before");
              S::wake(*high);
              kernel.log("after");
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"before", "high", "after"}));
}

TEST_F(GuardTest, HoldsASwitchBackAndHonoursItOnce) {
  EXPECT_EQ(run([&] {
              const uint64_t before = switches();
              {
                const S::NoPreempt guard;
                S::wake(*high);
                Sim::spend(ticks(100));
                kernel.log("guarded");
                EXPECT_EQ(switches(), before);
              }
              kernel.log("after");
              EXPECT_EQ(switches(), before + 2);  // there and back
              const Usage usage = S::usage(S::current());
              EXPECT_EQ(usage.preemptions, 1u);
              EXPECT_EQ(usage.involuntary, 1u);
              {
                const S::NoPreempt guard;
              }
              S::yield();
              EXPECT_EQ(switches(), before + 2);  // nothing was left over
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"guarded", "high", "after"}));
  EXPECT_EQ(kicks(), 0u);
}

TEST_F(GuardTest, Nests) {
  EXPECT_EQ(run([&] {
              const uint64_t before = switches();
              std::optional<S::NoPreempt> guards[255];
              for (auto& guard : guards) guard.emplace();
              S::wake(*high);
              for (auto& guard : guards) {
                EXPECT_EQ(switches(), before);
                kernel.log("guarded");
                guard.reset();
              }
              kernel.log("after");
            }),
            End::quiet);
  ASSERT_EQ(kernel.lines.size(), 257u);
  EXPECT_EQ(kernel.lines[254], "guarded");
  EXPECT_EQ(kernel.lines[255], "high");
  EXPECT_EQ(kernel.lines[256], "after");
}

TEST_F(GuardTest, HoldsBackWhatAnInterruptAsksFor) {
  kernel.on_device = [&](uint32_t, auto& interrupt) {
    interrupt.wake(*high);
    kernel.log("interrupt");
  };
  kernel.world.raise_at(0, 1, at(100));
  EXPECT_EQ(run([&] {
              {
                const S::NoPreempt guard;
                Sim::spend(ticks(1000));
                kernel.log("guarded");
              }
              kernel.log("after");
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"interrupt", "guarded", "high", "after"}));
  EXPECT_EQ(kernel.world.report(0).preempts, 0u);  // not at the interrupt's end
}

TEST_F(GuardTest, InAnInterruptLeavesTheSwitchToItsEnd) {
  kernel.on_device = [&](uint32_t, auto&) {
    {
      const S::NoPreempt outer;
      const S::NoPreempt inner;
      S::wake(*high);
    }
    kernel.log("interrupt");
  };
  kernel.world.raise_at(0, 1, at(100));
  EXPECT_EQ(run([&] {
              Sim::spend(ticks(1000));
              kernel.log("low");
              EXPECT_EQ(S::usage(S::current()).preemptions, 1u);
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"interrupt", "high", "low"}));
  EXPECT_EQ(kernel.world.report(0).preempts, 1u);
}

TEST_F(GuardTest, InAnInterruptDoesNotEndTheTasksOwn) {
  kernel.on_device = [&](uint32_t, auto&) {
    const S::NoPreempt guard;
    S::wake(*high);
  };
  kernel.world.raise_at(0, 1, at(100));
  EXPECT_EQ(run([&] {
              {
                const S::NoPreempt guard;
                Sim::spend(ticks(1000));
                kernel.log("guarded");
              }
              kernel.log("after");
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"guarded", "high", "after"}));
}

// Who masks interrupts himself gets the switch when he unmasks them.
TEST_F(GuardTest, ReleasedMaskedKicksItself) {
  EXPECT_EQ(run([&] {
              const Sim::Irq irq = Sim::mask();
              {
                const S::NoPreempt guard;
                S::wake(*high);
                kernel.log("guarded");
              }
              kernel.log("masked");
              Sim::unmask(irq);
              kernel.log("after");
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"guarded", "masked", "high", "after"}));
  EXPECT_EQ(kicks(), 1u);
}

TEST_F(GuardTest, MaskedInterruptsHoldAWakeBackToo) {
  EXPECT_EQ(run([&] {
              const Sim::Irq irq = Sim::mask();
              S::wake(*high);
              kernel.log("masked");
              Sim::unmask(irq);
              kernel.log("after");
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"masked", "high", "after"}));
  EXPECT_EQ(kicks(), 1u);
}

TEST_F(GuardTest, ReleasedMaskedWithNothingDueDoesNothing) {
  EXPECT_EQ(run([&] {
              const Sim::Irq irq = Sim::mask();
              {
                const S::NoPreempt guard;
              }
              Sim::unmask(irq);
            }),
            End::quiet);
  EXPECT_EQ(kicks(), 0u);
}

// What was due is due no longer: whoever preempted has been made less urgent meanwhile.
TEST_F(GuardTest, LetsARequestGoThatIsMootByTheEnd) {
  EXPECT_EQ(run([&] {
              const uint64_t before = switches();
              {
                const S::NoPreempt guard;
                S::wake(*high);
                EXPECT_TRUE(S::retune(*high, {.priority = 0}));
              }
              EXPECT_EQ(switches(), before);
              EXPECT_EQ(S::usage(S::current()).involuntary, 0u);
              kernel.log("low");
            }),
            End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"low", "high"}));
}

TEST_F(GuardTest, AtBootForbidsNothingLater) {
  auto& low = kernel.make("low", [&] {
    S::wake(*high);
    S::yield();
    kernel.log("low");
  });
  kernel.boot([&] {
    {
      const S::NoPreempt guard;
      kernel.spawn(low);
    }
    kernel.spawn(*high);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"high", "low"}));
}

TEST(GuardOverASlice, HoldsItsEndBack) {
  Kernel<RoundRobin> kernel;
  using S = decltype(kernel)::S;
  auto& first = kernel.make("first",
                            [&] {
                              const Instant begin = Sim::now();
                              {
                                const S::NoPreempt guard;
                                Sim::spend(ticks(500));
                                EXPECT_EQ(Sim::now(), begin + ticks(500));
                                kernel.log("guarded");
                              }
                              kernel.log("first");
                              const Usage usage = S::usage(S::current());
                              EXPECT_EQ(usage.involuntary, 1u);
                              EXPECT_EQ(usage.preemptions, 0u);  // its slice had ended
                            },
                            {.slice = ticks(100)});
  auto& second = kernel.make("second", [&] { kernel.log("second"); });
  kernel.boot_with(first, second);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"guarded", "second", "first"}));
}

}  // namespace
}  // namespace sched::test
