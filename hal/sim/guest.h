// What code that is built to be explored tells the world it runs in: `every_atomic.cc` calls this.

#ifndef BATON_HAL_SIM_GUEST_H_
#define BATON_HAL_SIM_GUEST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "hal/sim/explorer.h"

namespace hal::sim::guest {

/// Whether a guest of a world with an explorer runs, and not the simulation itself.
bool is_explored();

/// Where an operation stands in the code, and where the function was called that it is in.
struct Place {
  uintptr_t at;
  uintptr_t called_at;
};

/// An atomic operation is about to be done: other CPUs may come in between here.
void before_atomic(Explorer::What what, const volatile void* object, bool writes,
                   std::memory_order order, Place place);

/// It was done, and `changed` says whether the object has another value now. `wrote`: a compare-
/// exchange may have only read.
void after_atomic(const volatile void* object, size_t size, bool read, bool wrote, bool changed,
                  std::memory_order order, Place place);

void fence(std::memory_order order, uintptr_t place);

/// Memory is accessed otherwise.
void access(const volatile void* address, size_t size, bool write, uintptr_t place);

}  // namespace hal::sim::guest

#endif  // BATON_HAL_SIM_GUEST_H_
