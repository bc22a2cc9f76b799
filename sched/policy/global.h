// Global: one queue for all CPUs, behind one lock. docs/policies/global.md
//
// Every CPU has a policy object of its own, as the mechanism wants it, and these share one object
// of `P`. That one knows of one current entity at a time; here there is one on each CPU, and none
// may be picked twice. So whoever is picked stays in `P`, as its current one, only until the next
// CPU picks; then it is taken out of `P` (as `Leave::moved`) and runs on *outside*, and comes back
// (as `Enter::moved`) when its turn ends. While one CPU is all there is, or all who ask, `P` is
// told exactly what it would be told without this.
//
// When somebody becomes runnable, an idle CPU is asked to choose, or the one that runs the least
// urgent of those who give way, as `P`'s `contend` says of each: so with m CPUs the m most urgent
// run. To ask is the mechanism's: it takes the list of CPUs from `take_kicks`, and a CPU that has
// been asked finds by when in `asked_by`. No machine is known here.
//
// Whoever is picked may be another CPU's still, as the mechanism sees it, and come later. Until
// then it is this CPU's current one as any other is: nobody else picks it. But the CPU that has it
// may take it out; and this one may be asked again, and choose somebody else instead.

#ifndef BATON_SCHED_POLICY_GLOBAL_H_
#define BATON_SCHED_POLICY_GLOBAL_H_

#include "sched/policy/compose.h"
#include "sched/policy/part.h"
#include "sched/policy/policy.h"
#include "sched/policy/ticket_lock.h"

namespace sched {

/// Whether `ran` and `contend` of `P` go by nothing but the entities they are given, wherever these
/// are: what several that run at a time ask of a policy. One that charges is not taken to, unless
/// it says so by `static constexpr bool kGoesByEntities = true`; any other one is, unless it says
/// `false`.
template <Policy P>
inline constexpr bool goes_by_entities = [] {
  if constexpr (requires { P::kGoesByEntities; }) {
    return P::kGoesByEntities;
  } else {
    return !Charges<P>;
  }
}();

/// One CPU's part of a queue that all share. Every callback costs what it does in `P`, at most
/// twice and once more to take out whom another CPU runs; `enqueue` and a preemption besides O(m),
/// for m CPUs; and all of it the wait for the lock, at most m - 1 such callbacks.
template <Policy P>
class Global : public ClaimsOf<P> {
  static_assert(
      !Charges<P> || goes_by_entities<P>,
      "several run at a time: the policy must say that its `ran` goes by the entity alone "
      "(kGoesByEntities)");

 public:
  struct Entity : Part<Global, 0, typename P::Entity> {};
  using Attributes = P::Attributes;
  using typename ClaimsOf<P>::Claim;
  using ClaimsOf<P>::join;  // beside the one with the queue
  static constexpr bool kHoldsBack = holds_back<P>;
  static constexpr bool kGoesByEntities = false;

  /// What all CPUs share. One for as many `Global` objects as join it.
  class Shared {
   public:
    constexpr Shared() = default;
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    /// To set it up, before a CPU starts.
    P& policy() { return policy_; }

   private:
    friend Global;
    TicketLock lock_;
    P policy_;
    Global* cpus_ = nullptr;    // all that have joined, by `next_`
    Entity* inside_ = nullptr;  // of those who run, the one that is current to `P`
    Instant until_ = never;     // of the last pick, by whomever
  };

  Global() = default;
  Global(const Global&) = delete;
  Global& operator=(const Global&) = delete;

  /// Makes this the part of CPU `number`. Once, before anything else is asked of it.
  void join(Shared& shared, CpuNumber number) {
    const TicketGuard guard(shared.lock_);
    shared_ = &shared;
    number_ = number;
    next_ = shared.cpus_;
    shared.cpus_ = this;
  }

