// Whose traps from user mode are: those of the scheduler on the stage, like its interrupts
// (stage.h).

#ifndef BATON_KERNEL_DEMO_USER_TRAP_H_
#define BATON_KERNEL_DEMO_USER_TRAP_H_

#include "hal/native_user.h"

namespace demo {

/// `handle` gets them from here on: masked, on the task's kernel stack; it returns masked, to user
/// mode.
void set_user_trap(void (*handle)(hal::UserFrame& frame));

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_TRAP_H_
