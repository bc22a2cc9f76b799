// What must hold of many CPUs at every step: before each machine call, and where a scenario is
// explored after each atomic operation that changes something.
//
//   - a task runs on the CPU that owns it, so on one at most, and has arrived there;
//   - while mail waits for a CPU that sleeps, or something is pending for a task of its, a kick is
//     on its way to it;
//   - no CPU sleeps while a task of its is ready; unless its policy holds tasks back, or leaves it
//     to others to take them, as from a queue that all share.
//
// The last two are about to be seen to as long as some CPU is in the middle of something: whoever
// asks is masked from the request to the kick, and a CPU from its last look to its sleep. So they
// are looked at when each CPU is unmasked or asleep.
//
//     Invariants invariants(kernel);    // after the tasks were made, before `run`
//
// And at the end, by `expect_nothing_left`: no request is left behind.

#ifndef BATON_TESTS_SCHED_INVARIANTS_H_
#define BATON_TESTS_SCHED_INVARIANTS_H_

#include <cstdint>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/cpu_set.h"
#include "sched/mailbox.h"
#include "tests/sched/kernel.h"

namespace sched::test {

template <typename K>
class Invariants {
 public:
  using S = typename K::S;
  using P = typename S::Policy;
  using CpuSet = typename S::CpuSet;

  explicit Invariants(K& kernel) : kernel_(kernel) {
    kernel.on_step = [this] { look(); };
  }
  ~Invariants() { kernel_.on_step = nullptr; }
  Invariants(const Invariants&) = delete;
  Invariants& operator=(const Invariants&) = delete;

  /// How often each CPU was unmasked or asleep.
  uint64_t quiet_looks() const { return quiet_looks_; }

  void expect_nothing_left() {
    look();
    for (const auto& thread : kernel_.threads) {
      EXPECT_EQ(thread.ownership().pending(), request::none) << thread.text;
    }
  }

 private:
  void look() {
    for (CpuNumber cpu = 0; cpu < kernel_.count(); ++cpu) {
      const auto* const task = kernel_.cpu(cpu).current();
      if (task == nullptr || task == &kernel_.cpu(cpu).idle()) continue;
      const Ownership seen = task->ownership();
      EXPECT_EQ(seen.owner(), cpu) << "another one's task runs: " << task->name();
      EXPECT_FALSE(seen.pending() & request::arrive) << "it has not come: " << task->name();
    }
    CpuSet asleep;
    for (CpuNumber cpu = 0; cpu < kernel_.count(); ++cpu) {
      const auto report = kernel_.world.report(cpu);
      if (!report.asleep && report.masked) return;
      if (report.asleep && !report.interrupted) asleep.insert(cpu);
    }
    ++quiet_looks_;
    if (asleep.empty()) return;
    for (CpuNumber cpu = 0; cpu < kernel_.count(); ++cpu) {
      if (!asleep.contains(cpu)) continue;
      EXPECT_FALSE(kernel_.cpu(cpu).has_mail()) << "CPU " << cpu << " sleeps on its mail\n"
                                                << kernel_.world;
    }
    for (const auto& thread : kernel_.threads) {
      const Ownership seen = thread.ownership();
      if (!asleep.contains(seen.owner())) continue;
      EXPECT_EQ(seen.pending(), request::none)
          << thread.text << ": CPU " << seen.owner() << " sleeps on it\n"
          << kernel_.world;
      if (holds_back<P> || Shares<P>) continue;
      EXPECT_NE(S::state(thread), State::ready)
          << thread.text << ": CPU " << seen.owner() << " sleeps though it is ready\n"
          << kernel_.world;
    }
  }

  K& kernel_;
  uint64_t quiet_looks_ = 0;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_INVARIANTS_H_
