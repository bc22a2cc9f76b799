// A world with an explorer: what its processes do next, which of them does it, and what the guest's
// code, as `every_atomic.cc` sees it, does to memory.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hal/sim/explorer.h"
#include "hal/sim/guest.h"
#include "hal/sim/log.h"
#include "hal/sim/place.h"
#include "hal/sim/races.h"
#include "hal/sim/sanitizer.h"
#include "hal/sim/sim.h"
#include "hal/sim/world.h"

namespace hal::sim {
namespace {

// How often a CPU that seems to spin may look once more when nobody else can do anything.
constexpr unsigned kSpins = 100;

}  // namespace

Instant World::Impl::next_tick() const {
  Instant first = never;
  const auto add = [&](Instant when) {
    if (when > now) first = std::min(first, when);
  };
  for (const Cpu& cpu : cpus) {
    if (cpu.state == Cpu::State::off || cpu.state == Cpu::State::done) continue;
    add(cpu.armed);
    for (const Line& line : cpu.lines) add(line.when);
    if (cpu.state == Cpu::State::ready || cpu.state == Cpu::State::spending) add(cpu.continues);
  }
  return first;
}

bool World::Impl::is_enabled(const Cpu& cpu) const {
  if (cpu.event() > now) return false;
  return !cpu.spins || (!cpu.masked && cpu.interrupt() <= now);
}

Explorer::Step World::Impl::next_step(const Cpu& cpu) const {
  Explorer::Step step = cpu.next;
  const bool is_interrupted = !cpu.masked && cpu.interrupt() <= now;
  if (is_interrupted) step = {.what = Explorer::What::interrupt};
  if (!cpu.masked) step.add(pending(cpu), is_interrupted);
  return step;
}

Explorer::Step World::Impl::arrival(const Cpu& cpu) const {
  Explorer::Step step = {.what = Explorer::What::arrival};
  step.add(wire(cpu), true);
  step.add(pending(cpu), true);
  return step;
}

Explorer::Step World::Impl::tick() const {
  Explorer::Step step = {.what = Explorer::What::tick};
  step.add(clock(), true);
  const Instant when = next_tick();
  for (const Cpu& cpu : cpus) {
    if (cpu.interrupt() > now && cpu.interrupt() <= when) step.add(pending(cpu), true);
  }
  return step;
}

auto World::Impl::decide() -> Cpu* {
  for (;;) {
    Cpu* const next = explores() ? explore() : go_on();
    if (next != nullptr) return next;
    if (is_cut || !just_ticked) return nullptr;
    just_ticked = false;
  }
}

auto World::Impl::go_on() -> Cpu* {
  if (current != nullptr && is_enabled(*current)) return current;
  for (Cpu& cpu : cpus) {
    if (is_enabled(cpu)) return &cpu;
  }
  just_ticked = next_tick() <= limit && next_tick() < never;
  if (just_ticked) now = next_tick();
  return nullptr;
}

auto World::Impl::explore() -> Cpu* {
  const size_t count = cpus.size();
  const size_t clock = 2 * count;
  Explorer::Processes processes;
  processes.cpus = count;
  const auto add = [&](size_t process, const Explorer::Step& next, bool enabled) {
    processes.next[process] = next;
    processes.alive |= static_cast<Explorer::Set>(1u << process);
    if (enabled) processes.enabled |= static_cast<Explorer::Set>(1u << process);
  };
  for (size_t i = 0; i < count; ++i) {
    const Cpu& cpu = cpus[i];
    if (cpu.state != Cpu::State::off && cpu.state != Cpu::State::done) {
      add(i, next_step(cpu), is_enabled(cpu));
    }
    if (cpu.kick_travels) add(count + i, arrival(cpu), true);
  }
  if (next_tick() <= limit && next_tick() < never) {
    add(clock, tick(), explorer()->limits().clock_is_free || processes.enabled == 0);
  }
  if (processes.enabled == 0) {
    explorer()->end(processes);
    return let_spin();
  }
  const size_t chosen = explorer()->pick(processes);
  if (chosen == Explorer::kCut) {
    is_cut = true;
    return nullptr;
  }
  if (chosen < count) return &cpus[chosen];
  if (chosen == clock) {
    now = next_tick();
  } else {
    Cpu& cpu = cpus[chosen - count];
    cpu.kick_travels = false;
    cpu.kicked = now;
  }
  for (size_t i = 0; i < count; ++i) {
    const bool was_enabled = (processes.enabled >> i & 1) != 0;
    if (!was_enabled && is_enabled(cpus[i])) explorer()->enables(chosen, i);
  }
  just_ticked = true;
  return nullptr;
}

void World::Impl::send_kick(Cpu& to) {
  if (std::exchange(to.kick_travels, true)) return;
  explorer()->enables(current->index, cpus.size() + to.index);
}

void World::Impl::clock_goes_on() {
  if (!explores() || next_tick() == never) return;
  explorer()->enables(current->index, 2 * cpus.size());
}

auto World::Impl::let_spin() -> Cpu* {
  for (Cpu& cpu : cpus) {
    if (!cpu.spins || cpu.let_spin == kSpins) continue;
    ++cpu.let_spin;
    cpu.spins = false;
    cpu.idle = {};
    just_ticked = true;
    return nullptr;
  }
  for (const Cpu& cpu : cpus) is_stuck |= cpu.spins;
  return nullptr;
}

void World::Impl::hand_over() {
  Cpu& mine = *current;
  Cpu* const next = decide();
  if (next == &mine) return;
  decided = next;
  ends = next == nullptr;
  to_hub();
}

void World::Impl::step(Explorer::Step step) {
  count_step();
  for (;;) {
    Cpu& cpu = *current;
    cpu.state = Cpu::State::ready;
    cpu.continues = now;
    cpu.next = step;
    cpu.spins = explores() && step.place != 0 && cpu.idle.place == step.place &&
                cpu.idle.called_at == step.called_at &&
                cpu.idle.access[0].object == step.access[0].object;
    hand_over();
    current->spins = false;
    if (!takes_interrupt()) return;
    take_interrupt();
  }
}

void World::Impl::step_at(Explorer::What what, uintptr_t object, bool write) {
  if (explorer() == nullptr) return;
  Explorer::Step step = {.what = what};
  step.add(object, write);
  this->step(step);
}

void World::Impl::atomic_done(const Explorer::Step& step, bool changed) {
  Cpu& mine = *current;
  mine.idle = changed || step.what == Explorer::What::store ? Explorer::Step{} : step;
  if (!changed) return;
  mine.let_spin = 0;
  for (Cpu& cpu : cpus) {
    if (&cpu == &mine || cpu.idle.access[0].object != step.access[0].object) continue;
    cpu.idle = {};
    cpu.let_spin = 0;
    if (std::exchange(cpu.spins, false) && explores()) explorer()->enables(mine.index, cpu.index);
  }
}

void World::Impl::race(const Races::Race& race) {
  {
    const uintptr_t places[] = {race.first.place, race.second.place};
    const std::vector<std::string> texts = describe_places(places);
    const auto text = [&](const Races::Access& access, size_t i) {
      return std::string(access.atomic ? "atomic " : "") + (access.write ? "write" : "read") +
             " by CPU " + std::to_string(access.cpu) + " (" + texts[i] + ")";
    };
    const std::string rule = "data race: " + text(race.first, 0) + ", " + text(race.second, 1);
    note_failure(End::race, What::misuse, rule.c_str(), nullptr);
  }
  abandon();
}

// --- The guest ---

struct Explored {
  using Impl = World::Impl;
  static Impl& impl() { return *running_world->impl_; }
  static size_t cpu() { return impl().current->index; }

