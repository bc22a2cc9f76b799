// `hal/native_user.h` where the target is x86_64; see hal/BUILD.

#ifndef BATON_HAL_X86_64_NATIVE_USER_H_
#define BATON_HAL_X86_64_NATIVE_USER_H_

#include "hal/x86_64/user.h"

namespace hal {

using UserFrame = x86_64::UserFrame;
using UserMode = x86_64::UserMode;
static_assert(HasUserMode<UserMode>);

}  // namespace hal

#endif  // BATON_HAL_X86_64_NATIVE_USER_H_
