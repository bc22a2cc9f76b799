// Many post, one takes: producers that the timer preempts in the middle of a push, and interrupts
// among them.

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/letters.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"

namespace demo::selftest {
namespace {

using Kernel = demo::Kernel<sched::RoundRobin>;
using S = Kernel::S;

void letters_arrive_in_order(Test& test) {
  const Delivery delivery = deliver_letters();
  for (size_t i = 0; i < kProducers; ++i) {
    test.expect_equal(delivery.received[i], delivery.sent[i], "letters of a producer arrived");
  }
  test.expect(delivery.in_order, "a producer's letters overtook each other");
  test.expect(delivery.sent[kProducers - 1] > 0, "no interrupt came in between");
}

// ---- Wakes by many; the last producer is an interrupt here too

constexpr size_t kSleepers = 4;  // of each producer

struct Sleeper {
  Kernel::Task* task = nullptr;
  size_t producer = 0;
  size_t number = 0;
};

constinit std::array<std::array<Sleeper, kSleepers>, kProducers> sleepers{};
constinit std::array<size_t, kProducers> woken{};
constinit bool woken_in_order = true;
constinit volatile uint64_t woken_by_interrupt = 0;

void sleep(void* argument) {
  const Sleeper& self = *static_cast<const Sleeper*>(argument);
  S::park();
  woken_in_order &= woken[self.producer] == self.number;
  ++woken[self.producer];
}

void wake_all(void* argument) {
  for (const Sleeper& sleeper : *static_cast<const std::array<Sleeper, kSleepers>*>(argument)) {
    spin_for(microseconds(40));
    Machine::kick(0);
    S::wake(*sleeper.task);
    S::wake(*sleeper.task);  // the same request: it counts once
  }
}

void every_task_runs_once(Test& test) {
  const uint64_t before = Kernel::finished();
  woken = {};
  woken_in_order = true;
  woken_by_interrupt = 0;
  for (size_t producer = 0; producer < kProducers; ++producer) {
    for (size_t number = 0; number < kSleepers; ++number) {
      Sleeper& sleeper = sleepers[producer][number];
      sleeper = {.producer = producer, .number = number};
      sleeper.task = Kernel::spawn("sleeper", sleep, &sleeper, {.slice = microseconds(100)});
    }
  }
  while (S::state(*sleepers.back().back().task) != sched::State::blocked) S::yield();
  Kernel::at_kick([] {
    const uint64_t next = woken_by_interrupt;
    if (next == kSleepers) return;
    woken_by_interrupt = next + 1;
    S::wake(*sleepers[kProducers - 1][next].task);
  });
  {
    const S::NoPreempt guard;
    for (size_t i = 0; i + 1 < kProducers; ++i) {
      Kernel::spawn("producer", wake_all, &sleepers[i], {.slice = microseconds(100)});
    }
  }
  Kernel::wait_for_finished(before + kProducers * kSleepers + kProducers - 1);
  Kernel::at_kick(nullptr);
  for (const size_t count : woken) test.expect_equal(count, kSleepers, "tasks of a producer ran");
  test.expect(woken_in_order, "the order of a producer's wakes was not kept");
}

constexpr Case kCases[] = {
    {"posts of many producers arrive once and in order", letters_arrive_in_order},
    {"tasks woken by many producers run once and in order", every_task_runs_once},
};

}  // namespace

void run_mailbox_tests() { run_cases("mailbox", kCases); }

}  // namespace demo::selftest
