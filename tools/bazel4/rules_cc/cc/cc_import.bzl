"""Stand-in for the file of this name in rules_cc."""

cc_import = native.cc_import
