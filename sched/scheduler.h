// The mechanism: tasks, turns, preemption, and the mailbox that keeps other CPUs out.
//
//     using S = sched::Scheduler<Machine, sched::RoundRobin>;
//     constinit S::Cpu cpus[1];                        // one a CPU, the kernel's memory
//     constinit S::Task task{"blink"};                 // tasks too
//
//     S::start(cpus, 0, sink);                         // on each CPU, at boot, masked
//     S::spawn(task, stack, blink, nullptr, {.slice = slice});
//     S::run();                                        // the boot stack becomes the idle task's
//
// Interrupts tell the scheduler what happened, through `S::Interrupt` (see hal/interrupt.h).
//
// Who may call what. "Task" is code that runs as a task, interrupts unmasked; "interrupt" is an
// interrupt handler, between the construction of its `S::Interrupt` and `leave`. A kernel that has
// masked interrupts itself may call whatever an interrupt may.
//
//     from                task   interrupt   boot (after start)   on misuse
//     spawn(_on, _in)      x         x              x             returns an error
//     wake, kill, retune,  x         x              x             counted, or false
//     cancel_wait, suspend,
//     resume, set_affinity,
//     take_offline,
//     bring_online
//     adjust, balance      x         x              x
//     arm, cancel          x         x              x             false: a timer of another CPU
//     current, here, now,  x         x              x
//     state, usage, load, online, ...
//     attributes, claim,   x         x              x             another CPU's task: undefined
//     affinity
//     yield(_to), sleep_*, x                                      stops: machine's panic
//     park(_until), exit, join,
//     call_on, cancel_anywhere
//     bind, unbind         x                                      the interrupted task's
//     NoPreempt, Masked    x         x              x
//     Interrupt and what             x
//     it has, on_timer, on_kick, preempt
//     start, run                                    (are the boot)
//
// What is for several CPUs is not there where the options say that there is one.
//
// Everything is static and finds its CPU through the machine, so there is no mutable global. Each
// pair of machine and policy is a scheduler of its own; a CPU runs under the one that has started
// on it last. Nothing allocates. What a function does itself takes constant time if the policy's
// callbacks do; those that may switch (yield, park, wake, retune, the end of a guard) return when
// their task is chosen again.
//
// Checks. Always on: stack canary at each switch, link checks of the queues, rescheduling while it
// is forbidden, everything that returns an error. In debug builds (`Options::debug_checks`) also
// the table of legal states, interrupts being as they must be, and at each switch that the task is
// this CPU's, so that it runs nowhere else, and ready.

#ifndef BATON_SCHED_SCHEDULER_H_
#define BATON_SCHED_SCHEDULER_H_

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "hal/hal.h"
#include "sched/attribute_slot.h"
#include "sched/mail_share.h"
#include "sched/mailbox.h"
#include "sched/masked_atomic.h"
#include "sched/options.h"
#include "sched/policy/policy.h"
#include "sched/policy/ticket_lock.h"
#include "sched/task.h"
#include "sched/time/timer_queue.h"
#include "sched/wait.h"

namespace sched {

/// Why a spawn was refused. Nothing has changed.
enum class SpawnError : uint8_t {
  already_spawned,  ///< the task lives, or its end has not reached the sink yet
  stack_too_small,  ///< it must hold twice the machine's `kContextBytes`, 48 bytes, and attributes
  bad_attributes,   ///< the policy refused them
  cpu_not_started,  ///< there is no such CPU, or `start` has not run on it
};

/// Why a join has no exit value to tell.
enum class JoinError : uint8_t {
  not_alive,  ///< that life has not begun, or its task has begun another one since
  itself,     ///< a task cannot wait for its own end
  never_ran,  ///< it was killed before it ran, or refused by its policy
  timed_out,
  cancelled,
  killed,  ///< the caller
};

namespace internal {

// Up to when the policy has been told what the current task has used.
template <bool kOn>
struct Charged {};

template <>
struct Charged<true> {
  Instant until;
};

// How urgent what a CPU runs is, for others to read, and to write what they have sent there.
// Masked.
template <typename Claim, bool kOn>
struct Rank {};

template <typename Claim>
  requires(sizeof(Claim) <= sizeof(uint64_t))
struct Rank<Claim, true> {
  Claim get() const { return claim.load(std::memory_order_relaxed); }
  void set(const Claim& to) { claim.store(to, std::memory_order_relaxed); }
  std::atomic<Claim> claim{};
};

template <typename Claim>
struct Rank<Claim, true> {
  Claim get() { return claim.load(); }
  void set(const Claim& to) {
    claim.store(to, [] { return true; });
  }
  AttributeSlot<Claim> claim;
};

// Ends a task's wait when its time has come. On the stack of that task, while it waits.
template <typename Task>
struct WaitTimer : Timer {
  WaitTimer(Task& task, Fire fire) : Timer(fire), task(task) {}
  Task& task;
};

}  // namespace internal

/// One kernel's scheduler on machine `M` under policy `P`. See the head of this file.
template <hal::Machine M, Policy P, Options kOptions>
class Scheduler : private Mechanism {
  using Irq = typename M::Irq;

 public:
  using Machine = M;
  using Policy = P;
  using Attributes = typename P::Attributes;
  /// What a task has that another can inherit.
  using Claim = typename internal::ClaimOf<P>::Type;
  using Task = sched::Task<P, typename M::Context, kOptions.latency, kOptions.cpus>;
  /// Whether there may be several CPUs.
  static constexpr bool kMany = kOptions.cpus > 1;
  /// Whether a task has a place of its own among them. Of a queue that all share it has not.
  static constexpr bool kHasPlaces = kMany && !Shares<P>;
  static constexpr bool kSharesQueue = kMany && Shares<P>;
  /// Whether what one CPU's policy has given out for a task goes back to it when the task moves.
  static constexpr bool kDetachesMovers = Detaches<P> && !Shares<P>;
  /// Of a store by masked code that is to be seen by other CPUs, if there are any.
  static constexpr auto kRelease = kMany ? std::memory_order_release : std::memory_order_relaxed;
  /// Some of the CPUs: 64 of them unless the options say otherwise.
  using CpuSet = sched::CpuSet<kOptions.cpus>;
  /// Takes a task whose life is over, once off its stack: both are the kernel's again, to poison,
  /// free, or spawn anew, from here on and not before. Called once for each life that a spawn
  /// began, one at a time on a CPU, unmasked, with rescheduling forbidden: it may call what an
  /// interrupt may. It runs on the stack of the idle task, or of the task that calls `kill` for one
  /// that never ran: a task that does so needs room for it. Tasks that were killed before they ran
  /// or refused on arrival at another CPU come here too: `never_ran()`, `refused()`.
  using Sink = void (*)(Task& finished);

