// Address spaces and FPU state: a machine whose tasks may each have their own.
//
//     using Machine = hal::WithSpaces<hal::Native>;
//     using S = sched::Scheduler<Machine, Policy>;
//
// `WithSpaces<M>` is machine `M` with two more words in a task's context and in a CPU's block. Its
// switch loads an address space or an FPU state only when what the next task needs differs from
// what this CPU has loaded:
//
//   - a task that has not adopted a space runs in whichever is loaded (a kernel's own tasks, whose
//     memory is mapped in every space), so a visit to one and back costs nothing;
//   - the FPU's registers stay where they are until another task with an FPU state runs: only then
//     are they saved, and the other's loaded.
//
// So a CPU may still be in the space of a task that has finished, or has gone to another CPU.
// Before a kernel frees its tables every CPU that has run in it must have been elsewhere
// (`leave_space`). A kernel whose spaces have one task each does that in two places: in the sink,
// and in its own `leave_cpu`; so a space is loaded on one CPU at a time, and nobody has to be
// interrupted.
//
// A kernel that needs neither uses `M` itself and pays for neither.

#ifndef BATON_HAL_SPACE_H_
#define BATON_HAL_SPACE_H_

#include <cstddef>
#include <span>

#include "hal/hal.h"

namespace hal {

/// See the head of this file.
template <SpaceMachine M>
struct WithSpaces : M {
  using Space = typename M::Space;
  using Fpu = typename M::Fpu;

  struct Local : M::Local {
    Space space{};       // loaded now; `Space{}`: the one that the CPU booted with
    Fpu* fpu = nullptr;  // whose registers are in the FPU; null: nobody's
  };

  struct Context : M::Context {
    Space space{};
    Fpu* fpu = nullptr;
  };

  static void start_cpu(Local& local, CpuNumber number) { M::start_cpu(local, number); }

  static Local* local() { return static_cast<Local*>(M::local()); }

  static Context make_context(std::span<std::byte> stack, Entry entry, void* argument) {
    Context context;
    static_cast<typename M::Context&>(context) = M::make_context(stack, entry, argument);
    return context;
  }

  template <size_t kOffset>
  static void switch_to(void* from, void* to) {
    load(*reinterpret_cast<const Context*>(static_cast<std::byte*>(to) + kOffset));
    // `M::Context` is the first base: the offset is the same.
    M::template switch_to<kOffset>(from, to);
  }

  /// The running task, whose context `mine` is, moves into `space` and uses the FPU with `fpu` from
  /// now on; null: it does not use it. From the task; returns in the new space. `fpu` must outlive
  /// the task, or be given to `forget`.
  static void adopt(Context& mine, Space space, Fpu* fpu) {
    const auto irq = M::mask();
    mine.space = space;
    mine.fpu = fpu;
    load(mine);
    M::unmask(irq);
  }

  /// The task whose context this is, which does not run, is about to go to another CPU: what this
  /// CPU's registers still hold of it is saved. Masked, on the CPU that it has run on last.
  static void leave_cpu(const Context& leaving) {
    Local& here = *local();
    if (leaving.fpu == nullptr || here.fpu != leaving.fpu) return;
    M::swap_fpu(here.fpu, nullptr);
    here.fpu = nullptr;
  }

  /// The same, whoever it is: the CPU is about to go.
  static void leave_cpu() {
    Local& here = *local();
    if (here.fpu != nullptr) M::swap_fpu(here.fpu, nullptr);
    here.fpu = nullptr;
  }

  /// This CPU goes over to `other` if it is in `space`. Masked.
  static void leave_space(Space space, Space other) {
    Local& here = *local();
    if (here.space != space) return;
    here.space = other;
    M::load_space(other);
  }

  /// No register is saved to `fpu` any more: its memory is about to be used for something else. On
  /// the CPU that the task ran on last; typically in the scheduler's sink.
  static void forget(const Fpu* fpu) {
    const auto irq = M::mask();
    if (local()->fpu == fpu) local()->fpu = nullptr;
    M::unmask(irq);
  }

 private:
  static void load(const Context& next) {
    Local& here = *local();
    if (next.space != Space{} && next.space != here.space) {
      here.space = next.space;
      M::load_space(next.space);
    }
    if (next.fpu != nullptr && next.fpu != here.fpu) {
      M::swap_fpu(here.fpu, next.fpu);
      here.fpu = next.fpu;
    }
  }
};

}  // namespace hal

#endif  // BATON_HAL_SPACE_H_
