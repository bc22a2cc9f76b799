// The kernel's side of the shared scheduler: which of the spaces that have joined runs.
// docs/shared_scheduler.md
//
// There are as many turns as CPUs. Who has none waits here, in `yield`, a task of the kernel's that
// is parked. Who has one sees on its board what those who wait have to run, and gives it away. A
// space that does neither yield nor sleep is preempted like every task, but keeps its turn: so one
// that has waited for a while in which nobody yielded takes it, and both run, by the kernel's own
// policy, until the first one comes to yield and finds that it has no turn any more. So does one
// that has waited for long whatever the others did: what a space says that it has to run may be
// a lie, and is worth that much.
//
// Of what a program can write this reads two words, and believes them only where nobody but that
// program is the worse for it. One lock for all that the spaces share.

#ifndef BATON_KERNEL_DEMO_USER_SHARED_SPACES_H_
#define BATON_KERNEL_DEMO_USER_SHARED_SPACES_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <utility>

#include "kernel_demo/machine.h"
#include "kernel_demo/policies.h"
#include "kernel_demo/user/abi.h"
#include "kernel_demo/user/shared_image.h"
#include "sched/shared/scheduler.h"
#include "sched/sync/spin_lock.h"

namespace demo {

/// See the head of this file. Everything is static.
template <typename Kernel>
class SharedSpaces {
  using S = typename Kernel::S;
  using Task = typename Kernel::Task;
  using Error = user::Error;
  using Handle = sched::shared::Handle;
  using Board = sched::shared::Board;

 public:
  /// What a program has asked for.
  struct Question {
    uint16_t space;
    uint64_t life;  ///< of whoever has this number
    Handle handle;
    uint64_t number;
  };

  /// How those who join from here on share. To begin with apart.
  static void set_sharing(Sharing sharing) { sharing_ = sharing; }

  /// The calling task of the kernel runs the tasks of space 0, which joins, and waits for its first
  /// turn. It must not end.
  static std::expected<void, Error> join_kernel() {
    const auto mapping = load_shared_image();
    if (!mapping) return std::unexpected(mapping.error());
    enter(sched::shared::kKernelSpace, *mapping);
    wait_for_turn(sched::shared::kKernelSpace);
    return {};
  }

  /// Maps the image into the calling process's memory; the number of its space, which it leaves as
  /// it ends.
  static std::expected<uint16_t, Error> join(AddressSpace& space, uintptr_t address) {
    sweep();
    const uint16_t number = take_number();
    if (number == kNobody) return std::unexpected(Error::no_room);
    const auto mapping = map_shared_image(space, address, sharing_);
    if (!mapping) {
      const Guard guard(lock_);
      members_[number] = {};
      return std::unexpected(mapping.error());
    }
    enter(number, *mapping);
    return number;
  }

  /// The space has gone; 0: it never came. From the sink.
  static void leave(uint16_t number) {
    if (number == 0) return;
    {
      const Guard guard(lock_);
      give_up(members_[number]);
      if (members_[number].is_merged) {
        // At once: it may have ended in the pool, and others want to go there.
        kernel_client().sweep(number, 0, 0);
        unswept_ |= 1u << number;
      }
      members_[number] = {};
      let_all_look();
    }
    sweep();
  }

  /// From space `self`, from its task: lets space `to` run if it waits, or else whichever of those
  /// who wait comes first; until it is this one's turn.
  static int64_t yield(uint16_t self, uint64_t to) {
    bool is_there;
    {
      const Guard guard(lock_);
      if (members_[self].task != &S::current()) return static_cast<int64_t>(Error::bad_value);
      is_there = to >= members_.size() || members_[to].task != nullptr;
    }
    wait_for_turn(self, to < members_.size() ? static_cast<uint16_t>(to) : kNobody);
    return is_there ? 0 : static_cast<int64_t>(Error::no_process);
  }

