// What a benchmark asks of riscv64 beyond hal: an instruction counter and a device to interrupt
// with.
//
// Counter: `instret`, exact under QEMU's -icount; the firmware lets S-mode read it. Device: the
// supervisor software interrupt, which needs no controller to be asked; the images that use it for
// this send no kicks.

#ifndef BATON_BENCH_RISCV64_PROBE_H_
#define BATON_BENCH_RISCV64_PROBE_H_

#include <cstdint>

#include "hal/interrupt.h"

namespace bench {

struct Probe {
  /// Once, before anything is read.
  static void start_counter() {}

  /// Programs may read it, too.
  static void let_user_mode_count() { asm volatile("csrs scounteren, 4"); }

  /// Reads the counter and stores it, in one piece that the compiler puts nothing into.
  static void mark(uint64_t& slot) {
    uint64_t count;
    asm volatile("rdinstret %0\n sd %0, 0(%1)\nbench_begin_%=:"
                 : "=&r"(count)
                 : "r"(&slot)
                 : "memory");
  }

  /// What `mark` and the next `read` cost when nothing is between them.
  static uint64_t cost_of_nothing() {
    uint64_t first, second, slot;
    asm volatile("rdinstret %0\n sd %0, 0(%2)\n rdinstret %1"
                 : "=&r"(first), "=r"(second)
                 : "r"(&slot)
                 : "memory");
    return second - first;
  }

  static uint64_t read() {
    uint64_t count;
    asm volatile("bench_end_%=: rdinstret %0" : "=r"(count) : : "memory");
    return count;
  }

  /// Lets the device's interrupt in: once, after `start_cpu`, which has done it here.
  static void start_device() {}

  /// `mark`, then raises the device's interrupt; unmasked, it is taken before the next instruction.
  static void mark_and_raise(uint64_t& slot) {
    uint64_t count;
    asm volatile("rdinstret %0\n sd %0, 0(%1)\nbench_begin_%=: csrsi sip, 2"
                 : "=&r"(count)
                 : "r"(&slot)
                 : "memory");
  }

  /// What `mark_and_raise` and the next `read` cost when the interrupt is not taken. Masked.
  static uint64_t cost_of_raising() {
    uint64_t first, second, slot;
    asm volatile("rdinstret %0\n sd %0, 0(%2)\n csrsi sip, 2\n rdinstret %1"
                 : "=&r"(first), "=r"(second)
                 : "r"(&slot)
                 : "memory");
    return second - first;
  }

  /// For a masked task: `mark`, then lets interrupts in; one that waits is taken before the next
  /// instruction.
  static void mark_and_unmask(uint64_t& slot) {
    uint64_t count;
    asm volatile("rdinstret %0\n sd %0, 0(%1)\nbench_begin_%=: csrsi sstatus, 2"
                 : "=&r"(count)
                 : "r"(&slot)
                 : "memory");
  }

  /// What `mark_and_unmask` and the next `read` cost when no interrupt waits. Masked; not after.
  static uint64_t cost_of_unmasking() {
    uint64_t first, second, slot;
    asm volatile("rdinstret %0\n sd %0, 0(%2)\n csrsi sstatus, 2\n rdinstret %1"
                 : "=&r"(first), "=r"(second)
                 : "r"(&slot)
                 : "memory");
    return second - first;
  }

  /// Makes this CPU work as another one of `S`, for posting as that one would. Masked.
  template <typename Local>
  static void become(Local& other) {
    static constexpr uintptr_t kHarts[] = {0, 0};
    other.hardware_ids = kHarts;
    asm volatile("mv tp, %0" : : "r"(&other) : "memory");
  }

  /// What `acknowledge` calls the device.
  static constexpr hal::Cause kDevice = hal::Cause::kick;
};

}  // namespace bench

#endif  // BATON_BENCH_RISCV64_PROBE_H_
