// The stacks of a world: real ones, and what the sanitizers have to know of each switch.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hal/sim/explorer.h"
#include "hal/sim/log.h"
#include "hal/sim/sanitizer.h"
#include "hal/sim/sim.h"
#include "hal/sim/world.h"
#include "hal/stack/stack_switch.h"

namespace hal::sim {

using hal::stack::prepare_stack;
using hal::stack::switch_stack;

BATON_UNCHECKED void World::Impl::change_stack(Context& save, const Context& load, bool ordered) {
  void* const load_pointer = load.stack_pointer;
  const Fiber& next = fiber(load);
  sanitizer::show();
  sanitizer::leave(&fiber(save).fake_stack, next.stack);
  sanitizer::change_fiber(next.tsan, ordered);
  switch_stack(&save.stack_pointer, load_pointer);
  arrived();
  sanitizer::hide();
}

BATON_UNCHECKED void World::Impl::arrived() {
  Fiber& running = fiber(current != nullptr ? current->running : hub);
  const std::span<std::byte> left = sanitizer::arrive(running.fake_stack);
  running.fake_stack = nullptr;
  if (from_hub) hub_fiber.stack = left;
  from_hub = false;
}

BATON_UNCHECKED auto World::Impl::fiber(const Context& context) -> Fiber& {
  return *static_cast<Fiber*>(context.fiber);
}

void World::Impl::to_hub() {
  Cpu& leaving = *current;
  current = nullptr;
  sanitizer::release(&guest_order);
  change_stack(leaving.running, hub, /*ordered=*/!options.find_races);
  sanitizer::acquire(&host_order);
}

void World::Impl::abandon() {
  to_hub();
  die("an abandoned stack was continued");
}

void World::Impl::adopt(Context& context) {
  std::erase_if(fibers, [&](const auto& old) {
    const bool overlap = old->stack.data() < context.stack.data() + context.stack.size() &&
                         context.stack.data() < old->stack.data() + old->stack.size();
    if (overlap) forget(*old);
    return overlap;
  });
  fibers.push_back(std::make_unique<Fiber>(Fiber{.id = ++last_fiber,
                                                 .stack = context.stack,
                                                 .fake_stack = nullptr,
                                                 .tsan = sanitizer::create_fiber()}));
  context.fiber = fibers.back().get();
}

void World::Impl::forget(const Fiber& fiber) {
  sanitizer::drop(fiber.fake_stack, fiber.stack);
  sanitizer::destroy_fiber(fiber.tsan);
}

void World::Impl::retire(const Fiber& fiber) {
  forget(fiber);
  sanitizer::forget_frames(fiber.stack);
}

BATON_UNCHECKED void World::Impl::start_stack() {
  here("start").arrived();
  run_stack();
}

void World::Impl::run_stack() {
  Impl& impl = here("start");
  sanitizer::hide();
  if (impl.cpu().running.entry == nullptr) {
    impl.record(What::boot);
    sanitizer::acquire(&impl.cpu().kick_order);
    const std::function<void()>& boot = impl.cpu().boot;  // not here: this stack may be abandoned
    {
      const sanitizer::Seen seen;
      boot();
    }
    impl.record(What::done);
    impl.cpu().state = Cpu::State::done;
    impl.cpu().report.done = true;
    impl.abandon();
  }
  const Entry entry = impl.cpu().running.entry;
  void* const argument = impl.cpu().running.argument;
  impl.cpu().masked = false;
  impl.unmasked();
  {
    const sanitizer::Seen seen;
    entry(argument);
  }
  impl.misuse("make_context: the entry returned");
}

auto World::Impl::new_context(std::span<std::byte> stack, Entry entry, void* argument) -> Context {
  sanitizer::forget_frames(stack);
  Context context;
  context.state = Context::State::saved;
  context.stack_pointer = prepare_stack(stack, &start_stack);
  context.stack = stack;
  context.entry = entry;
  context.argument = argument;
  return context;
}

void World::Impl::power_on(Cpu& cpu) {
  if (explorer() != nullptr) {
    explorer()->name(&cpu.kick_travels, 1, "to CPU " + std::to_string(cpu.index));
  }
  cpu.boot_stack.emplace(options.boot_stack);
  cpu.running = new_context(*cpu.boot_stack, nullptr, nullptr);
  adopt(cpu.running);
  cpu.running.state = Context::State::running;
}

}  // namespace hal::sim
