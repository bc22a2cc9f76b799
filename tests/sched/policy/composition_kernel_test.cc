// A policy made of policies in the whole scheduler, on the simulated machine: tasks with deadlines,
// then tasks with priorities and budgets, then everybody else.

#include <array>
#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/classes.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using Policy = Classes<Edf, Budgeted<FixedPriority>, Eevdf>;

// Attributes name the class; without any a task is in the last.
constexpr auto kControl = Policy::in<0>({.runtime = ticks(200), .period = ticks(1000)});
constexpr auto kDriver =
    Policy::in<1>({.inner = {.priority = 250}, .budget = ticks(100), .period = ticks(1000)});
constexpr auto kRunaway = Policy::in<1>({.inner = {.priority = 200}});
constexpr auto kDouble = Policy::in<2>({.weight = 2 * kNormalWeight, .slice = ticks(20)});
constexpr auto kSingle = Policy::in<2>({.weight = kNormalWeight, .slice = ticks(20)});

class Composition : public testing::Test {
 protected:
  using K = Kernel<Policy>;

  // Works in small steps for ever, and counts the ticks.
  K::Thread& worker(size_t number, const Policy::Attributes& attributes) {
    constexpr uint64_t kStep = 10;
    return kernel.make(
        "worker",
        [this, number] {
          for (;;) {
            Sim::spend(ticks(kStep));
            worked[number] += kStep;
          }
        },
        attributes);
  }
  void boot() {
    kernel.boot([this] {
      // 5 % for whoever has no deadline and no priority.
      EXPECT_TRUE(kernel.cpu(0).policy().set_reserve_below<1>(ticks(50), ticks(1000)));
      for (auto* thread : {&control, &driver, &runaway, &twice, &once}) kernel.spawn(*thread);
    });
  }

  std::array<uint64_t, 5> worked{};
  K kernel;
  K::Thread& control = worker(0, kControl);
  K::Thread& driver = worker(1, kDriver);
  K::Thread& runaway = worker(2, kRunaway);
  K::Thread& twice = worker(3, kDouble);
  K::Thread& once = worker(4, kSingle);
};

constexpr uint64_t kTicks = 300'000;

TEST_F(Composition, GivesEachWhatItIsPromised) {
  boot();
  EXPECT_EQ(kernel.run(at(kTicks)), End::until);
  EXPECT_NEAR(static_cast<double>(worked[0]), kTicks * 0.20, 400);
  EXPECT_NEAR(static_cast<double>(worked[1]), kTicks * 0.10, 400);
  EXPECT_NEAR(static_cast<double>(worked[2]), kTicks * 0.65, 2000);
  EXPECT_NEAR(static_cast<double>(worked[3] + worked[4]), kTicks * 0.05, 200);
  EXPECT_NEAR(static_cast<double>(worked[3]), 2.0 * static_cast<double>(worked[4]), 200);
}

TEST_F(Composition, TakesATaskToAnotherClassWhileItRuns) {
  auto& keeper = kernel.make(
      "keeper",
      [this] {
        EXPECT_TRUE(K::S::retune(runaway, kSingle));
        EXPECT_EQ(K::S::attributes(runaway), kSingle);
      },
      Policy::in<1>({.inner = {.priority = 255}}));
  kernel.boot([&] {
    for (auto* thread : {&runaway, &twice, &once, &keeper}) kernel.spawn(*thread);
  });
  EXPECT_EQ(kernel.run(at(kTicks)), End::until);
  EXPECT_NEAR(static_cast<double>(worked[2]), kTicks * 0.25, 200);
  EXPECT_NEAR(static_cast<double>(worked[3]), kTicks * 0.50, 200);
  EXPECT_NEAR(static_cast<double>(worked[4]), kTicks * 0.25, 200);
}

}  // namespace
}  // namespace sched::test
