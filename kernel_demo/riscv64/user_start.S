// Where a user program begins on riscv64. All registers are zero but sp, which points to the
// program's argument. `user_begin` keeps a copy of them for a program that wants to see that.

  .section .text.user_start, "ax", @progbits
  .globl _start
  .type _start, @function
_start:
  // Below the argument, in the order of their numbers; sp itself is added by user_begin.
  addi sp, sp, -256
  .irp n, 0,1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  sd x\n, 8*\n(sp)
  .endr
  sd zero, 16(sp)
  mv a0, sp
  li a1, 32
  ld a2, 256(sp)
  call user_begin
  unimp
  .size _start, . - _start
