// The first thing to look at when everything fails: two tasks, one CPU, each service once.

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/round_robin.h"
#include "sched/scheduler.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

TEST(Smoke, TwoTasksYieldParkWakeAndFinish) {
  Kernel<RoundRobin> kernel;
  using S = decltype(kernel)::S;
  auto& second = kernel.make("second", [&] {
    kernel.log("second begins");
    S::yield();
    kernel.log("second parks");
    EXPECT_EQ(S::park(), Woken::by_wake);
    kernel.log("second ends");
  });
  auto& first = kernel.make("first", [&] {
    kernel.log("first begins");
    S::yield();
    kernel.log("first yields");
    S::yield();
    kernel.log("first wakes");
    S::wake(second);
    kernel.log("first ends");
    S::exit();
  });
  kernel.on_finish = [&](auto& thread) { kernel.log("sink has " + thread.text); };
  kernel.boot_with(first, second);
  EXPECT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(kernel.lines,
            (std::vector<std::string>{"first begins", "second begins", "first yields",
                                      "second parks", "first wakes", "first ends", "sink has first",
                                      "second ends", "sink has second"}));
}

}  // namespace
}  // namespace sched::test
