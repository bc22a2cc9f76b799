// An image that says something and then never ends.

#include "tests/platforms/machine.h"

void image_main() {
  print("about to hang\n");
  for (;;) asm volatile("");
}
