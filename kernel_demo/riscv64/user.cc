// User programs on riscv64: Sv39 entries with the U bit (privileged specification, 4.4). The
// vectors are the machine's: while user code runs stvec leads to hal/riscv64/user.S.

#include "kernel_demo/user/machine.h"

namespace demo::user_machine {
namespace {

constexpr uint64_t kUser = 1 << 4;
constexpr uint64_t kSv39 = uint64_t{8} << 60;
constexpr uint64_t kPageNumbers = (uint64_t{1} << 44) - 1;

}  // namespace

const unsigned kLevels = 3;

void start() {}

const kit::Table& top_table() {
  uint64_t satp;
  asm volatile("csrr %0, satp" : "=r"(satp));
  return *reinterpret_cast<const kit::Table*>((satp & kPageNumbers) << 12);
}

hal::Native::Space space_of(const kit::Table& top) {
  return {.satp = kSv39 | reinterpret_cast<uintptr_t>(&top) >> 12};
}

uint64_t leaf(const std::byte* page, kit::Access access) {
  return kit::machine::leaf(reinterpret_cast<uintptr_t>(page), access, false) | kUser;
}

std::byte* page_of(uint64_t leaf) {
  return reinterpret_cast<std::byte*>((leaf >> 10 & kPageNumbers) << 12);
}

// The U bit is a leaf's only.
uint64_t branch(const kit::Table& table) { return kit::machine::branch(table); }

void write_text(std::span<std::byte>) {}
void publish_text() { hal::Native::publish_instructions(); }

}  // namespace demo::user_machine
