// What a benchmark asks of x86_64 beyond hal: an instruction counter and a device to interrupt
// with.
//
// Counter: the time stamp counter, which under QEMU's -icount counts instructions. Device: an
// inter-processor interrupt to itself on a vector that the machine knows nothing about.

#ifndef BATON_BENCH_X86_64_PROBE_H_
#define BATON_BENCH_X86_64_PROBE_H_

#include <cstdint>

#include "hal/interrupt.h"
#include "hal/x86_64/machine.h"

namespace bench {

struct Probe {
  /// Once, before anything is read.
  static void start_counter() {}

  /// Programs may read it, too: they always may.
  static void let_user_mode_count() {}

  /// Reads the counter and stores it, in one piece that the compiler puts nothing into.
  static void mark(uint64_t& slot) {
    asm volatile("rdtsc\n mov %%eax, 0(%0)\n mov %%edx, 4(%0)\nbench_begin_%=:"
                 :
                 : "r"(&slot)
                 : "eax", "edx", "memory");
  }

  /// What `mark` and the next `read` cost when nothing is between them.
  static uint64_t cost_of_nothing() {
    uint64_t slot, second;
    asm volatile(
        "rdtsc\n mov %%eax, 0(%1)\n mov %%edx, 4(%1)\n rdtsc\n shl $32, %%rdx\n or %%rdx, %%rax"
        : "=&a"(second)
        : "r"(&slot)
        : "rdx", "memory");
    return second - slot;
  }

  static uint64_t read() {
    uint32_t low, high;
    asm volatile("bench_end_%=: rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return uint64_t{high} << 32 | low;
  }

  /// Lets the device's interrupt in: nothing to do here.
  static void start_device() {}

  /// `mark`, then raises the device's interrupt; unmasked, it is taken before the next instruction.
  static void mark_and_raise(uint64_t& slot) {
    asm volatile("rdtsc\n mov %%eax, 0(%0)\n mov %%edx, 4(%0)\nbench_begin_%=: movl %2, (%1)"
                 :
                 : "r"(&slot), "r"(kCommand), "i"(kSelf)
                 : "eax", "edx", "memory");
  }

  /// What `mark_and_raise` and the next `read` cost when the interrupt is not taken. Masked.
  static uint64_t cost_of_raising() {
    uint64_t slot, second;
    asm volatile(
        "rdtsc\n mov %%eax, 0(%1)\n mov %%edx, 4(%1)\n movl %3, (%2)\n"
        "rdtsc\n shl $32, %%rdx\n or %%rdx, %%rax"
        : "=&a"(second)
        : "r"(&slot), "r"(kCommand), "i"(kSelf)
        : "rdx", "memory");
    return second - slot;
  }

  /// For a masked task: `mark`, then lets interrupts in; one that waits is taken two instructions
  /// later, for `sti` shields the one after it.
  static void mark_and_unmask(uint64_t& slot) {
    asm volatile("rdtsc\n mov %%eax, 0(%0)\n mov %%edx, 4(%0)\nbench_begin_%=: sti\n nop"
                 :
                 : "r"(&slot)
                 : "eax", "edx", "memory");
  }

  /// What `mark_and_unmask` and the next `read` cost when no interrupt waits. Masked; not after.
  static uint64_t cost_of_unmasking() {
    uint64_t slot, second;
    asm volatile(
        "rdtsc\n mov %%eax, 0(%1)\n mov %%edx, 4(%1)\n sti\n nop\n"
        "rdtsc\n shl $32, %%rdx\n or %%rdx, %%rax"
        : "=&a"(second)
        : "r"(&slot)
        : "rdx", "memory");
    return second - slot;
  }

  /// Makes this CPU work as another one of `S`, for posting as that one would. Masked.
  template <typename Local>
  static void become(Local& other) {
    static constexpr uint32_t kApicIds[] = {0, 0};
    other.hardware_ids = kApicIds;
    const auto base = reinterpret_cast<uintptr_t>(&other);
    asm volatile("wrmsr"
                 :
                 : "c"(0xc000'0101), "a"(static_cast<uint32_t>(base)),
                   "d"(static_cast<uint32_t>(base >> 32))
                 : "memory");
  }

  /// What `acknowledge` calls the device.
  static constexpr hal::Cause kDevice = hal::Cause::device;

 private:
  static constexpr uint32_t kVector = hal::x86_64::kFirstVector + 2;
  static constexpr uint32_t kSelf = 1u << 18 | kVector;
  static constexpr uintptr_t kCommand = hal::x86_64::Pc::kLocalApic + 0x300;
};

}  // namespace bench

#endif  // BATON_BENCH_X86_64_PROBE_H_
