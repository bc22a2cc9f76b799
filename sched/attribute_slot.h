// The place where new attributes wait for the owner of their task.

#ifndef BATON_SCHED_ATTRIBUTE_SLOT_H_
#define BATON_SCHED_ATTRIBUTE_SLOT_H_

#include <atomic>

namespace sched {

/// Attributes of any size on the way from whoever sets them to the CPU that owns the task; the
/// latest win. Whoever stores or loads waits for the other to finish: for the copy of one object,
/// by a CPU that has interrupts masked, and so must have every caller.
template <typename Attributes>
class AttributeSlot {
 public:
  /// Stores `attributes` if `still_wanted()`, which is asked while nobody else can store: so what
  /// was meant for an earlier life of a task never replaces what is meant for a later one.
  template <typename Predicate>
  void store(const Attributes& attributes, Predicate still_wanted) {
    lock();
    if (still_wanted()) value_ = attributes;
    unlock();
  }

  /// Whatever else is under its lock: calls `f`.
  template <typename F>
  void locked(F f) {
    lock();
    f();
    unlock();
  }

  Attributes load() {
    lock();
    const Attributes copy = value_;
    unlock();
    return copy;
  }

 private:
  void lock() {
    while (busy_.exchange(true, std::memory_order_acquire)) {
    }
  }
  void unlock() { busy_.store(false, std::memory_order_release); }

  std::atomic<bool> busy_{false};
  Attributes value_{};
};

}  // namespace sched

#endif  // BATON_SCHED_ATTRIBUTE_SLOT_H_
