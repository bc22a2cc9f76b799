// A task: what is scheduled.

#ifndef BATON_SCHED_TASK_H_
#define BATON_SCHED_TASK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sched/attribute_slot.h"
#include "sched/cpu_set.h"
#include "sched/mailbox.h"
#include "sched/options.h"
#include "sched/policy/policy.h"
#include "sched/stats.h"
#include "sched/time/timer_queue.h"

namespace sched {

/// Where a task is in its life.
///
///     from \ to           fresh  ready   running   blocked  suspended  suspended_blocked  finished
///     fresh                 ·    spawn      ·         ·         ·             ·              ·
///     ready                 ·      ·    is picked     ·      suspend          ·            kill
///     running               ·   loses the   ·       park     suspend          ·            exit
///                                  CPU
///     blocked               ·     wake      ·         ·         ·          suspend           ·
///     suspended             ·    resume     ·         ·         ·             ·              ·
///     suspended_blocked     ·      ·        ·      resume     wake            ·              ·
///     finished              ·     spawn     ·         ·         ·             ·              ·
///
/// `wake` stands for whatever ends a wait: a wake, a timeout, a cancel, a kill. Whatever is not in
/// the table stops a debug build with a diagnosis. Between ready and running nothing is stored: the
/// running task is the one that its CPU calls current. A kill ends only what has never been
/// running.
enum class State : uint8_t {
  blocked,
  ready,
  running,
  finished,
  fresh,
  suspended,          ///< it would be ready
  suspended_blocked,  ///< it waits, and will not run when the wait is over
};

/// The table above.
constexpr bool is_legal(State from, State to) {
  switch (from) {
    case State::fresh: return to == State::ready;
    case State::ready:
      return to == State::running || to == State::suspended || to == State::finished;
    case State::running:
      return to == State::ready || to == State::blocked || to == State::suspended ||
             to == State::finished;
    case State::blocked: return to == State::ready || to == State::suspended_blocked;
    case State::suspended: return to == State::ready;
    case State::suspended_blocked: return to == State::blocked || to == State::suspended;
    case State::finished: return to == State::ready;
  }
  return false;
}

/// Why a wait is over. Whatever came first is the reason, and the only one.
enum class Woken : uint8_t {
  by_wake,     ///< somebody called `wake` since the last return
  by_timeout,  ///< the instant has come
  by_cancel,   ///< somebody called `cancel_wait`
  by_kill,     ///< somebody has called `kill`: clean up and finish
};

/// What a task has used. Times in clock ticks.
struct Usage {
  Duration run;              ///< on a CPU
  Duration wait;             ///< ready, while others ran
  uint64_t voluntary = 0;    ///< switches away by yield, park or exit
  uint64_t involuntary = 0;  ///< switches away without its consent
  uint64_t preemptions = 0;  ///< those of them for somebody more urgent, not for a slice's end
  uint64_t wakes = 0;        ///< times it went from blocked to ready
  CpuNumber cpu = kNoOwner;  ///< the one that owns it, where it ran last; nobody's before and after
};

template <hal::Machine M, Policy P, Options kOptions = Options{}>
class Scheduler;

template <Policy P, typename Context, bool kLatency = false, size_t kCpus = Options{}.cpus>
class Task;

namespace sync_internal {
template <typename S>
class Owned;
}  // namespace sync_internal

namespace internal {

class Wait;
struct Joiner;

template <bool kOn>
struct TaskLatency {};

template <>
struct TaskLatency<true> {
  LatencyHistogram histogram;
  Instant ready_since;
};

// Where a task may run; only meant where its bits say that it is bound.
template <size_t kCpus>
struct Affinity {
  CpuSet<kCpus> cpus;
};
template <>
struct Affinity<1> {};

// What a task on its way to another CPU is to be attached with there, and who has refused it so, of
// late. Under a policy that it need not be detached from the entity itself still knows, and nobody
// refuses it.
template <Policy P, size_t kCpus>
struct Baggage {};
template <Detaches P, size_t kCpus>
struct Baggage<P, kCpus> {
  typename P::Attributes attributes;
  CpuSet<kCpus> refused_by;
  Instant ask_again;  // by the clock of the CPU that has it
};

// What fits behind an entity's last byte.
class TaskBits {
  template <Policy, typename, bool, size_t>
  friend class sched::Task;
  template <hal::Machine, Policy, Options>
  friend class sched::Scheduler;

  // Whether it has not come to call its entry, and the one reason for it that `yes` leaves out.
  enum class Unborn : uint8_t { no, yes, refused };

