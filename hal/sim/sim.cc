// A world from outside, and its hub: who runs next, and when.

#include "hal/sim/sim.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "hal/sim/explorer.h"
#include "hal/sim/log.h"
#include "hal/sim/races.h"
#include "hal/sim/sanitizer.h"
#include "hal/sim/world.h"

namespace hal::sim {

void die(const char* what) {
  std::fprintf(stderr, "hal::sim: %s\n", what);
  std::abort();
}

World::Impl::Impl(World* owner, Options options)
    : world(owner),
      options(std::move(options)),
      random(this->options.seed),
      log(std::make_shared<Log>(this->options.trace)) {
  wait_shape = this->options.wait;
  hub.fiber = &hub_fiber;
  cpus.resize(this->options.cpus);
  for (size_t i = 0; i < cpus.size(); ++i) {
    cpus[i].index = static_cast<CpuNumber>(i);
    if (this->options.skew > Duration{}) {
      cpus[i].ahead.ticks = random.below(this->options.skew.ticks + 1);
    }
  }
  if (explorer() == nullptr) return;
  if (cpus.size() > Races::kCpus) die("World: too many CPUs for an explorer");
  races.emplace();
  if (wait_shape == Wait::by_seed) wait_shape = Wait::returns_masked;
}

World::Impl::~Impl() {
  for (const auto& fiber : fibers) retire(*fiber);
}

auto World::Impl::here(const char* function) -> Impl& {
  if (running_world == nullptr) {
    std::fprintf(stderr, "hal::sim: %s outside a running world\n", function);
    std::abort();
  }
  return *running_world->impl_;
}

void World::Impl::record(What what, uint64_t a, uint64_t b, std::string text) {
  log->record(now, current != nullptr ? current->index : CpuNumber{0}, what, a, b, std::move(text));
}

void World::Impl::entitle() const {
  log->set_title(explorer() != nullptr ? "schedule " + explorer()->schedule()
                                       : "seed " + std::to_string(options.seed));
}

Outcome World::Impl::outcome_now(End end) const {
  entitle();
  return {.end = end,
          .rule = {},
          .task = {},
          .cpu = current != nullptr ? current->index : CpuNumber{0},
          .at = now,
          .log = log};
}

void World::Impl::fail(End end, What what, const char* rule, const char* task) {
  note_failure(end, what, rule, task);  // frees what it allocates; this frame never ends
  abandon();
}

void World::Impl::note_failure(End end, What what, const char* rule, const char* task) {
  std::string text = rule != nullptr ? rule : "";
  if (task != nullptr && task[0] != '\0') text += std::string(" (task ") + task + ")";
  record(what, 0, 0, std::move(text));
  outcome = outcome_now(end);
  if (rule != nullptr) outcome.rule = rule;
  if (task != nullptr) outcome.task = task;
  ended = true;
}

uint64_t World::Impl::others_by(Instant when) const {
  return static_cast<uint64_t>(std::count_if(cpus.begin(), cpus.end(), [&](const Cpu& other) {
    return &other != current && other.event() < never && other.event() <= when;
  }));
}

void World::Impl::until_event() {
  if (explorer() != nullptr) return hand_over();
  const Instant mine = event(*current);
  if (mine <= limit && mine < never && others_by(mine) == 0) {
    now = mine;
  } else {
    to_hub();
  }
}

auto World::Impl::pick() -> Cpu* {
  Instant first = never;
  uint64_t ties = 0;
  for (const Cpu& cpu : cpus) {
    if (&cpu == excluded || cpu.event() >= never) continue;
    const Instant when = event(cpu);
    if (when < first) {
      first = when;
      ties = 0;
    }
    ties += when == first;
  }
  if (ties == 0) return nullptr;
  uint64_t chosen = random.below(ties);
  for (Cpu& cpu : cpus) {
    if (&cpu == excluded || cpu.event() >= never || event(cpu) != first) continue;
    if (chosen-- == 0) return &cpu;
  }
  return nullptr;
}

void World::Impl::pass(Duration length) {
  current->state = Cpu::State::ready;
  current->continues = now + length;
  until_event();
}

void World::Impl::let_in() {
  const bool others = others_by(now) > 0;
  if (options.interleave == 0 || (!others && options.stall == Duration{}) ||
      random.below(options.interleave) != 0) {
    return;
  }
  Duration stall{};
  if (options.stall > Duration{}) stall.ticks = random.below(options.stall.ticks + 1);
  if (stall == Duration{}) excluded = others ? current : nullptr;
  record(What::let_in, stall.ticks);
  pass(stall);
}

void World::Impl::count_step() {
  if (++steps > options.steps) fail(End::steps, What::steps, nullptr, nullptr);
}

void World::Impl::point() {
  count_step();
  if (options.watch) options.watch();
  if (explorer() != nullptr) return;
  if (options.call_cost > Duration{}) pass(options.call_cost);
  let_in();
  if (!current->masked) take_interrupts();
}

Outcome World::Impl::run(Instant until) {
  if (running_world != nullptr) die("World::run while a world runs in this thread");
  if (ended) return outcome;
  running_world = world;
  limit = until;
  hub_fiber.tsan = sanitizer::current_fiber();
  sanitizer::release(&host_order);
  End end = End::quiet;
  for (;;) {
    Cpu* const next = explorer() == nullptr ? pick()
                      : decided != nullptr  ? std::exchange(decided, nullptr)
                      : ends                ? nullptr
                                            : decide();
    excluded = nullptr;
    if (next == nullptr) {
      ends = false;
      if (is_cut) end = End::cut;
      if (is_stuck) end = End::steps;
      if (explorer() != nullptr && end == End::quiet && next_tick() < never) end = End::until;
      break;
    }
    if (event(*next) > until) {
      now = std::max(now, until);
      end = End::until;
      break;
    }
    now = event(*next);
    if (next->running.stack.empty()) power_on(*next);
    current = next;
    from_hub = true;
    change_stack(hub, next->running, /*ordered=*/!options.find_races);
    if (ended) break;
    if (stopping) {
      stopping = false;
      end = End::stopped;
      break;
    }
  }
  sanitizer::acquire(&guest_order);
  running_world = nullptr;
  if (!ended) {
    outcome = end == End::stopped ? stop_outcome : outcome_now(end);
  }
  return outcome;
}

World::World(Options options) : impl_(std::make_unique<Impl>(this, std::move(options))) {}
World::~World() = default;

World* World::current() { return running_world; }

std::ostream& operator<<(std::ostream& out, const World& world) { return out << world.trace(); }

void World::boot(CpuNumber cpu, std::function<void()> code, Instant when) {
  const sanitizer::Unseen unseen;
  if (cpu >= impl_->cpus.size()) die("World::boot: there is no such CPU");
  Impl::Cpu& target = impl_->cpus[cpu];
  if (target.state != Impl::Cpu::State::off) die("World::boot: the CPU was booted before");
  target.boot = std::move(code);
  target.continues = when;
  target.state = Impl::Cpu::State::ready;
  sanitizer::release(&target.kick_order);
}

Outcome World::run(Instant until) {
  const sanitizer::Unseen unseen;
  return impl_->run(until);
}

void World::stop() {
  const sanitizer::Unseen unseen;
  if (running_world != this) die("World::stop: not called by a guest of this world");
  impl_->record(What::stop);
  impl_->stopping = true;
  impl_->stop_outcome = impl_->outcome_now(End::stopped);
  impl_->current->state = Impl::Cpu::State::ready;
  impl_->current->continues = impl_->now;
  impl_->to_hub();
}

void World::raise_at(CpuNumber cpu, uint32_t line, Instant when) {
  const sanitizer::Unseen unseen;
  if (cpu >= impl_->cpus.size()) die("World::raise_at: there is no such CPU");
  auto& lines = impl_->cpus[cpu].lines;
  const Impl::Line entry{std::max(when, impl_->now), line};
  lines.insert(std::upper_bound(lines.begin(), lines.end(), entry,
                                [](const auto& a, const auto& b) { return a.when < b.when; }),
               entry);
}

Instant World::now() const {
  const sanitizer::Unseen unseen;
  return impl_->now;
}

CpuReport World::report(CpuNumber cpu) const {
  const sanitizer::Unseen unseen;
  if (cpu >= impl_->cpus.size()) die("World::report: there is no such CPU");
  CpuReport report = impl_->cpus[cpu].report;
  report.armed = impl_->cpus[cpu].armed;
  report.asleep = impl_->cpus[cpu].state == Impl::Cpu::State::waiting &&
                  &impl_->cpus[cpu] != impl_->current;  // woken, it is so until it passes time
  report.interrupted =
      impl_->cpus[cpu].interrupt() <= impl_->now || impl_->cpus[cpu].kicked < never;
  return report;
}

CpuNumber World::running() const {
  const sanitizer::Unseen unseen;
  if (impl_->current == nullptr) die("World::running: not called by a guest");
  return impl_->current->index;
}

void World::note(std::string_view text) {
  const sanitizer::Unseen unseen;
  impl_->record(What::note, 0, 0, std::string(text));
}

std::string World::trace() const {
  const sanitizer::Unseen unseen;
  impl_->entitle();
  return impl_->log->text();
}

uint64_t World::fingerprint() const {
  const sanitizer::Unseen unseen;
  return impl_->log->fingerprint();
}

}  // namespace hal::sim
