// A system call on aarch64, from a user program; see hal/aarch64/user.h.

#ifndef BATON_KERNEL_DEMO_AARCH64_USER_CALL_H_
#define BATON_KERNEL_DEMO_AARCH64_USER_CALL_H_

#include <cstdint>

namespace user {

inline int64_t call(uint64_t number, uint64_t first = 0, uint64_t second = 0, uint64_t third = 0) {
  register uint64_t x0 asm("x0") = first;
  register uint64_t x1 asm("x1") = second;
  register uint64_t x2 asm("x2") = third;
  register uint64_t x8 asm("x8") = number;
  asm volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x8) : "memory");
  return static_cast<int64_t>(x0);
}

}  // namespace user

#endif  // BATON_KERNEL_DEMO_AARCH64_USER_CALL_H_