  /// Waits until it is the turn of `self`, giving its own away first if it has one.
  static void wait_for_turn(uint16_t self, uint16_t to = kNobody) {
    Member& me = members_[self];
    sweep();
    {
      const Guard guard(lock_);
      give_up(me);
      me.waits = true;
      // Whether it has something to run itself a common pool does not tell. Perhaps.
      me.perhaps = me.is_merged && to != kNobody ? sched::shared::precedence(0, next_moment()) : 0;
      // It waits for as long as it has had the same to run, also where it had a turn meanwhile.
      if (const uint64_t reason = reason_of(me); reason != me.waits_for) {
        me.waits_for = reason;
        me.waits_until = S::now() + milliseconds(kLongestWaitMs);
      }
      hand_out(to);
    }
    bool was_taken = false;
    for (uint64_t turns; has_to_wait(me, turns);) {
      const Instant until = S::now() + milliseconds(kPatienceMs);
      S::park_until(until);
      const Guard guard(lock_);
      const Instant now = S::now();
      was_taken = !me.has_turn && reason_of(me) != 0 &&
                  ((turns == turns_ && now >= until) || now >= me.waits_until);
      if (was_taken) take_turn(self);
    }
    const Guard guard(lock_);
    me.waits = false;
    me.reason = 0;
    me.board->hart.store(S::here().number, std::memory_order_relaxed);
    publish();
    // Who has taken it runs something before it looks at the others.
    if (was_taken) me.board->first.store(0, std::memory_order_relaxed);
  }

  /// From a process of space `self`: the kernel's task that answers gets it.
  static int64_t ask(uint16_t self, uint64_t handle, uint64_t number) {
    if (self == 0) return static_cast<int64_t>(Error::bad_value);
    const Guard guard(lock_);
    Member& me = members_[self];
    const uint32_t on_their_way =
        me.board->woken.load(std::memory_order_relaxed) - me.taken->load(std::memory_order_relaxed);
    // Those of spaces that have ended take room, too.
    const bool has_room = answerer_ && asked_ - answered_ < questions_.size() &&
                          me.open_questions < kQuestions &&
                          on_their_way + uint64_t{kQuestions} <= Board::kWakes;
    if (has_room) {
      ++me.open_questions;
      questions_[asked_++ % questions_.size()] = {self, me.life, Handle(handle), number};
      wake(sched::shared::kKernelSpace, answerer_);
    }
    return has_room ? 0 : static_cast<int64_t>(Error::no_room);
  }

  /// The task of space 0 that is woken for each question.
  static void set_answerer(Handle answerer) {
    const Guard guard(lock_);
    answerer_ = answerer;
  }

  /// The next question; false: there is none.
  static bool next_question(Question& question) {
    const Guard guard(lock_);
    const bool any = answered_ != asked_;
    if (any) question = questions_[answered_++ % questions_.size()];
    return any;
  }

  /// What was asked has been done: whoever has asked goes on.
  static void answer(const Question& question) {
    const Guard guard(lock_);
    Member& member = members_[question.space];
    // It may have ended, and its number may be another's.
    if (member.life != question.life) return;
    --member.open_questions;
    wake(question.space, question.handle);
  }

 private:
  using Guard = sched::SpinGuard<S>;

  static constexpr uint16_t kNobody = UINT16_MAX;
  // As long as nobody yields for this long, who waits does not wait for a turn any more.
  static constexpr uint64_t kPatienceMs = 2 * kUsualSliceMs;
  // And as long as this at most while it has something to run.
  static constexpr uint64_t kLongestWaitMs = 50;

  // As many places of a common pool are looked at in a step, masked.
  static constexpr uint32_t kSweep = 16;

  // As many may a space have asked at a time.
  static constexpr uint32_t kQuestions = 4;

  struct Member {
    Task* task = nullptr;
    uint64_t life = 0;                            // of all that there have been
    const std::atomic<uint64_t>* head = nullptr;  // written by others
    const std::atomic<uint32_t>* taken = nullptr;
    Board* board = nullptr;
    bool has_turn = false;
    bool waits = false;  // until it goes on, which is after it has been given a turn
    bool is_merged = false;
    uint64_t turn = 0;       // the number of the turn that it has
    uint64_t reason = 0;     // to run, that its partition does not tell
    uint64_t perhaps = 0;    // the same, for which it can wait
    uint64_t waits_for = 0;  // the reason that it waits with
    Instant waits_until{};   // when that has been for too long
    uint32_t open_questions = 0;
  };

