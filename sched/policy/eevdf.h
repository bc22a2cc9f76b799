// Earliest eligible virtual deadline first: shares by weight, and within them short waits for those
// who ask for little at a time. docs/policies/eevdf.md
//
// Each task has a clock, its virtual time, which advances by the time it has run divided by its
// weight. The average of the clocks of all runnable tasks, weighted, is what each of them would
// show had all been served at once. How far a task's clock is behind the average, times its weight,
// is its lag: the time it is owed (what it has had too much, if negative); all lags together are
// zero. A task that owes has had more than its share and waits: only one whose clock is not ahead
// of the average is *eligible*. A task asks for the CPU a slice at a time; its deadline is where
// its clock will be once it has had the slice. Of those eligible the one with the earliest deadline
// runs. (I. Stoica and H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First: A Flexible and
// Accurate Mechanism for Proportional Share Resource Allocation", Old Dominion University TR-95-22,
// 1995; Linux since 6.6.)
//
// Runnable tasks are in a tree by deadline, in which each subtree knows the least clock in it: so
// the earliest deadline among those eligible is one way down. The current one is not in the tree,
// but it counts.
//
// Arithmetic. With 2^20 tasks, weights up to 2^20 and clocks v that wrap:
//  - The average is not stored. What is stored is the load W = sum of w, and the moment
//    M = sum of w * (v - reference). A clock v is not ahead of the average exactly if
//    (v - reference) * W <= M: whether one is eligible takes a multiplication and no division.
//    Where many are asked, or the average itself is needed because a task comes or goes, it is
//    reference + floor(M / W): clocks are whole, so that not to be ahead of that is the same.
//  - No clock is more than kReach = 2^60 ahead of the reference, nor more than kReach + 2^54 behind
//    it: a charge stops at kReach. A newcomer is placed at most 2^54 from the average, for slices
//    and quanta are below 2^32 ticks and so no lag above 2^32 * 2^20 units, each way twice; and the
//    average, where it is used to place somebody, is clipped to kReach behind the reference and to
//    kReach ahead of the least clock. The reference moves forward only, to that average, while
//    anybody is runnable. (Without the clipping a few hundred tasks that each bring along seconds
//    of lag could push the average 2^62 below the clock of one of weight 1.)
//  - So differences of clocks stay below 2^62 and those of deadlines below 2^62 + 2^52: they may be
//    compared though they wrap. A charge may add another 2^62 (`kLongestCharge`) before it is
//    stopped: still below 2^63.
//  - W <= 2^40, and |M| <= 2^40 * 2^62: 128 bits, to which the products need no more than one
//    multiplication of 64 by 64. M / W is one division of 64 bits as long as M has no more, which
//    is so unless lags of hours are about, for each turn begins with the reference on the average;
//    else eight of them.

#ifndef BATON_SCHED_POLICY_EEVDF_H_
#define BATON_SCHED_POLICY_EEVDF_H_

#include <cstdint>

#include "sched/policy/bit_trie.h"
#include "sched/policy/policy.h"
#include "sched/policy/quotient.h"
#include "sched/policy/weight.h"

namespace sched {

/// See the head of this file. `enqueue`, `dequeue` and `pick` are O(log n), the rest O(1).
class Eevdf {
 public:
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;
  /// The longest slice and quantum: 2^32 - 1 ticks.
  static constexpr Duration kLongestSlice{UINT32_MAX};

  struct Attributes {
    /// Its share, from 1 to `kMaxWeight`; `weight_of_nice` gives that of a nice level.
    Weight weight = kNormalWeight;
    /// What it asks for at a time: the shorter, the sooner it runs, and the more often it is
    /// interrupted; its share stays the same. At most `kLongestSlice`; zero: as the policy says.
    Duration slice = {};

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  /// A sum of weights.
  using Claim = Stake::Claim;

  class Entity : public BitTrieLink<Eevdf, VirtualTime> {
    friend Eevdf;

    // While it is detached and not in debt (`debt_period_`) the clock is of no use, and the word
    // holds its lag.
    int64_t stored_lag() const { return (clock_ - VirtualTime{}).units; }
    void store_lag(int64_t lag) { clock_ = VirtualTime{} + VirtualDuration{lag}; }