  /// Calls `kick(cpu)` for each CPU that is to look at `asked_by` because of what this one did. For
  /// the mechanism, after any callback; `kick` runs with the lock held.
  template <typename F>
  void take_kicks(F kick) {
    if (!tells_) return;
    tells_ = false;
    const TicketGuard guard(shared_->lock_);
    for (Global* cpu = shared_->cpus_; cpu != nullptr; cpu = cpu->next_) {
      if (!cpu->is_told_) continue;
      cpu->is_told_ = false;
      if (cpu != this) kick(cpu->number_);
    }
  }

  /// By when this CPU must ask again, whatever its last answer was: at most `now`, at once.
  Instant asked_by(Instant now) {
    const TicketGuard guard(shared_->lock_);
    return is_asked_ ? now : until_;
  }

  CpuNumber chooser(const Entity& entity, CpuNumber otherwise) {
    const TicketGuard guard(shared_->lock_);
    const Global* const cpu = host(entity);
    return cpu == nullptr ? otherwise : cpu->number_;
  }

  template <typename F>
  void while_chosen(const Entity& entity, F f) {
    const TicketGuard guard(shared_->lock_);
    if (current_ == &entity) f();
  }

  /// Refuses everything before `join`.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (shared_ == nullptr) return false;
    const TicketGuard guard(shared_->lock_);
    return policy().attach(Prover::prove(*entity), attributes);
  }

  void detach(Detached<Entity> entity)
    requires Detaches<P>
  {
    const TicketGuard guard(shared_->lock_);
    policy().detach(Prover::prove(*entity));
  }

  Attributes attributes(const Entity& entity) const {
    if (shared_ == nullptr) return {};
    const TicketGuard guard(shared_->lock_);
    return shared_->policy_.attributes(inner(entity));
  }

  Claim claim(const Entity& entity) const
    requires Inherits<P>
  {
    const TicketGuard guard(shared_->lock_);
    return shared_->policy_.claim(inner(entity));
  }
  void inherit(Detached<Entity> entity, const Claim* claims)
    requires Inherits<P>
  {
    const TicketGuard guard(shared_->lock_);
    policy().inherit(Prover::prove(*entity), claims);
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    const TicketGuard guard(shared_->lock_);
    contention_ = never;
    if (policy().enqueue(inner(entity), why, now) == Links::corrupt) return Links::corrupt;
    // Where nobody is current the mechanism chooses: that is one more who can take the newcomer.
    if (current_ != nullptr || is_asked_) {
      arrived(entity, now);
    } else {
      is_asked_ = true;
    }
    return links_;
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    const TicketGuard guard(shared_->lock_);
    Global* const cpu = host(entity);
    if (cpu != nullptr && is_outside(entity) && come_in(entity, now) == Links::corrupt) {
      return Links::corrupt;
    }
    if (policy().dequeue(inner(entity), why, now) == Links::corrupt) return Links::corrupt;
    if (shared_->inside_ == &entity) shared_->inside_ = nullptr;
    if (cpu != nullptr) {
      end_turn(*cpu);
      tell(*cpu);
    }
    return links_;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    const TicketGuard guard(shared_->lock_);
    return give_back(entity, why, now);
  }

  Choice<Entity> pick(Instant now) {
    if (shared_ == nullptr || !is_online_) return {};
    const TicketGuard guard(shared_->lock_);
    if (current_ != nullptr) {
      // It asks once more, as it does while whom it has chosen has not come.
      if (!is_asked_ && until_ > now) return {current_, until_};
      require(give_back(*current_, Pause::preempted, now));
    }
    is_asked_ = false;
    if (shared_->inside_ != nullptr) {
      require(policy().dequeue(inner(*shared_->inside_), Leave::moved, now));
      shared_->inside_ = nullptr;
    }
    if (links_ == Links::corrupt) return {};
    // Whom `P` holds back may have changed with time, and it names one of those released only.
    if constexpr (kHoldsBack) {
      if (now >= shared_->until_) ask_all();
    }
    const auto [picked, until] = policy().pick(now);
    current_ = picked == nullptr ? nullptr : &whole(*picked);
    shared_->inside_ = current_;
    until_ = shared_->until_ = until;
    return {current_, until};
  }

