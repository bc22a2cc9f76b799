// The soak on real threads, of which there may be more than processors. Under ThreadSanitizer this
// is the whole scheduler in front of it.
//
// --lives=N on the command line: so many tasks instead of a short run's.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "gtest/gtest.h"
#include "hal/host/host.h"
#include "hal/stack/stack.h"
#include "sched/options.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/soak/soak.h"

namespace {

using hal::CpuNumber;
using hal::Duration;
using hal::host::Cpus;
using sched::Random;

uint64_t lives = 1500;

template <typename S>
bool on_interrupt(hal::Interrupt interrupt) {
  typename S::Interrupt guard;
  if (interrupt.cause == hal::Cause::timer) S::on_timer();
  if (interrupt.cause == hal::Cause::kick) S::on_kick();
  return guard.leave();
}

template <sched::Policy P>
using SchedulerOf = sched::Scheduler<hal::host::Machine, P, sched::Options{.debug_checks = true}>;

template <sched::Policy P>
void soak_under(typename P::Attributes (*attributes)(Random&)) {
  using S = SchedulerOf<P>;
  static constinit soak::Soak<S, 64 * 1024> work;
  static constinit typename S::Task main_task{"main"};
  static const char* wrong;
  static typename P::Attributes (*draw)(Random&);
  static soak::Plan plan;
  plan = {.cpus = 4, .lives = lives, .seed = 1};
  draw = attributes;
  const hal::stack::Stack stack;
  Cpus cpus({.cpus = plan.cpus, .interrupt = on_interrupt<S>, .preempt = S::preempt});
  cpus.run([&](CpuNumber cpu) {
    work.begin(cpu, plan);
    if (cpu == 0) {
      const auto run = [](void*) {
        wrong = work.run(plan, draw);
        Cpus::power_off();
      };
      if (!S::spawn(main_task, stack, run, nullptr, {})) std::abort();
    }
    S::run();
  });
  EXPECT_EQ(wrong, nullptr) << wrong;
  const soak::Counts& counts = work.counts();
  std::printf(
      "%llu born, %llu never ran, %llu locked, %llu timers, %llu moved, %llu kicks, %llu CPUs "
      "went\n",
      static_cast<unsigned long long>(counts.born),
      static_cast<unsigned long long>(counts.never_ran),
      static_cast<unsigned long long>(counts.locked), static_cast<unsigned long long>(counts.ticks),
      static_cast<unsigned long long>(counts.departures),
      static_cast<unsigned long long>(counts.kicks),
      static_cast<unsigned long long>(counts.offline));
}

TEST(Soak, UnderFixedPriority) {
  soak_under<sched::FixedPriority>([](Random& random) -> sched::FixedPriority::Attributes {
    return {.priority = static_cast<uint16_t>(random.below(4))};
  });
}

TEST(Soak, UnderRoundRobin) {
  soak_under<sched::RoundRobin>([](Random& random) -> sched::RoundRobin::Attributes {
    return {.slice = Duration{50'000 + random.below(1'000'000)}};
  });
}

TEST(Soak, UnderEevdf) {
  soak_under<sched::Eevdf>([](Random& random) -> sched::Eevdf::Attributes {
    return {.weight = static_cast<sched::Weight>(1 + random.below(2000))};
  });
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--lives=")) lives = std::strtoull(argv[i] + 8, nullptr, 10);
  }
  return RUN_ALL_TESTS();
}
