// What a benchmark asks of aarch64 beyond hal: an instruction counter and a device to interrupt
// with.
//
// Counter: the PMU's cycle counter, which under QEMU's -icount counts instructions. Device:
// software-generated interrupt 1, which the machine knows nothing about.

#ifndef BATON_BENCH_AARCH64_PROBE_H_
#define BATON_BENCH_AARCH64_PROBE_H_

#include <cstdint>

#include "hal/aarch64/machine.h"
#include "hal/interrupt.h"

namespace bench {

struct Probe {
  /// Once, before anything is read.
  static void start_counter() {
    constexpr uint64_t kEnableAndReset = 1 << 0 | 1 << 2 | 1 << 6;  // PMCR_EL0: E, C, LC
    constexpr uint64_t kCycles = uint64_t{1} << 31;
    asm volatile(
        "msr pmcr_el0, %0\n"
        "msr pmccfiltr_el0, xzr\n"
        "msr pmcntenset_el0, %1\n"
        "isb"
        :
        : "r"(kEnableAndReset), "r"(kCycles));
  }

  /// Programs may read it, too.
  static void let_user_mode_count() { asm volatile("msr pmuserenr_el0, %0" : : "r"(uint64_t{1})); }

  /// Reads the counter and stores it, in one piece that the compiler puts nothing into.
  static void mark(uint64_t& slot) {
    uint64_t count;
    asm volatile("mrs %0, pmccntr_el0\n str %0, [%1]\nbench_begin_%=:"
                 : "=&r"(count)
                 : "r"(&slot)
                 : "memory");
  }

  /// What `mark` and the next `read` cost when nothing is between them.
  static uint64_t cost_of_nothing() {
    uint64_t first, second, slot;
    asm volatile("mrs %0, pmccntr_el0\n str %0, [%2]\n mrs %1, pmccntr_el0"
                 : "=&r"(first), "=r"(second)
                 : "r"(&slot)
                 : "memory");
    return second - first;
  }

  static uint64_t read() {
    uint64_t count;
    asm volatile("bench_end_%=: mrs %0, pmccntr_el0" : "=r"(count) : : "memory");
    return count;
  }

  /// Lets the device's interrupt in: once, after `start_cpu`.
  static void start_device() {
    constexpr uintptr_t kSetEnable = 0x1'0100;  // GICR_ISENABLER0 of the first core
    *reinterpret_cast<volatile uint32_t*>(hal::aarch64::QemuVirt::kRedistributors + kSetEnable) =
        uint32_t{1} << kLine;
  }

  /// `mark`, then raises the device's interrupt; unmasked, it is taken before the next instruction.
  static void mark_and_raise(uint64_t& slot) {
    uint64_t count;
    asm volatile("mrs %0, pmccntr_el0\n str %0, [%1]\nbench_begin_%=: msr s3_0_c12_c11_5, %2\n isb"
                 : "=&r"(count)
                 : "r"(&slot), "r"(kSelf)
                 : "memory");
  }

  /// What `mark_and_raise` and the next `read` cost when the interrupt is not taken. Masked.
  static uint64_t cost_of_raising() {
    uint64_t first, second, slot;
    asm volatile(
        "mrs %0, pmccntr_el0\n str %0, [%2]\n msr s3_0_c12_c11_5, %3\n isb\n mrs %1, pmccntr_el0"
        : "=&r"(first), "=r"(second)
        : "r"(&slot), "r"(kSelf)
        : "memory");
    return second - first;
  }

  /// For a masked task: `mark`, then lets interrupts in; one that waits is taken before the next
  /// instruction.
  static void mark_and_unmask(uint64_t& slot) {
    uint64_t count;
    asm volatile("mrs %0, pmccntr_el0\n str %0, [%1]\nbench_begin_%=: msr daifclr, #2"
                 : "=&r"(count)
                 : "r"(&slot)
                 : "memory");
  }

  /// What `mark_and_unmask` and the next `read` cost when no interrupt waits. Masked; not after.
  static uint64_t cost_of_unmasking() {
    uint64_t first, second, slot;
    asm volatile("mrs %0, pmccntr_el0\n str %0, [%2]\n msr daifclr, #2\n mrs %1, pmccntr_el0"
                 : "=&r"(first), "=r"(second)
                 : "r"(&slot)
                 : "memory");
    return second - first;
  }

  /// Makes this CPU work as another one of `S`, for posting as that one would. Masked.
  template <typename Local>
  static void become(Local& other) {
    static constexpr uint64_t kAffinities[] = {0, 0};
    other.hardware_ids = kAffinities;
    asm volatile("msr tpidr_el1, %0" : : "r"(&other) : "memory");
  }

  /// What `acknowledge` calls the device.
  static constexpr hal::Cause kDevice = hal::Cause::device;

 private:
  static constexpr uint32_t kLine = 1;
  static constexpr uint64_t kSelf = uint64_t{kLine} << 24 | 1;  // to the core with affinity 0.0.0.0
};

}  // namespace bench

#endif  // BATON_BENCH_AARCH64_PROBE_H_
