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
  for (const CpuNumber cpu : cpus()) sum += S::usage(Kernel::cpu(cpu)).kicks;
  return sum;
}

CpuNumber this_cpu() {
  const S::Masked masked;
  return S::here().number;
}

/// When what has not arrived is lost.
Instant patience() { return S::now() + milliseconds(10'000); }

constinit uint64_t spawned = 0;

Task* spawn_on(CpuNumber cpu, std::string_view name, hal::Entry entry, void* argument,
               uint64_t turn_ms = 10) {
  ++spawned;
  return Kernel::spawn_on(cpu, name, entry, argument, turns(turn_ms));
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

// ---- A task that moves, and CPUs that come and go

constinit std::atomic<uint64_t> strays = 0;

S::CpuSet only(CpuNumber cpu) {
  S::CpuSet set;
  set.insert(cpu);
  return set;
}

uint64_t arrivals_of_all() {
  uint64_t sum = 0;
  for (const CpuNumber cpu : cpus()) sum += S::usage(Kernel::cpu(cpu)).arrivals;
  return sum;
}

constinit std::atomic<bool> directed = false;  // until its director has done what he will

void mark_until_full(void* mark) {
  for (bool over = false; !over;) {
    over = lanes.is_full() && !directed;
    lanes.mark(static_cast<const char*>(mark));
  }
}

/// With short turns, so that the one who directs them gets his.
void spawn_marker(CpuNumber cpu, const char* mark) {
  spawn_on(cpu, "worker", mark_until_full, const_cast<char*>(mark), 2);
}

constexpr size_t kStops = 8;

void wander(void*) {
  for (size_t stop = 0; stop < kStops; ++stop) {
    const CpuNumber cpu = cpus()[stop % cpus().size()];
    S::set_affinity(S::current(), only(cpu));
    if (this_cpu() != cpu) ++strays;
    const size_t end = lanes.columns() + 5;
    while (lanes.columns() < end && !lanes.is_full()) lanes.mark("▒");
  }
  directed = false;
}

bool a_task_moves() {
  strays = 0;
  directed = true;
  const uint64_t before = arrivals_of_all();
  lanes.begin(milliseconds(2));
  for (const CpuNumber cpu : cpus()) spawn_marker(cpu, "█");
  spawn_on(cpus().front(), "wanderer", wander, nullptr, 4);
  wait_for_all();
  lanes.print(cpus());
  const uint64_t arrivals = arrivals_of_all() - before;
  kit::print("\n  ▒ says {} times where it may run, and is there when it has said so.\n", kStops);
  return strays == 0 && arrivals == kStops - 1;
}

bool a_cpu_leaves() {
  const CpuNumber leaver = cpus().back();
  // Counted there, and not where they arrive, which is later.
  const auto departures = [=] { return S::usage(Kernel::cpu(leaver)).departures; };
  const uint64_t before = departures();
  const auto wait_until = [](size_t column) {
    while (lanes.columns() < column) S::yield();
  };
  directed = true;
  lanes.begin(milliseconds(3));
  for (const CpuNumber cpu : cpus()) {
    for (const char* const mark : {"█", "▒"}) spawn_marker(cpu, mark);
  }
  wait_until(15);
  bool obeys = S::take_offline(leaver);
  while (obeys && !S::is_offline(leaver)) S::yield();
  lanes.leave(leaver);
  obeys &= !Kernel::try_spawn_on(leaver, "nobody", mark_until_full, nullptr, turns(1)).has_value();
  const uint64_t fled = departures() - before;
  wait_until(35);
  obeys &= S::bring_online(leaver);
  while (obeys && S::is_offline(leaver)) S::yield();
  for (const char* const mark : {"█", "▒"}) spawn_marker(leaver, mark);
  directed = false;
  wait_for_all();
  lanes.print(cpus());
  kit::print("\n  CPU {} gives away what it has, {} tasks, sleeps, and is asked back.\n", leaver,
             fled);
  return obeys && fled == 2;
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
  std::array<S::CpuUsage, kCpus> before{};
  for (const CpuNumber cpu : cpus()) {
    before[cpu] = S::usage(Kernel::cpu(cpu));
    receivers[cpu].expected = kLetters * cpus().size();
    receivers[cpu].task = spawn_on(cpu, "receiver", receive, &receivers[cpu]);
  }
  for (const CpuNumber cpu : cpus()) spawn_on(cpu, "sender", send, nullptr);
  wait_for_all();

  kit::print("  {:<10}{:>10}{:>12}{:>8}{:>10}{:>16}\n", "", "received", "wakes sent", "kicks",
             "spared", "told already");
  bool complete = true;
  for (const CpuNumber cpu : cpus()) {
    const uint64_t wakes = kLetters * (cpus().size() - 1);
    const S::CpuUsage after = S::usage(Kernel::cpu(cpu));
    const uint64_t kicks = after.kicks - before[cpu].kicks;
    const uint64_t spared = after.spared - before[cpu].spared;
    kit::print("  {:<10}{:>10}{:>12}{:>8}{:>10}{:>16}\n", Text("CPU {}", cpu),
               receivers[cpu].received, wakes, kicks, spared,
               wakes > kicks + spared ? wakes - kicks - spared : 0);
    complete &= receivers[cpu].received == receivers[cpu].expected;
  }
  kit::print(
      "\n  Wakes of other CPUs' tasks. A CPU that had mail already needs no kick, and one that\n"
      "  idles and watches its mailbox is spared it.\n");
  return complete;
}

// ---- Tasks everywhere

constexpr uint64_t kChildren = 100;  // of each CPU on each CPU
using Births = std::array<std::atomic<uint64_t>, kCpus>;
constinit std::array<Births, kCpus> births{};  // by whom, and where
// Children may take every stack there is, so the first waits for the last parent.
constinit std::atomic<bool> all_parents_there = false;

void have_children(void* argument) {
  Births& mine = *static_cast<Births*>(argument);
  while (!all_parents_there.load(std::memory_order_acquire)) S::yield();
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
  all_parents_there.store(true, std::memory_order_release);
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
  kit::print("  {:<9}{:>9}{:>9}{:>11}{:>10}{:>8}{:>8}{:>8}{:>6}\n", "", "busy", "idle", "voluntary",
             "by force", "wakes", "kicks", "spared", "came");
  uint64_t wakes = 0;
  uint64_t arrivals = 0;
  uint64_t departures = 0;
  for (const CpuNumber cpu : cpus()) {
    static constinit std::array<Text, kCpus> names{};
    const S::CpuUsage usage = S::usage(Kernel::cpu(cpu));
    names[cpu] = Text("CPU {}", cpu);
    rows[count].name = std::string_view(names[cpu]).data();
    rows[count++].usage.run = usage.busy;
    wakes += usage.wakes;
    arrivals += usage.arrivals;
    departures += usage.departures;
    kit::print("  {:<9}{:>9}{:>9}{:>11}{:>10}{:>8}{:>8}{:>8}{:>6}\n", names[cpu],
               to_text(usage.busy), to_text(usage.idle), usage.voluntary, usage.involuntary,
               usage.wakes, usage.kicks, usage.spared, usage.arrivals);
  }
  kit::print("\n");
  print_chart(std::span(rows).first(count));
  kit::print("\n  {} tasks were spawned, {} have finished; {} wakes, {} kicks.\n", spawned,
             Kernel::finished(), wakes, kicks_of_all());
  kit::print("  {} times a task left a CPU for another one, {} times one came.\n", departures,
             arrivals);
  return Kernel::finished() == spawned && arrivals == departures;
}

// On several CPUs.
constexpr tour::Act kMoves[] = {
    {"A task moves", "who says where it may run is there at once", a_task_moves},
    {"A CPU leaves", "its tasks go on elsewhere, none is lost", a_cpu_leaves},
};

constexpr tour::Act kBooks[] = {{"The books", "the counts add up", books}};

constexpr tour::Act kActs[] = {
    {"Every CPU works", "tasks run where they were spawned", every_cpu_works},
    {"Ping-pong", "a wake of another CPU's task always arrives", ping_pong},
    {"Mail", "everybody wakes everybody, and nothing is lost", mail},
    {"Tasks everywhere", "every task that was spawned has run", tasks_everywhere},
};

}  // namespace

void run_smp(const Arguments& arguments) {
  kit::print("\n");
  demo::Kernel<sched::RoundRobin>::boot(
      [](void*) {
        kit::print("  {} {} CPU{} under one scheduler: a run queue each, and mail between them.\n",
                   cpus().size(), kArchitecture, cpus().size() == 1 ? "" : "s");
        tour::play("round robin", kActs);
        if (cpus().size() > 1) tour::play("round robin", kMoves);
        tour::play("round robin", kBooks);
        tour::finish();
      },
      nullptr, arguments.cpus);
}

}  // namespace demo