    bool is_runnable_ = false;
    uint16_t debt_period_ = 0;       // it sleeps in debt since this busy period; 0: it does not
    Weight weight_ = kNormalWeight;  // what its stake amounts to
    VirtualTime clock_;
    VirtualTime deadline_;
    uint32_t slice_ = 0;      // in ticks; 0: as the policy says
    uint32_t remainder_ = 0;  // of what it was charged, below one unit: times the weight
    Stake stake_;
  };

  /// The slice of those who ask for none. Brought into the range from one tick to `kLongestSlice`.
  /// Takes effect with a task's next request. For the owning CPU, masked, or before the scheduler
  /// starts.
  void set_slice(Duration slice) { slice_ = in_range(slice); }

  /// How long a turn may last at most while others wait, even if more was asked for, and at least,
  /// unless somebody comes who asks for less. The bound of all lags is the longer of quantum and
  /// own slice. Brought into the same range. Takes effect from the next turn. For the owning CPU,
  /// masked, or before the scheduler starts.
  void set_quantum(Duration quantum) { quantum_ = in_range(quantum); }

  /// Where the clocks begin, so that a test of their wrap need not wait for it. Before the first
  /// task comes.
  void set_virtual_time(VirtualTime start) { reference_ = start; }

  /// Refuses a weight or a slice out of range. Lag is time, and stays what it is under another
  /// weight.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (!is_valid_weight(attributes.weight) || attributes.slice > kLongestSlice) return false;
    entity->stake_.set_own(attributes.weight);
    settle(*entity);
    entity->slice_ = static_cast<uint32_t>(attributes.slice.ticks);
    return true;
  }

  Attributes attributes(const Entity& entity) const {
    return {.weight = entity.stake_.own(), .slice = Duration{entity.slice_}};
  }

  Claim claim(const Entity& entity) const { return entity.stake_.all(); }
  static Claim join(Claim a, Claim b) { return a + b; }
  static Claim without(Claim sum, Claim claim) { return sum - claim; }
  /// Lag stays what it is, as under another weight of its own.
  void inherit(Detached<Entity> entity, const Claim* claims) {
    entity->stake_.inherit(claims);
    settle(*entity);
  }

  /// It goes elsewhere, where the clocks are others: a debt becomes a lag that is told in time.
  void detach(Detached<Entity> entity) {
    fix_debt(*entity);
    inherit(entity, nullptr);
  }

  Links enqueue(Entity& entity, Enter why, Instant) {
    if (why == Enter::created) entity.remainder_ = 0;
    entity.clock_ = place(entity, why);
    entity.deadline_ = entity.clock_ + request(entity);
    entity.debt_period_ = 0;
    if (tree_.insert(entity) == Links::corrupt) return Links::corrupt;
    entity.is_runnable_ = true;
    load_ += entity.weight_;
    moment_ += moment_of(entity);
    return Links::intact;
  }

  Links dequeue(Entity& entity, Leave why, Instant) {
    const VirtualTime average = move_to_average();
    if (&entity == held_) {
      held_ = nullptr;
      turn_goes_on_ = false;
      yielded_ = false;
    } else if (tree_.remove(entity) == Links::corrupt) {
      return Links::corrupt;
    }
    if (favoured_ == &entity) favoured_ = nullptr;
    if (why == Leave::exited) entity.stake_.inherit(nullptr);
    entity.is_runnable_ = false;
    load_ -= entity.weight_;
    moment_ -= moment_of(entity);
    if (load_ == 0) {
      // Whatever the sleepers owe, there is nobody to whom.
      reference_ = entity.clock_;
      if (++period_ == 0) period_ = 1;
      entity.store_lag(0);
    } else if (why == Leave::exited) {
      entity.store_lag(0);
    } else if (why == Leave::blocked && is_before(average, entity.clock_)) {
      entity.debt_period_ = period_;
    } else {
      entity.store_lag(lag_of(entity, average));
    }
    return Links::intact;
  }

