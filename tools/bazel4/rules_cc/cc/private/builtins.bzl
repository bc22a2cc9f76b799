"""Bazel 4's built-in C++ symbols under other names, so that the files beside can re-export them."""

BuiltinCcInfo = CcInfo
BuiltinCcToolchainConfigInfo = CcToolchainConfigInfo
builtin_cc_common = cc_common
