// The tasks of a shared scheduler, without a pointer: memory that several address spaces have at
// different addresses, and that some of them may scribble over. docs/shared_scheduler.md
//
// A slot a task. Those that are ready are in a ring by priority, first in first out; one that is
// claimed keeps its place there until its turn is over, so that the end of a turn is, as a rule,
// the ring's by one. Which priorities have somebody is kept in a bitmap: the ring and the
// `LevelSet` of the policies, with another kind of link (`Index`). Free slots that have been used
// are in a ring, too. All zeroes is a pool without tasks: fresh memory needs no constructor.
//
// What a link says is looked at once and brought into range before it is followed; a handle is
// compared with its slot; nothing loops over anything that memory says. So every function ends
// within a constant number of steps, without reaching beyond the pool, whatever is in it, and
// however that changes meanwhile. What it answers then is worth as much as the memory.

#ifndef BATON_SCHED_SHARED_POOL_H_
#define BATON_SCHED_SHARED_POOL_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "sched/policy/level_set.h"
#include "sched/policy/ring.h"

namespace sched::shared {

/// Names a task of a pool from `add` to `remove`; of no other life of its slot. None is zero.
class Handle {
 public:
  constexpr Handle() = default;
  constexpr explicit Handle(uint64_t word) : word_(word) {}
  constexpr Handle(uint32_t generation, uint8_t priority, uint16_t place)
      : word_(uint64_t{generation} << 32 | uint64_t{priority} << 16 | place) {}

  constexpr uint64_t word() const { return word_; }
  constexpr uint32_t generation() const { return static_cast<uint32_t>(word_ >> 32); }
  constexpr uint8_t priority() const { return static_cast<uint8_t>(word_ >> 16); }
  /// How far from the beginning of the pool its slot lies.
  constexpr uint16_t place() const { return static_cast<uint16_t>(word_); }

  constexpr explicit operator bool() const { return word_ != 0; }
  friend constexpr bool operator==(Handle, Handle) = default;

 private:
  uint64_t word_ = 0;
};

/// What a space has to run first, in one word, so that it is read at once: the larger one is
/// before the other; zero is nothing. By priority, then by when it became ready.
inline constexpr uint64_t kStampMask = (uint64_t{1} << 56) - 1;
constexpr uint64_t precedence(uint8_t priority, uint64_t stamp) {
  return uint64_t{priority} << 56 | (~stamp & kStampMask);
}

/// A link of two bytes: how far from the beginning of its `Arena` a slot lies. It must lie in the
/// same arena as what it leads to, and an arena at a multiple of its size: so a link finds it from
/// where it is itself. Whatever it holds, it leads to a slot's place within the arena.
template <typename Arena>
struct Index {
  template <typename Link>
  class To {
   public:
    constexpr To(std::nullptr_t) {}
    To(const To&) = delete;  // elsewhere it would lead elsewhere

    To& operator=(const To& other) {
      offset_ = other.offset();
      return *this;
    }
    To& operator=(Link* link) {
      offset_ = Arena::place_of(link);
      return *this;
    }

    Link& operator*() const { return *at(offset()); }
    Link* operator->() const { return at(offset()); }
    operator Link*() const {
      const uint16_t offset = this->offset();
      return offset == 0 ? nullptr : at(offset);
    }
    friend bool operator==(const To& one, const To& other) {
      return one.offset() == other.offset();
    }
    friend bool operator==(const To& to, Link* link) {
      return to.offset() == Arena::place_of(link);
    }

   private:
    // Once: it may be another one at the next look.
    uint16_t offset() const { return *const_cast<const volatile uint16_t*>(&offset_); }
    Link* at(uintptr_t offset) const {
      const uintptr_t arena = reinterpret_cast<uintptr_t>(this) & ~(Arena::kArena - 1);
      return reinterpret_cast<Link*>(arena | (offset & Arena::kPlaces));
    }

    uint16_t offset_ = 0;  // 0: nobody, there is no slot
  };
};

/// What a task is doing.
enum class State : uint8_t {
  free,      ///< nothing: the slot is nobody's
  ready,     ///< in a ring
  sleeping,  ///< waits for somebody to make it ready
  claimed,   ///< somebody runs it; in a ring
  woken,     ///< the same, and it was made ready meanwhile
};

/// See the head of this file. For at most `kCapacity` tasks. Begins at a multiple of `kArena`. By
/// one hart at a time.
template <size_t kCapacity>
class Pool {
  using Indices = Index<Pool>;
  using Link = RingLink<Pool, Indices::template To>;

