// What each operation costs in atomic operations that read and write at once: the table of
// docs/many_cpus.md. Counted by what the compiler calls in place of each (hal/sim/every_atomic.cc),
// in a world in which no other CPU comes in between.

#include <cstdint>

#include "gtest/gtest.h"
#include "hal/sim/guest.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

// CPUs take turns only where a test spends time.
hal::sim::Options two_cpus() { return {.cpus = 2, .interleave = 0}; }

template <typename F>
uint64_t cost(F operation) {
  const uint64_t before = hal::sim::guest::locked_operations;
  operation();
  return hal::sim::guest::locked_operations - before;
}

// Who ends a wait and who serves it decide by one word.
constexpr uint64_t kTimeout = 1;

void let_others() { Sim::spend(ticks(1000)); }

// What the other CPU does meanwhile.
uint64_t cost_elsewhere() { return cost(let_others); }

TEST(Atomics, AreNoneWhereATaskIsOnesOwn) {
  K kernel({.cpus = 1});
  auto& higher = kernel.make("higher",
                             [] {
                               while (S::park() == Woken::by_wake) continue;
                             },
                             {.priority = 1});
  int turns = 0;
  auto& peer = kernel.make("peer", [&] {
    while (++turns < 3) S::yield();
  });
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(cost([&] { S::wake(higher); }), 0u);  // it runs, and parks again
    EXPECT_EQ(S::usage(higher).voluntary, 2u);
    EXPECT_EQ(cost([] { S::yield(); }), 0u);
    EXPECT_EQ(turns, 1);
    EXPECT_EQ(cost([&] { S::retune(peer, {.priority = 0}); }), 0u);
    S::kill(higher);
  });
  kernel.boot_with(higher, task, peer);
  kernel.finish();
}

TEST(Atomics, OfAWaitThatEndsByItsTimeIsOne) {
  K kernel({.cpus = 1});
  auto& task = kernel.make("task", [] {
    EXPECT_EQ(cost([] { S::sleep_for(ticks(10)); }), kTimeout);
    EXPECT_EQ(cost([] { EXPECT_EQ(S::park_until(S::now() + ticks(10)), Woken::by_timeout); }), 0u);
  });
  kernel.boot_with(task);
  kernel.finish();
}

TEST(Atomics, OfAWakeOnAnotherCpuAreTwoAndOfItsMailTwo) {
  K kernel(two_cpus());
  auto& sleeper = kernel.make("sleeper", [] {
    while (S::park() == Woken::by_wake) continue;
  });
  auto& other = kernel.make("other", [] {
    while (S::park() == Woken::by_wake) continue;
  });
  auto& waker = kernel.make("waker", [&] {
    let_others();
    EXPECT_EQ(cost([&] { S::wake(sleeper); }), 2u);  // its word, and the mailbox
    EXPECT_EQ(cost([&] { S::wake(sleeper); }), 1u);  // with the one before
    EXPECT_EQ(cost_elsewhere(), 2u);                 // the batch, and the task
    EXPECT_EQ(cost([&] { S::wake(sleeper); }), 2u);
    EXPECT_EQ(cost([&] { S::wake(other); }), 2u);
    EXPECT_EQ(cost_elsewhere(), 3u);  // one batch, two tasks
    EXPECT_EQ(cost_elsewhere(), 0u);  // idle
    S::kill(sleeper);
    S::kill(other);
  });
  kernel.boot([&] {
    kernel.spawn_on(1, sleeper);
    kernel.spawn_on(1, other);
    kernel.spawn(waker);
  });
  kernel.finish();
}

TEST(Atomics, OfACpuThatLooksByItselfAreTwo) {
  using K = Kernel<FixedPriority, Options{.debug_checks = true, .polls = 5}>;
  using S = K::S;
  hal::sim::Options options = two_cpus();
  options.call_cost = ticks(1);
  K kernel(options);
  auto& sleeper = kernel.make("sleeper", [] { S::park(); });
  auto& waker = kernel.make("waker", [&] {
    let_others();
    S::wake(sleeper);
    // The mail and the end of the task; and the CPU, idle again, begins to look and ends.
    EXPECT_EQ(cost_elsewhere(), 2u + 2u + 2u);
  });
  kernel.boot([&] {
    kernel.spawn_on(1, sleeper);
    kernel.spawn(waker);
  });
  kernel.finish();
}

TEST(Atomics, OfALife) {
  K kernel(two_cpus());
  auto& here = kernel.make("here", [] {});
  auto& there = kernel.make("there", [] {});
  auto& parent = kernel.make("parent", [&] {
    EXPECT_EQ(cost([&] { kernel.spawn(here); }), 1u);
    // Its word, and the lock under which it is looked whether anybody joins it.
    EXPECT_EQ(cost([] { S::sleep_for(ticks(100)); }), kTimeout + 2u);
    EXPECT_EQ(cost([&] { kernel.spawn_on(1, there); }), 2u);
    EXPECT_EQ(cost_elsewhere(), 2u + 2u);
  });
  kernel.boot_with(parent);
  kernel.finish();
  EXPECT_EQ(here.finishes + there.finishes, 2);
}

TEST(Atomics, OfAMove) {
  K kernel(two_cpus());
  auto& task = kernel.make("task", [] {
    while (S::park() == Woken::by_wake) continue;
  });
  auto& owner = kernel.make("owner", [&] {
    S::sleep_for(ticks(100));
    // The lock of the attributes' slot, to set and to look twice; its word; and the mailbox.
    EXPECT_EQ(cost([&] { S::set_affinity(task, {1}); }), 3u + 1u + 1u);
    EXPECT_EQ(cost_elsewhere(), 2u);  // the batch, and the task's arrival
    EXPECT_EQ(S::usage(task).cpu, 1);
    S::kill(task);
  });
  kernel.boot_with(task, owner);
  kernel.finish();
}

TEST(Atomics, OfATaskThatFloats) {
  K kernel(two_cpus());
  auto& task = kernel.make("task", [] {
    while (S::park() == Woken::by_wake) continue;
  });
  auto& busy = kernel.make("busy", [] { Sim::spend(ticks(5000)); }, {.priority = 1});
  auto& waker = kernel.make("waker", [&] {
    S::sleep_for(ticks(100));
    kernel.spawn_on(1, busy);
    Sim::spend(ticks(10));
    // For this CPU, where it was: claimed, and taken over at once. Then it is nobody's again.
    EXPECT_EQ(cost([&] { S::wake(task); }), 2u);
    EXPECT_EQ(cost([] { S::sleep_for(ticks(100)); }), kTimeout + 1u);
    S::sleep_for(ticks(6000));
    // For the other one, which is idle: its word twice, and the mailbox.
    EXPECT_EQ(cost([&] { S::wake(task); }), 3u);
    EXPECT_EQ(cost_elsewhere(), 2u + 1u);
    S::kill(task);
  });
  kernel.boot([&] {
    kernel.spawn_in({.floats = true}, task);
    kernel.spawn(waker);
  });
  kernel.finish();
}

}  // namespace
}  // namespace sched::test
