// Message queues: bounded, their storage in the object, for messages that are moved or copied in
// and out. Plain ones keep the order in which messages were sent; those with levels give the most
// urgent first, and keep the order within a level. docs/sync.md
//
// While nobody waits a call is one masked section on one word: taken by a compare-and-swap, which
// says how many messages there are, and let go by an addition. Whoever finds it taken, or must
// wait, closes that way for all and goes through a fair lock: so nobody waits for a lock for ever.
//
// A sender that finds a receiver waiting hands its message straight over; a receiver that makes
// room takes in the message of the first sender who waits for it. So messages keep their order,
// whoever comes in between, and a wake means that all is done: nobody looks again.
//
// Who waits for a queue are receivers while it is empty, senders while it is full, and nobody else:
// under the lock, and with room for at least one message,
//     somebody waits, and it is empty  =>  all that wait receive
//     somebody waits, and it is full   =>  all that wait send
//     neither empty nor full           =>  nobody waits
// for the queue leaves its state only by a call that found none of them whose wait was not over,
// and took those out. So one line of waiters is enough, and a wake of the wrong side would need a
// queue that is empty and full.

#ifndef BATON_SCHED_SYNC_MESSAGE_QUEUE_H_
#define BATON_SCHED_SYNC_MESSAGE_QUEUE_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "sched/scheduler.h"
#include "sched/wait.h"

namespace sched {

/// What can be sent: copied in any case, or moved without fail.
template <typename T>
concept Sendable = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>;

namespace internal {

/// How a message is passed: one that is not sent has not been moved from.
template <typename T>
using Sent = std::conditional_t<std::is_trivially_copyable_v<T>, const T&, T&&>;

/// Room for one message, without one.
template <typename T>
union MessageSlot {
  constexpr MessageSlot() {}
  constexpr ~MessageSlot()
    requires std::is_trivially_destructible_v<T>
  = default;
  constexpr ~MessageSlot() {}

  void put(T& from) { std::construct_at(&message, std::move(from)); }
  T take() {
    T taken = std::move(message);
    std::destroy_at(&message);
    return taken;
  }

  T message;
};

/// Messages in the order in which they came. Who puts and takes knows how many there are.
template <typename T, uint32_t kCapacity>
class MessageRing {
 public:
  struct Key {};

  void put(T& from, Key) {
    slots_[end_].put(from);
    end_ = after(end_);
  }
  T take() {
    MessageSlot<T>& slot = slots_[first_];
    first_ = after(first_);
    return slot.take();
  }

 private:
  static constexpr uint32_t after(uint32_t slot) {
    if constexpr (std::has_single_bit(kCapacity)) return (slot + 1) % kCapacity;
    return slot + 1 == kCapacity ? 0 : slot + 1;
  }

  uint32_t first_ = 0;
  uint32_t end_ = 0;
  MessageSlot<T> slots_[kCapacity];
};

/// Messages in lists, one a level, through the slots that all levels share.
template <typename T, uint32_t kCapacity, uint32_t kLevels>
class MessageLevels {
 public:
  using Key = uint8_t;  // the level

  void put(T& from, Key level) {
    // Slots that were never used come one after the other: nothing need be linked to begin with.
    Number slot = free_;
    if (slot == kNone) {
      slot = fresh_++;
    } else {
      free_ = next_[slot];
    }
    slots_[slot].put(from);
    const uint64_t bit = uint64_t{1} << level;
    if ((occupied_ & bit) != 0) {
      next_[last_[level]] = slot;
    } else {
      first_[level] = slot;
      occupied_ |= bit;
    }
    last_[level] = slot;
  }
  T take() {
    const auto level = static_cast<Key>(std::bit_width(occupied_) - 1);
    const Number slot = first_[level];
    if (slot == last_[level]) {
      occupied_ ^= uint64_t{1} << level;
    } else {
      first_[level] = next_[slot];
    }
    next_[slot] = free_;
    free_ = slot;
    return slots_[slot].take();
  }

