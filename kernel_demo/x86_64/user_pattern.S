// kernel_demo/x86_64/user_pattern.h. It spins on straight-line code: a loop would need a register
// or a flag that is then not held.

  .set FLAGS, 256
  .set SP_BEFORE, 264
  .set SP_AFTER, 272
  .set FPU, 288

  .macro spin
  .rept 4096
  nop
  .endr
  .endm
  .macro call_kernel
  int $0x80
  .endm

  .macro hold name, middle, fpu
  .section .text.\name, "ax", @progbits
  .globl \name
  .type \name, @function
\name:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  push %rsi
  mov %rsp, SP_BEFORE(%rsi)
  .if \fpu
  fxrstor64 FPU(%rdi)
  .endif
  pushq FLAGS(%rdi)
  popfq
  .set k, 0
  .irp r, rax, rbx, rcx, rdx, rsi, none, rbp, r8, r9, r10, r11, r12, r13, r14, r15
  .ifnc \r, none
  mov k(%rdi), %\r
  .endif
  .set k, k + 8
  .endr
  mov 40(%rdi), %rdi
  \middle
  pushfq
  push %rdi
  mov 16(%rsp), %rdi
  .set k, 0
  .irp r, rax, rbx, rcx, rdx, rsi, none, rbp, r8, r9, r10, r11, r12, r13, r14, r15
  .ifnc \r, none
  mov %\r, k(%rdi)
  .endif
  .set k, k + 8
  .endr
  popq 40(%rdi)
  popq FLAGS(%rdi)
  mov %rsp, SP_AFTER(%rdi)
  .if \fpu
  fxsave64 FPU(%rdi)
  .endif
  cld
  pop %rsi
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
  .size \name, . - \name
  .endm

  hold user_hold, spin, 0
  hold user_hold_with_fpu, spin, 1
  hold user_hold_in_call, call_kernel, 0
  hold user_hold_in_call_with_fpu, call_kernel, 1

  .section .text.user_look_at_fpu, "ax", @progbits
  .globl user_look_at_fpu
  .type user_look_at_fpu, @function
user_look_at_fpu:
  fxsave64 FPU(%rdi)
  ret
  .size user_look_at_fpu, . - user_look_at_fpu

  .section .note.GNU-stack, "", @progbits
