// What only assembly can see of a switch on aarch64: the contents of registers. Each function is
// naked, so that every register is its own. For kernel_demo/registers.h.

#ifndef BATON_KERNEL_DEMO_AARCH64_REGISTERS_H_
#define BATON_KERNEL_DEMO_AARCH64_REGISTERS_H_

#include <cstddef>
#include <cstdint>

namespace demo {

inline constexpr const char* kArchitecture = "aarch64";

/// x1 to x15, x17 to x30, flags: all that a new task does not get on purpose.
inline constexpr size_t kNewRegisters = 30;

/// Gives x1 to x29 `seed` + 1, 2, …, counts `spins` down to zero in memory by way of x30, and
/// returns zero if all of them still hold what they were given.
[[gnu::naked]] inline uint64_t hold_registers(uint64_t seed [[maybe_unused]],
                                              uint64_t spins [[maybe_unused]]) {
  asm("stp x19, x20, [sp, #-112]!\n"
      "stp x21, x22, [sp, #16]\n"
      "stp x23, x24, [sp, #32]\n"
      "stp x25, x26, [sp, #48]\n"
      "stp x27, x28, [sp, #64]\n"
      "stp x29, x30, [sp, #80]\n"
      "stp x0, x1, [sp, #96]\n"
      ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29\n"
      "add x\\n, x0, #\\n\n"
      ".endr\n"
      "1: ldr x30, [sp, #104]\n"
      "subs x30, x30, #1\n"
      "str x30, [sp, #104]\n"
      "b.ne 1b\n"
      ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29\n"
      "sub x\\n, x\\n, x0\n"
      "sub x\\n, x\\n, #\\n\n"
      "orr x30, x30, x\\n\n"
      ".endr\n"
      "ldr x1, [sp, #96]\n"
      "eor x0, x0, x1\n"
      "orr x0, x0, x30\n"
      "ldp x21, x22, [sp, #16]\n"
      "ldp x23, x24, [sp, #32]\n"
      "ldp x25, x26, [sp, #48]\n"
      "ldp x27, x28, [sp, #64]\n"
      "ldp x29, x30, [sp, #80]\n"
      "ldp x19, x20, [sp], #112\n"
      "ret");
}

/// Gives the registers that a call preserves `seed` + 19, 20, …, calls `function`, and returns zero
/// if they still hold that.
[[gnu::naked]] inline uint64_t hold_preserved(uint64_t seed [[maybe_unused]],
                                              void (*function [[maybe_unused]])()) {
  asm("stp x19, x20, [sp, #-112]!\n"
      "stp x21, x22, [sp, #16]\n"
      "stp x23, x24, [sp, #32]\n"
      "stp x25, x26, [sp, #48]\n"
      "stp x27, x28, [sp, #64]\n"
      "stp x29, x30, [sp, #80]\n"
      "str x0, [sp, #96]\n"
      ".irp n, 19,20,21,22,23,24,25,26,27,28,29\n"
      "add x\\n, x0, #\\n\n"
      ".endr\n"
      "blr x1\n"
      "ldr x1, [sp, #96]\n"
      "mov x0, #0\n"
      ".irp n, 19,20,21,22,23,24,25,26,27,28,29\n"
      "sub x\\n, x\\n, x1\n"
      "sub x\\n, x\\n, #\\n\n"
      "orr x0, x0, x\\n\n"
      ".endr\n"
      "ldp x21, x22, [sp, #16]\n"
      "ldp x23, x24, [sp, #32]\n"
      "ldp x25, x26, [sp, #48]\n"
      "ldp x27, x28, [sp, #64]\n"
      "ldp x29, x30, [sp, #80]\n"
      "ldp x19, x20, [sp], #112\n"
      "ret");
}

/// The entry of a context: stores what it finds in `kNewRegisters` registers to `record[1]` and up,
/// then calls the function at `record[0]` with `record`.
[[gnu::naked]] inline void record_registers(void* record [[maybe_unused]]) {
  // x16 held the address of this very function, and may be used.
  asm(".set k, 8\n"
      ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28,29,30\n"
      "str x\\n, [x0, #k]\n"
      ".set k, k + 8\n"
      ".endr\n"
      "mrs x16, nzcv\n"
      "str x16, [x0, #k]\n"
      "ldr x16, [x0]\n"
      "blr x16\n"
      "brk #1");
}

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_AARCH64_REGISTERS_H_
