// The walk over the tree of choices: the path of the last run, with its last choice that has
// another possibility changed to that one and everything after it cut off.
//
// Invariants
// - A node's `backtrack` holds what has been or is to be chosen there; when everything in it is
//   done, every schedule that begins as the path up to there is equivalent to one that was run.
// - `clocks_[p][q]` is the last step of `q` that happens before whatever `p` does next: by a chain
//   of steps each of which is of the same process as the one before, or depends on it, or could not
//   have been done without it.
// - Two steps that depend on each other, neither of which happens before the other by anything
//   else, race: the schedule in which they come the other way round is another one, and it is
//   reached from the node of the earlier.

#include "hal/sim/explorer.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <utility>

#include "hal/sim/place.h"

namespace hal::sim {
namespace {

constexpr Explorer::Set only(size_t process) { return static_cast<Explorer::Set>(1u << process); }
constexpr bool has(Explorer::Set set, size_t process) { return (set >> process & 1) != 0; }
size_t lowest(Explorer::Set set) { return static_cast<size_t>(std::countr_zero(set)); }

const char* name_of(Explorer::What what) {
  switch (what) {
    using enum Explorer::What;
    case begin: return "begins";
    case load: return "load";
    case store: return "store";
    case exchange: return "exchange";
    case update: return "fetch-and-op";
    case compare: return "compare-exchange";
    case fence: return "fence";
    case kick: return "kick";
    case arrival: return "arrives";
    case tick: return "goes on to what is due next";
    case wait: return "wait";
    case unmask: return "unmask";
    case mask: return "mask";
    case interrupt: return "interrupt";
    case now: return "now";
    case arm: return "arm";
    case spend: return "spend";
  }
  return "";
}

const char* name_of_order(uint8_t order) {
  constexpr const char* kNames[] = {"relaxed", "consume", "acquire",
                                    "release", "acq_rel", "seq_cst"};
  return order < std::size(kNames) ? kNames[order] : "";
}

bool is_atomic(Explorer::What what) {
  return what >= Explorer::What::load && what <= Explorer::What::fence;
}

}  // namespace

Explorer::Explorer(Limits limits) : limits_(std::move(limits)), random_state_(limits_.seed) {
  // "0*12 3 1*4": process 0 twelve times, and so on.
  const char* at = limits_.replay.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    const uint64_t chosen = std::strtoull(at, &end, 10);
    const uint64_t times = *end == '*' ? std::strtoull(end + 1, &end, 10) : 1;
    if (end == at || (*end != ' ' && *end != '\0')) {
      std::fprintf(stderr, "hal::sim::Explorer: this is no schedule: %s\n", limits_.replay.c_str());
      std::abort();
    }
    replay_.insert(replay_.end(), times, chosen);
    at = *end == ' ' ? end + 1 : end;
  }
}

Explorer::Clock Explorer::nothing() {
  Clock clock;
  clock.fill(-1);
  return clock;
}

void Explorer::join(Clock& into, const Clock& from) {
  for (size_t i = 0; i < kProcesses; ++i) into[i] = std::max(into[i], from[i]);
}

bool Explorer::depend(const Step& a, const Step& b) {
  for (const Access& x : std::span(a.access).first(a.accesses)) {
    for (const Access& y : std::span(b.access).first(b.accesses)) {
      if (x.object == y.object && (x.write || y.write)) return true;
    }
  }
  return false;
}

