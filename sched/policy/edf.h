// Earliest deadline first, each task in a constant bandwidth server: so much runtime in so much
// time, and no more at the expense of others. docs/policies/edf.md
//
// L. Abeni and G. Buttazzo, "Integrating Multimedia Applications in Hard Real-Time Systems", RTSS
// 1998: the server. S. Baruah, A. Mok and L. Rosier, "Preemptively Scheduling Hard-Real-Time
// Sporadic Tasks on One Processor", RTSS 1990: the exact admission. G. Lipari and S. Baruah,
// "Greedy Reclamation of Unused Bandwidth in Constant-Bandwidth Servers", ECRTS 2000.
//
// A server has a budget, which running uses up, and a period that begins at a release; it is to be
// done by its deadline, so much after. All runnable entities are in one queue, by deadline. One
// that is held back is in it, too, with the instant at which that ends: the least of these in each
// subtree is known, so both "the earliest deadline that may run now" and "when may one before it
// run" are one way down, and neither moves anything. Who is not held back has zero there, which
// changes nothing on the way up; where nobody is, `pick` takes the first of the queue.
//
// One that others wait for is in the queue by the earliest of its own deadline and theirs, and is
// not held back: what its server does to protect others from it would keep those from running that
// depend on it. Its budget is charged all the same, and what it owes is settled afterwards.
//
// Invariants. In the queue `budget_` is above zero but for the current entity, whose budget `ran`
// may use up, and those that inherit; and it exceeds `runtime_` never, and lies below zero by less
// than that. The release is `deadline_ - relative_`: deadlines are kept, releases computed, and
// neither wraps, because whoever sets them sets them to `kLatestRelease` at most and a relative
// deadline is at most `kLongestPeriod`.

#ifndef BATON_SCHED_POLICY_EDF_H_
#define BATON_SCHED_POLICY_EDF_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sched/policy/analysis.h"
#include "sched/policy/bandwidth.h"
#include "sched/policy/bit_trie.h"
#include "sched/policy/policy.h"
#include "sched/policy/ring.h"

namespace sched {

/// Whom `attach` refuses.
enum class Admission : uint8_t {
  none,       ///< nobody: deadlines are missed when there is too much to do
  bandwidth,  ///< who would bring the sum of runtime / deadline above the limit. Constant time;
              ///< exact where deadlines are periods, sufficient elsewhere. A wake is a wake
  demand,     ///< whose deadlines, or somebody's because of him, could be missed: the exact test
              ///< for jobs a period apart at least. So a wake before that waits until then
};

/// What becomes of an entity that has used up its budget.
enum class Overrun : uint8_t {
  throttle,  ///< it is held back until its next period begins (a "hard" server)
  postpone,  ///< it goes on with the next period's budget and deadline at once (a "soft" server)
};

/// What a `BasicEdf` does beyond deadlines and budgets.
struct EdfOptions {
  Admission admission = Admission::bandwidth;
  /// Bandwidth that is reserved but not used makes budgets last longer (GRUB).
  bool reclaims = false;
  /// How far `Admission::demand` looks before it gives up and refuses: each of its two searches
  /// takes at most so many steps, of up to three passes over all entities.
  int demand_steps = 1000;
};

/// See the head of this file. Every callback is one way through a `BitTrie` (log2(n) steps and some
/// on average, 127 at most), written O(log n) below, and O(1) where it changes no order, but for
/// `attach` under `Admission::demand`: O(n), `demand_steps` times. With reclaiming `ran` and
/// `pick` are O(log n) for each entity whose bandwidth comes free, so O(log n) for each that
/// blocked.
template <EdfOptions kOptions>
class BasicEdf {
  static constexpr bool kDemand = kOptions.admission == Admission::demand;
  static constexpr bool kBandwidth = kOptions.admission == Admission::bandwidth;
  static constexpr bool kReclaims = kOptions.reclaims;
  static_assert(!kReclaims || kBandwidth, "what is reclaimed is bandwidth that was admitted");

