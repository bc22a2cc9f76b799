// How much address space this process has mapped, for tests that nothing is kept for stacks that
// are gone: what sanitizers keep for a stack is mapped, not allocated, so no leak check sees it.

#ifndef BATON_TESTS_HAL_MEMORY_USE_H_
#define BATON_TESTS_HAL_MEMORY_USE_H_

#include <cstddef>
#include <fstream>

namespace memory_use {

/// In pages, from the first number in /proc/self/statm.
inline size_t mapped_pages() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages;
}

}  // namespace memory_use

#endif  // BATON_TESTS_HAL_MEMORY_USE_H_
