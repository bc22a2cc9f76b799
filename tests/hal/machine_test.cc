// What `hal::Machine` and `hal::SpaceMachine` accept and refuse; machine_failure_test below shows
// that what they refuse is named.

#include "gtest/gtest.h"
#include "hal/hal.h"
#include "hal/sim/sim.h"
#include "tests/hal/machine_shapes.h"

namespace {

using machine_shapes::With;

static_assert(hal::Machine<machine_shapes::Right>);
static_assert(hal::SpaceMachine<machine_shapes::Right>);
static_assert(hal::SpaceMachine<hal::sim::Machine>);

// A kernel's own word on something: derive and hide.
struct Louder : hal::sim::Machine {
  [[noreturn]] static void panic(const char* rule, const char*) {
    hal::sim::Machine::panic(rule, "louder");
  }
};
static_assert(hal::SpaceMachine<Louder>);

TEST(Machine, IsRefusedWithOnePartLackingOrWrong){
#define BATON_REFUSED(name, right, wrong_answer, wrong_argument)                                   \
  EXPECT_FALSE(                                                                                    \
      (hal::Machine<With<machine_shapes::part_##name, machine_shapes::part_##name::Lacking>>))     \
      << #name;                                                                                    \
  EXPECT_FALSE(                                                                                    \
      (hal::Machine<With<machine_shapes::part_##name, machine_shapes::part_##name::WrongAnswer>>)) \
      << #name;                                                                                    \
  EXPECT_FALSE((hal::Machine<                                                                      \
                With<machine_shapes::part_##name, machine_shapes::part_##name::WrongArgument>>))   \
      << #name;
    BATON_MACHINE_TYPES(BATON_REFUSED) BATON_MACHINE_FUNCTIONS(BATON_REFUSED)
#undef BATON_REFUSED
}

TEST(SpaceMachine, IsRefusedWithOnePartLackingOrWrongWhereAMachineIsNot){
#define BATON_REFUSED(name, right, wrong_answer, wrong_argument)                 \
  {                                                                              \
    using Part = machine_shapes::part_##name;                                    \
    EXPECT_TRUE((hal::Machine<With<Part, Part::Lacking>>)) << #name;             \
    EXPECT_FALSE((hal::SpaceMachine<With<Part, Part::Lacking>>)) << #name;       \
    EXPECT_FALSE((hal::SpaceMachine<With<Part, Part::WrongAnswer>>)) << #name;   \
    EXPECT_FALSE((hal::SpaceMachine<With<Part, Part::WrongArgument>>)) << #name; \
  }
    BATON_MACHINE_SPACES(BATON_REFUSED)
#undef BATON_REFUSED
}

TEST(Machine, ADerivedOneHidesWhatItHasItsOwnWordOn) {
  hal::sim::World world;
  world.boot(0, [] { Louder::panic("broken", nullptr); });
  EXPECT_EQ(world.run(), (hal::sim::Panic{"broken", "louder"}));
}

}  // namespace
