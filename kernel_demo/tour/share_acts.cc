// Acts of fairness: shares that follow weights, whatever the length of turns.

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/table.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"
#include "kernel_demo/tour/timeline.h"

namespace demo::tour {
namespace {

using Kernel = demo::Kernel<sched::Eevdf>;
using S = Kernel::S;
using Attributes = Kernel::Attributes;

constinit Timeline timeline;

constexpr size_t kThree = 3;
constexpr std::array<const char*, Timeline::kLanes> kNames = {"one", "two", "four", nullptr};

constinit std::array<Row, kThree> rows{};

// Keeps the CPU until the picture is full. What each has used by then is written down by the first
// who sees it, so that all are measured at the same instant.
void never_yield(void* lane) {
  while (!timeline.is_full()) timeline.mark(reinterpret_cast<uintptr_t>(lane));
}

std::array<Row, kThree> run_three(const std::array<Attributes, kThree>& attributes) {
  const uint64_t before = Kernel::finished();
  std::array<Kernel::Task*, kThree> tasks;
  {
    const S::NoPreempt guard;
    for (size_t i = 0; i < kThree; ++i) {
      tasks[i] = Kernel::spawn(kNames[i], never_yield, reinterpret_cast<void*>(i), attributes[i]);
    }
    timeline.begin(milliseconds(1));
  }
  Kernel::wait_for_finished(before + kThree);
  for (size_t i = 0; i < kThree; ++i) rows[i] = row_of<Kernel>(*tasks[i]);
  return rows;
}

// Whether the shares are as one to two to four, but for `slice` of each task's 60 ms.
bool is_one_two_four(const std::array<Row, kThree>& rows, Duration slice) {
  const Duration total = total_run(rows);
  for (size_t i = 0; i < kThree; ++i) {
    const uint64_t due = (total.ticks << i) / 7;
    const uint64_t run = rows[i].usage.run.ticks;
    if ((run > due ? run - due : due - run) > slice.ticks) return false;
  }
  return true;
}

bool weights() {
  const Duration slice = milliseconds(2);
  const auto result = run_three({{{.weight = 1024, .slice = slice},
                                  {.weight = 2048, .slice = slice},
                                  {.weight = 4096, .slice = slice}}});
  timeline.print(kNames, kThree);
  kit::print("\n");
  print_chart(result);
  return is_one_two_four(result, slice);
}

bool slices() {
  const Duration longest = milliseconds(6);
  const auto result = run_three({{{.weight = 1024, .slice = longest},
                                  {.weight = 2048, .slice = milliseconds(1)},
                                  {.weight = 4096, .slice = milliseconds(3)}}});
  timeline.print(kNames, kThree);
  kit::print("\n");
  print_chart(result);
  kit::print(
      "\n  Turns of 6, 1 and 3 ms: who asks for less at a time is served sooner, not more.\n");
  return is_one_two_four(result, longest);
}

constexpr Act kActs[] = {
    {"Shares by weight", "twice the weight, twice the CPU", weights},
    {"Latency apart from share", "shorter turns, the same share", slices},
};

}  // namespace

void play_eevdf() { play("eevdf", kActs); }

}  // namespace demo::tour
