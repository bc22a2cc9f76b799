// User programs on aarch64: entries for EL0 (Arm ARM, D8.3), vectors for what comes from there.

#include "kernel_demo/user/machine.h"

extern "C" std::byte demo_user_vectors[];

namespace demo::user_machine {
namespace {

constexpr uint64_t kUser = 1 << 6;  // AP[1]
constexpr uint64_t kPrivilegedExecuteNever = uint64_t{1} << 53;
constexpr uint64_t kUnprivilegedExecuteNever = uint64_t{1} << 54;
constexpr uint64_t kAddressMask = 0x0000'ffff'ffff'f000;

}  // namespace

const unsigned kLevels = 3;

void start() {
  // EL0 may not touch the timers: one of them is the scheduler's.
  asm volatile("msr cntkctl_el1, xzr\n msr vbar_el1, %0\n isb"
               :
               : "r"(demo_user_vectors)
               : "memory");
}

const kit::Table& top_table() {
  uint64_t ttbr0;
  asm volatile("mrs %0, ttbr0_el1" : "=r"(ttbr0));
  return *reinterpret_cast<const kit::Table*>(ttbr0 & kAddressMask);
}

hal::Native::Space space_of(const kit::Table& top) {
  return {.root = reinterpret_cast<uintptr_t>(&top)};
}

uint64_t leaf(const std::byte* page, kit::Access access) {
  uint64_t entry = kit::machine::leaf(reinterpret_cast<uintptr_t>(page), access, false);
  entry |= kUser | kPrivilegedExecuteNever;
  if (access == kit::Access::text) entry &= ~kUnprivilegedExecuteNever;
  return entry;
}

std::byte* page_of(uint64_t leaf) { return reinterpret_cast<std::byte*>(leaf & kAddressMask); }

// Its limits for what comes below (APTable, XNTable) are all zero: none.
uint64_t branch(const kit::Table& table) { return kit::machine::branch(table); }

// Arm ARM, B2.4.4: data to the point of unification, then instructions anew, line by line.
void write_text(std::span<std::byte> page) {
  uint64_t type;
  asm volatile("mrs %0, ctr_el0" : "=r"(type));
  const size_t line = size_t{4} << (type >> 16 & 0xf);
  for (size_t i = 0; i < page.size(); i += line) asm volatile("dc cvau, %0" : : "r"(&page[i]));
}
void publish_text() { asm volatile("dsb ish\n ic ialluis\n dsb ish\n isb" : : : "memory"); }

}  // namespace demo::user_machine
