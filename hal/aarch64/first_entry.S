// A new task on aarch64: x19 is its entry, x20 the argument. Everything else is zeroed here, so that
// nothing of the task before leaks into it, nor what was on its stack. x29 = 0 and x30 = 0 end a
// backtrace. The entry does not return.

  .section .text.baton_aarch64_first_entry, "ax", @progbits
  .globl baton_aarch64_first_entry
  .type baton_aarch64_first_entry, @function
baton_aarch64_first_entry:
  mov x16, x19
  mov x0, x20
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
  mov x\n, xzr
  .endr
  msr nzcv, xzr
  msr daifclr, #2
  br x16
  .size baton_aarch64_first_entry, . - baton_aarch64_first_entry
