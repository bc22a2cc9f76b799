// The shared scheduler: what each address space calls, on memory that the kernel maps for it.
// docs/shared_scheduler.md
//
// Each space has a `Partition`, which it alone writes, and sees a `Board`, which the kernel alone
// writes. Where spaces trust each other they have one partition together ("merged"), each with a
// board of its own. The code is the same: of the ready tasks that it can see, its partition's and
// those of the spaces that the board tells of, the first is the one of the highest priority that
// has been ready longest.
//
// "Longest" is by stamps. Nobody writes a counter that is everybody's: the kernel's clock on the
// board advances whenever the kernel lets another space run or wakes a task, and a space counts on
// from there. So stamps of spaces that run one after the other are in order; those given at the
// same time on two CPUs are in some order; and a space that gives itself older ones only cheats
// those of its own priority, until a timer interrupts it.
//
// A partition has a lock, because several harts or spaces may share it; no function waits for it,
// they answer `busy`. A space alone in its partition is never told so. The kernel reads of a
// partition that a user can write two words, `head` and `taken`, each once, and follows neither.

#ifndef BATON_SCHED_SHARED_SCHEDULER_H_
#define BATON_SCHED_SHARED_SCHEDULER_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "sched/shared/pool.h"

namespace sched::shared {

inline constexpr uint16_t kKernelSpace = 0;

/// As many address spaces as a board tells of, the kernel's included.
inline constexpr uint16_t kSpaces = 16;

/// How far the stamps of two moments of the kernel's clock are apart: as many may a space give
/// in between.
inline constexpr uint64_t kStampsAMoment = uint64_t{1} << 20;

/// What the kernel tells a space. A page that it writes and the space reads.
struct alignas(4096) Board {
  static constexpr uint32_t kWakes = 64;

  /// A task of the space that the kernel has made ready, and when.
  struct Wake {
    std::atomic<uint64_t> handle = 0;
    std::atomic<uint64_t> stamp = 0;
  };

  std::atomic<uint16_t> self = kKernelSpace;  ///< which space this is
  std::atomic<uint16_t> hart = 0;             ///< on which it was when it last got the turn
  std::atomic<uint16_t> waiting = 0;          ///< a bit for each space that waits for a turn
  std::atomic<uint32_t> woken = 0;  ///< how many wakes there have been; the last in `wakes`
  std::atomic<uint64_t> clock = 0;  ///< the least stamp for what becomes ready now
  std::atomic<uint64_t> first = 0;  ///< the largest of `heads`
  std::array<std::atomic<uint64_t>, kSpaces> heads{};  ///< what each space that waits has to run
  std::array<Wake, kWakes> wakes{};
};
static_assert(sizeof(Board) == 4096);

/// A pool, and what belongs to it. All zeroes is one without tasks.
template <size_t kCapacity>
struct alignas(Pool<kCapacity>::kArena) Partition {
  Pool<kCapacity> pool;
  uint64_t last_stamp = 0;
  std::atomic<uint32_t> lock = 0;   ///< whose: a space's number and one; 0: nobody's
  std::atomic<uint32_t> taken = 0;  ///< how many of the board's wakes have been seen
  std::atomic<uint64_t> head = 0;   ///< what it had to run at the last `peek` or `next`
};

/// How a call went.
enum class Result : int32_t {
  busy = -1,    ///< somebody else is in the partition; nothing has been done
  refused = 0,  ///< nothing has been done
  done = 1,
};

/// What is to be done next.
struct Answer {
  enum class Kind : uint32_t {
    task,          ///< run this one: `claim` it first
    should_yield,  ///< another space's comes first: let that space run
    no_wake_task,  ///< all tasks sleep
    finished,      ///< the partition has no tasks
  };
  Kind kind = Kind::finished;
  uint32_t space = 0;   ///< of the task, or to yield to
  uint64_t task = 0;    ///< what `add` was given
  uint64_t handle = 0;  ///< its handle
};

/// See the head of this file. A view, for the space that the board is of when it is made: it has no
/// state of its own. Every function is O(1), if
/// nothing else is said: where several spaces have a partition, and some of them run, `peek` and
/// `next` also go past their tasks.
template <size_t kCapacity>
class Scheduler {
 public:
  constexpr Scheduler(Partition<kCapacity>& mine, const Board& board)
      : mine_(&mine), board_(&board), self_(board.self.load(std::memory_order_relaxed)) {}

