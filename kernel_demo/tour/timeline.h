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

  /// `lane` has waited for the CPU or something else since `from`; what it did meanwhile stays.
  void waited(size_t lane, Instant from);

  /// Whether the last column is over.
  bool is_full() const { return column_now() >= kColumns; }

  /// Marks `lane` until `length` of the caller's time has passed, preempted or not.
  template <typename Usage>
  void work(size_t lane, Usage used, Duration length, const char* with = "█") {
    const uint64_t until = used().ticks + length.ticks;
    while (used().ticks < until) mark(lane, with);
  }

  /// Prints `count` lanes, with these names before them.
  void print(const std::array<const char*, kLanes>& names, size_t count) const;

 private:
  size_t column_of(Instant when) const { return (when - start_).ticks / column_.ticks; }
  size_t column_now() const { return column_of(Machine::now()); }

  Instant start_;
  Duration column_{1};
  struct Cell {
    uint8_t lane = kLanes;
    const char* mark = nullptr;
  };
  std::array<Cell, kColumns> cells_{};
  std::array<uint64_t, kLanes> waits_{};  // a bit a column
  static_assert(kColumns <= 64);
};

}  // namespace demo::tour

#endif  // BATON_KERNEL_DEMO_TOUR_TIMELINE_H_