uint64_t Explorer::random(uint64_t bound) {
  // Sebastiano Vigna's splitmix64.
  uint64_t z = (random_state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (z ^ (z >> 31)) % bound;
}

void Explorer::die_of_variation() const {
  std::fprintf(stderr,
               "hal::sim::Explorer: run %llu came to another decision than the run before: the "
               "scenario depends on something besides its schedule\n",
               static_cast<unsigned long long>(runs_));
  std::abort();
}

bool Explorer::next() {
  longest_ = std::max<uint64_t>(longest_, position_);
  position_ = 0;
  sleep_ = 0;
  last_ = kCut;
  preemptions_ = 0;
  clocks_.fill(nothing());
  objects_.clear();
  names_.clear();
  fresh_ = 0;
  if (!is_searching()) {
    path_.clear();
    if (runs_ == (limits_.replay.empty() ? limits_.walks : 1)) return false;
    ++runs_;
    return true;
  }
  if (runs_ > 0) {
    for (; !path_.empty(); path_.pop_back()) {
      Node& node = path_.back();
      if (node.is_choice) {
        if (node.chosen + 1 == node.count) continue;
        ++node.chosen;
        break;
      }
      node.done |= only(node.process);
      const Set left = static_cast<Set>(node.backtrack & ~node.done & ~node.sleep);
      if (left == 0) continue;
      node.process = static_cast<uint8_t>(lowest(left));
      break;
    }
    if (path_.empty()) {
      complete_ = true;
      return false;
    }
    fresh_ = path_.size() - 1;
  }
  if (runs_ == limits_.runs) return false;
  ++runs_;
  return true;
}

uint64_t Explorer::choose(uint64_t count) {
  if (count < 2) return 0;
  if (position_ == path_.size()) {
    Node& node = path_.emplace_back();
    node.is_choice = true;
    node.count = count;
    if (!replay_.empty()) {
      node.chosen = position_ < replay_.size() ? replay_[position_] : 0;
    } else if (limits_.walks != 0) {
      node.chosen = random(count);
    }
  }
  const Node& node = path_[position_++];
  if (!node.is_choice || node.count != count) die_of_variation();
  return node.chosen;
}

size_t Explorer::first_choice(Set candidates, Set enabled) {
  const bool could_go_on = last_ != kCut && has(enabled, last_);
  if (!replay_.empty()) {
    const uint64_t chosen = position_ < replay_.size() ? replay_[position_] : lowest(candidates);
    if (chosen >= kProcesses || !has(candidates, chosen)) die_of_variation();
    return chosen;
  }
  if (limits_.walks != 0) {
    if (could_go_on && random(4) != 0) return last_;
    uint64_t skip = random(static_cast<uint64_t>(std::popcount(candidates)));
    while (skip-- != 0) candidates &= static_cast<Set>(candidates - 1);
    return lowest(candidates);
  }
  return could_go_on && has(candidates, last_) ? last_ : lowest(candidates);
}

size_t Explorer::pick(const Processes& processes) {
  const Set enabled = processes.enabled;
  cpus_ = processes.cpus;
  if (position_ == path_.size()) {
    const Set candidates = static_cast<Set>(enabled & ~sleep_);
    if (candidates == 0) {
      end(processes);
      ++cut_;
      return kCut;
    }
    const size_t chosen = first_choice(candidates, enabled);
    Node& node = path_.emplace_back();
    node.process = static_cast<uint8_t>(chosen);
    node.enabled = enabled;
    node.backtrack = only(chosen);
  }
  Node& node = path_[position_];
  const size_t chosen = node.process;
  if (node.is_choice || node.enabled != enabled || !has(enabled, chosen)) die_of_variation();
  const Step& step = processes.next[chosen];
  if (position_ < fresh_ && node.step.what != step.what) die_of_variation();
  node.step = step;
  node.sleep = sleep_;
  node.preemptions = preemptions_;
  if (last_ != kCut && last_ != chosen && has(enabled, last_)) ++preemptions_;
  // With a bound no set sleeps: what was run may have been cut short by the bound.
  Set sleep = 0;
  if (!is_bounded()) {
    const Set tired = static_cast<Set>((sleep_ | node.done) & ~only(chosen));
    for (size_t i = 0; i < kProcesses; ++i) {
      if (has(tired, i) && !depend(processes.next[i], step)) sleep |= only(i);
    }
  }
  do_step(chosen, step);
  sleep_ = sleep;
  last_ = chosen;
  return chosen;
}

void Explorer::do_step(size_t process, const Step& step) {
  const int32_t index = static_cast<int32_t>(position_);
  Clock& clock = clocks_[process];
  if (is_searching() && position_ >= fresh_) look_for_races(process, step, clock);
  for (const Access& access : std::span(step.access).first(step.accesses)) {
    const auto found = objects_.find(access.object);
    if (found == objects_.end()) continue;
    if (found->second.write >= 0) join(clock, found->second.write_clock);
    if (access.write) join(clock, found->second.reads_clock);
  }
  clock[process] = index;
  for (const Access& access : std::span(step.access).first(step.accesses)) {
    const auto [at, is_new] = objects_.try_emplace(access.object);
    Object& object = at->second;
    if (is_new || access.write) {
      object.reads = nothing();
      object.reads_clock = nothing();
    }
    if (access.write) {
      object.write = index;
      object.write_clock = clock;
    } else {
      object.reads[process] = index;
      join(object.reads_clock, clock);
    }
  }
  path_[position_].clock = clock;
  ++position_;
}

void Explorer::look_for_races(size_t process, const Step& step, Clock clock) {
  std::array<int32_t, 8 * (kProcesses + 1)> earlier;
  size_t count = 0;
  const auto add = [&](int32_t index) {
    const size_t other = path_[static_cast<size_t>(index)].process;
    if (other != process && index > clock[other]) earlier[count++] = index;
  };
  Clock after = clock;
  for (const Access& access : std::span(step.access).first(step.accesses)) {
    const auto found = objects_.find(access.object);
    if (found == objects_.end()) continue;
    const Object& object = found->second;
    if (object.write >= 0) {
      add(object.write);
      join(after, object.write_clock);
    }
    if (!access.write) continue;
    for (size_t i = 0; i < kProcesses; ++i) {
      if (object.reads[i] >= 0) add(object.reads[i]);
    }
    join(after, object.reads_clock);
  }
  for (size_t i = 0; i < count; ++i) {
    // Not what comes before another of them: those two are not neighbours.
    const size_t by = path_[static_cast<size_t>(earlier[i])].process;
    const bool is_covered = std::any_of(
        earlier.begin(), earlier.begin() + static_cast<long>(count), [&](int32_t other) {
          const Node& node = path_[static_cast<size_t>(other)];
          return other != earlier[i] && node.clock[by] >= earlier[i];
        });
    if (!is_covered) reverse(earlier[i], process, after);
  }
}

void Explorer::reverse(int32_t earlier, size_t process, const Clock& clock) {
  // What came since and does not depend on it could as well have come first, and then this step
  // before it. Any process that can begin that will do.
  const size_t from = static_cast<size_t>(earlier);
  const size_t by = path_[from].process;
  std::vector<int32_t> kept;
  Set seen = 0;
  Set initials = 0;
  for (size_t i = from + 1; i < position_; ++i) {
    const Node& node = path_[i];
    if (node.is_choice || node.clock[by] >= earlier) continue;
    if (!has(seen, node.process)) {
      seen |= only(node.process);
      const bool is_first = std::none_of(kept.begin(), kept.end(), [&](int32_t k) {
        return node.clock[path_[static_cast<size_t>(k)].process] >= k;
      });
      if (is_first) initials |= only(node.process);
    }
    kept.push_back(static_cast<int32_t>(i));
  }
  if (!has(seen, process)) {
    const bool is_first = std::none_of(kept.begin(), kept.end(), [&](int32_t k) {
      return clock[path_[static_cast<size_t>(k)].process] >= k;
    });
    if (is_first) initials |= only(process);
  }
  const Node& node = path_[from];
  if ((initials & (node.backtrack | node.sleep | node.done)) != 0 && !is_bounded()) return;
  const Set possible = initials & node.enabled;
  const size_t chosen = has(possible, process) ? process : possible != 0 ? lowest(possible) : kCut;
  add_backtrack(earlier, chosen);
  if (!is_bounded()) return;
  // It may be out of bounds there, and within them where that turn began.
  size_t begin = from;
  while (begin > 0 && !path_[begin - 1].is_choice && path_[begin - 1].process == by) --begin;
  add_backtrack(static_cast<int32_t>(begin), chosen);
}

void Explorer::add_backtrack(int32_t at, size_t process) {
  Node& node = path_[static_cast<size_t>(at)];
  Set wanted = process != kCut && has(node.enabled, process) ? only(process) : node.enabled;
  if (is_bounded() && node.preemptions >= limits_.preemptions && at > 0) {
    // Only who does not take the turn from somebody.
    const Node& before = path_[static_cast<size_t>(at) - 1];
    if (!before.is_choice && has(node.enabled, before.process)) wanted &= only(before.process);
  }
  node.backtrack |= wanted;
}

void Explorer::enables(size_t enabler, size_t enabled) { join(clocks_[enabled], clocks_[enabler]); }

void Explorer::end(const Processes& processes) {
  if (!is_searching() || position_ < fresh_) return;
  for (size_t i = 0; i < kProcesses; ++i) {
    if (has(processes.alive, i)) look_for_races(i, processes.next[i], clocks_[i]);
  }
}

std::string Explorer::schedule() const {
  std::string text;
  for (size_t i = 0; i < position_;) {
    const auto chosen = [&](size_t at) {
      return path_[at].is_choice ? path_[at].chosen : path_[at].process;
    };
    size_t end = i + 1;
    while (end < position_ && chosen(end) == chosen(i)) ++end;
    if (i > 0) text += ' ';
    text += std::to_string(chosen(i));
    if (end - i > 1) text += '*' + std::to_string(end - i);
    i = end;
  }
  return text;
}

void Explorer::name(const void* object, size_t size, std::string text) {
  names_.push_back({reinterpret_cast<uintptr_t>(object), size, std::move(text)});
}

std::string Explorer::text_of(uintptr_t object) const {
  for (const Name& name : names_) {
    if (object - name.begin < name.size) {
      return name.size == 1 ? name.text : name.text + "+" + std::to_string(object - name.begin);
    }
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%#llx", static_cast<unsigned long long>(object));
  return text;
}

std::string Explorer::story() const {
  const std::span<const Node> path = std::span(path_).first(position_);
  // What only one process touches is nobody else's business.
  std::unordered_map<uintptr_t, std::pair<Set, bool>> users;
  std::vector<uintptr_t> places;
  for (const Node& node : path) {
    for (const Access& access : std::span(node.step.access).first(node.step.accesses)) {
      auto& [processes, written] = users[access.object];
      processes |= only(node.process);
      written |= access.write;
    }
  }
  const auto is_shared = [&](uintptr_t object) {
    const auto& [processes, written] = users[object];
    return written && std::popcount(processes) > 1;
  };
  const auto is_shown = [&](const Node& node) {
    switch (node.step.what) {
      using enum What;
      case mask:
      case unmask:
      case now:
      case arm:
      case spend: return false;
      case load:
      case store:
      case exchange:
      case update:
      case compare: return is_shared(node.step.access[0].object);
      default: return true;
    }
  };
  for (const Node& node : path) places.push_back(is_shown(node) ? node.step.place : 0);
  const std::vector<std::string> texts = describe_places(places);
  std::string text;
  size_t hidden = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    const Node& node = path[i];
    const Step& step = node.step;
    if (node.is_choice) {
      text += "chooses " + std::to_string(node.chosen) + " of " + std::to_string(node.count) + "\n";
      continue;
    }
    std::string who;
    if (node.process < cpus_) {
      who = "CPU " + std::to_string(node.process);
    } else if (node.process < 2 * cpus_) {
      who = "the kick to CPU " + std::to_string(node.process - cpus_);
    } else {
      who = "the clock";
    }
    hidden += is_shown(node) ? 0 : 1;
    const bool ends =
        i + 1 == path.size() || path[i + 1].process != node.process || is_shown(path[i + 1]);
    if (!is_shown(node)) {
      if (ends) text += who + "  ... " + std::to_string(std::exchange(hidden, 0)) + " of its own\n";
      continue;
    }
    text += who + "  " + name_of(step.what);
    if (step.what == What::kick || (is_atomic(step.what) && step.what != What::fence)) {
      text += " " + text_of(step.access[0].object);
    }
    if (is_atomic(step.what)) text += std::string(" (") + name_of_order(step.order) + ")";
    if (!texts[i].empty()) text += "  " + texts[i];
    text += "\n";
  }
  return text;
}

}  // namespace hal::sim
