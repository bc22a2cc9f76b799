// What the space test has to know of aarch64's translation tables, as the kit sets them up: 39 bits
// of address, 4 KiB pages (Arm ARM, D8.3).

#ifndef BATON_TESTS_HAL_SPACE_AARCH64_TABLES_H_
#define BATON_TESTS_HAL_SPACE_AARCH64_TABLES_H_

#include <cstdint>

#include "hal/native.h"

namespace space_test {

/// Levels of tables, whose lowest maps 4 KiB an entry.
inline constexpr unsigned kLevels = 3;

/// A page far above the 16 GiB that the kit maps at most.
inline constexpr uintptr_t kAddress = uintptr_t{1} << 37;

/// An entry that leads to the next level's `table`.
inline uint64_t branch(uintptr_t table) { return table | 0x3; }

/// An entry of the lowest level that maps `page`, for data: inner shareable, accessed, never
/// executed. Global: only forgetting it keeps it out of another space.
inline uint64_t leaf(uintptr_t page) { return page | 0x703 | uint64_t{3} << 53; }

/// The top table that translation goes through.
inline uintptr_t top_table() {
  uint64_t ttbr0;
  asm volatile("mrs %0, ttbr0_el1" : "=r"(ttbr0));
  return ttbr0 & 0x0000'ffff'ffff'f000;
}

/// The space of a top table that is complete. The walk must find what was stored to its tables.
inline hal::Native::Space space_of(uintptr_t top) {
  asm volatile("dsb ishst" : : : "memory");
  return {.root = top};
}

}  // namespace space_test

#endif  // BATON_TESTS_HAL_SPACE_AARCH64_TABLES_H_
