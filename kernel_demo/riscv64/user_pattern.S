// kernel_demo/riscv64/user_pattern.h. It spins on straight-line code: a loop would need a register
// that is then not held.

  .option arch, +d

  .set FLAGS, 256
  .set SP_BEFORE, 264
  .set SP_AFTER, 272
  .set FPU, 280

  .macro each_fpu action, base
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  \action f\n, FPU+8*\n(\base)
  .endr
  .irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  \action f\n, FPU+8*\n(\base)
  .endr
  .endm

  .macro each_preserved action
  .set k, 0
  .irp r, ra,gp,tp,s0,s1,s2,s3,s4,s5,s6,s7,s8,s9,s10,s11
  \action \r, k(sp)
  .set k, k + 8
  .endr
  .endm

  .macro spin
  .rept 4096
  nop
  .endr
  .endm

  .macro hold name, middle, fpu
  .section .text.\name, "ax", @progbits
  .globl \name
  .type \name, @function
\name:
  addi sp, sp, -128
  each_preserved sd
  sd a1, 120(sp)
  sd sp, SP_BEFORE(a1)
  .if \fpu
  ld t0, FPU+256(a0)
  fscsr t0
  each_fpu fld, a0
  .endif
  .irp n, 1,3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  ld x\n, 8*\n(a0)
  .endr
  ld a0, 80(a0)
  \middle
  addi sp, sp, -16
  sd t0, 0(sp)
  ld t0, 136(sp)
  .irp n, 1,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  sd x\n, 8*\n(t0)
  .endr
  ld t1, 0(sp)
  sd t1, 40(t0)
  addi sp, sp, 16
  sd sp, SP_AFTER(t0)
  .if \fpu
  each_fpu fsd, t0
  frcsr t1
  sd t1, FPU+256(t0)
  .endif
  each_preserved ld
  addi sp, sp, 128
  ret
  .size \name, . - \name
  .endm

  hold user_hold, spin, 0
  hold user_hold_with_fpu, spin, 1
  hold user_hold_in_call, ecall, 0
  hold user_hold_in_call_with_fpu, ecall, 1

  .section .text.user_look_at_fpu, "ax", @progbits
  .globl user_look_at_fpu
  .type user_look_at_fpu, @function
user_look_at_fpu:
  each_fpu fsd, a0
  frcsr t0
  sd t0, FPU+256(a0)
  ret
  .size user_look_at_fpu, . - user_look_at_fpu
