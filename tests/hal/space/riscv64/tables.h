// What the space test has to know of riscv64's translation tables: Sv39 (privileged specification,
// 4.4).

#ifndef BATON_TESTS_HAL_SPACE_RISCV64_TABLES_H_
#define BATON_TESTS_HAL_SPACE_RISCV64_TABLES_H_

#include <cstdint>

#include "hal/native.h"

namespace space_test {

/// Levels of tables, whose lowest maps 4 KiB an entry.
inline constexpr unsigned kLevels = 3;

/// A page far above the 16 GiB that the kit maps at most.
inline constexpr uintptr_t kAddress = uintptr_t{1} << 37;

/// An entry that leads to the next level's `table`.
inline uint64_t branch(uintptr_t table) { return table >> 12 << 10 | 0x1; }

/// An entry of the lowest level that maps `page`, for data.
inline uint64_t leaf(uintptr_t page) { return page >> 12 << 10 | 0xc7; }

/// The top table that translation goes through.
inline uintptr_t top_table() {
  uint64_t satp;
  asm volatile("csrr %0, satp" : "=r"(satp));
  return (satp & ((uint64_t{1} << 44) - 1)) << 12;
}

/// The space of a top table that is complete.
inline hal::Native::Space space_of(uintptr_t top) {
  constexpr uint64_t kSv39 = uint64_t{8} << 60;
  return {.satp = kSv39 | top >> 12};
}

}  // namespace space_test

#endif  // BATON_TESTS_HAL_SPACE_RISCV64_TABLES_H_
