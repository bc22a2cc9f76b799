// A stack with a guard page, from the host's memory map.

#include "hal/stack/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>

#include "hal/stack/sanitizer.h"

namespace hal::stack {
namespace {

size_t page() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// Stacks that nobody uses at the moment. A test makes the same few thousands of times, and what the
// operating system does for a new one takes longer than all else in a short run.
struct Pool {
  static constexpr size_t kMost = 16;

  std::array<std::span<std::byte>, kMost> stacks;
  size_t count = 0;
  bool is_closed = false;  // the thread ends; a static stack may be given back even later
};

// Without a destructor: it can be used for as long as its thread lives.
constinit thread_local Pool pool;

void unmap(std::span<std::byte> stack) { munmap(stack.data() - page(), page() + stack.size()); }

struct PoolKeeper {
  ~PoolKeeper() {
    while (pool.count != 0) unmap(pool.stacks[--pool.count]);
    pool.is_closed = true;
  }
};

// An empty span: there is none of this size.
std::span<std::byte> take(size_t size) {
  for (size_t i = 0; i < pool.count; ++i) {
    if (pool.stacks[i].size() != size) continue;
    std::swap(pool.stacks[i], pool.stacks[pool.count - 1]);
    return pool.stacks[--pool.count];
  }
  return {};
}

void give(std::span<std::byte> stack) {
  if (pool.is_closed || pool.count == Pool::kMost) return unmap(stack);
  static thread_local PoolKeeper keeper;
  pool.stacks[pool.count++] = stack;
}

}  // namespace

Stack::Stack(size_t bytes) {
  const size_t size = (bytes + page() - 1) / page() * page();
  bytes_ = take(size);
  if (!bytes_.empty()) {
    sanitizer::scan_for_leaks(bytes_, true);
    return;
  }
  void* const memory =
      mmap(nullptr, page() + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("hal::stack::Stack: mmap");
    std::abort();
  }
  std::byte* const low = static_cast<std::byte*>(memory) + page();
  if (mprotect(low, size, PROT_READ | PROT_WRITE) != 0) {
    std::perror("hal::stack::Stack: mprotect");
    std::abort();
  }
  bytes_ = {low, size};
  sanitizer::scan_for_leaks(bytes_, true);
}

Stack::~Stack() {
  if (bytes_.empty()) return;
  sanitizer::scan_for_leaks(bytes_, false);
  sanitizer::forget_frames(bytes_);
  give(bytes_);
}

Stack::Stack(Stack&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Stack& Stack::operator=(Stack&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace hal::stack