  /// One life of a task: tells it from those before and after, which the task alone does not.
  struct Life {
    Task* task;
    uint32_t generation;
    friend bool operator==(const Life&, const Life&) = default;
  };

  /// What one CPU has used.
  struct CpuUsage {
    Duration busy;
    Duration idle;
    uint64_t voluntary = 0;
    uint64_t involuntary = 0;
    uint64_t preemptions = 0;
    uint64_t wakes = 0;
    /// Wakes, kills and retunes of tasks that were not alive, and retunes by mail that were
    /// refused.
    uint64_t stale = 0;
    uint64_t clock_steps_back = 0;  ///< where the machine looks: hal/steady_clock.h
    uint64_t departures = 0;        ///< tasks that have gone from here to another CPU
    uint64_t arrivals = 0;          ///< those that have come from another one
    uint64_t kicks = 0;             ///< interrupts sent to other CPUs because of mail
    uint64_t spared = 0;     ///< mail to CPUs that were awake and looked for it: no interrupt
    uint64_t unhoused = 0;   ///< tasks that were sent from here: no CPU was left that they may use
    uint64_t misplaced = 0;  ///< CPUs named by the policy's `place` that were not allowed
    // How long its tasks waited is in its histogram: `latency(cpu).total()`.
  };

  /// Who waits for whom: the lock under which that changes wherever what is waited for has an
  /// owner. One for all CPUs, for a chain of waits may lead anywhere; taken only when somebody must
  /// wait.
  struct [[clang::capability("mutex")]] Graph {
    [[clang::acquire_capability()]] void acquire() { lock.lock(&Scheduler::relax); }
    [[clang::release_capability()]] void release() { lock.unlock(); }

    [[no_unique_address]] internal::MaskedLock<kMany> lock;
    // Brings what a task inherits up to date, in its owner's hands: set by the first that waits, so
    // that a kernel in which nobody does need not contain it.
    void (*settle)(Task& task) = nullptr;
  };
  class [[clang::scoped_lockable]] GraphGuard {
   public:
    explicit GraphGuard(Graph& graph) __attribute__((acquire_capability(graph))) : graph_(graph) {
      graph_.acquire();
    }
    [[clang::release_capability()]] ~GraphGuard() { graph_.release(); }
    GraphGuard(const GraphGuard&) = delete;
    GraphGuard& operator=(const GraphGuard&) = delete;

   private:
    Graph& graph_;
  };

  class Cpu;
  class Balancer;

 private:
  // What there is to do for CPUs that look for work to give away (sched/balance_impl.h).
  struct Balance {
    void (*keep_looking)(Cpu& cpu);
    void (*ask)(Cpu& cpu);
    bool (*donate)(Cpu& cpu);
  };
  static constexpr bool kRanks = kMany && Ranks<P> && Donates<P>;

  // What there is to do for tasks that move (sched/affinity_impl.h).
  struct Moves {
    void (*park)(Cpu& cpu, Task& self);
    void (*place)(Cpu& cpu, Task& task, bool may_handle);
    void (*take_from)(Cpu& cpu, CpuNumber closed, Task& task);
    void (*be_offline)(Cpu& cpu);
    void (*spread)(Cpu& cpu, Task& task);
    bool (*admit)(Cpu& cpu, Task& task);
    void (*arrive)(Cpu& cpu, Task& task);
    void (*settle)(Cpu& cpu, Task& task, Requests requests);
  };

 public:
  /// A CPU's block: run queue, mailbox, idle task. The kernel has an array of them, one a CPU.
  class Cpu : public M::Local {
   public:
    constexpr Cpu() = default;
    Cpu(const Cpu&) = delete;
    Cpu& operator=(const Cpu&) = delete;

    /// The policy's object, for what a policy wants set beyond a task's attributes. For this CPU,
    /// masked or before `run`.
    P& policy() { return policy_; }

    /// Whether there is mail that it has not begun to look at. As seen from another CPU already
    /// past.
    bool has_mail() const { return !mailbox_.empty(); }

    /// What it runs; null before `start`. For this CPU, masked, or where it stands still.
    const Task* current() const { return current_; }

    /// Its idle task, current while nothing else is.
    const Task& idle() const { return idle_; }

   private:
    friend Scheduler;

    bool is_leaving() const { return is_leaving_.load(std::memory_order_relaxed); }

    // Ordered by how often a switch needs them, neighbours that are used together side by side.
    Instant until_ = never;  // when the policy must be asked again
    Task* current_ = nullptr;
    // Below this an `until` takes the slow path of a yield: at least the instant that the timer is
    // armed for; `kLocked` from the beginning of a guard or an interrupt until the slow path has
    // seen that it is over. One compare for both.
    Instant floor_ = never;
    Instant armed_ = never;        // what the timer is set to: at most all that is due
    uint16_t locked_ = 0;          // guards alive + kInInterrupt for each interrupt under way
    int8_t due_ = kNothing;        // a set of `Due`
    uint32_t privately_mine_ = 0;  // for `is_private_to`
    Counter voluntary_;
    Counter timeouts_;
    Counter preemptions_;  // without `overtakes_`
    Counter wakes_;        // without `overtakes_`
    Counter overtakes_;    // wakes that preempted at once: one count instead of two
    Counter stale_;
    Counter departures_;
    Counter arrivals_;
    Counter kicks_;
    Counter spared_;
    Counter unhoused_;
    Counter misplaced_;
    Mailbox mailbox_;
    PostQueue reversing_;                  // taken from the mailbox, youngest first
    PostQueue inbox_;                      // next to be handled, oldest first
    Mailbox calls_;                        // of other CPUs' tasks (sched/call_impl.h)
    PostQueue called_;                     // taken from there
    Task* leaving_ = nullptr;              // finished, and about to be retired on the idle stack
    PostQueue retired_;                    // finished and retired, on the way to the sink
    std::atomic<bool> is_leaving_{false};  // to go offline, or there
    TicketLock closing_;                   // while that changes
    Balancer* balancer_ = nullptr;         // null: it gives nothing away
    CpuNumber donee_ = 0;                  // whom `surplus` is asked for
    std::atomic<bool> is_asked_{false};    // by an idle CPU
    std::atomic<uint32_t> load_{0};        // an average; `kBusy`: always busy, nobody waits
    Instant ask_again_;
    [[no_unique_address]] internal::Rank<Claim, kRanks> rank_;  // what it ran when it looked last
    Task* emigrant_ = nullptr;  // to go to another CPU as soon as it is off its stack
    // The first CPU's counts: null while no task was ever to move, so that a kernel in which none
    // does need not contain it.
    std::atomic<const Moves*> moves_{nullptr};
    Cpu* cpus_ = nullptr;
    size_t count_ = 0;
    Sink sink_ = nullptr;
    [[no_unique_address]] internal::Charged<Charges<P>> charged_;
    uintptr_t idle_canary_ = 0;
    Instant expiry_ = never;  // when the first timer of `timers_` is due
    // What follows then; null while no timer was ever armed, so that a kernel without timers does
    // not contain it.
    void (*expire_)(Cpu&, Instant) = nullptr;
    Graph graph_;  // the first CPU's counts
    [[no_unique_address]] internal::TaskLatency<kOptions.latency> latency_;
    Task idle_{"idle"};
    P policy_;  // late: it may be large, and the fields above are reached by short offsets
    TimerQueue timers_;
    // Seldom.
    bool was_call_ = false;  // what was handled last where both waited
    internal::MailShare mail_share_;
    Timer* orphan_ = nullptr;  // a timer that the idle task carries to another CPU
    Instant started_;
  };

