// The FPU in the hands of assembly, which alone can use it in a kernel that is compiled without:
// <arch>/fpu.S.

#ifndef BATON_TESTS_HAL_SPACE_FPU_H_
#define BATON_TESTS_HAL_SPACE_FPU_H_

#include <cstdint>

namespace space_test {

/// Lets the kernel use the FPU, on this CPU and in all its tasks to come.
void turn_fpu_on() asm("space_test_turn_fpu_on");

/// Gives every register a value of its own, made of `seed`; its lowest two bits choose the rounding
/// mode.
void fill_fpu(uint64_t seed) asm("space_test_fill_fpu");

/// Zero if all registers are as `fill_fpu(seed)` left them; they stay so.
uint64_t compare_fpu(uint64_t seed) asm("space_test_compare_fpu");

/// Zero if all registers are as a program expects them at its start: zero, rounding to nearest, no
/// exception that traps.
uint64_t compare_fresh_fpu() asm("space_test_compare_fresh_fpu");

}  // namespace space_test

#endif  // BATON_TESTS_HAL_SPACE_FPU_H_
