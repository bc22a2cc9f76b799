// A picture of who had the CPU when: a lane a task, a column a unit of time.

#ifndef BATON_KERNEL_DEMO_TOUR_TIMELINE_H_
#define BATON_KERNEL_DEMO_TOUR_TIMELINE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_demo/machine.h"

namespace demo::tour {

/// Tasks that keep the CPU busy mark their lane all the time; the last mark in a column wins.
class Timeline {
 public:
  static constexpr size_t kLanes = 4;
  static constexpr size_t kColumns = 60;

  /// Empty, from now on, with columns of this width.
  void begin(Duration column);

  /// `lane` has the CPU now, as `mark` shows it.
  void mark(size_t lane, const char* mark = "█");

  /// Whether the last column is over.
  bool is_full() const { return column_now() >= kColumns; }

  /// Marks `lane` until `length` of the caller's time has passed, preempted or not.
  template <typename Usage>
  void work(size_t lane, Usage used, Duration length) {
    const uint64_t until = used().ticks + length.ticks;
    while (used().ticks < until) mark(lane);
  }

  /// Prints `count` lanes, with these names before them.
  void print(const std::array<const char*, kLanes>& names, size_t count) const;

 private:
  size_t column_now() const { return (Machine::now() - start_).ticks / column_.ticks; }

  Instant start_;
  Duration column_{1};
  struct Cell {
    uint8_t lane = kLanes;
    const char* mark = nullptr;
  };
  std::array<Cell, kColumns> cells_{};
};

}  // namespace demo::tour

#endif  // BATON_KERNEL_DEMO_TOUR_TIMELINE_H_