  /// Forbids rescheduling on this CPU while it lives; interrupts stay as they are. Nests, up to
  /// 255 deep. A switch that became due meanwhile happens once, when the last one goes. Meanwhile
  /// park and exit stop the machine, and so does a yield, unless nobody else would have run. A
  /// guard of a task or of an interrupt handler ends before that does.
  class NoPreempt {
   public:
    NoPreempt() {
      // Masked so that the CPU whose count goes up is still this one when it does.
      const Irq irq = M::mask();
      Cpu& cpu = here();
      if constexpr (kOptions.debug_checks) {
        if (cpu.locked_ % kInInterrupt == kInInterrupt - 1)
          stop("guards nest too deep", *cpu.current_);
      }
      lock(cpu);
      M::unmask(irq);
    }
    ~NoPreempt() {
      const Irq irq = M::mask();
      release_masked(irq == M::kUnmasked);
      M::unmask(irq);
    }
    NoPreempt(const NoPreempt&) = delete;
    NoPreempt& operator=(const NoPreempt&) = delete;
  };

  class Masked;

  /// Whose wait a server has ended, until it is woken; or nobody.
  class [[nodiscard]] Served {
   public:
    constexpr Served() = default;

    /// Whether it is somebody.
    explicit operator bool() const { return task_ != nullptr; }

    /// That task. While the lock is held that it takes before its wait returns.
    Task& task() const { return *task_; }

   private:
    friend Scheduler;

    explicit Served(Task& task) : task_(&task) {}
    Served(Task& task, CpuNumber to) : task_(&task), sent_(to + 1) {}

    // Whether the wake is in the task's word, and at most has to be sent.
    bool is_posted() const { return kMany && sent_ != 0; }
    CpuNumber to() const { return static_cast<CpuNumber>(sent_ - 1); }

    Task* task_ = nullptr;
    uint32_t sent_ = 0;  // to whom, as `deliver` has it, plus one; 0: this CPU may touch the task
  };

  /// Interrupts are masked while it lives, in a task or an interrupt. The mechanism as primitives
  /// see it (sched/wait.h): what a wake makes due happens in `wake` in a task without a guard.
  class Masked {
   public:
    Masked() : irq_(M::mask()) {}
    ~Masked() { M::unmask(irq_); }
    Masked(const Masked&) = delete;
    Masked& operator=(const Masked&) = delete;

    /// The current task. Not the idle task's or an interrupt's business.
    Task& self() const { return *here().current_; }

    /// The same, and what it counts for where that has a meaning (`Inherits`).
    struct Caller {
      Task& task;
      [[no_unique_address]] Claim claim;
    };
    Caller caller() const {
      const Cpu& cpu = here();
      Task& task = *cpu.current_;
      if constexpr (Inherits<P>) {
        return {task, cpu.policy_.claim(task)};
      } else {
        return {task, {}};
      }
    }

    /// A server's, before the last step of a wait: that it is going to wake the task. Until it has,
    /// the task's memory stays; nobody else's wake does as well.
    static Served promise(Task& task) {
      if (!kMany || is_private(here_once(), task)) [[likely]]
        return Served(task);
      return promise_elsewhere(task);
    }

    /// Keeps the promise. Of a task that has left the wait before, for an older wake, it is a wake
    /// too many and does no harm.
    void wake(const Served& served) const {
      if (served.is_posted()) [[unlikely]]
        return deliver_masked(served, irq_ == M::kUnmasked);
      wake_masked<true>(*served.task_, irq_);
    }

    /// The same, where what a task inherits may just have changed: the switch is for both.
    void wake_and_settle(const Served& served) const {
      if (served.is_posted()) [[unlikely]]
        return deliver_masked(served, irq_ == M::kUnmasked);
      wake_and_settle_masked(*served.task_, irq_ == M::kUnmasked);
    }

    /// The switch for what has changed before.
    void settle() const { honour(here(), irq_ == M::kUnmasked); }

    /// Stops if a task could not block here: in an interrupt, masked by the kernel, or where a
    /// guard forbids rescheduling.
    void require_task() const {
      if (here().locked_ != 0 || irq_ != M::kUnmasked) [[unlikely]]
        stop_masked();
    }

    /// Parks until `wait` is served, and until `until` at the latest; `never`: no limit. If `wait`
    /// was not served, it is closed, and the answer says why.
    [[gnu::always_inline]] Woken park(Task& self, internal::Wait& wait, Instant until) const;

    /// Before a `park`: the switch that has become due is found by the one that comes with it.
    void forget_preemption() const { here().due_ &= ~kPreemption; }

    /// What `Waiting` does at its two ends.
    static void begin_wait(Task& task, internal::Wait& wait) { Scheduler::begin_wait(task, wait); }
    static void end_wait(Task& task, internal::Wait& wait) { Scheduler::end_wait(task, wait); }

    /// As `Scheduler::bind` and `unbind`, of the current task.
    static void bind(Task& self, Bond& bond) {
      bond.next = self.bonds();
      self.set_bonds(&bond);
    }
    static void unbind(Task& self, Bond& bond) {
      if (self.bonds() != &bond) [[unlikely]]
        return unbind_old(self, bond);
      self.set_bonds(bond.next);
    }

