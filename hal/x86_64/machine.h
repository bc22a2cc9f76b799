// The x86_64 machine: a processor in long mode with a local APIC.
//
// GS's base is the address of the CPU's `Local`. Timer: the local APIC's one-shot counter, whose
// 32 bits may end before a far instant: it then fires early, and the scheduler arms anew. Kicks:
// an inter-processor interrupt. Clock: the time stamp counter; its rate and the APIC timer's are
// measured against the PIT when the CPU starts. Skew between CPUs is what the processor's is: none
// where the TSC is invariant.
//
// Specification: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, chapters
// "Advanced Programmable Interrupt Controller" and "Time-Stamp Counter".

#ifndef BATON_HAL_X86_64_MACHINE_H_
#define BATON_HAL_X86_64_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/x86_64/clock.h"

extern "C" {
/// switch.S. Saves rbx, rbp, rsp, r12 to r15 for `*save_sp`, loads them from `load_sp`.
void baton_x86_64_switch(void** save_sp, void* load_sp);
/// first_entry.S. Where a new task's first switch ends up; not callable.
void baton_x86_64_first_entry();
/// interrupt.S. The entries of the vectors `kFirstVector` to `kFirstVector + kVectors - 1`, for the
/// kernel's interrupt descriptor table: interrupt gates without a stack of their own.
extern const uintptr_t baton_x86_64_interrupts[];
}

namespace hal::x86_64 {

inline constexpr uint8_t kFirstVector = 0x20;
inline constexpr size_t kVectors = 16;
inline constexpr uint8_t kTimerVector = 0x20;
inline constexpr uint8_t kKickVector = 0x21;
inline constexpr uint8_t kSpuriousVector = 0x2f;

/// Where a board has its local APIC, as the kernel maps it.
struct Pc {
  static constexpr uintptr_t kLocalApic = 0xfee0'0000;
};

/// See the head of this file.
template <typename Board = Pc>
class Machine {
  static constexpr uint64_t kInterruptFlag = 1 << 9;
  static constexpr size_t kSavedRegisters = 6;

 public:
  /// The local APIC's id.
  using HardwareId = uint32_t;

  struct Local : LocalBase {
    Local* self = nullptr;        ///< one pointer in, behind `LocalBase`; `local` relies on it
    uint64_t clock_hz = 0;        ///< measured by `start_cpu` if it is not known yet
    uint64_t timer_per_tick = 0;  ///< APIC timer counts a tick, in 2^-32
    /// Of each CPU number, for kicks; the kernel sets it before a second CPU starts.
    const HardwareId* hardware_ids = nullptr;
    /// The CPU's task state segment, for user mode (hal/x86_64/user.h); the kernel sets it.
    std::byte* task_state = nullptr;
  };

  struct Context {
    void* sp = nullptr;
  };

  /// RFLAGS.IF as it was; no other bit is ever set.
  struct Irq {
    uint64_t flag = 0;
    friend constexpr bool operator==(const Irq&, const Irq&) = default;
  };
  static constexpr Irq kUnmasked{kInterruptFlag};

  static constexpr size_t kContextBytes = (kSavedRegisters + 2) * sizeof(uint64_t);

  static void start_cpu(Local& local, CpuNumber number) {
    local.number = number;
    local.self = &local;
    static_assert(sizeof(LocalBase) <= sizeof(Local*));
    const auto base = reinterpret_cast<uintptr_t>(&local);
    asm volatile("wrmsr"
                 :
                 : "c"(0xc000'0101), "a"(static_cast<uint32_t>(base)),
                   "d"(static_cast<uint32_t>(base >> 32))
                 : "memory");
    apic(kSpurious) = 0x100 | kSpuriousVector;  // bit 8 turns the APIC on
    apic(kTaskPriority) = 0;
    apic(kDivide) = 0xb;          // count at the full rate
    apic(kTimer) = kTimerVector;  // one-shot
    if (local.clock_hz == 0) {
      const Rates rates = measure_rates([] { apic(kInitial) = ~uint32_t{0}; },
                                        [] { return ~uint32_t{0} - apic(kCurrent); });
      local.clock_hz = rates.clock_hz;
      local.timer_per_tick = (rates.timer_hz << 32) / rates.clock_hz;  // below 2^32 Hz
    }
    apic(kInitial) = 0;
  }

  /// Not part of `hal::Machine`: for a kernel of several CPUs. Readies the block of a CPU before
  /// that starts, by that of one that has: the ids, and the rates, which are then not measured anew
  /// and so are the same on all.
  static void prepare_cpu(Local& local, const Local& started) {
    local.hardware_ids = started.hardware_ids;
    local.clock_hz = started.clock_hz;
    local.timer_per_tick = started.timer_per_tick;
  }

  /// Not part of `hal::Machine`: has a CPU that sleeps since power-on begin in real mode at `page`,
  /// the beginning of a page below 1 MiB (SDM volume 3, "MP Initialization Protocol"). Masked, on a
  /// CPU that has started; takes 11 ms. Nothing tells whether there is such a CPU: it says so
  /// itself, or does not.
  static void power_on(HardwareId id, uintptr_t page) {
    constexpr uint32_t kInit = 5 << 8, kStartUp = 6 << 8, kAssert = 1 << 14;
    const uint64_t ms = local()->clock_hz / 1'000;
    send(id, kInit | kAssert);
    pause(10 * ms);
    for (int i = 0; i < 2; ++i) {
      send(id, kStartUp | kAssert | static_cast<uint32_t>(page >> 12));
      pause(ms / 2);
    }
  }

  static Local* local() {
    Local* local;
    asm volatile("mov %%gs:%c1, %0" : "=r"(local) : "i"(sizeof(LocalBase*)));  // its `self`
    return local;
  }

  static Instant now() { return Instant{read_clock()}; }

  static uint64_t ticks_per_second() { return local()->clock_hz; }

  static void arm(Instant when) {
    if (when == never) {
      apic(kInitial) = 0;
      return;
    }
    constexpr uint64_t kLongest = ~uint32_t{0};
    const auto counts =
        static_cast<unsigned __int128>((when - now()).ticks) * local()->timer_per_tick >> 32;
    apic(kInitial) = static_cast<uint32_t>(counts < kLongest ? counts + 1 : kLongest);
  }

  static Irq mask() {
    uint64_t flags;
    asm volatile("pushfq\n pop %0\n cli" : "=r"(flags) : : "memory");
    return Irq{flags & kInterruptFlag};
  }

  static void mask_unmasked() { asm volatile("cli" : : : "memory"); }

  static void unmask(Irq irq) {
    if (irq == kUnmasked) asm volatile("sti" : : : "memory");
  }

  static Context make_context(std::span<std::byte> stack, Entry entry, void* argument) {
    // The frame that `baton_x86_64_switch` loads, the address it jumps to, and the return address
    // of an entry that never returns: zero, which also ends a backtrace. What else is in it is
    // zeroed by the first entry.
    auto* const frame =
        reinterpret_cast<uint64_t*>(stack.data() + stack.size()) - kSavedRegisters - 2;
    frame[kSavedRegisters - 2] = reinterpret_cast<uint64_t>(entry);     // rbx
    frame[kSavedRegisters - 3] = reinterpret_cast<uint64_t>(argument);  // r12
    frame[kSavedRegisters] = reinterpret_cast<uint64_t>(&baton_x86_64_first_entry);
    frame[kSavedRegisters + 1] = 0;
    return {frame};
  }

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    const auto context = [](void* object) {
      return reinterpret_cast<Context*>(static_cast<std::byte*>(object) + kOffset);
    };
    baton_x86_64_switch(&context(from)->sp, context(to)->sp);
  }

