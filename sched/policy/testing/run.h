// One run of the conformance kit: calls a policy as a mechanism does (the head of
// sched/policy/policy.h), does what the numbers say, and looks at each answer. Freestanding.

#ifndef BATON_SCHED_POLICY_TESTING_RUN_H_
#define BATON_SCHED_POLICY_TESTING_RUN_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "sched/policy/policy.h"
#include "sched/policy/testing/claims.h"
#include "sched/policy/testing/entities.h"
#include "sched/policy/testing/pace.h"
#include "sched/policy/testing/rules.h"
#include "sched/policy/testing/source.h"
#include "sched/policy/testing/subject.h"

namespace sched::conformance {

/// One of a trial's runs. Made by `Trial`.
template <typename S, size_t kEntities>
class Run : public Mechanism, private Entities<typename S::Tested, kEntities> {
  using P = typename S::Tested;
  using All = Entities<P, kEntities>;
  using All::claimed;
  using All::entity;
  using All::given;
  using All::inherited;
  using All::is_any;
  using All::is_empty;
  using All::is_here;
  using All::kInherits;
  using All::kNobody;
  using All::number;
  using All::state;
  using typename All::Attributes;
  using typename All::Claim;
  using typename All::Entity;
  using typename All::State;

  // Of the run: first what the numbers say, then everybody is woken, then everybody exits.
  enum class Phase : uint8_t { act, wake, leave, over };

 public:
  /// Which of two it is.
  enum class Part : uint8_t { first, second };

  void begin(const Plan& plan, Part part, const Run* first) {
    check_ = plan.check;
    pace_ = plan.pace;
    source_ = plan.bytes.empty() ? Source(plan.seed) : Source(plan.bytes);
    left_ = plan.actions;
    first_ = first;
    is_second_ = part == Part::second;
    if (is_second_ && check_ == Check::addresses) All::turn_round();
    tell_ = plan.tell;
    told_ = plan.told;
    // The late one comes by a multiple of every power of two up to 2^56 very soon.
    constexpr Instant kUsual{1};
    constexpr Instant kLate{-2 * forever.ticks - (uint64_t{1} << 56) - 300};
    const bool is_late = check_ == Check::clock && (is_second_ || S::kReadsClock);
    start_ = now_ = charged_ = is_late ? kLate : kUsual;
    if (is_second_ && check_ == Check::wrap) {
      set_up_near_wrap<S>(policy_, context_);
    } else {
      set_up<S>(policy_, context_);
    }
    if constexpr (HearsOfCpu<P>) policy_.online(now_);
  }

  /// The next action. False: there is none, or a rule is broken.
  bool step() {
    ++action_;
    switch (phase_) {
      case Phase::act:
        if (left_ == 0 || source_.is_exhausted()) {
          phase_ = Phase::wake;
        } else {
          --left_;
          act();
        }
        break;
      case Phase::wake:
        if (next_ == static_cast<int>(kEntities)) {
          phase_ = Phase::leave;
        } else {
          give_back();
          // One that was blocked elsewhere has to come, and to be woken.
          if (state(next_) == State::away_blocked) come(next_);
          come(next_++);
        }
        break;
      case Phase::leave: leave(); break;
      case Phase::over: break;
    }
    check_attributes();
    check_claims();
    return phase_ != Phase::over && fault_ == Rule::none;
  }

  Rule fault() const { return fault_; }
  uint32_t action() const { return action_; }
  uint64_t trace() const { return trace_; }

 private:
  void broken(Rule rule) {
    if (fault_ == Rule::none) fault_ = rule;
  }
  void require(bool holds, Rule rule) {
    if (!holds) broken(rule);
  }
  void require(Links links) { require(links == Links::intact, Rule::links); }

  int one() { return static_cast<int>(source_.below(kEntities)); }

  // ---- The schedule: what two runs are compared by

