// `hal/native_user.h` where the target is riscv64; see hal/BUILD.

#ifndef BATON_HAL_RISCV64_NATIVE_USER_H_
#define BATON_HAL_RISCV64_NATIVE_USER_H_

#include "hal/riscv64/user.h"

namespace hal {

using UserFrame = riscv64::UserFrame;
using UserMode = riscv64::UserMode;
static_assert(HasUserMode<UserMode>);

}  // namespace hal

#endif  // BATON_HAL_RISCV64_NATIVE_USER_H_
