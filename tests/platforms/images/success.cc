// An image that does everything right.

#include "tests/platforms/machine.h"

void image_main() {
  print("hello from the image\n");
  exit_qemu(33);
}
