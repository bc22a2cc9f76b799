// Where a user program begins on x86_64. All registers are zero but rsp, which points to the
// program's argument. `user_begin` keeps a copy of them for a program that wants to see that.

  .section .text.user_start, "ax", @progbits
  .globl _start
  .type _start, @function
_start:
  push %r15
  push %r14
  push %r13
  push %r12
  push %r11
  push %r10
  push %r9
  push %r8
  push %rbp
  push %rdi
  push %rsi
  push %rdx
  push %rcx
  push %rbx
  push %rax
  pushfq
  andl $~0x202, (%rsp)  // the bit that is always one, and interrupts on
  mov %rsp, %rdi
  mov $16, %esi
  mov 128(%rsp), %rdx
  call user_begin
  ud2
  .size _start, . - _start

  .section .note.GNU-stack, "", @progbits
