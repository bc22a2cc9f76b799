// One image, many schedulers: which of them the interrupts belong to, and how to go from one to the
// next.
//
// A scheduler is a type, so the demo has one a policy, and one CPU to run them on. The *stage* is
// the scheduler that has the CPU. Going on to another one abandons the tasks of the first where
// they stand; the new one's idle task begins on a stack that nobody uses.

#ifndef BATON_KERNEL_DEMO_STAGE_H_
#define BATON_KERNEL_DEMO_STAGE_H_

#include <cstddef>
#include <cstdint>

#include "kernel_demo/machine.h"

namespace demo {

/// What interrupts and diagnoses ask of the scheduler on the stage. `Kernel` (kernel.h) fills it
/// in.
struct Stage {
  bool (*interrupt)(uintptr_t source);
  void (*preempt)();
  const char* (*name_of_context)(const hal::Native::Context* context);
  const char* (*name_of_stack)(size_t index);
  const char* (*name_of_current)();
  void (*print_tasks)();
};

/// `stage` has the CPU from here on. Masked.
void set_stage(const Stage& stage);

/// Leaves the CPU to nobody and begins anew at `entry`, on the stage's stack. From a task or at
/// boot; interrupts that come before `entry` has set a stage are swallowed.
[[noreturn]] void leave_stage(void (*entry)());

/// Gives the kit what it wants to know in a panic. Once, at boot.
void prepare_diagnosis();

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_STAGE_H_
