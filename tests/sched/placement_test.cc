// Where tasks run that may run in several places: new ones, and those that float.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/hal.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

// --- New tasks ---

TEST(SpawnIn, FindsAnIdleCpuForEach) {
  K kernel({.cpus = 4});
  std::vector<int> began(4);
  for (int i = 0; i < 3; ++i) {
    kernel.make("task", [&] {
      ++began[S::here().number];
      EXPECT_EQ(S::now(), at(2000));
      Sim::spend(ticks(1000));
    });
  }
  auto& parent = kernel.make("parent", [&] {
    Sim::spend(at(2000) - S::now());
    for (size_t i = 0; i < 3; ++i) kernel.spawn_in({}, kernel.threads[i]);
    Sim::spend(ticks(1000));
  });
  kernel.boot_with(parent);
  kernel.finish();
  EXPECT_EQ(began, (std::vector{0, 1, 1, 1}));
}

TEST(SpawnIn, StaysWhereItIsAllowed) {
  K kernel({.cpus = 4});
  auto& task = kernel.make("task", [] { EXPECT_EQ(S::here().number, 2); });
  auto& other = kernel.make("other", [] {
    EXPECT_EQ(S::here().number, 2);
    const Sim::Irq irq = Sim::mask();
    EXPECT_EQ(S::affinity(S::current()), (S::CpuSet{2, 63}));
    Sim::unmask(irq);
  });
  kernel.boot([&] {
    EXPECT_EQ(kernel.try_spawn_in({.cpus = {}}, task).error(), SpawnError::cpu_not_started);
    EXPECT_EQ(kernel.try_spawn_in({.cpus = {4, 63}}, task).error(), SpawnError::cpu_not_started);
    kernel.spawn_in({.cpus = {2}}, task);
    kernel.spawn_in({.cpus = {2, 63}}, other);  // it is busy, and the only one
  });
  kernel.finish();
}

// --- Tasks that float ---

TEST(Floating, RunsAtOnceWhereTheCpuItWasOnIsBusy) {
  K kernel({.cpus = 3, .interleave = 0});
  std::vector<uint64_t> began(2);
  for (size_t i = 0; i < 2; ++i) {
    kernel.make(i == 0 ? "sticky" : "floating",
                [&began, i] {
                  EXPECT_EQ(S::here().number, 1);
                  EXPECT_EQ(S::park(), Woken::by_wake);
                  began[i] = S::now().ticks;
                  EXPECT_EQ(S::here().number, i == 0 ? 1 : 2);
                },
                {.priority = 1});
  }
  auto& busy = kernel.make("busy", [] { Sim::spend(ticks(5000)); }, {.priority = 5});
  auto& waker = kernel.make("waker",
                            [&] {
                              Sim::spend(ticks(100));
                              kernel.spawn_in({.floats = true}, kernel.threads[1]);
                              Sim::spend(at(2000) - S::now());
                              kernel.spawn_on(1, busy);
                              Sim::spend(at(3000) - S::now());
                              for (size_t i = 0; i < 2; ++i) {
                                EXPECT_EQ(S::usage(kernel.threads[i]).cpu, 1);
                                S::wake(kernel.threads[i]);
                              }
                              Sim::spend(ticks(100));
                            },
                            {.priority = 5});
  kernel.boot([&] {
    kernel.spawn_on(1, kernel.threads[0]);
    kernel.spawn(waker);
  });
  Invariants invariants(kernel);
  kernel.finish();
  EXPECT_EQ(began, (std::vector<uint64_t>{7000, 3000}));
}

TEST(Floating, StaysWhereItWasIfThatIsIdle) {
  K kernel({.cpus = 3, .interleave = 0});
  auto& task = kernel.make("task", [&] {
    const CpuNumber home = S::here().number;
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(S::park(), Woken::by_wake);
      EXPECT_EQ(S::here().number, home);
    }
  });
  auto& waker = kernel.make("waker", [&] {
    kernel.spawn_in({.floats = true}, task);
    for (int i = 0; i < 3; ++i) {
      Sim::spend(ticks(1000));
      EXPECT_EQ(task.ownership().owner(), kFloating);
      S::wake(task);
    }
  });
  kernel.boot_with(waker);
  Invariants invariants(kernel);
  kernel.finish();
}