    /// A rule was broken, by this task.
    [[noreturn]] static void stop(const char* rule, const Task& task) {
      Scheduler::stop(rule, task);
    }

   protected:
    explicit Masked(Irq before) : irq_(before) {}

   private:
    const Irq irq_;
  };

  /// The same, of a call that waits: stops where a task could not, as `require_task` does; but for
  /// a guard, which the `park` finds.
  class MaskedTask : public Masked {
   public:
    MaskedTask() : Masked(M::kUnmasked) {
      if (M::mask() != M::kUnmasked) [[unlikely]]
        stop_masked();
    }
  };

  /// An interrupt under way. Construct it first in `baton_interrupt`, call `leave` last.
  class Interrupt {
   public:
    Interrupt() {
      Cpu& cpu = here_once();
      cpu.locked_ += kInInterrupt;
      cpu.floor_ = kLocked;
    }
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// `Scheduler::wake`, a little cheaper: here interrupts are known to be masked.
    void wake(Task& task) {
      // Any state will do: that this is an interrupt is what keeps it from switching.
      wake_masked<false>(task, M::kUnmasked);
    }

    /// Whether the interrupted task must give way: then call `preempt` once its state is saved.
    [[nodiscard]] bool leave() {
      Cpu& cpu = here_once();
      cpu.locked_ -= kInInterrupt;
      if (cpu.due_ <= kNothing) [[likely]]  // below: `kLater`
        return false;
      return cpu.locked_ == 0;
    }
  };

  /// Makes this the CPU number `number`, below `cpus.size()`, with `cpus[number]` as its block.
  /// Once on each CPU, masked, with the same array and sink on all. From here on tasks may be
  /// spawned on it; none runs before `run`. Stops where `cpus` are more than the options allow.
  [[clang::minsize]] static void start(std::span<Cpu> cpus, CpuNumber number, Sink sink);

  /// Runs tasks for ever; this stack becomes the idle task's.
  [[noreturn]] static void run();

  /// Makes `task` ready on this CPU: `entry(argument)` on `stack`, unmasked, and `exit` when it
  /// returns. It may run before this returns, if its policy has it preempt the caller. The stack
  /// may lie anywhere: its ends are moved inward to multiples of 16, the lowest word becomes the
  /// canary.
  static std::expected<void, SpawnError> spawn(Task& task, std::span<std::byte> stack,
                                               hal::Entry entry, void* argument,
                                               const Attributes& attributes = {}) {
    return spawn_on(kThisCpu, task, stack, entry, argument, attributes);
  }

  /// The same on CPU `cpu`, which gets it by mail unless it is this one. There the policy may
  /// refuse the attributes only when the task arrives: then the sink gets it.
  [[gnu::noinline]] static std::expected<void, SpawnError> spawn_on(
      CpuNumber cpu, Task& task, std::span<std::byte> stack, hal::Entry entry, void* argument,
      const Attributes& attributes = {});

  /// Lets others of the same rank run first. Returns at once if there are none.
  static void yield() {
    enter_task("yield with interrupts masked");
    yield_masked();
    M::unmask(M::kUnmasked);
  }

  /// Lets `target` run, if the policy's rules allow it and can (`YieldsTo`); otherwise, and where
  /// `target` is not ready on this CPU, a yield.
  static void yield_to(Task& target) {
    enter_task("yield with interrupts masked");
    yield_to_masked(target);
    M::unmask(M::kUnmasked);
  }

  /// Blocks until somebody wakes this task. A wake since the last `park` returned lets it pass at
  /// once; several count as one. May return for no reason its caller knows (an older wake): wait
  /// for a condition in a loop.
  static Woken park() {
    enter_task("park with interrupts masked");
    Task& self = *here().current_;
    park_masked(self);
    M::unmask(M::kUnmasked);
    return self.take_reason();
  }

  /// The same, until `when` at the latest. What has passed is no wait: it looks for a wake and
  /// returns. `never`: no limit.
  static Woken park_until(Instant when);

  /// Sleeps until `when`, whoever wakes it: what was waked meanwhile passes the next `park`.
  /// `timed_out` unless it was cancelled or killed; at once when `when` has passed.
  static Waited sleep_until(Instant when);
  static Waited sleep_for(Duration length) { return sleep_until(M::now() + length); }

  /// Ends this task. What it still is bound to is abandoned, its exit value goes to whoever joins
  /// it, its memory and stack to the sink. Returning from the entry is an exit with zero.
  [[noreturn]] static void exit(uint64_t value = 0);

  /// Waits until the task of this life has ended, and is off its stack. Its exit value; also later,
  /// until the task is spawned anew. Any number of tasks may wait for one, and go on once the sink
  /// has had it; who comes after the end may be told before the sink is done. (Nobody needs to:
  /// a task is its kernel's again whether or not it was joined.)
  static std::expected<uint64_t, JoinError> join(Life life, Instant until = never);
  static std::expected<uint64_t, JoinError> join(Task& task, Instant until = never) {
    return join(life(task), until);
  }

  /// The life that `task` is in, or was in last; before the first, one that nobody is in.
  static Life life(Task& task) {
    const Ownership seen = task.ownership();
    return {&task,
            seen.is_alive() || seen.generation() == 0 ? seen.generation() : seen.generation() - 1};
  }

  /// Has `bond.abandon` called when the current task exits; after `unbind` no longer. A bond
  /// belongs to one task at a time.
  static void bind(Bond& bond) {
    const Masked masked;
    masked.bind(masked.self(), bond);
  }
  static void unbind(Bond& bond) {
    const Masked masked;
    masked.unbind(masked.self(), bond);
  }

  /// Ends the wait of a parked task, or lets its next `park` pass. Of a task that is not alive:
  /// ignored and counted. Everything the caller stored before is visible to the task after.
  static void wake(Task& task) {
    const Irq irq = M::mask();
    wake_masked<false>(task, irq);
    M::unmask(irq);
  }

  /// The same, if `life` is not over.
  static void wake(Life life) { request(life, request::wake); }

  /// Ends the wait of a blocked task: it returns `Woken::by_cancel`, or its primitive's word for
  /// it. Nothing, if it does not wait, or by `Mutex::lock`, which cannot be left without the mutex.
  static void cancel_wait(Task& task) { request(present(task), request::cancel); }
  static void cancel_wait(Life life) { request(life, request::cancel); }

