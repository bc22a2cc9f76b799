// The demo's machine: the one of the target, with this kernel's word on panics, a note of every
// switch, and address spaces. It shows how a kernel changes something about a machine: it derives,
// and hides.

#ifndef BATON_KERNEL_DEMO_MACHINE_H_
#define BATON_KERNEL_DEMO_MACHINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "hal/hal.h"
#include "hal/native.h"
#include "hal/native_user.h"
#include "hal/space.h"
#include "kernel_demo/decisions.h"
#include "kernel_demo/kit.h"

namespace demo {

struct NotedMachine : hal::Native {
  [[noreturn]] static void panic(const char* rule, const char* task) { kit::panic(rule, task); }

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    const auto context = [](void* task) {
      return reinterpret_cast<const Context*>(static_cast<const std::byte*>(task) + kOffset);
    };
    decisions[local()->number].add({.from = context(from), .to = context(to), .when = now()});
    hal::Native::switch_to<kOffset>(from, to);
  }

  /// How often FPU registers were saved or loaded.
  static inline constinit std::atomic<uint64_t> fpu_swaps = 0;

  static void swap_fpu(Fpu* save, const Fpu* load) {
    fpu_swaps.fetch_add(1, std::memory_order_relaxed);
    hal::UserMode::use_fpu();
    hal::Native::swap_fpu(save, load);
  }
};

/// A space has one task: where that one leaves a CPU, the CPU leaves the space.
struct Machine : hal::WithSpaces<NotedMachine> {
  using Base = hal::WithSpaces<NotedMachine>;

  /// Where nothing but the kernel is mapped. Set before there is another one.
  static inline constinit Space kernel_space{};

  using Base::leave_cpu;
  static void leave_cpu(const Context& leaving) {
    Base::leave_cpu(leaving);
    leave_space(leaving.space);
  }

  /// This CPU is not in `space` any more. Masked.
  static void leave_space(Space space) {
    if (space != Space{}) Base::leave_space(space, kernel_space);
  }
};
static_assert(hal::SpaceMachine<Machine>);

using hal::CpuNumber;
using hal::Duration;
using hal::Instant;

inline Duration nanoseconds(uint64_t count) {
  return hal::to_ticks(count, Machine::ticks_per_second());
}
inline Duration microseconds(uint64_t count) { return nanoseconds(count * 1'000); }
inline Duration milliseconds(uint64_t count) { return nanoseconds(count * 1'000'000); }

inline uint64_t to_nanoseconds(Duration length) {
  return hal::to_nanoseconds(length, Machine::ticks_per_second());
}

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_MACHINE_H_
