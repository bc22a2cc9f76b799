// The riscv64 machine: a hart in supervisor mode with the Sstc extension, under an SBI firmware.
//
// `tp` holds the address of the CPU's `Local` (a kernel has no thread-local storage of its own, so
// the ABI's thread pointer is free). Timer: `stimecmp`, or the firmware's timer call where a hart
// has no Sstc. Kicks: the supervisor software interrupt, set directly for the own hart and through
// the firmware's IPI call for another. Clock: `time`, which all harts share: no skew.
//
// Specifications: The RISC-V Instruction Set Manual, Volume II (Supervisor-Level ISA; Sstc);
// RISC-V Supervisor Binary Interface Specification, chapters TIME, IPI and HSM.

#ifndef BATON_HAL_RISCV64_MACHINE_H_
#define BATON_HAL_RISCV64_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/hal.h"
#include "hal/interrupt.h"
#include "hal/riscv64/switch.h"

extern "C" {
/// first_entry.S. Where a new task's first switch ends up; not callable.
void baton_riscv64_first_entry();
/// interrupt.S. The entry for interrupts in kernel mode: the kernel's `stvec` vectors lead here.
void baton_riscv64_interrupt();
/// fpu.S. To and from a `Machine::Fpu`.
void baton_riscv64_save_fpu(void* fpu);
void baton_riscv64_load_fpu(const void* fpu);
}

namespace hal::riscv64 {

/// How the timer is set.
enum class Timer : uint8_t {
  sstc,  ///< the `stimecmp` register: one instruction
  sbi,   ///< a call of the firmware: a few hundred instructions, on every hart
};

/// See the head of this file. `kTicksPerSecond` is the board's timebase (QEMU virt: 10 MHz).
template <Timer kTimer = Timer::sstc, uint64_t kTicksPerSecond = 10'000'000>
class Machine {
  static constexpr uintptr_t kSie = 1 << 1;
  static constexpr uintptr_t kSoftware = 1 << 1;
  static constexpr uintptr_t kTimerBit = 1 << 5;
  static constexpr uintptr_t kSbiTime = 0x54494d45;
  static constexpr uintptr_t kSbiIpi = 0x735049;
  static constexpr uintptr_t kSbiHsm = 0x48534d;
  static constexpr uintptr_t kSbiFence = 0x52464e43;

 public:
  /// The hart's number.
  using HardwareId = uintptr_t;

  struct Local : LocalBase {
    /// Of each CPU number, for kicks; the kernel sets it before a second CPU starts.
    const HardwareId* hardware_ids = nullptr;
  };

  struct Context {
    void* sp = nullptr;
  };

  /// sstatus.SIE as it was; no other bit is ever set, so that a test for zero tells two apart.
  struct Irq {
    uintptr_t sie = 0;
    friend constexpr bool operator==(Irq a, Irq b) { return (a.sie != 0) == (b.sie != 0); }
  };
  static constexpr Irq kUnmasked{kSie};

  /// Thirteen registers and the argument, rounded up.
  static constexpr size_t kContextBytes = 128;

  static void start_cpu(Local& local, CpuNumber number) {
    local.number = number;
    asm volatile("mv tp, %0" : : "r"(&local) : "memory");
    arm(never);
    asm volatile("csrc sip, %0; csrs sie, %1" : : "r"(kSoftware), "r"(kSoftware | kTimerBit));
  }

  /// Not part of `hal::Machine`: for a kernel of several CPUs. Readies the block of a CPU before
  /// that starts, by that of one that has.
  static void prepare_cpu(Local& local, const Local& started) {
    local.hardware_ids = started.hardware_ids;
  }

  /// Not part of `hal::Machine`: has a stopped hart begin at `entry`, a physical address, in
  /// S-mode, masked, without translation, with its own number in a0 and `argument` in a1 (SBI,
  /// chapter HSM). False: the firmware refuses, because there is no such hart or it runs.
  static bool power_on(HardwareId id, uintptr_t entry, uintptr_t argument) {
    asm volatile("fence rw, rw" : : : "memory");
    return sbi_call(kSbiHsm, 0, id, entry, argument) == 0;
  }

  /// Not part of `hal::Machine`: instructions were written to memory; every hart may execute them
  /// from here on (SBI, chapter RFENCE). Thousands of instructions.
  static void publish_instructions() {
    constexpr uintptr_t kEveryHart = ~uintptr_t{0};
    asm volatile("fence rw, rw\n fence.i" : : : "memory");
    sbi_call(kSbiFence, 0, 0, kEveryHart);
  }

  static Local* local() {
    // Volatile: as on aarch64, the task may be on another CPU after a switch.
    Local* local;
    asm volatile("mv %0, tp" : "=r"(local));
    return local;
  }
  static Local* local_once() { return static_cast<Local*>(__builtin_thread_pointer()); }

