// The kernel, as a user program calls it: one function a system call (abi.h has their contracts).

#ifndef BATON_KERNEL_DEMO_USER_SYSTEM_H_
#define BATON_KERNEL_DEMO_USER_SYSTEM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/user/abi.h"
#include "kernel_demo/user_call.h"

/// Defined by the program: where it begins. What it returns is its exit status.
extern "C" int64_t user_main(uint64_t argument);

namespace user {

inline int64_t call(Call number, uint64_t first = 0, uint64_t second = 0, uint64_t third = 0) {
  return call(static_cast<uint64_t>(number), first, second, third);
}

inline uint64_t word_of(const void* address) { return reinterpret_cast<uint64_t>(address); }

inline int64_t print(std::string_view text) {
  return call(Call::print, word_of(text.data()), text.size());
}
inline void yield() { call(Call::yield); }
inline int64_t sleep(uint64_t nanoseconds) { return call(Call::sleep, nanoseconds); }
[[noreturn]] inline void exit(int64_t status) {
  for (;;) call(Call::exit, static_cast<uint64_t>(status));
}
inline int64_t spawn(std::string_view program, uint64_t argument = 0) {
  return call(Call::spawn, word_of(program.data()), program.size(), argument);
}
inline int64_t wait(int64_t process) { return call(Call::wait, static_cast<uint64_t>(process)); }
inline int64_t time() { return call(Call::time); }
inline int64_t self() { return call(Call::self); }
inline int64_t wait_word(const std::atomic<uint32_t>& word, uint32_t value,
                         uint64_t nanoseconds = 0) {
  return call(Call::wait_word, word_of(&word), value, nanoseconds);
}
inline int64_t wake_word(const std::atomic<uint32_t>& word, uint64_t count) {
  return call(Call::wake_word, word_of(&word), count);
}
inline int64_t map_shared(uintptr_t address = 0) { return call(Call::map_shared, address); }
inline int64_t do_yield(uint16_t space) { return call(Call::do_yield, space); }
inline int64_t ask(uint64_t handle, uint64_t number) { return call(Call::ask, handle, number); }
inline int64_t set_attributes(uint64_t number) { return call(Call::attributes, number); }

/// Which bits were set in any register when the program began, but in the stack pointer: none
/// should be.
extern uint64_t first_registers_or;

}  // namespace user

#endif  // BATON_KERNEL_DEMO_USER_SYSTEM_H_
