// The aarch64 machine: a core at EL1 with a GICv3 and the generic timer.
//
// TPIDR_EL1 holds the address of the CPU's `Local`. Timer: the virtual timer's comparator, PPI 27.
// Kicks: software-generated interrupt 0. Clock: CNTVCT, which all cores share: no skew. Interrupts
// are masked by PSTATE.I alone; the kernel decides about the other three.
//
// Specifications: Arm Architecture Reference Manual (D13, "The Generic Timer"); Arm Generic
// Interrupt Controller Architecture Specification, GICv3 (12, "Programmers' model").

#ifndef BATON_HAL_AARCH64_MACHINE_H_
#define BATON_HAL_AARCH64_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/aarch64/switch.h"
#include "hal/hal.h"
#include "hal/interrupt.h"

extern "C" {
/// first_entry.S. Where a new task's first switch ends up; not callable.
void baton_aarch64_first_entry();
/// interrupt.S. The entry for interrupts in kernel mode: the kernel's IRQ vector leads here.
void baton_aarch64_interrupt();
/// fpu.S. To and from a `Machine::Fpu`.
void baton_aarch64_save_fpu(void* fpu);
void baton_aarch64_load_fpu(const void* fpu);
}

namespace hal::aarch64 {

/// Where a board has its interrupt controller, as the kernel maps it.
struct QemuVirt {
  static constexpr uintptr_t kDistributor = 0x0800'0000;
  static constexpr uintptr_t kRedistributors = 0x080a'0000;
};

/// See the head of this file.
template <typename Board = QemuVirt>
class Machine {
  static constexpr uint64_t kMasked = 1 << 7;  // PSTATE.I, as DAIF shows it
  static constexpr uint32_t kKickLine = 0;
  static constexpr uint32_t kTimerLine = 27;
  static constexpr uint32_t kNoLine = 1020;  // and above: nothing is pending
  static constexpr size_t kSavedRegisters = 12;

 public:
  /// The affinity fields of MPIDR_EL1.
  using HardwareId = uint64_t;

  struct Local : LocalBase {
    /// Of each CPU number, for kicks; the kernel sets it before a second CPU starts.
    const HardwareId* hardware_ids = nullptr;
  };

  struct Context {
    void* sp = nullptr;
  };

  /// PSTATE.I as it was; no other bit is ever set.
  struct Irq {
    uint64_t masked = 0;
    friend constexpr bool operator==(const Irq&, const Irq&) = default;
  };
  static constexpr Irq kUnmasked{0};

  static constexpr size_t kContextBytes = kSavedRegisters * sizeof(uint64_t);

  static void start_cpu(Local& local, CpuNumber number) {
    local.number = number;
    asm volatile("msr tpidr_el1, %0" : : "r"(&local) : "memory");
    if (number == 0) start_distributor();
    start_redistributor();
    // The CPU's own interface: by system registers, every priority let through, group 1 on.
    asm volatile(
        "msr s3_0_c12_c12_5, %0\n"  // ICC_SRE_EL1
        "isb\n"
        "msr s3_0_c4_c6_0, %1\n"    // ICC_PMR_EL1
        "msr s3_0_c12_c12_7, %2\n"  // ICC_IGRPEN1_EL1
        "isb\n"
        :
        : "r"(uint64_t{7}), "r"(uint64_t{0xff}), "r"(uint64_t{1})
        : "memory");
    arm(never);
    asm volatile("msr cntv_ctl_el0, %0" : : "r"(uint64_t{1}));
  }

  /// Not part of `hal::Machine`: for a kernel of several CPUs. Readies the block of a CPU before
  /// that starts, by that of one that has.
  static void prepare_cpu(Local& local, const Local& started) {
    local.hardware_ids = started.hardware_ids;
  }

  /// Not part of `hal::Machine`: has a CPU that is off begin at `entry`, a physical address, at
  /// EL1, masked, without MMU and caches, with `argument` in X0 (PSCI, Arm DEN 0022,
  /// CPU_ON, by HVC). False: the firmware refuses, because there is no such CPU or it is on.
  static bool power_on(HardwareId id, uintptr_t entry, uintptr_t argument) {
    constexpr uint64_t kCpuOn = 0xc400'0003;
    register uint64_t x0 asm("x0") = kCpuOn;
    register uint64_t x1 asm("x1") = id;
    register uint64_t x2 asm("x2") = entry;
    register uint64_t x3 asm("x3") = argument;
    // The calling convention (Arm DEN 0028) lets it use X4 to X17.
    asm volatile("dsb ish\n hvc #0"
                 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                 :
                 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                   "x16", "x17", "memory");
    return x0 == 0;
  }

  static Local* local() {
    // Volatile: clang would keep __builtin_thread_pointer() in a register across a switch, after
    // which the task may be on another CPU.
    Local* local;
    asm volatile("mrs %0, tpidr_el1" : "=r"(local));
    return local;
  }

  static Instant now() {
    uint64_t count;
    // The clobber keeps loads on their side of the read; without it clang reloads what it had.
    asm volatile("mrs %0, cntvct_el0" : "=r"(count) : : "memory");
    return Instant{count};
  }

  static uint64_t ticks_per_second() {
    uint64_t frequency;
    asm("mrs %0, cntfrq_el0" : "=r"(frequency));
    return frequency;
  }

  static void arm(Instant when) {
    asm volatile("msr cntv_cval_el0, %0" : : "r"(when.ticks) : "memory");
  }

  static Irq mask() {
    uint64_t daif;
    asm volatile("mrs %0, daif" : "=r"(daif));
    asm volatile("msr daifset, #2" : : : "memory");
    return Irq{daif & kMasked};
  }

  static void mask_unmasked() { asm volatile("msr daifset, #2" : : : "memory"); }

