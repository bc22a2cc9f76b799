// A new task on x86_64: rbx is its entry, r12 the argument. Everything else is zeroed here, so that
// nothing of the task before leaks into it, nor what was on its stack. rbp = 0 and the return
// address zero end a backtrace. The entry does not return.

  .section .text.baton_x86_64_first_entry, "ax", @progbits
  .globl baton_x86_64_first_entry
  .type baton_x86_64_first_entry, @function
baton_x86_64_first_entry:
  mov %rbx, %rax
  mov %r12, %rdi
  xor %ebx, %ebx
  xor %ebp, %ebp
  xor %r12d, %r12d
  xor %r13d, %r13d
  xor %r14d, %r14d
  xor %r15d, %r15d
  xor %ecx, %ecx
  xor %edx, %edx
  xor %esi, %esi
  xor %r8d, %r8d
  xor %r9d, %r9d
  xor %r10d, %r10d
  xor %r11d, %r11d
  cld
  sti
  jmp *%rax
  .size baton_x86_64_first_entry, . - baton_x86_64_first_entry

  .section .note.GNU-stack, "", @progbits
