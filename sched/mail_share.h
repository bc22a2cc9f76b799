// How a CPU's mail and its tasks share its time: mail comes first, but gets no more than half.
//
// Mail is handled in interrupts, before tasks, for it may bring one that is more urgent than all
// that are here. But CPUs that ask for something faster than this one can answer would keep it in
// interrupts for ever: receive livelock (J. C. Mogul and K. K. Ramakrishnan, "Eliminating receive
// livelock in an interrupt-driven kernel", ACM TOCS 15(3), 1997). So it is measured how long mail
// takes that follows other mail without a pause. After each `kPieces` of it that took more than
// half of the time since the first of them, mail rests until it is half. What comes meanwhile
// waits, and its sender does not kick.
//
// What is bounded by it: where mail comes faster than it is handled, tasks get half of the time;
// and mail waits no longer than the `kPieces` before it took. Mail that finds no other waiting
// costs no look at the clock, and is not counted.
//
// One CPU's, for masked code. A rest ends by a timer, or because nobody wants to run.

#ifndef BATON_SCHED_MAIL_SHARE_H_
#define BATON_SCHED_MAIL_SHARE_H_

#include "hal/time.h"

namespace sched::internal {

using hal::Duration;
using hal::Instant;
using hal::never;

class MailShare {
 public:
  /// So that the clock's steps and an interrupt more or less do not matter.
  static constexpr unsigned kPieces = 64;

  constexpr MailShare() = default;

  /// Whether mail may be handled. If not, and it does not rest yet, `weigh` decides: that is no
  /// part of `handled`, so that a piece takes no longer because of it.
  bool has_turn() const { return has_turn_; }

  /// Until when mail rests; `never`: it does not.
  Instant rests_until() const { return rests_until_; }
  bool rests() const { return rests_until_ != never; }

  /// Whether the next piece follows the last one without a pause.
  bool follows() const { return follows_; }

  /// A piece of mail was handled, until `ended`, that has followed another one or that `more`
  /// follows: for any other one need not be asked.
  void handled(bool more, Instant ended) {
    if (!follows_) {
      if (pieces_ == 0) window_began_ = ended;
    } else {
      spent_.ticks += ended.ticks - last_ended_.ticks;
      has_turn_ = ++pieces_ < kPieces;
    }
    last_ended_ = ended;
    follows_ = more;
  }

  /// After `kPieces`: whether it goes on. If not, it rests.
  bool weigh(Instant now) {
    const Instant fair = window_began_ + spent_ + spent_;
    *this = {};
    if (fair <= now) return true;
    rests_until_ = fair;
    has_turn_ = false;
    return false;
  }

  /// Mail has its turn, and what was measured is forgotten.
  void end_rest() { *this = {}; }

 private:
  Instant window_began_;
  Duration spent_{};  // by the pieces of this window
  Instant last_ended_;
  bool follows_ = false;  // the next piece, directly after the last
  bool has_turn_ = true;
  unsigned pieces_ = 0;
  Instant rests_until_ = never;
};

}  // namespace sched::internal

#endif  // BATON_SCHED_MAIL_SHARE_H_
