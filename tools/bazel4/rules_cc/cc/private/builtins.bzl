"""Bazel 4's built-in C++ symbols under other names, so that the files beside can re-export them."""

BuiltinCcInfo = CcInfo  # buildifier: disable=native-cc-info
BuiltinCcToolchainConfigInfo = CcToolchainConfigInfo
builtin_cc_common = cc_common  # buildifier: disable=native-cc-common