 private:
  using Number = uint16_t;
  static constexpr Number kNone = UINT16_MAX;
  static_assert(kCapacity < kNone);
  static_assert(0 < kLevels && kLevels <= 64);

  uint64_t occupied_ = 0;  // a bit for each level with messages
  Number free_ = kNone;    // those used before, through `next_`
  Number fresh_ = 0;       // those from here on never were
  Number first_[kLevels] = {};
  Number last_[kLevels] = {};
  Number next_[kCapacity] = {};
  MessageSlot<T> slots_[kCapacity];
};

/// What all message queues have: the waiting, around a store.
template <typename S, Sendable T, uint32_t kCapacity, typename Store>
class MessageExchange {
 public:
  MessageExchange(const MessageExchange&) = delete;
  MessageExchange& operator=(const MessageExchange&) = delete;

  /// A message, if there is one.
  bool try_receive(T& into) {
    return receive_quickly(into) || receive_slowly(into, false, never) == Waited::done;
  }

  /// Waits for a message: for ever, or until an instant, or for so long. `done`: it is in `into`,
  /// which otherwise is what it was.
  Waited receive(T& into) { return receive_until(into, never); }
  Waited receive_until(T& into, Instant until) {
    return receive_quickly(into) ? Waited::done : receive_slowly(into, true, until);
  }
  Waited receive_for(T& into, Duration length) {
    return receive_quickly(into) ? Waited::done : receive_slowly(into, true, S::now() + length);
  }

  /// How many messages there were a moment ago.
  uint32_t size() const { return word_.load(std::memory_order_relaxed) & ~(kHeld | kClosed); }

 protected:
  using Key = typename Store::Key;

 private:
  // Who waits, and its message: the one it sends, or where it wants the one it receives.
  struct Party : Waiter<S> {
    Party(Waiting<S>& waiting, T& message, Key key)
        : Waiter<S>(waiting), message(message), key(key) {}
    T& message;
    [[no_unique_address]] Key key;
  };

 public:
  /// For `wait_any` (sched/sync/wait_any.h), which says what these are.
  class Receiving {
   public:
    using Waiter = Party;

    Receiving(MessageExchange& queue, T& into) : queue_(queue), into_(into) {}
    bool try_now() { return queue_.try_receive(into_); }
    Waiter waiter(Waiting<S>& waiting) { return Waiter(waiting, into_, Key{}); }
    typename S::Served enter(Waiter& waiter) { return queue_.enter(waiter); }
    void leave(Waiter& waiter) { queue_.leave(waiter); }

   private:
    MessageExchange& queue_;
    T& into_;
  };

 protected:
  constexpr MessageExchange() = default;
  constexpr ~MessageExchange()
    requires std::is_trivially_destructible_v<T>
  = default;
  // The messages that nobody received.
  ~MessageExchange() {
    for (uint32_t left = size(); left != 0; --left) store_.take();
  }

  bool try_send_with(Key key, T& message) {
    return send_quickly(message, key) || send_slowly(message, key, false, never) == Waited::done;
  }
  Waited send_with(Key key, T& message, Instant until) {
    return send_quickly(message, key) ? Waited::done : send_slowly(message, key, true, until);
  }
  Waited send_with(Key key, T& message, Duration length) {
    return send_quickly(message, key) ? Waited::done
                                      : send_slowly(message, key, true, S::now() + length);
  }

  // What can be copied trivially is only read.
  static T& of(const T& message) { return const_cast<T&>(message); }

 private:
  // The word: how many messages there are, and two bits above, near enough for short immediates.
  static_assert(0 < kCapacity && kCapacity < 1u << 30);
  static constexpr uint32_t kClosed = std::bit_ceil(kCapacity + 1);  // the quick way is
  static constexpr uint32_t kHeld = 2 * kClosed;  // by a call that is on it, masked

