// Waiting for a word of memory to change, which knows nothing of who waits: what locks that are one
// word large, a kernel's own or its programs', are built on. (H. Franke, R. Russell, M. Kirkwood,
// "Fuss, Futexes and Furwocks", Ottawa Linux Symposium 2002.) docs/sync.md
//
// A table of queues; an address, by its hash, has one of them, together with others. A word is
// compared under the lock of its queue. So if it is changed first and `wake` called then, either
// the comparison sees the change, or `wake` the one who waits.

#ifndef BATON_SCHED_SYNC_ADDRESS_WAIT_H_
#define BATON_SCHED_SYNC_ADDRESS_WAIT_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "sched/scheduler.h"
#include "sched/sync/sweep.h"
#include "sched/wait.h"

namespace sched {

/// See the head of this file. `kBuckets`, a power of two, is how many queues there are.
/// Constant-initialised; must not go while somebody waits or is in a call. 32 bytes a bucket.
///
///     from                  task   interrupt or boot   on misuse
///     wake, wake_all         x          x
///     wait(_...), try_wait   x                         stops: machine's panic
///
/// O(log n) to wait, O(n) to wake each, masked, for n tasks that wait by the same bucket: a kernel
/// has as many as tasks wait at a time, or more.
template <typename S, size_t kBuckets>
  requires(std::has_single_bit(kBuckets))
class AddressWait {
 public:
  constexpr AddressWait() = default;
  AddressWait(const AddressWait&) = delete;
  AddressWait& operator=(const AddressWait&) = delete;

  /// While `word` holds `expected`, waits for a `wake` of its address: for ever, or until an
  /// instant, or for so long. `done`: it held something else, or somebody has called `wake`.
  template <typename T>
  Waited wait(const std::atomic<T>& word, T expected) {
    return wait_until(word, expected, never);
  }
  template <typename T>
  Waited wait_until(const std::atomic<T>& word, T expected, Instant until) {
    typename S::Masked masked;
    masked.require_task();
    Bucket& bucket = this->bucket(&word);
    bucket.lock();
    if (word.load(std::memory_order_acquire) != expected) {
      bucket.unlock();
      return Waited::done;
    }
    return block(masked, bucket, &word, until);
  }
  template <typename T>
  Waited wait_for(const std::atomic<T>& word, T expected, Duration length) {
    return wait_until(word, expected, S::now() + length);
  }

  /// Ends the waits of the first `most` who wait now for `word`; how many that were.
  template <typename T>
  size_t wake(const std::atomic<T>& word, size_t most = 1) {
    return most == 0 ? 0 : wake(this->bucket(&word), &word, most);
  }
  template <typename T>
  size_t wake_all(const std::atomic<T>& word) {
    return wake(word, SIZE_MAX);
  }

 private:
  struct AddressWaiter : Waiter<S> {
    AddressWaiter(Waiting<S>& waiting, const void* address, uint64_t number)
        : Waiter<S>(waiting), address(address), number(number) {}

    const void* const address;
    const uint64_t number;
  };

  struct [[clang::capability("mutex")]] Bucket : WaitQueue<S> {
    uint64_t comers = 0;  // who has waited here so far
  };

  // By the highest bits of a product: D. Knuth, The Art of Computer Programming, section 6.4.
  Bucket& bucket(const void* address) {
    const uint64_t product = reinterpret_cast<uintptr_t>(address) * 0x9e37'79b9'7f4a'7c15;
    return buckets_[(product >> 32) & (kBuckets - 1)];
  }

  // Locked; afterwards not any more.
  [[gnu::noinline]] Waited block(typename S::Masked& masked, Bucket& bucket, const void* address,
                                 Instant until) __attribute__((release_capability(bucket))) {
    Waiting<S> waiting(masked);
    AddressWaiter waiter(waiting, address, bucket.comers++);
    bucket.insert(waiter);
    bucket.unlock();
    return bucket.wait(masked, waiting, waiter, until, [] {});
  }

  [[gnu::noinline]] size_t wake(Bucket& bucket, const void* address, size_t most) {
    size_t woken = 0;
    uint64_t end = UINT64_MAX;  // who comes later is not meant
    sync_internal::serve_each<S>([&]() -> sync_internal::Step<S> {
      bucket.lock();
      if (end == UINT64_MAX) end = bucket.comers;
      const auto served = serve(bucket, address, end);
      const bool is_last = !served || ++woken == most || bucket.empty();
      bucket.unlock();
      return {served, is_last};
    });
    return woken;
  }

  // The first who waits for it and came before the `end`th. Locked.
  static typename S::Served serve(Bucket& bucket, const void* address, uint64_t end) {
    for (Waiter<S>* at = bucket.first(); at != nullptr;) {
      auto& waiter = static_cast<AddressWaiter&>(*at);
      at = bucket.next(waiter);
      if (waiter.address != address || waiter.number >= end) continue;
      if (const auto served = bucket.serve(waiter, [](Waiter<S>&) {})) return served;
    }
    return {};
  }

  Bucket buckets_[kBuckets];
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_ADDRESS_WAIT_H_