  /// Adds a task, ready, behind all others of its priority. Refused: the pool is full.
  Result add(uint16_t hart, uint16_t space, uint64_t task, uint8_t priority, Handle& handle) {
    return with_lock([&](auto& pool) {
      handle = pool.add(hart, space, task, priority, stamp());
      return bool{handle};
    });
  }

  /// What comes next, which stays where it is. `should_switch(space)`: whether the caller would let
  /// another space run; it must not call this scheduler.
  template <typename ShouldSwitch>
  Result peek(ShouldSwitch should_switch, Answer& answer) {
    return with_lock([&](auto& pool) {
      look(pool, should_switch, answer);
      return true;
    });
  }

  /// The end of a task's turn, and the beginning of the next one's: `previous`, which this hart has
  /// claimed, sleeps, or with `again` is ready; then `peek`; and a task that is to run is claimed.
  /// No `previous`: the first turn.
  template <typename ShouldSwitch>
  Result next(uint16_t hart, Handle previous, bool again, ShouldSwitch should_switch,
              Answer& answer) {
    if (previous && again) {
      const Turn turn = exchange(previous);
      if (turn.handle) [[likely]] {
        answer = {.kind = Answer::Kind::task,
                  .space = self_,
                  .task = turn.task,
                  .handle = turn.handle.word()};
        return Result::done;
      }
    }
    return begin_next(hart, previous, again, should_switch, answer);
  }

  /// A task that begins its turn.
  struct Turn {
    uint64_t task = 0;
    Handle handle;  ///< none: there is no turn
  };

  /// What is most often to be done in one: `previous`, which is claimed, is ready again, and the
  /// task that is to run is claimed by the same hart. No turn, and nothing has been done: it is not
  /// that simple, or somebody else is in the partition; that is `next`'s.
  [[gnu::always_inline]] Turn exchange(Handle previous) const {
    if (!enter()) return {};
    Turn turn;
    if (!has_wakes()) [[likely]] {
      const uint64_t others = board_->first.load(std::memory_order_relaxed);
      const auto* const slot = mine_->pool.exchange(previous, stamp(), [&](const auto& s) {
        return s.space() == self_ && (others == 0 || precedence(s.priority(), s.stamp) >= others);
      });
      if (slot != nullptr) turn = {slot->task, mine_->pool.handle_of(*slot)};
    }
    leave();
    return turn;
  }

  /// `hart` runs this task from here on. Refused: it is not ready, somebody else may have it.
  Result claim(uint16_t hart, Handle handle) {
    return with_lock([&](auto& pool) { return pool.claim(hart, handle); });
  }

  /// Ends a task. Refused: there is no such task.
  Result remove(Handle handle) {
    return with_lock([&](auto& pool) { return pool.remove(handle); });
  }

  /// The task is to run; where it runs, once more. Refused: there is no such task.
  Result wake(Handle handle) {
    return with_lock([&](auto& pool) { return pool.wake(handle, stamp()); });
  }

  /// The task sleeps until it is woken; one that was while it ran is ready, behind all others.
  /// Refused: there is no such task.
  Result sleep(Handle handle) {
    return with_lock([&](auto& pool) { return pool.sleep(handle, stamp()); });
  }

  // The same for a task of this space by what `add` was given for it, and not by its handle; where
  // several have that in common, one of them. O(capacity), with the partition locked.
  Result remove_by(uint64_t task) {
    return with_lock([&](auto& pool) { return pool.remove(pool.find(self_, task)); });
  }
  Result wake_by(uint64_t task) {
    return with_lock([&](auto& pool) { return pool.wake(pool.find(self_, task), stamp()); });
  }
  Result sleep_by(uint64_t task) {
    return with_lock([&](auto& pool) { return pool.sleep(pool.find(self_, task), stamp()); });
  }

  /// For a kernel, of spaces that have one partition: `space` is no more, and so are its tasks
  /// among those of `count` slots from `begin` on. If it was in the partition when it ended, it is
  /// not any more. O(count).
  Result sweep(uint16_t space, size_t begin, size_t count) {
    uint32_t its = key_of(space);
    mine_->lock.compare_exchange_strong(its, 0, std::memory_order_acquire);
    return with_lock([&](auto& pool) {
      pool.sweep(space, begin, count);
      return true;
    });
  }

