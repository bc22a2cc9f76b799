// The spin lock on the simulated machine: one holder, fair, masked while it is held.

#include "sched/sync/spin_lock.h"

#include <cstdint>
#include <mutex>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;
using Lock = SpinLock<S>;
using Guard = SpinGuard<S>;

TEST(SpinLock, MasksUntilTheLastGuardIsGone) {
  K kernel;
  Lock outer;
  Lock inner;
  std::vector<uint64_t> interrupts;
  kernel.on_device = [&](uint32_t, S::Interrupt&) {
    Guard guard(outer);
    interrupts.push_back(S::now().ticks);
  };
  auto& task = kernel.make("task", [&] {
    hal::sim::Machine::spend(at(400) - S::now());
    {
      Guard first(outer);
      {
        Guard second(inner);
        hal::sim::Machine::spend(ticks(150));
      }
      hal::sim::Machine::spend(ticks(50));
    }
    EXPECT_EQ(S::now(), at(600));
    hal::sim::Machine::spend(ticks(200));
  });
  kernel.boot_with(task);
  kernel.world.raise_at(0, 1, at(500));
  kernel.world.raise_at(0, 1, at(700));
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(interrupts, (std::vector<uint64_t>{600, 700}));
}

TEST(SpinLock, IsLockable) {
  K kernel;
  Lock a;
  Lock b;
  auto& task = kernel.make("task", [&] {
    S::Masked masked;
    {
      std::scoped_lock both(a, b);
      EXPECT_FALSE(a.try_lock());
      EXPECT_FALSE(b.try_lock());
    }
    std::unique_lock one(a, std::try_to_lock);
    EXPECT_TRUE(one.owns_lock());
    EXPECT_FALSE(std::unique_lock(a, std::try_to_lock).owns_lock());
    one.unlock();
    one.lock();
    one.unlock();
    const bool is_free = a.try_lock();
    EXPECT_TRUE(is_free);
    if (is_free) a.unlock();
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(SpinLock, ServesWhoAsksFirst) {
  K kernel({.cpus = 4});
  Lock lock;
  std::vector<CpuNumber> order;
  std::vector<K::Thread*> tasks;
  // CPU 0 has it from 5000 to 9000; the others ask at 7000, 6500, 6000.
  for (CpuNumber cpu = 0; cpu < 4; ++cpu) {
    tasks.push_back(&kernel.make("task", [&, cpu] {
      hal::sim::Machine::spend(at(cpu == 0 ? 5000 : 7500 - 500u * cpu) - S::now());
      Guard guard(lock);
      if (cpu == 0) hal::sim::Machine::spend(at(9000) - S::now());
      hal::sim::Machine::spend(ticks(100));
      order.push_back(cpu);
    }));
  }
  kernel.boot([&] {
    for (CpuNumber cpu = 0; cpu < 4; ++cpu) kernel.spawn_on(cpu, *tasks[cpu]);
  });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(order, (std::vector<CpuNumber>{0, 3, 2, 1}));
}

TEST(SpinLock, HasOneHolderAmongTasksAndInterruptsOfManyCpus) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    K kernel({.cpus = 3, .seed = seed, .interleave = 2, .stall = ticks(40)});
    Lock lock;
    int holders = 0;
    int count = 0;
    int missed = 0;
    const auto hold = [&] {
      EXPECT_EQ(++holders, 1);
      hal::sim::Machine::spend(ticks(20));
      ++count;
      EXPECT_EQ(--holders, 0);
    };
    kernel.on_device = [&](uint32_t, S::Interrupt&) {
      Guard guard(lock);
      hold();
    };
    std::vector<K::Thread*> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(&kernel.make("task", [&, i] {
        for (int n = 0; n < 5; ++n) {
          if (i < 3) {
            Guard guard(lock);
            hold();
          } else {
            S::Masked masked;
            if (lock.try_lock()) {
              hold();
              lock.unlock();
            } else {
              ++missed;
            }
          }
          hal::sim::Machine::spend(ticks(7));
        }
      }));
    }
    kernel.boot([&] {
      for (size_t i = 0; i < tasks.size(); ++i)
        kernel.spawn_on(static_cast<CpuNumber>(i % 3), *tasks[i]);
    });
    for (uint64_t i = 0; i < 6; ++i)
      kernel.world.raise_at(static_cast<CpuNumber>(i % 3), 1 + static_cast<uint32_t>(i),
                            at(1100 + 40 * i));
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(count + missed, 36);
  }
}

static_assert(sizeof(Lock) == 8);
[[maybe_unused]] constinit Lock constant;

}  // namespace
}  // namespace sched::test
