// A new task on riscv64: s1 is its entry, s2 the argument. Everything else is zeroed here, so that
// nothing of the task before leaks into it, nor what was on its stack. ra = 0 and s0 = 0 end a
// backtrace. The entry does not return.

  .section .text.baton_riscv64_first_entry, "ax", @progbits
  .globl baton_riscv64_first_entry
  .type baton_riscv64_first_entry, @function
baton_riscv64_first_entry:
  mv t0, s1
  mv a0, s2
  li ra, 0
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  li s\n, 0
  .endr
  li t1, 0
  li t2, 0
  li t3, 0
  li t4, 0
  li t5, 0
  li t6, 0
  li a1, 0
  li a2, 0
  li a3, 0
  li a4, 0
  li a5, 0
  li a6, 0
  li a7, 0
  csrsi sstatus, 2
  jr t0
  .size baton_riscv64_first_entry, . - baton_riscv64_first_entry