  std::atomic<State> state_{State::fresh};  // ready also while running
  // What a task that is about to park looks at first.
  enum class Mark : uint8_t {
    none,
    killed,  // asked to finish
    floats,  // and so is nobody's while it is blocked, unless it is killed
  };

  std::atomic<Mark> mark_{Mark::none};
  bool permit_ = false;  // a wake that came before the park
  std::atomic<Unborn> unborn_{Unborn::no};
  uint8_t traits_ = 0;                     // a set
  static constexpr uint8_t kInherits = 1;  // something, from those that wait for it
  static constexpr uint8_t kBound = 2;     // to the CPUs of its affinity
  static constexpr uint8_t kTimed = 4;     // it waits with a timer, which goes where it goes

  Unborn unborn() const { return unborn_.load(std::memory_order_relaxed); }
  void set_unborn(Unborn unborn) { unborn_.store(unborn, std::memory_order_relaxed); }
  bool has(uint8_t trait) const { return (traits_ & trait) != 0; }
  void set(uint8_t trait, bool on) {
    traits_ = static_cast<uint8_t>(on ? traits_ | trait : traits_ & ~trait);
  }
};

}  // namespace internal

/// Something that a task must not take with it when it ends: a mutex that it holds, or whatever a
/// kernel wants to be told of. `abandon` is called by the ending task itself, youngest first; it
/// may do what a task may. The bond is the task's until that returns, or unbinds it.
struct Bond {
  constexpr explicit Bond(void (*abandon)(Bond&)) : abandon(abandon) {}
  Bond(const Bond&) = delete;
  Bond& operator=(const Bond&) = delete;

  void (*const abandon)(Bond& self);
  Bond* next = nullptr;  // the one that the task has had for longer
};

/// A task of policy `P` on a machine with this `Context`: constant-initialised storage that the
/// kernel provides, at an address that stays. It carries the policy's metadata, and what the
/// mechanism needs of every task: state, ownership, context, canary, name and statistics.
///
/// All that happens to a task goes through the scheduler; here are only the questions that anyone
/// may ask at any time, from any context and CPU. The memory of a task may be used for something
/// else only after the sink has had it and nobody can still call `wake` on it.
template <Policy P, typename Context, bool kLatency, size_t kCpus>
class Task : public P::Entity, private internal::TaskBits, public Postable {
 public:
  constexpr explicit Task(const char* name = "unnamed") : name_(name) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// What diagnoses call it. The text must outlive the task.
  const char* name() const { return name_; }
  void set_name(const char* name) { name_ = name; }

  /// The low end of the stack given at the last spawn; null before the first.
  const std::byte* stack_limit() const { return reinterpret_cast<const std::byte*>(canary_); }

  /// What the machine keeps of it while it does not run.
  Context& context() { return context_; }
  const Context& context() const { return context_; }

  /// Whether somebody has asked it to finish. For the task itself, from time to time.
  bool kill_requested() const { return mark() == internal::TaskBits::Mark::killed; }

  /// Whether its entry has not been called since it was spawned: it was killed before, or
  /// `refused`, if the sink has it. What the entry would have done with the argument has not been
  /// done.
  bool never_ran() const { return unborn() != Unborn::no; }

  /// Whether its policy refused it on arrival at another CPU.
  bool refused() const { return unborn() == Unborn::refused; }

  /// How long it waited each time it was ready. Only where the scheduler's options ask for it.
  const LatencyHistogram& latency() const
    requires kLatency
  {
    return latency_.histogram;
  }

 private:
  template <hal::Machine, Policy, Options>
  friend class Scheduler;
  template <typename>
  friend class sync_internal::Owned;

  // Whatever an entity's members are called.
  using TaskBits::has, TaskBits::mark_, TaskBits::permit_, TaskBits::set, TaskBits::set_unborn,
      TaskBits::state_, TaskBits::traits_, TaskBits::unborn;
  using TaskBits::kBound, TaskBits::kInherits, TaskBits::kTimed;

  // For the machine's switch.
  static constexpr size_t context_offset() {
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"  // no virtual base: the offset is a constant
    return offsetof(Task, context_);
#pragma clang diagnostic pop
  }

  // What the entry of a new task is called with.
  struct Start {
    hal::Entry entry;
    void* argument;
  };

  internal::TaskBits::Mark mark() const { return mark_.load(std::memory_order_relaxed); }
  State stored_state() const { return state_.load(std::memory_order_relaxed); }

