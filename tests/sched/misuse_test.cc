// What the scheduler stops the machine for: each with the rule that was broken and the task that
// broke it, in a debug build and, where it says so, in a release build too.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

constexpr Options kDebug{.debug_checks = true};
constexpr Options kRelease{.debug_checks = false};

constexpr const char* kGuarded = "yield, park or exit while a guard forbids rescheduling";
constexpr const char* kInterrupted = "yield, park or exit in an interrupt";

using Debug = Kernel<RoundRobin, kDebug>;
using Release = Kernel<RoundRobin, kRelease>;

template <typename K>
class Misuse : public testing::Test {
 public:
  using S = typename K::S;

  // A task "culprit" that does this, and another so that there is somebody to switch to.
  hal::sim::Outcome run(std::function<void()> body) {
    auto& culprit = kernel.make("culprit", std::move(body));
    auto& other = kernel.make("other", [] {});
    kernel.boot_with(culprit, other);
    return kernel.run();
  }
  // The same in an interrupt that comes while "culprit" computes.
  hal::sim::Outcome run_in_interrupt(std::function<void()> body) {
    kernel.on_device = [body = std::move(body)](uint32_t, auto&) { body(); };
    kernel.world.raise_at(0, 1, at(100));
    return run([] { Sim::spend(ticks(1000)); });
  }

  K kernel;
};

using Both = testing::Types<Debug, Release>;
TYPED_TEST_SUITE(Misuse, Both);

TYPED_TEST(Misuse, ParkUnderAGuard) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([] {
    const typename S::NoPreempt guard;
    S::park();
  }),
            (Panic{kGuarded, "culprit"}));
}

TYPED_TEST(Misuse, ParkUnderAGuardAlthoughItWouldPass) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([] {
    S::wake(S::current());
    const typename S::NoPreempt guard;
    S::park();
  }),
            (Panic{kGuarded, "culprit"}));
}

TYPED_TEST(Misuse, YieldUnderAGuard) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([] {
    const typename S::NoPreempt outer;
    {
      const typename S::NoPreempt inner;
    }
    S::yield();
  }),
            (Panic{kGuarded, "culprit"}));
}

TYPED_TEST(Misuse, ExitUnderAGuard) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([] {
    const typename S::NoPreempt guard;
    S::exit();
  }),
            (Panic{kGuarded, "culprit"}));
}

TYPED_TEST(Misuse, YieldInAnInterrupt) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run_in_interrupt([] { S::yield(); }), (Panic{kInterrupted, "culprit"}));
}

// Also where the timer need not be set: a switch before, and the slice's end is known.
TYPED_TEST(Misuse, YieldInAnInterruptAfterYieldsThatWereNone) {
  using S = typename TypeParam::S;
  this->kernel.on_device = [](uint32_t, auto&) { S::yield(); };
  this->kernel.world.raise_at(0, 1, at(500));
  for (const char* name : {"culprit", "culprit"}) {
    this->kernel.make(name,
                      [] {
                        for (int i = 0; i < 100; ++i) {
                          S::yield();
                          Sim::spend(ticks(20));
                        }
                      },
                      {.slice = ticks(1'000'000)});
  }
  this->kernel.boot([&] {
    for (auto& thread : this->kernel.threads) this->kernel.spawn(thread);
  });
  EXPECT_EQ(this->kernel.run(), (Panic{kInterrupted, "culprit"}));
}

TYPED_TEST(Misuse, ParkInAnInterrupt) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run_in_interrupt([] { S::park(); }), (Panic{kInterrupted, "culprit"}));
}

TYPED_TEST(Misuse, ExitInAnInterrupt) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run_in_interrupt([] { S::exit(); }), (Panic{kInterrupted, "culprit"}));
}

TYPED_TEST(Misuse, ParkInTheSink) {
  using S = typename TypeParam::S;
  this->kernel.on_finish = [](auto&) { S::park(); };
  EXPECT_EQ(this->run([] {}), (Panic{kGuarded, "idle"}));
}

TYPED_TEST(Misuse, ParkBeforeRun) {
  using S = typename TypeParam::S;
  this->kernel.boot([] { S::park(); });
  const hal::sim::Outcome outcome = this->kernel.run();
  EXPECT_EQ(outcome.end, End::panic) << outcome;
  EXPECT_EQ(outcome.task, "idle");
}

// A stray write below the stack's low end would be caught by a guard page; one that lands on the
// last word of it is found at the next switch, whatever the reason for that switch.
TYPED_TEST(Misuse, StackOverflowFoundAtAYield) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([] {
    *const_cast<std::byte*>(S::current().stack_limit()) = std::byte{0x55};
    S::yield();
  }),
            (Panic{"stack overflow", "culprit"}));
}

TYPED_TEST(Misuse, StackOverflowFoundAtAPark) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([] {
    *const_cast<std::byte*>(S::current().stack_limit()) = std::byte{0x55};
    S::park();
  }),
            (Panic{"stack overflow", "culprit"}));
}

TYPED_TEST(Misuse, StackOverflowFoundAtTheEnd) {
  using S = typename TypeParam::S;
  EXPECT_EQ(
      this->run([] { *const_cast<std::byte*>(S::current().stack_limit()) = std::byte{0x55}; }),
      (Panic{"stack overflow", "culprit"}));
}

TYPED_TEST(Misuse, StackOverflowFoundAtAPreemption) {
  using S = typename TypeParam::S;
  auto& culprit = this->kernel.make("culprit",
                                    [] {
                                      *const_cast<std::byte*>(S::current().stack_limit()) =
                                          std::byte{0x55};
                                      Sim::spend(ticks(1000));
                                    },
                                    {.slice = ticks(10)});
  auto& other = this->kernel.make("other", [] {});
  this->kernel.boot([&] {
    this->kernel.spawn(culprit);
    this->kernel.spawn(other);
  });
  EXPECT_EQ(this->kernel.run(), (Panic{"stack overflow", "culprit"}));
}

