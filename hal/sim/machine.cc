// The machine's calls. Each is first of all the check of its contract.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>

#include "hal/sim/explorer.h"
#include "hal/sim/log.h"
#include "hal/sim/sanitizer.h"
#include "hal/sim/sim.h"
#include "hal/sim/world.h"

namespace hal::sim {

void Machine::start_cpu(Local& local, CpuNumber number) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("start_cpu");
  impl.point();
  impl.require(impl.cpu().masked, "start_cpu: interrupts are not masked");
  impl.require(impl.cpu().local == nullptr, "start_cpu: this CPU was started before");
  impl.require(number < impl.cpus.size(), "start_cpu: the number is not below the count of CPUs");
  for (const World::Impl::Cpu& other : impl.cpus) {
    impl.require(other.local == nullptr || other.local->number != number,
                 "start_cpu: another CPU has this number");
    impl.require(other.local != &local, "start_cpu: another CPU has this block");
  }
  local.number = number;
  impl.cpu().local = &local;
  impl.record(What::start, number);
}

Machine::Local* Machine::local() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("local");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "local: before start_cpu");
  return impl.cpu().local;
}

Instant Machine::now() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("now");
  impl.point();
  impl.step_at(Explorer::What::now, impl.clock(), false);
  return impl.now + impl.cpu().ahead;
}

void Machine::arm(Instant when) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("arm");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "arm: before start_cpu");
  impl.require(impl.cpu().masked, "arm: interrupts are not masked");
  impl.record(What::arm, when.ticks);
  impl.step_at(Explorer::What::arm, impl.clock(), false);
  ++impl.cpu().report.arms;
  if (when < never) when = Instant{} + (when - (Instant{} + impl.cpu().ahead));  // of the world
  const bool ticks = impl.next_tick() < never;
  impl.cpu().armed = when < never ? std::min(when, impl.now + impl.options.timer_reach) : never;
  impl.cpu().timer_taken = false;
  if (!ticks) impl.clock_goes_on();
}

uint64_t Machine::ticks_per_second() {
  const sanitizer::Unseen unseen;
  return World::Impl::here("ticks_per_second").options.ticks_per_second;
}

Machine::Irq Machine::mask() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("mask");
  impl.point();
  if (impl.explorer() != nullptr && !impl.cpu().masked) impl.step({.what = Explorer::What::mask});
  return std::exchange(impl.cpu().masked, true) ? Irq::masked : Irq::unmasked;
}

void Machine::unmask(Irq irq) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("unmask");
  impl.point();
  impl.cpu().masked = irq == Irq::masked;
  if (irq == Irq::unmasked) impl.unmasked();
}

Machine::Context Machine::make_context(std::span<std::byte> stack, Entry entry, void* argument) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("make_context");
  impl.point();
  impl.require(entry != nullptr, "make_context: no entry");
  impl.require(stack.size() >= 2 * kContextBytes, "make_context: the stack is too small");
  impl.require(reinterpret_cast<uintptr_t>(stack.data()) % 16 == 0 && stack.size() % 16 == 0,
               "make_context: the stack is not 16-byte aligned");
  for (const World::Impl::Cpu& cpu : impl.cpus) {
    const std::span<std::byte> used = cpu.running.stack;
    const bool runs =
        cpu.state != World::Impl::Cpu::State::off && cpu.state != World::Impl::Cpu::State::done;
    impl.require(!runs || used.data() + used.size() <= stack.data() ||
                     stack.data() + stack.size() <= used.data(),
                 "make_context: a CPU still runs on this stack");
  }
  return World::Impl::new_context(stack, entry, argument);
}

void Machine::switch_to(Context& from, Context& to) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("switch_to");
  impl.point();
  World::Impl::Cpu& cpu = impl.cpu();
  impl.require(cpu.local != nullptr, "switch_to: before start_cpu");
  impl.require(cpu.masked, "switch_to: interrupts are not masked");
  impl.require(to.state != Context::State::empty, "switch_to: the target was never made");
  impl.require(to.state != Context::State::running, "switch_to: the target runs already");
  if (cpu.context == nullptr) {
    impl.require(from.state == Context::State::empty, "switch_to: `from` is not what runs here");
  } else {
    impl.require(cpu.context == &from, "switch_to: `from` is not what runs here");
  }
  if (to.fiber == nullptr) impl.adopt(to);
  cpu.running.state = Context::State::saved;
  Context next = cpu.running;
  {
    // The two contexts are the guest's memory: here TSan looks, because whoever saved `to` must
    // have done so before, in an order that the guest has seen to.
    const sanitizer::Seen seen;
    from = next;
    to.state = Context::State::running;
    next = to;
  }
  cpu.running = next;
  cpu.context = &to;
  ++cpu.report.switches;
  impl.record(What::switched, impl.fiber(from).id, impl.fiber(to).id);
  impl.change_stack(from, to, /*ordered=*/true);
}

