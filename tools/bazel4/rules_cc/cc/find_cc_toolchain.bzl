"""Stand-in for the file of this name in rules_cc."""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", _find_cpp_toolchain = "find_cpp_toolchain")

find_cpp_toolchain = _find_cpp_toolchain

def use_cc_toolchain():
    """The value of a rule's `toolchains` that gives it a C++ toolchain."""
    return ["@bazel_tools//tools/cpp:toolchain_type"]
