// Scenarios of which every schedule is run: short ordinary tests. docs/explorer.md
//
//     EXPLORE(AParkAndAWake) {
//       Scenario<Fifo> scenario(explorer);              // two CPUs, and a scheduler on them
//       auto& sleeper = scenario.task(0, "sleeper", [] { S::park(); });
//       scenario.task(1, "waker", [&] { S::wake(sleeper); });
//       scenario.run();                                 // and by then both have finished
//     }
//
// The body is run once for each schedule; `EXPLORE(Name, .preemptions = 2)` says otherwise. All
// tasks of a scenario begin at one instant, and only from there on is anything explored. For code
// without a scheduler there is `on_each_cpu`. A test that fails prints the schedule, step by step,
// and the line to run it again by.

#ifndef BATON_TESTS_EXPLORE_EXPLORE_H_
#define BATON_TESTS_EXPLORE_EXPLORE_H_

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/explorer.h"
#include "hal/sim/sim.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"

namespace sched::test {

using hal::sim::Explorer;

/// When the tasks of a scenario begin, and what is too late to belong to it: the ends of slices
/// that a policy calls endless.
inline constexpr Instant kStart{2000};
inline constexpr Instant kEnd{1'000'000};

/// Takes the end of a run: true if it came to its end as it should.
inline bool ended_well(const hal::sim::Outcome& outcome) {
  if (outcome == End::cut) return false;
  const bool well = outcome == End::quiet || outcome == End::until;
  EXPECT_TRUE(well) << outcome;
  return well;
}

/// A kernel whose tasks begin together. At every step what tests/sched/invariants.h says must hold.
template <typename P>
class Scenario : public Kernel<P> {
 public:
  using S = typename Kernel<P>::S;
  using Thread = typename Kernel<P>::Thread;

  explicit Scenario(Explorer& explorer, CpuNumber cpus = 2)
      : Kernel<P>({.cpus = cpus, .explorer = &explorer, .boot_stack = 64 * 1024, .trace = 50}),
        explorer_(explorer) {}

  /// A task that runs `body` on `cpu` from `kStart` on.
  Thread& task(CpuNumber cpu, std::string name, std::function<void()> body,
               typename Kernel<P>::Attributes attributes = {}) {
    Thread& thread = make(cpu, std::move(name), {}, attributes);
    thread.body = [body = std::move(body)] {
      line_up();
      body();
    };
    return thread;
  }

  /// One that runs at once: for a wait that is under way when the others begin.
  Thread& early_task(CpuNumber cpu, std::string name, std::function<void()> body,
                     typename Kernel<P>::Attributes attributes = {}) {
    return make(cpu, std::move(name), std::move(body), attributes);
  }

  /// One that is not spawned yet.
  Thread& unborn_task(std::string name, std::function<void()> body,
                      typename Kernel<P>::Attributes attributes = {}) {
    Thread& thread = Kernel<P>::make(std::move(name), std::move(body), attributes, 64 * 1024);
    explorer_.name(static_cast<typename S::Task*>(&thread), sizeof(typename S::Task), thread.text);
    return thread;
  }

  /// Returns at `kStart`.
  static void line_up() { Sim::spend(kStart - Sim::now()); }

  /// The one task that is spawned anew by the scenario, once.
  const Thread* lives_twice = nullptr;

  /// Runs one schedule. True: to its end, at which every task had finished once.
  bool run() {
    for (CpuNumber cpu = 0; cpu < this->count(); ++cpu) {
      explorer_.name(&this->cpu(cpu), sizeof(typename S::Cpu), "CPU " + std::to_string(cpu));
    }
    this->boot([this] {
      for (const auto& [cpu, thread] : tasks_) this->spawn_on(cpu, *thread);
    });
    Invariants invariants(*this);
    if (!ended_well(Kernel<P>::run(kEnd))) return false;
    invariants.expect_nothing_left();
    for (const Thread& thread : this->threads) {
      EXPECT_EQ(thread.finishes, &thread == lives_twice ? 2 : 1) << thread.text;
    }
    return !testing::Test::HasFailure();
  }

 private:
  Thread& make(CpuNumber cpu, std::string name, std::function<void()> body,
               typename Kernel<P>::Attributes attributes) {
    Thread& thread = unborn_task(std::move(name), std::move(body), attributes);
    tasks_.emplace_back(cpu, &thread);
    return thread;
  }

  Explorer& explorer_;
  std::vector<std::pair<CpuNumber, Thread*>> tasks_;
};

/// Each of `bodies` on a CPU of its own, without a scheduler. True: one schedule to its end.
inline bool on_each_cpu(Explorer& explorer, std::vector<std::function<void()>> bodies) {
  hal::sim::World world({.cpus = static_cast<CpuNumber>(bodies.size()),
                         .explorer = &explorer,
                         .boot_stack = 64 * 1024});
  for (size_t cpu = 0; cpu < bodies.size(); ++cpu) {
    world.boot(static_cast<CpuNumber>(cpu), bodies[cpu], kStart);
  }
  return ended_well(world.run()) && !testing::Test::HasFailure();
}

/// What `EXPLORE` does.
inline void explore(const char* name, Explorer::Limits limits, void (*body)(Explorer&)) {
  limits.from = kStart;
  if (const char* const schedule = std::getenv("BATON_SCHEDULE")) limits.replay = schedule;
  const bool is_search = limits.walks == 0 && limits.replay.empty();
  Explorer explorer(limits);
  while (explorer.next()) {
    body(explorer);
    if (testing::Test::HasFailure() || !limits.replay.empty()) {
      std::printf("%s, interleaving %llu:\n%s\nAgain: BATON_SCHEDULE='%s', --gtest_filter=*.%s\n",
                  name, static_cast<unsigned long long>(explorer.runs()), explorer.story().c_str(),
                  explorer.schedule().c_str(), name);
      return;
    }
  }
  if (is_search) {
    EXPECT_TRUE(explorer.complete()) << explorer.runs() << " runs were not all";
  }
  std::printf("%s: %llu interleavings%s, of at most %llu steps; %llu runs cut\n", name,
              static_cast<unsigned long long>(explorer.interleavings()),
              is_search ? "" : " at random", static_cast<unsigned long long>(explorer.longest()),
              static_cast<unsigned long long>(explorer.cut()));
}

#define EXPLORE(name, ...)                                                               \
  static void explore_##name(::hal::sim::Explorer& explorer);                            \
  TEST(Explore, name) { ::sched::test::explore(#name, {__VA_ARGS__}, &explore_##name); } \
  static void explore_##name([[maybe_unused]] ::hal::sim::Explorer& explorer)

}  // namespace sched::test

#endif  // BATON_TESTS_EXPLORE_EXPLORE_H_