  static void unmask(Irq irq) {
    if (irq == kUnmasked) asm volatile("msr daifclr, #2" : : : "memory");
  }

  static Context make_context(std::span<std::byte> stack, Entry entry, void* argument) {
    // The frame that `switch_stacks` loads: x19, x20, … x30. What else is in it is zeroed by the
    // first entry.
    auto* const frame = reinterpret_cast<uint64_t*>(stack.data() + stack.size()) - kSavedRegisters;
    frame[0] = reinterpret_cast<uint64_t>(entry);
    frame[1] = reinterpret_cast<uint64_t>(argument);
    frame[11] = reinterpret_cast<uint64_t>(&baton_aarch64_first_entry);
    return {frame};
  }

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    switch_stacks<kOffset + offsetof(Context, sp)>(from, to);
  }

  // WFI wakes for a pending interrupt even while PSTATE.I masks it.
  static void relax() { asm volatile("yield"); }

  static void wait() { asm volatile("dsb sy\n wfi" : : : "memory"); }

  static void kick(CpuNumber cpu) {
    uint64_t affinity;
    if (const Local& self = *local(); cpu == self.number) {
      asm("mrs %0, mpidr_el1" : "=r"(affinity));
    } else {
      affinity = self.hardware_ids[cpu];
    }
    const uint64_t target = uint64_t{1} << (affinity & 0xf) |  // which of sixteen
                            (affinity & 0xff00) << 8 |         // Aff1
                            (affinity & 0xff'0000) << 16 |     // Aff2
                            (affinity >> 32 & 0xff) << 48 |    // Aff3
                            uint64_t{kKickLine} << 24;
    // The interrupt must not overtake our stores: DSB orders them before the system register.
    asm volatile("dsb ishst\n msr s3_0_c12_c11_5, %0\n isb" : : "r"(target) : "memory");
  }

  /// TTBR0_EL1: the physical address of the top table, and an ASID. Zero: any.
  struct Space {
    uint64_t root = 0;
    friend constexpr bool operator==(const Space&, const Space&) = default;
  };

  /// V0 to V31, FPSR and FPCR. The kernel has let EL1 use them (CPACR_EL1.FPEN).
  struct alignas(16) Fpu {
    std::byte registers[32 * 16] = {};
    uint64_t fpsr = 0;
    uint64_t fpcr = 0;
  };

  // Tables that were just written are seen, and nothing stale is, whatever the ASIDs: this CPU
  // forgets every translation of EL1 and EL0.
  static void load_space(Space space) {
    asm volatile("dsb ishst\n msr ttbr0_el1, %0\n isb\n tlbi vmalle1\n dsb nsh\n isb"
                 :
                 : "r"(space.root)
                 : "memory");
  }

  static void swap_fpu(Fpu* save, const Fpu* load) {
    if (save != nullptr) baton_aarch64_save_fpu(save);
    if (load != nullptr) baton_aarch64_load_fpu(load);
  }

  /// Stops this core for ever, silently: a kernel hides it with a `panic` that prints.
  [[noreturn]] static void panic(const char*, const char*) {
    mask();
    for (;;) wait();
  }

  /// Not part of `hal::Machine`: for `baton_interrupt`. Asks the controller which interrupt it is
  /// and ends it where that is the machine's to do; the timer stays pending until the next `arm`.
  static Interrupt acknowledge(uintptr_t) {
    uint64_t line;
    asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(line) : : "memory");  // ICC_IAR1_EL1
    if (line >= kNoLine) return {};
    if (line != kTimerLine && line != kKickLine) {
      return {.cause = Cause::device, .line = static_cast<uint32_t>(line)};
    }
    end(line);
    return {.cause = line == kTimerLine ? Cause::timer : Cause::kick};
  }

  /// Ends a device's interrupt.
  static void complete(Interrupt interrupt) { end(interrupt.line); }

 private:
  static void end(uint64_t line) {
    asm volatile("msr s3_0_c12_c12_1, %0" : : "r"(line) : "memory");  // ICC_EOIR1_EL1
  }

  static volatile uint32_t& reg(uintptr_t address) {
    return *reinterpret_cast<volatile uint32_t*>(address);
  }

  static void start_distributor() {
    constexpr uint32_t kGroup1AndAffinity = 0x12;
    reg(Board::kDistributor) = kGroup1AndAffinity;  // GICD_CTLR
  }

  static void start_redistributor() {
    constexpr uintptr_t kFrame = 0x2'0000;  // one core's two pages of 64 KiB
    constexpr uintptr_t kTyperHigh = 0x0c, kTyper = 0x08, kWaker = 0x14;
    constexpr uintptr_t kPrivate = 0x1'0000, kGroup = 0x80, kEnable = 0x100;
    constexpr uint32_t kLast = 1 << 4, kSleep = 1 << 1, kAsleep = 1 << 2;
    uint64_t mpidr;
    asm("mrs %0, mpidr_el1" : "=r"(mpidr));
    const uint32_t affinity =
        static_cast<uint32_t>((mpidr & 0xff'ffff) | (mpidr >> 32 & 0xff) << 24);
    uintptr_t frame = Board::kRedistributors;
    while (reg(frame + kTyperHigh) != affinity && !(reg(frame + kTyper) & kLast)) frame += kFrame;
    reg(frame + kWaker) = reg(frame + kWaker) & ~kSleep;
    while (reg(frame + kWaker) & kAsleep) {
    }
    reg(frame + kPrivate + kGroup) = ~uint32_t{0};
    reg(frame + kPrivate + kEnable) = 1u << kKickLine | 1u << kTimerLine;
  }
};

}  // namespace hal::aarch64

static_assert(hal::SpaceMachine<hal::aarch64::Machine<>>);

#endif  // BATON_HAL_AARCH64_MACHINE_H_