  /// Keeps a task from running until `resume` has been called as often as this; a wait of its goes
  /// on, ends and times out as ever. The caller itself stops before this returns, if it may be
  /// switched from. False: it is not alive, or suspended 255 times.
  static bool suspend(Task& task);

  /// Takes back one `suspend`. False: there is none.
  static bool resume(Task& task);

  /// Asks a task to finish: `kill_requested` becomes true, a `park` under way or to come returns
  /// `Woken::by_kill`; what had it suspended is forgotten. It ends when it calls `exit` or returns:
  /// nothing it holds is torn from it. A ready task whose entry has not been called holds nothing,
  /// and ends at once: it never runs, and the sink has it before this returns, if it is this CPU's
  /// and the caller a task without a guard; otherwise as soon as its CPU may switch.
  static void kill(Task& task) {
    const Irq irq = M::mask();
    kill_masked(present(task), irq == M::kUnmasked);
    M::unmask(irq);
  }
  static void kill(Life life);

  /// Gives a task new attributes; a runnable one queues anew. False: the task is not alive, or the
  /// policy refused and it keeps those it has. A task of another CPU gets them by mail, latest
  /// wins, and a refusal there is counted as stale; so does the caller itself where the kernel has
  /// masked interrupts, for it cannot be switched from there.
  static bool retune(Task& task, const Attributes& attributes) {
    const Irq irq = M::mask();
    const bool done = retune_masked(task, attributes, irq);
    // What follows from it comes separately: together they would be the longest time masked.
    M::unmask(irq);
    M::mask();
    honour(here(), irq == M::kUnmasked);
    M::unmask(irq);
    return done;
  }

  /// From now on `task` runs on these CPUs only, in this life: one that is elsewhere goes there at
  /// once, whatever its state, with the timer it waits by. The caller itself is there when this
  /// returns, if it may be switched from. False: it is not alive, or none of the CPUs has started.
  static bool set_affinity(Task& task, const CpuSet& cpus)
    requires(kHasPlaces);

  /// The CPUs on which `task` may run. For its owner, masked.
  static CpuSet affinity(Task& task)
    requires(kMany);

  /// Where a new task may run, and how.
  struct Where {
    CpuSet cpus = CpuSet::all();
    /// While it is blocked without a limit of time it is no CPU's, and each wake looks anew for the
    /// CPU that it best runs on. Otherwise it stays where it is. Until it is asked to finish.
    bool floats = false;
  };

  /// The same as `spawn`, on one of the CPUs of `where`: this one if it has nothing to do, else an
  /// idle one near it, else where the policy says, or this one.
  static std::expected<void, SpawnError> spawn_in(const Where& where, Task& task,
                                                  std::span<std::byte> stack, hal::Entry entry,
                                                  void* argument, const Attributes& attributes = {})
    requires(kHasPlaces);

  /// What makes a CPU give work away. The kernel's memory, one a CPU.
  class Balancer : public Timer {
   public:
    constexpr Balancer() : Timer(&Scheduler::look) {}

   private:
    friend Scheduler;
    Duration period_{};
    Balance balance_{&keep_looking, &ask, &donate};
  };

  /// From now on this CPU gives floating tasks that wait to CPUs that are idle, or that run
  /// somebody less urgent, by a policy that can name one (`Donates`): it looks every `period` while
  /// it is busy, and when it is asked. Once on each CPU, after `start`.
  static void balance(Balancer& balancer, Duration period)
    requires(kOptions.cpus > 1 && Donates<P>);

  /// How much a CPU has had to do of late: 0 nothing, 1024 always something, up to 2048 with tasks
  /// waiting that it could have given away. As its balancer saw it.
  static uint32_t load(const Cpu& cpu) { return cpu.load_.load(std::memory_order_relaxed); }

  /// The CPUs that take tasks.
  static CpuSet online();

  /// Has a CPU give away all that it has, and take no more: its tasks go where they may run, those
  /// that may run nowhere else anywhere, which is counted; its timers go to another CPU. It sleeps
  /// then, until `bring_online`. False: no such CPU is online, or it is the last one.
  static bool take_offline(CpuNumber cpu)
    requires(kMany);
  static bool bring_online(CpuNumber cpu)
    requires(kMany);

  /// Whether it has given all away.
  static bool is_offline(CpuNumber cpu);

  /// The attributes that `task` has. For its owner.
  static Attributes attributes(const Task& task) { return here().policy_.attributes(task); }

  /// What `task` counts for, with what it inherits. For its owner, masked.
  static Claim claim(const Task& task)
    requires Inherits<P>
  {
    return here().policy_.claim(task);
  }

  /// Calls `f()` on CPU `cpu`, masked, and waits until it has returned: for what can only be done
  /// there, as to that CPU's policy object, or to its translations. It may do what an interrupt
  /// may, and how long it takes is masked time, also of a CPU that is offline. On this CPU it is
  /// called at once, masked. What either has stored before the other sees after. False, and it is
  /// not called: no such CPU has started. Neither kill nor cancel ends the wait. Calls to one CPU
  /// are answered in no order, one at a time, by turns with its mail. Stops where a task could not
  /// wait.
  template <typename F>
  static bool call_on(CpuNumber cpu, F f)
    requires(kOptions.cpus > 1);

  /// Has `timer.fire` called on this CPU once `when` has come, in the interrupt: exactly then, or
  /// at a convenient instant up to `slack` later. Also of a timer that is armed, or fires right
  /// now. Past instants are due at once, `never` does not come. O(1). False, and nothing changes:
  /// the timer is armed on another CPU.
  static bool arm(Timer& timer, Instant when, Duration slack = {});

  /// Whether it was in time: the timer was armed and will not fire. If not, it has fired: `fire`
  /// has returned, unless it is what calls this. False also of a timer of another CPU. O(1).
  static bool cancel(Timer& timer);

  /// The same, wherever it was armed: waits for that CPU, if it is another one, where it is a
  /// `call_on`. Afterwards `fire` does not run there either, unless somebody arms it again.
  static bool cancel_anywhere(Timer& timer)
    requires(kOptions.cpus > 1);

  /// Changes the policy of this CPU between two turns: `change(policy, now)` is called masked, with
  /// everything charged and nobody current, and the policy is asked anew after it. For what a
  /// policy has beyond attributes: its groups, or another policy in its place.
  template <std::invocable<P&, Instant> F>
  static void adjust(F change) {
    const Irq irq = M::mask();
    Cpu& cpu = here();
    const Instant now = M::now();
    end_turn_early(cpu, now);
    change(cpu.policy_, now);
    honour(cpu, irq == M::kUnmasked);
    M::unmask(irq);
  }

