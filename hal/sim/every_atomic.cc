// Every atomic operation of a program as a choice point of the explorer.
//
// clang's `-fsanitize=thread` makes the compiler call a function for each atomic operation, in its
// place, and before each access to memory that other threads may see. These functions are this
// file, and not ThreadSanitizer's library: code is compiled with the flag and linked without it.
// Outside of a world with an explorer each does what it is named for, and nothing else.
//
// The names and signatures are those of LLVM's compiler-rt (sanitizer/tsan_interface_atomic.h and
// lib/tsan/rtl/tsan_interface.h). This file itself, and what it calls, is built without the flag.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "hal/sim/guest.h"

namespace {

using hal::sim::Explorer;
namespace guest = hal::sim::guest;

#define PLACE reinterpret_cast<uintptr_t>(__builtin_return_address(0))
// The function that the place is in has a frame, of which the second word is where it was called:
// what is explored is compiled with frame pointers (tests/explore/defs.bzl).
#define CALL (guest::Place{PLACE, (*static_cast<uintptr_t* const*>(__builtin_frame_address(0)))[1]})

std::memory_order order_of(int order) { return static_cast<std::memory_order>(order); }

// `change(old)`: what is to be stored, nothing where it stays. Returns the value before.
template <typename T, typename Change>
inline T atomically(Explorer::What what, volatile T* object, bool reads, bool may_write, int order,
                    guest::Place place, Change change) {
  // One host thread runs all CPUs: between the two calls nobody else can do anything. Outside of a
  // world there may be other threads, so the operation is atomic anyway.
  const bool explored = guest::is_explored();
  if (explored) guest::before_atomic(what, object, may_write, order_of(order), place);
  T old = __atomic_load_n(object, __ATOMIC_SEQ_CST);
  std::optional<T> next;
  do {
    next = change(old);
  } while (next && !__atomic_compare_exchange_n(object, &old, *next, false, __ATOMIC_SEQ_CST,
                                                __ATOMIC_SEQ_CST));
  if (explored) {
    guest::after_atomic(object, sizeof(T), reads, next.has_value(), next && *next != old,
                        order_of(order), place);
  }
  return old;
}

}  // namespace

#define FETCH(bits, name, expression)                                                       \
  uint##bits##_t __tsan_atomic##bits##_fetch_##name(volatile uint##bits##_t* object,        \
                                                    uint##bits##_t value, int order) {      \
    using T = uint##bits##_t;                                                               \
    return atomically(Explorer::What::update, object, true, true, order, CALL,              \
                      [=](T old) { return std::optional<T>(static_cast<T>(expression)); }); \
  }

// A failed compare-exchange is a load with an order of its own.
#define COMPARE(bits, name)                                                                        \
  int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t* object,               \
                                                    uint##bits##_t* expected,                      \
                                                    uint##bits##_t desired, int order, int fail) { \
    const uint##bits##_t wanted = *expected;                                                       \
    *expected = compare(object, wanted, desired, order, fail, CALL);                               \
    return *expected == wanted;                                                                    \
  }

namespace {

template <typename T>
T compare(volatile T* object, T expected, T desired, int order, int fail, guest::Place place) {
  const bool explored = guest::is_explored();
  if (explored) {
    guest::before_atomic(Explorer::What::compare, object, true, order_of(order), place);
  }
  T old = expected;
  const bool done =
      __atomic_compare_exchange_n(object, &old, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  if (explored) {
    guest::after_atomic(object, sizeof(T), true, done, done && old != desired,
                        order_of(done ? order : fail), place);
  }
  return old;
}

}  // namespace

#define ATOMICS(bits)                                                                              \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* object, int order) {    \
    using T = uint##bits##_t;                                                                      \
    return atomically(Explorer::What::load, const_cast<volatile T*>(object), true, false, order,   \
                      CALL, [](T) { return std::optional<T>(); });                                 \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t* object, uint##bits##_t value,          \
                                   int order) {                                                    \
    using T = uint##bits##_t;                                                                      \
    atomically(Explorer::What::store, object, false, true, order, CALL,                            \
               [=](T) { return std::optional<T>(value); });                                        \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t* object,                   \
                                                uint##bits##_t value, int order) {                 \
    using T = uint##bits##_t;                                                                      \
    return atomically(Explorer::What::exchange, object, true, true, order, CALL,                   \
                      [=](T) { return std::optional<T>(value); });                                 \
  }                                                                                                \
  FETCH(bits, add, old + value)                                                                    \
  FETCH(bits, sub, old - value)                                                                    \
  FETCH(bits, and, old& value)                                                                     \
  FETCH(bits, or, old | value)                                                                     \
  FETCH(bits, xor, old ^ value)                                                                    \
  FETCH(bits, nand, ~(old & value))                                                                \
  COMPARE(bits, strong)                                                                            \
  COMPARE(bits, weak)                                                                              \
  uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                       \
      volatile uint##bits##_t* object, uint##bits##_t expected, uint##bits##_t desired, int order, \
      int fail) {                                                                                  \
    return compare(object, expected, desired, order, fail, CALL);                                  \
  }

#define PLAIN(bytes)                                                                           \
  void __tsan_read##bytes(void* address) { guest::access(address, bytes, false, PLACE); }      \
  void __tsan_write##bytes(void* address) { guest::access(address, bytes, true, PLACE); }      \
  void __tsan_read_write##bytes(void* address) { guest::access(address, bytes, true, PLACE); } \
  void __tsan_unaligned_read##bytes(const void* address) {                                     \
    guest::access(address, bytes, false, PLACE);                                               \
  }                                                                                            \
  void __tsan_unaligned_write##bytes(void* address) {                                          \
    guest::access(address, bytes, true, PLACE);                                                \
  }                                                                                            \
  void __tsan_unaligned_read_write##bytes(void* address) {                                     \
    guest::access(address, bytes, true, PLACE);                                                \
  }

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_ignore_thread_begin() {}
void __tsan_ignore_thread_end() {}

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

void __tsan_atomic_thread_fence(int order) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  guest::fence(order_of(order), PLACE);
}
// Between a thread and its own interrupts, which the simulation takes one after the other.
void __tsan_atomic_signal_fence(int) {}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void* address, size_t size) { guest::access(address, size, false, PLACE); }
void __tsan_write_range(void* address, size_t size) { guest::access(address, size, true, PLACE); }
void __tsan_vptr_read(void** address) { guest::access(address, sizeof(void*), false, PLACE); }
void __tsan_vptr_update(void** address, void* value) {
  if (*address != value) guest::access(address, sizeof(void*), true, PLACE);
}

void* __tsan_memcpy(void* to, const void* from, size_t size) {
  guest::access(from, size, false, PLACE);
  guest::access(to, size, true, PLACE);
  return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, size_t size) {
  guest::access(from, size, false, PLACE);
  guest::access(to, size, true, PLACE);
  return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, size_t size) {
  guest::access(to, size, true, PLACE);
  return std::memset(to, value, size);
}

}  // extern "C"
