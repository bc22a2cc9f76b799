// What only assembly can see of a switch on x86_64: the contents of registers. Each function is
// naked, so that every register is its own. For kernel_demo/registers.h.

#ifndef BATON_KERNEL_DEMO_X86_64_REGISTERS_H_
#define BATON_KERNEL_DEMO_X86_64_REGISTERS_H_

#include <cstddef>
#include <cstdint>

namespace demo {

inline constexpr const char* kArchitecture = "x86_64";

/// rax, rbx, rcx, rdx, rsi, rbp, r8 to r15, flags: all that a new task does not get on purpose.
inline constexpr size_t kNewRegisters = 14;

/// Gives rax to r15 (but rsp) `seed` + 1, 2, …, counts `spins` down to zero in memory, and returns
/// zero if all of them still hold what they were given.
[[gnu::naked]] inline uint64_t hold_registers(uint64_t seed [[maybe_unused]],
                                              uint64_t spins [[maybe_unused]]) {
  asm("push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
      "push %rdi; push %rsi\n"
      ".set k, 1\n"
      ".irp r, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
      "lea k(%rdi), %\\r\n"
      ".set k, k + 1\n"
      ".endr\n"
      "1: decq (%rsp)\n"
      "jnz 1b\n"
      ".set k, 1\n"
      ".irp r, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
      "sub %rdi, %\\r\n"
      "sub $k, %\\r\n"
      ".set k, k + 1\n"
      ".endr\n"
      ".irp r, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
      "or %\\r, %rax\n"
      ".endr\n"
      "pop %rsi\n"
      "pop %rsi\n"
      "sub %rdi, %rsi\n"
      "or %rsi, %rax\n"
      "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
      "ret");
}

/// Gives the registers that a call preserves `seed` + 1, 2, …, calls `function`, and returns zero
/// if they still hold that.
[[gnu::naked]] inline uint64_t hold_preserved(uint64_t seed [[maybe_unused]],
                                              void (*function [[maybe_unused]])()) {
  asm("push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
      "push %rdi\n"
      ".set k, 1\n"
      ".irp r, rbx, rbp, r12, r13, r14, r15\n"
      "lea k(%rdi), %\\r\n"
      ".set k, k + 1\n"
      ".endr\n"
      "call *%rsi\n"
      "pop %rdi\n"
      "xor %eax, %eax\n"
      ".set k, 1\n"
      ".irp r, rbx, rbp, r12, r13, r14, r15\n"
      "sub %rdi, %\\r\n"
      "sub $k, %\\r\n"
      "or %\\r, %rax\n"
      ".set k, k + 1\n"
      ".endr\n"
      "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
      "ret");
}

/// The entry of a context: stores what it finds in `kNewRegisters` registers to `record[1]` and up,
/// then calls the function at `record[0]` with `record`.
[[gnu::naked]] inline void record_registers(void* record [[maybe_unused]]) {
  // rax held the address of this very function, and may be used.
  asm(".set k, 8\n"
      ".irp r, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
      "mov %\\r, k(%rdi)\n"
      ".set k, k + 8\n"
      ".endr\n"
      "pushfq\n"
      "pop %rax\n"
      "and $0x8d5, %eax\n"  // the arithmetic flags
      "and $~0x44, %eax\n"  // ZF and PF: the last zeroing sets them
      "mov %rax, k(%rdi)\n"
      "sub $8, %rsp\n"  // as a caller's stack pointer must be
      "call *(%rdi)\n"
      "ud2");
}

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_X86_64_REGISTERS_H_
