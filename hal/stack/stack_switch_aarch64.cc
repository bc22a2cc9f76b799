// Leaving one stack for another on an aarch64 host, by the switch that boots on aarch64.

#include <cstdint>
#include <cstring>

#include "hal/aarch64/switch.h"
#include "hal/stack/sanitizer.h"
#include "hal/stack/stack_switch.h"

namespace hal::stack {
namespace {

// The frame of hal/aarch64/switch.h, lowest address first.
struct Frame {
  uint64_t preserved[10];  // x19 to x28: all zero at the start
  uint64_t end_of_backtrace;
  void (*resume)();
};
static_assert(sizeof(Frame) % 16 == 0);

}  // namespace

void* prepare_stack(std::span<std::byte> stack, void (*start)()) {
  const uintptr_t top = reinterpret_cast<uintptr_t>(stack.data() + stack.size()) & ~uintptr_t{15};
  const Frame frame{.preserved = {}, .end_of_backtrace = 0, .resume = start};
  void* const base = reinterpret_cast<void*>(top - sizeof(Frame));
  std::memcpy(base, &frame, sizeof(Frame));
  return base;
}

// The kernel's switch leaves floating point alone, but on a host the low halves of v8 to v15 are
// preserved across a call too (AAPCS64, 6.1.2). Naming them before and after the call makes the
// compiler save them on this stack and restore them from it.
BATON_UNCHECKED void switch_stack(void** save, void* load) {
  asm volatile("" : : : "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15");
  hal::aarch64::switch_stacks<0>(save, &load);
  asm volatile("" : : : "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15");
}

}  // namespace hal::stack
