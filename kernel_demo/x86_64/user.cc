// User programs on x86_64: entries with the user bit (Intel SDM volume 3, 4.5 and 4.6), the gates
// of the interrupt descriptor table that tell the two modes apart.

#include "hal/x86_64/user.h"

#include "kernel_demo/user/machine.h"

extern "C" std::byte demo_user_exception_entries[];

namespace demo::user_machine {
namespace {

constexpr uint64_t kUser = 1 << 2;
constexpr uint64_t kAddressMask = 0x000f'ffff'ffff'f000;

constexpr unsigned kExceptions = 32;
constexpr size_t kEntrySize = 32;
// These are never a program's doing: the kit's entries stay.
constexpr bool is_machines(unsigned vector) { return vector == 2 || vector == 8 || vector == 18; }

struct Gate {
  uint64_t low;
  uint64_t high;
};

struct [[gnu::packed]] TablePointer {
  uint16_t limit;
  std::byte* base;
};

/// The same gate, with its stack, to another entry and from another privilege level.
void aim(Gate& gate, uintptr_t entry, uint64_t level) {
  constexpr uint64_t kKept = 0x0000'9fff'ffff'0000;
  gate.low = (gate.low & kKept) | (entry & 0xffff) | level << 45 | (entry >> 16 & 0xffff) << 48;
  gate.high = entry >> 32;
}

std::byte* find_task_state() {
  TablePointer gdt;
  uint16_t selector;
  asm volatile("sgdt %0" : "=m"(gdt));
  asm volatile("str %0" : "=r"(selector));
  uint64_t words[2];
  std::memcpy(words, gdt.base + selector, sizeof words);
  return reinterpret_cast<std::byte*>((words[0] >> 16 & 0xff'ffff) | (words[0] >> 56) << 24 |
                                      words[1] << 32);
}

}  // namespace

const unsigned kLevels = 4;

void start() {
  hal::Native::local()->task_state = find_task_state();

  TablePointer idt;
  asm volatile("sidt %0" : "=m"(idt));
  auto* const gates = reinterpret_cast<Gate*>(idt.base);
  const auto exceptions = reinterpret_cast<uintptr_t>(demo_user_exception_entries);
  for (unsigned vector = 0; vector < kExceptions; ++vector) {
    if (!is_machines(vector)) aim(gates[vector], exceptions + vector * kEntrySize, 0);
  }
  for (unsigned i = 0; i < hal::x86_64::kVectors; ++i) {
    aim(gates[hal::x86_64::kFirstVector + i], baton_x86_64_user_interrupts[i], 0);
  }
  // On the task's stack, like an interrupt.
  Gate& call = gates[hal::x86_64::kUserCallVector];
  call = gates[hal::x86_64::kFirstVector];
  aim(call, reinterpret_cast<uintptr_t>(&baton_x86_64_user_call), 3);

  constexpr uint64_t kFxsaveAndSimdExceptions = 0x600;  // CR4.OSFXSR, OSXMMEXCPT
  uint64_t cr4;
  asm volatile("mov %%cr4, %0" : "=r"(cr4));
  asm volatile("mov %0, %%cr4" : : "r"(cr4 | kFxsaveAndSimdExceptions) : "memory");
  constexpr uint64_t kMonitor = 1 << 1, kEmulate = 1 << 2, kNumericErrors = 1 << 5;  // CR0
  uint64_t cr0;
  asm volatile("mov %%cr0, %0" : "=r"(cr0));
  asm volatile("mov %0, %%cr0" : : "r"((cr0 & ~kEmulate) | kMonitor | kNumericErrors) : "memory");
}

const kit::Table& top_table() {
  uint64_t cr3;
  asm volatile("mov %%cr3, %0" : "=r"(cr3));
  return *reinterpret_cast<const kit::Table*>(cr3 & kAddressMask);
}

hal::Native::Space space_of(const kit::Table& top) {
  return {.root = reinterpret_cast<uintptr_t>(&top)};
}

uint64_t leaf(const std::byte* page, kit::Access access) {
  return kit::machine::leaf(reinterpret_cast<uintptr_t>(page), access, false) | kUser;
}

std::byte* page_of(uint64_t leaf) { return reinterpret_cast<std::byte*>(leaf & kAddressMask); }

uint64_t branch(const kit::Table& table) { return kit::machine::branch(table) | kUser; }

// The processor sees to it.
void write_text(std::span<std::byte>) {}
void publish_text() {}

}  // namespace demo::user_machine
