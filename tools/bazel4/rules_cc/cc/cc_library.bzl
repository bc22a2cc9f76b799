"""Stand-in for the file of this name in rules_cc."""

cc_library = native.cc_library
