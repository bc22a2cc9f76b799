// Interrupts taken in kernel mode on x86_64; see hal/interrupt.h. Sixteen entries, one a vector,
// and a table of them for the kernel's interrupt descriptor table.
//
// Saves on the interrupted stack what a call may clobber; the processor has saved the rest. It
// aligns the stack to 16 and pushes five words, the nine here make it aligned again.

  .set FIRST_VECTOR, 0x20
  .set VECTORS, 16

  .section .text.baton_x86_64_interrupt, "ax", @progbits
  .type baton_x86_64_interrupt, @function
baton_x86_64_interrupt:
  push %rax
  push %rcx
  push %rdx
  push %rsi
  push %r8
  push %r9
  push %r10
  push %r11
  cld
  call baton_interrupt
  test %al, %al
  jnz 2f
1:
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rsi
  pop %rdx
  pop %rcx
  pop %rax
  pop %rdi
  iretq
2:
  call baton_preempt
  jmp 1b
  .size baton_x86_64_interrupt, . - baton_x86_64_interrupt

  .balign 16
  .globl baton_x86_64_interrupt_entries  // for user.S
baton_x86_64_interrupt_entries:
  .set vector, FIRST_VECTOR
  .rept VECTORS
  .balign 16
  push %rdi
  mov $vector, %edi
  jmp baton_x86_64_interrupt
  .set vector, vector + 1
  .endr

  .section .rodata.baton_x86_64_interrupts, "a", @progbits
  .globl baton_x86_64_interrupts
  .type baton_x86_64_interrupts, @object
  .balign 8
baton_x86_64_interrupts:
  .set vector, 0
  .rept VECTORS
  .quad baton_x86_64_interrupt_entries + 16 * vector
  .set vector, vector + 1
  .endr
  .size baton_x86_64_interrupts, . - baton_x86_64_interrupts
