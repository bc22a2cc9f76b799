// Fixed priorities: of all runnable tasks one of the highest priority runs. Within a priority first
// in, first out, or round robin where that level has a slice. docs/policies/fixed_priority.md
//
// 256 levels, each a ring; which of them hold somebody is kept in a bitmap (`LevelSet`), so that
// the highest is found in constant time, and only when the highest empties: its address is cached,
// and so is how long a turn there may last.
//
// With a preemption threshold (Wang and Saksena, "Scheduling Fixed-Priority Tasks with Preemption
// Threshold", RTCSA 1999) a task, once it has started to run, counts as `threshold` until it blocks
// or yields: only tasks above that preempt it. Here that is not a second rule for comparing tasks
// but a move: a task that is picked moves to the level of its threshold and goes home when it
// blocks or its turn ends. The paper raises a job from its start to its completion; a job here is
// the time from a wake to the next park or yield.

#ifndef BATON_SCHED_POLICY_FIXED_PRIORITY_H_
#define BATON_SCHED_POLICY_FIXED_PRIORITY_H_

#include <array>
#include <cstddef>
#include <cstdint>

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
  struct NoThreshold {};
  struct WithThreshold {
    uint8_t home = 0;       // the level of the priority itself
    uint8_t threshold = 0;  // the level while it runs
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

  class Entity : public RingLink<BasicFixedPriority>,
                 private std::conditional_t<kHasThresholds, WithThreshold, NoThreshold> {
    friend BasicFixedPriority;
    uint8_t level_ = 0;  // the ring it is in, or enters next
  };

  /// `priority` 0 to 255; with thresholds also `threshold`, from the priority to 255.
  using Attributes = std::conditional_t<kHasThresholds, ThresholdAttributes, PlainAttributes>;

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
    const uint8_t level = static_cast<uint8_t>(attributes.priority);
    if constexpr (kHasThresholds) {
      if (attributes.threshold >= kLevels) return false;
      const uint8_t threshold = static_cast<uint8_t>(attributes.threshold);
      if (threshold != 0 && threshold < level) return false;
      entity->home = level;
      entity->threshold = threshold == 0 ? level : threshold;
    }
    entity->level_ = level;
    return true;
  }

  Attributes attributes(const Entity& entity) const {
    if constexpr (kHasThresholds) {
      return {.priority = entity.home, .threshold = entity.threshold};
    } else {
      return {.priority = entity.level_};
    }
  }

  Links enqueue(Entity& entity, Enter, Instant) { return enter(entity, &Queue::push_back); }

  Links dequeue(Entity& entity, Leave, Instant) {
    const Links links = leave(entity);
    if constexpr (kHasThresholds) entity.level_ = entity.home;
    return links;
  }

  Links put_back(Entity& entity, Pause why, Instant) {
    [[assume(top_ != nullptr)]];  // the entity is in a ring
    if (why == Pause::preempted) return Links::intact;
    if constexpr (kHasThresholds) {
      if (entity.level_ != entity.home) return move(entity, entity.home, &Queue::push_back);
    }
    return levels_[entity.level_].queue.rotate(entity);
  }

  /// Not with thresholds: whether a task that goes home finds somebody there, or at a level
  /// between, takes as long to find out as to pick.
  bool has_peer(const Entity& current) const
    requires(!kHasThresholds)
  {
    return !Queue::is_alone(current);
  }

  Choice<Entity> pick(Instant now) {
    if (top_ == nullptr) return {};
    if constexpr (kHasThresholds) {
      Entity& front = top_->queue.front();
      if (front.level_ != front.threshold &&
          move(front, front.threshold, &Queue::push_front) == Links::corrupt) {
        return {};
      }
    }
    return {&top_->queue.front(), Instant{now.ticks + turn_.ticks}};
  }

  /// A higher level preempts; at the same level a slice that had no need to end does now.
  Instant contend(Entity& entered, Entity& current, Instant now) {
    if (entered.level_ > current.level_) return now;
    if (entered.level_ < current.level_) return never;
    return end_of_slice(levels_[current.level_], now);
  }

 private:
  using Queue = Ring<Entity, BasicFixedPriority>;

  struct Level {
    Queue queue;
    uint64_t saved = 0;  // by how much a slice here is shorter than `forever`: zero where it is not

    Duration slice() const { return Duration{forever.ticks - saved}; }
  };

  static Instant end_of_slice(const Level& level, Instant now) {
    return Instant{now.ticks + level.slice().ticks};
  }

  Links enter(Entity& entity, Links (Queue::*push)(Entity&)) {
    Level& level = levels_[entity.level_];
    const bool was_empty = level.queue.empty();
    if ((level.queue.*push)(entity) == Links::corrupt) return Links::corrupt;
    if (was_empty) {
      occupied_.insert(entity.level_);
      if (&level > top_) {  // null is below every level
        top_ = &level;
        turn_ = forever;
      }
    } else if (&level == top_) {
      update_turn();
    }
    return Links::intact;
  }

  Links leave(Entity& entity) {
    Level& level = levels_[entity.level_];
    const bool last = Queue::is_alone(entity);
    const Links links = last ? level.queue.remove_last(entity) : level.queue.remove(entity);
    if (links == Links::corrupt) return Links::corrupt;
    if (last) occupied_.erase(entity.level_);
    if (&level != top_) return Links::intact;
    if (last) {
      const int highest = occupied_.highest(entity.level_);
      top_ = highest < 0 ? nullptr : &levels_[highest];
    }
    if (top_ != nullptr) update_turn();
    return Links::intact;
  }

  // After another level became the top, or the top's ring changed between one and more.
  void update_turn() { turn_ = top_->queue.front_is_alone() ? forever : top_->slice(); }

  Links move(Entity& entity, uint8_t level, Links (Queue::*push)(Entity&)) {
    if (leave(entity) == Links::corrupt) return Links::corrupt;
    entity.level_ = level;
    return enter(entity, push);
  }

  Level* top_ = nullptr;     // the highest level that holds somebody
  Duration turn_ = forever;  // how long a turn there may last
  LevelSet occupied_;
  std::array<Level, kLevels> levels_{};
};

/// Priorities alone: two bytes of attributes, one byte of metadata.
using FixedPriority = BasicFixedPriority<Thresholds::none>;

/// Priorities and preemption thresholds.
using FixedPriorityThreshold = BasicFixedPriority<Thresholds::each>;

static_assert(Contends<FixedPriority> && Contends<FixedPriorityThreshold>);

}  // namespace sched

#endif  // BATON_SCHED_POLICY_FIXED_PRIORITY_H_
