// Runs the scheduler on the machine of docs/porting.md, and looks at what its functions are for:
// registers across a switch, turns that only the timer can end, a switch at the end of an
// interrupt, a kick that waits until interrupts are unmasked, and an interrupt that finds the CPU
// idle. A plain program: a sanitizer would have to be told of every stack.

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "tests/docs/process_machine.h"

namespace {

using process::Machine;
using S = sched::Scheduler<Machine, sched::FixedPriority, sched::Options{.debug_checks = true}>;

constinit S::Cpu cpus[1];
constinit S::Task reader("reader"), user("user"), ping("ping"), pong("pong");
// Linux saves a task's vector registers on its stack: some kilobytes.
alignas(16) constinit std::byte stacks[4][64 * 1024]{};

constexpr int kTurns = 5;
constinit std::atomic<int> turns[2]{};
constinit std::atomic<int> reads{0};
constinit int unfinished = 4;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "FAILED: %s\n", what);
  std::_Exit(1);
}

// Calls `function` with `seed`, `seed` + 1, … in the six registers that a call preserves, and says
// what they hold then, less `seed`, a digit each: 0x12345 with 0 before it.
[[gnu::naked]] uint64_t call_with_registers(void (* /* function: rdi */)(),
                                            uint64_t /* seed: rsi */) {
  asm volatile(
      "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"
      "mov %rsi, %rbp\n lea 1(%rsi), %rbx\n lea 2(%rsi), %r12\n"
      "lea 3(%rsi), %r13\n lea 4(%rsi), %r14\n lea 5(%rsi), %r15\n"
      "call *%rdi\n"
      "pop %rsi\n"
      "mov %rbp, %rax\n sub %rsi, %rax\n"
      "shl $4, %rax\n add %rbx, %rax\n sub %rsi, %rax\n"
      "shl $4, %rax\n add %r12, %rax\n sub %rsi, %rax\n"
      "shl $4, %rax\n add %r13, %rax\n sub %rsi, %rax\n"
      "shl $4, %rax\n add %r14, %rax\n sub %rsi, %rax\n"
      "shl $4, %rax\n add %r15, %rax\n sub %rsi, %rax\n"
      "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
      "ret");
}

// The bare switch, there and back, twice: first where a new context begins, then where it went on.
void try_switch() {
  static constinit Machine::Context here, there;
  const auto go = [] { Machine::switch_to<0>(&here, &there); };
  there = Machine::make_context(
      stacks[0],
      [](void* argument) {
        check(argument == &there, "a new context gets its argument");
        const auto go_back = [] { Machine::switch_to<0>(&there, &here); };
        for (;;) call_with_registers(go_back, 100);
      },
      &there);
  for (uint64_t seed : {200, 300}) {
    check(call_with_registers(go, seed) == 0x12345, "a switch keeps what a call preserves");
  }
}

// Counts its own turns: one begins whenever the other's count has moved. Only the timer ends one.
void play(void* argument) {
  const auto self = reinterpret_cast<uintptr_t>(argument);
  int seen = 0;
  while (turns[self] < kTurns) {
    const int others = turns[1 - self];
    if (others != seen || turns[self] == 0) {
      seen = others;
      ++turns[self];
    }
  }
}

// Above all others: it runs at once whenever it is woken.
void read(void*) {
  while (reads < 3) {
    S::park();
    reads = reads + 1;
  }
}

void use_device(void*) {
  const Machine::Irq irq = Machine::mask();
  S::wake(reader);
  check(reads == 0, "nothing comes in between while interrupts are masked");
  Machine::unmask(irq);
  check(reads == 1, "the kick comes when they no longer are");
  raise(process::kDeviceSignal);
  check(reads == 2, "the task that an interrupt wakes runs when it ends");
  // And a device that takes its time, until when all but the reader have finished.
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = process::kDeviceSignal;
  timer_t device;
  check(timer_create(CLOCK_MONOTONIC, &event, &device) == 0, "there is a device");
  itimerspec in_a_while = {};
  in_a_while.it_value.tv_nsec = 100'000'000;
  timer_settime(device, 0, &in_a_while, nullptr);
}

void on_finish(S::Task& task) {
  const sched::Usage usage = S::usage(task);
  if (&task == &reader) check(usage.wakes == 3, "each wake is counted");
  if (&task == &ping || &task == &pong) {
    check(usage.involuntary >= kTurns - 1, "the timer ends the turn of a task that does not");
  }
  if (--unfinished == 0) std::exit(0);
}

void spawn(S::Task& task, std::span<std::byte> stack, hal::Entry entry, uintptr_t argument,
           S::Attributes attributes) {
  check(S::spawn(task, stack, entry, reinterpret_cast<void*>(argument), attributes).has_value(),
        "a task is accepted");
}

}  // namespace

bool baton_interrupt(uintptr_t source) {
  S::Interrupt interrupt;
  switch (Machine::acknowledge(source).cause) {
    case hal::Cause::timer: S::on_timer(); break;
    case hal::Cause::kick: S::on_kick(); break;
    default: S::wake(reader);
  }
  return interrupt.leave();
}

void baton_preempt() { S::preempt(); }

int main() {
  try_switch();
  Machine::mask();
  S::start(cpus, 0, on_finish);
  cpus[0].policy().set_slice(0, hal::Duration{2'000'000});  // ticks are nanoseconds
  spawn(reader, stacks[0], read, 0, {.priority = 1});
  spawn(user, stacks[1], use_device, 0, {});
  spawn(ping, stacks[2], play, 0, {});
  spawn(pong, stacks[3], play, 1, {});
  S::run();
}
