// What an exception means (Arm ARM, D24.2.40, ESR_EL1).

#include "kernel_demo/kit/machine.h"

extern "C" {

/// What exceptions.S has stored.
struct KitAarch64Frame {
  uint64_t x[31];
  uint64_t sp, pc, spsr, esr, far, vector;
};

[[noreturn]] void kit_exception(const KitAarch64Frame* frame);

extern std::byte kit_vectors[];
extern std::byte kit_panic_instruction[] asm("kit_panic");
}

namespace kit::machine {
namespace {

constexpr unsigned kSynchronous = 4;  // the vector of the kernel's own faults

// Exception classes.
constexpr unsigned kUnknown = 0x00;
constexpr unsigned kFpAccess = 0x07;
constexpr unsigned kBranchTarget = 0x0d;
constexpr unsigned kIllegalState = 0x0e;
constexpr unsigned kSystemRegister = 0x18;
constexpr unsigned kInstructionAbort = 0x21;
constexpr unsigned kPcAlignment = 0x22;
constexpr unsigned kDataAbort = 0x25;
constexpr unsigned kSpAlignment = 0x26;
constexpr unsigned kBreakpoint = 0x3c;

unsigned class_of(const KitAarch64Frame& frame) { return frame.esr >> 26 & 0x3f; }

const char* name_of_data_abort(uint64_t esr) {
  const bool write = (esr >> 6 & 1) != 0;
  switch (esr >> 2 & 0xf) {
    case 1: return write ? "translation fault on a write" : "translation fault on a read";
    case 3: return write ? "permission fault on a write" : "permission fault on a read";
    case 8: return "alignment fault";
    default: return "data abort";
  }
}

const char* name_of(const KitAarch64Frame& frame) {
  if (frame.vector != kSynchronous) {
    static constexpr const char* kKinds[] = {"exception that no vector is meant for",
                                             "interrupt that no vector is meant for",
                                             "fast interrupt", "system error (SError)"};
    return kKinds[frame.vector % 4];
  }
  switch (class_of(frame)) {
    case kUnknown: return "undefined instruction";
    case kFpAccess: return "use of the FPU, which is off";
    case kBranchTarget: return "branch target exception";
    case kIllegalState: return "illegal execution state";
    case kSystemRegister: return "trapped system register access";
    case kInstructionAbort: return "fault on execution";
    case kPcAlignment: return "misaligned program counter";
    case kDataAbort: return name_of_data_abort(frame.esr);
    case kSpAlignment: return "misaligned stack pointer";
    case kBreakpoint: return "trap instruction (brk)";
    default: return "exception of another class (see esr)";
  }
}

bool has_address(const KitAarch64Frame& frame) {
  const unsigned kind = class_of(frame);
  return frame.vector == kSynchronous &&
         (kind == kInstructionAbort || kind == kDataAbort || kind == kPcAlignment);
}

}  // namespace

void start_vectors() {
  // System errors are let in for good, now that somebody speaks about them.
  asm volatile("msr vbar_el1, %0; isb; msr daifclr, #4" : : "r"(kit_vectors));
}

}  // namespace kit::machine

void kit_exception(const KitAarch64Frame* frame) {
  using namespace kit;
  static constexpr const char* kNames[] = {
      "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",   "x8",  "x9",  "x10",   "x11", "x12",
      "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20",  "x21", "x22", "x23",   "x24", "x25",
      "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "spsr", "esr", "far", "vector"};
  static_assert(sizeof kNames / sizeof kNames[0] == sizeof *frame / sizeof(uint64_t));

  Trap trap = {
      .cause = machine::name_of(*frame),
      .has_address = machine::has_address(*frame),
      .address = frame->far,
      .pc = frame->pc,
      .return_address = frame->x[30],
      .frame_pointer = frame->x[29],
      .registers = {frame->x, sizeof kNames / sizeof kNames[0]},
      .register_names = kNames,
  };
  if (frame->vector == machine::kSynchronous && machine::class_of(*frame) == machine::kBreakpoint &&
      frame->pc == reinterpret_cast<uintptr_t>(kit_panic_instruction)) {
    trap.is_panic = true;
    trap.rule = reinterpret_cast<const char*>(frame->x[0]);
    trap.task = reinterpret_cast<const char*>(frame->x[1]);
  }
  report(trap);
}
