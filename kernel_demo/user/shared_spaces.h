// The kernel's side of the shared scheduler: which of the spaces that have joined runs.
// docs/shared_scheduler.md
//
// One of them has the turn; the others wait here, in `yield`, each a task of the kernel's that is
// parked. Who has the turn sees on its board what those who wait have to run, and gives it away. A
// space that does neither yield nor sleep is preempted like every task, but keeps the turn: so one
// that has waited for a while in which nobody yielded takes it, and both run, by the kernel's own
// policy, until the first one comes to yield and finds that it has the turn no more. So does one
// that has waited for long whatever the others did: what a space says that it has to run may be
// a lie, and is worth that much.
//
// Of what a program can write this reads two words, and believes them only where nobody but that
// program is the worse for it. All are on CPU 0, and all that is shared is touched masked.

#ifndef BATON_KERNEL_DEMO_USER_SHARED_SPACES_H_
#define BATON_KERNEL_DEMO_USER_SHARED_SPACES_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "kernel_demo/machine.h"
#include "kernel_demo/policies.h"
#include "kernel_demo/user/abi.h"
#include "kernel_demo/user/shared_image.h"
#include "sched/shared/scheduler.h"

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
    const auto first = members_.begin() + 1;
    const auto place = std::find_if(first, members_.end(),
                                    [](const Member& member) { return member.task == nullptr; });
    if (place == members_.end()) return std::unexpected(Error::no_room);
    const auto mapping = map_shared_image(space, address, sharing_);
    if (!mapping) return std::unexpected(mapping.error());
    const auto number = static_cast<uint16_t>(place - members_.begin());
    enter(number, *mapping);
    return number;
  }

  /// The space has gone; 0: it never came. From the sink.
  static void leave(uint16_t number) {
    if (number == 0) return;
    const Machine::Irq irq = Machine::mask();
    members_[number] = {};
    // Whoever waits looks again: what it waited for may have been this one's to do.
    const uint64_t least = sched::shared::precedence(0, next_moment());
    for (Member& member : members_) {
      if (member.waits) member.reason = std::max(member.reason, least);
    }
    if (turn_ == number) {
      give_turn(kNobody);
    } else {
      publish();
    }
    Machine::unmask(irq);
  }

  /// From space `self`, from its task: lets space `to` run if it waits, or else whichever of those
  /// who wait comes first; until it is this one's turn.
  static int64_t yield(uint16_t self, uint64_t to) {
    if (members_[self].task != &S::current()) return static_cast<int64_t>(Error::bad_value);
    const bool is_there = to >= members_.size() || members_[to].task != nullptr;
    wait_for_turn(self, to < members_.size() ? static_cast<uint16_t>(to) : kNobody);
    return is_there ? 0 : static_cast<int64_t>(Error::no_process);
  }

  /// Waits until it is the turn of `self`, giving it away first if it is.
  static void wait_for_turn(uint16_t self, uint16_t to = kNobody) {
    const Machine::Irq irq = Machine::mask();
    Member& me = members_[self];
    me.waits = true;
    if (turn_ == self || turn_ == kNobody) {
      give_turn(to);
    } else {
      publish();
    }
    // It waits for as long as it has had the same to run, also where it had the turn meanwhile.
    if (const uint64_t head = head_of(me); head != me.waits_for) {
      me.waits_for = head;
      me.waits_until = S::now() + milliseconds(kLongestWaitMs);
    }
    bool was_taken = false;
    while (turn_ != self && !S::current().kill_requested()) {
      const uint64_t turns = turns_;
      const Instant until = S::now() + milliseconds(kPatienceMs);
      Machine::unmask(irq);
      S::park_until(until);
      Machine::mask();
      const Instant now = S::now();
      was_taken = turn_ != self && head_of(me) != 0 &&
                  ((turns == turns_ && now >= until) || now >= me.waits_until);
      if (was_taken) give_turn(self);
    }
    me.waits = false;
    me.reason = 0;
    publish();
    // Who has taken it runs something before it looks at the others.
    if (was_taken) me.board->first.store(0, std::memory_order_relaxed);
    Machine::unmask(irq);
  }

  /// From a process of space `self`: the kernel's task that answers gets it.
  static int64_t ask(uint16_t self, uint64_t handle, uint64_t number) {
    if (self == 0) return static_cast<int64_t>(Error::bad_value);
    const Machine::Irq irq = Machine::mask();
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
    Machine::unmask(irq);
    return has_room ? 0 : static_cast<int64_t>(Error::no_room);
  }

  /// The task of space 0 that is woken for each question.
  static void set_answerer(Handle answerer) { answerer_ = answerer; }

  /// The next question; false: there is none.
  static bool next_question(Question& question) {
    const Machine::Irq irq = Machine::mask();
    const bool any = answered_ != asked_;
    if (any) question = questions_[answered_++ % questions_.size()];
    Machine::unmask(irq);
    return any;
  }

  /// What was asked has been done: whoever has asked goes on.
  static void answer(const Question& question) {
    const Machine::Irq irq = Machine::mask();
    Member& member = members_[question.space];
    // It may have ended, and its number may be another's.
    if (member.life == question.life) {
      --member.open_questions;
      wake(question.space, question.handle);
    }
    Machine::unmask(irq);
  }

 private:
  static constexpr uint16_t kNobody = UINT16_MAX;
  // As long as nobody yields for this long, who waits does not wait for the turn any more.
  static constexpr uint64_t kPatienceMs = 2 * kUsualSliceMs;
  // And as long as this at most while it has something to run.
  static constexpr uint64_t kLongestWaitMs = 50;

  // As many may a space have asked at a time.
  static constexpr uint32_t kQuestions = 4;

  struct Member {
    Task* task = nullptr;
    uint64_t life = 0;                            // of all that there have been
    const std::atomic<uint64_t>* head = nullptr;  // written by others
    const std::atomic<uint32_t>* taken = nullptr;
    Board* board = nullptr;
    bool waits = false;
    bool is_merged = false;
    uint64_t reason = 0;     // to run, that its partition does not tell
    uint64_t waits_for = 0;  // the head that it waits with
    Instant waits_until{};   // when that has been for too long
    uint32_t open_questions = 0;
  };

  static void enter(uint16_t number, const SharedMapping& mapping) {
    const Machine::Irq irq = Machine::mask();
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
    Machine::unmask(irq);
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

  // ---- Masked

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

  /// The turn goes to `to`, if it waits, or else to whom of those that wait comes first; to nobody
  /// if none has anything to do.
  static void give_turn(uint16_t to) {
    ++turns_;
    if (to >= members_.size() || !members_[to].waits) {
      uint64_t best = 0;
      to = kNobody;
      for (uint16_t number = 0; number < members_.size(); ++number) {
        const Member& member = members_[number];
        if (!member.waits) continue;
        const uint64_t head = head_of(member);
        if (head <= best) continue;
        best = head;
        to = number;
      }
    }
    turn_ = to;
    next_moment();
    if (to != kNobody) S::wake(*members_[to].task);
  }

  /// Tells who has the turn what the others have to run.
  static void publish() {
    if (turn_ == kNobody) return;
    Board& board = *members_[turn_].board;
    uint64_t first = 0;
    for (uint16_t number = 0; number < members_.size(); ++number) {
      const Member& member = members_[number];
      const uint64_t head = member.waits && number != turn_ ? head_of(member) : 0;
      board.heads[number].store(head, std::memory_order_relaxed);
      first = std::max(first, head);
    }
    board.first.store(first, std::memory_order_relaxed);
    board.clock.store(clock_, std::memory_order_relaxed);
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
        if (member.task != nullptr && member.board != &kernels) tell(*member.board);
      }
      woken.reason = std::max(woken.reason, sched::shared::precedence(handle.priority(), stamp));
    }
    if (turn_ == kNobody) {
      give_turn(kNobody);
    } else {
      publish();
    }
  }

  static inline constinit std::array<Member, sched::shared::kSpaces> members_{};
  static inline constinit Sharing sharing_ = Sharing::apart;
  static inline constinit uint16_t turn_ = kNobody;
  static inline constinit uint64_t turns_ = 0;  // how often the turn has been given
  static inline constinit uint64_t clock_ = 0;
  static inline constinit uint64_t lives_ = 0;
  static inline constinit Handle answerer_{};
  static inline constinit std::array<Question, kQuestions * sched::shared::kSpaces> questions_{};
  static inline constinit uint32_t asked_ = 0;
  static inline constinit uint32_t answered_ = 0;
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_SHARED_SPACES_H_
