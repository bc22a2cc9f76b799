"""Stand-in for the file of this name in rules_cc."""

load("//cc/private:builtins.bzl", "BuiltinCcInfo")

CcInfo = BuiltinCcInfo
