// A system call on riscv64, from a user program; see hal/riscv64/user.h.

#ifndef BATON_KERNEL_DEMO_RISCV64_USER_CALL_H_
#define BATON_KERNEL_DEMO_RISCV64_USER_CALL_H_

#include <cstdint>

namespace user {

inline int64_t call(uint64_t number, uint64_t first = 0, uint64_t second = 0, uint64_t third = 0) {
  register uint64_t a0 asm("a0") = first;
  register uint64_t a1 asm("a1") = second;
  register uint64_t a2 asm("a2") = third;
  register uint64_t a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return static_cast<int64_t>(a0);
}

}  // namespace user

#endif  // BATON_KERNEL_DEMO_RISCV64_USER_CALL_H_
