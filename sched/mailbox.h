// Who may touch a task, and how everybody else asks: the ownership word and the mailbox.
//
// A run queue belongs to one CPU, and so does each task in it: only its owner changes it, masked,
// without a lock. Everyone else sets a request in the task's word and, if that was the first one
// pending, pushes the task into its owner's mailbox. Three rules make it safe:
//
//   1. A request is pending if and only if the task is in one mailbox, or in the hands of the one
//      who pushes or drains it. So a task is never in two mailboxes.
//   2. The owner changes only while nothing is pending, or by whoever holds the task: the one who
//      drains it, or is about to push it.
//   3. While `arrive` is pending the task's private fields belong to nobody.
//
// The word carries owner, generation and requests together, so that one compare-and-swap decides
// all three. An empty mailbox says so in its head, and whoever finds it so kicks the owner, asleep
// or not: there is no second flag to compare it with, so no access needs sequential consistency.
// Posting is allocation-free, idempotent, and safe from an interrupt and from another CPU: the
// poster must be masked from its first look at the word to its kick.

#ifndef BATON_SCHED_MAILBOX_H_
#define BATON_SCHED_MAILBOX_H_

#include <atomic>
#include <cstdint>

#include "hal/hal.h"

namespace sched {

using hal::CpuNumber;

/// What a poster may ask of a task's owner; a set of bits.
using Requests = uint16_t;

namespace request {
inline constexpr Requests none = 0;
inline constexpr Requests arrive = 1 << 0;   ///< take it over: the private fields are yours now
inline constexpr Requests wake = 1 << 1;     ///< make it runnable, or let its next park pass
inline constexpr Requests retune = 1 << 2;   ///< its attribute slot holds new ones
inline constexpr Requests kill = 1 << 3;     ///< tell it to finish
inline constexpr Requests cancel = 1 << 4;   ///< end the wait under way
inline constexpr Requests suspend = 1 << 5;  ///< its count of suspensions has changed
inline constexpr Requests inherit = 1 << 6;  ///< what those that wait for it claim has changed
// What concerns where it is; all above the others.
inline constexpr Requests bind = 1 << 7;   ///< its affinity has changed
inline constexpr Requests place = 1 << 8;  ///< see whether it should be elsewhere
inline constexpr Requests carry = 1 << 9;  ///< it is an idle task, with something from its CPU
}  // namespace request

/// Owner of a task that no CPU knows: never spawned, or finished and handed back.
inline constexpr CpuNumber kNoOwner = 0xffff;

/// Owner of a task whose life is over and that has not been handed back: nobody may change it but
/// the CPU that does so.
inline constexpr CpuNumber kDead = 0xfffe;

/// Owner of a task whose life is about to begin: the same.
inline constexpr CpuNumber kUnborn = 0xfffd;

/// Owner of a blocked task that nobody owns: whoever asks something of it claims it.
inline constexpr CpuNumber kFloating = 0xfffc;

/// One value of a task's word: generation (32 bits), owner (16), requests (16).
class Ownership {
 public:
  /// Of a task that has not lived yet.
  constexpr Ownership() = default;
  constexpr Ownership(uint32_t generation, CpuNumber owner, Requests pending)
      : word_(uint64_t{generation} << 32 | uint64_t{owner} << 16 | pending) {}
  explicit constexpr Ownership(uint64_t word) : word_(word) {}

  /// Counts the lives of the task.
  constexpr uint32_t generation() const { return static_cast<uint32_t>(word_ >> 32); }
  constexpr CpuNumber owner() const { return static_cast<CpuNumber>(word_ >> 16); }
  constexpr Requests pending() const { return static_cast<Requests>(word_); }
  constexpr uint64_t word() const { return word_; }

  /// Whether some CPU owns it, or whoever claims it.
  constexpr bool is_alive() const { return owner() < kUnborn; }

  /// Whether a new life may begin.
  constexpr bool is_free() const { return owner() == kNoOwner; }

  /// The same life with another owner, or other requests.
  constexpr Ownership with_owner(CpuNumber owner) const {
    return Ownership((word_ & ~(uint64_t{0xffff} << 16)) | uint64_t{owner} << 16);
  }
  constexpr Ownership with_pending(Requests pending) const {
    return Ownership((word_ & ~uint64_t{0xffff}) | pending);
  }

  /// What comes after this life: late requests no longer fit, and a new one cannot begin yet.
  constexpr Ownership after_death() const { return Ownership(generation() + 1, kDead, 0); }

  /// The same life, or the one to come, in nobody's hands but those of who makes it begin.
  constexpr Ownership before_birth() const { return Ownership(generation(), kUnborn, 0); }

  /// The same, free for a new one.
  constexpr Ownership handed_back() const { return with_owner(kNoOwner); }

  friend constexpr bool operator==(const Ownership&, const Ownership&) = default;

 private:
  uint64_t word_ = uint64_t{kNoOwner} << 16;
};

/// What a task inherits to be posted: its word, and its place in the one mailbox it may be in.
class Postable {
 public:
  /// The word as it is now; stale as soon as it is read unless the reader is the owner.
  Ownership ownership(std::memory_order order = std::memory_order_relaxed) const {
    return Ownership(word_.load(order));
  }

  /// The lower half of the word of a task that `owner` may touch without a request.
  static constexpr uint32_t privately(CpuNumber owner) { return uint32_t{owner} << 16; }

  /// Whether the owner for whom `mine` is `privately` may touch it without a request: it owns it
  /// and nothing is pending. The test of the local path: one load, one compare.
  bool is_private_to(uint32_t mine) const {
    return static_cast<uint32_t>(word_.load(std::memory_order_relaxed)) == mine;
  }

