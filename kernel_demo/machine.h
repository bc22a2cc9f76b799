// The demo's machine: the one of the target, with this kernel's word on panics, a note of every
// switch, and address spaces. It shows how a kernel changes something about a machine: it derives,
// and hides.

#ifndef BATON_KERNEL_DEMO_MACHINE_H_
#define BATON_KERNEL_DEMO_MACHINE_H_

#include <array>
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

/// How many kicks each CPU has sent to others. Counted masked, by itself; read by anyone.
inline constinit std::array<std::atomic<uint64_t>, kCpus> kicks_sent{};

struct NotedMachine : hal::Native {
  [[noreturn]] static void panic(const char* rule, const char* task) { kit::panic(rule, task); }

  static void kick(hal::CpuNumber cpu) {
    const Irq irq = mask();
    if (const hal::CpuNumber self = local()->number; cpu != self) {
      kicks_sent[self].store(kicks_sent[self].load(std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
    }
    hal::Native::kick(cpu);
    unmask(irq);
  }

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    const auto context = [](void* task) {
      return reinterpret_cast<const Context*>(static_cast<const std::byte*>(task) + kOffset);
    };
    decisions[local()->number].add({.from = context(from), .to = context(to), .when = now()});
    hal::Native::switch_to<kOffset>(from, to);
  }

  /// How often FPU registers were saved or loaded.
  static inline constinit uint64_t fpu_swaps = 0;

  static void swap_fpu(Fpu* save, const Fpu* load) {
    ++fpu_swaps;
    hal::UserMode::use_fpu();
    hal::Native::swap_fpu(save, load);
  }
};

using Machine = hal::WithSpaces<NotedMachine>;
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