  /// The task that runs on this CPU; before `run`, and while nothing else runs, the idle task.
  static Task& current() {
    const Irq irq = M::mask();
    Task& task = *here().current_;
    M::unmask(irq);
    return task;
  }

  /// This CPU's block.
  static Cpu& here() { return static_cast<Cpu&>(*M::local()); }

  static Instant now() { return M::now(); }

  /// Between two looks at what another CPU is about to change.
  static void relax() {
    if constexpr (requires { M::relax(); }) M::relax();
  }

  /// Where a task is in its life; as seen from another CPU already past.
  static State state(const Task& task) {
    const State stored = task.stored_state();
    return stored == State::ready && task.run_.running() ? State::running : stored;
  }

  static Usage usage(const Task& task);

  static CpuUsage usage(const Cpu& cpu);

  /// What the options' histogram of a CPU holds.
  static const LatencyHistogram& latency(const Cpu& cpu)
    requires(kOptions.latency)
  {
    return cpu.latency_.histogram;
  }

  /// The timer that the scheduler armed has fired, or a timer has, for whatever reason: an early
  /// call only arms it anew.
  static void on_timer();

  /// This CPU was kicked: handles a bounded part of its mail, and kicks itself if there is more,
  /// until mail has had its share of the time (sched/mail_share.h). An idle CPU's mail it leaves to
  /// the idle task. A switch that the mail makes due is the next interrupt's: the two together
  /// would be the longest time masked.
  static void on_kick();

  /// After `Interrupt::leave` answered true: lets the policy choose anew, and returns when the
  /// interrupted task is chosen again. Masked.
  static void preempt();

 private:
  template <typename>
  friend class sync_internal::Owned;

  // Why the policy must be asked although no task has stopped by itself; a set. That somebody came
  // is no reason while the idle task runs: it looks by itself before it waits.
  using Due = int8_t;
  static constexpr Due kNothing = 0;
  static constexpr Due kPreemption = 1;  // somebody more urgent came
  static constexpr Due kTimeout = 2;     // the `until` of the last pick has come
  static constexpr Due kRequeued = 4;    // the current task is queued already: it was retuned
  static constexpr Due kHandBack = 8;    // there is somebody for the sink
  static constexpr Due kLater = -128;    // not at this interrupt's end: a kick is on its way

  static constexpr uint16_t kInInterrupt = 256;
  static constexpr Instant kLocked{UINT64_MAX};
  static_assert(never < kLocked);
  static constexpr CpuNumber kThisCpu = kNoOwner;
  // How many tasks' places in line may be turned round in one go with interrupts masked.
  static constexpr int kReversals = 8;

  // What the policy chose; the idle task where it chose nobody.
  struct Pick {
    Task& task;
    Instant until;
  };

  [[noreturn, gnu::cold, gnu::noinline]] static void stop(const char* rule, const Task& task) {
    M::panic(rule, task.name());
    __builtin_unreachable();
  }

  static void require(Links links, const Task& task) {
    if (links == Links::corrupt) [[unlikely]]
      stop("corrupted queue link", task);
  }

  static void set_state(Task& task, State to) {
    if constexpr (kOptions.debug_checks) {
      const State stored = task.stored_state();
      // A ready task that blocks or finishes is the running one.
      const State from = stored == State::ready && to != State::ready ? State::running : stored;
      if (!is_legal(from, to)) stop("illegal change of state", task);
    }
    task.state_.store(to, std::memory_order_relaxed);
  }

  static void enter_task([[maybe_unused]] const char* rule) {
    // Without checks nobody asks for the state before, which takes some machines time to tell.
    if constexpr (!kOptions.debug_checks && requires { M::mask_unmasked(); }) {
      return M::mask_unmasked();
    }
    const Irq irq = M::mask();
    if constexpr (kOptions.debug_checks) {
      require_unlocked(here());  // the better diagnosis in an interrupt, which is masked too
      if (irq != M::kUnmasked) stop(rule, *here().current_);
    }
  }

  // What a guard does, and whoever sends the idle task to the sink.
  static void lock(Cpu& cpu) {
    ++cpu.locked_;
    cpu.floor_ = kLocked;
  }
  static void unlock(Cpu& cpu) { --cpu.locked_; }
  [[gnu::cold, gnu::noinline]] [[noreturn]] static void stop_locked(const Cpu& cpu);
  [[gnu::cold, gnu::noinline]] [[noreturn]] static void stop_masked();
  static void require_unlocked(const Cpu& cpu) {
    if (cpu.locked_ != 0) [[unlikely]]
      stop_locked(cpu);
  }

  [[gnu::noinline]] static void yield_masked();
  [[gnu::noinline, clang::minsize]] static void yield_to_masked(Task& target);
  static void park_masked(Task& self);
  [[gnu::noinline]] static void block(Task& self);
  [[gnu::noinline]] static void leave_and_switch(Cpu& cpu, Task& self, Instant floor, Instant now);
  template <bool kMayTouch>
  [[gnu::noinline]] static void wake_masked(Task& task, Irq irq);
  [[gnu::noinline]] static void wake_and_settle_masked(Task& task, bool may_switch);
  [[gnu::noinline, clang::minsize]] static void request_masked(Life life, Requests requests,
                                                               bool may_switch);
  [[gnu::noinline, clang::minsize]] static void request(Life life, Requests requests);
  [[gnu::noinline]] static void kill_masked(Life life, bool may_switch);
  [[gnu::noinline]] static void release_masked(bool may_switch);
  [[gnu::noinline, clang::minsize]] static bool retune_masked(Task& task,
                                                              const Attributes& attributes,
                                                              Irq irq);

  // For functions that are not inlined, and only before any switch: afterwards the task may be on
  // another CPU.
  static Cpu& here_once() {
    if constexpr (requires { M::local_once(); }) {
      return static_cast<Cpu&>(*M::local_once());
    } else {
      return here();
    }
  }

  static void kick_self([[maybe_unused]] const Cpu& cpu) {
    if constexpr (requires { M::kick_self(); }) {
      M::kick_self();
    } else {
      M::kick(cpu.number);
    }
  }

  static Graph& graph() { return here().cpus_->graph_; }

  // The life that `task` is in, if it is alive.
  static Life present(Task& task) { return {&task, task.ownership().generation()}; }

