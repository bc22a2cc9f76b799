// Many post, one takes: producers that the timer preempts in the middle of a push, and interrupts
// among them.

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"
#include "sched/mailbox.h"

namespace demo::selftest {
namespace {

using Kernel = demo::Kernel<sched::RoundRobin>;
using S = Kernel::S;

constexpr size_t kProducers = 4;  // the last is the interrupt

// ---- The mailbox itself

constexpr uint32_t kLetters = 2'000;

struct Letter : sched::Postable {
  uint32_t number = 0;
};

constinit sched::Mailbox mailbox;
constinit Letter letters[kProducers][kLetters];
constinit volatile uint64_t sent_by_interrupt = 0;
constinit volatile uint64_t producers_done = 0;

/// What arrived, checked as it comes.
struct Received {
  std::array<uint32_t, kProducers> next{};
  bool in_order = true;

  // `taken` is youngest first.
  void add(sched::PostQueue taken) {
    sched::PostQueue oldest_first;
    while (sched::Postable* letter = taken.pop_front()) oldest_first.push_front(*letter);
    while (sched::Postable* post = oldest_first.pop_front()) {
      const auto* const letter = static_cast<const Letter*>(post);
      const size_t producer = static_cast<size_t>(letter - letters[0]) / kLetters;
      in_order &= letter->number == next[producer];
      ++next[producer];
    }
  }
};

void letters_arrive_in_order(Test& test) {
  for (auto& of_one : letters) {
    for (uint32_t i = 0; i < kLetters; ++i) of_one[i].number = i;
  }
  mailbox.open();
  sent_by_interrupt = 0;
  producers_done = 0;
  Kernel::at_kick([] {
    const uint64_t next = sent_by_interrupt;
    if (next == kLetters) return;
    mailbox.push(letters[kProducers - 1][next]);
    sent_by_interrupt = next + 1;
  });
  const uint64_t before = Kernel::finished();
  {
    const S::NoPreempt guard;
    for (size_t i = 0; i + 1 < kProducers; ++i) {
      Kernel::spawn("producer",
                    [](void* own) {
                      for (uint32_t n = 0; n < kLetters; ++n) {
                        mailbox.push(static_cast<Letter*>(own)[n]);
                        Machine::kick(0);
                      }
                      producers_done = producers_done + 1;
                    },
                    letters[i], {.slice = microseconds(100)});
    }
  }
  static constinit Received received;
  received = {};
  Kernel::spawn("consumer",
                [](void*) {
                  while (producers_done + 1 < kProducers || !mailbox.empty())
                    received.add(mailbox.take_all());
                },
                nullptr, {.slice = microseconds(130)});
  Kernel::wait_for_finished(before + kProducers);
  received.add(mailbox.take_all());
  Kernel::at_kick(nullptr);
  for (size_t i = 0; i + 1 < kProducers; ++i) {
    test.expect_equal(received.next[i], kLetters, "letters of a task arrived");
  }
  test.expect_equal(received.next[kProducers - 1], sent_by_interrupt, "letters of the interrupt");
  test.expect(sent_by_interrupt > 0, "no interrupt came in between");
  test.expect(received.in_order, "a producer's letters overtook each other");
}

// ---- Wakes by many

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
