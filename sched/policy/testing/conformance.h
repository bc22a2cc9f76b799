// What holds of every policy, checked: the part of the conformance kit that needs nothing, so that
// the same checks run in a test on a host, under a fuzzer and in a kernel. docs/writing_a_policy.md
//
// `Trial` drives a policy as a mechanism does (the head of sched/policy/policy.h), at random, and
// looks at each answer. What no answer shows alone is seen by comparison: a second run makes the
// same calls with one thing different that must not matter (addresses, where counters begin, when
// the clock began, calls that ask or are refused), and the two schedules must be the same.
//
// Freestanding; allocates nothing. A trial holds two policies and their entities: in a kernel it
// belongs in static memory, not on a stack.
//
//     constinit sched::conformance::Trial<MySubject> trial;
//
//     if (const auto fault = trial.run_briefly()) print(to_string(fault.rule));

#ifndef BATON_SCHED_POLICY_TESTING_CONFORMANCE_H_
#define BATON_SCHED_POLICY_TESTING_CONFORMANCE_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <type_traits>

#include "sched/policy/policy.h"

namespace sched::conformance {

/// Where the numbers that decide what happens come from: a generator with a seed, or the bytes that
/// a fuzzer gives. The same source gives the same numbers everywhere.
class Source {
 public:
  constexpr Source() = default;
  constexpr explicit Source(uint64_t seed) : state_(seed) {}
  constexpr explicit Source(std::span<const uint8_t> bytes) : bytes_(bytes), is_bytes_(true) {}

  /// A number below `bound`, which is at least 1.
  constexpr uint64_t below(uint64_t bound) {
    if (!is_bytes_) return (random() >> 11) % bound;
    uint64_t number = byte();
    for (uint64_t reach = (bound - 1) >> 8; reach != 0; reach >>= 8) number = number << 8 | byte();
    return number % bound;
  }

  /// Any 64-bit number.
  constexpr uint64_t any() {
    return below(1U << 31) << 33 ^ below(1U << 31) << 16 ^ below(1 << 16);
  }

  /// One of these.
  template <typename T, size_t kSize>
  constexpr const T& one_of(const T (&values)[kSize]) {
    return values[below(kSize)];
  }

  constexpr bool is_exhausted() const { return is_bytes_ && bytes_.empty(); }

 private:
  // splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
  // 2014.
  constexpr uint64_t random() {
    uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
    return z ^ z >> 31;
  }
  constexpr uint64_t byte() {
    if (bytes_.empty()) return 0;
    const uint64_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  uint64_t state_ = 0;
  std::span<const uint8_t> bytes_;
  bool is_bytes_ = false;
};

/// What the kit has to know of a policy, and how it is told: derive from this and hide what does
/// not fit.
template <Policy P>
struct Subject {
  using Tested = P;

  /// Attributes as a user may give them: the usual, both ends of each range, and now and then some
  /// that must be refused.
  static typename P::Attributes sample(Source&) { return {}; }

  /// Whether the current entity is chosen again if nothing has happened but that the kernel needed
  /// the CPU for a moment, before `until`. A policy that goes by who has used the least may choose
  /// somebody else: it says false.
  static constexpr bool kKeepsTurn = true;

  /// Whether the schedule depends on what the clock reads, and not only on how long everything
  /// takes. A policy that does something at each multiple of a period says true: then its late
  /// schedule is checked by the rules, and not compared with an early one.
  static constexpr bool kReadsClock = false;

  /// Whether a policy that everybody has left accepts what it accepted when it was fresh. One that
  /// `act` makes into another may say false.
  static constexpr bool kEmptyIsFresh = true;

  /// Of a policy that `Ranks`: whether of all that are runnable the current one is always one that
  /// no other precedes. Who holds entities back, or takes turns, says false.
  static constexpr bool kPicksFirst = false;

  /// What has to lie beside a policy, such as its groups. Each run has one of its own.
  struct Context {};

