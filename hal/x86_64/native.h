// `hal/native.h` where the target is x86_64; see hal/BUILD.

#ifndef BATON_HAL_X86_64_NATIVE_H_
#define BATON_HAL_X86_64_NATIVE_H_

#include "hal/x86_64/machine.h"

namespace hal {

/// The machine that is being compiled for, with the board that QEMU emulates.
using Native = x86_64::Machine<>;

}  // namespace hal

#endif  // BATON_HAL_X86_64_NATIVE_H_
