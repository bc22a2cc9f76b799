// How a timeline looks.

#include "kernel_demo/tour/timeline.h"

#include "kernel_demo/kit.h"
#include "kernel_demo/text.h"

namespace demo::tour {

void Timeline::begin(Duration column) {
  cells_ = {};
  column_ = column;
  start_ = Machine::now();
}

void Timeline::mark(size_t lane, const char* mark) {
  const size_t column = column_now();
  if (column < kColumns) cells_[column] = {.lane = static_cast<uint8_t>(lane), .mark = mark};
}

void Timeline::print(const std::array<const char*, kLanes>& names, size_t count) const {
  for (size_t lane = 0; lane < count; ++lane) {
    kit::print("  {:<9} ", names[lane]);
    for (const Cell& cell : cells_) kit::write(cell.lane == lane ? cell.mark : "·");
    kit::print("\n");
  }
  kit::print("  {:<9} └{}┘ {}\n", "", kit::Repeat{"─", kColumns - 2},
             to_text(Duration{column_.ticks * kColumns}));
}

}  // namespace demo::tour