 private:
  static uint32_t key_of(uint16_t space) { return uint32_t{space} + 1; }

  // False: somebody else is in the partition.
  bool enter() const {
    uint32_t nobody = 0;
    return mine_->lock.compare_exchange_strong(nobody, key_of(self_), std::memory_order_acquire);
  }
  void leave() const { mine_->lock.store(0, std::memory_order_release); }

  template <typename Body>
  [[gnu::always_inline]] Result with_lock(Body body) {
    if (!enter()) return Result::busy;
    if (has_wakes()) [[unlikely]]
      take_wakes();
    const bool done = body(mine_->pool);
    leave();
    return done ? Result::done : Result::refused;
  }

  template <typename Slot>
  static Answer answer_of(const Pool<kCapacity>& pool, const Slot& slot, Answer::Kind kind) {
    return {.kind = kind,
            .space = slot.space(),
            .task = slot.task,
            .handle = pool.handle_of(slot).word()};
  }

  // Apart, so that what is done often saves no registers for it.
  template <typename ShouldSwitch>
  [[gnu::noinline]] Result begin_next(uint16_t hart, Handle previous, bool again,
                                      ShouldSwitch& should_switch, Answer& answer) {
    return with_lock([&](auto& pool) {
      if (previous && again) pool.wake(previous, stamp());
      if (previous) pool.sleep(previous, stamp());
      look(pool, should_switch, answer);
      return answer.kind != Answer::Kind::task || pool.claim(hart, Handle(answer.handle));
    });
  }

  template <typename ShouldSwitch>
  void look(const Pool<kCapacity>& pool, ShouldSwitch& should_switch, Answer& answer) {
    const uint32_t waiting = board_->waiting.load(std::memory_order_relaxed);
    // Of others with the same partition those count that wait: who runs sees to its tasks itself.
    const auto* const slot = pool.first([&](const auto& s) {
      if (s.space() == self_) return true;
      return s.space() < kSpaces && (waiting >> s.space() & 1) != 0 && should_switch(s.space());
    });
    uint64_t best = 0;
    if (slot != nullptr) {
      best = precedence(slot->priority(), slot->stamp);
      answer = answer_of(pool, *slot,
                         slot->space() == self_ ? Answer::Kind::task : Answer::Kind::should_yield);
    } else {
      answer = {.kind = pool.size() == 0 ? Answer::Kind::finished : Answer::Kind::no_wake_task};
    }
    mine_->head.store(best, std::memory_order_relaxed);
    // Who has no task needs no turn.
    if (board_->first.load(std::memory_order_relaxed) <= best || pool.size() == 0) return;
    for (uint16_t space = 0; space < kSpaces; ++space) {
      const uint64_t head = board_->heads[space].load(std::memory_order_relaxed);
      if (head <= best || !should_switch(space)) continue;
      best = head;
      answer = {.kind = Answer::Kind::should_yield, .space = space};
    }
  }

  uint64_t stamp() const {
    const uint64_t now = board_->clock.load(std::memory_order_relaxed);
    return mine_->last_stamp = std::max(mine_->last_stamp + 1, now);
  }

  bool has_wakes() const {
    return board_->woken.load(std::memory_order_relaxed) !=
           mine_->taken.load(std::memory_order_relaxed);
  }

  [[gnu::noinline]] void take_wakes() {
    const uint32_t woken = board_->woken.load(std::memory_order_acquire);
    uint32_t taken = mine_->taken.load(std::memory_order_relaxed);
    // The kernel lets no more than that be on their way.
    if (woken - taken > Board::kWakes) taken = woken - Board::kWakes;
    for (; taken != woken; ++taken) {
      const Board::Wake& wake = board_->wakes[taken % Board::kWakes];
      const uint64_t stamp = wake.stamp.load(std::memory_order_relaxed);
      mine_->pool.wake(Handle(wake.handle.load(std::memory_order_relaxed)), stamp);
      mine_->last_stamp = std::max(mine_->last_stamp, stamp);
    }
    mine_->taken.store(woken, std::memory_order_relaxed);
  }

  Partition<kCapacity>* mine_;
  const Board* board_;
  uint16_t self_;
};

}  // namespace sched::shared

#endif  // BATON_SCHED_SHARED_SCHEDULER_H_