  // STI takes effect after the next instruction: nothing can come between it and HLT.
  static void relax() { asm volatile("pause"); }

  static void wait() { asm volatile("sti\n hlt\n cli" : : : "memory"); }

  static void kick(CpuNumber cpu) {
    const Local& self = *local();
    if (cpu == self.number) {
      apic(kCommand) = 1u << 18 | kKickVector;  // the shorthand "self"
    } else {
      send(self.hardware_ids[cpu], kKickVector);
    }
  }

  /// CR3: the physical address of the top table, with its low bits. Zero: any.
  struct Space {
    uint64_t root = 0;
    friend constexpr bool operator==(const Space&, const Space&) = default;
  };

  /// What FXSAVE stores: x87, MMX and SSE. The kernel has set CR4.OSFXSR and cleared CR0.TS. A new
  /// one is what a program expects: empty, with every exception masked (in zeroes none would be).
  struct alignas(16) Fpu {
    uint16_t fcw = 0x037f;
    std::byte x87[22] = {};
    uint32_t mxcsr = 0x1f80;
    std::byte registers[484] = {};
  };
  static_assert(sizeof(Fpu) == 512);

  // Without PCIDs a write to CR3 forgets every translation that is not global.
  static void load_space(Space space) {
    asm volatile("mov %0, %%cr3" : : "r"(space.root) : "memory");
  }

  static void swap_fpu(Fpu* save, const Fpu* load) {
    if (save != nullptr) asm volatile("fxsave64 %0" : "=m"(*save));
    if (load != nullptr) asm volatile("fxrstor64 %0" : : "m"(*load));
  }

  /// Stops this CPU for ever, silently: a kernel hides it with a `panic` that prints.
  [[noreturn]] static void panic(const char*, const char*) {
    for (;;) asm volatile("cli\n hlt");
  }

  /// Not part of `hal::Machine`: for `baton_interrupt`. Names the cause behind a vector and ends
  /// the interrupt where that is the machine's to do.
  static Interrupt acknowledge(uintptr_t vector) {
    switch (vector) {
      case kTimerVector: apic(kEnd) = 0; return {.cause = Cause::timer};
      case kKickVector: apic(kEnd) = 0; return {.cause = Cause::kick};
      case kSpuriousVector: return {};
      default: return {.cause = Cause::device, .line = static_cast<uint32_t>(vector)};
    }
  }

  /// Ends a device's interrupt.
  static void complete(Interrupt) { apic(kEnd) = 0; }

 private:
  // Registers of the local APIC, by offset.
  static constexpr uintptr_t kTaskPriority = 0x80, kEnd = 0xb0, kSpurious = 0xf0, kCommand = 0x300,
                             kCommandTarget = 0x310, kTimer = 0x320, kInitial = 0x380,
                             kCurrent = 0x390, kDivide = 0x3e0;

  static volatile uint32_t& apic(uintptr_t offset) {
    return *reinterpret_cast<volatile uint32_t*>(Board::kLocalApic + offset);
  }

  // An interrupt for another CPU. xAPIC registers are uncached memory: these stores cannot overtake
  // the ones before them. (An x2APIC's are not, and would need a fence here.)
  static void send(HardwareId id, uint32_t command) {
    constexpr uint32_t kPending = 1 << 12;
    const Irq irq = mask();  // two registers: an interrupt between them may send its own
    while (apic(kCommand) & kPending) relax();
    apic(kCommandTarget) = id << 24;
    apic(kCommand) = command;
    unmask(irq);
  }

  static void pause(uint64_t ticks) {
    const uint64_t start = read_clock();
    while (read_clock() - start < ticks) relax();
  }
};

}  // namespace hal::x86_64

static_assert(hal::SpaceMachine<hal::x86_64::Machine<>>);

#endif  // BATON_HAL_X86_64_MACHINE_H_
