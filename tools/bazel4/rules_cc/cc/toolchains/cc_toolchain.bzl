"""Stand-in for the file of this name in rules_cc."""

cc_toolchain = native.cc_toolchain
