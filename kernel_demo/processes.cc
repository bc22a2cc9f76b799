// Two processes of one program (user/pattern.cc): the same addresses, different pages, patterns of
// their own in all registers, and no word of consent to being interrupted.

#include "kernel_demo/processes.h"

#include <array>
#include <type_traits>

#include "kernel_demo/kernel.h"
#include "kernel_demo/user/pattern.h"
#include "kernel_demo/user/processes.h"

namespace demo {
namespace {

template <typename P>
class Demonstration {
  using Kernel = demo::Kernel<P>;
  using Processes = demo::Processes<Kernel>;
  using S = typename Kernel::S;
  using Traits = typename Kernel::Traits;
  static constexpr bool kTakesTurns = Traits::kPromise == Promise::shares;

 public:
  [[noreturn]] static void run(const Arguments& arguments) {
    arguments_ = arguments;
    Kernel::boot([](void*) { direct(); }, nullptr, arguments.cpus);
  }

 private:
  static constexpr uint16_t kFirsts[] = {1, 0x101};

  struct Half {
    Process* process = nullptr;
    uint64_t id = 0;
    typename Kernel::Task* task = nullptr;
    const std::byte* page = nullptr;
    uint64_t forced = 0;
  };

  static void direct() {
    kit::print("Two processes under {} for {} s. Neither ever yields.\n\n", Traits::kName,
               arguments_.seconds);
    const Duration slice =
        arguments_.slice != 0 ? microseconds(arguments_.slice) : milliseconds(kUsualSliceMs);
    Kernel::prepare(slice);
    Processes::start();
    {
      const typename S::NoPreempt guard;  // so that both begin together
      for (unsigned i = 0; i < halves_.size(); ++i) begin(halves_[i], i, slice);
    }
    for (const Half& half : halves_) {
      kit::print("process {}: {:#x} is page {:#x}, page table {:#x}\n", half.id, user::kBegin,
                 reinterpret_cast<uintptr_t>(half.page),
                 reinterpret_cast<uintptr_t>(half.process->space.top()));
    }
    const bool apart = halves_[0].page != halves_[1].page;
    bool intact = true;
    bool preempted = true;
    for (Half& half : halves_) {
      const int64_t ending = Processes::wait(half.id, kKernel);
      // The task's statistics are its last life's until its place is used again.
      half.forced = S::usage(*half.task).involuntary;
      kit::print("process {}: ended with {}, lost the CPU {} times\n", half.id, ending,
                 half.forced);
      intact = intact && ending == 0;
      preempted = preempted && half.forced > 0;
    }
    kit::print("\n{}: one address, two pages\n", apart ? "kept" : "BROKEN");
    kit::print("{}: registers, flags, stack pointer and FPU survive preemption and calls\n",
               intact ? "kept" : "BROKEN");
    // On more than one CPU each has its own.
    const bool take_turns = kTakesTurns && arguments_.cpus == 1;
    if (take_turns) kit::print("{}: both were preempted\n", preempted ? "kept" : "BROKEN");
    kit::finish(apart && intact && (preempted || !take_turns));
  }

  static void begin(Half& half, unsigned i, Duration slice) {
    const user::PatternArgument argument = {
        .first = kFirsts[i], .with_fpu = true, .milliseconds = arguments_.seconds * 1'000};
    const auto process = Processes::spawn("pattern", argument.word(), kKernel,
                                          Traits::worker(i, halves_.size(), slice));
    if (!process) kit::panic("a process cannot be spawned", nullptr);
    half.process = *process;
    half.id = (*process)->id;
    half.task = Processes::task_of(**process);
    half.page = (*process)->space.find(user::kBegin);
  }

  static inline constinit Arguments arguments_{};
  static inline constinit std::array<Half, 2> halves_{};
};

}  // namespace

void run_processes(const Arguments& arguments) {
  with_policy(arguments.policy,
              [&]<typename P>(std::type_identity<P>) { Demonstration<P>::run(arguments); });
}

}  // namespace demo
