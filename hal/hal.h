// The machine: all that the scheduler asks of hardware, in fourteen functions.
//
// A machine is a type with static functions; it is never instantiated. `hal::Machine` is the
// twelve that every machine has, `hal::SpaceMachine` the two more of one whose tasks live in
// address spaces of their own or use the FPU. Machines here: `hal/x86_64`, `hal/aarch64`,
// `hal/riscv64` (bare metal), `hal/sim` (virtual CPUs and virtual time in a host process) and
// `hal/host` (threads of a process as CPUs).
// `docs/porting.md` walks through a new one; `static_assert(hal::Machine<MyMachine>)` at the end
// of its header names whatever is missing or mistyped.
//
// A kernel that wants its own word on something derives and hides:
//
//     struct Machine : hal::riscv64::Machine {
//       [[noreturn]] static void panic(const char* rule, const char* task);  // print, then stop
//     };
//
// Words used below. *Masked*: this CPU takes no interrupt. *Local*: the machine's own data of one
// CPU; the kernel (in practice `sched::Scheduler::Cpu`, which derives from it) provides the
// storage, so that a machine needs no mutable global.

#ifndef BATON_HAL_HAL_H_
#define BATON_HAL_HAL_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/time.h"

namespace hal {

/// Which CPU: 0 for the one that boots, then densely upward. Chosen by the kernel, not by the
/// hardware; `kick` translates.
using CpuNumber = uint16_t;

/// What every machine's `Local` begins with.
struct LocalBase {
  CpuNumber number = 0;
};

/// What a new task runs first, on its own stack.
using Entry = void (*)(void* argument);

/// A machine that a scheduler can run on. Unless a line says otherwise a function may be called
/// from any context on any CPU, does not block, and costs a handful of instructions.
template <typename M>
concept Machine =
    // Types. `Local` must be constant-initialisable; `Context` is what a task keeps while it does
    // not run (usually one stack pointer: the registers are on its stack); `Irq` is a saved
    // interrupt state, and `M::kUnmasked` the one that lets interrupts in.
    requires { requires std::derived_from<typename M::Local, LocalBase>; } &&
    requires { requires std::default_initializable<typename M::Context>; } &&
    requires { requires std::copyable<typename M::Irq>; } &&

