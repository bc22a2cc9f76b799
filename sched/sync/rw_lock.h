// Readers and writers: several tasks may read at a time, or one may write. (P. Courtois, F. Heymans
// and D. Parnas, "Concurrent Control with 'Readers' and 'Writers'", CACM 1971.) docs/sync.md
//
// It is made of mutexes, so that whoever waits lends to whom it waits for, as with any mutex: a
// gate, and a place for each reader. A writer has the gate from when it wants to write until it has
// written. So nobody who comes later gets in, and those who read leave one after the other; the
// writer waits for each in turn, and lends to that one. A reader passes the gate, and keeps a place
// until it has read. While nobody has the gate it takes only a place, and looks at the gate after:
// the writer does the two in the other order, so one of them sees the other.
//
// Why places, and why so few. Who has a lock must be known, or there is nobody to lend to; and a
// chain of owners must stay a chain: with a writer that lends to many at once it is a tree, which
// would have to be searched, masked, at each wait, for deadlocks too. With few readers the time
// that a writer waits has a bound. (Linux has bounded the readers under PREEMPT_RT for the same
// reason; see S. Rostedt, "RT Mutex Subsystem with PI Support".)

#ifndef BATON_SCHED_SYNC_RW_LOCK_H_
#define BATON_SCHED_SYNC_RW_LOCK_H_

#include <atomic>
#include <cstdint>

#include "sched/sync/mutex.h"
#include "sched/sync/standard_time.h"

namespace sched {

/// See the head of this file. At most `kReaders` at a time; whoever wants to read beyond that waits
/// for one of them to leave, and lends to it. SharedTimedLockable, in the standard's terms.
/// Everything stored before an unlock is visible to who has it next. Constant-initialised; must not
/// go while anybody has it or waits. 56 bytes, and 48 a reader.
///
///     from                 task   interrupt   on misuse
///     try_lock(_shared)     x                  false
///     acquire(_shared)(_..) x                  says so
///     lock(_shared)         x                  deadlock, chain too deep: stops (machine's panic)
///     unlock(_shared)       x                  by a task that does not have it: stops
///
/// Who waits is served in the policy's order, writers and readers alike: neither starves the other
/// by coming again and again. A reader may read again, in another place, but not wait for one, or
/// for who writes: that is refused as a deadlock, and so is to write while reading.
///
/// Costs. To read, while nobody wants to write: a compare-and-swap each, and a look at up to
/// `kReaders` words. To write, while nobody reads: those of a mutex, and such a look.
template <typename S, int kReaders = 4>
class [[clang::capability("shared_mutex")]] RwLock {
  static_assert(kReaders > 0);

 public:
  using Task = typename S::Task;

  constexpr RwLock() = default;
  RwLock(const RwLock&) = delete;
  RwLock& operator=(const RwLock&) = delete;

  // ---- To write

  /// Waits for it whatever happens: through cancel and kill. See `abandoned`.
  [[clang::acquire_capability()]] void lock() { write(never, true); }

  /// If nobody has it.
  [[clang::try_acquire_capability(true)]] bool try_lock() { return has(write(Instant{}, false)); }

  [[clang::release_capability()]] void unlock() {
    is_abandoned_.store(false, std::memory_order_relaxed);
    gate_.unlock();
  }

  /// Waits, and says how it went: for ever, until an instant, or for so long.
  Locked acquire() { return acquire_until(never); }
  Locked acquire_until(Instant until) { return write(until, false); }
  Locked acquire_for(Duration length) { return acquire_until(S::now() + length); }

  /// In the standard's terms: whether the caller has it.
  template <StandardDuration D>
  [[clang::try_acquire_capability(true)]] bool try_lock_for(const D& length) {
    return has(acquire_for(ticks_of<S>(length)));
  }
  template <StandardTimePoint T>
  [[clang::try_acquire_capability(true)]] bool try_lock_until(const T& point) {
    return try_lock_for(point - T::clock::now());
  }

  // ---- To read

  /// The same, beside others who read.
  [[clang::acquire_shared_capability()]] void lock_shared() { read(never, true); }

  /// If nobody has it, or wants it, to write, and there is a place.
  [[clang::try_acquire_shared_capability(true)]] bool try_lock_shared() {
    return has(read(Instant{}, false));
  }

  [[clang::release_shared_capability()]] void unlock_shared() {
    const int place = place_of(&S::current());
    if (place == kReaders) stop("unlock of what another task holds");
    places_[place].unlock();
  }

  Locked acquire_shared() { return acquire_shared_until(never); }
  Locked acquire_shared_until(Instant until) { return read(until, false); }
  Locked acquire_shared_for(Duration length) { return acquire_shared_until(S::now() + length); }

