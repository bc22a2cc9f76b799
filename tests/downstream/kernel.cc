// A kernel of another workspace.

#include "kernel_demo/kit.h"

extern "C" bool baton_interrupt(uintptr_t) { return false; }
extern "C" void baton_preempt() {}

extern "C" void kernel_main() {
  kit::print("both tasks are done\n");
  kit::finish(true);
}
