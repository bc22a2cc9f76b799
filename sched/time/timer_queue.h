// The timers of one CPU: a timing wheel with neither tick nor rounding.
//
// G. Varghese and T. Lauck's hierarchical wheel (SOSP 1987, scheme 7) hashes a timer by the digits
// of its instant, so that arming and cancelling take the same time for any number of timers. Theirs
// advances with every tick. This one has a base instead, `base_`, and nothing is armed for before
// it: a timer's level is the highest of the sixteen hexadecimal digits in which its instant differs
// from the base, its slot on that level is that digit. It follows:
//
//   1. All of a lower level come before all of a higher one, and the slots of one level are in
//      order. So the earliest timers are in the first slot that has any: a search of four words.
//   2. A slot keeps the least of its instants. So what is next is known exactly, however coarse
//      the slot: no interrupt comes only to sort timers again. (`next` states the exception.)
//   3. Where a timer belongs depends on its instant and the base alone, and a slot is a list to
//      whose end the newest goes. So equal instants are in one list, in the order of arming.
//   4. When the base moves up to the earliest instant, the timers of that slot, and no others, now
//      differ from it only in a lower digit. Sorting them anew takes each to a lower level: that
//      happens to it at most fifteen times, whatever else is armed.
//
// To open a slot is to sort its timers anew. That may be thousands, so it is done in steps of
// `kMoves`, between which the caller may let interrupts in. Meanwhile `base_` stays, and `floor_`
// is where it will go, the least instant in the slot. What is armed meanwhile and belongs into the
// slot goes to its end, behind its equals, and comes out of it like the others. The timers of
// exactly the floor's instant are not moved but given out as they are come across. In a slot of the
// lowest level, and one with a single timer, these are all.
//
// Nothing here reads a clock, programs one, allocates, locks or loops over more than is stated. The
// queue belongs to one CPU, which touches it with interrupts masked.

#ifndef BATON_SCHED_TIME_TIMER_QUEUE_H_
#define BATON_SCHED_TIME_TIMER_QUEUE_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "hal/time.h"

namespace sched {

using hal::Duration;
using hal::Instant;
using hal::never;

/// Something to be called at an instant. The memory is the caller's; while it is armed it must stay
/// where it is, and only the queue in which it is armed may change it.
class Timer {
 public:
  /// Called masked, in the interrupt, on the CPU that armed it. The timer is no longer armed: it
  /// may be armed again from here.
  using Fire = void (*)(Timer&);

  constexpr explicit Timer(Fire fire) : fire_(fire) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  constexpr bool armed() const { return next_ != nullptr; }

  /// What it was armed for last, also when that was past; zero before.
  constexpr Instant when() const { return when_; }

  constexpr Fire fire() const { return fire_; }

  /// A word for who has several queues: which one has it. Nothing to the queue itself.
  constexpr std::atomic<uint32_t>& place() { return place_; }

 private:
  friend class TimerQueue;

  // A circular list, known by its last, behind which comes the first.
  struct Slot {
    Timer* last = nullptr;  // null: empty
    Instant earliest;       // none is before it, and mostly one is at it; any while it is empty
  };

  Timer* next_ = nullptr;  // null: not armed
  Timer* prev_ = nullptr;
  Slot* slot_ = nullptr;
  Instant when_;
  Fire fire_;
  std::atomic<uint32_t> place_{0};
};

static_assert(sizeof(Timer) == 4 * sizeof(void*) + sizeof(Instant) + sizeof(Timer::Fire));

/// The roundest instant from `when` to `when + slack`: the one with the most trailing zero bits.
/// Timers whose windows overlap tend to choose the same one, and share an interrupt: they do
/// whenever the roundest of all their windows is in each of them. Pure, constant time.
constexpr Instant coalesced(Instant when, Duration slack) {
  if (when.ticks == 0) return when;
  const Instant latest = when + slack;
  // Above the highest bit in which they differ, all of the window is alike. Below it, `latest` can
  // do without: with that bit it is still above `when - 1`, which has not got it.
  uint64_t below = (when.ticks - 1) ^ latest.ticks;
  for (int width = 1; width < 64; width *= 2) below |= below >> width;
  return Instant{latest.ticks & ~(below >> 1)};
}

/// See the head of this file.
class TimerQueue {
 public:
  /// How many timers one call of `expire` moves at most.
  static constexpr int kMoves = 2;

  /// How many timers one call of `cancel` looks at at most.
  static constexpr int kLooks = 16;

