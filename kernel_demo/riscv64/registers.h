// What only assembly can see of a switch on riscv64: the contents of registers. Each function is
// naked, so that every register is its own. For kernel_demo/registers.h.

#ifndef BATON_KERNEL_DEMO_RISCV64_REGISTERS_H_
#define BATON_KERNEL_DEMO_RISCV64_REGISTERS_H_

#include <cstddef>
#include <cstdint>

namespace demo {

inline constexpr const char* kArchitecture = "riscv64";

/// ra, t1 to t6, s0 to s11, a1 to a7: all that a new task does not get on purpose.
inline constexpr size_t kNewRegisters = 26;

/// Gives every register but sp, gp, tp and t6 `seed` + 1, 2, …, counts `spins` down to zero in
/// memory by way of t6, and returns zero if all of them still hold what they were given.
[[gnu::naked]] inline uint64_t hold_registers(uint64_t seed [[maybe_unused]],
                                              uint64_t spins [[maybe_unused]]) {
  asm("addi sp, sp, -128\n"
      ".set k, 0\n"
      ".irp r, ra,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11,a0,a1\n"
      "sd \\r, k(sp)\n"
      ".set k, k + 8\n"
      ".endr\n"
      ".set k, 1\n"
      ".irp r, ra,t0,t1,t2,t3,t4,t5,a1,a2,a3,a4,a5,a6,a7,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
      "addi \\r, a0, k\n"
      ".set k, k + 1\n"
      ".endr\n"
      "1: ld t6, 112(sp)\n"
      "addi t6, t6, -1\n"
      "sd t6, 112(sp)\n"
      "bnez t6, 1b\n"
      ".set k, 1\n"
      ".irp r, ra,t0,t1,t2,t3,t4,t5,a1,a2,a3,a4,a5,a6,a7,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
      "sub \\r, \\r, a0\n"
      "addi \\r, \\r, -k\n"
      "or t6, t6, \\r\n"
      ".set k, k + 1\n"
      ".endr\n"
      "ld a1, 104(sp)\n"
      "xor a0, a0, a1\n"
      "or a0, a0, t6\n"
      ".set k, 0\n"
      ".irp r, ra,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
      "ld \\r, k(sp)\n"
      ".set k, k + 8\n"
      ".endr\n"
      "addi sp, sp, 128\n"
      "ret");
}

/// Gives the registers that a call preserves `seed` + 1, 2, …, calls `function`, and returns zero
/// if they still hold that.
[[gnu::naked]] inline uint64_t hold_preserved(uint64_t seed [[maybe_unused]],
                                              void (*function [[maybe_unused]])()) {
  asm("addi sp, sp, -112\n"
      ".set k, 0\n"
      ".irp r, ra,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11,a0\n"
      "sd \\r, k(sp)\n"
      ".set k, k + 8\n"
      ".endr\n"
      ".set k, 1\n"
      ".irp r, s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
      "addi \\r, a0, k\n"
      ".set k, k + 1\n"
      ".endr\n"
      "jalr a1\n"
      "ld a1, 104(sp)\n"
      "li a0, 0\n"
      ".set k, 1\n"
      ".irp r, s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
      "sub \\r, \\r, a1\n"
      "addi \\r, \\r, -k\n"
      "or a0, a0, \\r\n"
      ".set k, k + 1\n"
      ".endr\n"
      ".set k, 0\n"
      ".irp r, ra,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
      "ld \\r, k(sp)\n"
      ".set k, k + 8\n"
      ".endr\n"
      "addi sp, sp, 112\n"
      "ret");
}

/// The entry of a context: stores what it finds in `kNewRegisters` registers to `record[1]` and up,
/// then calls the function at `record[0]` with `record`.
[[gnu::naked]] inline void record_registers(void* record [[maybe_unused]]) {
  // t0 held the address of this very function, and may be used.
  asm(".set k, 8\n"
      ".irp r, ra,t1,t2,t3,t4,t5,t6,a1,a2,a3,a4,a5,a6,a7,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
      "sd \\r, k(a0)\n"
      ".set k, k + 8\n"
      ".endr\n"
      "ld t0, 0(a0)\n"
      "jalr t0\n"
      "unimp");
}

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_RISCV64_REGISTERS_H_
