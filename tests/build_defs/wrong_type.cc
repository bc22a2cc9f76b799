// Must not compile: the very mistake that tests of build_defs.bzl look for.

#include "tests/build_defs/refuses.h"

int main() { return refuses(3.0); }