  struct NoLink {};
  struct NoTree {};
  struct NoRing {};
  // With reclaiming: whether the bandwidth of an entity counts as used.
  enum class Use : uint8_t { idle, active, lingers };
  using AdmittedLink = std::conditional_t<kDemand, RingLink<BasicEdf>, NoLink>;
  struct Whole {};
  struct Fraction {
    Bandwidth spent;  // with reclaiming: what it has used beyond whole ticks of its budget
  };

 public:
  static constexpr bool kHoldsBack = true;
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;
  /// For `Global`: without reclaiming nothing of what one has used concerns another.
  static constexpr bool kGoesByEntities = !kReclaims;
  /// 36 years at 1 GHz.
  static constexpr Duration kLongestPeriod{uint64_t{1} << 60};

  class Entity : public BitTrieLink<BasicEdf, Instant>,
                 public AdmittedLink,
                 private std::conditional_t<kReclaims, Fraction, Whole> {
    friend BasicEdf;
    Duration runtime_;
    Duration relative_;  // the deadline, from the release on
    Duration period_;
    Instant deadline_;
    Instant inherited_ = never;
    Instant rank_;  // in the queue: the earlier of the two
    int64_t budget_ = 0;
    // Runnable: held back until then; zero if it is not. Blocked: it lingers until then.
    Instant from_;
    Instant due_;          // the deadline that its present job was given
    Instant last_missed_;  // the last `due_` that passed before its job was done
    uint32_t misses_ = 0;
    Overrun overrun_ = Overrun::throttle;
    bool is_admitted_ = false;
    bool is_late_ = false;  // the present job's miss has been counted
    Use use_ = Use::idle;
  };

  /// `runtime` in every `period`, within `deadline` of the period's beginning; a deadline of zero
  /// is the period. 0 < runtime <= deadline <= period <= `kLongestPeriod`.
  struct Attributes {
    Duration runtime = {};
    Duration deadline = {};
    Duration period = {};
    Overrun overrun = Overrun::throttle;
    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  /// The deadline of the job that it is in, or an earlier one that it inherits; `never`: none.
  using Claim = Instant;

  /// At most `runtime` in every `period` may be reserved; all, to begin with. False, and nothing
  /// has changed, if more is reserved already, or it is more than all. For the owning CPU, masked,
  /// or before the scheduler starts.
  bool set_limit(Duration runtime, Duration period)
    requires kBandwidth
  {
    if (runtime == Duration{} || runtime > period) return false;
    const Bandwidth limit = bandwidth(runtime, period);
    if (limit < reserved_) return false;
    limit_ = limit;
    set_active(active_);
    return true;
  }

  /// How much is.
  Bandwidth reserved() const
    requires kBandwidth
  {
    return reserved_;
  }

  /// The deadline by which an entity is ordered, the one that its present job was given, and what
  /// is left of its budget.
  Instant deadline(const Entity& entity) const { return entity.deadline_; }
  Instant due(const Entity& entity) const { return entity.due_; }
  Duration budget(const Entity& entity) const {
    return {entity.budget_ > 0 ? static_cast<uint64_t>(entity.budget_) : 0};
  }

  /// How many jobs of an entity since it was created were not done by their deadlines, and the
  /// latest deadline that was missed. A miss is counted when the entity next runs, or its job ends;
  /// `misses()` counts those of all entities here, so that a kernel sees at once whether there is
  /// anything to look for.
  uint32_t misses(const Entity& entity) const { return entity.misses_; }
  Instant last_missed(const Entity& entity) const { return entity.last_missed_; }
  uint64_t misses() const { return misses_; }

