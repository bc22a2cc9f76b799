// The demo kernel begins here: it reads its arguments and does what they say.

#include <string_view>

#include "kernel_demo/arguments.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/processes.h"
#include "kernel_demo/selftest/selftest.h"
#include "kernel_demo/shared.h"
#include "kernel_demo/shell/shell.h"
#include "kernel_demo/smp/smp.h"
#include "kernel_demo/stacks.h"
#include "kernel_demo/stage.h"
#include "kernel_demo/threads.h"
#include "kernel_demo/tour/tour.h"

namespace demo {
namespace {

[[noreturn]] void refuse(const ArgumentError& error) {
  kit::print("\nargument {} {}. Arguments are:\n\n", error.word, error.problem);
  for (const ArgumentHelp& help : argument_help()) {
    kit::print("  {:<10}{:<52}{}\n", help.name, help.values, help.meaning);
  }
  kit::print("\npolicies:");
  for (const std::string_view name : policy_names()) kit::print(" {}", name);
  kit::print("\n\nfor example: run=threads policy=round_robin tasks=8 seconds=2\n");
  kit::finish(false);
}

[[noreturn]] void start(const Arguments& arguments) {
  switch (arguments.run) {
    case Run::tour: run_tour();
    case Run::threads: run_threads(arguments);
    case Run::processes: run_processes(arguments);
    case Run::shared: run_shared(arguments);
    case Run::shell: run_shell(arguments);
    case Run::smp: run_smp(arguments);
    case Run::selftest: run_selftest();
  }
}

}  // namespace
}  // namespace demo

void kernel_main() {
  demo::guard_stacks();
  demo::prepare_diagnosis();
  const auto arguments = demo::parse_arguments(kit::arguments());
  if (!arguments) demo::refuse(arguments.error());
  demo::start(*arguments);
}