TYPED_TEST(Misuse, CorruptedLinkFoundAtAYield) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([this] {
    RingLink<RoundRobin>& next = this->kernel.threads[1];
    next.prev = &next;
    S::yield();
  }),
            (Panic{"corrupted queue link", "culprit"}));
}

TYPED_TEST(Misuse, CorruptedLinkFoundAtAPark) {
  using S = typename TypeParam::S;
  EXPECT_EQ(this->run([this] {
    RingLink<RoundRobin>& next = this->kernel.threads[1];
    next.next = &next;
    S::park();
  }),
            (Panic{"corrupted queue link", "culprit"}));
}

TYPED_TEST(Misuse, CorruptedLinkFoundAtAWake) {
  using S = typename TypeParam::S;
  typename TypeParam::Thread* sleeper = nullptr;
  auto& kernel = this->kernel;
  auto& culprit = kernel.make("culprit", [&] {
    RingLink<RoundRobin>& mine = kernel.threads[0];
    mine.next = &static_cast<RingLink<RoundRobin>&>(*sleeper);
    S::wake(*sleeper);
  });
  auto& other = kernel.make("other", [] { S::park(); });
  sleeper = &other;
  kernel.boot_with(other, culprit);
  EXPECT_EQ(kernel.run(), (Panic{"corrupted queue link", "other"}));
}

// A kernel that has said it would have one: nothing in it is made for two.
TEST(MisuseOfOptions, MoreCpusThanTheyAllow) {
  Kernel<RoundRobin, Options{.cpus = 1}> kernel({.cpus = 2});
  kernel.boot([] {});
  EXPECT_EQ(kernel.run(), (Panic{"more CPUs than the options allow", "idle"}));
}

// --- In a debug build only ---

using MisuseInADebugBuild = Misuse<Debug>;
using S = Debug::S;

TEST_F(MisuseInADebugBuild, YieldUnderAGuardAlone) {
  auto& culprit = kernel.make("culprit", [] {
    const S::NoPreempt guard;
    S::yield();
  });
  kernel.boot_with(culprit);
  EXPECT_EQ(kernel.run(), (Panic{kGuarded, "culprit"}));
}

TEST_F(MisuseInADebugBuild, YieldInTheSink) {
  kernel.on_finish = [](auto&) { S::yield(); };
  EXPECT_EQ(run([] {}), (Panic{kGuarded, "idle"}));
}

TEST_F(MisuseInADebugBuild, YieldBeforeRun) {
  kernel.boot([] { S::yield(); });
  EXPECT_EQ(kernel.run(), (Panic{kGuarded, "idle"}));
}

TEST_F(MisuseInADebugBuild, YieldMasked) {
  EXPECT_EQ(run([] {
              Sim::mask();
              S::yield();
            }),
            (Panic{"yield with interrupts masked", "culprit"}));
}

TEST_F(MisuseInADebugBuild, ParkMasked) {
  EXPECT_EQ(run([] {
              Sim::mask();
              S::park();
            }),
            (Panic{"park with interrupts masked", "culprit"}));
}

TEST_F(MisuseInADebugBuild, ExitMasked) {
  EXPECT_EQ(run([] {
              Sim::mask();
              S::exit();
            }),
            (Panic{"exit with interrupts masked", "culprit"}));
}

TEST_F(MisuseInADebugBuild, GuardsWithoutEnd) {
  EXPECT_EQ(run([] {
              std::optional<S::NoPreempt> guards[256];
              for (int i = 0; i < 256; ++i) {
                EXPECT_EQ(std::string("culprit"), S::current().name()) << i;
                guards[i].emplace();
              }
              ADD_FAILURE() << "256 guards are one too many";
            }),
            (Panic{"guards nest too deep", "culprit"}));
}

// A policy that at times chooses whom it must not.
class Confused : public Fifo {
 public:
  Choice<Entity> pick(Instant now) {
    return chosen == nullptr ? Fifo::pick(now) : Choice<Entity>{chosen, never};
  }

  Entity* chosen = nullptr;
};

TEST(ConfusedPolicy, ChoosesATaskThatIsBlocked) {
  Kernel<Confused, kDebug> kernel;
  using S = decltype(kernel)::S;
  auto& blocked = kernel.make("blocked", [] { S::park(); });
  auto& culprit = kernel.make("culprit", [&] {
    S::yield();
    kernel.cpu(0).policy().chosen = &blocked;
    S::yield();
  });
  auto& other = kernel.make("other", [] { S::yield(); });
  kernel.boot_with(blocked, culprit, other);
  EXPECT_EQ(kernel.run(), (Panic{"a task that cannot run is chosen", "blocked"}));
}

TEST(ConfusedPolicy, ChoosesATaskThatRunsElsewhere) {
  Kernel<Confused, kDebug> kernel({.cpus = 2});
  using S = decltype(kernel)::S;
  auto& elsewhere = kernel.make("elsewhere", [] { Sim::spend(ticks(10'000)); });
  auto& culprit = kernel.make("culprit", [&] {
    Sim::spend(ticks(1000));
    kernel.cpu(0).policy().chosen = &elsewhere;
    S::yield();
  });
  auto& other = kernel.make("other", [] {});
  kernel.boot([&] {
    kernel.spawn_on(1, elsewhere);
    kernel.spawn(culprit);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), (Panic{"a task of another CPU is chosen", "elsewhere"}));
}

}  // namespace
}  // namespace sched::test