 public:
  struct alignas(32) Slot : Link {
    constexpr Slot() : Link{nullptr, nullptr} {}

    uint32_t generation() const { return Handle(name).generation(); }
    uint8_t priority() const { return Handle(name).priority(); }
    uint16_t space() const { return static_cast<uint16_t>(name); }

    State state = State::free;
    uint16_t hart = 0;   ///< that added it, or has claimed it last
    uint64_t name = 0;   ///< its handle, but with the space in the lowest 16 bits
    uint64_t stamp = 0;  ///< when it became ready
    uint64_t task = 0;   ///< what only its space understands
  };

  static constexpr size_t kLevels = LevelSet::kSize;
  static constexpr size_t kArena =
      std::bit_ceil(kCapacity * sizeof(Slot) + kLevels * sizeof(uint16_t) + 256);
  static_assert(kCapacity > 0 && kArena - 1 <= UINT16_MAX);
  // A slot's place may be at any of its size's multiples.
  static constexpr uintptr_t kPlaces = (kArena - 1) & ~(sizeof(Slot) - 1);
  static_assert(std::has_single_bit(sizeof(Slot)));

  /// How far from its pool's beginning something of the pool lies; of null, 0.
  static uint16_t place_of(const void* thing) {
    return static_cast<uint16_t>(reinterpret_cast<uintptr_t>(thing) & (kArena - 1));
  }

  // What a function answers where a task is missing it also answers where a link is broken.

  /// Adds a task, ready, behind all others of its priority. O(1). No handle: the pool is full.
  Handle add(uint16_t hart, uint16_t space, uint64_t task, uint8_t priority, uint64_t stamp) {
    Slot* const slot = take_slot();
    if (slot == nullptr) return {};
    const uint32_t last = slot->generation();
    slot->name = Handle(last == UINT32_MAX ? 1 : last + 1, priority, space).word();
    slot->hart = hart;
    slot->task = task;
    ++size_;
    if (!make_ready(*slot, priority, stamp)) return {};
    return handle_of(*slot);
  }

  /// Ends a task's life, whatever it is doing. O(1). False: there is no such task.
  bool remove(Handle handle) {
    Slot* const slot = find(handle);
    return slot != nullptr && end(*slot);
  }

  /// Ends the tasks of `space` among those of `count` slots from number `begin` on. O(count).
  void sweep(uint16_t space, size_t begin, size_t count) {
    for (size_t i = begin; i < kCapacity && i - begin < count; ++i) {
      if (slots_[i].state != State::free && slots_[i].space() == space) end(slots_[i]);
    }
  }

  /// A task of `space` that it means by `task`: the one in the lowest slot. O(capacity). No handle:
  /// there is none.
  Handle find(uint16_t space, uint64_t task) const {
    const size_t used = std::min<size_t>(fresh(), kCapacity);
    for (size_t i = 0; i < used; ++i) {
      const Slot& slot = slots_[i];
      if (slot.task == task && slot.space() == space && slot.state != State::free) {
        return handle_of(slot);
      }
    }
    return {};
  }

  /// `hart` runs the task from here on. O(1). False: it is not ready, so somebody else may have it.
  bool claim(uint16_t hart, Handle handle) {
    Slot* const slot = find(handle);
    if (slot == nullptr || slot->state != State::ready) return false;
    slot->state = State::claimed;
    slot->hart = hart;
    return true;
  }

  /// The task is to run (again); one that runs, once more when it has done so. O(1). False: there
  /// is no such task.
  bool wake(Handle handle, uint64_t stamp) {
    Slot* const slot = find(handle);
    if (slot == nullptr) return false;
    if (slot->state == State::sleeping) return make_ready(*slot, slot->priority(), stamp);
    if (slot->state == State::claimed) slot->state = State::woken;
    return true;
  }

  /// The task has nothing to do until it is woken; where that has happened since it was claimed, it
  /// is ready instead, behind all others. O(1). False: there is no such task.
  bool sleep(Handle handle, uint64_t stamp) {
    Slot* const slot = find(handle);
    if (slot == nullptr) return false;
    const State before = slot->state;
    if (before == State::sleeping) return true;
    if (!leave(*slot)) return false;
    if (before == State::woken) return make_ready(*slot, slot->priority(), stamp);
    slot->state = State::sleeping;
    return true;
  }

