// Sizes that assembly and C++ must agree on; macros, because the assembler reads no C++.

#ifndef BATON_KERNEL_DEMO_KIT_STACKS_H_
#define BATON_KERNEL_DEMO_KIT_STACKS_H_

// How many CPUs the kit has stacks for: a power of two, at most 16.
#define KIT_CPUS 8

// What `kernel_main` begins on, and the entry of each further CPU: a guard page, then this much.
#define KIT_BOOT_STACK_GUARD 0x1000
#define KIT_BOOT_STACK_SIZE 0x8000
#define KIT_BOOT_STACK_STRIDE 0x9000

// What exceptions and panics run on, one a CPU.
#define KIT_EMERGENCY_STACK_SIZE 0x4000
#define KIT_EMERGENCY_STACK_SHIFT 14
#define KIT_EMERGENCY_STACKS KIT_CPUS

#endif  // BATON_KERNEL_DEMO_KIT_STACKS_H_
