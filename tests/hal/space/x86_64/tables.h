// What the space test has to know of x86_64's translation tables (Intel SDM volume 3, 4.5).

#ifndef BATON_TESTS_HAL_SPACE_X86_64_TABLES_H_
#define BATON_TESTS_HAL_SPACE_X86_64_TABLES_H_

#include <cstdint>

#include "hal/native.h"

namespace space_test {

/// Levels of tables, whose lowest maps 4 KiB an entry.
inline constexpr unsigned kLevels = 4;

/// A page in the second slot of the top table; the kit maps nothing beyond the first.
inline constexpr uintptr_t kAddress = uintptr_t{1} << 39;

/// An entry that leads to the next level's `table`.
inline uint64_t branch(uintptr_t table) { return table | 0x3; }

/// An entry of the lowest level that maps `page`, for data.
inline uint64_t leaf(uintptr_t page) { return page | 0x63 | uint64_t{1} << 63; }

/// The top table that translation goes through.
inline uintptr_t top_table() {
  uint64_t cr3;
  asm volatile("mov %%cr3, %0" : "=r"(cr3));
  return cr3 & ~uint64_t{0xfff};
}

/// The space of a top table that is complete.
inline hal::Native::Space space_of(uintptr_t top) { return {.root = top}; }

}  // namespace space_test

#endif  // BATON_TESTS_HAL_SPACE_X86_64_TABLES_H_