  void note(uint64_t what) { trace_ = (trace_ ^ what) * 0x100'0000'01b3; }  // FNV-1a, by words
  void note(Instant until) {
    // Relative, so that the clock's beginning does not matter; past `forever` all is one.
    const Duration length = until - now_;
    note(until <= now_ ? 0 : length < forever ? length.ticks : forever.ticks);
  }
  void tell(const char* name, int e, const char* why = nullptr, Instant until = never) {
    if (tell_ != nullptr) tell_(told_, {name, e, why, now_, until, is_second_});
  }

  // ---- The mechanism, as the head of policy.h has it

  void charge() {
    if (current_ == kNobody || charged_ == now_) return;
    if constexpr (Charges<P>) {
      tell("ran", current_);
      policy_.ran(entity(current_), charged_, now_);
    }
    charged_ = now_;
  }

  bool attach(int e, const Attributes& attributes) {
    quiet_ = false;
    const bool is_spared = is_second_ && check_ == Check::refusals && first_->refused_;
    const bool admitted = !is_spared && policy_.attach(detached(entity(e)), attributes);
    tell("attach", e, admitted ? nullptr : "refused");
    refused_ = !admitted;
    if (admitted) {
      given(e) = policy_.attributes(entity(e));
      check_inheritance(e);
      if (!has_accepted_ && is_empty()) accepted_ = attributes;
      has_accepted_ = true;
    }
    note(admitted);
    return admitted;
  }

  void enqueue(int e, Enter why) {
    quiet_ = false;
    tell("enqueue", e, to_string(why));
    require(policy_.enqueue(entity(e), why, now_));
    state(e) = State::runnable;
    if (current_ == kNobody) {
      due_ = true;
    } else if constexpr (Contends<P>) {
      const Instant by = policy_.contend(entity(e), entity(current_), now_);
      tell("contend", e, nullptr, by);
      note(by);
      if (by <= now_) {
        due_ = true;
      } else if (by < until_) {
        until_ = by;
      }
    }
  }

  void dequeue(int e, Leave why) {
    quiet_ = false;
    tell("dequeue", e, to_string(why));
    require(policy_.dequeue(entity(e), why, now_));
    gone(e, why);
  }

  void gone(int e, Leave why) {
    if (e == current_) {
      current_ = kNobody;
      due_ = true;
    }
    if constexpr (kInherits) {
      if (why == Leave::exited) inherited(e).reset();
      claimed(e) = policy_.claim(entity(e));
    }
  }

  void put_back(Pause why) {
    tell("put_back", current_, to_string(why));
    require(policy_.put_back(entity(current_), why, now_));
    current_ = kNobody;
  }

  void detach(int e) {
    quiet_ = false;
    if constexpr (Detaches<P>) {
      tell("detach", e);
      policy_.detach(detached(entity(e)));
      inherited(e).reset();
    }
  }

  // Of a detached one.
  void inherit(int e, const std::optional<Claim>& claims) {
    if constexpr (kInherits) {
      tell("inherit", e, claims ? "something" : "nothing");
      policy_.inherit(detached(entity(e)), claims ? &*claims : nullptr);
    }
  }

  void pick() {
    if (!is_taken_) picked(policy_.pick(now_));
  }

  void picked(const Choice<Entity>& choice) {
    const auto [chosen, until] = choice;
    const int e = number(chosen);
    tell("pick", e, nullptr, until);
    note(static_cast<uint64_t>(e));
    note(until);
    require(until > now_, Rule::until);
    if (chosen == nullptr) {
      if (is_any(State::runnable)) {
        require(holds_back<P>, Rule::idle);
        require(until != never, Rule::forgotten);
      }
    } else if (e == kNobody || state(e) != State::runnable) {
      return broken(Rule::stranger);
    }
    // Whoever is named is current: nobody asks again.
    if (chosen == nullptr && asks()) {
      const auto [again, until_again] = policy_.pick(now_);
      require(again == nullptr && until_again == until, Rule::idempotent);
    }
    if constexpr (S::kPicksFirst && Ranks<P>) {
      for (int other = 0; other < static_cast<int>(kEntities); ++other) {
        if (e == kNobody || state(other) != State::runnable) continue;
        require(!P::precedes(policy_.claim(entity(other)), policy_.claim(entity(e))), Rule::urgent);
      }
    }
    current_ = e;
    until_ = until;
    charged_ = now_;
    due_ = false;
    quiet_ = true;
  }

