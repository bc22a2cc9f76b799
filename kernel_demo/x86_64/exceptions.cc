// Descriptor tables and what an exception means (Intel SDM volume 3, chapters 3 and 6).

#include "hal/native.h"
#include "kernel_demo/kit/machine.h"
#include "kernel_demo/kit/stacks.h"
#include "kernel_demo/x86_64/io.h"

extern "C" {

/// What exceptions.S has pushed, and before it the processor.
struct KitX86Frame {
  uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
  uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

[[noreturn]] void kit_exception(const KitX86Frame* frame);

extern std::byte kit_exception_entries[];
extern std::byte kit_panic_end[];
extern std::byte kit_emergency_stacks[];
}

namespace kit::machine {
namespace {

constexpr uint16_t kCode = 0x08;
constexpr uint16_t kTaskState = 0x18;
constexpr size_t kEntrySize = 16;

constexpr unsigned kBreakpoint = 3;
constexpr unsigned kPageFault = 14;
constexpr unsigned kUnexpected = 32;  // not an exception: an interrupt that nobody asked for

struct [[gnu::packed]] TaskState {
  uint32_t reserved0 = 0;
  uint64_t rsp[3] = {};
  uint64_t reserved1 = 0;
  uint64_t ist[7] = {};
  uint64_t reserved2 = 0;
  uint16_t reserved3 = 0;
  uint16_t io_map = sizeof(TaskState);
};
static_assert(sizeof(TaskState) == 104);

struct Descriptors {
  uint64_t entries[7] = {
      0,
      0x00af9b000000ffff,  // kCode
      0x00cf93000000ffff,  // data
      0,
      0,                   // kTaskState, filled in at run time: it holds an address
      0x00cff3000000ffff,  // user mode's data (hal/x86_64/user.h)
      0x00affb000000ffff,  // user mode's code
  };
  TaskState task_state;
};

struct Gate {
  uint64_t low = 0;
  uint64_t high = 0;
};

struct [[gnu::packed]] TablePointer {
  uint16_t limit;
  const void* base;
};

constinit Descriptors descriptors[KIT_EMERGENCY_STACKS];
constinit Gate gates[256];

/// An interrupt gate (interrupts are masked on entry), on stack `ist` or, if 0, the current one.
Gate gate_to(uintptr_t entry, uint64_t ist) {
  constexpr uint64_t kPresentInterruptGate = 0x8e;
  return {(entry & 0xffff) | uint64_t{kCode} << 16 | ist << 32 | kPresentInterruptGate << 40 |
              (entry >> 16 & 0xffff) << 48,
          entry >> 32};
}

uintptr_t address_of(const std::byte* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

void fill_gates() {
  const uintptr_t entries = address_of(kit_exception_entries);
  for (unsigned vector = 0; vector < 256; ++vector) {
    const unsigned entry = vector < kUnexpected ? vector : kUnexpected;
    gates[vector] = gate_to(entries + entry * kEntrySize, 1);
  }
  for (unsigned i = 0; i < hal::x86_64::kVectors; ++i) {
    gates[hal::x86_64::kFirstVector + i] = gate_to(baton_x86_64_interrupts[i], 0);
  }
}

const char* name_of(const KitX86Frame& frame) {
  static constexpr const char* kNames[kUnexpected + 1] = {"division error",
                                                          "debug exception",
                                                          "non-maskable interrupt",
                                                          "breakpoint",
                                                          "overflow",
                                                          "bound range exceeded",
                                                          "invalid opcode",
                                                          "device not available (FPU use)",
                                                          "double fault",
                                                          "coprocessor segment overrun",
                                                          "invalid TSS",
                                                          "segment not present",
                                                          "stack segment fault",
                                                          "general protection fault",
                                                          "page fault",
                                                          "reserved exception 15",
                                                          "x87 floating-point error",
                                                          "alignment check",
                                                          "machine check",
                                                          "SIMD floating-point error",
                                                          "virtualization exception",
                                                          "control protection exception",
                                                          "reserved exception 22",
                                                          "reserved exception 23",
                                                          "reserved exception 24",
                                                          "reserved exception 25",
                                                          "reserved exception 26",
                                                          "reserved exception 27",
                                                          "hypervisor injection",
                                                          "VMM communication",
                                                          "security exception",
                                                          "reserved exception 31",
                                                          "interrupt on a vector that nobody uses"};
  if (frame.vector != kPageFault) return kNames[frame.vector];
  constexpr uint64_t kWrite = 1 << 1;
  constexpr uint64_t kFetch = 1 << 4;
  if ((frame.error & kFetch) != 0) return "page fault on execution";
  return (frame.error & kWrite) != 0 ? "page fault on a write" : "page fault on a read";
}

}  // namespace

void start_vectors() {
  // The two 8259 controllers, which firmware has left on, and whose vectors are exceptions' here.
  out8(0x21, 0xff);
  out8(0xa1, 0xff);

  const unsigned number = cpu() % KIT_EMERGENCY_STACKS;
  Descriptors& mine = descriptors[number];
  mine.task_state.ist[0] =
      address_of(kit_emergency_stacks) + (uintptr_t{number + 1} << KIT_EMERGENCY_STACK_SHIFT);
  const auto state = reinterpret_cast<uintptr_t>(&mine.task_state);
  constexpr uint64_t kPresentTaskState = 0x89;
  mine.entries[kTaskState / 8] = (sizeof(TaskState) - 1) | (state & 0xffffff) << 16 |
                                 kPresentTaskState << 40 | (state >> 24 & 0xff) << 56;
  mine.entries[kTaskState / 8 + 1] = state >> 32;
  const TablePointer gdt = {sizeof mine.entries - 1, mine.entries};
  asm volatile("lgdt %0" : : "m"(gdt));
  asm volatile("ltr %0" : : "r"(kTaskState));

  if (gates[0].low == 0) fill_gates();  // on the first CPU: all have the same
  const TablePointer idt = {sizeof gates - 1, gates};
  asm volatile("lidt %0" : : "m"(idt));
}

}  // namespace kit::machine

void kit_exception(const KitX86Frame* frame) {
  using namespace kit;
  const KitX86Frame& f = *frame;
  uint64_t cr2;
  uint64_t cr3;
  asm volatile("mov %%cr2, %0" : "=r"(cr2));
  asm volatile("mov %%cr3, %0" : "=r"(cr3));
  const uint64_t values[] = {f.rax, f.rbx, f.rcx, f.rdx, f.rsi, f.rdi,    f.rbp,    f.rsp,
                             f.r8,  f.r9,  f.r10, f.r11, f.r12, f.r13,    f.r14,    f.r15,
                             f.rip, cr2,   cr3,   f.cs,  f.ss,  f.rflags, f.vector, f.error};
  static constexpr const char* kNames[] = {
      "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9",     "r10",    "r11",
      "r12", "r13", "r14", "r15", "rip", "cr2", "cr3", "cs",  "ss", "rflags", "vector", "error"};
  static_assert(std::size(kNames) == std::size(values));

  Trap trap = {.cause = machine::name_of(f),
               .pc = f.rip,
               .frame_pointer = f.rbp,
               .registers = values,
               .register_names = kNames};
  if (is_readable(f.rsp) && is_readable(f.rsp + 7)) {
    trap.return_address = *reinterpret_cast<const uintptr_t*>(f.rsp);
  }
  if (f.vector == machine::kPageFault) {
    trap.has_address = true;
    trap.address = cr2;
  }
  if (f.vector == machine::kBreakpoint && f.rip == machine::address_of(kit_panic_end)) {
    trap.is_panic = true;
    trap.rule = reinterpret_cast<const char*>(f.rdi);
    trap.task = reinterpret_cast<const char*>(f.rsi);
  }
  report(trap);
}
