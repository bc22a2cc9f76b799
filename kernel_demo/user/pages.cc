// A list through the pages that were given back, and behind it the RAM that was never used.

#include "kernel_demo/user/pages.h"

#include <algorithm>
#include <cstdint>

#include "hal/native.h"
#include "sched/policy/ticket_lock.h"

namespace demo {
namespace {

/// Whatever is below.
class Guard {
 public:
  Guard() : irq_(hal::Native::mask()) { lock_.lock(); }
  ~Guard() {
    lock_.unlock();
    hal::Native::unmask(irq_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  static inline constinit sched::TicketLock lock_;
  const hal::Native::Irq irq_;
};

struct Free {
  Free* next;
};

constinit Free* first_free = nullptr;
constinit size_t used_of_memory = 0;  // bytes, from its beginning
constinit size_t in_use = 0;
constinit size_t limit = SIZE_MAX;

Page* take_dirty_page() {
  const Guard guard;
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
  Page* const page = take_dirty_page();
  // Nothing of whoever had it before is left in it.
  if (page != nullptr) std::ranges::fill(page->bytes, std::byte{});
  return page;
}

void give_page(Page* page) {
  const Guard guard;
  auto* const free = reinterpret_cast<Free*>(page);
  free->next = first_free;
  first_free = free;
  --in_use;
}

bool is_from_memory(const Page* page) {
  const std::span<std::byte> memory = kit::memory();
  return page->bytes >= memory.data() && page->bytes < memory.data() + memory.size();
}

size_t pages_in_use() {
  const Guard guard;
  return in_use;
}

void limit_pages(size_t most) {
  const Guard guard;
  limit = most;
}

}  // namespace demo