  /// Refuses what is no reservation, and what is not to be admitted. Of an admitted entity it
  /// changes the budget by as much as the runtime, and the deadline by as much as the relative one:
  /// what it has used stays used.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    const Duration relative =
        attributes.deadline == Duration{} ? attributes.period : attributes.deadline;
    if (attributes.runtime == Duration{} || attributes.runtime > relative ||
        relative > attributes.period || attributes.period > kLongestPeriod) {
      return false;
    }
    const Duration runtime = attributes.runtime;
    if constexpr (kBandwidth) {
      // Both are at most the whole: the sum fits.
      const Bandwidth theirs = bandwidth(runtime, relative);
      const Bandwidth before = entity->is_admitted_ ? share_of(*entity) : Bandwidth{};
      if (reserved_ - before + theirs > limit_) return false;
      reserved_ = reserved_ - before + theirs;
      if constexpr (kReclaims) {
        if (entity->use_ != Use::idle) set_active(active_ - before + theirs);
      }
    }
    if constexpr (kDemand) {
      if (!fits(*entity, {.runtime = runtime, .deadline = relative, .period = attributes.period})) {
        return false;
      }
      if (!entity->is_admitted_ && admitted_.push_back(*entity) == Links::corrupt) {
        links_ = Links::corrupt;
      }
    }
    entity->budget_ += static_cast<int64_t>(runtime.ticks - entity->runtime_.ticks);
    if (entity->budget_ <= -static_cast<int64_t>(runtime.ticks)) {
      entity->budget_ = 1 - static_cast<int64_t>(runtime.ticks);
    }
    entity->deadline_ = Instant{release_of(*entity).ticks + relative.ticks};
    entity->runtime_ = runtime;
    entity->relative_ = relative;
    entity->period_ = attributes.period;
    entity->overrun_ = attributes.overrun;
    entity->is_admitted_ = true;
    return true;
  }

  Attributes attributes(const Entity& entity) const {
    return {.runtime = entity.runtime_,
            .deadline = entity.relative_,
            .period = entity.period_,
            .overrun = entity.overrun_};
  }

  Claim claim(const Entity& entity) const {
    return join(entity.is_admitted_ ? entity.deadline_ : never, entity.inherited_);
  }
  static Claim join(Claim a, Claim b) { return a < b ? a : b; }
  static bool precedes(Claim a, Claim b) { return a < b; }

  void inherit(Detached<Entity> entity, const Claim* claims) {
    entity->inherited_ = claims == nullptr ? never : *claims;
  }

  void detach(Detached<Entity> entity) {
    entity->inherited_ = never;
    if constexpr (kReclaims) deactivate(*entity);
    if constexpr (kBandwidth) reserved_ = reserved_ - share_of(*entity);
    if constexpr (kDemand) {
      if (admitted_.remove(*entity) == Links::corrupt) links_ = Links::corrupt;
    }
    entity->is_admitted_ = false;
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    if constexpr (kReclaims) activate(entity);
    switch (why) {
      case Enter::created:
        entity.misses_ = 0;
        entity.last_missed_ = Instant{};
        if constexpr (kReclaims) entity.spent = {};
        begin(entity, now, signed_runtime(entity));
        begin_job(entity);
        break;
      case Enter::woken:
      case Enter::dispatched:
        wake(entity, now);
        begin_job(entity);
        break;
      case Enter::retuned:
        if (entity.from_ <= now) {
          wake(entity, now);
        } else if (entity.budget_ <= 0) {  // held back, and owes more than it gets now
          entity.budget_ += signed_runtime(entity);
        }
        begin_job(entity);
        break;
      case Enter::inherited:
        if (entity.inherited_ != never) break;
        if (entity.budget_ <= 0) {
          replenish(entity, now);
        } else if (entity.from_ == Instant{}) {
          hold_until_release(entity, now);
        }
        break;
      case Enter::moved:
        if (entity.budget_ <= 0) replenish(entity, now);
        break;
    }
    return insert(entity);
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    if (remove(entity) == Links::corrupt) return Links::corrupt;
    if (why == Leave::blocked || why == Leave::exited) {
      check_deadline(entity, now);
      entity.from_ = Instant{};
    }
    if (why == Leave::exited) entity.inherited_ = never;
    if constexpr (kReclaims) {
      if (why == Leave::blocked) linger(entity, now);
      if (why == Leave::exited || why == Leave::moved) deactivate(entity);
    }
    return links_;
  }

