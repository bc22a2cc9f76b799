// What a simulated CPU runs on and with: contexts, stacks, spaces and the FPU.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "tests/hal/sim/guest.h"

namespace hal::sim::test {
namespace {

// --- Contexts ---

TEST(Contexts, RunOnTheirStacksAndComeBackToWhereTheyWere) {
  M::Context boot;
  M::Local local;
  Lines lines;
  Thread* first = nullptr;
  Thread second([&] {
    lines.push_back("second");
    M::mask();
    M::switch_to(second.context, first->context);
    lines.push_back("second again");
  });
  Thread one([&] {
    int on_stack = 7;
    const auto low = reinterpret_cast<uintptr_t>(one.stack.bytes().data());
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    EXPECT_GE(frame, low);
    EXPECT_LT(frame, low + one.stack.bytes().size());
    lines.push_back("first");
    EXPECT_EQ(M::mask(), M::Irq::unmasked);
    M::switch_to(one.context, second.context);
    EXPECT_EQ(M::mask(), M::Irq::masked);
    EXPECT_EQ(on_stack, 7);
    lines.push_back("first again");
  });
  first = &one;
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    one.make();
    second.make();
    one.enter_from(boot);
    lines.push_back("boot");
    second.enter_from(boot);
    lines.push_back("boot again");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(lines, (Lines{"first", "second", "first again", "boot", "second again", "boot again"}));
}

TEST(Contexts, KeepWhatACallPreserves) {
  M::Context boot;
  M::Local local;
  // More live values than there are registers, in both threads, so that the preserved ones are
  // used.
  const auto churn = [](M::Context& mine, M::Context& other, uint64_t seed) {
    uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13;
    for (uint64_t i = 0; i < 100; ++i) {
      a += b ^ i, b += c ^ i, c += d ^ i, d += e ^ i, e += f ^ i, f += a ^ i;
      const uint64_t sum = a ^ b ^ c ^ d ^ e ^ f;
      M::switch_to(mine, other);
      EXPECT_EQ(sum, a ^ b ^ c ^ d ^ e ^ f);
    }
    return a ^ b ^ c ^ d ^ e ^ f;
  };
  Thread thread([&] {
    M::mask();
    churn(thread.context, boot, 17);
  });
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    thread.make();
    thread.home = &boot;
    churn(boot, thread.context, 19);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.report(0).switches, 200u);
}

TEST(Contexts, BeginWithAnInterruptThatIsPending) {
  Log log;
  M::Context boot;
  M::Local local;
  Thread thread([&] { log.lines.push_back("entry"); });
  World world({.interrupt = log.handler()});
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    thread.make();
    M::kick(0);
    thread.enter_from(boot);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(log.lines, (Lines{"kick 1", "entry"}));
}

TEST(Contexts, MoveToAnotherCpu) {
  M::Context boots[2];
  M::Local locals[2];
  std::vector<CpuNumber> cpus;
  Thread thread([&] {
    cpus.push_back(M::local()->number);
    M::spend(ticks(5));
    M::mask();
    M::switch_to(thread.context, boots[0]);
    cpus.push_back(M::local()->number);
    thread.home = &boots[1];
  });
  World world({.cpus = 2});
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    thread.make();
    thread.enter_from(boots[0]);
    EXPECT_EQ(M::local()->number, 0);
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::spend(ticks(100));
    thread.enter_from(boots[1]);
    EXPECT_EQ(M::local()->number, 1);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(cpus, (std::vector<CpuNumber>{0, 1}));
}

TEST(Contexts, UseAStackAgainAfterItsTaskIsGone) {
  M::Context boot;
  M::Local local;
  int runs = 0;
  Thread thread([&] { ++runs; });
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    for (int i = 0; i < 20'000; ++i) {
      thread.make();
      thread.enter_from(boot);
    }
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(runs, 20'000);
}

// --- Spaces and the FPU ---

TEST(Spaces, LoadsAreCountedForEachCpu) {
  World world({.cpus = 2});
  M::Local locals[2];
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::load_space({.root = 3});
    M::load_space({.root = 4});
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(world.report(0).space, (Space{.root = 4}));
  EXPECT_EQ(world.report(0).space_loads, 2u);
  EXPECT_EQ(world.report(1).space_loads, 0u);
}

TEST(FpuOfACpu, IsSavedAndLoaded) {
  World world;
  M::Local local;
  Fpu one, two;
  two.registers[0] = 22;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    M::fpu().registers[0] = 11;
    M::swap_fpu(&one, &two);
    EXPECT_EQ(M::fpu().registers[0], 22u);
    M::swap_fpu(nullptr, &one);
    EXPECT_EQ(M::fpu().registers[0], 11u);
    M::fpu().registers[0] = 33;
    M::swap_fpu(&two, nullptr);
    EXPECT_EQ(M::fpu().registers[0], 33u);
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(one.registers[0], 11u);
  EXPECT_EQ(two.registers[0], 33u);
  EXPECT_EQ(world.report(0).fpu_saves, 2u);
  EXPECT_EQ(world.report(0).fpu_loads, 2u);
}

TEST(Stacks, HaveAtLeastTheirSizeAndMove) {
  Stack stack(10'000);
  EXPECT_GE(stack.bytes().size(), 10'000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.bytes().data()) % 16, 0u);
  stack.bytes().front() = stack.bytes().back() = std::byte{1};
  const std::byte* const data = stack.bytes().data();
  Stack other = std::move(stack);
  EXPECT_EQ(other.bytes().data(), data);
  EXPECT_EQ(other.bytes().front(), std::byte{1});
  stack = std::move(other);
  EXPECT_EQ(stack.bytes().data(), data);
}

TEST(DeathTest, AStackThatOverflowsDoesNotReachWhatIsBelow) {
  EXPECT_DEATH(
      {
        Stack stack;
        static_cast<volatile std::byte*>(stack.bytes().data())[-1] = std::byte{1};
      },
      "");
}

}  // namespace
}  // namespace hal::sim::test
