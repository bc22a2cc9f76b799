// Acts on several CPUs, told like the tour's. On as many as have started, one included; each counts
// what it sends and what arrives, and waits for the rest of it no longer than a person would.

#include "kernel_demo/smp/smp.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_demo/kernel.h"
#include "kernel_demo/registers.h"
#include "kernel_demo/smp/cpu_lanes.h"
#include "kernel_demo/table.h"
#include "kernel_demo/tour/report.h"

namespace demo {
namespace {

using Kernel = demo::Kernel<sched::RoundRobin>;
using S = Kernel::S;
using Task = Kernel::Task;

std::span<const CpuNumber> cpus() { return Kernel::cpus(); }

Kernel::Attributes turns(uint64_t ms) { return {.slice = milliseconds(ms)}; }

uint64_t kicks_of_all() {
  uint64_t sum = 0;
  for (const CpuNumber cpu : cpus()) sum += kicks_sent[cpu].load(std::memory_order_relaxed);
  return sum;
}

CpuNumber this_cpu() {
  const S::Masked masked;
  return S::here().number;
}

/// When what has not arrived is lost.
Instant patience() { return S::now() + milliseconds(10'000); }

constinit uint64_t spawned = 0;

Task* spawn_on(CpuNumber cpu, std::string_view name, hal::Entry entry, void* argument) {
  ++spawned;
  return Kernel::spawn_on(cpu, name, entry, argument, turns(10));
}

/// Waits for all that were spawned until now.
void wait_for_all() { Kernel::wait_for_finished(spawned); }

// ---- Every CPU works

constinit CpuLanes lanes;

constinit std::atomic<size_t> workers_there = 0;
constinit std::atomic<bool> lanes_begun = false;
constinit std::atomic<bool> strayed = false;

void work(void* argument) {
  const char* const mark = *static_cast<const char* const*>(argument);
  const CpuNumber home = this_cpu();
  ++workers_there;
  while (!lanes_begun.load(std::memory_order_acquire)) S::yield();
  for (bool over = false; !over;) {
    over = lanes.is_full();
    lanes.mark(mark);
    if (this_cpu() != home) strayed = true;
  }
}

bool every_cpu_works() {
  static constexpr const char* kMarks[] = {"█", "▒"};
  std::array<Task*, 2 * kCpus> tasks{};
  size_t count = 0;
  for (const CpuNumber cpu : cpus()) {
    for (const char* const& mark : kMarks) {
      tasks[count++] = spawn_on(cpu, "worker", work, const_cast<const char**>(&mark));
    }
  }
  while (workers_there < count) S::yield();
  lanes.begin(milliseconds(2));
  lanes_begun.store(true, std::memory_order_release);
  wait_for_all();
  lanes.print(cpus());
  bool in_place = !strayed;
  for (size_t i = 0; i < count; ++i) {
    const sched::Usage usage = S::usage(*tasks[i]);
    in_place &= usage.cpu == cpus()[i / 2] && usage.run > Duration{};
  }
  kit::print("\n  Two tasks on each, █ and ▒, and none of them ever yields.\n");
  return in_place;
}

// ---- Ping-pong

constexpr uint64_t kPasses = 2'000;
constinit std::atomic<uint64_t> passes = 0;
constinit std::array<Task*, 2> players{};

/// Plays the passes of one parity, as soon as both players are known.
void play(void* argument) {
  const auto self = reinterpret_cast<uintptr_t>(argument);
  S::park();
  const Instant limit = patience();
  for (uint64_t next = self; next < kPasses; next += 2) {
    while (passes.load(std::memory_order_acquire) != next) {
      if (S::park_until(limit) == sched::Woken::by_timeout) return;
    }
    passes.store(next + 1, std::memory_order_release);
    S::wake(*players[1 - self]);
  }
}

bool ping_pong() {
  kit::print("  {:<20}{:>8}{:>14}{:>10}\n", "between", "passes", "one takes", "kicks");
  bool all = true;
  // Neighbours in a ring, which two are not.
  const size_t pairs = cpus().size() > 2 ? cpus().size() : 1;
  for (size_t i = 0; i < pairs; ++i) {
    const CpuNumber places[] = {cpus()[i], cpus()[(i + 1) % cpus().size()]};
    passes = 0;
    const uint64_t kicks = kicks_of_all();
    const Instant begin = S::now();
    for (const size_t k : {0, 1}) {
      players[k] = spawn_on(places[k], k == 0 ? "ping" : "pong", play, reinterpret_cast<void*>(k));
    }
    for (Task* const player : players) S::wake(*player);
    wait_for_all();
    const Duration took = S::now() - begin;
    kit::print("  {:<20}{:>8}{:>14}{:>10}\n", Text("CPU {} and CPU {}", places[0], places[1]),
               passes.load(), to_text(Duration{took.ticks / kPasses}), kicks_of_all() - kicks);
    all &= passes == kPasses;
  }
  kit::print(
      "\n  Each wakes the other and parks: the sleeping CPU is kicked, and takes its mail.\n");
  return all;
}

// ---- Everybody wakes everybody

constexpr uint64_t kLetters = 1'000;  // of each sender for each receiver

struct Receiver {
  Task* task = nullptr;
  std::atomic<uint64_t> letters = 0;
  uint64_t received = 0;
  uint64_t expected = 0;
};
constinit std::array<Receiver, kCpus> receivers{};

void receive(void* argument) {
  Receiver& self = *static_cast<Receiver*>(argument);
  const Instant limit = patience();
  while (self.received < self.expected) {
    const uint64_t taken = self.letters.exchange(0, std::memory_order_acquire);
    self.received += taken;
    if (taken == 0 && S::park_until(limit) == sched::Woken::by_timeout) return;
  }
}

void send(void*) {
  for (uint64_t i = 0; i < kLetters; ++i) {
    for (const CpuNumber to : cpus()) {
      receivers[to].letters.fetch_add(1, std::memory_order_release);
      S::wake(*receivers[to].task);
    }
  }
}

bool mail() {
  std::array<uint64_t, kCpus> kicks{};
  for (const CpuNumber cpu : cpus()) {
    kicks[cpu] = kicks_sent[cpu];
    receivers[cpu].expected = kLetters * cpus().size();
    receivers[cpu].task = spawn_on(cpu, "receiver", receive, &receivers[cpu]);
  }
  for (const CpuNumber cpu : cpus()) spawn_on(cpu, "sender", send, nullptr);
  wait_for_all();

  kit::print("  {:<10}{:>10}{:>12}{:>14}{:>16}\n", "", "received", "wakes sent", "kicks needed",
             "told already");
  bool complete = true;
  for (const CpuNumber cpu : cpus()) {
    const uint64_t wakes = kLetters * (cpus().size() - 1);
    const uint64_t sent = kicks_sent[cpu] - kicks[cpu];
    kit::print("  {:<10}{:>10}{:>12}{:>14}{:>16}\n", Text("CPU {}", cpu), receivers[cpu].received,
               wakes, sent, wakes > sent ? wakes - sent : 0);
    complete &= receivers[cpu].received == receivers[cpu].expected;
  }
  kit::print("\n  Wakes of other CPUs' tasks. Whose CPU had mail already needs no kick.\n");
  return complete;
}

// ---- Tasks everywhere

constexpr uint64_t kChildren = 100;  // of each CPU on each CPU
using Births = std::array<std::atomic<uint64_t>, kCpus>;
constinit std::array<Births, kCpus> births{};  // by whom, and where

void have_children(void* argument) {
  Births& mine = *static_cast<Births*>(argument);
  for (uint64_t i = 0; i < kChildren * cpus().size();) {
    const CpuNumber to = cpus()[i % cpus().size()];
    const auto child = Kernel::try_spawn_on(
        to, "child",
        [](void* of) {
          hold_registers(1, 50);
          ++(*static_cast<Births*>(of))[this_cpu()];
        },
        &mine, turns(1));
    if (child) {
      ++i;
    } else {
      S::yield();  // all stacks are in use
    }
  }
}

bool tasks_everywhere() {
  for (const CpuNumber cpu : cpus()) spawn_on(cpu, "parent", have_children, &births[cpu]);
  spawned += kChildren * cpus().size() * cpus().size();
  wait_for_all();

  kit::print("  {:<10}", "");
  for (const CpuNumber to : cpus()) kit::print("{:>10}", Text("on CPU {}", to));
  kit::print("\n");
  uint64_t total = 0;
  bool complete = true;
  for (const CpuNumber by : cpus()) {
    kit::print("  {:<10}", Text("by CPU {}", by));
    for (const CpuNumber to : cpus()) {
      const uint64_t born = births[by][to];
      kit::print("{:>10}", born);
      complete &= born == kChildren;
      total += born;
    }
    kit::print("\n");
  }
  kit::print("\n  {} tasks on {} stacks, which went from CPU to CPU as they became free.\n", total,
             kStacks);
  return complete;
}

// ---- What each CPU has done

bool books() {
  std::array<Row, kCpus> rows{};
  size_t count = 0;
  kit::print("  {:<9}{:>10}{:>10}{:>12}{:>10}{:>10}{:>10}\n", "", "busy", "idle", "voluntary",
             "by force", "wakes", "kicks");
  uint64_t wakes = 0;
  for (const CpuNumber cpu : cpus()) {
    static constinit std::array<Text, kCpus> names{};
    const S::CpuUsage usage = S::usage(Kernel::cpu(cpu));
    names[cpu] = Text("CPU {}", cpu);
    rows[count].name = std::string_view(names[cpu]).data();
    rows[count++].usage.run = usage.busy;
    wakes += usage.wakes;
    kit::print("  {:<9}{:>10}{:>10}{:>12}{:>10}{:>10}{:>10}\n", names[cpu], to_text(usage.busy),
               to_text(usage.idle), usage.voluntary, usage.involuntary, usage.wakes,
               kicks_sent[cpu].load());
  }
  kit::print("\n");
  print_chart(std::span(rows).first(count));
  kit::print("\n  {} tasks were spawned, {} have finished; {} wakes, {} kicks.\n", spawned,
             Kernel::finished(), wakes, kicks_of_all());
  return Kernel::finished() == spawned;
}

constexpr tour::Act kActs[] = {
    {"Every CPU works", "tasks run where they were spawned", every_cpu_works},
    {"Ping-pong", "a wake of another CPU's task always arrives", ping_pong},
    {"Mail", "everybody wakes everybody, and nothing is lost", mail},
    {"Tasks everywhere", "every task that was spawned has run", tasks_everywhere},
    {"The books", "the counts add up", books},
};

}  // namespace

void run_smp(const Arguments& arguments) {
  kit::print("\n");
  demo::Kernel<sched::RoundRobin>::boot(
      [](void*) {
        kit::print("  {} {} CPU{} under one scheduler: a run queue each, and mail between them.\n",
                   cpus().size(), kArchitecture, cpus().size() == 1 ? "" : "s");
        tour::play("round robin", kActs);
        tour::finish();
      },
      nullptr, arguments.cpus);
}

}  // namespace demo