  /// To yield is to complete a job: what is left of the budget is given up, and the next job begins
  /// with the next period.
  Links put_back(Entity& entity, Pause why, Instant now) {
    if (why == Pause::yielded) {
      if (remove(entity) == Links::corrupt) return Links::corrupt;
      complete(entity, now);
      return insert(entity);
    }
    if (entity.budget_ > 0 || entity.inherited_ != never) [[likely]]
      return Links::intact;
    if (remove(entity) == Links::corrupt) return Links::corrupt;
    replenish(entity, now);
    return insert(entity);
  }

  void ran(Entity& current, Instant from, Instant to) {
    if constexpr (kReclaims) {
      // Piece by piece, where bandwidth came free in between.
      for (Entity* idle = lingering_.first(); idle != nullptr && idle->from_ <= to;
           idle = lingering_.first()) {
        charge(current, cost_of(current, idle->from_ - from));
        if (idle->from_ > from) from = idle->from_;
        if (!deactivate(*idle)) break;
      }
      charge(current, cost_of(current, to - from));
    } else {
      charge(current, to - from);
    }
    check_deadline(current, to);
  }

  Choice<Entity> pick(Instant now) {
    if constexpr (kReclaims) {
      for (Entity* idle = lingering_.first(); idle != nullptr && idle->from_ <= now;
           idle = lingering_.first()) {
        if (!deactivate(*idle)) break;
      }
    }
    Entity* const first = queue_.first();
    if (first == nullptr) return {};
    if (first->from_ <= now) [[likely]]
      return {first, now + lasts(*first)};
    Entity* const entity = queue_.first_where([now](Instant from) { return from <= now; });
    if (entity == nullptr) return {nullptr, queue_.least()};
    return {entity, queue_.least_before(*entity, now + lasts(*entity))};
  }

  /// An earlier deadline preempts: now, or when it is no longer held back. With reclaiming a
  /// newcomer also makes the current budget last less long.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    Instant until = never;
    if (entered.rank_ < current.rank_) until = entered.from_ > now ? entered.from_ : now;
    if constexpr (kReclaims) {
      const bool goes_on = current.budget_ > 0 || current.inherited_ != never;
      const Instant end = goes_on ? now + lasts(current) : now;
      if (end < until) until = end;
    }
    return until;
  }

  /// The earliest deadline of the first 16 that is not held back. O(log n) for each of them. Where
  /// it goes the deadline and the budget go along; the bandwidth is asked for there.
  template <typename F>
  Entity* surplus(F allowed, Instant now) {
    int looks = 16;
    for (Entity* e = queue_.first(); e != nullptr && looks > 0; e = queue_.next(*e), --looks) {
      if (e->from_ <= now && allowed(*e)) return e;
    }
    return nullptr;
  }

  template <typename F>
  void dump(const Entity& entity, F field) const {
    field("runtime", entity.runtime_.ticks);
    field("deadline", entity.relative_.ticks);
    field("period", entity.period_.ticks);
    field("due", entity.due_.ticks);
    field("budget", budget(entity).ticks);
    field("misses", uint64_t{entity.misses_});
  }

 private:
  // Only a server that is postponed over and over gets there before the clock does, in 511 years
  // at 1 GHz; and no further.
  static constexpr Instant kLatestRelease{7 * (uint64_t{1} << 61)};

  struct ByDeadline {
    using Key = Instant;
    using Least = Instant;
    static Instant key(const Entity& entity) { return entity.rank_; }
    static Instant least(const Entity& entity) { return entity.from_; }
    static bool before(Instant a, Instant b) { return a < b; }
  };
  // Has the same links as the other, so a least, too, of which it makes no use.
  struct ByEnd {
    using Key = Instant;
    using Least = Instant;
    static Instant key(const Entity& entity) { return entity.from_; }
    static Instant least(const Entity&) { return {}; }
    static bool before(Instant a, Instant b) { return a < b; }
  };

