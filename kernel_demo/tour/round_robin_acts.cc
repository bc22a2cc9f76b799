// Acts in which the timer takes the CPU away: turns, slices of one's own, the guard, the mailbox,
// and what the statistics know of it all.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/letters.h"
#include "kernel_demo/registers.h"
#include "kernel_demo/table.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"
#include "kernel_demo/tour/timeline.h"

namespace demo::tour {
namespace {

using Kernel = demo::Kernel<sched::RoundRobin>;
using S = Kernel::S;

constinit Timeline timeline;

constexpr size_t kThree = 3;
constexpr std::array<const char*, Timeline::kLanes> kNames = {"anna", "bert", "carl", nullptr};

/// Spawns three tasks that run `entry` with their number, with slices of these milliseconds, waits
/// until they have finished and gives their rows.
std::array<Row, kThree> run_three(hal::Entry entry, const std::array<uint64_t, kThree>& slices) {
  const uint64_t before = Kernel::finished();
  std::array<Kernel::Task*, kThree> tasks;
  {
    const S::NoPreempt guard;
    for (size_t i = 0; i < kThree; ++i) {
      tasks[i] = Kernel::spawn(kNames[i], entry, reinterpret_cast<void*>(i),
                               {.slice = milliseconds(slices[i])});
    }
    timeline.begin(milliseconds(1));
  }
  Kernel::wait_for_finished(before + kThree);
  std::array<Row, kThree> rows;
  for (size_t i = 0; i < kThree; ++i) rows[i] = row_of<Kernel>(*tasks[i]);
  return rows;
}

constinit uint64_t corrupt = 0;

void never_yield(void* lane) {
  const auto number = reinterpret_cast<uintptr_t>(lane);
  while (!timeline.is_full()) {
    timeline.mark(number);
    corrupt |= hold_registers((number + 1) * 0x0101'0101'0101'0101, 20);
  }
}

bool turns() {
  corrupt = 0;
  const std::array<Row, kThree> rows = run_three(never_yield, {5, 5, 5});
  timeline.print(kNames, kThree);
  kit::print("\n  Nobody asked for a switch. Every register held a pattern: {}.\n",
             corrupt == 0 ? "none has changed" : "SOME HAVE CHANGED");
  return corrupt == 0 &&
         std::ranges::all_of(rows, [](const Row& row) { return row.usage.involuntary >= 3; });
}

bool slices_of_their_own() {
  const std::array<Row, kThree> rows = run_three(never_yield, {2, 4, 6});
  timeline.print(kNames, kThree);
  kit::print("\n");
  print_chart(rows);
  return rows[0].usage.run < rows[1].usage.run && rows[1].usage.run < rows[2].usage.run;
}

bool guard() {
  static constinit uint64_t switches_inside = 0;
  static constinit uint64_t switches_at_end = 0;
  run_three(
      [](void* lane) {
        const auto number = reinterpret_cast<uintptr_t>(lane);
        const auto involuntary = [] { return S::usage(S::current()).involuntary; };
        if (number == 1) {
          uint64_t before;
          {
            const S::NoPreempt outer;
            const S::NoPreempt inner;
            before = involuntary();
            const Instant end = S::now() + milliseconds(24);
            while (S::now() < end) timeline.mark(number, "▓");
            switches_inside = involuntary() - before;
          }
          switches_at_end = involuntary() - before;
        }
        while (!timeline.is_full()) timeline.mark(number);
      },
      {4, 4, 4});
  timeline.print(kNames, kThree);
  kit::print("\n  bert held a guard for 24 ms (▓): {} switches in it, {} when it went.\n",
             switches_inside, switches_at_end);
  return switches_inside == 0 && switches_at_end == 1;
}

bool mailbox() {
  const Delivery delivery = deliver_letters();
  kit::print("  {:<20} {:>6} {:>10}\n", "from", "sent", "received");
  for (size_t i = 0; i < kProducers; ++i) {
    const bool interrupt = i + 1 == kProducers;
    kit::print("  {:<20} {:>6} {:>10}\n", interrupt ? Text("interrupts") : Text("producer {}", i),
               delivery.sent[i], delivery.received[i]);
  }
  kit::print("  No lock, and each producer's letters in the order in which it sent them.\n");
  return delivery.complete() && delivery.sent[kProducers - 1] > 0;
}

bool statistics() {
  // One that computes, one that often waits for it to be its turn, one that mostly sleeps.
  const uint64_t before = Kernel::finished();
  static constinit Kernel::Task* sleeper = nullptr;
  std::array<Kernel::Task*, kThree> tasks;
  {
    const S::NoPreempt guard;
    tasks[0] = Kernel::spawn("computer",
                             [](void*) {
                               for (int i = 0; i < 4'000; ++i) hold_registers(i, 1'000);
                             },
                             nullptr, {.slice = milliseconds(1)});
    tasks[1] = Kernel::spawn("yielder",
                             [](void*) {
                               for (int i = 0; i < 60; ++i) {
                                 hold_registers(i, 10'000);
                                 S::wake(*sleeper);
                                 S::yield();
                               }
                               S::kill(*sleeper);
                             },
                             nullptr, {.slice = milliseconds(1)});
    tasks[2] = sleeper = Kernel::spawn("sleeper",
                                       [](void*) {
                                         while (S::park() == sched::Woken::by_wake)
                                           hold_registers(1, 1'000);
                                       },
                                       nullptr, {.slice = milliseconds(1)});
  }
  Kernel::wait_for_finished(before + kThree);
  std::array<Row, kThree> rows;
  for (size_t i = 0; i < kThree; ++i) rows[i] = row_of<Kernel>(*tasks[i]);
  print_table(rows, "turns");

  kit::print("\n  how long tasks were ready before they ran, of this CPU:\n");
  print_histogram(S::latency(Kernel::cpu()));
  return rows[0].usage.involuntary > 0 && rows[1].usage.voluntary > 0 && rows[2].usage.wakes > 0;
}

constexpr Act kActs[] = {
    {"Preemption", "who never yields is preempted, unharmed", turns},
    {"Slices of their own", "a longer slice is a larger share", slices_of_their_own},
    {"The guard", "no switch while it lives, one when it goes", guard},
    {"The mailbox", "every letter arrives, once and in order", mailbox},
    {"Statistics", "readable at any time, nothing stopped", statistics},
};

}  // namespace

void play_round_robin() { play("round robin", kActs); }

}  // namespace demo::tour
