// `hal/native.h` where the target is riscv64; see hal/BUILD.

#ifndef BATON_HAL_RISCV64_NATIVE_H_
#define BATON_HAL_RISCV64_NATIVE_H_

#include "hal/riscv64/machine.h"

namespace hal {

/// The machine that is being compiled for, with the board that QEMU emulates.
using Native = riscv64::Machine<>;

}  // namespace hal

#endif  // BATON_HAL_RISCV64_NATIVE_H_