    // start_cpu(local, number): once on each CPU at boot, masked, before anything else here.
    // Makes `local` this CPU's block, numbers it, and readies its timer and its kicks. Leaves
    // interrupts masked and the timer quiet.
    requires(typename M::Local& local, CpuNumber number) {
      { M::start_cpu(local, number) } -> std::same_as<void>;
    } &&
    // local(): this CPU's block. A task that may migrate must be masked, or the answer may be
    // stale by the time it is used; never keep it across a switch.
    requires {
      { M::local() } -> std::same_as<typename M::Local*>;
    } &&
    // A machine on which that costs less if the compiler may keep the answer may have local_once()
    // as well: for a function that is not inlined and asks before any switch.
    //
    // now(): this CPU's clock. Above zero, never goes back on one CPU; may be read a few cycles
    // early or late (it is not a barrier). Skew between CPUs is stated by each machine. Of a clock
    // that may go back hal/steady_clock.h makes one that does not.
    requires {
      { M::now() } -> std::same_as<Instant>;
    } &&
    // ticks_per_second(): the rate of `now`. Constant after `start_cpu`.
    requires {
      { M::ticks_per_second() } -> std::same_as<uint64_t>;
    } &&
    // arm(when): masked. One interrupt at `when`, replacing whatever was armed; an instant in the
    // past interrupts at once, `never` silences the line; an interrupt that was under way may
    // still come. Early only where `when` is farther than the hardware reaches.
    requires(Instant when) {
      { M::arm(when) } -> std::same_as<void>;
    } &&
    // mask(): masks interrupts and returns the state before. A compiler barrier. Needs no
    // `start_cpu`; nor does `unmask`.
    requires {
      { M::mask() } -> std::same_as<typename M::Irq>;
    } &&
    // A machine that takes time to tell the state may have mask_unmasked() as well: the same, for a
    // caller that knows that interrupts are unmasked, and returns nothing.
    //
    // unmask(irq): back to a state that `mask` returned, or to `M::kUnmasked`. A compiler barrier;
    // what became pending meanwhile is taken at once.
    requires(typename M::Irq irq) {
      { M::unmask(irq) } -> std::same_as<void>;
      { M::unmask(M::kUnmasked) } -> std::same_as<void>;
      { irq == M::kUnmasked } -> std::convertible_to<bool>;
    } &&
    // make_context(stack, entry, argument): builds, at the high end of `stack`, what the first
    // switch to it loads: `entry(argument)` with interrupts unmasked, every other general register
    // zero, and a frame that ends a backtrace. `entry` must not return. Writes at most
    // `kContextBytes` of the stack, which is 16-byte aligned and at least twice as large.
    requires(std::span<std::byte> stack, Entry entry, void* argument) {
      { M::make_context(stack, entry, argument) } -> std::same_as<typename M::Context>;
      { M::kContextBytes } -> std::convertible_to<size_t>;
    } &&
    // switch_to<kOffset>(from, to): masked, and returns masked, when somebody switches to `from`
    // again. Saves what the ABI preserves across a call and nothing else, on the stack of `from`,
    // then loads `to`. A compiler barrier. `from` and `to` are objects (tasks) with a `Context`
    // `kOffset` bytes into them: the objects' addresses are at hand where this is called, and the
    // offset costs nothing in a load, so no address has to be computed.
    requires(void* from, void* to) {
      { M::template switch_to<0>(from, to) } -> std::same_as<void>;
    } &&
    // wait(): masked, on an idle CPU. Sleeps until an interrupt is pending and returns masked,
    // whether it has taken it or not; an interrupt that arrived after `mask` ends the wait at once,
    // so there is no lost wake-up between "nothing to do" and "wait".
    requires {
      { M::wait() } -> std::same_as<void>;
    } &&
    // kick(cpu): an interrupt on that CPU (this one too) that its kernel answers with `on_kick`.
    // Everything stored before is visible to the handler. Kicks may merge, and may come late.
    requires(CpuNumber cpu) {
      { M::kick(cpu) } -> std::same_as<void>;
    } &&
    // A machine to which it is simpler may have kick_self() as well: the same for the CPU that
    // calls. A machine may have relax() as well: a pause between two looks at memory that another
    // CPU is about to change. Returns soon. One that leaves a task's registers on the CPU may have
    // leave_cpu(context) and leave_cpu() as well: masked, they save those of a task that is about
    // to go to another CPU, or whosever are there (hal/space.h).
    //
    // panic(rule, task): the scheduler found something that must not be: says which rule was
    // broken and by which task (a name, or null where no task is to blame), and never returns.
    requires(const char* rule, const char* task) {
      { M::panic(rule, task) } -> std::same_as<void>;
    };

/// A machine that knows how its CPUs hang together. Without it they are all alike.
///
/// distance(a, b): how far apart two CPUs are, 0 for two threads of one core; whoever shares more
/// (a cache, a memory node) is nearer. capacity(cpu): how much it gets done, compared with others.
template <typename M>
concept HasTopology = Machine<M> && requires(CpuNumber cpu) {
  { M::distance(cpu, cpu) } -> std::convertible_to<unsigned>;
  { M::capacity(cpu) } -> std::convertible_to<unsigned>;
};

/// A machine with address spaces and an FPU (or vector unit) to switch; see `hal/space.h`, the
/// only caller of these two.
template <typename M>
concept SpaceMachine = Machine<M> &&
                       // `Space` is an address space's root, `M::Space{}` "any: runs in whichever
                       // is loaded". `Fpu` is the memory that one FPU state is saved in.
                       requires { requires std::equality_comparable<typename M::Space>; } &&
                       requires { requires std::default_initializable<typename M::Fpu>; } &&
                       // load_space(space): masked. Address translation goes through `space` when
                       // it returns, with nothing stale of another one visible.
                       requires(typename M::Space space) {
                         { M::load_space(space) } -> std::same_as<void>;
                       } &&
                       // swap_fpu(save, load): masked. Stores this CPU's FPU registers to `save`,
                       // then loads them from `load`; a null pointer skips that half.
                       requires(typename M::Fpu* save, const typename M::Fpu* load) {
                         { M::swap_fpu(save, load) } -> std::same_as<void>;
                       };

}  // namespace hal

#endif  // BATON_HAL_HAL_H_