  // The ring of all that are admitted, as tasks for the analysis; one of them, or one that is not
  // in it yet, as it wants to be.
  class Tasks {
   public:
    class Iterator {
     public:
      Iterator(const Tasks& tasks, const Entity* at) : tasks_(tasks), at_(at) {}
      RealTimeTask operator*() const { return tasks_.task(at_); }
      Iterator& operator++() {
        at_ = tasks_.after(at_);
        return *this;
      }
      bool operator!=(const Iterator& other) const { return at_ != other.at_; }

     private:
      const Tasks& tasks_;
      const Entity* at_;
    };

    Tasks(const Entity* front, const Entity& changed, const RealTimeTask& wanted)
        : front_(front), changed_(changed), wanted_(wanted) {}
    Iterator begin() const { return {*this, changed_.is_admitted_ ? front_ : &changed_}; }
    Iterator end() const { return {*this, nullptr}; }

   private:
    RealTimeTask task(const Entity* entity) const {
      if (entity == &changed_) return wanted_;
      return {entity->runtime_, entity->relative_, entity->period_};
    }
    const Entity* after(const Entity* entity) const {
      if (entity == &changed_ && !changed_.is_admitted_) return front_;
      const AdmittedLink* const next = static_cast<const AdmittedLink*>(entity)->next;
      const Entity* const after = static_cast<const Entity*>(next);
      return after == front_ ? nullptr : after;
    }

    const Entity* const front_;  // null if there is none
    const Entity& changed_;
    const RealTimeTask wanted_;
  };

  static int64_t signed_runtime(const Entity& entity) {
    return static_cast<int64_t>(entity.runtime_.ticks);
  }
  static Instant release_of(const Entity& entity) {
    return Instant{entity.deadline_.ticks - entity.relative_.ticks};
  }
  static Instant next_release_of(const Entity& entity) {
    // At most 2^64 - 2^60.
    return Instant{release_of(entity).ticks + entity.period_.ticks};
  }
  static Bandwidth share_of(const Entity& entity) {
    return bandwidth(entity.runtime_, entity.relative_);
  }

  bool fits(const Entity& entity, const RealTimeTask& wanted) const {
    const Entity* const front = admitted_.empty() ? nullptr : &admitted_.front();
    return demand_fits(Tasks(front, entity, wanted), kOptions.demand_steps) == Verdict::holds;
  }

  Links insert(Entity& entity) {
    entity.rank_ = entity.deadline_;
    if (entity.inherited_ != never) [[unlikely]] {
      // Of one that is not admitted, but runs for those who wait, only their deadline counts.
      if (!entity.is_admitted_ || entity.inherited_ < entity.rank_) {
        entity.rank_ = entity.inherited_;
      }
      entity.from_ = Instant{};
    }
    if (queue_.insert(entity) == Links::corrupt) return Links::corrupt;
    return links_;
  }
  Links remove(Entity& entity) { return queue_.remove(entity); }

  // A period begins.
  static void begin(Entity& entity, Instant release, int64_t budget) {
    if (release > kLatestRelease) release = kLatestRelease;
    if constexpr (kReclaims) {
      if (entity.budget_ > 0) entity.spent = {};  // else a part of a tick is owed
    }
    entity.deadline_ = Instant{release.ticks + entity.relative_.ticks};
    entity.budget_ = budget;
    entity.from_ = Instant{};
  }

  static void begin_job(Entity& entity) {
    entity.due_ = entity.deadline_;
    entity.is_late_ = false;
  }

  // A full budget, less what is owed.
  static int64_t next_budget(const Entity& entity) {
    return signed_runtime(entity) + (entity.budget_ < 0 ? entity.budget_ : 0);
  }

  // What is left of the budget, without a tick that is used in part: it is rather to be kept for
  // too long, which costs others a part of a tick once, than to be made whole too early, each time.
  static uint64_t whole_ticks_of(const Entity& entity) {
    if (entity.budget_ <= 0) return 0;
    const uint64_t budget = static_cast<uint64_t>(entity.budget_);
    if constexpr (kReclaims) return entity.spent == Bandwidth{} ? budget : budget - 1;
    return budget;
  }