  static bool is_deaf(const Task& task) { return task.is_waiting() && task.wait().kind.is_deaf; }

  // Whether that life is over, and no other one has begun.
  static bool is_dead(Ownership seen, Life life) {
    return (seen.owner() == kDead || seen.owner() == kNoOwner) &&
           seen.generation() == life.generation + 1;
  }

  static void begin_wait(Task& task, internal::Wait& wait) {
    wait.bonds = task.bonds();
    task.set_bonds(reinterpret_cast<uintptr_t>(&wait) | Task::kWaits);
  }
  static void end_wait(Task& task, internal::Wait& wait) { task.set_bonds(wait.bonds); }

  // What becomes of one task of this CPU.
  static void begin_to_wait(Task& task, Instant now);
  [[gnu::noinline]] static void dequeue(Cpu& cpu, Task& task, Leave why, Instant now);
  static void make_ready(Cpu& cpu, Task& task, Enter why, Instant now);
  [[gnu::noinline]] static void queue(Cpu& cpu, Task& task, Enter why, Instant now);
  static bool is_asked_anyway(const Cpu& cpu);
  static void requeued(Cpu& cpu);
  static void contend(Cpu& cpu, Task& task, Instant now);
  static void ask_again(Cpu& cpu, Instant until, Instant now);
  [[gnu::noinline]] static void end_wait(Cpu& cpu, Task& task, Woken reason);
  [[gnu::noinline, clang::minsize]] static void wake_private(Cpu& cpu, Task& task);
  static void cancel_private(Cpu& cpu, Task& task);
  [[gnu::noinline, clang::minsize]] static void settle_suspension(Cpu& cpu, Task& task);
  [[gnu::noinline]] static void inherit(Cpu& cpu, Task& task, const Claim* claims);
  [[gnu::noinline]] static void kill_private(Cpu& cpu, Task& task, bool may_switch);
  static void bury(Cpu& cpu, Task& task);
  [[gnu::noinline, clang::minsize]] static bool retune_private(Cpu& cpu, Task& task,
                                                               const Attributes& attributes);
  static bool admit(Cpu& cpu, Task& task, const Attributes& attributes);
  static void leave_for_good(Cpu& cpu, Task& task, Instant now);
  static bool retire(const Cpu& cpu, Task& task);

  // Whether this CPU owns it, and nothing is asked of it.
  static bool is_private(const Cpu& cpu, const Task& task) {
    return task.is_private_to(cpu.privately_mine_);
  }

  // Whether it floats: whoever makes it ready has a place looked for.
  static bool may_go_elsewhere(const Task& task) {
    return kMany && task.mark() == Task::Mark::floats;
  }

  // Requests and mail: the seldom paths, compiled for size. `may_handle`: nothing is locked, so one
  // that floats, and whose place is this CPU, may be handled at once; else it becomes mail, too.
  static bool may_touch(const Cpu& cpu, Ownership seen);
  [[gnu::noinline, clang::minsize]] static void post(Cpu& cpu, Task& task, uint32_t generation,
                                                     Requests requests, bool may_handle = false);
  // To whom a task must be sent that has been posted, by what its word was before; `kFloating`: who
  // claimed it finds a place; `kNoOwner`: to nobody, whoever came first does.
  static CpuNumber recipient(Ownership before);
  [[gnu::noinline, clang::minsize]] static void deliver(Cpu& cpu, Task& task, CpuNumber to,
                                                        bool may_handle);
  [[gnu::noinline, clang::minsize]] static void deliver_masked(const Served& served,
                                                               bool may_switch);
  [[gnu::noinline, clang::minsize]] static Served promise_elsewhere(Task& task);
  [[gnu::noinline, clang::minsize]] static void send(CpuNumber to, Task& task);

  // Where a timer is, for CPUs that ask: the number of the CPU that armed it last, plus one, and
  // whether it still is armed there; on its way from one that goes offline to another one it is
  // nowhere. What else is in a timer is its CPU's alone.
  static constexpr uint32_t kArmed = 1;
  static constexpr uint32_t kOnItsWay = UINT32_MAX;
  static uint32_t armed_on(const Cpu& cpu) { return (uint32_t{cpu.number} + 1) << 1 | kArmed; }
  static void set_place([[maybe_unused]] Timer& timer, [[maybe_unused]] uint32_t place) {
    if constexpr (kMany) timer.place().store(place, std::memory_order_relaxed);
  }
  static bool cancel_here(Cpu& cpu, Timer& timer);

  // Calls to other CPUs.
  struct Call;
  static bool ask(Cpu& cpu, CpuNumber number, Call& call);
  static bool next_call(Cpu& cpu);
  static bool has_mail(const Cpu& cpu) {
    return !cpu.reversing_.empty() || !cpu.inbox_.empty() || !cpu.mailbox_.empty();
  }
  [[gnu::noinline, clang::minsize]] static bool next_mail(Cpu& cpu);
  static bool has_calls(const Cpu& cpu) {
    return kMany && (!cpu.calls_.empty() || !cpu.called_.empty());
  }
  [[gnu::always_inline]] static bool has_pieces(const Cpu& cpu) {
    return has_mail(cpu) || has_calls(cpu);
  }
  // Handles a call or a piece of mail. False: there was none.
  [[gnu::always_inline]] static bool next_piece(Cpu& cpu);
  [[gnu::noinline, clang::minsize]] static bool next_of_both(Cpu& cpu);
  // What mail takes of the time that it shares with tasks (sched/mail_share.h).
  [[gnu::always_inline]] static void measure(Cpu& cpu, bool more);
  [[gnu::noinline, clang::minsize]] static bool weigh(Cpu& cpu);
  static bool is_mails_turn(Cpu& cpu) { return !kMany || cpu.mail_share_.has_turn() || weigh(cpu); }
  [[gnu::noinline, clang::minsize]] static void handle(Cpu& cpu, Task& task, Requests requests);
  [[gnu::noinline, clang::minsize]] static void handle_seldom(Cpu& cpu, Task& task,
                                                              Requests requests);

