// How a run's end is compared and printed.

#include <ostream>

#include "hal/sim/log.h"
#include "hal/sim/sim.h"

namespace hal::sim {

bool operator==(const Outcome& outcome, End end) { return outcome.end == end; }
bool operator==(const Outcome& outcome, const Panic& panic) {
  return outcome.end == End::panic && outcome.rule == panic.rule && outcome.task == panic.task;
}
bool operator==(const Outcome& outcome, const Misuse& misuse) {
  return outcome.end == End::misuse && outcome.rule == misuse.rule;
}

std::ostream& operator<<(std::ostream& out, End end) {
  switch (end) {
    case End::quiet: return out << "quiet";
    case End::stopped: return out << "stopped";
    case End::until: return out << "until";
    case End::steps: return out << "steps";
    case End::panic: return out << "panic";
    case End::misuse: return out << "misuse";
    case End::race: return out << "race";
    case End::cut: return out << "cut";
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const Panic& panic) {
  out << "panic \"" << panic.rule << "\"";
  if (!panic.task.empty()) out << " of task \"" << panic.task << "\"";
  return out;
}

std::ostream& operator<<(std::ostream& out, const Misuse& misuse) {
  return out << "misuse \"" << misuse.rule << "\"";
}

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  if (outcome.end == End::panic) {
    out << Panic{outcome.rule, outcome.task};
  } else if (outcome.end == End::misuse) {
    out << Misuse{outcome.rule};
  } else if (outcome.end == End::race) {
    out << outcome.rule;
  } else {
    out << outcome.end;
  }
  out << " on CPU " << outcome.cpu << " at " << outcome.at.ticks;
  if (outcome.log != nullptr) out << "; " << outcome.log->text();
  return out;
}

}  // namespace hal::sim
