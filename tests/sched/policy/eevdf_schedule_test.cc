// Earliest eligible virtual deadline first in the whole scheduler, on the simulated machine: the
// example of the theory, slot by slot.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "hal/sim/sim.h"
#include "sched/policy/eevdf.h"
#include "tests/sched/kernel.h"

namespace sched::test {
namespace {

constexpr uint64_t kUnit = 1000;
constexpr uint64_t kBoot = 10;  // when the only CPU boots

// Who had each unit of time since the boot: a letter each, `-` for nobody.
class Slots {
 public:
  explicit Slots(size_t count) : slots_(count, '-') {}

  // A body that works so many units, in small steps, so that each unit has the beginning of one.
  std::function<void()> worker(char name, uint64_t units) {
    return [this, name, units] {
      constexpr uint64_t kSteps = 10;
      for (uint64_t i = 0; i < units * kSteps; ++i) {
        slots_.at((Sim::now().ticks - kBoot) / kUnit) = name;
        Sim::spend(ticks(kUnit / kSteps));
      }
    };
  }

  const std::string& text() const { return slots_; }

 private:
  std::string slots_;
};

// Stoica and Abdel-Wahab's example: two clients of weight 2, requests of 2 and 1, the second comes
// at 1, and the quantum is 1. Where two deadlines are the same (at 1 and at 5) the second goes
// first: of equal deadlines the one that has just had a turn comes last.
TEST(EevdfSchedule, IsThatOfTheTheory) {
  Kernel<Eevdf> kernel;
  Slots slots(9);
  auto& first = kernel.make("1", slots.worker('1', 5), {.weight = 2, .slice = ticks(2 * kUnit)});
  auto& second = kernel.make("2", slots.worker('2', 4), {.weight = 2, .slice = ticks(kUnit)});
  kernel.on_device = [&](uint32_t, auto&) { kernel.spawn(second); };
  kernel.boot([&] {
    kernel.cpu(0).policy().set_quantum(ticks(kUnit));
    kernel.spawn(first);
  });
  kernel.world.raise_at(0, 0, at(kBoot + kUnit));
  ASSERT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(slots.text(), "121212121");
}

// With a quantum that no request reaches each is served at once, and the first has its 2 in one
// turn. At 4 and at 8 both are eligible: deadlines are 1.5 and 2, and then nobody but the first is
// left.
TEST(EevdfSchedule, RunsWholeRequestsUnderALongQuantum) {
  Kernel<Eevdf> kernel;
  Slots slots(9);
  auto& first = kernel.make("1", slots.worker('1', 5), {.weight = 2, .slice = ticks(2 * kUnit)});
  auto& second = kernel.make("2", slots.worker('2', 4), {.weight = 2, .slice = ticks(kUnit)});
  kernel.boot([&] {
    kernel.cpu(0).policy().set_quantum(ticks(10 * kUnit));
    kernel.spawn(first);
    kernel.spawn(second);
  });
  ASSERT_EQ(kernel.run(), End::quiet);
  EXPECT_EQ(slots.text(), "211221121");
}

}  // namespace
}  // namespace sched::test
