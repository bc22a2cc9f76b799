// Several CPUs under one scheduler, on each machine: they start, tasks run where they were spawned,
// wakes and spawns cross in both directions, and nothing is lost. The first argument is how many
// CPUs to ask for; one that does not start is reported, and the others go on. A second one has a
// task on the last CPU go wrong, while the others work.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"

namespace {

struct Machine : hal::Native {
  [[noreturn]] static void panic(const char* rule, const char* task) { kit::panic(rule, task); }
};
using S = sched::Scheduler<Machine, sched::RoundRobin>;
using hal::CpuNumber;

constexpr size_t kTasks = 2 * kit::kMostCpus + 2;

constinit S::Cpu cpus[kit::kMostCpus];
constinit std::array<CpuNumber, kit::kMostCpus> started{};  // their numbers; those that started
constinit size_t started_count = 0;
constinit std::atomic<bool> ready = false;

struct Slot {
  S::Task task{"task"};
  alignas(16) std::byte stack[8192] = {};
  S::Task* parent = nullptr;  // to be told when it is given back
  std::atomic<bool> given_back = false;
};
constinit Slot main_slot;
constinit Slot crash_slot{.task = S::Task("culprit")};
constinit std::array<Slot, kTasks> slots{};

constinit std::atomic<uint64_t> finished = 0;

void check(bool holds, const char* what) {
  if (!holds) kit::panic(what, S::current().name());
}

hal::Duration us(uint64_t count) {
  return hal::to_ticks(count * 1'000, Machine::ticks_per_second());
}

CpuNumber cpu_now() {
  const Machine::Irq irq = Machine::mask();
  const CpuNumber number = S::here().number;
  Machine::unmask(irq);
  return number;
}

// On whichever CPU the task ended.
void sink(S::Task& task) {
  Slot& slot = *std::ranges::find(slots, &task, [](Slot& each) { return &each.task; });
  S::Task* const parent = slot.parent;
  slot.given_back.store(true, std::memory_order_release);  // from here on it may live again
  if (parent != nullptr) S::wake(*parent);
  finished.fetch_add(1, std::memory_order_acq_rel);
  S::wake(main_slot.task);
}

void spawn_on(CpuNumber cpu, Slot& slot, hal::Entry entry, void* argument) {
  const auto spawned =
      S::spawn_on(cpu, slot.task, slot.stack, entry, argument, {.slice = us(1'000)});
  check(spawned.has_value(), "a task cannot be spawned");
}

/// Parks the main task until this many more have ended.
void wait_for(uint64_t count) {
  static constinit uint64_t total = 0;
  total += count;
  while (finished.load(std::memory_order_acquire) < total) S::park();
}

// ---- Each runs where it was spawned.

constinit std::array<uint64_t, kit::kMostCpus> visits{};

void visit(void* argument) {
  const auto expected = static_cast<CpuNumber>(reinterpret_cast<uintptr_t>(argument));
  const Slot& slot = slots[expected];
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const auto low = reinterpret_cast<uintptr_t>(slot.stack);
  check(&S::current() == &slot.task, "another task is current");
  check(here > low && here <= low + sizeof slot.stack, "it has another stack");
  for (int i = 0; i < 100; ++i) {
    check(cpu_now() == expected, "it runs on another CPU");
    check(S::usage(slot.task).cpu == expected, "the statistics say another CPU");
    ++visits[expected];
    S::yield();
  }
}

void test_places() {
  for (size_t i = 0; i < started_count; ++i) {
    const CpuNumber cpu = started[i];
    spawn_on(cpu, slots[cpu], visit, reinterpret_cast<void*>(uintptr_t{cpu}));
  }
  wait_for(started_count);
  for (size_t i = 0; i < started_count; ++i) {
    check(visits[started[i]] == 100, "a CPU has not run its task");
  }
  kit::print("tasks run where they were spawned: {} CPUs\n", started_count);
}

// ---- A token goes round.

constinit std::atomic<uint64_t> token = 0;
constinit size_t players = 0;
constinit uint64_t last_token = 0;

void play(void* argument) {
  const auto self = reinterpret_cast<uintptr_t>(argument);
  for (;;) {
    while (token.load(std::memory_order_acquire) % players != self) S::park();
    const uint64_t now = token.load(std::memory_order_relaxed) + 1;
    token.store(now, std::memory_order_release);
    S::wake(slots[now % players].task);
    if (now > last_token - players) return;  // the last round
  }
}

/// Between the players' slots, each already on its CPU. Every one of them ends in the last round.
void pass_token(std::span<const CpuNumber> places, uint64_t rounds) {
  token = places.size() - 1;  // nobody but the last may begin, and all are spawned before it
  players = places.size();
  last_token = players * rounds + token;
  for (size_t i = 0; i < places.size(); ++i) {
    spawn_on(places[i], slots[i], play, reinterpret_cast<void*>(i));
  }
  wait_for(places.size());
  check(token == last_token, "the token was lost");
}

void test_wakes() {
  constexpr uint64_t kRounds = 500;
  for (size_t i = 1; i < started_count; ++i) {
    for (size_t k = 0; k < i; ++k) pass_token(std::array{started[k], started[i]}, kRounds);
  }
  pass_token(std::span(started).first(started_count), kRounds);
  kit::print("a token passes between every two CPUs, and round all of them: {} wakes\n",
             kRounds * started_count * started_count);
}

// ---- The same while each CPU has a task that never stops by itself: kicks interrupt it.

constinit std::atomic<bool> stop_spinning = false;

void test_wakes_of_busy_cpus() {
  constexpr uint64_t kRounds = 20;
  for (size_t i = 0; i < started_count; ++i) {
    spawn_on(
        started[i], slots[kTasks - 1 - i],
        [](void*) {
          while (!stop_spinning.load(std::memory_order_relaxed)) S::relax();
        },
        nullptr);
  }
  pass_token(std::span(started).first(started_count), kRounds);
  stop_spinning = true;
  wait_for(started_count);
  kit::print("and while all of them are busy: {} wakes\n", kRounds * started_count);
}

// ---- Everybody spawns everywhere.

constexpr uint64_t kChildren = 200;
constinit std::array<std::atomic<uint64_t>, kit::kMostCpus> born{};
constinit std::array<std::atomic<uint64_t>, kit::kMostCpus> sent{};

void parent(void* argument) {
  const auto self = reinterpret_cast<uintptr_t>(argument);
  Slot& child = slots[kit::kMostCpus + self];
  child.parent = &S::current();
  for (uint64_t i = 0; i < kChildren; ++i) {
    const CpuNumber to = started[(self + i) % started_count];
    child.given_back.store(false, std::memory_order_relaxed);
    spawn_on(
        to, child, [](void*) { born[cpu_now()].fetch_add(1, std::memory_order_relaxed); }, nullptr);
    while (!child.given_back.load(std::memory_order_acquire)) S::park();
    sent[to].fetch_add(1, std::memory_order_relaxed);
  }
}

void test_spawns() {
  for (size_t i = 0; i < started_count; ++i) {
    spawn_on(started[i], slots[i], parent, reinterpret_cast<void*>(i));
  }
  wait_for(started_count + started_count * kChildren);
  uint64_t total = 0;
  for (size_t i = 0; i < kit::kMostCpus; ++i) {
    check(born[i] == sent[i], "a task was born elsewhere, or not at all");
    total += born[i];
  }
  check(total == started_count * kChildren, "tasks were lost");
  kit::print("every CPU spawns on every CPU: {} tasks, none lost\n", total);
}

// ---- Boot

void crash(void*) {
  uintptr_t null = 0;
  asm volatile("" : "+r"(null));
  *reinterpret_cast<volatile uint64_t*>(null) = 1;
}

void test(void*) {
  if (kit::arguments().size() > 1) spawn_on(started[started_count - 1], crash_slot, crash, nullptr);
  test_places();
  if (started_count > 1) {
    test_wakes();
    test_wakes_of_busy_cpus();
  }
  test_spawns();
  uint64_t stale = 0;
  for (size_t i = 0; i < started_count; ++i) stale += S::usage(cpus[started[i]]).stale;
  kit::print("all is well on {} CPUs; {} wakes came too late for anybody\n", started_count, stale);
  kit::finish(true);
}

void begin(CpuNumber number) {
  S::start(cpus, number, sink);
  ready.store(true, std::memory_order_release);
  S::run();
}

}  // namespace

extern "C" bool baton_interrupt(uintptr_t source) {
  S::Interrupt interrupt;
  const hal::Cause cause = Machine::acknowledge(source).cause;
  if (cause == hal::Cause::timer) S::on_timer();
  if (cause == hal::Cause::kick) S::on_kick();
  return interrupt.leave();
}

extern "C" void baton_preempt() { S::preempt(); }

extern "C" void kernel_main() {
  kit::name_of_task = [] { return S::current().name(); };
  const size_t wanted = static_cast<size_t>(kit::arguments().front() - '0');
  cpus[0].hardware_ids = kit::hardware_ids();
  S::start(cpus, 0, sink);
  started[started_count++] = 0;
  for (CpuNumber number = 1; number < wanted; ++number) {
    Machine::prepare_cpu(cpus[number], cpus[0]);
    if (!kit::start_cpu(number, begin)) {
      kit::print("CPU {} does not start\n", number);
      continue;
    }
    while (!ready.exchange(false, std::memory_order_acquire)) Machine::relax();
    started[started_count++] = number;
  }
  if (!S::spawn(main_slot.task, main_slot.stack, test, nullptr, {.slice = us(1'000)})) {
    kit::finish(false);
  }
  S::run();
}
