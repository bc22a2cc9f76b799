"""Stand-in for the file of this name in rules_cc."""

cc_binary = native.cc_binary
