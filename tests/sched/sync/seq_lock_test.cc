// The sequence lock where nothing happens at the same time: values, sizes, and an interrupt that
// reads while its own CPU stores. What happens at the same time is in spin_threads_test.cc.

#include "sched/sync/seq_lock.h"

#include <cstdint>
#include <cstring>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

struct Odd {  // not whole words, and nothing that could be made without a value
  explicit Odd(uint8_t fill) { std::memset(bytes, fill, sizeof(bytes)); }
  uint8_t bytes[13];
};

TEST(SeqLock, GivesWhatWasStoredLast) {
  K kernel;
  SeqLock<S, Odd> lock;
  SeqLock<S, uint16_t> small;
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(lock.load().bytes[12], 0);
    lock.store(Odd(7));
    lock.store(Odd(9));
    Odd value(0);
    EXPECT_TRUE(lock.try_load(value));
    for (const uint8_t byte : value.bytes) EXPECT_EQ(byte, 9);
    EXPECT_EQ(lock.load().bytes[12], 9);
    small.store(0xfedc);
    EXPECT_EQ(small.load(), 0xfedc);
  });
  kernel.boot_with(task);
  EXPECT_EQ(kernel.run(), End::quiet);
}

// An interrupt comes at each instant of the time that stores take: it always reads at once.
TEST(SeqLock, IsReadAtOnceByAnInterruptOfTheCpuThatStores) {
  for (uint64_t when = 500; when < 560; ++when) {
    K kernel({.call_cost = ticks(3)});
    SeqLock<S, uint64_t> lock;
    int reads = 0;
    kernel.on_device = [&](uint32_t, S::Interrupt&) {
      uint64_t value = 99;
      EXPECT_TRUE(lock.try_load(value));
      EXPECT_LE(value, 10u);
      ++reads;
    };
    auto& task = kernel.make("task", [&] {
      hal::sim::Machine::spend(at(500) - S::now());
      for (uint64_t n = 1; n <= 10; ++n) lock.store(n);
    });
    kernel.boot_with(task);
    kernel.world.raise_at(0, 1, at(when));
    EXPECT_EQ(kernel.run(), End::quiet);
    EXPECT_EQ(reads, 1);
  }
}

static_assert(sizeof(SeqLock<S, uint8_t>) == 16);
static_assert(sizeof(SeqLock<S, Odd>) == 24);
[[maybe_unused]] constinit SeqLock<S, Odd> constant;

}  // namespace
}  // namespace sched::test
