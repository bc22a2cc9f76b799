// CPUs that go and come back, whatever they have to do: nothing is lost.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/edf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"
#include "tests/sched/seeds.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

void wait_until_offline(CpuNumber cpu) {
  while (!S::is_offline(cpu)) S::sleep_for(ticks(10));
}

TEST(Offline, SendsAwayWhateverACpuHas) {
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed, 3));
    const auto check = [] { EXPECT_NE(S::here().number, 1); };
    auto& running = kernel.make("running", [&] {
      Sim::spend(ticks(20'000));
      check();
    });
    auto& ready = kernel.make("ready", check);
    auto& blocked = kernel.make("blocked",
                                [&] {
                                  EXPECT_EQ(S::park(), Woken::by_wake);
                                  check();
                                },
                                {.priority = 5});
    auto& timed = kernel.make("timed",
                              [&] {
                                EXPECT_EQ(S::sleep_until(at(20'000)), Waited::timed_out);
                                EXPECT_GE(S::now(), at(20'000));
                                check();
                              },
                              {.priority = 5});
    auto& suspended = kernel.make("suspended",
                                  [&] {
                                    Sim::spend(ticks(3000));
                                    check();
                                  },
                                  {.priority = 5});
    auto& killed = kernel.make("killed",
                               [&] {
                                 EXPECT_EQ(S::park(), Woken::by_kill);
                                 check();
                               },
                               {.priority = 5});
    static bool has_fired;
    has_fired = false;
    Timer timer([](Timer&) {
      EXPECT_NE(S::here().number, 1);
      EXPECT_GE(S::now(), at(15'000));
      has_fired = true;
    });
    auto& armer =
        kernel.make("armer", [&] { EXPECT_TRUE(S::arm(timer, at(15'000))); }, {.priority = 9});
    auto& controller =
        kernel.make("controller",
                    [&] {
                      for (auto* task : {&running, &ready, &blocked, &timed, &killed, &armer}) {
                        kernel.spawn_on(1, *task);
                      }
                      S::sleep_until(at(3000));
                      kernel.spawn_on(1, suspended);
                      EXPECT_TRUE(S::suspend(suspended));
                      EXPECT_TRUE(S::take_offline(1));
                      EXPECT_EQ(S::online(), (S::CpuSet{0, 2}));
                      wait_until_offline(1);
                      auto& late = kernel.make("late", [] {});
                      EXPECT_EQ(kernel.try_spawn_on(1, late).error(), SpawnError::cpu_not_started);
                      kernel.spawn(late);
                      EXPECT_FALSE(S::set_affinity(S::current(), {1}));
                      S::wake(blocked);
                      S::kill(killed);
                      EXPECT_TRUE(S::resume(suspended));
                      S::sleep_until(at(16'000));
                      EXPECT_TRUE(has_fired);
                    },
                    {.priority = 8});
    kernel.boot_with(controller);
    Invariants invariants(kernel);
    kernel.finish();
    invariants.expect_nothing_left();
    EXPECT_EQ(kernel.world.report(1).armed, never);
  });
}

TEST(Offline, IsRefusedForTheLastCpuAndForNone) {
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [] {
    EXPECT_FALSE(S::take_offline(2));
    EXPECT_FALSE(S::bring_online(1));  // it is
    EXPECT_FALSE(S::bring_online(2));
    EXPECT_TRUE(S::take_offline(0));  // its own
    EXPECT_EQ(S::here().number, 1);
    EXPECT_FALSE(S::take_offline(0));
    EXPECT_FALSE(S::take_offline(1));
    wait_until_offline(0);
    EXPECT_TRUE(S::bring_online(0));
    while (S::is_offline(0)) S::sleep_for(ticks(10));
    EXPECT_TRUE(S::take_offline(1));
    EXPECT_EQ(S::here().number, 0);
  });
  kernel.boot_with(task);
  kernel.finish();
}

// The last CPU that a task may use goes: it is moved, counted, and may run anywhere from then on.
TEST(Offline, OfTheLastCpuThatATaskMayUseIsCounted) {
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(S::here().number, 1);
    S::park();
    EXPECT_EQ(S::here().number, 0);
    const Sim::Irq irq = Sim::mask();
    EXPECT_EQ(S::affinity(S::current()), S::CpuSet::all());
    Sim::unmask(irq);
  });
  auto& computes = kernel.make("computes", [] { Sim::spend(ticks(5000)); });
  auto& controller = kernel.make("controller",
                                 [&] {
                                   kernel.spawn_in({.cpus = {1}}, task);
                                   S::sleep_for(ticks(1000));
                                   kernel.spawn_in({.cpus = {1}}, computes);
                                   S::sleep_for(ticks(1000));
                                   EXPECT_TRUE(S::take_offline(1));
                                   wait_until_offline(1);
                                   EXPECT_EQ(S::usage(kernel.cpu(1)).unhoused, 1u);
                                   S::wake(task);  // which stayed there while nobody asked for it
                                   EXPECT_EQ(S::usage(kernel.cpu(0)).unhoused, 1u);
                                 },
                                 {.priority = 5});
  kernel.boot_with(controller);
  Invariants invariants(kernel);
  kernel.finish();
}

TEST(Online, TakesTasksAgain) {
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed, 2));
    auto& controller = kernel.make("controller", [&] {
      for (int round = 1; round <= 5; ++round) {
        EXPECT_TRUE(S::take_offline(1));
        if (seed % 2 == 0) wait_until_offline(1);
        EXPECT_TRUE(S::bring_online(1));
        while (S::is_offline(1)) S::sleep_for(ticks(10));
        auto& task = kernel.make("task", [] { EXPECT_EQ(S::here().number, 1); });
        kernel.spawn_on(1, task);
        EXPECT_TRUE(S::join(task).has_value());
      }
    });
    kernel.boot_with(controller);
    Invariants invariants(kernel);
    kernel.finish();
  });
}

// Its timer is nobody's while its CPU is gone: another CPU would touch it when that is back.
TEST(Offline, StopsLookingForWorkToGiveAway) {
  for_each_seed([](uint64_t seed) {
    K kernel(world_of(seed, 2));
    S::Balancer balancer;
    auto& looked = kernel.make("looked", [&] {
      S::balance(balancer, ticks(50'000));
      EXPECT_TRUE(balancer.armed());
    });
    auto& controller = kernel.make("controller", [&] {
      EXPECT_TRUE(S::join(looked).has_value());
      for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(S::take_offline(1));
        wait_until_offline(1);
        EXPECT_FALSE(balancer.armed());
        EXPECT_TRUE(S::bring_online(1));
        while (S::is_offline(1)) S::sleep_for(ticks(10));
        auto& task = kernel.make("task", [&] { EXPECT_TRUE(balancer.armed()); });
        kernel.spawn_on(1, task);
        EXPECT_TRUE(S::join(task).has_value());
      }
    });
    kernel.boot([&] {
      kernel.spawn_on(1, looked);
      kernel.spawn(controller);
    });
    Invariants invariants(kernel);
    kernel.finish();
  });
}

// What a policy gave out on a CPU that goes comes back to it, and is taken where the task goes.
TEST(Offline, GivesBackWhatThePolicyGaveOut) {
  using K = Kernel<Edf>;
  using S = K::S;
  const Edf::Attributes half{.runtime = ticks(600), .deadline = ticks(1000), .period = ticks(1000)};
  const Edf::Attributes some{.runtime = ticks(100), .deadline = ticks(1000), .period = ticks(1000)};
  K kernel({.cpus = 2});
  auto& task = kernel.make("task", [] { S::park(); }, half);
  auto& second = kernel.make("second", [] { S::park(); }, half);
  auto& controller = kernel.make(
      "controller",
      [&] {
        kernel.spawn_on(1, task);
        S::sleep_for(ticks(3000));
        EXPECT_TRUE(S::take_offline(1));
        while (!S::is_offline(1)) S::sleep_for(ticks(100));
        S::wake(task);
        EXPECT_EQ(S::join(task), uint64_t{0});
        EXPECT_FALSE(task.refused());
        EXPECT_TRUE(S::bring_online(1));
        while (S::is_offline(1)) S::sleep_for(ticks(100));
        kernel.spawn_on(1, second);
        S::sleep_for(ticks(3000));
        EXPECT_FALSE(second.refused());
        S::wake(second);
      },
      some);
  kernel.boot_with(controller);
  kernel.finish();
}

// Tasks sleep, wake each other, move and are moved, while CPUs go and come.
TEST(Hotplug, LosesNobodyUnderLoad) {
  for_each_seed([](uint64_t seed) {
    using K = Kernel<RoundRobin>;
    using S = K::S;
    K kernel(world_of(seed, 4));
    static constexpr size_t kTasks = 8;
    std::atomic<size_t> alive{kTasks};
    for (size_t i = 0; i < kTasks; ++i) {
      kernel.make("task " + std::to_string(i),
                  [&, i] {
                    for (uint64_t step = 0; step < 25; ++step) {
                      const uint64_t draw = (seed * 7919 + i * 104'729 + step * 31) % 97;
                      switch (draw % 5) {
                        case 0: Sim::spend(ticks(draw)); break;
                        case 1: S::sleep_for(ticks(draw)); break;
                        case 2: S::wake(kernel.threads[(i + draw) % kTasks]); break;
                        case 3:
                          S::set_affinity(
                              kernel.threads[(i + draw) % kTasks],
                              {static_cast<CpuNumber>(draw % 4), static_cast<CpuNumber>(draw % 3)});
                          break;
                        default: S::park_until(S::now() + ticks(2 * draw)); break;
                      }
                    }
                    alive.fetch_sub(1);
                  },
                  {.slice = ticks(50)});
    }
    auto& controller = kernel.make("controller", [&] {
      for (uint64_t round = 0; alive.load() > 0; ++round) {
        const CpuNumber cpu = static_cast<CpuNumber>((seed + round * 5) % 4);
        if (!S::take_offline(cpu)) S::bring_online(cpu);
        S::sleep_for(ticks(30 + round % 7 * 20));
      }
      for (CpuNumber cpu = 0; cpu < 4; ++cpu) S::bring_online(cpu);
    });
    kernel.boot([&] {
      for (size_t i = 0; i < kTasks; ++i) {
        kernel.spawn_in({.floats = i % 3 == 0}, kernel.threads[i]);
      }
      kernel.spawn(controller);
    });
    Invariants invariants(kernel);
    kernel.finish();
    invariants.expect_nothing_left();
  });
}

}  // namespace
}  // namespace sched::test
