// The host machine: each promise of the contract in hal/hal.h, on real threads. Nothing here waits
// for a time to pass, only for what is promised to happen; what CPUs find is written down in
// atomics and looked at when all are off. Built once more under ThreadSanitizer and
// AddressSanitizer, where interrupts are taken at machine calls: so every loop makes some.

#include "hal/host/host.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>

#include "gtest/gtest.h"
#include "hal/stack/stack.h"

namespace hal::host {
namespace {

using M = Machine;

constexpr CpuNumber kMost = 4;

std::array<M::Local, kMost> locals;
std::array<std::atomic<int>, kMost> timers, kicks;
std::atomic<void (*)(Interrupt)> on_interrupt;
std::atomic<bool (*)()> wants_switch;
void (*on_preempt)();

CpuNumber here() { return M::local()->number; }

bool interrupt(Interrupt interrupt) {
  (interrupt.cause == Cause::timer ? timers : kicks)[here()].fetch_add(1);
  if (auto* const also = on_interrupt.load(); also != nullptr) also(interrupt);
  auto* const wants = wants_switch.load();
  return wants != nullptr && wants();
}

void preempt() { on_preempt(); }

// Runs `code` on each CPU, started and masked. It ends when one calls `power_off`.
void run_cpus(CpuNumber count, std::function<void(CpuNumber)> code) {
  for (CpuNumber cpu = 0; cpu < kMost; ++cpu) timers[cpu] = kicks[cpu] = 0;
  Cpus cpus({.cpus = count, .interrupt = interrupt, .preempt = preempt});
  cpus.run([&](CpuNumber cpu) {
    M::start_cpu(locals[cpu], cpu);
    code(cpu);
    for (;;) M::wait(), M::unmask(M::kUnmasked), M::mask();
  });
  on_interrupt = nullptr;
  wants_switch = nullptr;
}

void run_one(std::function<void()> code) {
  run_cpus(1, [&](CpuNumber) {
    code();
    Cpus::power_off();
  });
}

// Unmasked, until `done`; the loop itself has no machine call where signals interrupt it.
template <typename F>
void spin_until(F done) {
  while (!done()) {
    if (kAtCalls) M::relax();
  }
}

TEST(Host, IsAMachineWithoutAddressSpaces) {
  EXPECT_TRUE((hal::Machine<M>));
  EXPECT_FALSE((hal::SpaceMachine<M>));
}

TEST(Host, GivesEachCpuItsOwnBlockAndThread) {
  std::array<std::atomic<int>, kMost> threads{};
  std::atomic<int> count{0}, right{0};
  run_cpus(kMost, [&](CpuNumber cpu) {
    if (M::local() == &locals[cpu] && M::local()->number == cpu) ++right;
    threads[cpu] = gettid();
    if (++count == kMost) Cpus::power_off();
  });
  EXPECT_EQ(right, kMost);
  for (int i = 1; i < kMost; ++i) EXPECT_NE(threads[0], threads[i]);
}

TEST(Host, HasAClockThatGoesOn) {
  run_one([] {
    const Instant before = M::now();
    Instant after = M::now();
    while (after == before) after = M::now();
    EXPECT_GT(before, Instant{});
    EXPECT_GT(after, before);
    EXPECT_EQ(M::ticks_per_second(), 1'000'000'000u);
  });
}

TEST(Host, MaskTellsTheStateBeforeAndNests) {
  run_one([] {
    const M::Irq outer = M::mask();
    EXPECT_NE(outer, M::kUnmasked);  // it boots masked
    M::unmask(M::kUnmasked);
    const M::Irq first = M::mask();
    const M::Irq second = M::mask();
    EXPECT_EQ(first, M::kUnmasked);
    EXPECT_NE(second, M::kUnmasked);
    M::kick(0);
    M::unmask(second);
    EXPECT_EQ(kicks[0], 0);  // the outer one still masks
    M::unmask(first);
    EXPECT_EQ(kicks[0], 1);
  });
}

TEST(Host, InterruptsALoopByTheTimerWhenItIsTime) {
  static std::atomic<bool> early;
  static Instant when;
  early = false;
  on_interrupt = [](Interrupt) {
    if (M::now() < when) early = true;
  };
  run_one([] {
    when = M::now() + Duration{2'000'000};
    M::arm(when);
    M::unmask(M::kUnmasked);
    spin_until([] { return timers[0] != 0; });
    M::mask();
  });
  EXPECT_EQ(timers[0], 1);
  EXPECT_FALSE(early);
}

TEST(Host, TakesNoTimerWhileItIsMaskedAndOneAfter) {
  run_one([] {
    M::arm(Instant{1});  // long ago: at once
    const Instant until = M::now() + Duration{2'000'000};
    while (M::now() < until) {
    }
    EXPECT_EQ(timers[0], 0);
    M::unmask(M::kUnmasked);
    spin_until([] { return timers[0] != 0; });
    M::mask();
    EXPECT_EQ(timers[0], 1);
  });
}

TEST(Host, SilencesTheTimerByNever) {
  run_one([] {
    M::arm(M::now() + Duration{1'000'000'000'000});
    M::arm(never);
    M::unmask(M::kUnmasked);
    for (int i = 0; i < 1000; ++i) M::relax();
    M::mask();
  });
  EXPECT_EQ(timers[0], 0);
}

// The system's timer stays as it was; what is heard of it is what was armed last.
TEST(Host, InterruptsOnceWhereItIsArmedAnewForLater) {
  static std::atomic<Instant> heard;
  heard = Instant{};
  on_interrupt = [](Interrupt) { heard = M::now(); };
  static Instant when;
  run_one([] {
    const Instant start = M::now();
    M::arm(start + Duration{1'000'000});
    M::arm(start + Duration{2'000'000});
    M::arm(when = start + Duration{3'000'000});
    M::unmask(M::kUnmasked);
    spin_until([] { return timers[0] != 0; });
    M::mask();
  });
  EXPECT_EQ(timers[0], 1);
  EXPECT_GE(heard.load(), when);
}

TEST(Host, InterruptsWhereItIsArmedAnewAfterNever) {
  run_one([] {
    const Instant start = M::now();
    M::arm(start + Duration{1'000'000});
    M::arm(never);
    M::unmask(M::kUnmasked);
    spin_until([start] { return M::now() > start + Duration{2'000'000}; });
    M::mask();
    EXPECT_EQ(timers[0], 0);
    M::arm(M::now() + Duration{1'000'000});
    M::unmask(M::kUnmasked);
    spin_until([] { return timers[0] != 0; });
    M::mask();
  });
  EXPECT_EQ(timers[0], 1);
}

TEST(Host, WaitsForTheTimer) {
  run_one([] {
    const Instant when = M::now() + Duration{1'000'000};
    M::arm(when);
    while (timers[0] == 0) {
      M::wait();
      M::unmask(M::kUnmasked);
      M::mask();
    }
    EXPECT_GE(M::now(), when);
  });
  EXPECT_EQ(timers[0], 1);
}

TEST(Host, DoesNotWaitForWhatCameAfterTheMask) {
  run_one([] {
    M::kick(0);
    M::wait();  // or it would never return
    M::unmask(M::kUnmasked);
    M::mask();
  });
  EXPECT_EQ(kicks[0], 1);
}

// What is stored before a kick is there in its handler: plain data, which ThreadSanitizer looks at.
TEST(Host, KicksACpuThatRunsAndShowsItWhatWasBefore) {
  static int data;
  static std::atomic<int> seen;
  data = seen = 0;
  on_interrupt = [](Interrupt) {
    if (here() == 1) seen = data;
  };
  static std::atomic<bool> runs;
  runs = false;
  run_cpus(2, [](CpuNumber cpu) {
    M::unmask(M::kUnmasked);
    if (cpu == 0) {
      spin_until([] { return runs.load(); });
      data = 7;
      M::kick(1);
      spin_until([] { return !runs; });  // for good: it is switched off
    }
    runs = true;
    spin_until([] { return kicks[1] != 0; });
    Cpus::power_off();
  });
  EXPECT_EQ(seen, 7);
}

// Two CPUs that do nothing but sleep and kick each other: one kick lost, and both sleep for ever.
TEST(Host, LosesNoKickBetweenNothingToDoAndSleep) {
  constexpr int kRounds = 5'000;
  static std::array<std::atomic<int>, 2> rounds;
  static std::atomic<int> started;
  rounds[0] = rounds[1] = started = 0;
  run_cpus(2, [](CpuNumber cpu) {
    ++started;
    while (started != 2) M::relax();
    const CpuNumber other = 1 - cpu;
    while (rounds[1] < kRounds) {
      if (rounds[other] - rounds[cpu] == cpu) {
        ++rounds[cpu];
        M::kick(other);
      } else {
        M::wait();
      }
      M::unmask(M::kUnmasked);
      M::mask();
    }
    Cpus::power_off();
  });
  EXPECT_EQ(rounds[1], kRounds);
}

// --- Stacks ---

M::Context boot, tasks[2];

TEST(Host, BeginsAContextUnmaskedWithItsArgument) {
  static stack::Stack memory;
  static std::atomic<void*> argument;
  static std::atomic<bool> unmasked;
  run_one([] {
    tasks[0] = M::make_context(
        memory,
        [](void* value) {
          argument = value;
          unmasked = M::mask() == M::kUnmasked;
          M::switch_to<0>(&tasks[0], &boot);
        },
        &memory);
    M::switch_to<0>(&boot, &tasks[0]);
    EXPECT_NE(M::mask(), M::kUnmasked);
  });
  EXPECT_EQ(argument, &memory);
  EXPECT_TRUE(unmasked);
}

// A task that computes, and one that does the same with other numbers: each timer interrupt
// switches between them, anywhere, and neither notices.
struct Worker {
  uint64_t sum = 0;
  double product = 1;
  int errors = 0;
};
std::array<Worker, 2> workers;
std::atomic<int> switches;
constexpr int kSwitches = 200;

void work(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  const auto seed = static_cast<uint64_t>(&worker - workers.data()) + 3;
  errno = static_cast<int>(seed);
  while (switches < kSwitches) {
    uint64_t sum = 0;
    double product = 1;
    for (uint64_t i = 1; i <= 1000; ++i) {
      sum += i * seed;
      product *= 1.0 + 1.0 / static_cast<double>(i * seed);
      if (kAtCalls && i % 100 == 0) M::relax();
    }
    if (worker.sum != 0 && (worker.sum != sum || worker.product != product)) ++worker.errors;
    if (errno != static_cast<int>(seed)) ++worker.errors;
    worker.sum = sum;
    worker.product = product;
  }
  Cpus::power_off();
}

TEST(Host, SwitchesInTheMiddleOfWhateverATaskDoes) {
  static stack::Stack memory[2];
  static int current;
  workers = {};
  switches = 0;
  current = 0;
  on_interrupt = [](Interrupt) { M::arm(M::now() + Duration{50'000}); };
  wants_switch = [] { return true; };
  on_preempt = [] {
    ++switches;
    const int from = current;
    current = 1 - current;
    M::switch_to<0>(&tasks[from], &tasks[current]);
  };
  run_cpus(1, [](CpuNumber) {
    for (int i = 0; i < 2; ++i) tasks[i] = M::make_context(memory[i], work, &workers[i]);
    M::arm(Instant{1});
    M::switch_to<0>(&boot, &tasks[0]);
  });
  EXPECT_GE(switches, kSwitches);
  for (const Worker& worker : workers) {
    EXPECT_NE(worker.sum, 0u);
    EXPECT_EQ(worker.errors, 0);
  }
}

// One task that goes to and fro between two CPUs: at each timer interrupt its CPU saves it and
// offers it, and the other one takes it up.
M::Context idle[2];
std::atomic<bool> offered;
std::array<std::atomic<int>, 2> turns;
std::atomic<int> moves, strays;
constexpr int kMoves = 500;

void wander(void*) {
  stack_t own[2] = {};
  CpuNumber before = here();
  while (moves < kMoves) {
    const M::Irq irq = M::mask();
    const CpuNumber now = here();
    // The thread's, and not that of the one where the task was before.
    stack_t alternate;
    sigaltstack(nullptr, &alternate);
    if (own[now].ss_sp == nullptr) own[now] = alternate;
    if (own[now].ss_sp != alternate.ss_sp) ++strays;
    M::unmask(irq);
    if (now != before) {
      before = now;
      ++turns[now];
    }
  }
  Cpus::power_off();
}

TEST(Host, LetsATaskGoOnInAnotherThread) {
  static stack::Stack memory;
  static std::array<std::array<std::byte, 64 * 1024>, 2> alternates;
  offered = false;
  turns[0] = turns[1] = moves = strays = 0;
  // Under a guard: in `idle` it runs none, else the one.
  static std::array<std::atomic<bool>, 2> runs;
  runs[0] = runs[1] = false;
  wants_switch = [] { return runs[here()].load(); };
  on_preempt = [] {
    const CpuNumber cpu = here();
    runs[cpu] = false;
    ++moves;
    M::switch_to<0>(&tasks[0], &idle[cpu]);
  };
  run_cpus(2, [](CpuNumber cpu) {
    stack_t alternate;
    sigaltstack(nullptr, &alternate);
    if (alternate.ss_flags & SS_DISABLE) {  // a sanitizer sees to it by itself
      alternate = {.ss_sp = alternates[cpu].data(), .ss_flags = 0, .ss_size = 64 * 1024};
      sigaltstack(&alternate, nullptr);
    }
    if (cpu == 0) {
      tasks[0] = M::make_context(memory, wander, nullptr);
      offered.store(true, std::memory_order_release);
    }
    for (bool mine = cpu == 0;; mine = !mine) {
      while (moves % 2 != cpu || !offered.exchange(false, std::memory_order_acquire)) {
        M::unmask(M::kUnmasked);
        M::relax();
        M::mask();
      }
      runs[cpu] = true;
      M::arm(M::now() + Duration{20'000});
      M::switch_to<0>(&idle[cpu], &tasks[0]);
      offered.store(true, std::memory_order_release);
    }
  });
  EXPECT_GE(moves, kMoves);
  EXPECT_GT(turns[0] + turns[1], kMoves / 2);
  EXPECT_EQ(strays, 0);
}

TEST(Host, IsSwitchedOffAndOnAgain) {
  for (int i = 0; i < 100; ++i) {
    std::atomic<int> up{0};
    run_cpus(kMost, [&](CpuNumber) {
      if (++up == kMost) Cpus::power_off();
    });
    EXPECT_EQ(up, kMost);
  }
}

TEST(HostDeathTest, PanicsWithRuleAndTask) {
  EXPECT_DEATH(M::panic("broken", "somebody"), "hal::host: panic: somebody: broken");
}

TEST(HostDeathTest, StopsWhenBootCodeReturns) {
  const auto boot_and_return = [] { Cpus({.cpus = 1}).run([](CpuNumber) {}); };
  EXPECT_DEATH(boot_and_return(), "a CPU's boot code returned");
}

}  // namespace
}  // namespace hal::host