  // Chooses because that is due, or because the kernel needed the CPU for a moment.
  void choose() {
    charge();
    const int before = current_;
    const bool nothing_happened = quiet_ && now_ < until_;
    if (before != kNobody) put_back(now_ >= until_ ? Pause::timed_out : Pause::preempted);
    pick();
    if (nothing_happened && current_ != before) {
      require(before != kNobody && !S::kKeepsTurn, Rule::honest);
    }
  }

  // ---- What happens: each a case of what may at any time

  void act() {
    now_ = next_instant(pace_, source_, now_, until_);
    if (now_ >= until_) due_ = true;
    // Not always at once: a guard may forbid it for a while.
    if (due_ && source_.below(4) != 0) return choose();
    question();
    switch (source_.below(kInherits ? 18 : 16)) {
      case 0:
      case 1:
      case 2:
      case 3: return come(one());
      case 4:
      case 5: return retune(one());
      case 6: return go_away(one());
      case 7:
      case 8: return stop();
      case 9:
      case 10: return yield();
      case 11: return yield_to(one());
      case 12: return interfere();
      case 13: return is_taken_ ? give_back() : take();
      case 16:
      case 17: return lend(one());
      default: return choose();
    }
  }

  // A task comes: for the first time, from its sleep, or from another CPU.
  void come(int e) {
    switch (state(e)) {
      case State::nowhere:
        if (phase_ == Phase::wake) break;
        if (is_second_ && check_ == Check::reuse) All::begin_anew(e);
        if (!attach(e, S::sample(source_))) break;
        charge();
        enqueue(e, Enter::created);
        break;
      case State::blocked:
        charge();
        enqueue(e, Enter::woken);
        break;
      case State::away_blocked:
        if (attach(e, given(e))) state(e) = State::blocked;
        break;
      case State::away_runnable:
        if (!attach(e, given(e))) break;
        charge();
        enqueue(e, Enter::moved);
        break;
      case State::runnable: break;
    }
  }

  void retune(int e) {
    if (state(e) == State::blocked) attach(e, S::sample(source_));
    if (state(e) == State::runnable) {
      charge();
      dequeue(e, Leave::retuned);
      attach(e, S::sample(source_));
      enqueue(e, Enter::retuned);
    }
  }

  // Others begin or cease to wait for it.
  void lend(int e) {
    if (state(e) == State::blocked) bequeath(e);
    if (state(e) == State::runnable) {
      charge();
      dequeue(e, Leave::inherited);
      bequeath(e);
      enqueue(e, Enter::inherited);
    }
  }

  // A detached one inherits what up to two others have.
  void bequeath(int e) {
    if constexpr (kInherits) {
      quiet_ = false;
      std::optional<Claim> claims;
      for (uint64_t waiters = source_.below(3); waiters > 0; --waiters) {
        const int waiter = one();
        if (waiter == e || !is_here(waiter)) continue;
        const Claim claim = policy_.claim(entity(waiter));
        require(claims_add_up<P>(claim, claims.value_or(claim), policy_.claim(entity(e))),
                Rule::algebra);
        claims = claims ? P::join(*claims, claim) : claim;
      }
      inherit(e, std::nullopt);
      const Claim own = policy_.claim(entity(e));
      inherited(e) = claims;
      inherit(e, claims);
      check_attributes();
      check_inheritance(e);
      inherit(e, std::nullopt);
      require(policy_.claim(entity(e)) == own, Rule::claims);
      inherit(e, claims);
    }
  }

  void go_away(int e) {
    if (state(e) == State::runnable) {
      charge();
      dequeue(e, Leave::moved);
      detach(e);
      state(e) = State::away_runnable;
    } else if (state(e) == State::blocked) {
      detach(e);
      state(e) = State::away_blocked;
    }
  }