  // The quick way, while nobody waits and there is need of it. False: nothing has changed.
  bool send_quickly(T& message, Key key) {
    uint32_t word = word_.load(std::memory_order_relaxed);
    if (word >= kCapacity) [[unlikely]]
      return false;
    typename S::Masked masked;
    if (!hold(word)) [[unlikely]]
      return false;
    store_.put(message, key);
    let_go(word, 1);
    return true;
  }
  bool receive_quickly(T& into) {
    uint32_t word = word_.load(std::memory_order_relaxed);
    if (word - 1 >= kCapacity) [[unlikely]]
      return false;
    typename S::Masked masked;
    if (!hold(word)) [[unlikely]]
      return false;
    into = store_.take();
    let_go(word, -1);
    return true;
  }
  // If the word is still what it was, which has neither bit. Where there is one CPU it need not be
  // marked: who is masked has it.
  bool hold(uint32_t word) {
    if constexpr (!S::kMany) return word_.load(std::memory_order_relaxed) == word;
    return word_.compare_exchange_weak(word, word | kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed);
  }
  void let_go(uint32_t word, int32_t more) {
    const uint32_t change = static_cast<uint32_t>(more);
    if constexpr (!S::kMany) return word_.store(word + change, std::memory_order_relaxed);
    word_.fetch_add(change - kHeld, std::memory_order_release);
  }

  // The slow way, for whoever finds that there is no quick one: the lock of the line first, then
  // the word, which at most one call still holds, for no other can begin. How many messages there
  // are.
  uint32_t begin() __attribute__((acquire_capability(line_))) {
    line_.lock();
    if constexpr (!S::kMany) return word_.load(std::memory_order_relaxed) & ~kClosed;
    uint32_t word = word_.fetch_or(kClosed, std::memory_order_acquire);
    while ((word & kHeld) != 0) [[unlikely]] {
      S::relax();
      word = word_.load(std::memory_order_acquire);
    }
    return word & ~kClosed;
  }
  // Open again if nobody waits.
  void end(uint32_t count) __attribute__((release_capability(line_))) {
    word_.store(line_.empty() ? count : count | kClosed, S::kRelease);
    line_.unlock();
  }

  // `may_wait`: until `until`; otherwise it has timed out already.
  [[gnu::noinline]] Waited send_slowly(T& message, Key key, bool may_wait, Instant until) {
    typename S::Masked masked;
    uint32_t count = begin();
    if (count == kCapacity) return wait(masked, message, key, may_wait, until, count);
    const auto served = line_.serve(
        [&](Waiter<S>& receiver) { static_cast<Party&>(receiver).message = std::move(message); });
    if (!served) {
      store_.put(message, key);
      ++count;
    }
    end(count);
    if (served) masked.wake(served);
    return Waited::done;
  }

  [[gnu::noinline]] Waited receive_slowly(T& into, bool may_wait, Instant until) {
    typename S::Masked masked;
    uint32_t count = begin();
    if (count == 0) return wait(masked, into, Key{}, may_wait, until, count);
    const auto served = take(into, count);
    end(count);
    if (served) masked.wake(served);
    return Waited::done;
  }

  // Who is to be woken: whose message has come in.
  typename S::Served take(T& into, uint32_t& count) __attribute__((requires_capability(line_))) {
    into = store_.take();
    const auto served = line_.serve([this](Waiter<S>& sender) {
      auto& party = static_cast<Party&>(sender);
      store_.put(party.message, party.key);
    });
    if (!served) --count;
    return served;
  }

  [[gnu::always_inline]] Waited wait(const typename S::Masked& masked, T& message, Key key,
                                     bool may_wait, Instant until, uint32_t count)
      __attribute__((release_capability(line_))) {
    if (!may_wait) {
      end(count);
      return Waited::timed_out;
    }
    masked.require_task();
    Waiting<S> waiting(masked);
    Party party(waiting, message, key);
    line_.insert(party);
    end(count);
    return line_.wait(masked, waiting, party, until, [this] { open(); });
  }

