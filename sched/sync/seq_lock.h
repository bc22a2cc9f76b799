// A value that one writes now and then and many read: readers write nothing, and never hold up the
// writer. docs/sync.md
//
// A number goes up before and after each store, and is odd in between. A reader copies the value,
// and looks whether the number was even and stayed what it was; if not it copies again. The copies
// are of relaxed atomic words with fences around them, so a torn one is no data race, only thrown
// away. (H.-J. Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", MSPC 2012,
// figure 6.)

#ifndef BATON_SCHED_SYNC_SEQ_LOCK_H_
#define BATON_SCHED_SYNC_SEQ_LOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sched {

/// See the head of this file. `S` is the scheduler. Constant-initialised, to zeros. 8 bytes and the
/// value, rounded up to whole words.
///
///     from             task   interrupt or boot
///     store              x          x             by one CPU at a time: whose, is the kernel's
///     load, try_load     x          x
///
/// What holds. `store`: a bounded number of steps, masked, whoever reads. `try_load`: a bounded
/// number of steps; false only if a store was under way or has ended meanwhile. `load`: as many
/// copies as stores have come in between and one more - so one, on the CPU that stores; two, if
/// stores are further apart than two copies take; and for ever, if stores never leave room for a
/// copy. Everything stored before a `store` is visible after the load that gets its value.
template <typename S, typename T>
  requires std::is_trivially_copyable_v<T>
class SeqLock {
 public:
  constexpr SeqLock() = default;
  SeqLock(const SeqLock&) = delete;
  SeqLock& operator=(const SeqLock&) = delete;

  void store(const T& value) {
    uintptr_t words[kWords];
    words[kWords - 1] = 0;
    std::memcpy(words, &value, sizeof(T));
    // Masked: who interrupts it, and reads, would read for ever.
    typename S::Masked masked;
    const uintptr_t number = number_.load(std::memory_order_relaxed);
    number_.store(number + 1, std::memory_order_relaxed);
    // Who reads one of the words below reads the odd number after it, or a later one.
    std::atomic_thread_fence(std::memory_order_release);
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_relaxed);
    number_.store(number + 2, std::memory_order_release);
  }

  /// What was stored last.
  T load() const {
    Bytes copy;
    while (!copy_to(copy)) S::relax();
    return copy.value;
  }

  /// The same in one attempt. False, and `into` is what it was: a store came in between.
  bool try_load(T& into) const {
    Bytes copy;
    if (!copy_to(copy)) return false;
    into = copy.value;
    return true;
  }

 private:
  static constexpr size_t kWords = (sizeof(T) + sizeof(uintptr_t) - 1) / sizeof(uintptr_t);

  union Bytes {
    Bytes() {}
    T value;
  };

  bool copy_to(Bytes& copy) const {
    uintptr_t words[kWords];
    const uintptr_t before = number_.load(std::memory_order_acquire);
    for (size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_relaxed);
    // What follows is not before the words.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (before % 2 != 0 || number_.load(std::memory_order_relaxed) != before) return false;
    std::memcpy(&copy, words, sizeof(T));
    return true;
  }

  std::atomic<uintptr_t> number_{0};
  std::atomic<uintptr_t> words_[kWords] = {};
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_SEQ_LOCK_H_
