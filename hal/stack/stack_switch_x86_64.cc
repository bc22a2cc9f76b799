// Leaving one stack for another on an x86_64 host, by the switch that boots on x86_64.

#include <cstdint>
#include <cstring>

#include "hal/stack/sanitizer.h"
#include "hal/stack/stack_switch.h"

extern "C" void baton_x86_64_switch(void** save_sp, void* load_sp);

namespace hal::stack {
namespace {

// The frame of hal/x86_64/switch.S, lowest address first.
struct Frame {
  uint64_t preserved[6];  // rbx rbp r12 r13 r14 r15, in whatever order: all zero at the start
  void (*resume)();
  // Above it lies what `start` sees as its return address. The System V ABI wants the stack
  // pointer to be 8 modulo 16 at a function's first instruction.
  uint64_t end_of_backtrace;
};
static_assert(sizeof(Frame) % 16 == 0);

}  // namespace

void* prepare_stack(std::span<std::byte> stack, void (*start)()) {
  const uintptr_t top = reinterpret_cast<uintptr_t>(stack.data() + stack.size()) & ~uintptr_t{15};
  const Frame frame{.preserved = {}, .resume = start, .end_of_backtrace = 0};
  void* const base = reinterpret_cast<void*>(top - sizeof(Frame));
  std::memcpy(base, &frame, sizeof(Frame));
  return base;
}

BATON_UNCHECKED void switch_stack(void** save, void* load) { baton_x86_64_switch(save, load); }

}  // namespace hal::stack