// A timer runs on a CPU, and so a timed wait is that CPU's; so is a task that has been asked to
// finish.
TEST(Floating, IsOwnedWhileItWaitsWithATimerAndOnceItIsKilled) {
  K kernel({.cpus = 2, .interleave = 0});
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(S::park_until(S::now() + ticks(500)), Woken::by_timeout);
    EXPECT_EQ(S::park(), Woken::by_kill);
    EXPECT_EQ(S::sleep_for(ticks(500)), Waited::killed);
  });
  auto& other = kernel.make("other", [&] {
    S::sleep_for(ticks(100));
    EXPECT_LT(task.ownership().owner(), 2);
    EXPECT_EQ(S::state(task), State::blocked);
    S::sleep_for(ticks(1000));
    EXPECT_EQ(task.ownership().owner(), kFloating);
    S::kill(task);
  });
  kernel.boot([&] {
    kernel.spawn(other);
    kernel.spawn_in({.floats = true}, task);
  });
  Invariants invariants(kernel);
  kernel.finish();
}

// Whatever is asked of one that nobody owns finds it.
TEST(Floating, IsReachedByEverythingThatIsAskedOfIt) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    K kernel({.cpus = 3,
              .seed = seed,
              .interleave = 2,
              .stall = ticks(20),
              .find_races = true,
              .steps = 100'000});
    auto& task = kernel.make("task", [] {
      EXPECT_EQ(S::park(), Woken::by_wake);
      EXPECT_EQ(S::park(), Woken::by_cancel);
      EXPECT_EQ(S::attributes(S::current()).priority, 7);
      EXPECT_EQ(S::park(), Woken::by_wake);
      EXPECT_EQ(S::park(), Woken::by_wake);
      EXPECT_EQ(S::here().number, 1);
      EXPECT_EQ(S::park(), Woken::by_kill);
    });
    auto& other = kernel.make("other", [&] {
      const auto floats = [&] {
        while (task.ownership().owner() != kFloating) Sim::spend(ticks(10));
      };
      kernel.spawn_in({.floats = true}, task);
      floats();
      S::wake(task);
      floats();
      EXPECT_TRUE(S::retune(task, {.priority = 7}));
      S::cancel_wait(task);
      floats();
      EXPECT_TRUE(S::suspend(task));
      S::wake(task);
      Sim::spend(ticks(500));
      EXPECT_EQ(S::state(task), State::suspended);
      EXPECT_TRUE(S::resume(task));
      floats();
      EXPECT_TRUE(S::set_affinity(task, {1}));
      S::wake(S::life(task));
      floats();
      S::kill(task);
    });
    kernel.boot_with(other);
    Invariants invariants(kernel);
    kernel.finish();
    invariants.expect_nothing_left();
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

// --- What the machine says ---

// Two nodes of two cores of two threads; the last core is a big one.
struct Tree : Sim {
  static unsigned distance(CpuNumber a, CpuNumber b) {
    return a == b ? 0 : a / 2 == b / 2 ? 1 : a / 4 == b / 4 ? 2 : 3;
  }
  static unsigned capacity(CpuNumber cpu) { return cpu >= 6 ? 2 : 1; }
};
static_assert(hal::HasTopology<Tree> && !hal::HasTopology<Sim>);

TEST(Topology, AnIdleCpuNearbyIsTakenFirst) {
  using K = Kernel<FixedPriority, Options{.debug_checks = true}, Tree>;
  K kernel({.cpus = 8, .interleave = 0});
  std::vector<CpuNumber> order;
  for (int i = 0; i < 7; ++i) {
    kernel.make("task", [] { Sim::spend(ticks(1000)); });
  }
  auto& parent = kernel.make("parent", [&] {
    for (size_t i = 0; i < 7; ++i) {
      kernel.spawn_in({}, kernel.threads[i]);
      order.push_back(kernel.threads[i].ownership().owner());
    }
    Sim::spend(ticks(1000));
  });
  kernel.boot([&] { kernel.spawn_on(2, parent); });
  kernel.finish();
  EXPECT_EQ(order, (std::vector<CpuNumber>{3, 0, 1, 6, 7, 4, 5}));
}

// --- What the policy says ---

// Sends everybody to the CPU that it is told, first of all in the world of this test.
class Directed : public Fifo {
 public:
  static inline CpuNumber to = 0;
  static inline std::vector<Enter> whys;
  Place place(const Entity&, const Arrival<CpuSet<64>>& arrival) const {
    whys.push_back(arrival.why);
    EXPECT_TRUE(arrival.allowed.contains(arrival.previous));
    return {.cpu = to};
  }
};

TEST(Place, IsThePolicysToSay) {
  using K = Kernel<Directed>;
  using S = K::S;
  Directed::whys.clear();
  K kernel({.cpus = 3});
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(S::here().number, 2);
    S::park();
    EXPECT_EQ(S::here().number, 1);
  });
  auto& waker = kernel.make("waker", [&] {
    Directed::to = 2;
    kernel.spawn_in({.cpus = {0, 1, 2}, .floats = true}, task);
    S::sleep_for(ticks(1000));
    Directed::to = 1;
    S::wake(task);
    EXPECT_EQ(S::usage(kernel.cpu(0)).misplaced, 0u);
    auto& other = kernel.make("other", [] { EXPECT_EQ(S::here().number, 0); });
    Directed::to = 9;  // a mistake: counted, and it stays
    kernel.spawn_in({}, other);
    EXPECT_EQ(S::usage(kernel.cpu(0)).misplaced, 1u);
  });
  kernel.boot_with(waker);
  kernel.finish();
  EXPECT_EQ(Directed::whys, (std::vector{Enter::created, Enter::woken, Enter::created}));
}

