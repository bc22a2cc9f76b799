// The walk over the tree of decisions: the path of the last run, with its last decision that has
// another possibility changed to that one and everything after it cut off.

#include "hal/sim/explorer.h"

#include <cstdio>
#include <cstdlib>

namespace hal::sim {

bool Explorer::next() {
  position_ = 0;
  if (runs_ > 0) {
    while (!path_.empty() && path_.back().chosen + 1 == path_.back().count) path_.pop_back();
    if (path_.empty()) {
      complete_ = true;
      return false;
    }
    ++path_.back().chosen;
  }
  if (runs_ == limits_.runs) return false;
  ++runs_;
  return true;
}

uint64_t Explorer::choose(uint64_t count) {
  if (count < 2) return 0;
  if (position_ == path_.size()) path_.push_back({.chosen = 0, .count = count});
  const Decision& decision = path_[position_++];
  if (decision.count != count) {
    std::fprintf(stderr,
                 "hal::sim::Explorer: run %llu came to another decision than the run before: the "
                 "scenario depends on something besides its schedule\n",
                 static_cast<unsigned long long>(runs_));
    std::abort();
  }
  return decision.chosen;
}

std::string Explorer::schedule() const {
  std::string text;
  for (size_t i = 0; i < position_; ++i) {
    if (i > 0) text += ' ';
    text += std::to_string(path_[i].chosen);
  }
  return text;
}

}  // namespace hal::sim
