// Below the scheduler: contexts, the timer, kicks and waiting, each as hal/hal.h promises it.

#include "kernel_demo/selftest/machine_tests.h"

#include <array>
#include <cstddef>

#include "kernel_demo/registers.h"

namespace demo::selftest {
namespace {

constexpr uint64_t kSeed = 0x0123'4567'89ab'cdef;

alignas(16) constinit std::byte other_stack[2048] = {};
constinit Machine::Context home;
constinit Machine::Context other;
constinit volatile uint64_t kicks = 0;

void switch_to_other() {
  const Machine::Irq irq = Machine::mask();
  hal::Native::switch_to<0>(&home, &other);
  Machine::unmask(irq);
}

void switch_home() {
  const Machine::Irq irq = Machine::mask();
  hal::Native::switch_to<0>(&other, &home);
  Machine::unmask(irq);
}

void new_registers_are_zero(Test& test) {
  // The first word is where `record_registers` goes on.
  std::array<uint64_t, 1 + kNewRegisters> record;
  record.fill(kSeed);
  record[0] = reinterpret_cast<uint64_t>(&switch_home);
  other = Machine::make_context(other_stack, record_registers, record.data());
  // The registers are full of something else when the switch begins.
  test.expect(hold_preserved(kSeed, switch_to_other) == 0, "the switch changed a register");
  uint64_t bits = 0;
  for (size_t i = 1; i < record.size(); ++i) bits |= record[i];
  test.expect_equal(bits, 0, "a register holds something");
}

void preserved_registers_survive(Test& test) {
  other = Machine::make_context(
      other_stack,
      [](void*) {
        for (;;) hold_preserved(~kSeed, switch_home);
      },
      nullptr);
  for (uint64_t i = 0; i < 1'000; ++i) {
    test.expect(hold_preserved(kSeed + i, switch_to_other) == 0, "the switch changed a register");
  }
}

void new_context_is_unmasked(Test& test) {
  static constinit bool unmasked = false;
  unmasked = false;
  other = Machine::make_context(
      other_stack,
      [](void*) {
        const Machine::Irq irq = Machine::mask();
        unmasked = irq == Machine::kUnmasked;
        Machine::unmask(irq);
        switch_home();
      },
      nullptr);
  switch_to_other();
  test.expect(unmasked, "interrupts are masked");
}

void kick_to_self(Test& test) {
  for (int i = 0; i < 100; ++i) {
    const uint64_t before = kicks;
    Machine::kick(0);
    test.expect(spin_until(kicks, before + 1), "no interrupt");
  }
}

void kick_while_masked(Test& test) {
  const uint64_t before = kicks;
  const Machine::Irq irq = Machine::mask();
  Machine::kick(0);
  spin_for(microseconds(50));
  test.expect_equal(kicks, before, "it came although interrupts were masked");
  Machine::unmask(irq);
  test.expect(spin_until(kicks, before + 1), "it was lost");
}

void mask_tells_and_nests(Test& test) {
  const Machine::Irq outer = Machine::mask();
  const Machine::Irq inner = Machine::mask();
  test.expect(outer == Machine::kUnmasked, "a task begins unmasked");
  test.expect(!(inner == Machine::kUnmasked), "masked twice, it says it was not");
  Machine::unmask(inner);
  const Machine::Irq still = Machine::mask();
  test.expect(!(still == Machine::kUnmasked), "the inner unmask has unmasked");
  Machine::unmask(outer);
}

// An interrupt that came after `mask` ends the wait at once; without that this test does not end.
void wait_loses_no_wake_up(Test& test) {
  for (int i = 0; i < 100; ++i) {
    const uint64_t before = kicks;
    const Machine::Irq irq = Machine::mask();
    Machine::kick(0);
    Machine::wait();
    Machine::unmask(irq);
    test.expect(spin_until(kicks, before + 1), "the interrupt was lost");
  }
}

void timer_is_never_early(Test& test) {
  // The scheduler has nothing armed: no policy with slices has more than one task now.
  for (uint64_t us : {0, 1, 10, 100, 1'000, 10'000}) {
    const Machine::Irq irq = Machine::mask();
    const Instant when = Machine::now() + microseconds(us);
    Machine::arm(when);
    Machine::wait();
    const Instant woken = Machine::now();
    Machine::arm(hal::never);
    Machine::unmask(irq);
    test.expect(woken >= when, "it fired early");
    test.expect(woken < when + milliseconds(1'000), "it fired a second late");
  }
}

void timer_can_be_replaced(Test& test) {
  const Machine::Irq irq = Machine::mask();
  Machine::arm(Machine::now() + milliseconds(1));
  const Instant when = Machine::now() + milliseconds(5);
  Machine::arm(when);
  Machine::wait();
  test.expect(Machine::now() >= when, "the instant armed first has interrupted");
  Machine::arm(hal::never);
  Machine::unmask(irq);
}

void clock_goes_forward(Test& test) {
  Instant last = Machine::now();
  test.expect(last.ticks > 0, "it is zero");
  for (int i = 0; i < 10'000; ++i) {
    const Instant now = Machine::now();
    test.expect(now >= last, "it went back");
    last = now;
  }
}

constexpr Case kCases[] = {
    {"a new context's registers are zero", new_registers_are_zero},
    {"a new context is unmasked", new_context_is_unmasked},
    {"preserved registers survive a switch", preserved_registers_survive},
    {"mask tells the state before, and nests", mask_tells_and_nests},
    {"a kick to the own CPU arrives", kick_to_self},
    {"a kick waits while interrupts are masked", kick_while_masked},
    {"wait loses no interrupt", wait_loses_no_wake_up},
    {"the timer is never early", timer_is_never_early},
    {"the timer can be replaced", timer_can_be_replaced},
    {"the clock goes forward", clock_goes_forward},
};

}  // namespace

std::span<const Case> machine_cases() { return kCases; }

void count_kick() { kicks = kicks + 1; }

}  // namespace demo::selftest