  // From CPU to CPU (sched/affinity_impl.h).
  static const Moves kMoves;
  static void begin_to_move();
  static const Moves& moves(const Cpu& cpu) {
    return *cpu.cpus_->moves_.load(std::memory_order_relaxed);
  }
  [[gnu::noinline, clang::minsize]] static void settle_place(Cpu& cpu, Task& task,
                                                             Requests requests);
  static CpuNumber place_for(Cpu& cpu, Task& task, Enter why);
  static CpuNumber nearest(const Cpu& cpu, CpuNumber from, const CpuSet& idle);
  static CpuNumber soonest(Cpu& cpu, const Task& task, Enter why, const CpuSet& allowed,
                           CpuNumber usual);
  static bool is_idle(const Cpu& cpu);
  [[gnu::noinline, clang::minsize]] static void part(Cpu& cpu, Task& task);
  [[gnu::noinline, clang::minsize]] static void park_floating(Cpu& cpu, Task& self);
  [[gnu::noinline, clang::minsize]] static void let_float(Cpu& cpu, Task& task);
  [[gnu::noinline, clang::minsize]] static void place(Cpu& cpu, Task& task, bool may_handle);
  [[gnu::noinline, clang::minsize]] static void take_from(Cpu& cpu, CpuNumber closed, Task& task);
  [[gnu::noinline, clang::minsize]] static void be_offline(Cpu& cpu);
  [[gnu::noinline, clang::minsize]] static bool clear(Cpu& cpu);
  static void look(Timer& balancer);
  static void keep_looking(Cpu& cpu);
  static bool may_go(const typename P::Entity& entity);
  static CpuSet refused_by(Task& task);
  [[gnu::noinline, clang::minsize]] static bool donate(Cpu& cpu);
  [[gnu::noinline, clang::minsize]] static void ask(Cpu& cpu);
  [[gnu::noinline, clang::minsize]] static void spread(Cpu& cpu, Task& task);
  static constexpr uint32_t kBusy = 1024;
  static constexpr uint64_t kPatience = 16;  // periods until one that has refused is asked again
  static void carry(Cpu& cpu, Timer& timer);
  static void take_over(Cpu& cpu, Task& idle);
  static void let_in();
  [[gnu::noinline, clang::minsize]] static void leave(Cpu& cpu, Task& task, CpuNumber to);
  [[gnu::noinline, clang::minsize]] static bool admit_moved(Cpu& cpu, Task& task);
  [[gnu::noinline, clang::minsize]] static void arrive(Cpu& cpu, Task& task);

  // Of a queue that all CPUs share (sched/shared_queue_impl.h).
  static void tell_others(Cpu& cpu);
  static void heed(Cpu& cpu);
  static bool has_come(Cpu& cpu, Task& task)
    requires Shares<P>;
  static void hand_over(Cpu& cpu, Task& task);

  // Turns.
  static void honour(Cpu& cpu, bool may_switch);
  [[gnu::noinline, clang::minsize]] static void honour_due(Cpu& cpu, bool may_switch);
  [[gnu::always_inline]] static void overtake(Cpu& cpu, Task& self, Counter& count, Instant now);
  [[gnu::always_inline]] static void give_way(Cpu& cpu, Task& self, Counter& count, Instant now);
  [[gnu::noinline]] static void preempt_requeued(Cpu& cpu);
  [[gnu::noinline, clang::minsize]] static void preempt_seldom(Cpu& cpu);
  static void charge(Cpu& cpu, Instant now);
  [[gnu::noinline, clang::minsize]] static void end_turn_early(Cpu& cpu, Instant now);
  static void arm(Cpu& cpu, Instant when);
  [[gnu::noinline]] static void arm_masked(Cpu& cpu, Timer& timer, Instant when);
  [[gnu::noinline, clang::minsize]] static void arm_first(Cpu& cpu, Timer& timer, Instant when);
  [[gnu::noinline]] static bool cancel_masked(Cpu& cpu, Timer& timer);
  [[gnu::noinline, clang::minsize]] static bool cancelled_first(Cpu& cpu);
  static void expire(Cpu& cpu, Instant now);
  static void ask_by(Cpu& cpu, Instant until);
  [[gnu::noinline]] static Pick pick(Cpu& cpu, Instant now);
  [[gnu::always_inline]] static Pick picked(Cpu& cpu, const Choice<typename P::Entity>& choice,
                                            Instant now);
  static void require_may_run(const Cpu& cpu, const Task& task);
  [[gnu::always_inline]] static void switch_between(Cpu& cpu, Task& from, Task& to, Instant until,
                                                    Instant now);
  [[gnu::always_inline]] static void switch_to(Cpu& cpu, Task& from, const Pick& pick,
                                               Instant floor, Instant now);
  [[gnu::noinline]] static void switch_seldom(Cpu& cpu, Task& from, Task& to, Instant until,
                                              Instant now);
  [[gnu::noinline]] static void switch_or_stay(Task& from, Task& to, Instant until, Instant now);
  static void hand_back(Cpu& cpu);
  [[gnu::noinline]] static void give_to_sink(Cpu& cpu, Task& task);
  [[gnu::noinline, clang::minsize]] static void give_joined(void* cpu, Postable& task);
  [[gnu::noinline, clang::minsize]] static bool tell_joiner(Cpu& cpu, internal::Joiner*& joiners,
                                                            uint64_t value, bool never_ran);
  [[gnu::noinline, clang::minsize]] static void abandon_bonds(Task& self);
  static bool unlink(Task& self, const Bond& bond);
  [[gnu::noinline, clang::minsize]] static void unbind_old(Task& self, Bond& bond);
  static void time_out(Timer& timer);
  static bool watch(Cpu& cpu);
  static Woken park_timed(Task& self, Instant when);
  [[gnu::noinline, clang::minsize]] static Woken look_again(internal::Wait& wait);
  [[gnu::noinline, clang::minsize]] static Woken park_again(internal::Wait& wait, Instant until,
                                                            bool waked);
  [[gnu::always_inline]] static std::expected<void, SpawnError> prepare(Task& task,
                                                                        std::span<std::byte> stack,
                                                                        hal::Entry entry,
                                                                        void* argument);
  [[gnu::noinline]] static std::expected<void, SpawnError> launch(CpuNumber to, Task& task,
                                                                  const Attributes& attributes);
  [[noreturn]] static void begin(void* task);
};

}  // namespace sched

// How it does what it promises: a turn, a task, what is asked of one, timers, beginning and end.
#include "sched/life_impl.h"
#include "sched/request_impl.h"
#include "sched/task_impl.h"
#include "sched/timer_impl.h"
#include "sched/turn_impl.h"
// Beyond one CPU.
#include "sched/affinity_impl.h"
#include "sched/balance_impl.h"
#include "sched/call_impl.h"
#include "sched/hotplug_impl.h"
#include "sched/placement_impl.h"
#include "sched/shared_queue_impl.h"

#endif  // BATON_SCHED_SCHEDULER_H_
