// An image that reports a panic and still ends with success: the line counts.

#include "tests/platforms/machine.h"

void image_main() {
  print("PANIC: for show\n");
  exit_qemu(33);
}
