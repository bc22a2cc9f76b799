// `hal/native.h` where the target is aarch64; see hal/BUILD.

#ifndef BATON_HAL_AARCH64_NATIVE_H_
#define BATON_HAL_AARCH64_NATIVE_H_

#include "hal/aarch64/machine.h"

namespace hal {

/// The machine that is being compiled for, with the board that QEMU emulates.
using Native = aarch64::Machine<>;

}  // namespace hal

#endif  // BATON_HAL_AARCH64_NATIVE_H_