  static Explorer::Step step(Explorer::What what, const volatile void* object, bool writes,
                             std::memory_order order, guest::Place place) {
    Explorer::Step step = {.what = what,
                           .order = static_cast<uint8_t>(order),
                           .place = place.at,
                           .called_at = place.called_at};
    step.add(reinterpret_cast<uintptr_t>(object), writes);
    return step;
  }

  static void check(const volatile void* address, size_t size, const Races::Access& access) {
    Impl& impl = Explored::impl();
    if (const auto race = impl.races->access(reinterpret_cast<uintptr_t>(address), size, access)) {
      impl.race(*race);
    }
  }
};

namespace guest {

bool is_explored() {
  return running_world != nullptr && sanitizer::is_seen() && Explored::impl().races.has_value();
}

void before_atomic(Explorer::What what, const volatile void* object, bool writes,
                   std::memory_order order, Place place) {
  const sanitizer::Unseen unseen;
  Explored::impl().step(Explored::step(what, object, writes, order, place));
}

void after_atomic(const volatile void* object, size_t size, bool read, bool wrote, bool changed,
                  std::memory_order order, Place place) {
  const sanitizer::Unseen unseen;
  Explored::Impl& impl = Explored::impl();
  const uintptr_t address = reinterpret_cast<uintptr_t>(object);
  Explored::check(object, size, {Explored::cpu(), wrote, true, place.at});
  impl.races->atomic(Explored::cpu(), address, read, wrote, order);
  const auto what = read ? Explorer::What::load : Explorer::What::store;
  impl.atomic_done(Explored::step(what, object, wrote, order, place), changed);
}

void fence(std::memory_order order, uintptr_t place) {
  if (!is_explored()) return;
  const sanitizer::Unseen unseen;
  static_cast<void>(place);
  Explored::impl().races->fence(Explored::cpu(), order);
}

void access(const volatile void* address, size_t size, bool write, uintptr_t place) {
  if (!is_explored()) return;
  const sanitizer::Unseen unseen;
  // Of a long range, such as a stack that is wiped, the two ends.
  constexpr size_t kEnd = 128;
  const auto* const bytes = static_cast<const volatile std::byte*>(address);
  const Races::Access access = {Explored::cpu(), write, false, place};
  if (size <= 2 * kEnd) return Explored::check(bytes, size, access);
  Explored::check(bytes, kEnd, access);
  Explored::check(bytes + size - kEnd, kEnd, access);
}

}  // namespace guest

}  // namespace hal::sim
