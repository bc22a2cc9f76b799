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

/// Tasks that keep their CPU busy mark its lane all the time. Between two marks of one task that
/// nobody else's interrupts, it has had the CPU: the host may have taken it from the guest.
class CpuLanes {
 public:
  static constexpr size_t kColumns = 60;

  /// Empty, from now on, with columns of this width. Before anybody marks.
  void begin(Duration column) {
    lanes_ = {};
    column_ = column;
    start_ = Machine::now();
  }

  /// The caller has this CPU now, as `mark` shows it.
  void mark(const char* mark) {
    // Masked: whoever is preempted in the middle would mark a column that is over.
    const Machine::Irq irq = Machine::mask();
    Lane& lane = lanes_[Machine::local()->number];
    const size_t column = column_now();
    const size_t end = std::min(column + 1, kColumns);
    for (size_t i = lane.last == mark ? lane.column : column; i < end; ++i) lane.marks[i] = mark;
    lane.last = mark;
    lane.column = column;
    Machine::unmask(irq);
  }

  /// Whether the last column is over.
  bool is_full() const { return column_now() >= kColumns; }

  void print(std::span<const CpuNumber> cpus) const {
    for (const CpuNumber cpu : cpus) {
      kit::print("  {:<9} ", Text("CPU {}", cpu));
      for (const char* const mark : lanes_[cpu].marks) kit::write(mark == nullptr ? "·" : mark);
      kit::print("\n");
    }
    kit::print("  {:<9} └{}┘ {}\n", "", kit::Repeat{"─", kColumns - 2},
               to_text(Duration{column_.ticks * kColumns}));
  }

 private:
  struct Lane {
    std::array<const char*, kColumns> marks{};
    const char* last = nullptr;
    size_t column = 0;
  };

  size_t column_now() const { return (Machine::now() - start_).ticks / column_.ticks; }

  Instant start_;
  Duration column_{1};
  std::array<Lane, kCpus> lanes_{};
};

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_SMP_CPU_LANES_H_