  // Optional, each with a `Context&` after the policy if it has a use for it:
  //
  // static void begin(P&): sets up a fresh policy.
  //
  // static void near_wrap(P&): the same as `begin`, which is not called then, but with every
  // counter that can wrap about to do so. The schedule must not depend on it.
  //
  // static void act(P&, Source&, Instant now): something of the policy's own (a limit changed, a
  // part exchanged). Called with no current entity; the kit asks anew afterwards.
};

/// What a policy has broken.
enum class Rule : uint8_t {
  none,
  links,       ///< reports broken links, and nobody broke any
  stranger,    ///< picks an entity that is not runnable, or none of its own
  idle,        ///< picks nobody although somebody is runnable, and does not say that it holds back
  forgotten,   ///< holds everybody back and names no instant at which to ask again
  lost,        ///< never picks a runnable entity although it is asked again and again
  until,       ///< gives an `until` that is not after `now`
  honest,      ///< changes its mind before `until` although nothing has happened
  idempotent,  ///< names nobody, and gives another answer when it is asked the same again
  peers,       ///< `has_peer` says other than what a yield does
  attributes,  ///< changes attributes that nobody has changed
  claims,      ///< an entity counts for other than its own joined with what it inherits
  algebra,     ///< claims that do not join, precede or come apart as policy.h says
  urgent,      ///< picks an entity although another precedes it
  surplus,     ///< gives away what is not runnable or not allowed to go
  shared,      ///< of a queue that CPUs share: tells otherwise who has whom than its answers do
  returned,    ///< refuses in the end, with everybody gone, what it accepted in the beginning
  addresses,   ///< schedules by where entities lie in memory
  refused,     ///< schedules otherwise for attributes that it has refused
  questions,   ///< schedules otherwise for having been asked
  reuse,       ///< knows of a finished entity, or of its earlier life
  wrap,        ///< schedules otherwise where a counter wraps
  clock,       ///< schedules otherwise late in the life of the clock
};

constexpr const char* to_string(Rule rule) {
  switch (rule) {
    case Rule::none: return "none: it keeps every rule";
    case Rule::links: return "links: it reports broken links, and nobody broke any";
    case Rule::stranger: return "stranger: it picks an entity that is not runnable";
    case Rule::idle: return "idle: it picks nobody although somebody is runnable";
    case Rule::forgotten: return "forgotten: it holds back somebody until never";
    case Rule::lost: return "lost: it never picks a runnable entity, however often it is asked";
    case Rule::until: return "until: the instant at which to ask again is not after now";
    case Rule::honest: return "honest: it changes its mind before `until`";
    case Rule::idempotent:
      return "idempotent: it names nobody, and asked again, it answers otherwise";
    case Rule::peers: return "peers: has_peer says other than what a yield does";
    case Rule::attributes: return "attributes: they change although nobody changes them";
    case Rule::claims: return "claims: one counts for other than its own and what it inherits";
    case Rule::algebra:
      return "algebra: claims join, precede or come apart otherwise than promised";
    case Rule::urgent: return "urgent: it picks an entity although another precedes it";
    case Rule::surplus: return "surplus: it gives away what must not go";
    case Rule::shared: return "shared: who has chosen whom is told otherwise than it was answered";
    case Rule::returned: return "returned: what an entity got does not come back when it goes";
    case Rule::addresses: return "addresses: the schedule depends on where entities lie";
    case Rule::refused: return "refused: attributes that were refused change the schedule";
    case Rule::questions: return "questions: to have been asked changes the schedule";
    case Rule::reuse: return "reuse: a finished entity's earlier life changes the schedule";
    case Rule::wrap: return "wrap: where a counter wraps the schedule changes";
    case Rule::clock: return "clock: late in the life of the clock the schedule changes";
  }
  return "";
}

/// What a trial looks at. In each all rules are checked that one run can show; in all but the first
/// there is a second run, and what differs is said here.
enum class Check : uint8_t {
  rules,      ///< one run
  addresses,  ///< entities in the opposite order in memory
  refusals,   ///< the calls of `attach` that are refused are not made
  questions,  ///< no call of `pick` twice, `dump`, `surplus`
  reuse,      ///< the memory of a finished entity is overwritten, and begins anew
  wrap,       ///< counters begin shortly before their wrap (`near_wrap`)
  clock,      ///< the clock begins 2^56 ticks before `now` and twice `forever` wrap
};
inline constexpr std::array kChecks = {
    Check::rules, Check::addresses, Check::refusals, Check::questions,
    Check::reuse, Check::wrap,      Check::clock,
};

constexpr const char* to_string(Check check) {
  switch (check) {
    case Check::rules: return "rules";
    case Check::addresses: return "addresses";
    case Check::refusals: return "refusals";
    case Check::questions: return "questions";
    case Check::reuse: return "reuse";
    case Check::wrap: return "wrap";
    case Check::clock: return "clock";
  }
  return "";
}

/// How time goes by: all three heed `until`, but for a timer that is now and then late.
enum class Pace : uint8_t {
  even,    ///< some ticks, or to `until`, or somewhere on the way there
  still,   ///< most things happen at one and the same instant
  jumping  ///< as `even`, but now and then 2^42 ticks ahead: over an hour at 1 GHz
};
inline constexpr std::array kPaces = {Pace::even, Pace::still, Pace::jumping};

/// One call of a policy, for whoever wants to see them.
struct Call {
  const char* name;
  int entity;       ///< by its number; -1: nobody
  const char* why;  ///< the reason given, or null
  Instant now;
  Instant until;   ///< of `pick` and `contend`; otherwise `never`
  bool is_second;  ///< made by the second run of a trial, which the first is compared with
};

/// How a trial goes.
struct Plan {
  Check check = Check::rules;
  Pace pace = Pace::even;
  uint64_t seed = 1;
  uint32_t actions = 1000;
  std::span<const uint8_t> bytes = {};  ///< of a fuzzer; if there are any they decide, not the seed
  void (*tell)(void*, const Call&) = nullptr;  ///< hears of every call
  void* told = nullptr;                        ///< given to `tell`
};

/// What came of it.
struct Fault {
  Rule rule = Rule::none;
  uint32_t action = 0;  ///< during which; the same at every repetition
  constexpr explicit operator bool() const { return rule != Rule::none; }
};

/// Whether `S` says how its policy's counters are brought near their wrap.
template <typename S>
concept HasWrap = requires(typename S::Tested& policy, typename S::Context& context) {
  requires requires { S::near_wrap(policy); } || requires { S::near_wrap(policy, context); };
};

/// Sets up a fresh policy as `S` says. For subjects that are made of subjects.
template <typename S>
void set_up(typename S::Tested& policy, typename S::Context& context) {
  if constexpr (requires { S::begin(policy); }) {
    S::begin(policy);
  } else if constexpr (requires { S::begin(policy, context); }) {
    S::begin(policy, context);
  }
}

/// The same, with all counters about to wrap, where `S` says how that is done.
template <typename S>
void set_up_near_wrap(typename S::Tested& policy, typename S::Context& context) {
  if constexpr (requires { S::near_wrap(policy); }) {
    S::near_wrap(policy);
  } else if constexpr (requires { S::near_wrap(policy, context); }) {
    S::near_wrap(policy, context);
  } else {
    set_up<S>(policy, context);
  }
}

/// One of a trial's runs. Made by `Trial`.
template <typename S, size_t kEntities>
class Run : public Mechanism {
  using P = typename S::Tested;
  using Entity = typename P::Entity;
  using Attributes = typename P::Attributes;
  static constexpr int kNobody = -1;
  static constexpr bool kInherits = Inherits<P>;
  using Claim = decltype([] {
    if constexpr (kInherits) {
      return std::type_identity<typename P::Claim>();
    } else {
      return std::type_identity<bool>();
    }
  }())::type;
  static_assert(std::is_trivially_destructible_v<Entity>, "an entity's memory just ends");