  static Instant now() {
    uint64_t time;
    asm volatile("rdtime %0" : "=r"(time));
    return Instant{time};
  }

  static uint64_t ticks_per_second() { return kTicksPerSecond; }

  static void arm(Instant when) {
    if constexpr (kTimer == Timer::sstc) {
      asm volatile("csrw 0x14d, %0" : : "r"(when.ticks) : "memory");  // stimecmp
    } else {
      sbi_call(kSbiTime, 0, when.ticks, 0);
    }
  }

  static Irq mask() {
    uintptr_t sstatus;
    asm volatile("csrrci %0, sstatus, %1" : "=r"(sstatus) : "i"(kSie) : "memory");
    return Irq{sstatus & kSie};
  }

  static void unmask(Irq irq) { asm volatile("csrs sstatus, %0" : : "rK"(irq.sie) : "memory"); }

  static Context make_context(std::span<std::byte> stack, Entry entry, void* argument) {
    // The frame that `switch_stacks` loads, just below the stack pointer. What else it loads is
    // zeroed by the first entry.
    auto* const top = reinterpret_cast<uintptr_t*>(stack.data() + stack.size());
    top[-1] = reinterpret_cast<uintptr_t>(&baton_riscv64_first_entry);  // ra
    top[-3] = reinterpret_cast<uintptr_t>(entry);                       // s1
    top[-4] = reinterpret_cast<uintptr_t>(argument);                    // s2
    return {top};
  }

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    switch_stacks<kOffset + offsetof(Context, sp)>(from, to);
  }

  // The pause hint of Zihintpause, by number: a fence without effect where it is not known.
  static void relax() { asm volatile(".4byte 0x0100000f"); }

  // WFI wakes for a pending interrupt even while sstatus.SIE masks it.
  static void wait() { asm volatile("wfi" : : : "memory"); }

  static void kick_self() { asm volatile("csrs sip, %0" : : "r"(kSoftware) : "memory"); }

  static void kick(CpuNumber cpu) {
    Local& self = *local();
    if (cpu == self.number) {
      kick_self();
    } else {
      kick_hart(self.hardware_ids[cpu]);
    }
  }

  /// satp: mode, ASID and the page number of the top table. Zero: any.
  struct Space {
    uint64_t satp = 0;
    friend constexpr bool operator==(const Space&, const Space&) = default;
  };

  /// f0 to f31 and fcsr. The kernel has turned the unit on (sstatus.FS).
  struct Fpu {
    uint64_t f[32] = {};
    uint64_t fcsr = 0;
  };

  // Whatever the ASIDs, nothing stale: this hart forgets every translation.
  static void load_space(Space space) {
    asm volatile("csrw satp, %0\n sfence.vma" : : "r"(space.satp) : "memory");
  }

  static void swap_fpu(Fpu* save, const Fpu* load) {
    if (save != nullptr) baton_riscv64_save_fpu(save);
    if (load != nullptr) baton_riscv64_load_fpu(load);
  }

  /// Stops this hart for ever, silently: a kernel hides it with a `panic` that prints.
  [[noreturn]] static void panic(const char*, const char*) {
    mask();
    for (;;) wait();
  }

  /// Not part of `hal::Machine`: for `baton_interrupt`. Names the cause in `scause` and quiets it
  /// where that is the machine's to do; the timer stays pending until the next `arm`.
  static Interrupt acknowledge(uintptr_t scause) {
    switch (scause & 0xff) {
      case 1:
        asm volatile("csrc sip, %0" : : "r"(kSoftware) : "memory");
        return {.cause = Cause::kick};
      case 5: return {.cause = Cause::timer};
      case 9: return {.cause = Cause::device};
      default: return {.cause = Cause::none};
    }
  }

  /// Ends a device's interrupt. Here the controller is the PLIC, which is the kernel's.
  static void complete(Interrupt) {}

 private:
  [[gnu::noinline]] static void kick_hart(uintptr_t hart) {
    // The firmware's store to the other hart must come after ours to memory.
    asm volatile("fence rw, rw" : : : "memory");
    sbi_call(kSbiIpi, 0, 1, hart);
  }

  // Zero: done.
  static uintptr_t sbi_call(uintptr_t extension, uintptr_t function, uintptr_t first,
                            uintptr_t second, uintptr_t third = 0) {
    register uintptr_t a0 asm("a0") = first;
    register uintptr_t a1 asm("a1") = second;
    register uintptr_t a2 asm("a2") = third;
    register uintptr_t a6 asm("a6") = function;
    register uintptr_t a7 asm("a7") = extension;
    asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return a0;
  }
};

}  // namespace hal::riscv64

static_assert(hal::SpaceMachine<hal::riscv64::Machine<>>);

#endif  // BATON_HAL_RISCV64_MACHINE_H_
