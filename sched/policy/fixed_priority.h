// Fixed priorities: of all runnable tasks one of the highest priority runs. Within a priority first
// in, first out, or round robin where that level has a slice. docs/policies/fixed_priority.md
//
// 256 levels, each a ring. The highest that holds somebody is known by its address, and so is how
// long a turn there may last; the one that it was before is too, as long as it comes next: who
// preempts and blocks again leaves it as it was. All others that hold somebody are in a bitmap
// (`LevelSet`), in which the highest is found in constant time when neither of the two is left.
//
// A task that is preempted goes on later with what is left of its slice: were it whole again, a
// level whose tasks are preempted often enough would never come to the second of them.
//
// With a preemption threshold (Wang and Saksena, "Scheduling Fixed-Priority Tasks with Preemption
// Threshold", RTCSA 1999) a task, once it has started to run, counts as `threshold` until it blocks
// or yields: only tasks above that preempt it. Here that is not a second rule for comparing tasks
// but a move: a task that is picked moves to the level of its threshold and goes home when it
// blocks or its turn ends. The paper raises a job from its start to its completion; a job here is
// the time from a wake to the next park or yield.
//
// A task that others wait for is at the level of the most urgent of them if that is above its own:
// basic priority inheritance (Sha, Rajkumar and Lehoczky, see `Inherits` in policy.h). That level
// takes the place of its priority, and of its threshold where it is above that. A task that never
// inherits takes no step more for it.

#ifndef BATON_SCHED_POLICY_FIXED_PRIORITY_H_
#define BATON_SCHED_POLICY_FIXED_PRIORITY_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "sched/policy/level_set.h"
#include "sched/policy/policy.h"
#include "sched/policy/ring.h"

namespace sched {

/// Whether tasks have a threshold beside their priority.
enum class Thresholds : bool { none, each };

/// See the head of this file. Larger numbers are more urgent: 0 is the least, 255 the most. Every
/// callback is O(1).
template <Thresholds kThresholds>
class BasicFixedPriority {
  static constexpr bool kHasThresholds = kThresholds == Thresholds::each;

  // Where an entity is, or may be: a level in the low byte. The high byte is nought at home, and
  // what is inherited where it has begun, so that the two differ also at the same level: inherited
  // urgency can be above the threshold, and when it ends whether the job has begun still matters.
  using Place = uint16_t;
  static constexpr uint8_t level_of(Place place) { return static_cast<uint8_t>(place); }

  struct PlainState {
    uint8_t level_ = 0;  // the ring it is in, or enters next
    uint8_t priority_ = 0;
    uint8_t inherited_ = 0;  // at 0 it changes nothing
    uint8_t level() const { return level_; }
  };
  struct ThresholdState {
    Place place_ = 0;  // the ring it is in, or enters next
    Place home_ = 0;   // of its priority or what it inherits
    Place begun_ = 0;  // of its threshold, or home: while it runs
    uint8_t priority_ = 0;
    uint8_t threshold_ = 0;
    uint8_t level() const { return level_of(place_); }
    uint8_t inherited() const { return static_cast<uint8_t>(begun_ >> 8); }
  };
  struct PlainAttributes {
    uint16_t priority = 0;
    friend bool operator==(const PlainAttributes&, const PlainAttributes&) = default;
  };
  struct ThresholdAttributes {
    uint16_t priority = 0;
    uint16_t threshold = 0;  ///< 0: as the priority; otherwise at least the priority
    friend bool operator==(const ThresholdAttributes&, const ThresholdAttributes&) = default;
  };

 public:
  static constexpr size_t kLevels = LevelSet::kSize;
  // For compositions: an entity needs no attributes to be scheduled.
  static constexpr bool kTakesGuests = true;

  class Entity : public RingLink<BasicFixedPriority>,
                 private std::conditional_t<kHasThresholds, ThresholdState, PlainState> {
    friend BasicFixedPriority;
  };

