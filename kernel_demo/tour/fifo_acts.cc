// Acts that need no preemption: cooperation, order, the end of a task, and what is refused.

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

using Kernel = demo::Kernel<sched::Fifo>;
using S = Kernel::S;

Duration own_run() { return S::usage(S::current()).run; }

bool ping_pong() {
  static constexpr const char* kSides[] = {"ping ", "pong "};
  static constinit uint64_t yields = 0;
  static constinit char last = 0;
  static constinit bool alternates = true;
  constexpr uint64_t kSpoken = 6;
  constexpr uint64_t kAll = 1'000;
  const uint64_t before = Kernel::finished();
  kit::print("  ");
  for (const char* const& side : kSides) {
    Kernel::spawn(side,
                  [](void* own) {
                    const char* const says = *static_cast<const char* const*>(own);
                    for (uint64_t i = 0; i < kAll; ++i) {
                      if (i < kSpoken) kit::print("{}", says);
                      alternates &= says[1] != last;
                      last = says[1];
                      ++yields;
                      S::yield();
                    }
                  },
                  const_cast<const char**>(&side), {});
  }
  Kernel::wait_for_finished(before + 2);
  kit::print("…\n  {} yields, and never the same task twice in a row.\n", yields);
  return alternates && yields == 2 * kAll;
}

bool in_order() {
  static constinit Timeline timeline;
  static constinit std::array<char, 4> finished{};
  static constinit size_t count = 0;
  static constexpr std::array<const char*, Timeline::kLanes> kNames = {"first", "second", "third",
                                                                       "fourth"};
  count = 0;
  const uint64_t before = Kernel::finished();
  timeline.begin(microseconds(500));
  for (uintptr_t lane = 0; lane < kNames.size(); ++lane) {
    Kernel::spawn(kNames[lane],
                  [](void* own) {
                    const auto number = reinterpret_cast<uintptr_t>(own);
                    timeline.work(number, own_run, microseconds(3'000 + 3'000 * number));
                    finished[count++] = static_cast<char>('1' + number);
                  },
                  reinterpret_cast<void*>(lane), {});
  }
  Kernel::wait_for_finished(before + kNames.size());
  timeline.print(kNames, kNames.size());
  return std::string_view(finished.data(), count) == "1234";
}

bool one_stack_for_all() {
  static constinit uint64_t ran = 0;
  constexpr uint64_t kTasks = 500;
  ran = 0;
  bool clean = true;
  bool same = true;
  size_t index = kStacks;
  const uint64_t before = Kernel::finished();
  for (uint64_t i = 0; i < kTasks; ++i) {
    Kernel::Task* const task = Kernel::spawn("mayfly", [](void*) { ++ran; }, nullptr, {});
    if (i == 0) index = Kernel::stack_of(*task);
    same &= Kernel::stack_of(*task) == index;
    Kernel::wait_for_finished(before + i + 1);
    clean &= is_poisoned(index, kStackSize - sizeof(uintptr_t));
  }
  const std::byte* const low = stack(index).data();
  kit::print("  {} tasks lived and died on stack {}.\n", ran, index);
  kit::print("  Between two of them it holds nothing but poison: {:02x} {:02x} {:02x} {:02x} …\n",
             static_cast<unsigned>(low[8]), static_cast<unsigned>(low[9]),
             static_cast<unsigned>(low[10]), static_cast<unsigned>(low[11]));
  kit::print("  A task that had still used it would have returned to {:#x}.\n",
             uint64_t{0xdbdb'dbdb'dbdb'dbdb});
  return clean && same && ran == kTasks;
}

bool misuse() {
  static constinit std::array<std::byte, 2048> enough{};
  static constinit std::array<std::byte, 64> small{};
  static constinit Kernel::Task fresh{"fresh"};
  const auto nothing = [](void*) {};
  const uint64_t before = Kernel::finished();
  Kernel::Task* const task = Kernel::spawn("parked", [](void*) { S::park(); }, nullptr, {});

  bool all = true;
  const auto show = [&all](const char* what, std::expected<void, sched::SpawnError> result,
                           sched::SpawnError expected) {
    const bool refused = !result && result.error() == expected;
    all &= refused;
    kit::print("  {:<36} {}\n", what, result ? "done!" : to_string(result.error()));
  };
  show("spawn of a task that lives", S::spawn(*task, enough, nothing, nullptr, {}),
       sched::SpawnError::already_spawned);
  show("spawn on a stack of 64 bytes", S::spawn(fresh, small, nothing, nullptr, {}),
       sched::SpawnError::stack_too_small);
  show("spawn on CPU 7", S::spawn_on(7, fresh, enough, nothing, nullptr, {}),
       sched::SpawnError::cpu_not_started);

  S::wake(*task);
  Kernel::wait_for_finished(before + 1);
  const uint64_t stale = S::usage(Kernel::cpu()).stale;
  S::wake(*task);
  S::kill(*task);
  const uint64_t counted = S::usage(Kernel::cpu()).stale - stale;
  kit::print("  {:<36} ignored, and counted: {}\n", "wake and kill of a finished task", counted);
  kit::print("  {:<36} stop with a diagnosis: try `crash` in run=shell\n",
             "stack overflow, a corrupted link");
  return all && counted == 2 && S::state(fresh) == sched::State::fresh;
}

constexpr Act kActs[] = {
    {"Cooperation", "tasks that yield take turns", ping_pong},
    {"Order of arrival", "who came first runs first, and to its end", in_order},
    {"The end of a task", "its stack is free once the sink has it", one_stack_for_all},
    {"Misuse", "what must not be is refused, and said", misuse},
};

}  // namespace

void play_fifo() { play("fifo", kActs); }

}  // namespace demo::tour
