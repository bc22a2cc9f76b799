// tests/hal/space/fpu.h for riscv64: f0 to f31 and fcsr.

  .option arch, +d

  .macro function name
  .section .text.\name, "ax", @progbits
  .globl \name
  .type \name, @function
\name:
  .endm

  .macro for_each_register action
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  \action \n
  .endr
  .irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  \action \n
  .endr
  .endm

  // The value of fcsr in t0: rounding mode and accrued exceptions.
  .macro control_value
  andi t0, a0, 0x3
  slli t0, t0, 5
  andi t1, a0, 0x1f
  or t0, t0, t1
  .endm

function space_test_turn_fpu_on
  li t0, 0x2000  // sstatus.FS: initial
  csrs sstatus, t0
  ret

  .macro fill n
  addi t0, a0, \n
  fmv.d.x f\n, t0
  .endm
function space_test_fill_fpu  // (uint64_t seed)
  for_each_register fill
  control_value
  fscsr t0
  ret

  .macro compare n
  addi t0, a0, \n
  fmv.x.d t1, f\n
  xor t0, t0, t1
  or a1, a1, t0
  .endm
function space_test_compare_fpu  // (uint64_t seed)
  li a1, 0
  for_each_register compare
  control_value
  frcsr t1
  xor t0, t0, t1
  or a0, a1, t0
  ret

  .macro compare_to_zero n
  fmv.x.d t0, f\n
  or a0, a0, t0
  .endm
function space_test_compare_fresh_fpu
  frcsr a0
  for_each_register compare_to_zero
  ret
