// A class with a virtual destructor refers to `operator delete` even where nothing is ever deleted.
// Without a heap, reaching it is a bug. Weak: a kernel with a heap has its own.

#include <cstddef>
#include <new>

#include "platforms/runtime/runtime.h"

[[gnu::weak]] void operator delete(void*) noexcept {
  baton_runtime_panic("delete in a kernel without a heap");
}

[[gnu::weak]] void operator delete(void*, std::size_t) noexcept {
  baton_runtime_panic("delete in a kernel without a heap");
}

[[gnu::weak]] void operator delete(void*, std::align_val_t) noexcept {
  baton_runtime_panic("delete in a kernel without a heap");
}

[[gnu::weak]] void operator delete(void*, std::size_t, std::align_val_t) noexcept {
  baton_runtime_panic("delete in a kernel without a heap");
}