  Links put_back(Entity&, Pause why, Instant) {
    if (why != Pause::preempted) turn_goes_on_ = false;
    yielded_ = why == Pause::yielded;
    return Links::intact;
  }

  /// `target` is next if it is eligible.
  Links yield_to(Entity& current, Entity& target, Instant now) {
    favoured_ = &target;
    return put_back(current, Pause::yielded, now);
  }

  bool has_peer(const Entity&) const { return !tree_.empty(); }

  Choice<Entity> pick(Instant now) {
    if (!turn_goes_on_ && choose() == Links::corrupt) return {};
    if (held_ == nullptr) return {};
    return {held_, tree_.empty() ? never : end_of_turn(now)};
  }

  void ran(Entity& current, Instant from, Instant to) {
    const Duration time = lesser(to - from, kLongestCharge);
    const uint64_t units = (time.ticks << 20) + current.remainder_;  // below 2^63
    const VirtualDuration advance{static_cast<int64_t>(units / current.weight_)};
    current.remainder_ = static_cast<uint32_t>(units % current.weight_);
    current.clock_ = current.clock_ + advance;
    moment_ += advance.units * int64_t{current.weight_};
    if (is_before(reference_ + kReach, current.clock_)) [[unlikely]]
      limit_reach(current);
    used_.ticks += time.ticks;
    if (!is_before(current.clock_, current.deadline_)) {
      current.deadline_ = current.clock_ + request(current);
      turn_goes_on_ = false;
    } else if (used_ >= quantum_) {
      turn_goes_on_ = false;
    }
  }

  /// Whoever is eligible, and has a deadline that is not later, preempts once the turn has lasted
  /// for a quantum, or for what he asks for himself if that is less.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    const Instant end = end_of_turn(now);
    if (is_before(current.deadline_, entered.deadline_) || !is_eligible(entered.clock_)) return end;
    const Duration shielded = lesser(quantum_, slice_of(entered));
    if (used_ < shielded) {
      const Instant end_of_shield{now.ticks + (shielded.ticks - used_.ticks)};
      return end_of_shield < end ? end_of_shield : end;
    }
    turn_goes_on_ = false;
    return now;
  }

  /// The earliest deadline of the first 16. What it is owed goes along.
  template <typename F>
  Entity* surplus(F allowed, Instant) {
    int looks = 16;
    for (Entity* e = tree_.first(); e != nullptr && looks > 0; e = tree_.next(*e), --looks) {
      if (allowed(*e)) return e;
    }
    return nullptr;
  }

  /// The average of the clocks. It moves back when somebody comes who is owed something.
  VirtualTime virtual_time() const { return average(); }