  // Of an entity. `away`: it has moved to another CPU, and may come back.
  enum class State : uint8_t { nowhere, blocked, runnable, away_blocked, away_runnable };

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

  // ---- Entities

  Entity& entity(int e) {
    const size_t index = static_cast<size_t>(e);
    const bool backward = is_second_ && check_ == Check::addresses;
    return slots_[backward ? kEntities - 1 - index : index];
  }
  State& state(int e) { return states_[static_cast<size_t>(e)]; }
  Attributes& given(int e) { return given_[static_cast<size_t>(e)]; }
  std::optional<Claim>& inherited(int e) { return inherited_[static_cast<size_t>(e)]; }
  std::optional<Claim>& claimed(int e) { return claimed_[static_cast<size_t>(e)]; }
  int number(const Entity* found) {
    for (int e = 0; e < static_cast<int>(kEntities); ++e) {
      if (&entity(e) == found) return e;
    }
    return kNobody;
  }
  int one() { return static_cast<int>(source_.below(kEntities)); }
  bool is_here(int e) { return state(e) == State::blocked || state(e) == State::runnable; }

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
    tell("enqueue", e, name_of(why));
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
    tell("dequeue", e, name_of(why));
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
    tell("put_back", current_, name_of(why));
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
    pass_time();
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