  /// What one call of `expire` has done.
  struct Step {
    Timer* due = nullptr;  ///< no longer armed; the caller now calls its `fire`. Null: none
    bool more = false;     ///< to be called again; false: nothing was to be done at `now`
  };

  constexpr TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// Arms `timer` for `when`, behind those that are armed for the same instant. One that is armed,
  /// in this queue, is cancelled first. An instant before `reached()` counts as that one. `never`
  /// is an instant that does not come: the timer is armed until it is cancelled. Constant time.
  constexpr void arm(Timer& timer, Instant when) {
    if (timer.armed()) [[unlikely]]
      return rearm(timer, when);
    timer.when_ = when;
    if (when < floor_) [[unlikely]]
      when = floor_;
    place(timer, when, base_);
  }

  /// Disarms `timer`, which is in this queue or in none. True: it was in time, `fire` will not be
  /// called. False: it was not armed. Constant time: looks at `kLooks` others at most.
  constexpr bool cancel(Timer& timer) { return timer.armed() && remove(timer); }

  /// By when `expire` is to be called; `never` when no timer needs it. Constant time.
  ///
  /// It is the instant of the earliest timer, but for two cases, in which it is earlier:
  ///   - while `expire` has more to do it may be `reached()`;
  ///   - the earliest timer of a slot was cancelled and more than `kLooks` others are in there:
  ///     until the slot is opened it may be the cancelled timer's instant. The call of `expire`
  ///     which is then made in vain sorts timers that would have been sorted later.
  constexpr Instant next() const {
    if (opening_ != nullptr) return floor_;
    const int first = first_slot();
    if (first < 0) return never;
    const Instant earliest = slots_[static_cast<size_t>(first)].earliest;
    return earliest < never ? earliest : never;
  }

  /// One bounded piece of what is to be done at `now`, which must be before `never`: gives out a
  /// timer whose instant is not after `now`, or moves at most `kMoves` timers. To be called until
  /// it says that there is no more; in between, anything may be armed and cancelled. Timers are
  /// given out in the order of their instants and, where these are equal, of arming.
  ///
  /// With n timers due, or in slots with one that is, it takes at most 15n / `kMoves` + 3n + 1
  /// calls until all are given out: each timer is moved at most fifteen times. The others in the
  /// slot of one that is due may have to be moved before the next one is given out.
  ///
  /// A `now` before an earlier one does no harm: nothing is given out before its instant, by
  /// whatever clock.
  constexpr Step expire(Instant now) {
    Timer::Slot* slot = opening_;
    if (slot == nullptr) {
      const int first = first_slot();
      if (first < 0) return {};
      slot = &slots_[static_cast<size_t>(first)];
      if (slot->earliest > now) return {};
      floor_ = slot->earliest;
    } else {
      if (floor_ > now) return {};
      if (slot->last == nullptr) [[unlikely]] {  // what was left in it was cancelled
        close();
        return {.more = true};
      }
    }
    Timer& last = *slot->last;
    Timer& timer = *last.next_;
    if (timer.when_ > floor_) [[unlikely]]
      return move_some(*slot);
    if (&timer == &last) {
      vacate(*slot);
      close();
    } else {
      last.next_ = timer.next_;
      timer.next_->prev_ = &last;
    }
    timer.next_ = nullptr;
    return {.due = &timer, .more = true};
  }

  /// Any that is armed, for who empties it; null: there is none. O(1), for so many slots.
  constexpr Timer* any() const {
    for (const Timer::Slot& slot : slots_) {
      if (slot.last != nullptr) return slot.last;
    }
    return nullptr;
  }

  /// How far `expire` has come: not beyond the latest `now` that it was called with, and as far as
  /// the instant of the last timer that it has given out. Whatever is armed is due then or later.
  constexpr Instant reached() const { return floor_; }

 private:
  static constexpr int kDigitBits = 4;
  static constexpr size_t kDigits = 1 << kDigitBits;
  static constexpr size_t kSlots = 64 / kDigitBits * kDigits;
  static constexpr size_t kWordBits = 64;

  // The number of the highest bit that is set in `bits`, rounded down to a digit's lowest. Not
  // every target counts leading zeros (rv64imac), and the bytes of a time that is near are few.
  static constexpr size_t digit_shift(uint64_t bits) {
    size_t shift = bits > 0xffff ? 16 : 0;
    while (bits >> shift > 0xff) shift += 8;
    return bits >> shift > 0xf ? shift + 4 : shift;
  }

