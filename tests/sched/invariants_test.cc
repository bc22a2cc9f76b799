// That the watches of tests/sched/invariants.h and conservation.h see each of their rules broken,
// and that one alone: on a kernel that is none, in which anything can be so.

#include <array>
#include <cstddef>
#include <functional>
#include <ostream>
#include <string>

#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/cpu_set.h"
#include "sched/mailbox.h"
#include "sched/policy/fifo.h"
#include "sched/policy/policy.h"
#include "sched/task.h"
#include "tests/sched/conservation.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

// What the watches ask of a kernel. As it begins all is well: CPU 0 runs "busy", beside which
// "ready" waits, CPU 1 runs "other", and CPU 2 sleeps, with "parked" blocked there.
struct Still : private Mechanism {
  struct Thread : Fifo::Entity {
    const char* name() const { return text.c_str(); }
    Ownership ownership() const { return word; }
    bool kill_requested() const { return false; }

    std::string text;
    Ownership word;
    State state = State::ready;
    bool floats = true;
    CpuSet<64> affinity = CpuSet<64>::all();
  };
  struct S {
    using Policy = Fifo;
    using CpuSet = sched::CpuSet<64>;
    static State state(const Thread& thread) { return thread.state; }
    static CpuSet affinity(const Thread& thread) { return thread.affinity; }
  };
  struct Cpu {
    const Thread* current() const { return running; }
    const Thread& idle() const { return idle_task; }
    bool has_mail() const { return mail; }
    Fifo& policy() { return queue; }

    const Thread* running = &idle_task;
    Thread idle_task;
    bool mail = false;
    Fifo queue;
  };
  struct World {
    hal::sim::CpuReport report(CpuNumber cpu) const { return reports[cpu]; }
    Instant now() const { return time; }
    friend std::ostream& operator<<(std::ostream& out, const World&) { return out; }

    std::array<hal::sim::CpuReport, 3> reports;
    Instant time = at(1000);
  };

  Still() {
    const std::array<const char*, 4> names = {"busy", "ready", "other", "parked"};
    for (size_t i = 0; i < threads.size(); ++i) {
      threads[i].text = names[i];
      threads[i].word = Ownership(0, static_cast<CpuNumber>(i / 2), request::none);
    }
    other.word = Ownership(0, 1, request::none);
    parked.word = Ownership(0, 2, request::none);
    parked.state = State::blocked;
    for (Thread* thread : {&busy, &ready}) EXPECT_EQ(enqueue(0, *thread), Links::intact);
    EXPECT_EQ(enqueue(1, other), Links::intact);
    cpus[0].running = &busy;
    cpus[1].running = &other;
    for (auto& report : world.reports) report.masked = false;
    world.reports[2].asleep = true;
  }

  Links enqueue(CpuNumber cpu, Thread& thread) {
    return cpus[cpu].queue.enqueue(thread, Enter::created, world.time);
  }
  Cpu& cpu(CpuNumber number) { return cpus[number]; }
  static CpuNumber count() { return 3; }
  void step() const { on_step(); }

  std::array<Cpu, 3> cpus;
  std::array<Thread, 4> threads;
  Thread& busy = threads[0];
  Thread& ready = threads[1];
  Thread& other = threads[2];
  Thread& parked = threads[3];
  World world;
  std::function<void()> on_step;
};

TEST(Invariants, HoldAsItBegins) {
  Still still;
  Invariants invariants(still);
  still.step();
  EXPECT_EQ(invariants.quiet_looks(), 1u);
  invariants.expect_nothing_left();
}

TEST(Invariants, SeeWhoRunsThoughItIsAnotherCpus) {
  Still still;
  Invariants invariants(still);
  still.busy.word = still.busy.word.with_owner(1);
  EXPECT_NONFATAL_FAILURE(still.step(), "another one's task runs: busy");
}

// It has one owner at most.
TEST(Invariants, SeeWhoRunsTwice) {
  Still still;
  Invariants invariants(still);
  still.cpus[1].running = &still.busy;
  EXPECT_NONFATAL_FAILURE(still.step(), "another one's task runs: busy");
}

