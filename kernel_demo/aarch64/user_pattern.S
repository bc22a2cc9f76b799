// kernel_demo/aarch64/user_pattern.h. It spins on straight-line code: a loop would need a register
// that is then not held.

  .arch_extension fp
  .arch_extension simd

  .set FLAGS, 256
  .set SP_BEFORE, 264
  .set SP_AFTER, 272
  .set FPU, 288

  // x0 and x1 come last where they are loaded, as the base is one of them.
  .macro each_general action, base
  .irp n, 2,4,6,8,10,12,14,16,18,20,22,24,26,28
  pair \action, \n, \base
  .endr
  .endm
  .altmacro
  .macro pair action, n, base
  pair_of \action, \n, %(\n + 1), \base
  .endm
  .macro pair_of action, n, m, base
  \action x\n, x\m, [\base, #8*\n]
  .endm
  .macro each_fpu action, base
  .irp n, 0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
  fpu_pair \action, \n, \base
  .endr
  .endm
  .macro fpu_pair action, n, base
  fpu_pair_of \action, \n, %(\n + 1), \base
  .endm
  .macro fpu_pair_of action, n, m, base
  \action q\n, q\m, [\base, #FPU+16*\n]
  .endm

  .macro spin
  .rept 4096
  nop
  .endr
  .endm
  .macro call_kernel
  svc #0
  .endm

  .macro hold name, middle, fpu
  .section .text.\name, "ax", @progbits
  .globl \name
  .type \name, @function
\name:
  stp x29, x30, [sp, #-112]!
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64]
  stp x27, x28, [sp, #80]
  str x1, [sp, #96]
  mov x2, sp
  str x2, [x1, #SP_BEFORE]
  .if \fpu
  each_fpu ldp, x0
  add x1, x0, #FPU+512
  ldp x2, x3, [x1]
  msr fpcr, x2
  msr fpsr, x3
  .endif
  ldr x1, [x0, #FLAGS]
  msr nzcv, x1
  each_general ldp, x0
  ldr x30, [x0, #240]
  ldp x0, x1, [x0]
  \middle
  stp x0, x1, [sp, #-16]!
  ldr x0, [sp, #112]
  each_general stp, x0
  str x30, [x0, #240]
  mrs x1, nzcv
  str x1, [x0, #FLAGS]
  ldp x1, x2, [sp], #16
  stp x1, x2, [x0]
  mov x1, sp
  str x1, [x0, #SP_AFTER]
  .if \fpu
  each_fpu stp, x0
  add x1, x0, #FPU+512
  mrs x2, fpcr
  mrs x3, fpsr
  stp x2, x3, [x1]
  .endif
  ldp x19, x20, [sp, #16]
  ldp x21, x22, [sp, #32]
  ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64]
  ldp x27, x28, [sp, #80]
  ldp x29, x30, [sp], #112
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
  each_fpu stp, x0
  add x1, x0, #FPU+512
  mrs x2, fpcr
  mrs x3, fpsr
  stp x2, x3, [x1]
  ret
  .size user_look_at_fpu, . - user_look_at_fpu
