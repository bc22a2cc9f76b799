// Spawning on one CPU: from where, on which stack, and what is refused.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<Fifo>;
using S = K::S;

void nothing(void*) {}

TEST(Spawn, RunsTheEntryWithItsArgumentUnmaskedOnItsStack) {
  K kernel;
  S::Task task{K::kStranger};
  hal::sim::Stack stack;
  struct Seen {
    hal::sim::Stack& stack;
    bool on_its_stack = false;
    Sim::Irq irq = Sim::Irq::masked;
  } seen{stack};
  kernel.boot([&] {
    const auto entry = [](void* argument) {
      Seen& seen = *static_cast<Seen*>(argument);
      const auto* const here = static_cast<std::byte*>(__builtin_frame_address(0));
      seen.on_its_stack = here >= seen.stack.bytes().data() &&
                          here < seen.stack.bytes().data() + seen.stack.bytes().size();
      seen.irq = Sim::mask();
      Sim::unmask(seen.irq);
    };
    EXPECT_TRUE(S::spawn(task, stack, entry, &seen).has_value());
    EXPECT_EQ(task.stack_limit(), stack.bytes().data());
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_TRUE(seen.on_its_stack);
  EXPECT_EQ(seen.irq, Sim::Irq::unmasked);
}

TEST(Spawn, FromATaskAndFromAnInterruptAndFromTheSink) {
  K kernel;
  auto& third = kernel.make("third", [&] { kernel.log("third"); });
  auto& fourth = kernel.make("fourth", [&] { kernel.log("fourth"); });
  auto& second = kernel.make("second", [&] { kernel.log("second"); });
  auto& first = kernel.make("first", [&] {
    kernel.spawn(second);
    Sim::spend(ticks(100));
    kernel.log("first");
  });
  kernel.on_device = [&](uint32_t, auto&) { kernel.spawn(third); };
  kernel.on_finish = [&](K::Thread& thread) {
    if (&thread == &third) kernel.spawn(fourth);
  };
  kernel.world.raise_at(0, 1, at(50));
  kernel.boot([&] { kernel.spawn(first); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"first", "second", "third", "fourth"}));
}

TEST(Spawn, RefusesATaskThatIsReadyRunningOrBlocked) {
  K kernel;
  std::vector<SpawnError> errors;
  const auto spawn_again = [&](K::Thread& thread) {
    const auto result = kernel.try_spawn(thread);
    ASSERT_FALSE(result.has_value());
    errors.push_back(result.error());
  };
  K::Thread* self = nullptr;
  auto& blocked = kernel.make("blocked", [&] {
    spawn_again(*self);
    S::park();
    kernel.log("woken");
  });
  self = &blocked;
  auto& other = kernel.make("other", [&] {
    spawn_again(blocked);
    S::wake(blocked);
  });
  kernel.boot([&] {
    kernel.spawn(blocked);
    spawn_again(blocked);
    kernel.spawn(other);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(errors, std::vector(3, SpawnError::already_spawned));
  EXPECT_EQ(kernel.lines, Lines{"woken"});  // nothing had changed
  EXPECT_EQ(blocked.finishes, 1);
}

TEST(Spawn, RefusesAStackThatIsTooSmall) {
  K kernel;
  alignas(16) std::array<std::byte, 4096> memory;
  bool ran = false;
  kernel.boot([&] {
    S::Task task{K::kStranger};
    size_t smallest = 0;
    for (size_t bytes = 0; bytes <= memory.size(); ++bytes) {
      const auto result = S::spawn(task, std::span(memory).first(bytes), &nothing, nullptr);
      if (result.has_value()) {
        smallest = bytes;
        break;
      }
      ASSERT_EQ(result.error(), SpawnError::stack_too_small) << bytes;
      ASSERT_EQ(S::state(task), State::fresh);
    }
    EXPECT_GE(smallest, 2 * Sim::kContextBytes);
    EXPECT_LE(smallest, 2 * Sim::kContextBytes + 128);
    ran = true;
    kernel.world.stop();
  });
  EXPECT_EQ(kernel.run(), End::stopped);
  EXPECT_TRUE(ran);
}

TEST(Spawn, TakesAStackAtAnyAddress) {
  for (size_t offset = 1; offset < 16; ++offset) {
    K kernel;
    S::Task task{K::kStranger};
    hal::sim::Stack stack;
    bool ran = false;
    kernel.boot([&] {
      const std::span<std::byte> bytes = stack;
      const auto entry = [](void* ran) { *static_cast<bool*>(ran) = true; };
      EXPECT_TRUE(
          S::spawn(task, bytes.subspan(offset, bytes.size() - 20), entry, &ran).has_value());
    });
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_TRUE(ran) << offset;
  }
}

TEST(Spawn, RefusesAttributesThatThePolicyRefuses) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  auto& task = kernel.make("task", [&] { kernel.log("runs"); }, {.priority = 256});
  kernel.boot([&] {
    const auto result = kernel.try_spawn(task);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error(), SpawnError::bad_attributes);
    EXPECT_EQ(S::state(task), State::fresh);
    task.attributes.priority = 255;
    kernel.spawn(task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"runs"});
  EXPECT_EQ(task.finishes, 1);
}

TEST(Spawn, RefusesACpuThatIsNotThere) {
  K kernel({.cpus = 3});
  auto& task = kernel.make("task", [&] { kernel.log("runs"); });
  kernel.boot_cpu(
      0,
      [&] {
        for (const CpuNumber cpu : {1, 2, 3, 0xfffe}) {
          const auto result = kernel.try_spawn_on(cpu, task);
          ASSERT_FALSE(result.has_value()) << cpu;
          EXPECT_EQ(result.error(), SpawnError::cpu_not_started) << cpu;
        }
        Sim::spend(ticks(1000));  // CPU 1 starts meanwhile
        EXPECT_EQ(kernel.try_spawn_on(2, task).error(), SpawnError::cpu_not_started);
        kernel.spawn_on(1, task);
      },
      at(1));
  kernel.boot_cpu(1, nullptr, at(500));
  kernel.boot_cpu(2, nullptr, at(5000));
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, Lines{"runs"});
}

TEST(Spawn, MayRunTheTaskBeforeItReturns) {
  Kernel<FixedPriority> kernel;
  auto& high = kernel.make("high", [&] { kernel.log("high"); }, {.priority = 2});
  auto& low = kernel.make("low",
                          [&] {
                            kernel.spawn(high);
                            kernel.log("low");
                          },
                          {.priority = 1});
  kernel.boot([&] { kernel.spawn(low); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (Lines{"high", "low"}));
}

}  // namespace
}  // namespace sched::test
