// A list through the pages that were given back, and behind it the RAM that was never used.

#include "kernel_demo/user/pages.h"

#include <algorithm>
#include <cstdint>

#include "hal/native.h"

namespace demo {
namespace {

struct Free {
  Free* next;
};

constinit Free* first_free = nullptr;
constinit size_t used_of_memory = 0;  // bytes, from its beginning
constinit size_t in_use = 0;
constinit size_t limit = SIZE_MAX;

Page* take_dirty_page() {
  if (in_use >= limit) return nullptr;
  void* page = first_free;
  if (page != nullptr) {
    first_free = first_free->next;
  } else {
    if (kit::memory().size() - used_of_memory < kit::kPageSize) return nullptr;
    page = kit::memory().data() + used_of_memory;
    used_of_memory += kit::kPageSize;
  }
  ++in_use;
  return static_cast<Page*>(page);
}

}  // namespace

Page* take_page() {
  const auto irq = hal::Native::mask();
  Page* const page = take_dirty_page();
  hal::Native::unmask(irq);
  // Nothing of whoever had it before is left in it.
  if (page != nullptr) std::ranges::fill(page->bytes, std::byte{});
  return page;
}

void give_page(Page* page) {
  const auto irq = hal::Native::mask();
  auto* const free = reinterpret_cast<Free*>(page);
  free->next = first_free;
  first_free = free;
  --in_use;
  hal::Native::unmask(irq);
}

bool is_from_memory(const Page* page) {
  const std::span<std::byte> memory = kit::memory();
  return page->bytes >= memory.data() && page->bytes < memory.data() + memory.size();
}

size_t pages_in_use() { return in_use; }

void limit_pages(size_t most) { limit = most; }

}  // namespace demo
