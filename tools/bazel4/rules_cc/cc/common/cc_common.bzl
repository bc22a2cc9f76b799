"""Stand-in for the file of this name in rules_cc."""

load("//cc/private:builtins.bzl", "builtin_cc_common")

cc_common = builtin_cc_common