  // Whether an entity that wakes may go on with the budget and the deadline that it has, without
  // asking more of the CPU at any time than was admitted.
  static bool may_go_on(const Entity& entity, Instant now) {
    if (entity.budget_ <= 0) return false;
    if constexpr (kDemand) {
      // A job that begins later than its period does is not what the test has counted.
      return now <= release_of(entity);
    } else {
      // budget / (deadline - now) < runtime / relative: Abeni and Buttazzo's rule, with the
      // relative deadline for the period. The budget is at most the runtime and all of them at most
      // the longest period, or the time to a deadline at most 2^64: the products fit in 128 bits.
      if (entity.deadline_ <= now) return false;
      return Wide{whole_ticks_of(entity)} * entity.relative_.ticks <
             Wide{(entity.deadline_ - now).ticks} * entity.runtime_.ticks;
    }
  }

  static void wake(Entity& entity, Instant now) {
    if (now >= next_release_of(entity)) {
      begin(entity, now, next_budget(entity));
    } else if (may_go_on(entity, now)) {
      hold_until_release(entity, now);
    } else if (!kDemand && entity.budget_ > 0 && entity.relative_ == entity.period_) {
      begin(entity, now, signed_runtime(entity));
    } else {
      begin(entity, next_release_of(entity), next_budget(entity));
      hold_until_release(entity, now);
    }
  }

  static void hold_until_release(Entity& entity, Instant now) {
    const Instant release = release_of(entity);
    const bool held = entity.overrun_ == Overrun::throttle && release > now;
    entity.from_ = held ? release : Instant{};
  }

  // The budget is used up: on to the next period. If that is over already the machine has more to
  // do than it can, or the clock has jumped: no use in working off what is past.
  static void replenish(Entity& entity, Instant now) {
    begin(entity, next_release_of(entity), next_budget(entity));
    if (entity.deadline_ <= now) begin(entity, now, entity.budget_);
    hold_until_release(entity, now);
  }

  void complete(Entity& entity, Instant now) {
    check_deadline(entity, now);
    if (entity.budget_ <= 0 || release_of(entity) <= now) {
      begin(entity, next_release_of(entity), next_budget(entity));
      if (entity.deadline_ <= now) begin(entity, now, entity.budget_);
    }
    const Instant release = release_of(entity);
    entity.from_ = release > now ? release : Instant{};
    begin_job(entity);
  }

  void check_deadline(Entity& entity, Instant now) {
    if (now <= entity.due_ || entity.is_late_) [[likely]]
      return;
    if (!entity.is_admitted_) return;
    entity.is_late_ = true;
    entity.last_missed_ = entity.due_;
    ++entity.misses_;
    ++misses_;
  }

  // What is owed is less than a runtime, so that one replenishment always makes up for it. More can
  // only be used where the timer is late by a whole budget: then the clock has jumped, or nobody
  // could have kept his deadline, and the task is not to suffer for it for hours.
  static void charge(Entity& entity, Duration used) {
    const int64_t least = 1 - signed_runtime(entity);
    const int64_t most = entity.budget_ - least;  // not negative
    entity.budget_ = used.ticks >= static_cast<uint64_t>(most)
                         ? least
                         : entity.budget_ - static_cast<int64_t>(used.ticks);
  }

  // ---- Reclaiming: budgets are used up at the rate at which bandwidth is in use ----------------

  // Its bandwidth, rounded up: what is in use is rather to be counted too high than too low.
  static Bandwidth use_of(const Entity& entity) { return share_of(entity) + Bandwidth{1}; }

  // The part of the limit that is in use, rounded up: what running for a tick costs.
  void set_active(Bandwidth active) {
    active_ = active;
    rate_ = active >= limit_
                ? kWholeCpu
                : Bandwidth{divide(Wide{active.units} * kWholeCpu.units + (limit_.units - 1),
                                   limit_.units)};
  }

