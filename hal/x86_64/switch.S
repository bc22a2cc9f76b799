// The x86_64 context switch: what the System V ABI preserves across a call, and nothing else (the
// control words of x87 and SSE are preserved by not being used: a kernel has no floating point).
// Called with interrupts masked; each task comes back to where it called, interrupts still masked.
//
// The way back is a pop and an indirect jump: a RET would be predicted to return to the caller of
// the task that is leaving, and mispredict every time.

  .section .text.baton_x86_64_switch, "ax", @progbits
  .globl baton_x86_64_switch
  .type baton_x86_64_switch, @function
baton_x86_64_switch:  // (void** save_sp, void* load_sp)
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  pop %rcx
  jmp *%rcx
  .size baton_x86_64_switch, . - baton_x86_64_switch

  .section .note.GNU-stack, "", @progbits