  static uint16_t take_number() {
    const Guard guard(lock_);
    for (uint16_t number = 1; number < members_.size(); ++number) {
      // Not while there are tasks of whoever had it.
      if (members_[number].task != nullptr || (unswept_ >> number & 1) != 0) continue;
      members_[number].task = &S::current();
      return number;
    }
    return kNobody;
  }

  static void enter(uint16_t number, const SharedMapping& mapping) {
    const Guard guard(lock_);
    Board& board = *mapping.board;
    board.self = number;
    if (sharing_ == Sharing::merged) copy_wakes(*load_shared_image()->board, board);
    members_[number] = {.task = &S::current(),
                        .life = ++lives_,
                        .head = mapping.head,
                        .taken = mapping.taken,
                        .board = mapping.board,
                        .is_merged = sharing_ == Sharing::merged};
    // What it will have to run nobody knows yet.
    members_[number].reason = sched::shared::precedence(UINT8_MAX, next_moment());
  }

  /// Ends the tasks of spaces that have ended themselves, in a pool that others have, too. Where
  /// somebody is in the pool now it goes on when somebody comes to wait.
  static void sweep() {
    for (bool goes_on = true; goes_on;) {
      const Guard guard(lock_);
      if (unswept_ == 0) return;
      const auto space = static_cast<uint16_t>(std::countr_zero(unswept_));
      goes_on = kernel_client().sweep(space, swept_, kSweep) != sched::shared::Result::busy;
      if (!goes_on || (swept_ += kSweep) < kSharedCapacity) continue;
      swept_ = 0;
      unswept_ &= unswept_ - 1;
      let_all_look();
    }
  }

  /// Spaces with one partition see the same wakes: one that joins, those of the kernel's board.
  static void copy_wakes(const Board& from, Board& to) {
    if (&from == &to) return;
    for (size_t i = 0; i < Board::kWakes; ++i) {
      to.wakes[i].handle = from.wakes[i].handle.load(std::memory_order_relaxed);
      to.wakes[i].stamp = from.wakes[i].stamp.load(std::memory_order_relaxed);
    }
    to.woken = from.woken.load(std::memory_order_relaxed);
  }

  // ---- Locked

  static uint64_t next_moment() { return clock_ += sched::shared::kStampsAMoment; }

  /// What a member has to run. Each word of another's is read once.
  static uint64_t head_of(const Member& member) {
    if (member.is_merged) return member.reason;
    uint64_t head = std::max(member.reason, member.head->load(std::memory_order_relaxed));
    // The first wake that it has not seen yet.
    const uint32_t woken = member.board->woken.load(std::memory_order_relaxed);
    const uint32_t taken = member.taken->load(std::memory_order_relaxed);
    if (woken != taken) {
      const Board::Wake& wake = member.board->wakes[taken % Board::kWakes];
      const Handle handle(wake.handle.load(std::memory_order_relaxed));
      const uint64_t stamp = wake.stamp.load(std::memory_order_relaxed);
      head = std::max(head, sched::shared::precedence(handle.priority(), stamp));
    }
    return head;
  }

  /// The same, where it has not said so.
  static uint64_t reason_of(const Member& member) {
    return std::max(head_of(member), member.perhaps);
  }

  static bool is_waiting(const Member& member) { return member.waits && !member.has_turn; }

  /// Whether it has no turn yet. `turns`: how many there have been.
  static bool has_to_wait(const Member& member, uint64_t& turns) {
    const Guard guard(lock_);
    turns = turns_;
    return !member.has_turn && !S::current().kill_requested();
  }

  static void give_up(Member& member) {
    if (std::exchange(member.has_turn, false)) --given_;
  }

  /// Turns that nobody has go to `to`, if it waits, and to those who wait that come first, as long
  /// as they have something to do.
  static void hand_out(uint16_t to) {
    bool given = false;
    for (; given_ < Kernel::cpus().size(); to = kNobody, given = true) {
      if (to == kNobody || !is_waiting(members_[to])) to = first_waiting();
      if (to == kNobody) break;
      Member& member = members_[to];
      member.has_turn = true;
      member.turn = ++turns_;
      ++given_;
      next_moment();
      S::wake(*member.task);
    }
    // Who has been given one publishes as it goes on.
    if (!given) publish();
  }

