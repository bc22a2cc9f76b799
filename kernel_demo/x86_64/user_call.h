// A system call on x86_64, from a user program; see hal/x86_64/user.h.

#ifndef BATON_KERNEL_DEMO_X86_64_USER_CALL_H_
#define BATON_KERNEL_DEMO_X86_64_USER_CALL_H_

#include <cstdint>

namespace user {

inline int64_t call(uint64_t number, uint64_t first = 0, uint64_t second = 0, uint64_t third = 0) {
  int64_t answer;
  asm volatile("int $0x80"
               : "=a"(answer)
               : "a"(number), "D"(first), "S"(second), "d"(third)
               : "memory");
  return answer;
}

}  // namespace user

#endif  // BATON_KERNEL_DEMO_X86_64_USER_CALL_H_
