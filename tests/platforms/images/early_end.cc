// An image whose machine ends under it.

#include "tests/platforms/machine.h"

void image_main() {
  print("about to end without a result\n");
  end_machine();
}
