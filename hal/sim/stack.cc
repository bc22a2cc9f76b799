// A stack with a guard page, from the host's memory map.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "hal/sim/sanitizer.h"
#include "hal/sim/sim.h"

namespace hal::sim {
namespace {

size_t page() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Stack::Stack(size_t bytes) {
  const size_t size = (bytes + page() - 1) / page() * page();
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
  munmap(bytes_.data() - page(), page() + bytes_.size());
}

Stack::Stack(Stack&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Stack& Stack::operator=(Stack&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace hal::sim
