"""Stand-in for the file of this name in rules_cc."""

cc_test = native.cc_test
