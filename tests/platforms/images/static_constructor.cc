// An image that must not link: its object is constructed at run time, and nobody would do that.

#include "tests/platforms/machine.h"

namespace {

struct Late {
  Late() { print("constructed\n"); }
} late;

}  // namespace

void image_main() { exit_qemu(33); }
