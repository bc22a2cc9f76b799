// No CPU idles for longer than docs/many_cpus.md says while a floating task that it may take waits,
// whatever tasks do: under each policy that has somebody to give away.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/classes.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/stride.h"
#include "sched/scheduler.h"
#include "tests/sched/conservation.h"
#include "tests/sched/invariants.h"
#include "tests/sched/kernel.h"
#include "tests/sched/seeds.h"

namespace sched::test {
namespace {

constexpr CpuNumber kCpus = 4;
constexpr size_t kTasks = 10;
constexpr Duration kPeriod = ticks(100);
constexpr Instant kBalanced = at(1000);

// Tasks that float run, yield, sleep, park and wake each other; some may run on two CPUs only.
template <typename P>
class Bustle {
 public:
  using K = Kernel<P>;
  using S = typename K::S;
  using Attributes = std::function<typename P::Attributes(std::mt19937_64&)>;

  Bustle(uint64_t seed, const Attributes& attributes)
      : random_(seed), kernel_(world(seed)), balancers_(kCpus) {
    for (size_t i = 0; i < kTasks; ++i) {
      tasks_.push_back(
          &kernel_.make("task " + std::to_string(i), [this] { work(); }, attributes(random_)));
    }
    for (CpuNumber cpu = 1; cpu < kCpus; ++cpu) {
      kernel_.boot_cpu(cpu, [this] { begin(); }, {});
    }
    kernel_.boot_cpu(
        0,
        [this] {
          begin();
          for (auto* task : tasks_) spawn(*task);
        },
        kBalanced);
  }

  K& kernel() { return kernel_; }

 private:
  // Without stalls, in which nobody can keep a time.
  static hal::sim::Options world(uint64_t seed) {
    hal::sim::Options options = world_of(seed, kCpus);
    options.stall = {};
    return options;
  }

  void begin() {
    auto& cpu = S::here();
    if constexpr (requires { cpu.policy().set_quantum(kPeriod); }) {
      cpu.policy().set_quantum(kPeriod);
    }
    S::balance(balancers_[cpu.number], kPeriod);
  }

  void spawn(K::Thread& task) {
    const CpuNumber first = static_cast<CpuNumber>(random_() % kCpus);
    const CpuNumber second = static_cast<CpuNumber>((first + 1) % kCpus);
    const bool is_bound = random_() % 4 == 0;
    kernel_.spawn_in(
        {.cpus = is_bound ? typename S::CpuSet{first, second} : S::CpuSet::all(), .floats = true},
        task);
  }

  void work() {
    for (int round = 0; round < 12; ++round) {
      Sim::spend(ticks(1 + random_() % 400));
      S::wake(*tasks_[random_() % kTasks]);
      switch (random_() % 4) {
        case 0: S::yield(); break;
        case 1: S::sleep_for(ticks(random_() % 300)); break;
        default: S::park_until(S::now() + ticks(random_() % 1000)); break;
      }
    }
  }

  std::mt19937_64 random_;
  K kernel_;
  std::vector<typename S::Balancer> balancers_;
  std::vector<typename K::Thread*> tasks_;
};

template <typename P>
void check(const typename Bustle<P>::Attributes& attributes) {
  uint64_t moved = 0;
  for_each_seed([&](uint64_t seed) {
    Bustle<P> bustle(seed, attributes);
    Invariants invariants(bustle.kernel());
    Conservation conservation(bustle.kernel(), kPeriod, kBalanced);
    bustle.kernel().finish();
    moved += conservation.moved();
  });
  EXPECT_GT(moved, 50u);  // else there was nothing to see
}

constexpr Edf::Attributes reserved(uint64_t runtime, uint64_t period) {
  return {.runtime = ticks(runtime), .period = ticks(period), .overrun = Overrun::postpone};
}

TEST(Conservation, UnderFifo) {
  check<Fifo>([](auto&) { return Fifo::Attributes{}; });
}

TEST(Conservation, UnderRoundRobin) {
  check<RoundRobin>(
      [](auto& random) { return RoundRobin::Attributes{.slice = ticks(20 + random() % 200)}; });
}

TEST(Conservation, UnderFixedPriority) {
  check<FixedPriority>([](auto& random) {
    return FixedPriority::Attributes{.priority = static_cast<uint16_t>(random() % 8)};
  });
}

TEST(Conservation, UnderEdf) {
  check<Edf>([](auto& random) { return reserved(40 + random() % 40, 1000 + random() % 4000); });
}

Weight some_weight(std::mt19937_64& random) { return kNormalWeight * (1 + random() % 4) / 2; }

TEST(Conservation, UnderEevdf) {
  check<Eevdf>([](auto& random) {
    return Eevdf::Attributes{.weight = some_weight(random), .slice = ticks(20 + random() % 200)};
  });
}

TEST(Conservation, UnderStride) {
  check<Stride>([](auto& random) { return Stride::Attributes{.tickets = some_weight(random)}; });
}

TEST(Conservation, UnderMlfq) {
  check<Mlfq>(
      [](auto& random) { return Mlfq::Attributes{.level = static_cast<uint8_t>(random() % 8)}; });
}

// Budgets are used up here and there, and come back.
TEST(Conservation, UnderBudgets) {
  using P = Budgeted<FixedPriority>;
  check<P>([](auto& random) {
    return P::Attributes{.inner = {.priority = static_cast<uint16_t>(random() % 8)},
                         .budget = ticks(100 + random() % 400),
                         .period = ticks(1000)};
  });
}

TEST(Conservation, UnderClasses) {
  using P = Classes<Edf, FixedPriority, Eevdf>;
  check<P>([](auto& random) {
    switch (random() % 3) {
      case 0: return P::in<0>(reserved(40 + random() % 40, 1000 + random() % 4000));
      case 1: return P::in<1>({.priority = static_cast<uint16_t>(random() % 8)});
      default: return P::in<2>({.weight = some_weight(random)});
    }
  });
}

}  // namespace
}  // namespace sched::test
