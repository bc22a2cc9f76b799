// An image that claims success without a word.

#include "tests/platforms/machine.h"

void image_main() { exit_qemu(33); }