  void stop() {
    if (current_ == kNobody || due_) return;
    const int self = current_;
    if (source_.below(4) == 0) return exit();
    charge();
    if constexpr (PassesOn<P>) {
      if (!is_taken_ && policy_.leads(entity(self))) return pass_on(self);
    }
    dequeue(self, Leave::blocked);
    state(self) = State::blocked;
    pick();
  }

  void pass_on(int self)
    requires PassesOn<P>
  {
    quiet_ = false;
    tell("pass_on", self);
    Choice<Entity> next;
    require(policy_.pass_on(entity(self), now_, next));
    gone(self, Leave::blocked);
    state(self) = State::blocked;
    picked(next);
  }

  void exit() {
    const int self = current_;
    charge();
    dequeue(self, Leave::exited);
    detach(self);
    state(self) = State::nowhere;
    if (is_second_ && check_ == Check::reuse) All::overwrite(self);
    pick();
  }

  void yield() {
    if (current_ == kNobody || due_) return;
    const int before = current_;
    const bool asks_anyway = source_.below(2) == 0;
    bool has_peer = true;
    if constexpr (KnowsPeers<P>) has_peer = policy_.has_peer(entity(before));
    if (!has_peer && !asks_anyway) return;
    charge();
    put_back(Pause::yielded);
    pick();
    if constexpr (KnowsPeers<P>) require(has_peer == (current_ != before), Rule::peers);
  }

  void yield_to(int target) {
    if (current_ == kNobody || due_ || target == current_) return;
    if (state(target) != State::runnable) return;
    charge();
    if constexpr (YieldsTo<P>) {
      tell("yield_to", target);
      require(policy_.yield_to(entity(current_), entity(target), now_));
      current_ = kNobody;
    } else {
      put_back(Pause::yielded);
    }
    pick();
  }

  // Something of the policy's own.
  void interfere() {
    constexpr bool kAlone = requires { S::act(policy_, source_, now_); };
    constexpr bool kWithContext = requires { S::act(policy_, context_, source_, now_); };
    if constexpr (kAlone || kWithContext) {
      if (is_taken_) return;
      charge();
      if (current_ != kNobody) put_back(Pause::preempted);
      tell("act", kNobody);
      if constexpr (kAlone) {
        S::act(policy_, source_, now_);
      } else {
        S::act(policy_, context_, source_, now_);
      }
      if constexpr (kInherits) {  // another policy, other claims
        for (int e = 0; e < static_cast<int>(kEntities); ++e) {
          if (is_here(e)) claimed(e) = policy_.claim(entity(e));
        }
      }
      pick();
    }
  }

  void take() {
    if constexpr (HearsOfOthers<P>) {
      charge();
      if (current_ != kNobody) put_back(Pause::preempted);
      tell("taken", kNobody);
      policy_.taken(now_);
      quiet_ = false;
      is_taken_ = true;
      until_ = never;
    }
  }
  void give_back() {
    if constexpr (HearsOfOthers<P>) {
      if (!is_taken_) return;
      tell("given_back", kNobody);
      policy_.given_back(now_);
      is_taken_ = false;
      due_ = true;
    }
  }

  // Everybody that is left exits as soon as it is chosen. Whoever is held back is waited for.
  void leave() {
    if (current_ == kNobody || due_) choose();
    if (fault_ != Rule::none) return;
    if (current_ != kNobody) {
      vain_ = 0;
      return exit();
    }
    if (!is_any(State::runnable)) return end();
    constexpr uint32_t kPatience = 10'000;
    constexpr Duration kAge{uint64_t{1} << 55};  // longer than any machine runs
    if (until_ - start_ > kAge) return end();
    if (++vain_ == kPatience) return broken(Rule::lost);
    now_ = until_;
  }

