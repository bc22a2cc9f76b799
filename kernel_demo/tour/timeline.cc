// How a timeline looks.

#include "kernel_demo/tour/timeline.h"

#include <algorithm>

#include "kernel_demo/kit.h"
#include "kernel_demo/text.h"

namespace demo::tour {

void Timeline::begin(Duration column) {
  cells_ = {};
  waits_ = {};
  column_ = column;
  start_ = Machine::now();
}

void Timeline::mark(size_t lane, const char* mark) {
  // Masked: whoever is preempted in the middle would mark a column that is over.
  const Machine::Irq irq = Machine::mask();
  const size_t column = column_now();
  if (column < kColumns) cells_[column] = {.lane = static_cast<uint8_t>(lane), .mark = mark};
  Machine::unmask(irq);
}

void Timeline::waited(size_t lane, Instant from) {
  const size_t last = std::min(column_now(), kColumns - 1);
  for (size_t i = column_of(from); i <= last; ++i) waits_[lane] |= uint64_t{1} << i;
}

void Timeline::print(const std::array<const char*, kLanes>& names, size_t count) const {
  for (size_t lane = 0; lane < count; ++lane) {
    kit::print("  {:<9} ", names[lane]);
    for (size_t i = 0; i < kColumns; ++i) {
      const char* const otherwise = (waits_[lane] >> i & 1) != 0 ? "░" : "·";
      kit::write(cells_[i].lane == lane ? cells_[i].mark : otherwise);
    }
    kit::print("\n");
  }
  kit::print("  {:<9} └{}┘ {}\n", "", kit::Repeat{"─", kColumns - 2},
             to_text(Duration{column_.ticks * kColumns}));
}

}  // namespace demo::tour