  /// `priority` 0 to 255; with thresholds also `threshold`, from the priority to 255.
  using Attributes = std::conditional_t<kHasThresholds, ThresholdAttributes, PlainAttributes>;

  /// A level: the priority, or the inherited one that is above it.
  using Claim = uint8_t;

  /// Makes `level` round robin with this slice; a slice of zero makes it first in, first out, as
  /// every level is to begin with. Takes effect from the next turn. For the owning CPU, masked, or
  /// before the scheduler starts.
  void set_slice(uint8_t level, Duration slice) {
    const bool bounded = slice != Duration{} && slice < forever;
    levels_[level].saved = bounded ? forever.ticks - slice.ticks : 0;
    if (top_ != nullptr) update_turn();
  }

  /// Refuses a priority or a threshold out of range.
  bool attach(Detached<Entity> entity, const Attributes& attributes) {
    if (attributes.priority >= kLevels) return false;
    const uint8_t priority = static_cast<uint8_t>(attributes.priority);
    if constexpr (kHasThresholds) {
      if (attributes.threshold >= kLevels) return false;
      const uint8_t threshold = static_cast<uint8_t>(attributes.threshold);
      if (threshold != 0 && threshold < priority) return false;
      entity->threshold_ = threshold == 0 ? priority : threshold;
      entity->priority_ = priority;
      settle(*entity, entity->inherited());
      entity->place_ = entity->home_;
    } else {
      entity->priority_ = priority;
      entity->level_ = std::max(priority, entity->inherited_);
    }
    return true;
  }

  Attributes attributes(const Entity& entity) const {
    if constexpr (kHasThresholds) {
      return {.priority = entity.priority_, .threshold = entity.threshold_};
    } else {
      return {.priority = entity.priority_};
    }
  }

  Claim claim(const Entity& entity) const {
    if constexpr (kHasThresholds) {
      return level_of(entity.home_);
    } else {
      return entity.level_;
    }
  }
  static Claim join(Claim a, Claim b) { return std::max(a, b); }
  static bool precedes(Claim a, Claim b) { return a > b; }

  void inherit(Detached<Entity> entity, const Claim* claims) {
    const uint8_t inherited = claims == nullptr ? 0 : *claims;
    if constexpr (kHasThresholds) {
      const bool has_begun = entity->place_ != entity->home_;
      settle(*entity, inherited);
      entity->place_ = has_begun ? entity->begun_ : entity->home_;
    } else {
      entity->inherited_ = inherited;
      entity->level_ = std::max(entity->priority_, inherited);
    }
  }

  [[gnu::always_inline]] Links enqueue(Entity& entity, Enter why, Instant) {
    const Links links = enter(entity, &Queue::push_back);
    if (why == Enter::inherited && links == Links::intact) {
      Level& level = levels_[entity.level()];
      level.queue.start_at(entity);
      level.left = {};
    }
    return links;
  }

  [[gnu::always_inline]] Links dequeue(Entity& entity, Leave why, Instant) {
    forget_turn(entity);
    const Links links = leave(entity);
    if constexpr (kHasThresholds) {
      if (why != Leave::inherited) entity.place_ = entity.home_;
      if (why == Leave::exited) entity.begun_ = 0;
    } else {
      if (why == Leave::exited) entity.inherited_ = 0;
    }
    return links;
  }

  Links put_back(Entity& entity, Pause why, Instant now) {
    [[assume(top_ != nullptr)]];  // the entity is in a ring
    if (why == Pause::preempted) {
      levels_[entity.level()].keep_turn(entity, end_, now);
      return Links::intact;
    }
    if constexpr (kHasThresholds) {
      if (entity.place_ != entity.home_) return move(entity, entity.home_, &Queue::push_back);
    }
    Queue& queue = levels_[entity.level()].queue;
    if (why == Pause::timed_out && &queue.front() != &entity) {
      // Its turn ended as one that inherits came before it.
      if (queue.remove(entity) == Links::corrupt) return Links::corrupt;
      return queue.push_back(entity);
    }
    return queue.rotate(entity);
  }