  // The number of the first slot that has a timer; -1: none has.
  constexpr int first_slot() const {
    for (size_t i = 0; i < occupied_.size(); ++i) {
      if (occupied_[i] != 0) {
        return static_cast<int>(kWordBits * i) + std::countr_zero(occupied_[i]);
      }
    }
    return -1;
  }

  // To the end of where `when` belongs.
  [[gnu::noinline]] constexpr void place(Timer& timer, Instant when, Instant base) {
    const size_t shift = digit_shift(when.ticks ^ base.ticks);
    const size_t digit = when.ticks >> shift & (kDigits - 1);
    const size_t number = shift * (kDigits / kDigitBits) + digit;
    Timer::Slot& slot = slots_[number];
    Timer* const last = slot.last;
    slot.last = &timer;
    timer.slot_ = &slot;
    if (last == nullptr) {
      timer.next_ = timer.prev_ = &timer;
      slot.earliest = when;
      occupied_[number / kWordBits] |= uint64_t{1} << number % kWordBits;
      return;
    }
    Timer* const first = last->next_;
    timer.next_ = first;
    timer.prev_ = last;
    last->next_ = first->prev_ = &timer;
    if (when < slot.earliest) slot.earliest = when;
  }

  [[gnu::cold, gnu::noinline]] constexpr void rearm(Timer& timer, Instant when) {
    remove(timer);
    arm(timer, when);
  }

  // Out of the list in which it is. True, always: nobody waits for the answer of another.
  constexpr bool remove(Timer& timer) {
    Timer::Slot& slot = *timer.slot_;
    Timer* const next = timer.next_;
    timer.next_ = nullptr;
    if (next == &timer) {
      vacate(slot);
      return true;
    }
    Timer* const prev = timer.prev_;
    prev->next_ = next;
    next->prev_ = prev;
    if (slot.last == &timer) slot.last = prev;
    if (timer.when_ <= slot.earliest) [[unlikely]]
      return find_earliest(slot);
    return true;
  }

  // The last of `slot` has left.
  constexpr void vacate(Timer::Slot& slot) {
    const size_t number = static_cast<size_t>(&slot - slots_.data());
    slot.last = nullptr;
    occupied_[number / kWordBits] &= ~(uint64_t{1} << number % kWordBits);
  }

  // One with the least instant of `slot` has left; others are there. True, as `remove`.
  [[gnu::cold, gnu::noinline]] static constexpr bool find_earliest(Timer::Slot& slot) {
    const Timer* timer = slot.last->next_;
    Instant earliest = timer->when_;
    for (int looks = 1;; ++looks) {
      // Another with the same, or one that was armed for the past.
      if (timer->when_ <= slot.earliest) return true;
      if (timer->when_ < earliest) earliest = timer->when_;
      if (timer == slot.last) break;
      if (looks == kLooks) return true;
      timer = timer->next_;
    }
    slot.earliest = earliest;
    return true;
  }

  // `slot` is being opened, and its first timer is not for the floor's instant.
  [[gnu::cold, gnu::noinline]] constexpr Step move_some(Timer::Slot& slot) {
    opening_ = &slot;
    const Instant floor = floor_;
    Timer* const last = slot.last;
    Timer* timer = last->next_;
    for (int moves = 0; moves < kMoves && timer->when_ > floor; ++moves) {
      Timer* const next = timer->next_;
      place(*timer, timer->when_, floor);
      if (timer == last) {
        vacate(slot);
        close();
        return {.more = true};
      }
      timer = next;
    }
    last->next_ = timer;
    timer->prev_ = last;
    return {.more = true};
  }

  // The first slot, of which the floor is the least, is empty.
  constexpr void close() {
    opening_ = nullptr;
    base_ = floor_;
  }

  Instant base_;
  Instant floor_;                   // the base, or where it goes when the first slot is empty
  Timer::Slot* opening_ = nullptr;  // timers were moved out of it; may be empty: the rest cancelled
  std::array<uint64_t, kSlots / kWordBits> occupied_{};  // a bit a slot
  std::array<Timer::Slot, kSlots> slots_{};
};

/// What a CPU's timers take, however many they are.
static_assert(sizeof(void*) != 8 || sizeof(TimerQueue) == 4152);

}  // namespace sched

#endif  // BATON_SCHED_TIME_TIMER_QUEUE_H_
