// `hal/native_user.h` where the target is aarch64; see hal/BUILD.

#ifndef BATON_HAL_AARCH64_NATIVE_USER_H_
#define BATON_HAL_AARCH64_NATIVE_USER_H_

#include "hal/aarch64/user.h"

namespace hal {

using UserFrame = aarch64::UserFrame;
using UserMode = aarch64::UserMode;
static_assert(HasUserMode<UserMode>);

}  // namespace hal

#endif  // BATON_HAL_AARCH64_NATIVE_USER_H_