  typename S::Served enter(Party& receiver) {
    typename S::Served served;
    uint32_t count = begin();
    if (count == 0) {
      line_.insert(receiver);
    } else if (receiver.waiting().begin_to_serve()) {
      served = take(receiver.message, count);
      receiver.waiting().serve(&receiver);
    }
    end(count);
    return served;
  }

  void leave(Party& receiver) {
    line_.lock();
    if (receiver.is_in()) {
      line_.remove(receiver);
      open();
    }
    line_.unlock();
  }

  // If nobody waits any more. Locked.
  void open() {
    if (line_.empty()) word_.fetch_and(~kClosed, std::memory_order_relaxed);
  }

  std::atomic<uint32_t> word_{0};
  WaitQueue<S> line_;
  Store store_;
};

}  // namespace internal

/// See the head of this file. Everything stored before a `send` is visible after the `receive` that
/// gets its message. `T` is passed as `const T&` where it can be copied trivially, else as `T&&`,
/// and has not been moved from if it was not sent. Constant-initialised; must not go while somebody
/// waits; the messages in it go with it. 40 bytes and the messages.
///
///     from                task   interrupt or boot   on misuse
///     try_send, _receive    x          x
///     send(_...)            x                        stops: machine's panic
///     receive(_...)         x                        stops: machine's panic
///
/// O(1) while nobody waits, O(log n) for n that do. A message is moved with interrupts masked, and
/// two are where a sender waits: send long ones by pointer.
template <typename S, Sendable T, uint32_t kCapacity>
class MessageQueue
    : public internal::MessageExchange<S, T, kCapacity, internal::MessageRing<T, kCapacity>> {
 public:
  constexpr MessageQueue() = default;

  /// Sends, if there is room.
  bool try_send(internal::Sent<T> message) { return this->try_send_with({}, this->of(message)); }

  /// Waits for room: for ever, or until an instant, or for so long. `done`: it is sent.
  Waited send(internal::Sent<T> message) { return this->send_with({}, this->of(message), never); }
  Waited send_until(internal::Sent<T> message, Instant until) {
    return this->send_with({}, this->of(message), until);
  }
  Waited send_for(internal::Sent<T> message, Duration length) {
    return this->send_with({}, this->of(message), length);
  }
};

/// The same with levels of urgency from 0 to `kLevels` - 1, at most 64: the messages of the highest
/// level are received first. One whose sender waits is not in the queue yet: who waits is served as
/// the policy says, however urgent the message. Also O(1). 44 bytes, 4 a level, 2 a message, and
/// the messages.
template <typename S, Sendable T, uint32_t kCapacity, uint32_t kLevels>
class PriorityMessageQueue
    : public internal::MessageExchange<S, T, kCapacity,
                                       internal::MessageLevels<T, kCapacity, kLevels>> {
 public:
  constexpr PriorityMessageQueue() = default;

  /// Sends, if there is room. A level too high counts as the highest.
  bool try_send(internal::Sent<T> message, uint32_t level) {
    return this->try_send_with(key(level), this->of(message));
  }

  /// Waits for room: for ever, or until an instant, or for so long. `done`: it is sent.
  Waited send(internal::Sent<T> message, uint32_t level) {
    return this->send_with(key(level), this->of(message), never);
  }
  Waited send_until(internal::Sent<T> message, uint32_t level, Instant until) {
    return this->send_with(key(level), this->of(message), until);
  }
  Waited send_for(internal::Sent<T> message, uint32_t level, Duration length) {
    return this->send_with(key(level), this->of(message), length);
  }

 private:
  static uint8_t key(uint32_t level) {
    return static_cast<uint8_t>(level < kLevels ? level : kLevels - 1);
  }
};

/// A message of `queue`, to be put into `into`, among other things to be waited for.
template <typename S, typename T, uint32_t kCapacity, typename Store>
auto receiving(internal::MessageExchange<S, T, kCapacity, Store>& queue, T& into) {
  return typename internal::MessageExchange<S, T, kCapacity, Store>::Receiving(queue, into);
}

}  // namespace sched

#endif  // BATON_SCHED_SYNC_MESSAGE_QUEUE_H_
