// The examples of docs/time_and_blocking.md, on the simulated machine.

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"
#include "sched/time/periodic.h"
#include "sched/wait.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

using K = Kernel<FixedPriority>;
using S = K::S;

TEST(Page, Sleeps) {
  K kernel;
  std::vector<uint64_t> samples;
  const auto sample = [&] { samples.push_back(S::now().ticks); };
  auto& task = kernel.make("task", [&] {
    const Duration millisecond = ticks(1000);
    // clang-format off
S::sleep_for(millisecond);
S::sleep_until(Instant{5000});

Periodic<S> period(S::now(), millisecond);
for (int i = 0; i < 100; ++i) {
  period.next();  // at 6000, 7000, ... however long a sample takes
  sample();
}
    // clang-format on
  });
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  ASSERT_EQ(samples.size(), 100u);
  EXPECT_EQ(samples.front(), 6000u);
  EXPECT_EQ(samples.back(), 105'000u);
}

// clang-format off
struct Blink : Timer {
  Blink() : Timer(&fire) {}

  static void fire(Timer& timer) {
    auto& self = static_cast<Blink&>(timer);
    self.lit = !self.lit;
    S::arm(self, self.when() + Duration{500});  // from the instant before: no drift
  }

  bool lit = false;
};
// clang-format on

TEST(Page, Blinks) {
  K kernel;
  Blink blink;
  auto& task = kernel.make("task", [&] {
    S::arm(blink, at(500));
    S::sleep_until(at(1200));
    EXPECT_FALSE(blink.lit);
    EXPECT_EQ(blink.when(), at(1500));
    EXPECT_TRUE(S::cancel(blink));
  });
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
}

TEST(Page, WaitsForAConditionInALoop) {
  K kernel;
  bool ready = false;
  Waited waited = Waited::done;
  // clang-format off
auto wait_until_ready = [&](Instant deadline) {
  while (!ready) {
    switch (S::park_until(deadline)) {
      case Woken::by_wake: break;  // look again
      case Woken::by_timeout: return Waited::timed_out;
      case Woken::by_cancel: return Waited::cancelled;
      case Woken::by_kill: return Waited::killed;
    }
  }
  return Waited::done;
};
  // clang-format on
  auto& task = kernel.make("task", [&] {
    EXPECT_EQ(wait_until_ready(at(100)), Waited::timed_out);
    waited = wait_until_ready(at(1000));
    EXPECT_EQ(S::now(), at(300));
  });
  kernel.on_device = [&](uint32_t line, S::Interrupt& interrupt) {
    if (line == 2) ready = true;
    interrupt.wake(task);
  };
  kernel.world.raise_at(0, 1, at(200));
  kernel.world.raise_at(0, 2, at(300));
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(waited, Waited::done);
}

TEST(Page, JoinsAndKills) {
  K kernel;
  auto& worker = kernel.make("worker", [&] {
    // clang-format off
while (!S::current().kill_requested()) {
  if (S::sleep_for(Duration{1000}) != Waited::timed_out) break;
}
S::exit(42);
    // clang-format on
  });
  std::expected<uint64_t, JoinError> patience, result;
  auto& parent = kernel.make("parent", [&] {
    kernel.spawn(worker);
    // clang-format off
const S::Life life = S::life(worker);
patience = S::join(life, S::now() + Duration{5000});  // JoinError::timed_out
S::kill(life);
result = S::join(life);  // 42
                           // clang-format on
  });
  kernel.boot([&] { kernel.spawn(parent); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(patience.error(), JoinError::timed_out);
  EXPECT_EQ(result, uint64_t{42});
}

int lent = 1;

// clang-format off
struct Loan : Bond {
  Loan() : Bond([](Bond&) { ++lent; }) { --lent; }
};

void borrow() {
  Loan loan;
  S::bind(loan);
  if (S::sleep_for(Duration{100}) != Waited::timed_out) S::exit();  // gives it back
  S::unbind(loan);
  ++lent;
}
// clang-format on

TEST(Page, IsBound) {
  K kernel;
  auto& task = kernel.make("task", [] {
    borrow();
    EXPECT_EQ(lent, 1);
    borrow();
    ADD_FAILURE() << "it was killed";
  });
  kernel.on_device = [&](uint32_t, auto&) {
    EXPECT_EQ(lent, 0);
    S::kill(task);
  };
  kernel.world.raise_at(0, 1, at(150));
  kernel.boot([&] { kernel.spawn(task); });
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(lent, 1);
}

}  // namespace
}  // namespace sched::test