  /// What is often to be done in one: `previous`, which runs, is ready again, and the next one of
  /// its priority runs in its stead, on the same hart. O(1). Null, and nothing has been done: that
  /// is not the first that `wanted` allows.
  template <typename Wanted>
  [[gnu::always_inline]] const Slot* exchange(Handle previous, uint64_t stamp, Wanted wanted) {
    Queue& queue = levels_[top_];
    // Whatever that is where the ring is empty has not this handle.
    Slot& from = queue.front();
    if (handle_of(from) != previous) return nullptr;
    if (from.state != State::claimed && from.state != State::woken) return nullptr;
    Slot* const to = queue.next(from);
    if (to == nullptr || to->state != State::ready || !wanted(*to)) return nullptr;
    queue.start_at(*to);
    from.state = State::ready;
    from.stamp = stamp;
    to->state = State::claimed;
    to->hart = from.hart;
    return to;
  }

  /// The first that is ready for which `wanted` holds; null: none. O(n), for n that are before it.
  template <typename Wanted>
  const Slot* first(Wanted of_those_ready) const {
    const auto wanted = [&](const Slot& slot) {
      return slot.state == State::ready && of_those_ready(slot);
    };
    if (levels_[top_].empty()) return nullptr;
    if (const Slot& front = levels_[top_].front(); wanted(front)) return &front;
    // Each task once, and each level, however they are linked.
    int looks = kCapacity + kLevels;
    for (LevelSet rest = ready_; looks > 0;) {
      const int level = rest.highest();
      if (level < 0) return nullptr;
      const Slot* const found = levels_[level % kLevels].find(wanted, looks);
      if (found != nullptr) return found;
      rest.erase(static_cast<uint8_t>(level));
      --looks;
    }
    return nullptr;
  }

  Handle handle_of(const Slot& slot) const {
    return Handle((slot.name & ~uint64_t{UINT16_MAX}) | place_of(&slot));
  }

  /// How many tasks there are.
  size_t size() const { return size_; }

  /// The task's slot; null: there is no such task.
  const Slot* look(Handle handle) const { return const_cast<Pool*>(this)->find(handle); }

 private:
  using Queue = Ring<Slot, Pool, Indices::template To>;

  Slot* find(Handle handle) {
    const size_t number = (handle.place() - size_t{place_of(slots_.data())}) / sizeof(Slot);
    if (number >= kCapacity) return nullptr;
    Slot& slot = slots_[number];
    return handle_of(slot) == handle && slot.state != State::free ? &slot : nullptr;
  }

  // Once: it may be another one at the next look.
  uint16_t fresh() const { return *const_cast<const volatile uint16_t*>(&fresh_); }

  bool end(Slot& slot) {
    if (slot.state != State::sleeping && !leave(slot)) return false;
    slot.state = State::free;
    --size_;
    return free_.push_back(slot) == Links::intact;
  }

  Slot* take_slot() {
    const uint16_t fresh = this->fresh();
    if (fresh < kCapacity) {
      fresh_ = static_cast<uint16_t>(fresh + 1);
      return &slots_[fresh];
    }
    if (free_.empty()) return nullptr;
    Slot& slot = free_.front();
    return free_.remove(slot) == Links::intact ? &slot : nullptr;
  }

  bool make_ready(Slot& slot, uint8_t level, uint64_t stamp) {
    slot.state = State::ready;
    slot.stamp = stamp;
    if (levels_[level].push_back(slot) == Links::corrupt) return false;
    ready_.insert(level);
    if (level > top_) top_ = level;
    return true;
  }

  bool leave(Slot& slot) {
    const uint8_t level = slot.priority();
    if (levels_[level].remove(slot) == Links::corrupt) return false;
    if (levels_[level].empty()) {
      ready_.erase(level);
      if (level == top_) {
        const int highest = ready_.highest();
        top_ = highest < 0 ? 0 : static_cast<uint8_t>(highest);
      }
    }
    return true;
  }

  std::array<Queue, kLevels> levels_{};  // first, so that no slot is at the beginning
  std::array<Slot, kCapacity> slots_{};
  LevelSet ready_;   // the levels whose ring has somebody
  uint8_t top_ = 0;  // the highest of them; any if there is none
  Queue free_;
  uint16_t fresh_ = 0;  // from here on no slot has ever been used
  uint16_t size_ = 0;
};

}  // namespace sched::shared

#endif  // BATON_SCHED_SHARED_POOL_H_
