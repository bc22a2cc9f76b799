// tests/hal/space/fpu.h for x86_64: the x87 stack, XMM0 to XMM15, and both control words.

#define CR0_MP 0x2
#define CR0_EM_AND_TS 0xc
#define CR0_NE 0x20
#define CR4_OSFXSR_AND_OSXMMEXCPT 0x600

// As FNINIT and a reset leave them: to nearest, in full precision, every exception masked.
#define FRESH_FCW 0x37f
#define FRESH_MXCSR 0x1f80

  .macro function name
  .section .text.\name, "ax", @progbits
  .globl \name
  .type \name, @function
\name:
  .endm

  // Onto the x87 stack: what lies as an integer at the top of the other one.
  .macro push_x87 n
  lea \n(%rdi), %rcx
  push %rcx
  fildq (%rsp)
  pop %rcx
  .endm
  .macro fill_x87
  .irp n, 0,1,2,3,4,5,6,7
  push_x87 \n
  .endr
  .endm

  // The control words of the seed in rdi, in ecx and edx.
  .macro control_values
  mov %edi, %ecx
  and $3, %ecx
  mov %ecx, %edx
  shl $10, %ecx
  shl $13, %edx
  or $FRESH_FCW, %ecx
  or $FRESH_MXCSR, %edx
  .endm

  // Adds to rax in which bits the control words are not ecx and edx.
  .macro compare_control_words
  push $0
  fnstcw (%rsp)
  xor (%rsp), %ecx
  stmxcsr (%rsp)
  xor (%rsp), %edx
  add $8, %rsp
  or %rcx, %rax
  or %rdx, %rax
  .endm

function space_test_turn_fpu_on
  mov %cr0, %rax
  and $~CR0_EM_AND_TS, %rax
  or $(CR0_MP + CR0_NE), %rax
  mov %rax, %cr0
  mov %cr4, %rax
  or $CR4_OSFXSR_AND_OSXMMEXCPT, %rax
  mov %rax, %cr4
  ret

function space_test_fill_fpu  // (uint64_t seed)
  fninit
  fill_x87
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  lea \n(%rdi), %rcx
  mov %rcx, %rdx
  not %rdx
  push %rdx
  push %rcx
  movdqu (%rsp), %xmm\n
  add $16, %rsp
  .endr
  control_values
  push %rcx
  push %rdx
  ldmxcsr (%rsp)
  fldcw 8(%rsp)
  add $16, %rsp
  ret

function space_test_compare_fpu  // (uint64_t seed)
  xor %eax, %eax
  // There is no looking at a register of this stack without taking it off.
  .irp n, 7,6,5,4,3,2,1,0
  push %rcx
  fistpq (%rsp)
  pop %rcx
  lea \n(%rdi), %rdx
  xor %rdx, %rcx
  or %rcx, %rax
  .endr
  fill_x87
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  sub $16, %rsp
  movdqu %xmm\n, (%rsp)
  pop %rcx
  lea \n(%rdi), %rdx
  xor %rdx, %rcx
  or %rcx, %rax
  pop %rcx
  not %rdx
  xor %rdx, %rcx
  or %rcx, %rax
  .endr
  control_values
  compare_control_words
  ret

function space_test_compare_fresh_fpu
  fnstsw %ax
  movzwl %ax, %eax
  mov $FRESH_FCW, %ecx
  mov $FRESH_MXCSR, %edx
  compare_control_words
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  sub $16, %rsp
  movdqu %xmm\n, (%rsp)
  pop %rcx
  or %rcx, %rax
  pop %rcx
  or %rcx, %rax
  .endr
  ret

  .section .note.GNU-stack, "", @progbits
