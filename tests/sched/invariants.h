// What must hold of many CPUs at every step, looked at before every machine call:
//
//   - a task runs on one CPU at most, and that is the one that owns it, with nothing to arrive;
//   - while a CPU sleeps and something is pending for a task of its, a kick is on its way to it, or
//     about to be sent: whoever asks is masked from the request to the kick, and has few machine
//     calls to make.
//
//     Invariants invariants(kernel);    // after the tasks were made, before `run`
//
// And at the end, by `expect_nothing_left`: no request is left behind.

#ifndef BATON_TESTS_SCHED_INVARIANTS_H_
#define BATON_TESTS_SCHED_INVARIANTS_H_

#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/mailbox.h"
#include "tests/sched/kernel.h"

namespace sched::test {

template <typename K>
class Invariants {
 public:
  using S = typename K::S;

  explicit Invariants(K& kernel) : kernel_(kernel) {
    kernel.on_step = [this] { look(); };
  }
  ~Invariants() { kernel_.on_step = nullptr; }
  Invariants(const Invariants&) = delete;
  Invariants& operator=(const Invariants&) = delete;

  uint64_t looks() const { return looks_; }

  void expect_nothing_left() const {
    for (const auto& thread : kernel_.threads) {
      EXPECT_EQ(thread.ownership().pending(), request::none) << thread.text;
    }
  }

 private:
  // A task with something pending: since whose call, and how many he has made since.
  struct Asked {
    CpuNumber owner;
    CpuNumber by;
    int calls;
  };
  // How many machine calls there are between a request and its kick at most.
  static constexpr int kCalls = 40;

  void look() {
    ++looks_;
    const CpuNumber caller = kernel_.world.running();
    asked_.resize(kernel_.threads.size());
    std::vector<int> running(kernel_.count());
    std::vector<int> waiting(kernel_.count());  // tasks with something pending
    std::vector<int> overdue(kernel_.count());  // whose kick must have been sent
    for (size_t i = 0; i < asked_.size(); ++i) {
      const auto& thread = kernel_.threads[i];
      const Ownership seen = thread.ownership();
      if (S::state(thread) == State::running) {
        ASSERT_LT(seen.owner(), kernel_.count()) << thread.text;
        EXPECT_FALSE(seen.pending() & request::arrive) << thread.text;
        EXPECT_EQ(++running[seen.owner()], 1) << "on CPU " << seen.owner();
      }
      if (!seen.is_alive() || seen.owner() >= kernel_.count() || seen.pending() == request::none) {
        asked_[i].reset();
        continue;
      }
      if (!asked_[i].has_value() || asked_[i]->owner != seen.owner()) {
        asked_[i] = {seen.owner(), caller, 0};
      } else if (asked_[i]->by == caller) {
        ++asked_[i]->calls;
      }
      ++waiting[seen.owner()];
      if (asked_[i]->calls > kCalls) ++overdue[seen.owner()];
    }
    for (CpuNumber cpu = 0; cpu < kernel_.count(); ++cpu) {
      if (waiting[cpu] == 0 || overdue[cpu] < waiting[cpu]) continue;
      const auto report = kernel_.world.report(cpu);
      EXPECT_TRUE(!report.asleep || report.interrupted) << "CPU " << cpu << " sleeps on its mail\n"
                                                        << kernel_.world;
    }
  }

  K& kernel_;
  std::vector<std::optional<Asked>> asked_;  // by task
  uint64_t looks_ = 0;
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_INVARIANTS_H_
