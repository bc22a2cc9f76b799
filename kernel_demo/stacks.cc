// Stacks in .bss: a guard page and two pages to use, once for each task and once for the stage.

#include "kernel_demo/stacks.h"

#include <algorithm>

#include "kernel_demo/kit.h"

namespace demo {
namespace {

struct alignas(kit::kPageSize) Stack {
  std::byte guard[kit::kPageSize] = {};
  std::byte bytes[kStackSize] = {};
};
static_assert(sizeof(Stack) == kit::kPageSize + kStackSize);

constinit Stack stacks[kStacks + 1];

}  // namespace

void guard_stacks() {
  for (Stack& each : stacks) kit::guard(each.guard);
}

std::span<std::byte> stack(size_t index) { return stacks[index].bytes; }

std::span<std::byte> stage_stack() { return stacks[kStacks].bytes; }

void poison_stack(size_t index) { std::ranges::fill(stacks[index].bytes, kPoison); }

bool is_poisoned(size_t index, size_t count) {
  const std::span<std::byte> low = stack(index).subspan(sizeof(uintptr_t), count);
  return std::ranges::all_of(low, [](std::byte byte) { return byte == kPoison; });
}

std::optional<size_t> stack_guarded_at(uintptr_t address) {
  const size_t offset = address - reinterpret_cast<uintptr_t>(stacks);
  if (offset >= sizeof stacks || offset % sizeof(Stack) >= kit::kPageSize) return {};
  return offset / sizeof(Stack);
}

}  // namespace demo
