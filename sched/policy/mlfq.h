// Multilevel feedback queue: who has used little since a while ago runs first, so that short and
// interactive work comes before long work without anybody having to say which is which.
// docs/policies/mlfq.md
//
// Levels, each a ring with a quantum of its own. A task that has used up the quantum of its level
// goes to the back of the next one, and from time to time all return to the top: the boost. What
// counts is use, however it is spread over turns: neither a yield nor a sleep just before the end
// of a quantum gives back what of it was used. So at any time the level of a task is determined by
// what it has used since the last boost, and by nothing else; no task can game it. (F. J. Corbató,
// M. Merwin-Daggett and R. C. Daley, "An Experimental Time-Sharing System", SJCC 1962; R. H. and
// A. C. Arpaci-Dusseau, "Operating Systems: Three Easy Pieces", chapter 8, rules 1 to 5.)
//
// A boost is O(levels), however many tasks there are: the rings are spliced into one. Each task
// keeps the instant of the boost that its level and use are later than; if that is not the last
// one, it is at the top and has used nothing, whatever it has written down. That serves those who
// are asleep, too. Instants do not wrap, boosts are at multiples of the period, and so the same
// instant on another CPU means the same.

#ifndef BATON_SCHED_POLICY_MLFQ_H_
#define BATON_SCHED_POLICY_MLFQ_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "sched/policy/policy.h"
#include "sched/policy/ring.h"

namespace sched {

/// See the head of this file. Level 0 is the top, the most urgent. `enqueue`, `dequeue`, `put_back`
/// and `pick` are O(kLevelCount), the rest O(1).
template <size_t kLevelCount>
class BasicMlfq {
  static_assert(kLevelCount >= 1 && kLevelCount <= 32);

 public:
  static constexpr size_t kLevels = kLevelCount;
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;

  class Entity : public RingLink<BasicMlfq> {
    friend BasicMlfq;
    Instant as_of_;      // the boost that the next two are later than
    Duration used_;      // of the quantum of its level
    uint8_t level_ = 0;  // by its own use
    uint8_t entry_ = 0;
    uint8_t inherited_ = kLevels - 1;  // the lowest changes nothing

    // The ring it is in, or enters next.
    uint8_t ring() const { return lesser(level_, inherited_); }
  };

  /// A level: its own, or the inherited one that is above it.
  using Claim = uint8_t;

  struct Attributes {
    /// Where it begins its life; 0 is the top. Long work may begin lower down.
    uint8_t level = 0;

    friend bool operator==(const Attributes&, const Attributes&) = default;
  };

  /// How much a task may use at `level` before it goes down one; at the lowest, before it goes to
  /// the back. Brought into the range from one tick to `forever`. Takes effect from the next turn.
  /// For the owning CPU, masked, or before the scheduler starts.
  void set_quantum(uint8_t level, Duration quantum) {
    levels_[level].quantum = quantum == Duration{} ? Duration{1} : lesser(quantum, forever);
  }

  /// How often all return to the top: whenever the clock passes a multiple of `period`. Zero, or
  /// `forever` and more: never. Takes effect from the next turn. For the owning CPU, masked, or
  /// before the scheduler starts.
  void set_boost(Duration period) {
    period_ = period < forever ? period : Duration{};
    next_boost_ = period_ == Duration{} ? never : boosted_ + period_;
  }

  /// Refuses a level that there is not. Another level than it was given last puts the task there,
  /// with nothing used; the same again changes nothing.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (attributes.level >= kLevels) return false;
    if (attributes.level != entity->entry_) {
      entity->entry_ = attributes.level;
      place(*entity, attributes.level);
    }
    return true;
  }

  Attributes attributes(const Entity& entity) const { return {.level = entity.entry_}; }

  /// Of one that sleeps while the others are boosted, what it was before.
  Claim claim(const Entity& entity) const { return entity.ring(); }
  static Claim join(Claim a, Claim b) { return lesser(a, b); }
  static bool precedes(Claim a, Claim b) { return a < b; }

  /// What it uses goes on to count at its own level, by that level's quantum.
  void inherit(Detached<Entity> entity, const Claim* claims) {
    entity->inherited_ = claims == nullptr ? kLevels - 1 : *claims;
  }

  Links enqueue(Entity& entity, Enter why, Instant now) {
    if (boost_if_due(now) == Links::corrupt) return Links::corrupt;
    if (why == Enter::created) place(entity, entity.entry_);
    refresh(entity);
    sink(entity);  // quanta may be longer where it comes from
    if (push(entity) == Links::corrupt) return Links::corrupt;
    if (why == Enter::inherited) levels_[entity.ring()].queue.start_at(entity);
    ++count_;
    return Links::intact;
  }

  Links dequeue(Entity& entity, Leave why, Instant now) {
    if (boost_if_due(now) == Links::corrupt) return Links::corrupt;
    refresh(entity);
    if (levels_[entity.ring()].queue.remove(entity) == Links::corrupt) return Links::corrupt;
    if (why == Leave::exited) entity.inherited_ = kLevels - 1;
    --count_;
    if (current_ == &entity) current_ = nullptr;
    sink(entity);
    return Links::intact;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    if (boost_if_due(now) == Links::corrupt) return Links::corrupt;
    const bool has_quantum_left = entity.used_ < levels_[entity.level_].quantum;
    if (why != Pause::preempted || !has_quantum_left) {
      Queue& queue = levels_[entity.ring()].queue;
      // Somebody may be before it: they were more urgent, and have been boosted since, or inherit.
      if (has_quantum_left && &queue.front() == &entity) {
        if (queue.rotate(entity) == Links::corrupt) return Links::corrupt;
      } else {
        if (queue.remove(entity) == Links::corrupt) return Links::corrupt;
        sink(entity);
        if (push(entity) == Links::corrupt) return Links::corrupt;
      }
    }
    current_ = nullptr;
    return Links::intact;
  }

