// What the switch costs on this very CPU, beside the two usual ways to change stacks in a process:
// Boost.Context's jump_fcontext and the C library's swapcontext, all in one run.
//
// Two stacks switch to each other and do nothing else. The switch is the one that boots on this
// host's architecture (`hal/<arch>/switch.*`) as `hal/sim` calls it; the simulation's checks and
// bookkeeping are not in it. Two differences are to be kept in mind. jump_fcontext also saves and
// loads the floating-point control words (on x86_64 MXCSR and the x87 control word, which the ABI
// preserves too, and which a kernel built without floating point never touches), and carries a word
// across. swapcontext also saves the signal mask, by a system call.
//
// bazel run -c opt //bench:host_switch

#include <ucontext.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "hal/stack/stack_switch.h"

namespace {

alignas(16) std::byte other_stack[64 * 1024];

// This project's switch: what the two sides saved.
void* here = nullptr;
void* there = nullptr;

void answer() {
  for (;;) hal::stack::switch_stack(&there, here);
}

void baton(benchmark::State& state) {
  there = hal::stack::prepare_stack(other_stack, &answer);
  for (auto _ : state) hal::stack::switch_stack(&here, there);
}

namespace fcontext = boost::context::detail;

void answer_fcontext(fcontext::transfer_t from) {
  for (;;) from = fcontext::jump_fcontext(from.fctx, nullptr);
}

void jump_fcontext(benchmark::State& state) {
  fcontext::fcontext_t there = fcontext::make_fcontext(other_stack + sizeof(other_stack),
                                                       sizeof(other_stack), &answer_fcontext);
  for (auto _ : state) there = fcontext::jump_fcontext(there, nullptr).fctx;
}

ucontext_t ucontext_here;
ucontext_t ucontext_there;

void answer_ucontext() {
  for (;;) ::swapcontext(&ucontext_there, &ucontext_here);
}

void swapcontext(benchmark::State& state) {
  getcontext(&ucontext_there);
  ucontext_there.uc_stack.ss_sp = other_stack;
  ucontext_there.uc_stack.ss_size = sizeof(other_stack);
  makecontext(&ucontext_there, &answer_ucontext, 0);
  for (auto _ : state) ::swapcontext(&ucontext_here, &ucontext_there);
}

constexpr int kRepetitions = 9;
BENCHMARK(baton)->Repetitions(kRepetitions)->MinTime(0.05);
BENCHMARK(jump_fcontext)->Repetitions(kRepetitions)->MinTime(0.05);
BENCHMARK(swapcontext)->Repetitions(kRepetitions)->MinTime(0.05);

// Prints, instead of every repetition, the median of each in nanoseconds a switch and its ratio.
class Ratios : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.iterations == 0) continue;
      // An iteration is there and back.
      times_[run.run_name.function_name].push_back(run.cpu_accumulated_time * 1e9 /
                                                   static_cast<double>(run.iterations) / 2);
    }
  }

  void Finalize() override {
    const double own = median("baton");
    std::printf("%-14s %10s %12s\n", "switch", "ns", "baton takes");
    for (const char* name : {"baton", "jump_fcontext", "swapcontext"}) {
      if (times_[name].empty()) continue;
      std::printf("%-14s %10.2f %11.2fx\n", name, median(name), own / median(name));
    }
    std::printf(
        "\nNanoseconds a switch, median of %d runs. jump_fcontext also saves the floating-point\n"
        "control words (MXCSR and the x87 control word on x86_64); swapcontext also saves the\n"
        "signal mask, by a system call.\n",
        kRepetitions);
  }

 private:
  double median(const std::string& name) {
    std::vector<double>& times = times_[name];
    if (times.empty()) return 0;
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  std::map<std::string, std::vector<double>> times_;
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  Ratios ratios;
  benchmark::RunSpecifiedBenchmarks(&ratios);
  return 0;
}