  void pass_time() {
    constexpr Duration kHour{uint64_t{1} << 42};
    constexpr uint64_t kSome = 50;
    const uint64_t way = source_.below(pace_ == Pace::still ? 64 : 8);
    // As long as the clock can go there in each run of the trial.
    const bool in_reach = until_ > now_ && until_ - now_ <= kHour;
    Instant next = now_;
    if (way >= 1 && way <= 3) {
      next = now_ + Duration{source_.below(kSome)};
    } else if (way == 4 && in_reach) {
      next = until_;
    } else if (way == 5 && in_reach) {
      next = now_ + Duration{source_.below((until_ - now_).ticks)};
    } else if (way == 6 && pace_ == Pace::jumping && source_.below(4) == 0) {
      next = now_ + kHour;
    }
    // A timer is now and then late; the jump of a clock knows no `until`.
    if (way != 6 && next > until_ && source_.below(8) != 0) next = until_ > now_ ? until_ : now_;
    now_ = next;
  }

  // A task comes: for the first time, from its sleep, or from another CPU.
  void come(int e) {
    switch (state(e)) {
      case State::nowhere:
        if (phase_ == Phase::wake) break;
        if (is_second_ && check_ == Check::reuse) new (&entity(e)) Entity();
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
        check_algebra(claim, claims.value_or(claim), policy_.claim(entity(e)));
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
    if (is_second_ && check_ == Check::reuse) overwrite(entity(self));
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
    if (is_second_ && check_ == Check::reuse) new (&entity(0)) Entity();
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

  void check_algebra(const Claim& a, const Claim& b, const Claim& c) {
    if constexpr (kInherits) {
      require(P::join(a, b) == P::join(b, a) && P::join(a, c) == P::join(c, a), Rule::algebra);
      require(P::join(P::join(a, b), c) == P::join(a, P::join(b, c)), Rule::algebra);
    }
    if constexpr (AddsClaims<P>) require(P::without(P::join(a, b), b) == a, Rule::algebra);
    if constexpr (Ranks<P>) {
      const auto is_equal = [](const Claim& one, const Claim& other) {
        return !P::precedes(one, other) && !P::precedes(other, one);
      };
      const Claim first = P::precedes(b, a) ? b : a;
      require(is_equal(P::join(a, b), first), Rule::algebra);
      require(!P::precedes(a, a), Rule::algebra);
      require(!P::precedes(a, b) || !P::precedes(b, a), Rule::algebra);
      if (P::precedes(a, b) && P::precedes(b, c)) require(P::precedes(a, c), Rule::algebra);
      if (is_equal(a, b) && is_equal(b, c)) require(is_equal(a, c), Rule::algebra);
    }
  }

  bool is_any(State wanted) const {
    for (const State state : states_) {
      if (state == wanted) return true;
    }
    return false;
  }
  bool is_empty() const {
    for (const State state : states_) {
      if (state == State::blocked || state == State::runnable) return false;
    }
    return true;
  }

  // As whoever gets the memory next may.
  static void overwrite(Entity& finished) {
    finished.~Entity();
    unsigned char* const bytes = reinterpret_cast<unsigned char*>(&finished);
    for (size_t i = 0; i < sizeof(Entity); ++i) bytes[i] = 0xa5;
  }

  static constexpr const char* name_of(Enter why) {
    constexpr const char* kNames[] = {"created",   "woken", "retuned",
                                      "inherited", "moved", "dispatched"};
    return kNames[static_cast<size_t>(why)];
  }
  static constexpr const char* name_of(Leave why) {
    constexpr const char* kNames[] = {"blocked", "exited", "retuned", "inherited", "moved"};
    return kNames[static_cast<size_t>(why)];
  }
  static constexpr const char* name_of(Pause why) {
    constexpr const char* kNames[] = {"yielded", "preempted", "timed_out"};
    return kNames[static_cast<size_t>(why)];
  }

  typename S::Context context_{};
  P policy_{};
  std::array<Entity, kEntities> slots_{};
  std::array<State, kEntities> states_{};
  std::array<Attributes, kEntities> given_{};
  std::array<std::optional<Claim>, kEntities> inherited_{};
  std::array<std::optional<Claim>, kEntities> claimed_{};  // when it was last detached
  Attributes accepted_{};                                  // by the policy when it was empty
  bool has_accepted_ = false;                              // `attach` has been true once
  bool refused_ = false;                                   // it was false the last time

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

/// Puts the policy of subject `S` through its trials, one at a time.
template <typename S, size_t kEntities = 8>
class Trial {
 public:
  /// The first fault, if there is any. Takes time in proportion to the actions.
  Fault run(const Plan& plan) {
    renew(first_);
    first_.begin(plan, Half::Part::first, nullptr);
    const bool is_alone = plan.check == Check::rules ||
                          (plan.check == Check::wrap && !HasWrap<S>) ||
                          (plan.check == Check::clock && S::kReadsClock);
    if (is_alone) {
      while (first_.step()) continue;
      return {first_.fault(), first_.action()};
    }
    renew(second_);
    second_.begin(plan, Half::Part::second, &first_);
    for (;;) {
      // A fault of one run alone is a rule in itself, and says more than that two differ.
      const bool goes_on = first_.step();
      if (first_.fault() != Rule::none) return {first_.fault(), first_.action()};
      const bool second_goes_on = second_.step();
      if (second_.trace() != first_.trace() || second_goes_on != goes_on) {
        return {differs(plan.check), first_.action()};
      }
      if (!goes_on) return {};
    }
  }

  /// Every check at every pace, with a few seeds: for where there is not much time, as in a
  /// kernel's self-test.
  Fault run_briefly(uint64_t seeds = 2, uint32_t actions = 300) {
    for (const Check check : kChecks) {
      for (const Pace pace : kPaces) {
        for (uint64_t seed = 1; seed <= seeds; ++seed) {
          const Plan plan = {.check = check, .pace = pace, .seed = seed, .actions = actions};
          if (const Fault fault = run(plan)) return fault;
        }
      }
    }
    return {};
  }

 private:
  using Half = Run<S, kEntities>;

  static void renew(Half& half) {
    half.~Half();
    new (&half) Half();
  }

  static constexpr Rule differs(Check check) {
    switch (check) {
      case Check::addresses: return Rule::addresses;
      case Check::refusals: return Rule::refused;
      case Check::questions: return Rule::questions;
      case Check::reuse: return Rule::reuse;
      case Check::wrap: return Rule::wrap;
      case Check::clock: return Rule::clock;
      case Check::rules: break;
    }
    return Rule::none;
  }

  Half first_;
  Half second_;
};

}  // namespace sched::conformance

#endif  // BATON_SCHED_POLICY_TESTING_CONFORMANCE_H_
