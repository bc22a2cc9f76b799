// The diagnosis: what happened, to whom, all registers, how it came to that.

#include <atomic>

#include "kernel_demo/kit.h"
#include "kernel_demo/kit/console.h"
#include "kernel_demo/kit/machine.h"
#include "kernel_demo/kit/stacks.h"

// Named for the exception entries.
extern "C" {
alignas(4096) constinit std::byte
    kit_emergency_stacks[KIT_EMERGENCY_STACKS << KIT_EMERGENCY_STACK_SHIFT] = {};
extern std::byte kit_boot_stacks[];
}
static_assert(KIT_EMERGENCY_STACK_SIZE == 1 << KIT_EMERGENCY_STACK_SHIFT);

namespace kit {

constinit void (*on_panic)() = nullptr;
constinit const char* (*name_of_guard)(uintptr_t address) = nullptr;
constinit const char* (*name_of_task)() = nullptr;

namespace {

constexpr unsigned kNobody = ~0u;
constinit std::atomic<unsigned> panicking = kNobody;

bool is_text(uintptr_t address) {
  return address >= reinterpret_cast<uintptr_t>(__text_start) &&
         address < reinterpret_cast<uintptr_t>(__text_end);
}

bool is_readable_text(const char* text) {
  return text != nullptr && is_readable(reinterpret_cast<uintptr_t>(text));
}

const char* name_of_overflowed(uintptr_t address) {
  const uintptr_t offset = address - reinterpret_cast<uintptr_t>(kit_boot_stacks);
  if (offset < KIT_CPUS * KIT_BOOT_STACK_STRIDE &&
      offset % KIT_BOOT_STACK_STRIDE < KIT_BOOT_STACK_GUARD) {
    return "boot";
  }
  return name_of_guard != nullptr ? name_of_guard(address) : nullptr;
}

void print_head(const Trap& trap) {
  const char* task = trap.task;
  print("\nPANIC: ");
  if (trap.is_panic) {
    print("{}\n", is_readable_text(trap.rule) ? trap.rule : "(the rule's text cannot be read)");
  } else if (trap.has_address && is_guard(trap.address)) {
    task = name_of_overflowed(trap.address);
    print("stack overflow in task {} ({} at {:#x}, in a guard page)\n",
          is_readable_text(task) ? task : "(unknown)", trap.cause, trap.address);
  } else if (trap.has_address) {
    print("{} at {:#x}\n", trap.cause, trap.address);
  } else {
    print("{}\n", trap.cause);
  }
  if (task == nullptr && name_of_task != nullptr) task = name_of_task();
  print("task: {}\n", is_readable_text(task) ? task : "(none)");
}

void print_registers(const Trap& trap) {
  constexpr size_t kColumns = 4;
  for (size_t i = 0; i < trap.registers.size(); ++i) {
    const bool last = i % kColumns == kColumns - 1 || i + 1 == trap.registers.size();
    print("{:>8} {:016x}{}", trap.register_names[i], trap.registers[i], last ? "\n" : "");
  }
}

/// The addresses of the calls that led here, innermost first. Follows frame pointers; an image that
/// was compiled without them (`-c opt`) gets what can be known from the registers. Trusts nothing:
/// each record must be readable, aligned and above the one before.
void print_backtrace(const Trap& trap) {
  constexpr int kMostFrames = 32;
  print("backtrace; to read it: llvm-symbolizer-19 -e <image>");
  if (is_text(trap.pc)) print(" {:#x}", trap.pc);
  // Code that was just entered, or that jumped to nowhere, has no frame yet. A return address may
  // lie behind the last instruction of a function that calls and never returns: look one byte
  // before, inside of the call.
  if ((trap.is_panic || !is_text(trap.pc)) && is_text(trap.return_address)) {
    print(" {:#x}", trap.return_address - 1);
  }
  uintptr_t frame = trap.frame_pointer;
  for (int depth = 0; depth < kMostFrames; ++depth) {
    const uintptr_t record = frame + static_cast<uintptr_t>(machine::kFrameRecord);
    if (frame % sizeof(uintptr_t) != 0 || !is_readable(record) ||
        !is_readable(record + 2 * sizeof(uintptr_t) - 1)) {
      break;
    }
    const auto* const words = reinterpret_cast<const uintptr_t*>(record);
    if (!is_text(words[1])) break;
    print(" {:#x}", words[1] - 1);
    if (words[0] <= frame) break;
    frame = words[0];
  }
  print("\n");
}

}  // namespace

void report(const Trap& trap) {
  unsigned owner = kNobody;
  const unsigned self = machine::cpu();
  if (!panicking.compare_exchange_strong(owner, self)) {
    if (owner != self) machine::stop();
    write("\nPANIC while panicking: ");
    write(trap.is_panic ? "kit::panic was called" : trap.cause);
    write("\n");
    finish(false);
  }
  take_console_over();
  print_head(trap);
  print_registers(trap);
  print_backtrace(trap);
  if (on_panic != nullptr) on_panic();
  finish(false);
}

}  // namespace kit
