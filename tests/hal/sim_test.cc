// The simulated machine itself: every behaviour that `hal/sim/sim.h` promises.

#include "hal/sim/sim.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace hal::sim {
namespace {

using M = Machine;

TEST(World, WithoutAnyCpuBootedIsQuiet) {
  World world;
  EXPECT_EQ(world.run(), End::quiet);
}

TEST(World, RunsBootCodeMaskedAtTheFirstInstant) {
  World world;
  M::Local local;
  bool ran = false;
  world.boot(0, [&] {
    EXPECT_EQ(M::mask(), M::Irq::masked);
    EXPECT_EQ(M::now(), Instant{1});
    M::start_cpu(local, 0);
    EXPECT_EQ(M::local(), &local);
    ran = true;
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_TRUE(ran);
  EXPECT_TRUE(world.report(0).done);
}

TEST(World, SwitchesBetweenStacks) {
  static M::Local local;
  static M::Context boot, one, two;
  static std::vector<std::string> order;
  Stack stack_one, stack_two;
  World world;
  world.boot(0, [&] {
    M::start_cpu(local, 0);
    one = M::make_context(
        stack_one,
        [](void* name) {
          M::mask();
          order.push_back(static_cast<const char*>(name));
          M::switch_to(one, two);
          order.push_back("one again");
          M::switch_to(one, boot);
        },
        const_cast<char*>("one"));
    two = M::make_context(
        stack_two,
        [](void* name) {
          M::mask();
          order.push_back(static_cast<const char*>(name));
          M::switch_to(two, one);
        },
        const_cast<char*>("two"));
    M::switch_to(boot, one);
    order.push_back("boot");
  });
  EXPECT_EQ(world.run(), End::quiet);
  EXPECT_EQ(order, (std::vector<std::string>{"one", "two", "one again", "boot"}));
}

TEST(World, TimerAndKickAndPanic) {
  static M::Local locals[2];
  std::vector<std::string> seen;
  World world({.cpus = 2, .interrupt = [&](Interrupt interrupt) {
                 if (interrupt.cause == Cause::timer) {
                   seen.push_back("timer at " + std::to_string(M::now().ticks));
                   M::arm(never);
                 } else {
                   seen.push_back("kick at " + std::to_string(M::now().ticks));
                   M::panic("because", "me");
                 }
                 return false;
               }});
  world.boot(0, [&] {
    M::start_cpu(locals[0], 0);
    M::arm(Instant{100});
    M::unmask(M::kUnmasked);
    M::spend(Duration{1000});
    EXPECT_EQ(M::now(), Instant{1001});
    M::kick(1);
    M::spend(Duration{1000});
  });
  world.boot(1, [&] {
    M::start_cpu(locals[1], 1);
    M::wait();
    M::unmask(M::kUnmasked);
  });
  EXPECT_EQ(world.run(), (Panic{"because", "me"}));
  EXPECT_EQ(seen, (std::vector<std::string>{"timer at 100", "kick at 1001"}));
}

}  // namespace
}  // namespace hal::sim
