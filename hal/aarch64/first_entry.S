// A new task on aarch64: x19 is its entry, x20 the argument, every other register that the switch
// loads zero. The rest is zeroed here, so that nothing of the task before leaks into it. x29 = 0
// and x30 = 0 end a backtrace. The entry does not return.

  .section .text.baton_aarch64_first_entry, "ax", @progbits
  .globl baton_aarch64_first_entry
  .type baton_aarch64_first_entry, @function
baton_aarch64_first_entry:
  mov x16, x19
  mov x0, x20
  mov x19, xzr
  mov x20, xzr
  mov x30, xzr
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18
  mov x\n, xzr
  .endr
  msr nzcv, xzr
  msr daifclr, #2
  br x16
  .size baton_aarch64_first_entry, . - baton_aarch64_first_entry
