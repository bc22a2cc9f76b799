// The same without the mistake: that it compiles is a test of the test.

#include "tests/build_defs/refuses.h"

int main() { return refuses(3); }
