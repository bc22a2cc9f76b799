"""Stand-in for the file of this name in rules_cc."""

cc_toolchain_suite = native.cc_toolchain_suite
