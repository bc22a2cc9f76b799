// What an exception means (RISC-V privileged specification, table 4.2).

#include "kernel_demo/kit/machine.h"
#include "kernel_demo/kit/stacks.h"

extern "C" {

/// What exceptions.S has stored.
struct KitRiscvFrame {
  uint64_t x[32];
  uint64_t pc, sstatus, scause, stval;
};

[[noreturn]] void kit_exception(const KitRiscvFrame* frame);

extern std::byte kit_trap_entry[];
extern std::byte kit_emergency_stacks[];
extern std::byte kit_panic_instruction[] asm("kit_panic");
}

namespace kit::machine {
namespace {

constexpr uint64_t kBreakpoint = 3;

struct Cause {
  const char* name;
  bool has_address;
};

Cause cause_of(const KitRiscvFrame& frame) {
  static constexpr Cause kCauses[] = {
      {"misaligned instruction address", true},
      {"instruction access fault", true},
      {"illegal instruction", false},
      {"breakpoint", false},
      {"misaligned load", true},
      {"load access fault", true},
      {"misaligned store", true},
      {"store access fault", true},
      {"environment call from a user program", false},
      {"environment call from the kernel", false},
      {"reserved exception 10", false},
      {"reserved exception 11", false},
      {"page fault on execution", true},
      {"page fault on a load", true},
      {"reserved exception 14", false},
      {"page fault on a store", true},
  };
  constexpr size_t kCount = sizeof kCauses / sizeof kCauses[0];
  return frame.scause < kCount ? kCauses[frame.scause] : Cause{"unknown exception", false};
}

}  // namespace

void start_vectors() { asm volatile("csrw stvec, %0" : : "r"(kit_trap_entry)); }

// sscratch is the end of this CPU's emergency stack, from boot.S on.
unsigned cpu() {
  uintptr_t end;
  asm volatile("csrr %0, sscratch" : "=r"(end));
  const uintptr_t stacks = reinterpret_cast<uintptr_t>(kit_emergency_stacks);
  return static_cast<unsigned>(((end - stacks) >> KIT_EMERGENCY_STACK_SHIFT) - 1);
}

}  // namespace kit::machine

void kit_exception(const KitRiscvFrame* frame) {
  using namespace kit;
  static constexpr const char* kNames[] = {
      "zero", "ra", "sp",  "gp",  "tp", "t0", "t1", "t2", "s0", "s1",      "a0",     "a1",
      "a2",   "a3", "a4",  "a5",  "a6", "a7", "s2", "s3", "s4", "s5",      "s6",     "s7",
      "s8",   "s9", "s10", "s11", "t3", "t4", "t5", "t6", "pc", "sstatus", "scause", "stval"};
  static_assert(sizeof kNames / sizeof kNames[0] == sizeof *frame / sizeof(uint64_t));

  const machine::Cause cause = machine::cause_of(*frame);
  Trap trap = {
      .cause = cause.name,
      .has_address = cause.has_address,
      .address = frame->stval,
      .pc = frame->pc,
      .return_address = frame->x[1],
      .frame_pointer = frame->x[8],
      .registers = {frame->x, sizeof kNames / sizeof kNames[0]},
      .register_names = kNames,
  };
  if (frame->scause == machine::kBreakpoint &&
      frame->pc == reinterpret_cast<uintptr_t>(kit_panic_instruction)) {
    trap.is_panic = true;
    trap.rule = reinterpret_cast<const char*>(frame->x[10]);
    trap.task = reinterpret_cast<const char*>(frame->x[11]);
  }
  report(trap);
}
