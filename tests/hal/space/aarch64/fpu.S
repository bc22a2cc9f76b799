// tests/hal/space/fpu.h for aarch64: V0 to V31, FPCR and FPSR.

  .arch_extension fp
  .arch_extension simd

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

  // The value of V\n in x2 and x3, of the control and status registers in x2 and x3.
  .macro value n
  add x2, x0, #\n
  mvn x3, x2
  .endm
  .macro control_value
  and x2, x0, #0x3
  lsl x2, x2, #22    // FPCR.RMode
  and x3, x0, #0x1f  // FPSR: the cumulative exceptions
  .endm

function space_test_turn_fpu_on
  mrs x0, cpacr_el1
  orr x0, x0, #(3 << 20)  // FPEN
  msr cpacr_el1, x0
  isb
  ret

  .macro fill n
  value \n
  mov v\n\().d[0], x2
  mov v\n\().d[1], x3
  .endm
function space_test_fill_fpu  // (uint64_t seed)
  for_each_register fill
  control_value
  msr fpcr, x2
  msr fpsr, x3
  ret

  // Adds to x1 in which bits x4 and x5 are not x2 and x3.
  .macro compare
  eor x2, x2, x4
  eor x3, x3, x5
  orr x1, x1, x2
  orr x1, x1, x3
  .endm
  .macro compare_register n
  value \n
  mov x4, v\n\().d[0]
  mov x5, v\n\().d[1]
  compare
  .endm
function space_test_compare_fpu  // (uint64_t seed)
  mov x1, xzr
  for_each_register compare_register
  control_value
  mrs x4, fpcr
  mrs x5, fpsr
  compare
  mov x0, x1
  ret

  .macro compare_to_zero n
  mov x2, v\n\().d[0]
  mov x3, v\n\().d[1]
  orr x0, x0, x2
  orr x0, x0, x3
  .endm
function space_test_compare_fresh_fpu
  mrs x0, fpcr
  mrs x1, fpsr
  orr x0, x0, x1
  for_each_register compare_to_zero
  ret
