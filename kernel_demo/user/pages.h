// Pages of free RAM, one at a time: for programs, their stacks and their tables.

#ifndef BATON_KERNEL_DEMO_USER_PAGES_H_
#define BATON_KERNEL_DEMO_USER_PAGES_H_

#include <cstddef>

#include "kernel_demo/kit.h"

namespace demo {

/// As an aligned object: what is taken and given back.
struct alignas(kit::kPageSize) Page {
  std::byte bytes[kit::kPageSize];
};

/// A page of zeroes; null when there is none left. Masks interrupts for a moment.
Page* take_page();

/// Gives a page back that nobody uses any more.
void give_page(Page* page);

/// Whether `take_page` can have returned it.
bool is_from_memory(const Page* page);

/// How many are out.
size_t pages_in_use();

/// For tests: at most so many may be out at a time from here on.
void limit_pages(size_t most);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_PAGES_H_
