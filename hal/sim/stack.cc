// A stack with a guard page, from the host's memory map.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include "hal/sim/sanitizer.h"
#include "hal/sim/sim.h"

namespace hal::sim {
namespace {

size_t page() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// Stacks that nobody uses at the moment. A test makes the same few thousands of times, and what the
// operating system does for a new one takes longer than all else in a short run.
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (const std::span<std::byte> stack : stacks_) unmap(stack);
  }

  // An empty span: there is none of this size.
  std::span<std::byte> take(size_t size) {
    for (auto& stack : stacks_) {
      if (stack.size() != size) continue;
      std::swap(stack, stacks_.back());
      const std::span<std::byte> taken = stacks_.back();
      stacks_.pop_back();
      return taken;
    }
    return {};
  }

  void give(std::span<std::byte> stack) {
    if (stacks_.size() < kMost) return stacks_.push_back(stack);
    unmap(stack);
  }

 private:
  static constexpr size_t kMost = 16;

  static void unmap(std::span<std::byte> stack) {
    munmap(stack.data() - page(), page() + stack.size());
  }

  std::vector<std::span<std::byte>> stacks_;
};

thread_local Pool pool;

}  // namespace

Stack::Stack(size_t bytes) {
  const size_t size = (bytes + page() - 1) / page() * page();
  bytes_ = pool.take(size);
  if (!bytes_.empty()) {
    sanitizer::scan_for_leaks(bytes_, true);
    return;
  }
  void* const memory =
      mmap(nullptr, page() + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("hal::sim::Stack: mmap");
    std::abort();
  }
  std::byte* const low = static_cast<std::byte*>(memory) + page();
  if (mprotect(low, size, PROT_READ | PROT_WRITE) != 0) {
    std::perror("hal::sim::Stack: mprotect");
    std::abort();
  }
  bytes_ = {low, size};
  sanitizer::scan_for_leaks(bytes_, true);
}

Stack::~Stack() {
  if (bytes_.empty()) return;
  sanitizer::scan_for_leaks(bytes_, false);
  sanitizer::forget_frames(bytes_);
  pool.give(bytes_);
}

Stack::Stack(Stack&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Stack& Stack::operator=(Stack&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace hal::sim
