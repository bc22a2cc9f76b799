// Leaving one stack for another in a host process, which depends on the host's architecture. The
// build picks `stack_switch_<arch>.cc`, which calls the very switch that boots on that architecture
// (`hal/<arch>/switch.*`).

#ifndef BATON_HAL_STACK_STACK_SWITCH_H_
#define BATON_HAL_STACK_STACK_SWITCH_H_

#include <cstddef>
#include <span>

namespace hal::stack {

/// Builds at the high end of `stack` what the first `switch_stack` to it loads: `start()` with
/// every preserved general register zero and nothing to return to. Returns what to load.
void* prepare_stack(std::span<std::byte> stack, void (*start)());

/// Saves what a call preserves on this stack and the stack pointer to `*save`, then continues where
/// `load` was saved. The host's floating-point control words are left as they are.
void switch_stack(void** save, void* load);

}  // namespace hal::stack

#endif  // BATON_HAL_STACK_STACK_SWITCH_H_
