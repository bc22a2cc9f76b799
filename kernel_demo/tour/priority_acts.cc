// Acts of urgency: who preempts whom, how fast after an interrupt, and how a threshold changes it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/tour/acts.h"
#include "kernel_demo/tour/report.h"
#include "kernel_demo/tour/timeline.h"

namespace demo::tour {
namespace {

constinit Timeline timeline;

constexpr std::array<const char*, Timeline::kLanes> kNames = {"high", "middle", "low", nullptr};

template <typename P>
struct Stairs {
  using Kernel = demo::Kernel<P>;
  using S = typename Kernel::S;
  using Attributes = typename Kernel::Attributes;

  static inline constinit std::array<Attributes, 3> attributes{};
  static inline constinit char order[3] = {};
  static inline constinit size_t finished = 0;

  static Duration own_run() { return S::usage(S::current()).run; }

  static void spawn(size_t lane) {
    Kernel::spawn(kNames[lane], step, reinterpret_cast<void*>(lane), attributes[lane]);
  }

  // Works, lets the next higher one come, and works on.
  static void step(void* argument) {
    const auto lane = reinterpret_cast<uintptr_t>(argument);
    timeline.work(lane, own_run, milliseconds(10));
    if (lane > 0) {
      spawn(lane - 1);
      timeline.work(lane, own_run, milliseconds(10));
    }
    order[finished++] = kNames[lane][0];
  }

  /// Low spawns middle halfway, middle spawns high: the order in which they finish.
  static std::string_view run(const std::array<Attributes, 3>& given) {
    attributes = given;
    finished = 0;
    const uint64_t before = Kernel::finished();
    timeline.begin(milliseconds(1));
    spawn(2);
    Kernel::wait_for_finished(before + 3);
    timeline.print(kNames, 3);
    return {order, finished};
  }
};

bool stairs() {
  return Stairs<sched::FixedPriority>::run(
             {{{.priority = 30}, {.priority = 20}, {.priority = 10}}}) == "hml";
}

bool thresholds() {
  // Middle counts as 40 once it runs.
  const bool kept =
      Stairs<sched::FixedPriorityThreshold>::run(
          {{{.priority = 30}, {.priority = 20, .threshold = 40}, {.priority = 10}}}) == "mhl";
  kit::print("\n  high has priority 30; middle has 20, and a threshold of 40 once it runs.\n");
  return kept;
}

bool interrupts() {
  using Kernel = demo::Kernel<sched::FixedPriority>;
  using S = Kernel::S;
  static constinit Kernel::Task* handler = nullptr;
  static constinit uint64_t handled = 0;
  static constinit Instant raised;
  static constinit Duration least, most, sum;
  constexpr uint64_t kInterrupts = 500;
  handled = 0;
  least = hal::forever;
  const uint64_t before = Kernel::finished();
  handler = Kernel::spawn("handler",
                          [](void*) {
                            while (S::park() == sched::Woken::by_wake) {
                              const Duration took = S::now() - raised;
                              ++handled;
                              sum.ticks += took.ticks;
                              if (took < least) least = took;
                              if (took > most) most = took;
                            }
                          },
                          nullptr, {.priority = 100});
  Kernel::at_kick([] { S::wake(*handler); });
  Kernel::spawn("computer",
                [](void*) {
                  for (uint64_t i = 1; i <= kInterrupts; ++i) {
                    raised = S::now();
                    Machine::kick(0);
                    // Computes on, and never asks for anything: the handler runs all the same.
                    while (handled < i) asm volatile("" : : : "memory");
                  }
                },
                nullptr, {.priority = 10});
  Kernel::wait_for_finished(before + 1);
  Kernel::at_kick(nullptr);
  S::kill(*handler);
  Kernel::wait_for_finished(before + 2);
  kit::print(
      "  {} interrupts, each wakes a task: it runs {} after the interrupt was raised\n"
      "  (least {}, most {}), before the computing task goes on.\n",
      handled, to_text(Duration{sum.ticks / handled}), to_text(least), to_text(most));
  return handled == kInterrupts;
}

bool attributes_refused() {
  using Kernel = demo::Kernel<sched::FixedPriority>;
  using S = Kernel::S;
  static constinit std::array<char, 8> log{};
  static constinit size_t size = 0;
  size = 0;
  const uint64_t before = Kernel::finished();
  static constinit Kernel::Task* low = nullptr;
  low = Kernel::spawn("low", [](void*) { log[size++] = 'l'; }, nullptr, {.priority = 10});
  Kernel::spawn("middle",
                [](void*) {
                  log[size++] = 'm';
                  S::retune(*low, {.priority = 30});
                  log[size++] = 'M';
                },
                nullptr, {.priority = 20});
  const bool refused = !S::retune(*low, {.priority = 300});
  Kernel::wait_for_finished(before + 2);
  kit::print(
      "  middle (20) gave low (10) a priority of 30: low ran at once, before middle went on.\n"
      "  A priority of 300 was {}.\n",
      refused ? "refused" : "ACCEPTED");
  return refused && std::string_view(log.data(), size) == "mlM";
}

constexpr Act kPriorityActs[] = {
    {"Fixed priorities", "the most urgent runs, at once", stairs},
    {"New attributes", "they count from the moment they are given", attributes_refused},
    {"Interrupts", "a task woken in one runs when it ends", interrupts},
};

constexpr Act kThresholdActs[] = {
    {"Preemption threshold", "only what is above it preempts", thresholds},
};

}  // namespace

void play_fixed_priority() { play("fixed priorities", kPriorityActs); }

void play_thresholds() { play("fixed priorities with thresholds", kThresholdActs); }

}  // namespace demo::tour
