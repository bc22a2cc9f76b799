// Runs the examples of docs/sync.md on the simulated machine, and compares the sizes in its table
// with the objects.

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "sched/sync/address_wait.h"
#include "sched/sync/barrier.h"
#include "sched/sync/ceiling_mutex.h"
#include "sched/sync/condition_variable.h"
#include "sched/sync/event_flags.h"
#include "sched/sync/latch.h"
#include "sched/sync/message_queue.h"
#include "sched/sync/mutex.h"
#include "sched/sync/once.h"
#include "sched/sync/recursive_mutex.h"
#include "sched/sync/rw_lock.h"
#include "sched/sync/semaphore.h"
#include "sched/sync/seq_lock.h"
#include "sched/sync/spin_lock.h"
#include "tests/docs/gate.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

constexpr Duration kPeriod = ticks(1'000);
constexpr Duration kPatience = ticks(2'500);

// ---- What the page shows first

struct Reading {
  uint32_t value;
};
constinit uint32_t device = 0;
constinit uint32_t lost = 0;
std::vector<uint32_t> journal;

sched::MessageQueue<S, Reading, 8> readings;
sched::Mutex<S> mutex;  // guards the journal

// An interrupt never waits.
void on_device() {
  if (!readings.try_send({device})) ++lost;
}

// Waits for messages, and for none longer than it has patience.
void write_journal() {
  Reading reading;
  while (readings.receive_for(reading, kPatience) == sched::Waited::done) {
    const std::lock_guard lock(mutex);
    journal.push_back(reading.value);
  }
}

// Once a period, by instants: what a turn takes does not add up.
void clear_journal() {
  for (sched::Instant next = S::now() + kPeriod; S::sleep_until(next) != sched::Waited::killed;
       next = next + kPeriod) {
    // Or does without, this time.
    if (has(mutex.acquire_for(kPeriod))) {
      const std::lock_guard lock(mutex, std::adopt_lock);
      journal.clear();
    }
  }
}

TEST(SyncPage, ReadingsGoFromTheInterruptToTheJournal) {
  K kernel;
  std::vector<uint32_t> seen;
  auto& writer = kernel.make("writer", write_journal, {.priority = 5});
  auto& cleaner = kernel.make("cleaner", clear_journal, {.priority = 3});
  auto& producer = kernel.make("producer",
                               [&] {
                                 for (device = 1; device <= 12; ++device) {
                                   S::sleep_until(at(2'000 + device * 300));
                                   {
                                     const S::Masked as_in_an_interrupt;
                                     on_device();
                                   }
                                   S::sleep_for(ticks(10));
                                   const std::lock_guard lock(mutex);
                                   seen = journal;
                                 }
                                 S::join(writer);
                                 S::kill(cleaner);
                               },
                               {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&writer, &cleaner, &producer}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(lost, 0u);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), 12u);
  EXPECT_LE(seen.size(), 4u) << "nobody cleared the journal";
}

// ---- A primitive of one's own

TEST(SyncPage, AGateLetsTasksPassInOrderOnceItIsOpen) {
  K kernel;
  Gate<S> gate;
  const auto passer = [&](std::string name) {
    return [&kernel, &gate, name] {
      EXPECT_EQ(gate.pass_until(never), Waited::done);
      kernel.log(name);
    };
  };
  auto& low = kernel.make("low", passer("low"), {.priority = 3});
  auto& high = kernel.make("high", passer("high"), {.priority = 5});
  auto& keeper = kernel.make("keeper",
                             [&] {
                               kernel.log("opens");
                               gate.open();
                               EXPECT_EQ(gate.pass_until(never), Waited::done);
                               gate.close();
                               EXPECT_EQ(gate.pass_until(S::now() + ticks(50)), Waited::timed_out);
                             },
                             {.priority = 1});
  kernel.boot([&] {
    for (auto* task : {&low, &high, &keeper}) kernel.spawn(*task);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines, (std::vector<std::string>{"opens", "high", "low"}));
}

TEST(SyncPage, AGateLosesNobodyWhoeverGivesUp) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Gate<S> gate;
    size_t done = 0;
    size_t given_up = 0;
    std::vector<K::Thread*> tasks;
    for (size_t i = 0; i < 4; ++i) {
      tasks.push_back(&kernel.make("t" + std::to_string(i),
                                   [&, i] {
                                     const Waited how =
                                         gate.pass_until(S::now() + ticks(200 + 100 * i));
                                     const std::lock_guard lock(mutex);
                                     ++(how == Waited::done ? done : given_up);
                                   },
                                   {.priority = static_cast<uint8_t>(i)}));
    }
    auto& keeper = kernel.make("keeper",
                               [&] {
                                 S::sleep_until(S::now() + ticks(300));
                                 gate.open();
                               },
                               {.priority = 9});
    kernel.boot([&] {
      for (CpuNumber i = 0; i < tasks.size(); ++i) kernel.spawn_on(i % 3, *tasks[i]);
      kernel.spawn(keeper);
    });
    ASSERT_EQ(kernel.run(), End::quiet) << seed;
    EXPECT_EQ(done + given_up, 4u) << seed;
  }
}

// ---- The table

void expect_row(const std::string& name, size_t bytes) {
  std::ifstream page("docs/sync.md");
  for (std::string line; std::getline(page, line);) {
    if (line.find("| [" + name + "](") == std::string::npos) continue;
    EXPECT_TRUE(line.ends_with("| " + std::to_string(bytes) + " |")) << bytes << ": " << line;
    return;
  }
  ADD_FAILURE() << "no row for " << name;
}

TEST(SyncPage, SaysTheSizesOfAll) {
  expect_row("Timer", sizeof(Timer));
  expect_row("Semaphore", sizeof(Semaphore<S>));
  expect_row("Mutex", sizeof(Mutex<S>));
  expect_row("RecursiveMutex", sizeof(RecursiveMutex<S>));
  expect_row("CeilingMutex", sizeof(CeilingMutex<S>));
  expect_row("RwLock", sizeof(RwLock<S>));
  expect_row("EventFlags", sizeof(EventFlags<S>));
  expect_row("Barrier", sizeof(Barrier<S>));
  expect_row("Latch", sizeof(Latch<S>));
  expect_row("Once", sizeof(Once<S>));
  expect_row("ConditionVariable", sizeof(ConditionVariable<S>));
  expect_row("SpinLock", sizeof(SpinLock<S>));
  expect_row("SeqLock", sizeof(SeqLock<S, uint64_t>) - sizeof(uint64_t));
  expect_row("MessageQueue", sizeof(MessageQueue<S, uint64_t, 1>) - sizeof(uint64_t));
  expect_row("AddressWait", sizeof(AddressWait<S, 1>));
}

}  // namespace
}  // namespace sched::test
