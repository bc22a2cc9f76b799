// Shares and levels as they come out of the whole scheduler on the simulated machine: with
// interrupts, wakes and new attributes in between.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/lottery.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/policy.h"
#include "sched/policy/stride.h"
#include "sched/policy/weight.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

// A kernel of one CPU with tasks that work until an instant, and say how much they have worked.
template <Policy P>
class Shares : public Kernel<P> {
 public:
  using S = Kernel<P>::S;

  Shares() : Kernel<P>({.steps = 100'000'000}) {}

  P& policy() { return this->cpu(0).policy(); }

  // Works by the tick, so that it stops at `end`; yields after each `burst`, if that is not zero.
  auto& work(uint64_t end, typename P::Attributes attributes = {}, uint64_t burst = 0) {
    uint64_t& used = used_.emplace_back(0);
    return this->make(
        "task",
        [&used, end, burst] {
          while (Sim::now().ticks < end) {
            Sim::spend(ticks(1));
            ++used;
            if (burst != 0 && used % burst == 0) S::yield();
          }
        },
        attributes);
  }
  uint64_t used(size_t i) const { return used_[i]; }

  void go() {
    this->boot([&] {
      for (auto& thread : this->threads) this->spawn(thread);
    });
    EXPECT_EQ(this->run(), End::quiet);
  }

 private:
  std::deque<uint64_t> used_;
};

TEST(Share, OfStrideIsExactWhateverInterrupts) {
  constexpr uint64_t kQuantum = 100;
  constexpr std::array<Weight, 4> kTickets = {500, 300, 150, 50};
  Shares<Stride> kernel;
  kernel.policy().set_quantum(ticks(kQuantum));
  for (const Weight tickets : kTickets) kernel.work(100'010, {.tickets = tickets});
  kernel.on_device = [](uint32_t, auto&) {};
  for (uint64_t t = 50; t < 100'000; t += 77) kernel.world.raise_at(0, 1, at(t));
  kernel.go();
  const double all =
      static_cast<double>(kernel.used(0) + kernel.used(1) + kernel.used(2) + kernel.used(3));
  for (size_t i = 0; i < kTickets.size(); ++i) {
    const double share = all * kTickets[i] / 1000;
    EXPECT_GE(static_cast<double>(kernel.used(i)), share - kQuantum) << i;
    EXPECT_LE(static_cast<double>(kernel.used(i)), share + 3.0 * kQuantum * kTickets[i] / 1000 + 1)
        << i;
  }
}

TEST(Share, OfStrideFollowsNewTickets) {
  Shares<Stride> kernel;
  using S = decltype(kernel)::S;
  kernel.policy().set_quantum(ticks(100));
  auto& first = kernel.work(200'010, {.tickets = 100});
  kernel.work(200'010, {.tickets = 100});
  uint64_t used_before = 0;
  kernel.on_device = [&](uint32_t, auto&) {
    used_before = kernel.used(0);
    EXPECT_TRUE(S::retune(first, {.tickets = 300}));
  };
  kernel.world.raise_at(0, 1, at(100'010));
  kernel.go();
  EXPECT_NEAR(static_cast<double>(used_before), 50'000, 100);
  EXPECT_NEAR(static_cast<double>(kernel.used(0) - used_before), 75'000, 200);
}

// A standard deviation is below sqrt(2000 * 0.7 * 0.3) = 20 turns of 100 ticks.
TEST(Share, OfLotteryIsThatOfTheTickets) {
  for (const uint64_t seed : {1, 2, 3}) {
    SCOPED_TRACE(seed);
    Shares<Lottery> kernel;
    kernel.policy().set_quantum(ticks(100));
    kernel.policy().set_seed(seed);
    kernel.work(200'010, {.tickets = 70});
    kernel.work(200'010, {.tickets = 30}, 10);  // yields after a tenth
    kernel.go();
    EXPECT_NEAR(static_cast<double>(kernel.used(0)), 140'000, 4 * 2000);
  }
}

// One is woken each 5000 ticks and works for 20 of them, beside two that never stop.
TEST(Levels, RunAnInteractiveTaskAtOnceBesideHogs) {
  constexpr uint64_t kEnd = 400'000;
  Shares<Mlfq> kernel;
  using S = decltype(kernel)::S;
  for (uint8_t level = 0; level < Mlfq::kLevels; ++level) {
    kernel.policy().set_quantum(level, ticks(uint64_t{100} << level));
  }
  kernel.policy().set_boost(ticks(20'000));
  uint64_t woken_at = 0;
  std::vector<uint64_t> waits;
  auto& interactive = kernel.make("interactive", [&] {
    while (Sim::now().ticks < kEnd - 5000) {
      S::park();
      waits.push_back(Sim::now().ticks - woken_at);
      Sim::spend(ticks(20));
    }
  });
  kernel.work(kEnd);
  kernel.work(kEnd);
  kernel.on_device = [&](uint32_t, auto&) {
    woken_at = Sim::now().ticks;
    S::wake(interactive);
  };
  for (uint64_t t = 5123; t < kEnd; t += 5000) kernel.world.raise_at(0, 1, at(t));
  kernel.go();
  ASSERT_GE(waits.size(), 75u);
  // At once, unless it is just after a boost: then after a quantum of each of the others.
  EXPECT_LE(*std::max_element(waits.begin(), waits.end()), 200u);
  EXPECT_GE(std::count(waits.begin(), waits.end(), 0u),
            static_cast<int64_t>(waits.size() * 7 / 10));
}

TEST(Levels, GiveNothingToATaskThatYieldsBeforeItsQuantumEnds) {
  Shares<Mlfq> kernel;
  for (uint8_t level = 0; level < Mlfq::kLevels; ++level) {
    kernel.policy().set_quantum(level, ticks(uint64_t{100} << level));
  }
  kernel.policy().set_boost(ticks(50'000));
  kernel.work(400'010, {}, 99);
  kernel.work(400'010);
  kernel.go();
  EXPECT_LE(kernel.used(0), 200'000u + 8 * 100);
}

}  // namespace
}  // namespace sched::test