void Machine::wait() {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("wait");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "wait: before start_cpu");
  impl.require(impl.cpu().masked, "wait: interrupts are not masked");
  if (impl.cpu().interrupt() > impl.now || impl.explorer() != nullptr) {
    const Instant begin = impl.now;
    impl.record(What::wait);
    impl.cpu().state = World::Impl::Cpu::State::waiting;
    impl.cpu().next = {.what = Explorer::What::wait};
    impl.cpu().next.add(World::Impl::pending(impl.cpu()), true);
    impl.until_event();
    World::Impl::Cpu& cpu = impl.cpu();
    ++cpu.report.waits;
    cpu.report.waited = Duration{cpu.report.waited.ticks + (impl.now - begin).ticks};
    impl.record(What::woken);
  }
  if (impl.wait_shape == Wait::by_seed) {
    impl.wait_shape = impl.random.below(2) == 0 ? Wait::returns_masked : Wait::takes;
  }
  if (impl.wait_shape == Wait::takes) {
    impl.cpu().masked = false;
    impl.take_interrupts();
    impl.cpu().masked = true;
  }
}

void Machine::kick(CpuNumber number) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("kick");
  impl.point();
  impl.require(impl.cpu().local != nullptr, "kick: before start_cpu");
  for (World::Impl::Cpu& cpu : impl.cpus) {
    if (cpu.local == nullptr || cpu.local->number != number) continue;
    impl.step_at(Explorer::What::kick, World::Impl::wire(cpu), true);
    impl.record(What::kick, number);
    sanitizer::release(&cpu.kick_order);
    if (impl.races) impl.races->release(impl.cpu().index, World::Impl::address(cpu.kicked));
    if (impl.explores()) return impl.send_kick(cpu);
    cpu.kicked = std::min(cpu.kicked, impl.now + impl.options.kick_latency);
    if (&cpu == &impl.cpu() && !cpu.masked) impl.take_interrupts();
    return;
  }
  impl.misuse("kick: no CPU was started with this number");
}

void Machine::panic(const char* rule, const char* task) {
  if (running_world == nullptr) {
    std::fprintf(stderr, "hal::sim: panic outside a running world: %s (task %s)\n", rule,
                 task != nullptr ? task : "none");
    std::abort();
  }
  sanitizer::hide();
  World::Impl::here("panic").fail(End::panic, What::panic, rule, task);
}

void Machine::load_space(Space space) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("load_space");
  impl.point();
  impl.require(impl.cpu().masked, "load_space: interrupts are not masked");
  impl.record(What::load_space, space.root);
  impl.cpu().report.space = space;
  ++impl.cpu().report.space_loads;
}

void Machine::swap_fpu(Fpu* save, const Fpu* load) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("swap_fpu");
  impl.point();
  World::Impl::Cpu& cpu = impl.cpu();
  impl.require(cpu.masked, "swap_fpu: interrupts are not masked");
  if (save != nullptr) {
    *save = cpu.fpu;
    ++cpu.report.fpu_saves;
  }
  if (load != nullptr) {
    cpu.fpu = *load;
    ++cpu.report.fpu_loads;
  }
}

void Machine::relax() {
  // With an explorer a CPU that looks at the same thing again loses its turn by that.
  if (running_world == nullptr || running_world->impl_->explorer() == nullptr) spend(Duration{1});
}

void Machine::spend(Duration work) {
  const sanitizer::Unseen unseen;
  World::Impl& impl = World::Impl::here("spend");
  impl.point();
  while (work > Duration{}) {
    const Instant begin = impl.now;
    impl.cpu().state = World::Impl::Cpu::State::spending;
    impl.cpu().continues = begin + work;
    impl.cpu().next = {.what = Explorer::What::spend};
    impl.cpu().next.add(impl.clock(), false);
    impl.until_event();
    const Duration done = std::min(impl.now - begin, work);  // an explorer's clock may be ahead
    work.ticks -= done.ticks;
    impl.cpu().report.worked.ticks += done.ticks;
    if (!impl.cpu().masked) impl.take_interrupts();
  }
}

Fpu& Machine::fpu() {
  const sanitizer::Unseen unseen;
  return World::Impl::here("fpu").cpu().fpu;
}

}  // namespace hal::sim
