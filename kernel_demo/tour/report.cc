// Plain text with box characters: the same on a terminal and in a log.

#include "kernel_demo/tour/report.h"

#include <array>
#include <cstddef>

#include "kernel_demo/kit.h"
#include "kernel_demo/machine.h"
#include "kernel_demo/registers.h"
#include "kernel_demo/stacks.h"
#include "kernel_demo/text.h"

namespace demo::tour {
namespace {

constexpr size_t kWidth = 78;

struct Played {
  const Act* act = nullptr;
  const char* policy = nullptr;
  bool kept = false;
};

constinit std::array<Played, 24> played{};
constinit size_t count = 0;
constinit Instant began;

}  // namespace

void begin() {
  kit::print(
      "\n  Baton, the scheduler that any kernel can depend on: a tour in a small kernel.\n"
      "  One {} CPU; {} tasks with {} KiB of stack each, all static: nothing allocates.\n",
      kArchitecture, kStacks, kStackSize / 1024);
}

void play(const char* policy, std::span<const Act> acts) {
  if (began == Instant{}) began = Machine::now();
  for (const Act& act : acts) {
    if (count == played.size()) kit::panic("the tour has more acts than its table", nullptr);
    const Text number("{}", count + 1);
    const size_t used = 7 + std::string_view(number).size() + std::string_view(act.title).size() +
                        std::string_view(policy).size();
    kit::print("\n━━ {} {} {} {} ━\n\n", number, act.title,
               kit::Repeat{"━", used < kWidth ? kWidth - used : 1}, policy);
    const bool kept = act.run();
    kit::print("\n  {} {}\n", kept ? "✓" : "✗ BROKEN:", act.promise);
    played[count++] = {.act = &act, .policy = policy, .kept = kept};
  }
}

void finish() {
  size_t kept = 0;
  kit::print("\n━━ What was seen {}\n\n", kit::Repeat{"━", kWidth - 17});
  for (size_t i = 0; i < count; ++i) {
    const Played& each = played[i];
    kept += each.kept;
    kit::print("  {} {:>2}  {:<34} {}\n", each.kept ? "✓" : "✗", i + 1, each.act->title,
               each.act->promise);
  }
  kit::print("\n  {} of {} promises kept, in {} of the machine's time.\n", kept, count,
             to_text(Machine::now() - began));
  kit::print("  Next: run=threads policy=eevdf, run=selftest, run=shell.\n");
  kit::finish(kept == count);
}

}  // namespace demo::tour