  /// Adds `requests`. Returns the word before, in which the caller looks: a different generation
  /// or no owner, and nothing has changed; nothing pending, and the caller must now push it to the
  /// owner's mailbox; else its request travels with those before it. A floating task is claimed:
  /// it is on its way to `claimant` then, and the caller must push it there, or elsewhere after
  /// `redirect`.
  Ownership post(Requests requests, uint32_t generation, CpuNumber claimant = kFloating) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      const Ownership before(word);
      if (before.generation() != generation || !before.is_alive()) return before;
      // Even a request that is already there is written again: the release half is what makes the
      // poster's earlier stores visible to whoever takes the request.
      uint64_t after = word | requests;
      if (before.owner() == kFloating) {
        after = Ownership(after | request::arrive).with_owner(claimant).word();
      }
      if (word_.compare_exchange_weak(word, after, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
        return before;
      }
    }
  }

  /// Goes from exactly `from` to `to`; false if it was anything else.
  bool change(Ownership from, Ownership to) {
    uint64_t word = from.word();
    return word_.compare_exchange_strong(word, to.word(), std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

  /// Gives it to another owner with all that is pending, which is something. For whoever holds it:
  /// has it from a mailbox, or has yet to push it.
  void redirect(CpuNumber to) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(word, Ownership(word).with_owner(to).word(),
                                        std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
  }

  /// Makes a dead task free. What was done to it before is visible to whoever claims it.
  void hand_back() { word_.store(ownership().handed_back().word(), std::memory_order_release); }

  /// Ends the time `before_birth`: `owner` has it. What was done to it before is visible to whoever
  /// finds it alive.
  void be_born(CpuNumber owner, Requests pending) {
    const Ownership alive(ownership().generation(), owner, pending);
    word_.store(alive.word(), std::memory_order_release);
  }

  /// The drainer's step: takes all requests and sets the word to `to`.
  Requests take(Ownership to) {
    return Ownership(word_.exchange(to.word(), std::memory_order_acq_rel)).pending();
  }

 private:
  friend class Mailbox;
  friend class PostQueue;

  std::atomic<uint64_t> word_{Ownership().word()};
  Postable* next_ = nullptr;
};

/// Tasks in order; of one owner at a time. What a drainer has taken and not yet handled.
class PostQueue {
 public:
  bool empty() const { return first_ == nullptr; }

  void push_front(Postable& task) {
    task.next_ = first_;
    first_ = &task;
  }

  /// The first, taken out; null when there is none. After this the task may be posted again.
  Postable* pop_front() {
    Postable* const task = first_;
    if (task != nullptr) first_ = task->next_;
    return task;
  }

 private:
  friend class Mailbox;
  Postable* first_ = nullptr;
};

/// One CPU's mailbox: many push, its CPU takes all. Lock-free; an ABA problem cannot arise because
/// nobody pops one.
class Mailbox {
 public:
  enum class Pushed : uint8_t {
    quiet,    ///< others were waiting there already: whoever came first has kicked
    kick,     ///< it was empty: the owner must be kicked
    watched,  ///< it was empty, and its owner is awake and looks into it: no kick
    closed,   ///< that CPU takes no tasks; nothing has changed
  };

  /// Begins to accept tasks, or does so again. By the owner.
  void open() { head_.store(kEmpty, std::memory_order_release); }

  /// Accepts no more. By the owner; false: there is mail.
  bool close() { return change(kEmpty, kClosed); }

  /// From here on nobody kicks: the owner looks by itself, by `is_watched`, until `end_watch`.
  /// False: there is mail.
  bool begin_watch() { return change(kEmpty, kWatched); }
  bool is_watched() const { return head_.load(std::memory_order_relaxed) == kWatched; }
  /// That it is a compare-and-swap is the last look. False: there is mail.
  bool end_watch() { return change(kWatched, kEmpty); }

  bool is_open() const { return head_.load(std::memory_order_relaxed) != kClosed; }

  /// Puts `task` in. Everything the caller stored before is visible to the drainer.
  Pushed push(Postable& task) {
    uintptr_t head = head_.load(std::memory_order_relaxed);
    do {
      if (head == kClosed) return Pushed::closed;
      task.next_ = head <= kWatched ? nullptr : reinterpret_cast<Postable*>(head);
    } while (!head_.compare_exchange_weak(head, reinterpret_cast<uintptr_t>(&task),
                                          std::memory_order_release, std::memory_order_relaxed));
    return head == kEmpty ? Pushed::kick : head == kWatched ? Pushed::watched : Pushed::quiet;
  }

  bool empty() const { return head_.load(std::memory_order_relaxed) <= kWatched; }

  /// All that is in it, youngest first. For the owner, once it is open.
  PostQueue take_all() {
    PostQueue taken;
    if (!empty()) {
      taken.first_ = reinterpret_cast<Postable*>(head_.exchange(kEmpty, std::memory_order_acquire));
    }
    return taken;
  }

 private:
  // None is the address of a task. Closed is what a CPU block in zeroed memory begins with.
  static constexpr uintptr_t kClosed = 0;
  static constexpr uintptr_t kEmpty = 1;
  static constexpr uintptr_t kWatched = 2;

  // Only from one empty value to another, so there is nothing to see but what comes with a close.
  bool change(uintptr_t from, uintptr_t to) {
    return head_.compare_exchange_strong(from, to, std::memory_order_release,
                                         std::memory_order_relaxed);
  }

  std::atomic<uintptr_t> head_{kClosed};
};

}  // namespace sched

#endif  // BATON_SCHED_MAILBOX_H_