  void end() {
    phase_ = Phase::over;
    if (!has_accepted_ || !is_empty()) return;
    if (is_second_ && check_ == Check::reuse) All::begin_anew(0);
    const bool admitted = policy_.attach(detached(entity(0)), accepted_);
    tell("attach", 0, admitted ? nullptr : "refused");
    require(admitted || !S::kEmptyIsFresh, Rule::returned);
    if constexpr (Detaches<P>) {
      if (admitted) policy_.detach(detached(entity(0)));
    }
    if constexpr (HearsOfCpu<P>) policy_.offline(now_);
  }

  // ---- Questions

  bool asks() const { return !(is_second_ && check_ == Check::questions); }

  // What changes nothing.
  void question() {
    if (!asks()) return;
    const int e = static_cast<int>(action_ % kEntities);
    if (!is_here(e)) return;
    if constexpr (Dumps<P>) policy_.dump(entity(e), [](const char*, uint64_t) {});
    if constexpr (Donates<P>) {
      const Entity* const given = policy_.surplus([](const Entity&) { return true; }, now_);
      const int who = number(given);
      require(given == nullptr || (who != kNobody && state(who) == State::runnable), Rule::surplus);
      require(policy_.surplus([](const Entity&) { return false; }, now_) == nullptr, Rule::surplus);
    }
    if constexpr (Shares<P>) {
      // Of a queue that this CPU has to itself.
      const bool is_current = e == current_;
      const CpuNumber nobody = policy_.chooser(entity(e), 1);
      require(policy_.chooser(entity(e), 0) == 0 && (nobody == 0) == is_current, Rule::shared);
      bool is_chosen = false;
      policy_.while_chosen(entity(e), [&] { is_chosen = true; });
      require(is_chosen == is_current, Rule::shared);
      policy_.take_kicks([this](CpuNumber) { broken(Rule::shared); });
      if (current_ != kNobody && !due_) require(policy_.asked_by(now_) > now_, Rule::shared);
    }
  }

  void check_attributes() {
    if constexpr (std::equality_comparable<Attributes>) {
      for (int e = 0; e < static_cast<int>(kEntities); ++e) {
        if (is_here(e)) require(policy_.attributes(entity(e)) == given(e), Rule::attributes);
      }
    }
  }

  // Of a detached one: what it counts for, with and without what it inherits.
  void check_inheritance(int e) {
    if constexpr (kInherits) {
      const Claim all = policy_.claim(entity(e));
      inherit(e, std::nullopt);
      const Claim own = policy_.claim(entity(e));
      require(all == (inherited(e) ? P::join(own, *inherited(e)) : own), Rule::claims);
      if (inherited(e)) inherit(e, inherited(e));
      claimed(e) = policy_.claim(entity(e));
      require(claimed(e) == all, Rule::claims);
    }
  }

  // That of a blocked one stays.
  void check_claims() {
    if constexpr (kInherits) {
      for (int e = 0; e < static_cast<int>(kEntities); ++e) {
        if (state(e) != State::blocked) continue;
        require(policy_.claim(entity(e)) == claimed(e), Rule::claims);
      }
    }
  }

  typename S::Context context_{};
  P policy_{};
  Attributes accepted_{};      // by the policy when it was empty
  bool has_accepted_ = false;  // `attach` has been true once
  bool refused_ = false;       // it was false the last time

  Instant start_{};
  Instant now_{};
  int current_ = kNobody;
  Instant charged_{};  // until here what `current_` has used is told
  Instant until_ = never;
  bool due_ = false;    // the mechanism is to choose
  bool quiet_ = false;  // nothing was said to the policy since the last `pick`
  bool is_taken_ = false;

  Check check_ = Check::rules;
  Pace pace_ = Pace::even;
  bool is_second_ = false;
  const Run* first_ = nullptr;
  Source source_;
  Phase phase_ = Phase::act;
  uint32_t left_ = 0;
  uint32_t action_ = 0;
  uint32_t vain_ = 0;
  int next_ = 0;
  uint64_t trace_ = 0xcbf2'9ce4'8422'2325;
  Rule fault_ = Rule::none;
  void (*tell_)(void*, const Call&) = nullptr;
  void* told_ = nullptr;
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_RUN_H_