  static uint16_t first_waiting() {
    uint64_t best = 0;
    uint16_t first = kNobody;
    for (uint16_t number = 0; number < members_.size(); ++number) {
      if (!is_waiting(members_[number])) continue;
      const uint64_t reason = reason_of(members_[number]);
      if (reason <= best) continue;
      best = reason;
      first = number;
    }
    return first;
  }

  /// From whoever has had one for longest, unless there is one that nobody has.
  static void take_turn(uint16_t to) {
    if (given_ >= Kernel::cpus().size()) {
      Member* longest = nullptr;
      for (Member& member : members_) {
        if (member.has_turn && (longest == nullptr || member.turn < longest->turn)) {
          longest = &member;
        }
      }
      give_up(*longest);
    }
    hand_out(to);
  }

  /// What those who wait have waited for may have been a space's that is no more.
  static void let_all_look() {
    const uint64_t least = sched::shared::precedence(0, next_moment());
    for (Member& member : members_) {
      if (member.waits) member.reason = std::max(member.reason, least);
    }
    hand_out(kNobody);
  }

  /// Tells those who have a turn what the others have to run.
  static void publish() {
    std::array<uint64_t, sched::shared::kSpaces> heads{};
    uint16_t waiting = 0;
    uint64_t first = 0;
    for (uint16_t number = 0; number < members_.size(); ++number) {
      if (!is_waiting(members_[number])) continue;
      waiting = static_cast<uint16_t>(waiting | 1u << number);
      heads[number] = head_of(members_[number]);
      first = std::max(first, heads[number]);
    }
    for (const Member& member : members_) {
      if (!member.has_turn) continue;
      Board& board = *member.board;
      for (size_t i = 0; i < heads.size(); ++i) {
        board.heads[i].store(heads[i], std::memory_order_relaxed);
      }
      board.first.store(first, std::memory_order_relaxed);
      board.waiting.store(waiting, std::memory_order_relaxed);
      board.clock.store(clock_, std::memory_order_relaxed);
    }
  }

  static void wake(uint16_t number, Handle handle) {
    const uint64_t stamp = next_moment();
    Member& woken = members_[number];
    const auto tell = [&](Board& board) {
      const uint32_t count = board.woken.load(std::memory_order_relaxed);
      Board::Wake& wake = board.wakes[count % Board::kWakes];
      wake.handle.store(handle.word(), std::memory_order_relaxed);
      wake.stamp.store(stamp, std::memory_order_relaxed);
      board.clock.store(clock_, std::memory_order_relaxed);
      board.woken.store(count + 1, std::memory_order_release);
    };
    if (!woken.is_merged) {
      tell(*woken.board);
    } else {
      // Whoever is the first to look takes it, for all. The kernel's board has them all, whether or
      // not the kernel has joined.
      Board& kernels = *load_shared_image()->board;
      tell(kernels);
      for (const Member& member : members_) {
        if (member.board != nullptr && member.board != &kernels) tell(*member.board);
      }
      woken.reason = std::max(woken.reason, sched::shared::precedence(handle.priority(), stamp));
    }
    hand_out(kNobody);
  }

  static inline constinit sched::SpinLock<S> lock_;
  static inline constinit std::array<Member, sched::shared::kSpaces> members_{};
  static inline constinit Sharing sharing_ = Sharing::apart;
  static inline constinit size_t given_ = 0;      // turns that somebody has
  static inline constinit uint64_t turns_ = 0;    // how often turns have been given
  static inline constinit uint32_t unswept_ = 0;  // a bit for each space whose tasks are left
  static inline constinit uint32_t swept_ = 0;    // places, for the first of them
  static inline constinit uint64_t clock_ = 0;
  static inline constinit uint64_t lives_ = 0;
  static inline constinit Handle answerer_{};
  static inline constinit std::array<Question, kQuestions * sched::shared::kSpaces> questions_{};
  static inline constinit uint32_t asked_ = 0;
  static inline constinit uint32_t answered_ = 0;
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_SHARED_SPACES_H_