  void ran(Entity& current, Instant from, Instant to)
    requires Charges<P>
  {
    const TicketGuard guard(shared_->lock_);
    policy().ran(inner(current), from, to);
  }

  /// What the newcomer means for this CPU: another one may have been asked.
  Instant contend(Entity&, Entity&, Instant)
    requires Contends<P>
  {
    return contention_;
  }

  /// This CPU is asked again when somebody comes; or no longer, and chooses nobody.
  void online(Instant now) {
    const TicketGuard guard(shared_->lock_);
    if (!is_any_online()) optional(policy()).online(now);
    is_online_ = true;
  }
  void offline(Instant now) {
    const TicketGuard guard(shared_->lock_);
    is_online_ = false;
    if (current_ != nullptr) require(give_back(*current_, Pause::preempted, now));
    is_asked_ = true;  // it chooses when it is back
    ask_all();         // until now it may have been about to
    if (!is_any_online()) optional(policy()).offline(now);
  }

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    const TicketGuard guard(shared_->lock_);
    dump_part(shared_->policy_, inner(entity), field);
  }

 private:
  using InnerPart = Part<Global, 0, typename P::Entity>;

  struct Prover : Mechanism {
    static Detached<typename P::Entity> prove(Entity& entity) { return detached(inner(entity)); }
  };

  static typename P::Entity& inner(Entity& entity) { return static_cast<InnerPart&>(entity); }
  static const typename P::Entity& inner(const Entity& entity) {
    return static_cast<const InnerPart&>(entity);
  }
  static Entity& whole(typename P::Entity& inner) {
    return static_cast<Entity&>(static_cast<InnerPart&>(inner));
  }

  // All that follows is with the lock held.

  P& policy() const { return shared_->policy_; }

  void require(Links links) {
    if (links == Links::corrupt) [[unlikely]]
      links_ = Links::corrupt;
  }

  bool is_any_online() const {
    for (const Global* cpu = shared_->cpus_; cpu != nullptr; cpu = cpu->next_) {
      if (cpu->is_online_) return true;
    }
    return false;
  }

  // Whose current one it is.
  Global* host(const Entity& entity) {
    if (current_ == &entity) return this;
    Global* cpu = shared_->cpus_;
    while (cpu != nullptr && cpu->current_ != &entity) cpu = cpu->next_;
    return cpu;
  }

  // Of a current one: whether `P` does not have it.
  bool is_outside(const Entity& entity) const { return shared_->inside_ != &entity; }

  Links come_in(Entity& entity, Instant now) {
    return policy().enqueue(inner(entity), Enter::moved, now);
  }

  Links give_back(Entity& entity, Pause why, Instant now) {
    Links links = Links::intact;
    if (is_outside(entity)) {
      links = come_in(entity, now);
      if (why == Pause::yielded && links == Links::intact) links = yield_if_first(entity, now);
    } else {
      links = policy().put_back(inner(entity), why, now);
      if (links == Links::intact) shared_->inside_ = nullptr;
    }
    if (links == Links::corrupt) return Links::corrupt;
    end_turn(*this);
    // It waits now although it did not ask to: those of its rank who run have company.
    if (why == Pause::preempted) shorten_turns(entity, now);
    // Or it is held back: until when, the others must know who are idle or run somebody less
    // urgent. (Not one who has been asked because of that: they would ask each other for ever.)
    if constexpr (kHoldsBack) {
      if (why != Pause::preempted || now >= until_) ask_all();
    }
    return links_;
  }

  // A yield is said to `P`'s current one. If that would be another one there is nothing to say: it
  // comes first anyway.
  Links yield_if_first(Entity& entity, Instant now) {
    if (shared_->inside_ != nullptr) {
      if (policy().dequeue(inner(*shared_->inside_), Leave::moved, now) == Links::corrupt) {
        return Links::corrupt;
      }
      shared_->inside_ = nullptr;
    }
    const auto choice = policy().pick(now);
    if (choice.entity == nullptr) return Links::intact;
    const bool is_first = choice.entity == &inner(entity);
    return policy().put_back(*choice.entity, is_first ? Pause::yielded : Pause::preempted, now);
  }

  // When `entered` makes `cpu` ask again.
  Instant contention(Entity& entered, Global& cpu, Instant now) {
    Entity& current = *cpu.current_;
    if (!goes_by_entities<P> && shared_->inside_ != &current) return never;
    return optional(policy()).contend(inner(entered), inner(current), now);
  }

  // Whether what `a` runs gives way to what `b` runs.
  bool gives_way(Global& a, Global& b, Instant now) {
    return contention(*b.current_, a, now) <= now;
  }

  // Until it has chosen it is neither idle nor somebody to be preempted.
  static void end_turn(Global& cpu) {
    cpu.current_ = nullptr;
    cpu.is_asked_ = true;
  }

  void tell(Global& cpu) {
    if (&cpu == this) return;
    cpu.is_told_ = true;
    tells_ = true;
  }
  void ask(Global& cpu) {
    cpu.is_asked_ = true;
    tell(cpu);
  }
  void ask_all() {
    for (Global* cpu = shared_->cpus_; cpu != nullptr; cpu = cpu->next_) {
      if (cpu != this && cpu->is_online_) ask(*cpu);
    }
  }

  // `entity` waits. Who is asked to take it: whoever is idle, else whoever runs the least urgent of
  // those that give way to it. (Those who are asked already are as good as gone; but this CPU's
  // mechanism is told the truth about its current one, too.)
  void arrived(Entity& entity, Instant now) {
    if (current_ != nullptr && is_asked_) contention_ = contention(entity, *this, now);
    for (Global* cpu = shared_->cpus_; cpu != nullptr; cpu = cpu->next_) {
      if (cpu->is_online_ && cpu->current_ == nullptr && !cpu->is_asked_) return ask(*cpu);
    }
    if constexpr (Contends<P>) {
      Global* least = nullptr;
      for (Global* cpu = shared_->cpus_; cpu != nullptr; cpu = cpu->next_) {
        if (!cpu->is_online_ || cpu->current_ == nullptr || cpu->is_asked_) continue;
        const Instant until = contention(entity, *cpu, now);
        if (until > now) {
          shorten_turn(*cpu, until);
          if (cpu == this) contention_ = until;
        } else if (least == nullptr || gives_way(*cpu, *least, now) ||
                   (cpu == this && !gives_way(*least, *this, now))) {
          least = cpu;  // of equals this CPU: it need not be sent for
        }
      }
      if (least == nullptr) return;
      ask(*least);
      if (least == this) contention_ = now;
    }
  }

  void shorten_turn(Global& cpu, Instant until) {
    if (until >= cpu.until_) return;
    cpu.until_ = until;
    tell(cpu);
  }

  void shorten_turns(Entity& entity, Instant now) {
    if constexpr (Contends<P>) {
      for (Global* cpu = shared_->cpus_; cpu != nullptr; cpu = cpu->next_) {
        if (cpu == this || cpu->current_ == nullptr) continue;
        const Instant until = contention(entity, *cpu, now);
        if (until > now) shorten_turn(*cpu, until);
      }
    }
  }

  Shared* shared_ = nullptr;
  Global* next_ = nullptr;
  CpuNumber number_ = 0;

  // Written with the lock held, by any CPU.
  Entity* current_ = nullptr;
  Instant until_ = never;  // of the last answer, or earlier because of those who came since
  bool is_online_ = false;
  bool is_asked_ = false;  // it is going to choose, and has not yet
  bool is_told_ = false;   // and is to be kicked for something

  // Of this CPU alone.
  Instant contention_ = never;  // what the last to enter here means for this CPU
  Links links_ = Links::intact;
  bool tells_ = false;  // somebody is to be kicked
};

}  // namespace sched

#endif  // BATON_SCHED_POLICY_GLOBAL_H_
