// What the scheduler says tasks and CPUs have used: exact to the tick, at any moment, and adding
// up.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

TEST(Usage, CountsRunAndWaitToTheTick) {
  Kernel<Fifo> kernel;
  using S = decltype(kernel)::S;
  auto& first = kernel.make("first", [&] {
    Sim::spend(ticks(30));
    const Usage now = S::usage(S::current());  // in the middle of an interval
    EXPECT_EQ(now.run, ticks(30));
    EXPECT_EQ(now.wait, ticks(0));
    Sim::spend(ticks(70));
    S::yield();
    EXPECT_EQ(S::usage(S::current()).run, ticks(100));
    EXPECT_EQ(S::usage(S::current()).wait, ticks(50));
  });
  auto& second = kernel.make("second", [&] {
    EXPECT_EQ(S::usage(S::current()).wait, ticks(100));
    Sim::spend(ticks(50));
    EXPECT_EQ(S::usage(first).wait, ticks(50));  // it waits just now
    EXPECT_EQ(S::usage(first).run, ticks(100));
    S::park();  // neither runs nor waits
    EXPECT_EQ(S::usage(S::current()).run, ticks(50));
    EXPECT_EQ(S::usage(S::current()).wait, ticks(100));
  });
  kernel.on_device = [&](uint32_t, auto& interrupt) { interrupt.wake(second); };
  kernel.world.raise_at(0, 1, at(1000));
  kernel.boot([&] {
    kernel.spawn(first);
    kernel.spawn(second);
    EXPECT_EQ(S::usage(first).run, ticks(0));
    EXPECT_EQ(S::usage(first).cpu, 0);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(second.finishes, 1);
}

TEST(Usage, CountsEachKindOfSwitch) {
  Kernel<FixedPriority> kernel;
  using S = decltype(kernel)::S;
  Usage usage;
  auto& high = kernel.make("high", [&] { S::park(); }, {.priority = 9});
  auto& task = kernel.make(
      "task",
      [&] {
        S::yield();              // voluntary
        Sim::spend(ticks(150));  // involuntary: two ends of slices, while the peer computes
        S::wake(high);           // a preemption
        S::park();               // voluntary, and a wake
        S::wake(S::current());
        S::park();  // passes: nothing
        usage = S::usage(S::current());
      },
      {.priority = 1});
  auto& peer = kernel.make("peer",
                           [&] {
                             S::yield();
                             Sim::spend(ticks(250));
                             S::wake(task);
                           },
                           {.priority = 1});
  kernel.on_finish = [&](auto& thread) {
    const Usage after = S::usage(thread);
    if (&thread == &task) {
      EXPECT_EQ(after.voluntary, usage.voluntary + 1);  // its end
    }
  };
  kernel.boot([&] {
    kernel.cpu(0).policy().set_slice(1, ticks(100));
    kernel.spawn(high);
    kernel.spawn(task);
    kernel.spawn(peer);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(usage.voluntary, 2u);
  EXPECT_EQ(usage.preemptions, 1u);
  EXPECT_EQ(usage.involuntary, 2u);
  EXPECT_EQ(usage.wakes, 1u);
}

TEST(Usage, KnowsTheLastCpuOfATaskThatHasFinished) {
  Kernel<Fifo> kernel({.cpus = 2});
  using S = decltype(kernel)::S;
  auto& task = kernel.make("task", [] {});
  kernel.on_finish = [&](auto& thread) { EXPECT_EQ(S::usage(thread).cpu, 1); };
  kernel.boot([&] { kernel.spawn_on(1, task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

TEST(CpuUsage, CountsIdleTimeToTheTick) {
  Kernel<Fifo> kernel;
  using S = decltype(kernel)::S;
  auto& task = kernel.make("task", [&] {
    Sim::spend(ticks(100));
    S::park();
    EXPECT_EQ(S::usage(kernel.cpu(0)).idle, ticks(1000 - 110));
    EXPECT_EQ(S::usage(kernel.cpu(0)).busy, ticks(100));
    EXPECT_EQ(S::usage(kernel.cpu(0)).wakes, 1u);
    Sim::spend(ticks(10));
    EXPECT_EQ(S::usage(kernel.cpu(0)).busy, ticks(110));
  });
  kernel.on_device = [&](uint32_t, auto& interrupt) {
    EXPECT_EQ(S::usage(kernel.cpu(0)).idle, ticks(1000 - 110));
    interrupt.wake(task);
  };
  kernel.world.raise_at(0, 1, at(1000));
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 1);
}

// On each CPU, whatever its tasks have done: what they ran and what was idle make all the time
// there was, and every count of the CPU is the sum of its tasks'.
template <typename P>
void check_sums(uint64_t seed, void (*set_attributes)(typename P::Attributes&, std::mt19937_64&)) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  static constexpr int kTasks = 9;
  std::mt19937_64 setup(seed);
  Kernel<P> kernel({.cpus = 3, .seed = seed, .interleave = 3});
  using S = typename Kernel<P>::S;
  for (int i = 0; i < kTasks; ++i) {
    auto& thread = kernel.make("task", [&kernel, set_attributes, seed, i] {
      std::mt19937_64 gen(seed * 100 + static_cast<uint64_t>(i));
      const auto any = [&]() -> auto& {
        return kernel.threads[absl::Uniform<size_t>(gen, 0, kTasks)];
      };
      for (int step = 0; step < 20; ++step) {
        Sim::spend(ticks(absl::Uniform<uint64_t>(gen, 0, 100)));
        switch (absl::Uniform(gen, 0, 6)) {
          case 0: S::yield(); break;
          case 1: S::park(); break;
          case 2: {
            typename P::Attributes attributes;
            set_attributes(attributes, gen);
            EXPECT_TRUE(S::retune(S::current(), attributes));
            break;
          }
          default: S::wake(any()); break;
        }
      }
    });
    set_attributes(thread.attributes, setup);
  }
  // Then everybody who still sleeps is killed, which counts as a wake.
  kernel.on_device = [&](uint32_t line, auto&) {
    if (line == 1) {
      for (auto& thread : kernel.threads) S::kill(thread);
      return;
    }
    const CpuNumber cpu = S::here().number;
    const typename S::CpuUsage all = S::usage(kernel.cpu(cpu));
    const Instant started = cpu == 0 ? at(1000) : at(1);
    EXPECT_EQ(started + Duration{all.busy.ticks + all.idle.ticks}, Sim::now());
    Usage sum;
    for (size_t i = cpu; i < kTasks; i += kernel.count()) {
      const Usage usage = S::usage(kernel.threads[i]);
      sum.run.ticks += usage.run.ticks;
      sum.voluntary += usage.voluntary;
      sum.involuntary += usage.involuntary;
      sum.preemptions += usage.preemptions;
      sum.wakes += usage.wakes;
      EXPECT_LE(usage.preemptions, usage.involuntary);
      EXPECT_LE(usage.run.ticks + usage.wait.ticks, (Sim::now() - started).ticks);
    }
    EXPECT_EQ(sum.run, all.busy);
    EXPECT_EQ(sum.voluntary, all.voluntary);
    EXPECT_EQ(sum.involuntary, all.involuntary);
    EXPECT_EQ(sum.preemptions, all.preemptions);
    EXPECT_EQ(sum.wakes, all.wakes);
  };
  for (int kills = 0; kills < 25; ++kills) {
    kernel.world.raise_at(0, 1, at(100'000 + static_cast<uint64_t>(kills) * 1000));
  }
  for (CpuNumber cpu = 0; cpu < 3; ++cpu) kernel.world.raise_at(cpu, 2, at(1'000'000 + cpu));
  kernel.boot([&] {
    for (size_t i = 0; i < kTasks; ++i) {
      kernel.spawn_on(static_cast<CpuNumber>(i % kernel.count()), kernel.threads[i]);
    }
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  for (const auto& thread : kernel.threads) EXPECT_EQ(thread.finishes, 1);
}

TEST(Statistics, AddUpUnderRoundRobin) {
  for (uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    check_sums<RoundRobin>(seed, [](RoundRobin::Attributes& attributes, std::mt19937_64& gen) {
      attributes.slice = ticks(absl::Uniform<uint64_t>(gen, 20, 200));
    });
  }
}

TEST(Statistics, AddUpUnderFixedPriority) {
  for (uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    check_sums<FixedPriority>(seed,
                              [](FixedPriority::Attributes& attributes, std::mt19937_64& gen) {
                                attributes.priority = absl::Uniform<uint16_t>(gen, 0, 4);
                              });
  }
}

// Never blocking, a task either runs or waits all its life.
TEST(Statistics, LeaveNoTimeOut) {
  Kernel<RoundRobin> kernel;
  using S = decltype(kernel)::S;
  for (int i = 0; i < 3; ++i) {
    kernel.make("task",
                [&] {
                  for (int n = 0; n < 20; ++n) {
                    Sim::spend(ticks(33));
                    const Usage usage = S::usage(S::current());
                    EXPECT_EQ(at(10) + Duration{usage.run.ticks + usage.wait.ticks}, Sim::now());
                  }
                },
                {.slice = ticks(50)});
  }
  kernel.boot_with_all();
  EXPECT_EQ(kernel.run(), End::quiet);
}

// --- The histogram of waits ---

TEST(Latency, IsCountedOncePerTurnInTheTaskAndTheCpu) {
  static constexpr Options kOptions{.debug_checks = true, .latency = true};
  Kernel<Fifo, kOptions> kernel;
  using S = decltype(kernel)::S;
  auto& first = kernel.make("first", [&] {
    Sim::spend(ticks(100));
    S::yield();  // and waits for 5
    Sim::spend(ticks(1));
    S::park();  // does not count
  });
  auto& second = kernel.make("second", [&] { Sim::spend(ticks(5)); });  // after 100
  kernel.on_device = [&](uint32_t, auto& interrupt) { interrupt.wake(first); };
  kernel.world.raise_at(0, 1, at(1000));
  kernel.boot_with(first, second);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(first.latency().read(0), 2u);   // at first, and woken while nobody ran
  EXPECT_EQ(first.latency().read(3), 1u);   // 5
  EXPECT_EQ(second.latency().read(7), 1u);  // 100
  const LatencyHistogram& cpu = S::latency(kernel.cpu(0));
  for (size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
    EXPECT_EQ(cpu.read(bucket), first.latency().read(bucket) + second.latency().read(bucket))
        << bucket;
  }
}

TEST(Latency, IsForgottenInTheNextLife) {
  static constexpr Options kOptions{.debug_checks = true, .latency = true};
  Kernel<Fifo, kOptions> kernel;
  auto& task = kernel.make("task", [&] {
    uint64_t turns = 0;
    for (size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
      turns += kernel.threads[0].latency().read(bucket);
    }
    EXPECT_EQ(turns, 1u);
  });
  kernel.on_finish = [&](auto& thread) {
    if (thread.finishes == 1) kernel.spawn(thread);
  };
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(task.finishes, 2);
}

// Where the options do not ask for it, it takes no room.
TEST(Latency, CostsNothingWhenItIsOff) {
  static constexpr Options kOff{.latency = false};
  static constexpr Options kOn{.latency = true};
  EXPECT_GE(sizeof(Scheduler<Sim, Fifo, kOn>::Task),
            sizeof(Scheduler<Sim, Fifo, kOff>::Task) + sizeof(LatencyHistogram));
}

}  // namespace
}  // namespace sched::test