  /// What it is owed, in 2^-20 ticks; what it owes, if negative.
  int64_t lag(const Entity& entity) const {
    if (entity.is_runnable_) return lag_of(entity, average());
    if (entity.debt_period_ == 0) return entity.stored_lag();
    const int64_t lag = is_due(entity) ? lag_of(entity, average()) : 0;
    return lag < 0 ? lag : 0;
  }

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    field("weight", uint64_t{entity.weight_});
    field("slice", slice_of(entity).ticks);
    const int64_t lag = this->lag(entity);
    field("credit", static_cast<uint64_t>(lag > 0 ? lag : 0) >> 20);
    field("debt", static_cast<uint64_t>(lag < 0 ? -lag : 0) >> 20);
    if (!entity.is_runnable_) return;
    field("eligible", uint64_t{is_eligible(entity.clock_)});
    field("slice_left", rest_of_request(entity).ticks);
  }

 private:
  struct Order {
    using Key = VirtualTime;
    using Least = VirtualTime;
    static VirtualTime key(const Entity& entity) { return entity.deadline_; }
    static VirtualTime least(const Entity& entity) { return entity.clock_; }
    static bool before(VirtualTime a, VirtualTime b) { return is_before(a, b); }
  };

  static constexpr VirtualDuration kReach{int64_t{1} << 60};

  static constexpr Duration lesser(Duration a, Duration b) { return a < b ? a : b; }
  static constexpr Duration in_range(Duration slice) {
    return slice == Duration{} ? Duration{1} : lesser(slice, kLongestSlice);
  }

  Duration slice_of(const Entity& entity) const {
    return entity.slice_ == 0 ? slice_ : Duration{entity.slice_};
  }

  // From a clock to the deadline: at least one unit, for no weight is above 2^20.
  VirtualDuration request(const Entity& entity) const {
    return to_virtual(slice_of(entity), entity.weight_);
  }

  Int128 moment_of(const Entity& entity) const {
    return Int128{(entity.clock_ - reference_).units} * int64_t{entity.weight_};
  }

  bool is_eligible(VirtualTime clock) const {
    return Int128{(clock - reference_).units} * static_cast<int64_t>(load_) <= moment_;
  }

  // ---- The average

  // The average of the clocks, rounded down and clipped as the head of this file says; where the
  // last one was, if nobody is runnable.
  VirtualTime average() const {
    if (load_ == 0) return reference_;
    const VirtualTime average = reference_ + VirtualDuration{floor_quotient(moment_, load_)};
    VirtualTime least = held_ != nullptr ? held_->clock_ : tree_.least();
    if (!tree_.empty() && is_before(tree_.least(), least)) least = tree_.least();
    if (is_before(average, reference_ - kReach)) [[unlikely]]
      return reference_ - kReach;
    if (is_before(least + kReach, average)) [[unlikely]]
      return least + kReach;
    return average;
  }

  // The same, and makes it the reference unless it is behind that.
  VirtualTime move_to_average() {
    const VirtualTime average = this->average();
    const VirtualDuration step = average - reference_;
    if (step > VirtualDuration{}) {
      moment_ -= Int128{step.units} * static_cast<int64_t>(load_);
      reference_ = average;
    }
    return average;
  }

  // The clock of `current` is out of reach: either all are, and the reference has to follow, or it
  // has been left to run for very long, and is not charged for all of that.
  void limit_reach(Entity& current) {
    move_to_average();
    const VirtualDuration excess = current.clock_ - (reference_ + kReach);
    if (excess <= VirtualDuration{}) return;
    moment_ -= Int128{excess.units} * int64_t{current.weight_};
    current.clock_ = reference_ + kReach;
  }

  // ---- Lag

  // No lag is above this when it is remembered, nor above the longer of quantum and slice when it
  // counts again.
  static constexpr int64_t kMostLag = static_cast<int64_t>(kLongestSlice.ticks) << 20;

  static constexpr int64_t clip(Int128 lag, int64_t most) {
    return lag > most ? most : lag < -most ? -most : static_cast<int64_t>(lag);
  }

  static constexpr int64_t lag_of(const Entity& entity, VirtualTime average) {
    return clip(Int128{(average - entity.clock_).units} * int64_t{entity.weight_}, kMostLag);
  }

  // Whether what it owed when it went to sleep is still owed to anybody.
  bool is_due(const Entity& entity) const { return entity.debt_period_ == period_; }

  // The weight that its stake amounts to now. Lag is time, and stays.
  void settle(Entity& entity) const {
    const Weight weight = entity.stake_.effective();
    if (weight == entity.weight_) return;
    fix_debt(entity);
    entity.weight_ = weight;
    entity.remainder_ = 0;
  }

  void fix_debt(Entity& sleeper) const {
    if (sleeper.debt_period_ == 0) return;
    sleeper.store_lag(lag(sleeper));
    sleeper.debt_period_ = 0;
  }

  // Where the clock of a newcomer is to stand.
  VirtualTime place(const Entity& entity, Enter why) {
    const VirtualTime average = move_to_average();
    if (load_ == 0 || why == Enter::created) return average;  // no lag without others
    const Duration longer = quantum_ < slice_of(entity) ? slice_of(entity) : quantum_;
    const int64_t most = static_cast<int64_t>(longer.ticks) << 20;
    const int64_t load = static_cast<int64_t>(load_);
    if (entity.debt_period_ != 0) {
      // Its clock has stood still, and the average has not: what it still is ahead it still owes.
      // This is what would have come of leaving it in the queue until it owes nothing.
      if (!is_due(entity) || !is_before(average, entity.clock_)) return average;
      const VirtualTime limit = average + VirtualDuration{most / entity.weight_ + most / load};
      return is_before(limit, entity.clock_) ? limit : entity.clock_;
    }
    const int64_t lag = clip(entity.stored_lag(), most);
    if (lag == 0) return average;
    // The average moves by lag / load towards it once it is there, and it shall have this lag then.
    return average -
           VirtualDuration{floor_quotient(lag, entity.weight_) + floor_quotient(lag, load_)};
  }

  // ---- Turns

  // How long it has to run until its clock shows its deadline. The product is at most a slice,
  // times 2^20.
  static Duration rest_of_request(const Entity& entity) {
    const uint64_t length = static_cast<uint64_t>((entity.deadline_ - entity.clock_).units);
    return {(length * entity.weight_ - entity.remainder_ + (uint64_t{1} << 20) - 1) >> 20};
  }

  // While others wait. The quantum of one who was alone begins when company comes.
  Instant end_of_turn(Instant now) const {
    const Duration rest = rest_of_request(*held_);
    const Duration left = used_ < quantum_ ? Duration{quantum_.ticks - used_.ticks} : quantum_;
    return Instant{now.ticks + lesser(rest, left).ticks};
  }

  // Ends the turn of the one held, if there is one, and holds whom the next is for. With equal
  // deadlines those who have waited longer come first; who has just had a turn has not waited.
  Links choose() {
    const VirtualTime average = move_to_average();
    const auto is_eligible = [average](VirtualTime clock) { return !is_before(average, clock); };
    Entity* best = tree_.first_where(is_eligible);
    if (held_ != nullptr && yielded_) {
      if (favoured_ != nullptr && is_eligible(favoured_->clock_)) best = favoured_;
      // The one that has to wait least, if none is eligible but the one that yields.
      if (best == nullptr && !tree_.empty()) {
        const VirtualTime least = tree_.least();
        best = tree_.first_where([least](VirtualTime clock) { return !is_before(least, clock); });
      }
    } else if (held_ != nullptr && best != nullptr && is_eligible(held_->clock_) &&
               is_before(held_->deadline_, best->deadline_)) {
      best = nullptr;
    }
    if (best != nullptr) {
      if (tree_.remove(*best) == Links::corrupt) return Links::corrupt;
      if (held_ != nullptr) {
        if (yielded_) give_up(*held_, best->clock_);
        if (tree_.insert(*held_) == Links::corrupt) return Links::corrupt;
      }
      held_ = best;
    }
    yielded_ = false;
    favoured_ = nullptr;
    used_ = {};
    turn_goes_on_ = held_ != nullptr;
    return Links::intact;
  }

  // Who yields is not owed more than the one he yields to, and asks anew.
  void give_up(Entity& entity, VirtualTime clock) {
    if (is_before(entity.clock_, clock)) {
      moment_ += Int128{(clock - entity.clock_).units} * int64_t{entity.weight_};
      entity.clock_ = clock;
    }
    entity.deadline_ = entity.clock_ + request(entity);
  }

  BitTrie<Entity, Eevdf, Order> tree_;
  Int128 moment_ = 0;
  VirtualTime reference_;
  uint64_t load_ = 0;
  Entity* held_ = nullptr;      // current, or the last that was and still is runnable: in no tree
  Entity* favoured_ = nullptr;  // whom the one held has yielded to
  Duration used_;               // of the turn of the one held
  Duration slice_{3'000'000};
  Duration quantum_{3'000'000};
  uint16_t period_ = 1;        // counts the times that nobody was runnable; not 0
  bool turn_goes_on_ = false;  // the one held is chosen again
  bool yielded_ = false;       // the one held is not
};

static_assert(AddsClaims<Eevdf>);
static_assert(Charges<Eevdf> && Contends<Eevdf> && KnowsPeers<Eevdf> && YieldsTo<Eevdf> &&
              Detaches<Eevdf> && Dumps<Eevdf>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_EEVDF_H_