  template <StandardDuration D>
  [[clang::try_acquire_shared_capability(true)]] bool try_lock_shared_for(const D& length) {
    return has(acquire_shared_for(ticks_of<S>(length)));
  }
  template <StandardTimePoint T>
  [[clang::try_acquire_shared_capability(true)]] bool try_lock_shared_until(const T& point) {
    return try_lock_shared_for(point - T::clock::now());
  }

  // ---- Who has it

  /// For who has it, by `acquire`, which the compiler's analysis does not follow: says so. By
  /// another task: stops.
  [[clang::assert_capability()]] void assert_held() const {
    if (gate_.owner() != &S::current()) stop("a lock is not held by who says so");
  }
  [[clang::assert_shared_capability()]] void assert_held_shared() const {
    if (place_of(&S::current()) == kReaders) stop("a lock is not held by who says so");
  }

  /// For who has it, either way: whether a task has ended while it wrote. Until the next writer has
  /// unlocked: those who read cannot put right what is half done. A task that ends while it reads
  /// only leaves.
  bool abandoned() const { return is_abandoned_.load(std::memory_order_relaxed); }

  /// Who writes, or comes next and waits for those who read; null: nobody. Stale as soon as it is
  /// read, unless that is the caller.
  Task* next() const { return gate_.owner(); }

  /// Who reads in this place, from 0 to below `kReaders`; null: nobody. As stale. Who is `next`
  /// waits for the first of them.
  Task* reader(int place) const { return places_[place].owner(); }

 private:
  // The first place in which `reader`, or nobody if that is null, is; `kReaders`: none.
  int place_of(const Task* reader) const {
    int place = 0;
    while (place < kReaders && places_[place].owner() != reader) ++place;
    return place;
  }

  // Until `until`; `deaf` through cancel and kill.
  static Locked take(Mutex<S>& mutex, Instant until, bool deaf)
      __attribute__((no_thread_safety_analysis)) {
    if (!deaf) return mutex.acquire_until(until);
    mutex.lock();
    return mutex.abandoned() ? Locked::owner_died : Locked::done;
  }
  Locked take_gate(Instant until, bool deaf) {
    // A writer that has the gate would wait for whoever reads and waits for the gate: not yet,
    // perhaps, but once it is that reader's turn to be waited for.
    if (place_of(&S::current()) != kReaders) {
      if (deaf) stop("a lock is waited for by who reads");
      return Locked::deadlock;
    }
    const Locked result = take(gate_, until, deaf);
    // Only a writer can end with it.
    if (result == Locked::owner_died) is_abandoned_.store(true, std::memory_order_relaxed);
    return result;
  }

  Locked result() const { return abandoned() ? Locked::owner_died : Locked::done; }

  Locked write(Instant until, bool deaf) __attribute__((no_thread_safety_analysis)) {
    if (const Locked refused = take_gate(until, deaf); !has(refused)) return refused;
    std::atomic_thread_fence(std::memory_order_seq_cst);  // the gate, then the places
    for (Mutex<S>& place : places_) {
      if (place.owner() == nullptr) continue;
      if (const Locked refused = take(place, until, deaf); !has(refused)) {
        gate_.unlock();
        return refused;
      }
      place.unlock();  // nobody comes any more
    }
    std::atomic_thread_fence(std::memory_order_acquire);  // what those who left have done before
    return result();
  }

  Locked read(Instant until, bool deaf) __attribute__((no_thread_safety_analysis)) {
    if (read_beside_others()) return result();
    if (const Locked refused = take_gate(until, deaf); !has(refused)) return refused;
    const Locked taken = take(free_place(), until, deaf);
    gate_.unlock();
    return has(taken) ? result() : taken;
  }

  // While nobody has the gate, or has ended with it, and there is a place.
  bool read_beside_others() __attribute__((no_thread_safety_analysis)) {
    Mutex<S>& place = free_place();
    if (place.owner() != nullptr || !place.try_lock()) return false;
    std::atomic_thread_fence(std::memory_order_seq_cst);  // the place, then the gate
    const bool is_open = gate_.owner() == nullptr && !gate_.abandoned();
    std::atomic_thread_fence(std::memory_order_acquire);  // what was written
    if (!is_open) place.unlock();
    return is_open;
  }

  // If there is none, the first: to be waited for.
  Mutex<S>& free_place() { return places_[place_of(nullptr) % kReaders]; }

  [[noreturn]] static void stop(const char* rule) { S::Masked::stop(rule, S::current()); }

  Mutex<S> gate_;
  Mutex<S> places_[kReaders];
  std::atomic<bool> is_abandoned_{false};  // changed by who has the gate
};

}  // namespace sched

#endif  // BATON_SCHED_SYNC_RW_LOCK_H_
