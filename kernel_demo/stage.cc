// The two functions of hal/interrupt.h, and this kernel's part of a panic's diagnosis.

#include "kernel_demo/stage.h"

#include <algorithm>
#include <utility>

#include "hal/interrupt.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/stacks.h"
#include "kernel_demo/text.h"

namespace demo {
namespace {

constinit const Stage* stage = nullptr;

void print_decisions() {
  for (size_t cpu = 0; cpu < kCpus; ++cpu) {
    const Decisions& all = decisions[cpu];
    if (all.made() == 0) continue;
    const size_t kept = std::min<size_t>(all.made(), Decisions::kKept);
    kit::print("last {} of {} scheduling decisions on CPU {}, the latest last:\n", kept, all.made(),
               cpu);
    for (size_t age = kept; age-- > 0;) {
      const Decision& decision = all.last(age);
      kit::print("  {:>16}  {:>12} -> {}\n",
                 to_text(Duration{decision.when.ticks}, Unit::microseconds),
                 stage->name_of_context(decision.from), stage->name_of_context(decision.to));
    }
  }
}

void speak_in_panic() {
  if (stage == nullptr) return;
  print_decisions();
  stage->print_tasks();
}

const char* name_of_guard(uintptr_t address) {
  const auto index = stack_guarded_at(address);
  if (!index) return nullptr;
  if (*index == kStacks) return "idle";
  return stage == nullptr ? nullptr : stage->name_of_stack(*index);
}

const char* name_of_task() { return stage == nullptr ? nullptr : stage->name_of_current(); }

// Between two stages: nobody wants to know.
bool swallow(uintptr_t source) {
  const hal::Interrupt interrupt = Machine::acknowledge(source);
  if (interrupt.cause == hal::Cause::timer) Machine::arm(hal::never);
  if (interrupt.cause == hal::Cause::device) {
    kit::console_interrupt(interrupt);
    Machine::complete(interrupt);
  }
  return false;
}

}  // namespace

void set_stage(const Stage& next) { stage = &next; }

void leave_stage(void (*entry)()) {
  Machine::mask();
  stage = nullptr;
  for (Decisions& each : decisions) each = {};  // their contexts will be others' soon
  Machine::Context left;
  Machine::Context next = Machine::make_context(
      stage_stack(), [](void* to) { reinterpret_cast<void (*)()>(to)(); },
      reinterpret_cast<void*>(entry));
  hal::Native::switch_to<0>(&left, &next);
  std::unreachable();
}

void prepare_diagnosis() {
  kit::on_panic = speak_in_panic;
  kit::name_of_guard = name_of_guard;
  kit::name_of_task = name_of_task;
}

}  // namespace demo

bool baton_interrupt(uintptr_t source) {
  return demo::stage == nullptr ? demo::swallow(source) : demo::stage->interrupt(source);
}

void baton_preempt() { demo::stage->preempt(); }
