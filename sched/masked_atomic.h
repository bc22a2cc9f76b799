// What only masked code changes: shared by the CPUs, or, where a kernel has one CPU, by nobody.
// There interrupts being masked is all it takes; so the same code has no locked instruction left.

#ifndef BATON_SCHED_MASKED_ATOMIC_H_
#define BATON_SCHED_MASKED_ATOMIC_H_

#include <atomic>
#include <type_traits>

#include "sched/policy/ticket_lock.h"

namespace sched::internal {

/// An atomic that whoever changes it does masked; anybody may look. `kMany`: on several CPUs.
template <typename T, bool kMany>
class MaskedAtomic : public std::atomic<T> {
 public:
  using std::atomic<T>::atomic;
};

template <typename T>
class MaskedAtomic<T, false> {
 public:
  constexpr MaskedAtomic() = default;
  constexpr explicit MaskedAtomic(T value) : word_(value) {}

  T load(std::memory_order) const { return word_.load(std::memory_order_relaxed); }
  void store(T value, std::memory_order) { word_.store(value, std::memory_order_relaxed); }

  bool compare_exchange_strong(T& expected, T desired, std::memory_order order, std::memory_order) {
    const T before = load(order);
    if (before != expected) {
      expected = before;
      return false;
    }
    store(desired, order);
    return true;
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure) {
    return compare_exchange_strong(expected, desired, success, failure);
  }

 private:
  std::atomic<T> word_{};
};

/// `compare_exchange_weak` by masked code, of a word that unmasked code changes too.
template <bool kMany, typename T>
bool change_masked(std::atomic<T>& word, T& expected, T desired, std::memory_order success) {
  if constexpr (kMany) {
    return word.compare_exchange_weak(expected, desired, success, std::memory_order_relaxed);
  } else {
    word.store(desired, std::memory_order_relaxed);  // what it is by the last look it still is
    return true;
  }
}

/// The lock of a CPU that has nobody to keep out.
class [[clang::capability("mutex")]] NoLock {
 public:
  template <typename Relax>
  [[clang::acquire_capability()]] void lock(Relax) {}
  [[clang::release_capability()]] void unlock() {}
};

/// The lock of masked CPUs, of which there may be many.
template <bool kMany>
using MaskedLock = std::conditional_t<kMany, TicketLock, NoLock>;

}  // namespace sched::internal

#endif  // BATON_SCHED_MASKED_ATOMIC_H_
