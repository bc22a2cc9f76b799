// To user mode and back on x86_64; see hal/user.h. The frame is `hal::x86_64::UserFrame`; the
// processor pushes its last five words, the entries two more.

  .set FIRST_VECTOR, 0x20
  .set VECTORS, 16
  .set CALL_VECTOR, 0x80
  .set TASK_STATE, 40  // in the CPU's `Local`
  .set RSP0, 4         // in the task state segment

  .section .text.baton_x86_64_user, "ax", @progbits

  // Interrupts, from either mode. The kernel's go on as if they had come to their own entry.
  .balign 32
entries:
  .set vector, 0
  .rept VECTORS
  .balign 32
  testb $3, 8(%rsp)
  jz baton_x86_64_interrupt_entries + 16 * vector
  push $0
  push $(FIRST_VECTOR + vector)
  jmp trap
  .set vector, vector + 1
  .endr

  .balign 16
  .globl baton_x86_64_user_call
  .type baton_x86_64_user_call, @function
baton_x86_64_user_call:
  push $0
  push $CALL_VECTOR
trap:
  swapgs
save:
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
  cld
  xor %ebp, %ebp  // the end of every backtrace
  mov %rsp, %rdi
  call baton_user_trap
  mov %rsp, %rdi
  // On into the way back.
  .size baton_x86_64_user_call, . - baton_x86_64_user_call

  .globl baton_x86_64_enter_user
  .type baton_x86_64_enter_user, @function
baton_x86_64_enter_user:  // (UserFrame* frame)
  mov %rdi, %rsp
  pop %rax
  pop %rbx
  pop %rcx
  pop %rdx
  pop %rsi
  pop %rdi
  pop %rbp
  pop %r8
  pop %r9
  pop %r10
  pop %r11
  pop %r12
  pop %r13
  pop %r14
  pop %r15
  add $16, %rsp
  swapgs
  iretq
  .size baton_x86_64_enter_user, . - baton_x86_64_enter_user

  // From the emergency stack to the task's: seven words are moved.
  .globl baton_x86_64_user_exception
  .type baton_x86_64_user_exception, @function
baton_x86_64_user_exception:
  swapgs
  push %rax
  push %rbx
  mov %rsp, %rbx
  mov %gs:TASK_STATE, %rax
  mov RSP0(%rax), %rsp
  .irp offset, 64, 56, 48, 40, 32, 24, 16
  pushq \offset(%rbx)
  .endr
  mov 8(%rbx), %rax
  mov (%rbx), %rbx
  jmp save
  .size baton_x86_64_user_exception, . - baton_x86_64_user_exception

  .section .rodata.baton_x86_64_user_interrupts, "a", @progbits
  .globl baton_x86_64_user_interrupts
  .type baton_x86_64_user_interrupts, @object
  .balign 8
baton_x86_64_user_interrupts:
  .set vector, 0
  .rept VECTORS
  .quad entries + 32 * vector
  .set vector, vector + 1
  .endr
  .size baton_x86_64_user_interrupts, . - baton_x86_64_user_interrupts

  .section .note.GNU-stack, "", @progbits