  Choice<Entity> pick(Instant now) {
    if (boost_if_due(now) == Links::corrupt || count_ == 0) return {};
    while (levels_[top_].queue.empty()) ++top_;
    Entity& front = levels_[top_].queue.front();
    refresh(front);
    // A quantum that has been shortened below what is used of it lasts for a tick more.
    front.used_ = lesser(front.used_, Duration{levels_[front.level_].quantum.ticks - 1});
    current_ = &front;
    return {&front, count_ == 1 ? never : end_of_turn(front, now)};
  }

  /// No sum overflows: what a task has used is part of what the clock has counted.
  void ran(Entity& current, Instant from, Instant to) {
    current.used_ = Duration{current.used_.ticks + (to - from).ticks};
  }

  /// Who is above the current one preempts it, and who inherits the same. Otherwise it has company
  /// now, and its turn an end; at once if it has used up its quantum while it was alone.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    if (entered.ring() < current.ring()) return now;
    if (entered.ring() == current.ring() && &levels_[current.ring()].queue.front() == &entered) {
      return now;
    }
    if (current.used_ >= levels_[current.level_].quantum) return now;
    return end_of_turn(current, now);
  }

  /// The highest of the first 16.
  template <typename F>
  Entity* surplus(F allowed, Instant) {
    int looks = 16;
    for (size_t level = top_; level < kLevels && looks > 0; ++level) {
      if (Entity* const found = levels_[level].queue.find(allowed, looks)) return found;
    }
    return nullptr;
  }

  template <typename Field>
  void dump(const Entity& entity, Field field) const {
    const bool is_boosted = entity.as_of_ != boosted_;
    field("level", is_boosted ? 0 : uint64_t{entity.level_});
    field("used", is_boosted ? 0 : entity.used_.ticks);
    if (entity.ring() != entity.level_) field("inherited level", entity.ring());
  }

 private:
  using Queue = Ring<Entity, BasicMlfq>;

  struct Level {
    Queue queue;
    Duration quantum;
  };

  // About 1 ms at 1 GHz at the top, and twice as long each level down, as in CTSS.
  static constexpr std::array<Level, kLevels> default_levels() {
    std::array<Level, kLevels> levels{};
    uint64_t ticks = uint64_t{1} << 20;
    for (Level& level : levels) {
      level.quantum = Duration{ticks};
      ticks *= 2;
    }
    return levels;
  }
  static constexpr Duration kDefaultPeriod{uint64_t{1} << 30};

  template <typename T>
  static constexpr T lesser(T a, T b) {
    return b < a ? b : a;
  }

  void place(Entity& entity, uint8_t level) {
    entity.level_ = level;
    entity.used_ = {};
    entity.as_of_ = boosted_;
  }

  // Writes down what the boosts since it was last looked at mean for `entity`. One that is in a
  // ring is in the one of its `level_` then.
  void refresh(Entity& entity) {
    if (entity.as_of_ != boosted_) place(entity, 0);
  }

  // Lets `entity`, which is in no ring, down as far as its use goes. What it has used beyond a
  // quantum, because it was alone or not to be interrupted, counts at the next level; at the lowest
  // there is none to count at.
  void sink(Entity& entity) {
    while (entity.used_ >= levels_[entity.level_].quantum) {
      if (entity.level_ == kLevels - 1) {
        entity.used_ = {};
        return;
      }
      entity.used_ = Duration{entity.used_.ticks - levels_[entity.level_].quantum.ticks};
      ++entity.level_;
    }
  }

  Links push(Entity& entity) {
    const Links links = levels_[entity.ring()].queue.push_back(entity);
    if (links == Links::intact) top_ = lesser(top_, entity.ring());
    return links;
  }

  // Of one that has a part of its quantum left. Both sums stay below 2^64, as `now + forever` does:
  // a quantum is at most that.
  Instant end_of_turn(const Entity& entity, Instant now) const {
    const uint64_t left = levels_[entity.level_].quantum.ticks - entity.used_.ticks;
    return lesser(Instant{now.ticks + left}, next_boost_);
  }

  Links boost_if_due(Instant now) { return now < next_boost_ ? Links::intact : boost(now); }

  // However late: of several that are due only the last one has an effect. `boosted_` grows with
  // each: now - period < the new one, and now >= next_boost_ = the old one + period.
  Links boost(Instant now) {
    for (const Level& level : levels_) {
      if (!level.queue.is_closed()) return Links::corrupt;
    }
    boosted_ = Instant{now.ticks - now.ticks % period_.ticks};
    next_boost_ = boosted_ + period_;
    for (size_t level = 1; level < kLevels; ++level) {
      levels_[0].queue.append(levels_[level].queue);
    }
    top_ = 0;
    if (current_ != nullptr) {
      // Who is current has been so since before the boost, or has used nothing yet.
      const Duration used = lesser(current_->used_, now - boosted_);
      place(*current_, 0);
      current_->used_ = used;
    }
    return Links::intact;
  }

  Entity* current_ = nullptr;
  Instant boosted_;  // when the last boost was due; zero before the first
  Instant next_boost_{kDefaultPeriod.ticks};
  Duration period_ = kDefaultPeriod;  // zero: none
  uint64_t count_ = 0;                // how many are in the rings
  uint8_t top_ = 0;                   // no level above holds anybody
  std::array<Level, kLevels> levels_ = default_levels();
};

/// Eight levels: at most 128 quanta of the top one at a time.
using Mlfq = BasicMlfq<8>;

static_assert(Ranks<Mlfq>);
static_assert(Contends<Mlfq> && Charges<Mlfq> && Dumps<Mlfq>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_MLFQ_H_