  // What running for `length` costs, in whole ticks; the rest is kept for the next time, so that it
  // does not matter in how many pieces a turn is charged.
  Duration cost_of(Entity& entity, Duration length) const {
    const Wide cost = Wide{length.ticks} * rate_.units + entity.spent.units;
    entity.spent = {static_cast<uint64_t>(cost) & (kWholeCpu.units - 1)};
    return {static_cast<uint64_t>(cost >> 62)};
  }

  // How long the budget lasts. One that has none left and is not held back inherits.
  Duration lasts(const Entity& entity) const {
    if (entity.budget_ <= 0) [[unlikely]]
      return forever;
    const uint64_t budget = static_cast<uint64_t>(entity.budget_);
    if constexpr (kReclaims) {
      if (rate_ < kWholeCpu) {
        // At most 2^122, and the rate.
        const Wide left = Wide{budget} * kWholeCpu.units - entity.spent.units;
        const uint64_t length = divide(left + (rate_.units - 1), rate_.units);
        return {length < forever.ticks ? length : forever.ticks};
      }
    }
    return {budget};
  }

  // It is runnable: its bandwidth is in use.
  void activate(Entity& entity) {
    if (!entity.is_admitted_) return;
    if (entity.use_ == Use::lingers) {
      if (lingering_.remove(entity) == Links::corrupt) links_ = Links::corrupt;
      entity.from_ = Instant{};
    } else if (entity.use_ == Use::idle) {
      set_active(active_ + use_of(entity));
    }
    entity.use_ = Use::active;
  }

  // It has blocked, and may have run ahead of its bandwidth: that counts as in use until the
  // instant at which it would have used at its steady rate what it has used.
  void linger(Entity& entity, Instant now) {
    if (!entity.is_admitted_) {
      deactivate(entity);
      return;
    }
    const uint64_t ahead =
        mul_div(whole_ticks_of(entity), entity.relative_.ticks, entity.runtime_.ticks);
    const Instant end{entity.deadline_.ticks - ahead};  // the release, at the earliest
    if (end <= now) {
      deactivate(entity);
    } else {
      entity.from_ = end;
      entity.use_ = Use::lingers;
      if (lingering_.insert(entity) == Links::corrupt) links_ = Links::corrupt;
    }
  }

  // Its bandwidth is free for others. False if that could not be done.
  bool deactivate(Entity& entity) {
    if (entity.use_ == Use::lingers) {
      if (lingering_.remove(entity) == Links::corrupt) {
        links_ = Links::corrupt;
        return false;
      }
      entity.from_ = Instant{};
    }
    if (entity.use_ != Use::idle) set_active(active_ - use_of(entity));
    entity.use_ = Use::idle;
    return true;
  }

  BitTrie<Entity, BasicEdf, ByDeadline> queue_;
  Bandwidth reserved_;           // by all who are admitted
  Bandwidth limit_ = kWholeCpu;  // of that
  Bandwidth active_;             // of those whose bandwidth is in use
  Bandwidth rate_;               // of the limit, in use
  [[no_unique_address]] std::conditional_t<kReclaims, BitTrie<Entity, BasicEdf, ByEnd>, NoTree>
      lingering_;
  [[no_unique_address]] std::conditional_t<kDemand, Ring<Entity, BasicEdf>, NoRing> admitted_;
  Links links_ = Links::intact;  // what `attach` and `detach`, which cannot say so, have found
  uint64_t misses_ = 0;
};

/// The usual one: constant-time admission, exact where deadlines are periods.
using Edf = BasicEdf<EdfOptions{}>;

/// Admission by processor demand: the most that one CPU can promise when deadlines are shorter than
/// periods.
using EdfExact = BasicEdf<EdfOptions{.admission = Admission::demand}>;

/// What others have reserved and do not use makes budgets last longer.
using EdfReclaiming = BasicEdf<EdfOptions{.reclaims = true}>;

static_assert(Ranks<Edf>);
static_assert(Charges<Edf> && Contends<Edf> && Detaches<Edf> && Dumps<Edf>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_EDF_H_
