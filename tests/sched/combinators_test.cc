// Groups, and policies that are exchanged, under the whole scheduler on the simulated machine.

#include <cstddef>
#include <cstdint>
#include <deque>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/budgeted.h"
#include "sched/policy/dynamic.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/groups.h"
#include "sched/policy/policy.h"
#include "sched/policy/round_robin.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

// A kernel of one CPU with tasks that work until an instant, and say how much they have worked.
template <Policy P>
class Workers : public Kernel<P> {
 public:
  using S = Kernel<P>::S;

  Workers() : Kernel<P>({.steps = 100'000'000}) {}

  P& policy() { return this->cpu(0).policy(); }

  auto& work(uint64_t end, typename P::Attributes attributes) {
    uint64_t& used = used_.emplace_back(0);
    return this->make(
        "task",
        [&used, end] {
          while (Sim::now().ticks < end) {
            Sim::spend(ticks(1));
            ++used;
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
    for (const auto& thread : this->threads) EXPECT_EQ(thread.finishes, 1) << thread.text;
  }

  // What a kernel does to its policy from a task: masked, and followed by a choice.
  template <typename F>
  void change(F f) {
    const auto irq = Sim::mask();
    f(policy());
    S::retune(S::current(), S::attributes(S::current()));
    Sim::unmask(irq);
  }

 private:
  std::deque<uint64_t> used_;
};

TEST(Combinators, ShareBetweenGroups) {
  using P = Groups<RoundRobin, Eevdf>;
  P::Group heavy;
  P::Group light;
  Workers<P> kernel;
  kernel.policy().root().groups().set_quantum(ticks(50));
  ASSERT_TRUE(kernel.policy().create(heavy, 1, {.weight = 3000, .slice = ticks(50)}));
  ASSERT_TRUE(kernel.policy().create(light, 2, {.weight = 1000, .slice = ticks(50)}));
  kernel.work(40'000, {.group = 1, .task = {.slice = ticks(20)}});
  for (int i = 0; i < 2; ++i) kernel.work(40'000, {.group = 2, .task = {.slice = ticks(20)}});
  kernel.go();
  EXPECT_NEAR(kernel.used(0), 30'000, 200);
  EXPECT_NEAR(kernel.used(1), 5'000, 200);
  EXPECT_NEAR(kernel.used(2), 5'000, 200);
  EXPECT_TRUE(kernel.policy().remove(heavy));  // all its tasks are gone
}

TEST(Combinators, ChangeAGroupFromATaskOfIt) {
  using P = Groups<RoundRobin, Eevdf>;
  P::Group one;
  P::Group two;
  Workers<P> kernel;
  kernel.policy().root().groups().set_quantum(ticks(50));
  ASSERT_TRUE(kernel.policy().create(one, 1, {.weight = 1000, .slice = ticks(50)}));
  ASSERT_TRUE(kernel.policy().create(two, 2, {.weight = 1000, .slice = ticks(50)}));
  kernel.work(40'000, {.group = 1, .task = {.slice = ticks(20)}});
  kernel.work(40'000, {.group = 2, .task = {.slice = ticks(20)}});
  kernel.make("changer",
              [&] {
                while (Sim::now().ticks < 20'000) {
                  Sim::spend(ticks(10));
                  Workers<P>::S::yield();
                }
                kernel.change([&](P& policy) {
                  EXPECT_TRUE(policy.retune(one, {.weight = 3000, .slice = ticks(50)}, Sim::now()));
                });
              },
              {.group = 1, .task = {.slice = ticks(20)}});
  kernel.go();
  // The changer and the first have half of the first half between them; then it is three to one.
  EXPECT_NEAR(kernel.used(1), 10'000 + 5'000, 400);
}

TEST(Combinators, HoldAGroupToItsQuotaWhileItsTasksComeAndGo) {
  using P = Groups<RoundRobin, Budgeted<RoundRobin>>;
  P::Group limited;
  Workers<P> kernel;
  ASSERT_TRUE(kernel.policy().create(limited, 1, {.budget = ticks(200), .period = ticks(1000)}));
  for (const uint64_t end : {10'000, 20'000, 20'000}) {
    kernel.work(end, {.group = 1, .task = {.slice = ticks(30)}});
  }
  kernel.go();
  const uint64_t all = kernel.used(0) + kernel.used(1) + kernel.used(2);
  EXPECT_LE(all, 20u * 200 + 200);
  EXPECT_GE(all, 19u * 200);
}

TEST(Combinators, ExchangePoliciesUnderLoad) {
  using P = Dynamic<RoundRobin, FixedPriority, Eevdf>;
  Workers<P> kernel;
  const auto attributes = [](uint16_t priority) {
    return P::Attributes{{{.slice = ticks(50)}}, {{.priority = priority}}, {{.slice = ticks(50)}}};
  };
  for (const uint16_t priority : {1, 2, 3}) kernel.work(30'000, attributes(priority));
  // It sleeps, and wakes under another policy than it slept under.
  auto& sleeper = kernel.make(
      "sleeper",
      [] {
        for (int i = 0; i < 50; ++i) Workers<P>::S::park();
      },
      attributes(200));
  kernel.make(
      "changer",
      [&] {
        for (size_t i = 1; i <= 50; ++i) {
          kernel.change([&](P& policy) { EXPECT_TRUE(policy.swap(i % 3, Sim::now())); });
          Workers<P>::S::wake(sleeper);
          const Instant until = Sim::now() + ticks(100);
          while (Sim::now() < until) Sim::spend(ticks(1));
        }
      },
      attributes(100));
  kernel.go();
  EXPECT_GT(kernel.used(0) + kernel.used(1) + kernel.used(2), 20'000u);
}

}  // namespace
}  // namespace sched::test
