// What AddressSanitizer and ThreadSanitizer have to be told about stacks that are switched by hand.
// Without a sanitizer every function here is empty.
//
// ASan keeps the bounds of the current stack, and a "fake stack" a stack for locals that outlive
// their frame; both change with the stack. TSan keeps a shadow thread, a "fiber", for each stack.
// The simulation runs everything in one host thread. Where TSan is to look for races between the
// virtual CPUs it must not learn an order from that: `Unseen` hides the simulation's own accesses,
// and the switches between CPUs are "unordered".

#ifndef BATON_HAL_SIM_SANITIZER_H_
#define BATON_HAL_SIM_SANITIZER_H_

#include <cstddef>
#include <span>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BATON_SIM_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define BATON_SIM_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define BATON_SIM_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define BATON_SIM_TSAN 1
#endif

#ifdef BATON_SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef BATON_SIM_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

// For the few functions that run while the stack and the sanitizers' idea of it differ: neither
// their accesses nor their entry and exit are looked at.
#if defined(__clang__)
#define BATON_SIM_UNCHECKED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define BATON_SIM_UNCHECKED \
  __attribute__((noinline, no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))
#endif

namespace hal::sim::sanitizer {

/// Immediately before the switch to `stack`. `fake_stack` keeps what `arrive` wants on the way
/// back.
BATON_SIM_UNCHECKED inline void leave([[maybe_unused]] void** fake_stack,
                                      [[maybe_unused]] std::span<std::byte> stack) {
#ifdef BATON_SIM_ASAN
  __sanitizer_start_switch_fiber(fake_stack, stack.data(), stack.size());
#endif
}

/// Immediately after the switch, on the new stack. Returns the bounds of the stack before.
BATON_SIM_UNCHECKED inline std::span<std::byte> arrive([[maybe_unused]] void* fake_stack) {
#ifdef BATON_SIM_ASAN
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
#ifdef BATON_SIM_ASAN
  __asan_unpoison_memory_region(stack.data(), stack.size());
#endif
}

/// Frees what `leave` kept for a stack that will never be continued. The only way is to act as if
/// it were continued and left for good.
BATON_SIM_UNCHECKED inline void drop([[maybe_unused]] void* fake_stack,
                                     [[maybe_unused]] std::span<std::byte> stack) {
#ifdef BATON_SIM_ASAN
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
#ifdef BATON_SIM_ASAN
  if (on) {
    __lsan_register_root_region(stack.data(), stack.size());
  } else {
    __lsan_unregister_root_region(stack.data(), stack.size());
  }
#endif
}

inline void* current_fiber() {
#ifdef BATON_SIM_TSAN
  return __tsan_get_current_fiber();
#else
  return nullptr;
#endif
}

inline void* create_fiber() {
#ifdef BATON_SIM_TSAN
  return __tsan_create_fiber(0);
#else
  return nullptr;
#endif
}

inline void destroy_fiber([[maybe_unused]] void* fiber) {
#ifdef BATON_SIM_TSAN
  __tsan_destroy_fiber(fiber);
#endif
}

/// `ordered`: what was done before the switch happens before what is done after it.
BATON_SIM_UNCHECKED inline void change_fiber([[maybe_unused]] void* fiber,
                                             [[maybe_unused]] bool ordered) {
#ifdef BATON_SIM_TSAN
  __tsan_switch_to_fiber(fiber, ordered ? 0 : __tsan_switch_to_fiber_no_sync);
#endif
}

/// What was done before `release(x)` happens before what is done after a later `acquire(x)`.
inline void release([[maybe_unused]] void* object) {
#ifdef BATON_SIM_TSAN
  __tsan_release(object);
#endif
}
inline void acquire([[maybe_unused]] void* object) {
#ifdef BATON_SIM_TSAN
  __tsan_acquire(object);
#endif
}

#ifndef BATON_SIM_TSAN
// How deep the simulation is in its own code, on the stack that runs.
inline constinit thread_local int hidden = 0;
#endif

/// Whether accesses of this stack are looked at.
inline bool is_seen() {
#ifdef BATON_SIM_TSAN
  return false;  // not by the explorer
#else
  return hidden == 0;
#endif
}

inline void hide() {
#ifdef BATON_SIM_TSAN
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#else
  ++hidden;
#endif
}
inline void show() {
#ifdef BATON_SIM_TSAN
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#else
  --hidden;
#endif
}

/// While it lives, accesses of this stack are the simulation's own and are not looked at.
class Unseen {
 public:
  Unseen() { hide(); }
  ~Unseen() { show(); }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;
};

/// The reverse, for a call from the simulation into the guest.
class Seen {
 public:
  Seen() { show(); }
  ~Seen() { hide(); }
  Seen(const Seen&) = delete;
  Seen& operator=(const Seen&) = delete;
};

}  // namespace hal::sim::sanitizer

#endif  // BATON_HAL_SIM_SANITIZER_H_