  // Whether what has arrived has lived on another CPU before.
  bool has_moved() const {
    const State state = stored_state();
    return state != State::fresh && state != State::finished;
  }

  // Everything of an earlier life is forgotten.
  void begin_life(const uintptr_t* canary) {
    mark_.store(internal::TaskBits::Mark::none, std::memory_order_relaxed);
    permit_ = false;
    set_unborn(Unborn::yes);
    traits_ = 0;
    woken_ = Woken::by_wake;
    suspensions_.store(0, std::memory_order_relaxed);
    canary_ = canary;
    set_bonds(uintptr_t{0});
    std::atomic_ref(joiners_).store(nullptr, std::memory_order_relaxed);
    run_.reset();
    runnable_.reset();
    for (Counter* counter : {&yields_, &parks_, &timeouts_, &preemptions_}) counter->reset();
    if constexpr (kLatency) latency_.histogram.reset();
  }

  // What a new task begins with waits on its own stack, above the canary, and so does what it is to
  // be admitted with on another CPU: until its first turn there is no other use for either.
  Start* start() const {
    return reinterpret_cast<Start*>(reinterpret_cast<uintptr_t>(canary_) + kCanaryBytes);
  }
  std::byte* arrival_attributes() const { return reinterpret_cast<std::byte*>(start() + 1); }
  static constexpr size_t kCanaryBytes = 16;

  // The canary is the lowest word of the stack; while it is intact it holds its own address.
  bool canary_is_intact() const { return *canary_ == reinterpret_cast<uintptr_t>(canary_); }

  // The word above the canary: the timer of a wait. Only while it waits with one.
  void set_timer(Timer* timer) {
    const_cast<uintptr_t*>(canary_)[1] = reinterpret_cast<uintptr_t>(timer);
  }
  Timer* timer() const { return reinterpret_cast<Timer*>(canary_[1]); }

  Woken take_reason() {
    const Woken reason = woken_;
    if (reason != Woken::by_wake) woken_ = Woken::by_wake;
    return reason;
  }

  // What it is bound to: in its life the bonds that must not outlive it, youngest first; while it
  // waits its `Wait`, which has the bonds meanwhile, marked by `kWaits`, and by `kWaitsForOwner` if
  // others may follow it, under the lock of the graph; after its life its exit value.
  static constexpr uintptr_t kWaits = 1;
  static constexpr uintptr_t kWaitsForOwner = 2;
  static constexpr uintptr_t kMarks = kWaits | kWaitsForOwner;
  uintptr_t bonds_word() const { return bonds_.load(std::memory_order_relaxed); }
  void set_bonds(uintptr_t word) { bonds_.store(word, std::memory_order_relaxed); }
  void set_bonds(Bond* bonds) { set_bonds(reinterpret_cast<uintptr_t>(bonds)); }
  bool is_waiting() const { return (bonds_word() & kWaits) != 0; }
  bool waits_for_owner() const { return (bonds_word() & kWaitsForOwner) != 0; }
  internal::Wait& wait() const {
    return *reinterpret_cast<internal::Wait*>(bonds_word() & ~kMarks);
  }
  // For who may come too late: the word that is read after it is of that life, or of a later one.
  internal::Joiner* seen_joiners() {
    return std::atomic_ref(joiners_).load(std::memory_order_acquire);
  }
  Bond* bonds() const { return reinterpret_cast<Bond*>(bonds_word()); }

  AttributeSlot<typename P::Attributes> new_attributes_;  // of the last retune from afar
  std::atomic<CpuNumber> last_cpu_{kNoOwner};             // that owned it before, or does
  Woken woken_ = Woken::by_wake;                          // why its wait is over
  std::atomic<uint8_t> suspensions_{0};

  Context context_{};
  const uintptr_t* canary_ = nullptr;
  const char* name_;
  std::atomic<uintptr_t> bonds_{0};
  internal::Joiner* joiners_ = nullptr;  // under the lock of the scheduler's graph

  Stopwatch run_;
  Stopwatch runnable_;  // wait is runnable minus run: a yield has only one of the two to update
  // Each way to lose the CPU counts once; what is asked for is made of them.
  Counter yields_;
  Counter parks_;
  Counter timeouts_;
  Counter preemptions_;
  [[no_unique_address]] internal::TaskLatency<kLatency> latency_;
  [[no_unique_address]] internal::Affinity<kCpus> affinity_;  // under the lock of the slot
  [[no_unique_address]] internal::Baggage<P, kCpus> baggage_;
};

}  // namespace sched

#endif  // BATON_SCHED_TASK_H_