TEST(Invariants, SeeWhoRunsThoughItHasNotCome) {
  Still still;
  Invariants invariants(still);
  still.busy.word = still.busy.word.with_pending(request::arrive);
  EXPECT_NONFATAL_FAILURE(still.step(), "it has not come: busy");
}

TEST(Invariants, SeeACpuSleepOnItsMail) {
  Still still;
  Invariants invariants(still);
  still.cpus[2].mail = true;
  EXPECT_NONFATAL_FAILURE(still.step(), "CPU 2 sleeps on its mail");
}

TEST(Invariants, SeeACpuSleepOnWhatIsAskedOfItsTask) {
  Still still;
  Invariants invariants(still);
  still.parked.word = still.parked.word.with_pending(request::wake);
  EXPECT_NONFATAL_FAILURE(still.step(), "parked: CPU 2 sleeps on it");
}

TEST(Invariants, SeeACpuSleepThoughATaskIsReady) {
  Still still;
  Invariants invariants(still);
  still.parked.state = State::ready;
  EXPECT_NONFATAL_FAILURE(still.step(), "parked: CPU 2 sleeps though it is ready");
}

TEST(Invariants, SeeWhatIsLeftBehind) {
  Still still;
  Invariants invariants(still);
  still.ready.word = still.ready.word.with_pending(request::wake);
  still.step();  // its CPU is awake
  EXPECT_NONFATAL_FAILURE(invariants.expect_nothing_left(), "ready");
}

// What is about to be seen to is no failure: a kick is on its way, or somebody is about to send it.
TEST(Invariants, LetSomebodyFinishWhatItIsAt) {
  Still still;
  Invariants invariants(still);
  still.cpus[2].mail = true;
  still.parked.word = still.parked.word.with_pending(request::wake);
  still.world.reports[2].interrupted = true;
  still.step();
  EXPECT_EQ(invariants.quiet_looks(), 1u);
  still.world.reports[2].interrupted = false;
  still.world.reports[0].masked = true;
  still.step();
  EXPECT_EQ(invariants.quiet_looks(), 1u);
}

constexpr Duration kPeriod = ticks(100);

void pass(Still& still, uint64_t time) {
  still.world.time = still.world.time + ticks(time);
  still.step();
}

TEST(Conservation, SeesWhoWaitsBesideAnIdleCpu) {
  Still still;
  Conservation conservation(still, kPeriod, at(1000));
  still.step();
  pass(still, 100);
  EXPECT_EQ(conservation.longest(), kPeriod);
  EXPECT_NONFATAL_FAILURE(pass(still, 1),
                          "ready waits on CPU 0 beside an idle one, 0 others have gone");
}

TEST(Conservation, GivesAPeriodForEachThatGoesBefore) {
  Still still;
  Conservation conservation(still, kPeriod, at(1000));
  still.step();
  still.parked.word = still.parked.word.with_owner(0);
  pass(still, 90);
  still.parked.word = still.parked.word.with_owner(2);
  pass(still, 110);
  EXPECT_NONFATAL_FAILURE(pass(still, 1),
                          "ready waits on CPU 0 beside an idle one, 1 others have gone");
  still.ready.word = still.ready.word.with_owner(2);
  still.step();
  EXPECT_EQ(conservation.moved(), 1u);
}

// Each time as long as would be too long, and each reason alone.
TEST(Conservation, IsOfThoseWhoCouldRunElsewhereAtOnce) {
  const std::array<void (*)(Still&), 8> reasons = {
      [](Still& still) { still.cpus[2].running = &still.parked; },
      [](Still& still) { still.cpus[2].mail = true; },
      [](Still& still) { still.cpus[0].running = &still.ready, still.busy.floats = false; },
      [](Still& still) { still.ready.affinity = {0, 1}; },
      [](Still& still) { still.ready.floats = false; },
      [](Still& still) { still.ready.state = State::suspended; },
      [](Still& still) { still.ready.word = still.ready.word.with_pending(request::wake); },
      [](Still& still) { still.world.time = at(0); },
  };
  for (const auto& reason : reasons) {
    Still still;
    reason(still);
    Conservation conservation(still, kPeriod, at(1000));
    still.step();
    pass(still, 101);
    still.step();
    EXPECT_EQ(conservation.longest(), Duration{});
  }
}

}  // namespace
}  // namespace sched::test