  /// Not with thresholds: whoever leaves goes home first. It does not lead where one more urgent
  /// has come before it.
  bool leads(const Entity& current) const
    requires(!kHasThresholds)
  {
    [[assume(top_ != nullptr)]];  // the entity is in a ring
    return &top_->queue.front() == &current;
  }
  [[gnu::always_inline]] Links pass_on(Entity& current, Instant now, Choice<Entity>& next)
    requires(!kHasThresholds)
  {
    Level& level = *top_;
    level.left = {};
    if (Queue::is_alone(current)) {
      if (level.queue.remove_last(current) == Links::corrupt) return Links::corrupt;
      find_top(current.level());
      next = pick(now);
    } else {
      if (level.queue.remove_front(current) == Links::corrupt) return Links::corrupt;
      update_turn();
      end_ = Instant{now.ticks + turn_.ticks};
      next = {&level.queue.front(), end_};
    }
    return Links::intact;
  }

  /// Not with thresholds: whether a task that goes home finds somebody there, or at a level
  /// between, takes as long to find out as to pick.
  bool has_peer(const Entity& current) const
    requires(!kHasThresholds)
  {
    return !Queue::is_alone(current);
  }

  [[gnu::always_inline]] Choice<Entity> pick(Instant now) {
    if (top_ == nullptr) return {};
    if constexpr (kHasThresholds) {
      Entity& front = top_->queue.front();
      if (front.place_ != front.begun_ &&
          move(front, front.begun_, &Queue::push_front) == Links::corrupt) {
        return {};
      }
    }
    end_ = Instant{now.ticks + turn_.ticks};
    if (top_->left != Duration{}) [[unlikely]] {
      if (turn_ < forever) end_ = Instant{now.ticks + top_->left.ticks};
      top_->left = {};
    }
    return {&top_->queue.front(), end_};
  }

  /// A higher level preempts, and so does one that inherits the same; otherwise at the same level a
  /// slice that had no need to end does now.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    if (entered.level() > current.level()) return now;
    if (entered.level() < current.level()) return never;
    Level& level = levels_[current.level()];
    if (&level.queue.front() != &current) return now;  // one that inherits came before it
    if (level.saved == 0) return never;
    const Instant end{now.ticks + level.slice().ticks};
    end_ = std::min(end_, end);
    return end;
  }

  /// The most urgent, of the first 16.
  template <typename F>
  Entity* surplus(F allowed, Instant) {
    int looks = 16;
    LevelSet rest = others_;
    for (const Level* level : {top_, second_}) {
      if (level != nullptr) rest.insert(number_of(*level));
    }
    while (!rest.empty() && looks > 0) {
      const uint8_t level = static_cast<uint8_t>(rest.highest());
      if (Entity* const found = levels_[level].queue.find(allowed, looks)) return found;
      rest.erase(level);
    }
    return nullptr;
  }

 private:
  using Queue = Ring<Entity, BasicFixedPriority>;

  // Aligned so that one is found by a shift.
  struct alignas(4 * sizeof(uint64_t)) Level {
    Queue queue;
    uint64_t saved = 0;  // by how much a slice here is shorter than `forever`: zero where it is not
    Duration left;       // of the front's slice; zero: all of it

    Duration slice() const { return Duration{forever.ticks - saved}; }

    // `entity` is preempted in a turn that was to last until `end`.
    void keep_turn(const Entity& entity, Instant end, Instant now) {
      const int64_t rest = static_cast<int64_t>(end.ticks - now.ticks);
      if (rest >= kEndless || &queue.front() != &entity) return;
      // At least a tick: the next pick must tell it from a whole slice.
      left = Duration{static_cast<uint64_t>(std::max(rest, int64_t{1}))};
    }
  };
  // A turn that is to go on for as long as this is one without an end.
  static constexpr int64_t kEndless = forever.ticks / 2;

