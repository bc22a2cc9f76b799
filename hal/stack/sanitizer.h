// What AddressSanitizer and ThreadSanitizer have to be told about stacks that are switched by hand.
// Without a sanitizer every function here is empty.
//
// ASan keeps the bounds of the current stack, and a "fake stack" a stack for locals that outlive
// their frame; both change with the stack. TSan keeps a shadow thread, a "fiber", for each stack.

#ifndef BATON_HAL_STACK_SANITIZER_H_
#define BATON_HAL_STACK_SANITIZER_H_

#include <cstddef>
#include <span>
#include <utility>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BATON_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define BATON_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define BATON_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define BATON_TSAN 1
#endif

#ifdef BATON_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef BATON_TSAN
#include <sanitizer/tsan_interface.h>
#endif

// For the few functions that run while the stack and the sanitizers' idea of it differ: neither
// their accesses nor their entry and exit are looked at.
#if defined(__clang__)
#define BATON_UNCHECKED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define BATON_UNCHECKED \
  __attribute__((noinline, no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))
#endif

namespace hal::stack::sanitizer {

#if defined(BATON_ASAN) || defined(BATON_TSAN)
inline constexpr bool kOn = true;
#else
inline constexpr bool kOn = false;
#endif

/// Immediately before the switch to `stack`. `fake_stack` keeps what `arrive` wants on the way
/// back.
BATON_UNCHECKED inline void leave([[maybe_unused]] void** fake_stack,
                                  [[maybe_unused]] std::span<std::byte> stack) {
#ifdef BATON_ASAN
  __sanitizer_start_switch_fiber(fake_stack, stack.data(), stack.size());
#endif
}

/// Immediately after the switch, on the new stack. Returns the bounds of the stack before.
BATON_UNCHECKED inline std::span<std::byte> arrive([[maybe_unused]] void* fake_stack) {
#ifdef BATON_ASAN
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
  return {static_cast<std::byte*>(const_cast<void*>(bottom)), size};
#else
  return {};
#endif
}

/// Forgets the frames that were abandoned on `stack`, before somebody else uses the memory.
inline void forget_frames([[maybe_unused]] std::span<std::byte> stack) {
#ifdef BATON_ASAN
  __asan_unpoison_memory_region(stack.data(), stack.size());
#endif
}

/// Frees what `leave` kept for a stack that will never be continued. The only way is to act as if
/// it were continued and left for good.
BATON_UNCHECKED inline void drop([[maybe_unused]] void* fake_stack,
                                 [[maybe_unused]] std::span<std::byte> stack) {
#ifdef BATON_ASAN
  if (fake_stack == nullptr) return;
  void* own = nullptr;
  leave(&own, stack);
  const std::span<std::byte> here = arrive(fake_stack);
  leave(nullptr, here);
  arrive(own);
#endif
}

/// Whether what `stack` points to counts as reachable.
inline void scan_for_leaks([[maybe_unused]] std::span<std::byte> stack, [[maybe_unused]] bool on) {
#ifdef BATON_ASAN
  if (on) {
    __lsan_register_root_region(stack.data(), stack.size());
  } else {
    __lsan_unregister_root_region(stack.data(), stack.size());
  }
#endif
}

inline void* current_fiber() {
#ifdef BATON_TSAN
  return __tsan_get_current_fiber();
#else
  return nullptr;
#endif
}

inline void* create_fiber() {
#ifdef BATON_TSAN
  return __tsan_create_fiber(0);
#else
  return nullptr;
#endif
}

inline void destroy_fiber([[maybe_unused]] void* fiber) {
#ifdef BATON_TSAN
  __tsan_destroy_fiber(fiber);
#endif
}

/// `ordered`: what was done before the switch happens before what is done after it.
BATON_UNCHECKED inline void change_fiber([[maybe_unused]] void* fiber,
                                         [[maybe_unused]] bool ordered) {
#ifdef BATON_TSAN
  __tsan_switch_to_fiber(fiber, ordered ? 0 : __tsan_switch_to_fiber_no_sync);
#endif
}

/// What was done before `release(x)` happens before what is done after a later `acquire(x)`.
inline void release([[maybe_unused]] void* object) {
#ifdef BATON_TSAN
  __tsan_release(object);
#endif
}
inline void acquire([[maybe_unused]] void* object) {
#ifdef BATON_TSAN
  __tsan_acquire(object);
#endif
}

/// What the sanitizers keep of a stack while it is not run, for a machine that has a context for
/// each and is not told of their ends: gone with the context, or when that gets another one.
/// Nothing without a sanitizer.
class Shadow {
 public:
  constexpr Shadow() = default;
#if defined(BATON_ASAN) || defined(BATON_TSAN)
  /// Of a stack on which nothing has run.
  explicit Shadow(std::span<std::byte> stack)
      : stack_(stack), fiber_(create_fiber()), owns_fiber_(true) {
    forget_frames(stack);
  }
  Shadow(Shadow&& other) noexcept { *this = static_cast<Shadow&&>(other); }
  Shadow& operator=(Shadow&& other) noexcept {
    std::swap(stack_, other.stack_);
    std::swap(fake_stack_, other.fake_stack_);
    std::swap(fiber_, other.fiber_);
    std::swap(owns_fiber_, other.owns_fiber_);
    return *this;
  }
  ~Shadow() {
    drop(fake_stack_, stack_);
    if (owns_fiber_) destroy_fiber(fiber_);
  }

  std::span<std::byte> stack() const { return stack_; }

  /// Immediately before the switch from this one, of `stack`, to `next`.
  BATON_UNCHECKED void leave_for(const Shadow& next, std::span<std::byte> stack) {
    if (stack_.empty()) stack_ = stack;
    if (fiber_ == nullptr) fiber_ = current_fiber();
    leave(&fake_stack_, next.stack_);
    change_fiber(next.fiber_, /*ordered=*/true);
  }

  /// Immediately after a switch to this one. The bounds of the stack before.
  BATON_UNCHECKED std::span<std::byte> arrived() {
    void* const fake_stack = fake_stack_;
    fake_stack_ = nullptr;
    return arrive(fake_stack);
  }

 private:
  std::span<std::byte> stack_ = {};
  void* fake_stack_ = nullptr;
  void* fiber_ = nullptr;
  bool owns_fiber_ = false;
#else
  explicit Shadow(std::span<std::byte>) {}
  std::span<std::byte> stack() const { return {}; }
  void leave_for(const Shadow&, std::span<std::byte>) {}
  std::span<std::byte> arrived() { return {}; }
#endif
};

}  // namespace hal::stack::sanitizer

#endif  // BATON_HAL_STACK_SANITIZER_H_
