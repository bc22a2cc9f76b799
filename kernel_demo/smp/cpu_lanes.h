// A picture of what each CPU did when: a lane a CPU, a column a unit of time.

#ifndef BATON_KERNEL_DEMO_SMP_CPU_LANES_H_
#define BATON_KERNEL_DEMO_SMP_CPU_LANES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_demo/kit.h"
#include "kernel_demo/machine.h"
#include "kernel_demo/text.h"

namespace demo {

/// Tasks that keep their CPU busy mark its lane all the time. Until the next mark, the CPU is that
/// of whoever made the last one: where nobody marked, the host had taken it from the guest.
class CpuLanes {
 public:
  static constexpr size_t kColumns = 60;

  /// Empty, from now on, with columns of this width. Before anybody marks.
  void begin(Duration column) {
    for (Lane& lane : lanes_) {
      lane = {};
      lane.marks.fill(lane.last);
    }
    column_ = column;
    start_ = Machine::now();
  }

  /// The caller has this CPU now, as `mark` shows it.
  void mark(const char* mark) {
    // Masked: whoever is preempted in the middle would mark a column that is over.
    const Machine::Irq irq = Machine::mask();
    Lane& lane = lanes_[Machine::local()->number];
    const size_t column = std::min(column_now(), kColumns);
    while (lane.marked < column) lane.marks[lane.marked++] = lane.last;
    if (column < kColumns) lane.marks[column] = mark;
    lane.last = mark;
    Machine::unmask(irq);
  }

  /// Nobody has that CPU from here on, until the next mark there. While nobody can mark it.
  void leave(CpuNumber cpu) {
    Lane& lane = lanes_[cpu];
    const size_t column = std::min(column_now(), kColumns);
    while (lane.marked < column) lane.marks[lane.marked++] = lane.last;
    lane.last = kNobody;
  }

  /// How many columns are over.
  size_t columns() const { return column_now(); }

  /// Whether the last column is over.
  bool is_full() const { return column_now() >= kColumns; }

  void print(std::span<const CpuNumber> cpus) const {
    for (const CpuNumber cpu : cpus) {
      kit::print("  {:<9} ", Text("CPU {}", cpu));
      for (const char* const mark : lanes_[cpu].marks) kit::write(mark);
      kit::print("\n");
    }
    kit::print("  {:<9} └{}┘ {}\n", "", kit::Repeat{"─", kColumns - 2},
               to_text(Duration{column_.ticks * kColumns}));
  }

 private:
  static constexpr const char* kNobody = "·";

  struct Lane {
    std::array<const char*, kColumns> marks{};
    const char* last = kNobody;
    size_t marked = 0;  // columns that are over
  };

  size_t column_now() const { return (Machine::now() - start_).ticks / column_.ticks; }

  Instant start_;
  Duration column_{1};
  std::array<Lane, kCpus> lanes_{};
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_SMP_CPU_LANES_H_