  // It leaves before its turn goes on: what was left of its slice is nobody's.
  void forget_turn(const Entity& entity) {
    Level& level = levels_[entity.level()];
    if (level.left != Duration{} && &level.queue.front() == &entity) [[unlikely]]
      level.left = {};
  }

  Links enter(Entity& entity, Links (Queue::*push)(Entity&)) {
    Level& level = levels_[entity.level()];
    const bool was_empty = level.queue.empty();
    if ((level.queue.*push)(entity) == Links::corrupt) return Links::corrupt;
    if (was_empty) {
      Level* other = &level;
      if (&level > top_) {  // null is below every level
        other = std::exchange(second_, top_);
        top_ = &level;
        turn_ = forever;
      } else if (second_ != nullptr && &level > second_) {
        other = std::exchange(second_, &level);
      }
      if (other != nullptr) others_.insert(number_of(*other));
    } else if (&level == top_) {
      turn_ = level.slice();
    }
    return Links::intact;
  }

  [[gnu::always_inline]] Links leave(Entity& entity) {
    Level& level = levels_[entity.level()];
    const bool last = Queue::is_alone(entity);
    const Links links = last ? level.queue.remove_last(entity) : level.queue.remove(entity);
    if (links == Links::corrupt) return Links::corrupt;
    if (&level != top_) {
      if (last) leave_others(level);
    } else if (last) {
      find_top(entity.level());
    } else {
      update_turn();
    }
    return Links::intact;
  }

  // A level below the top has emptied.
  void leave_others(Level& level) {
    if (&level == second_) {
      second_ = nullptr;
    } else {
      others_.erase(number_of(level));
    }
  }

  // After the top, the level with this number, has emptied.
  [[gnu::always_inline]] void find_top(uint8_t emptied) {
    if (second_ != nullptr) {
      top_ = second_;
      second_ = nullptr;
    } else {
      const int highest = others_.highest(emptied);
      if (highest < 0) {
        top_ = nullptr;
        return;
      }
      top_ = &levels_[highest];
      others_.erase(static_cast<uint8_t>(highest));
    }
    update_turn();
  }

  uint8_t number_of(const Level& level) const {
    return static_cast<uint8_t>(&level - levels_.data());
  }

  // After another level became the top, or the top's ring changed between one and more.
  void update_turn() { turn_ = top_->queue.front_is_alone() ? forever : top_->slice(); }

  Links move(Entity& entity, Place place, Links (Queue::*push)(Entity&))
    requires kHasThresholds
  {
    if (leave(entity) == Links::corrupt) return Links::corrupt;
    entity.place_ = place;
    return enter(entity, push);
  }

  // What its places are by its attributes and what it inherits.
  static void settle(Entity& entity, uint8_t inherited)
    requires kHasThresholds
  {
    const uint8_t home = std::max(entity.priority_, inherited);
    entity.home_ = home;
    entity.begun_ = static_cast<Place>(inherited << 8 | std::max(entity.threshold_, home));
  }

  Level* second_ = nullptr;  // the next one below `top_` that does, if that is known
  Level* top_ = nullptr;     // the highest level that holds somebody
  Duration turn_ = forever;  // how long a turn there may last
  Instant end_ = never;      // of the current turn
  LevelSet others_;          // all others that hold somebody
  std::array<Level, kLevels> levels_{};
};

/// Priorities alone: two bytes of attributes, three of metadata.
using FixedPriority = BasicFixedPriority<Thresholds::none>;

/// Priorities and preemption thresholds.
using FixedPriorityThreshold = BasicFixedPriority<Thresholds::each>;

static_assert(Contends<FixedPriority> && Contends<FixedPriorityThreshold>);
static_assert(Ranks<FixedPriority> && Ranks<FixedPriorityThreshold>);
static_assert(sizeof(FixedPriority::Entity) == sizeof(FixedPriorityThreshold::Entity));

}  // namespace sched

#endif  // BATON_SCHED_POLICY_FIXED_PRIORITY_H_
