// ThreadSanitizer and the simulated machine: by default no false alarm in whatever tasks do, and
// with `find_races` virtual CPUs are threads, ordered by what orders real CPUs and nothing else.
// Built with ThreadSanitizer, whatever the configuration; sim_test is, too.

#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "tests/hal/memory_use.h"

namespace hal::sim {

int data;  // visible to the linker, so that no store to it is optimised away

namespace {

using M = Machine;

// TSan's own exit status where it has reported something.
constexpr int kReported = 66;

// Runs `first` on CPU 0, and later `second` on CPU 1.
void run_on_two(bool find_races, std::function<void()> first, std::function<void()> second) {
  static M::Local locals[2];
  World world({.cpus = 2, .find_races = find_races, .interrupt = [](Interrupt) { return false; }});
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    first();
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::spend(Duration{100});
    M::unmask(M::kUnmasked);
    second();
  });
  EXPECT_EQ(world.run(), End::quiet);
}

std::atomic<bool> ready;

// A macro, because EXPECT_EXIT wants its statement in the test's own line.
#define EXPECT_RACE(...)         \
  EXPECT_EXIT(                   \
      {                          \
        run_on_two(__VA_ARGS__); \
        std::exit(0);            \
      },                         \
      testing::ExitedWithCode(kReported), "ThreadSanitizer: data race")
#define EXPECT_NO_RACE(...)      \
  EXPECT_EXIT(                   \
      {                          \
        run_on_two(__VA_ARGS__); \
        std::exit(0);            \
      },                         \
      testing::ExitedWithCode(0), "")

void write() { data = 1; }
void write_and_release() {
  data = 1;
  ready.store(true, std::memory_order_release);
}
void write_and_publish_relaxed() {
  data = 1;
  ready.store(true, std::memory_order_relaxed);
}
void acquire_and_write() {
  if (ready.load(std::memory_order_acquire)) data = 2;
}
void write_again() { data = 2; }

TEST(TsanDeathTest, FindsARaceBetweenVirtualCpus) { EXPECT_RACE(true, write, write_again); }

TEST(TsanDeathTest, FindsAMissingRelease) {
  EXPECT_RACE(true, write_and_publish_relaxed, acquire_and_write);
}

TEST(TsanDeathTest, IsSatisfiedByReleaseAndAcquire) {
  EXPECT_NO_RACE(true, write_and_release, acquire_and_write);
}

TEST(TsanDeathTest, KnowsThatAKickOrders) {
  // CPU 0 kicks while CPU 1 spends, masked; CPU 1 takes the kick and then writes.
  EXPECT_NO_RACE(
      true,
      [] {
        data = 1;
        M::kick(1);
      },
      write_again);
}

TEST(TsanDeathTest, KnowsThatAKickOrdersOnlyWhatWasBeforeIt) {
  EXPECT_RACE(
      true,
      [] {
        M::kick(1);
        data = 1;
      },
      write_again);
}

TEST(TsanDeathTest, FindsNothingBetweenVirtualCpusWhereItIsNotAskedTo) {
  EXPECT_NO_RACE(false, write, write_again);
}

TEST(TsanDeathTest, FindsARaceBetweenATaskAndAHostThread) {
  EXPECT_RACE(
      false,
      [] {
        std::thread thread(write);
        data = 2;
        thread.join();
      },
      [] {});
}

// A context that one CPU saved and another loads: the kernel has to order the two.
void move_a_task(std::memory_order publish) {
  static Stack stack;
  static M::Context boots[2], task;
  static std::atomic<bool> saved;
  run_on_two(
      true,
      [=] {
        task = M::make_context(
            stack,
            [](void*) {
              M::mask();
              M::switch_to(task, boots[0]);
              M::switch_to(task, boots[1]);
            },
            nullptr);
        M::switch_to(boots[0], task);
        saved.store(true, publish);
      },
      [] {
        M::mask();
        if (saved.load(std::memory_order_acquire)) M::switch_to(boots[1], task);
      });
  std::exit(0);
}

TEST(TsanDeathTest, FindsAContextThatIsLoadedInNoOrderWithItsSave) {
  EXPECT_EXIT(move_a_task(std::memory_order_relaxed), testing::ExitedWithCode(kReported),
              "ThreadSanitizer: data race");
}

TEST(TsanDeathTest, LetsATaskMoveInOrder) {
  EXPECT_EXIT(move_a_task(std::memory_order_release), testing::ExitedWithCode(0), "");
}

TEST(Tsan, KeepsNothingForTasksThatAreGone) {
  static M::Local local;
  static M::Context boot, task;
  static int runs;
  const Stack stack;
  World world;
  size_t before = 0;
  size_t after = 0;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    for (int i = 0; i < 20'000; ++i) {
      if (i == 10'000) before = memory_use::mapped_pages();
      task = M::make_context(
          stack,
          [](void*) {
            ++runs;
            M::mask();
            M::switch_to(task, boot);
          },
          nullptr);
      M::switch_to(boot, task);
    }
    after = memory_use::mapped_pages();
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(runs, 20'000);
  EXPECT_LT(after, before + 64 * 1024 * 1024 / 4096);
}

// What the host did before `run`, and does after it, is in order with the guests.
TEST(TsanDeathTest, OrdersTheHostAndTheGuests) {
  const auto both = [] {
    static M::Local locals[2];
    World world({.cpus = 2, .find_races = true});
    int before[2] = {};
    int after[2] = {};
    for (CpuNumber cpu : {0, 1}) {
      before[cpu] = 1;
      world.boot(cpu, [&, cpu] {
        M::start_cpu(locals[cpu], cpu);
        after[cpu] = before[cpu];
        M::spend(Duration{10});
        world.stop();
        after[cpu] = before[cpu];
      });
    }
    while (!(world.run() == End::quiet)) {
      EXPECT_EQ(after[0] * after[1], 1);
      before[0] = before[1] = after[0] = after[1] = 1;
    }
  };
  EXPECT_EXIT((both(), std::exit(0)), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hal::sim
