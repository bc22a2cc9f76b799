// The demo's kernel going wrong, in the way and under the policy that the arguments name:
// `round_robin overflow`.

#include <string_view>

#include "kernel_demo/crash.h"
#include "kernel_demo/kernel.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/words.h"

namespace {

template <typename P>
[[noreturn]] void crash(std::string_view way) {
  using Crash = demo::Crash<P>;
  static constinit const typename Crash::Way* chosen = nullptr;
  chosen = Crash::find(way);
  if (chosen == nullptr) kit::panic("no such way to crash", nullptr);
  demo::Kernel<P>::boot([](void*) {
    Crash::go(*chosen);
    kit::print("nothing happened\n");
    kit::finish(true);
  });
}

}  // namespace

void kernel_main() {
  demo::guard_stacks();
  demo::prepare_diagnosis();
  std::string_view arguments = kit::arguments();
  const std::string_view policy = demo::take_word(arguments);
  const std::string_view way = demo::take_word(arguments);
  if (policy == "fifo") crash<sched::Fifo>(way);
  if (policy == "round_robin") crash<sched::RoundRobin>(way);
  if (policy == "fixed_priority") crash<sched::FixedPriority>(way);
  kit::panic("no such policy", nullptr);
}
