// An act of change: one policy takes over from another while its tasks run.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "kernel_demo/kernel.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"
#include "kernel_demo/tour/timeline.h"

namespace demo::tour {
namespace {

using P = Exchangeable;
using Kernel = demo::Kernel<P>;
using S = Kernel::S;

constinit Timeline timeline;

using Traits = PolicyTraits<P>;

constexpr std::array<const char*, Timeline::kLanes> kNames = {"one", "two", "four", nullptr};
constexpr size_t kThree = 3;

constexpr PolicyName kOrder[] = {PolicyName::round_robin, PolicyName::stride,
                                 PolicyName::fixed_priority};

constinit std::array<Kernel::Task*, kThree> tasks{};
constinit std::array<std::array<Duration, kThree>, std::size(kOrder)> used{};  // by the end of each
constinit size_t part = 0;
constinit Instant part_end;

void exchange(PolicyName name) {
  S::adjust([name](P& policy, Instant now) {
    Traits::exchange(policy, static_cast<size_t>(name), now, milliseconds(1));
  });
}

// Computes; whoever sees that a part of the picture is over begins the next.
void compute(void* lane) {
  while (!timeline.is_full()) {
    timeline.mark(reinterpret_cast<uintptr_t>(lane));
    if (S::now() < part_end) continue;
    const S::NoPreempt guard;
    if (part == std::size(kOrder) || S::now() < part_end) continue;
    for (size_t i = 0; i < kThree; ++i) used[part][i] = S::usage(*tasks[i]).run;
    ++part;
    part_end = part_end + milliseconds(20);
    if (part < std::size(kOrder)) exchange(kOrder[part]);
  }
}

bool takes_over() {
  const uint64_t before = Kernel::finished();
  part = 0;
  exchange(kOrder[0]);
  {
    const S::NoPreempt guard;
    for (size_t i = 0; i < kThree; ++i) {
      P::Attributes attributes = Traits::attributes(0, milliseconds(2));
      Traits::set(attributes, static_cast<size_t>(PolicyName::stride),
                  (1u << i) * sched::kNormalWeight);
      Traits::set(attributes, static_cast<size_t>(PolicyName::fixed_priority),
                  static_cast<unsigned>(10 * (i + 1)));
      tasks[i] = Kernel::spawn(kNames[i], compute, reinterpret_cast<void*>(i), attributes);
    }
    timeline.begin(milliseconds(1));
    part_end = S::now() + milliseconds(20);
  }
  Kernel::wait_for_finished(before + kThree);
  timeline.print(kNames, kThree);
  kit::print("            round_robin         stride              fixed_priority\n\n");

  const auto ran = [](size_t in, size_t task) {
    const Duration earlier = in == 0 ? Duration{} : used[in - 1][task];
    return Duration{used[in][task].ticks - earlier.ticks};
  };
  for (size_t i = 0; i < kThree; ++i) {
    kit::print("  {:<9} {:<19} {:<19} {}\n", kNames[i], to_text(ran(0, i)), to_text(ran(1, i)),
               to_text(ran(2, i)));
  }
  const Duration most = milliseconds(2);
  const auto is_near = [&](Duration length, uint64_t ticks) {
    return (length.ticks > ticks ? length.ticks - ticks : ticks - length.ticks) <= most.ticks;
  };
  bool kept = part == std::size(kOrder);
  for (size_t i = 0; i < kThree; ++i) {
    kept &= is_near(ran(0, i), milliseconds(20).ticks / 3);
    kept &= is_near(ran(1, i), milliseconds(20).ticks * (1u << i) / 7);
    kept &= is_near(ran(2, i), i + 1 == kThree ? milliseconds(20).ticks : 0);
  }
  return kept;
}

constexpr Act kActs[] = {
    {"Another policy", "it takes over while tasks run, and loses none", takes_over},
};

}  // namespace

void play_swap() { play("three policies in turn", kActs); }

}  // namespace demo::tour
