// How a virtual CPU takes its interrupts: as the entry code of a real machine does.

#include "hal/interrupt.h"

#include "hal/sim/explorer.h"
#include "hal/sim/log.h"
#include "hal/sim/races.h"
#include "hal/sim/sanitizer.h"
#include "hal/sim/sim.h"
#include "hal/sim/world.h"

namespace hal::sim {
namespace {

// Timer interrupts at one instant on one CPU before it counts as a storm.
constexpr unsigned kStorm = 1000;

}  // namespace

void World::Impl::take_interrupts() {
  while (takes_interrupt()) take_interrupt();
}

void World::Impl::unmasked() {
  if (explorer() != nullptr) {
    step({.what = Explorer::What::unmask});
  } else {
    take_interrupts();
  }
}

void World::Impl::take_interrupt() {
  {
    Cpu& cpu = *current;
    Interrupt interrupt;
    const Instant line = cpu.lines.empty() ? never : cpu.lines.front().when;
    cpu.masked = true;
    if (cpu.armed <= cpu.kicked && cpu.armed <= line) {
      interrupt.cause = Cause::timer;
      record(What::take_timer);
      ++cpu.report.timer_interrupts;
      require(!cpu.timer_taken, "timer: the handler neither re-armed nor silenced it");
      cpu.timer_taken = true;
      cpu.storm = cpu.storm_at == now ? cpu.storm + 1 : 1;
      cpu.storm_at = now;
      require(cpu.storm <= kStorm, "timer: re-armed in the past over and over");
    } else if (cpu.kicked <= line) {
      interrupt.cause = Cause::kick;
      cpu.kicked = never;
      sanitizer::acquire(&cpu.kick_order);
      if (races) races->acquire(cpu.index, address(cpu.kicked));
      record(What::take_kick);
      ++cpu.report.kick_interrupts;
    } else {
      interrupt.cause = Cause::device;
      interrupt.line = cpu.lines.front().line;
      cpu.lines.erase(cpu.lines.begin());
      record(What::take_device, interrupt.line);
      ++cpu.report.device_interrupts;
    }
    require(options.interrupt != nullptr, "interrupt: there is no handler");
    bool due = false;
    {
      const sanitizer::Seen seen;
      due = options.interrupt(interrupt);
    }
    require(current->masked, "interrupt: the handler returned unmasked");
    if (due) {
      record(What::preempt);
      ++current->report.preempts;
      require(options.preempt != nullptr, "interrupt: there is no `preempt`");
      {
        const sanitizer::Seen seen;
        options.preempt();
      }
      require(current->masked, "interrupt: `preempt` returned unmasked");
    }
    current->masked = false;
  }
}

}  // namespace hal::sim