// --- A CPU that looks by itself ---

TEST(Watching, SparesTheKickOfACpuThatIsAwake) {
  using K = Kernel<Fifo, Options{.debug_checks = true, .polls = 1000}>;
  using S = K::S;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    K kernel({.cpus = 2, .seed = seed, .interleave = 2, .find_races = true});
    static constexpr int kRounds = 20;
    auto& pong = kernel.make("pong", [&] {
      for (int i = 0; i < kRounds; ++i) {
        S::park();
        S::wake(kernel.threads[1]);
      }
    });
    auto& ping = kernel.make("ping", [&] {
      for (int i = 0; i < kRounds; ++i) {
        S::wake(pong);
        S::park();
      }
      EXPECT_GT(S::usage(kernel.cpu(0)).spared, 10u);
      EXPECT_LT(S::usage(kernel.cpu(0)).kicks, 10u);
    });
    kernel.boot([&] {
      kernel.spawn_on(1, pong);
      kernel.spawn(ping);
    });
    Invariants invariants(kernel);
    kernel.finish();
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

// An interrupt of its own ends its watch, and so does its patience: then it sleeps, and is kicked.
TEST(Watching, EndsWithAnInterruptAndAfterAWhile) {
  using K = Kernel<Fifo, Options{.debug_checks = true, .polls = 1000}>;
  using S = K::S;
  K kernel({.cpus = 2, .interleave = 0});
  uint64_t woken = 0;
  auto& task = kernel.make("task", [&] {
    S::park();
    woken = S::now().ticks;
    S::park();
  });
  auto& other = kernel.make("other", [&] {
    Sim::spend(at(9000) - S::now());
    const uint64_t before = S::usage(kernel.cpu(0)).kicks;
    S::wake(task);
    EXPECT_EQ(S::usage(kernel.cpu(0)).kicks, before + 1);
  });
  kernel.on_device = [&](uint32_t, auto& interrupt) { interrupt.wake(task); };
  kernel.world.raise_at(1, 1, at(1500));
  kernel.boot([&] {
    kernel.spawn_on(1, task);
    kernel.spawn(other);
  });
  kernel.finish();
  EXPECT_LT(woken, 1510u);
}

}  // namespace
}  // namespace sched::test
