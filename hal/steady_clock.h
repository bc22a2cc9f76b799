// For a machine whose clock may step back: the same machine, with one that does not.
//
// `hal::Machine` asks for a clock that never goes back on one CPU, and the scheduler, which reads
// it at each turn, does not look. Most clocks keep that by themselves. One that may not (firmware
// writes it, a hypervisor moves the machine, it is read in two halves) is wrapped:
//
//     struct Machine : hal::SteadyClock<hal::x86_64::Machine> { ... };
//
// An instant before the latest that this CPU has read is that one: time stands still until the
// clock has caught up. What is armed comes when the clock says so. Each step back is counted
// (`Scheduler::usage` of a CPU). Apart, because it is a mask, two words and a compare at each
// reading, and a yield has no more than some twenty instructions.
//
// A leap forward cannot be told from a long time in which nothing ran, and needs no help: what has
// come due meanwhile is late, and done in steps as ever.

#ifndef BATON_HAL_STEADY_CLOCK_H_
#define BATON_HAL_STEADY_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "hal/hal.h"

namespace hal {

/// See the head of this file. `now` also after `start_cpu` only.
template <Machine M>
struct SteadyClock : M {
  struct Local : M::Local {
    Instant read;    // the last reading
    Instant latest;  // of all
    std::atomic<uint64_t> steps_back{0};
  };

  static Local* local() { return static_cast<Local*>(M::local()); }

  static Instant now() {
    const typename M::Irq irq = M::mask();
    Local& local = *SteadyClock::local();
    const Instant read = M::now();
    if (read < local.read) [[unlikely]] {
      local.steps_back.store(local.steps_back.load(std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
    }
    local.read = read;
    if (local.latest < read) [[likely]]
      local.latest = read;
    const Instant latest = local.latest;
    M::unmask(irq);
    return latest;
  }
};

}  // namespace hal

#endif  // BATON_HAL_STEADY_CLOCK_H_
