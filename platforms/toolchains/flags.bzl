"""What the bare-metal and the host toolchain have in common: the shape of a feature, and the modes."""

load("@baton_host_tools//:paths.bzl", "AR", "CLANG", "COV", "LLD", "LLVM_PREFIX", "NM", "OBJCOPY", "OBJDUMP", "PROFDATA", "STRIP")
load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load("@rules_cc//cc:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path", "with_feature_set")

ASSEMBLE = [ACTION_NAMES.assemble, ACTION_NAMES.preprocess_assemble]
COMPILE_C = [ACTION_NAMES.c_compile]
COMPILE_CXX = [
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_module_compile,
    ACTION_NAMES.cpp_module_codegen,
    ACTION_NAMES.linkstamp_compile,
]
COMPILE = COMPILE_C + COMPILE_CXX
LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

TOOL_PATHS = [
    tool_path(name = name, path = path)
    for name, path in {
        "ar": AR,
        "cpp": CLANG,
        "dwp": "/bin/false",
        "gcc": CLANG,
        # Bazel calls the profile merger by this name where coverage is in clang's format.
        "gcov": PROFDATA,
        "ld": LLD,
        "llvm-cov": COV,
        "llvm-profdata": PROFDATA,
        "nm": NM,
        "objcopy": OBJCOPY,
        "objdump": OBJDUMP,
        "strip": STRIP,
    }.items()
]

def flags(actions, values, only_in = None):
    """A flag_set that gives `values` to `actions`, in the compilation mode `only_in` or in every one."""
    return flag_set(
        actions = actions,
        flag_groups = [flag_group(flags = values)],
        with_features = [with_feature_set(features = [only_in])] if only_in else [],
    )

def switch(name, compile = [], link = [], enabled = False):
    """A feature that adds flags to compiling and to linking while it is on.

    Args:
      name: what one writes into `features`.
      compile: flags for C and C++.
      link: flags for linking.
      enabled: whether it is on by default.

    Returns:
      The feature.
    """
    flag_sets = []
    if compile:
        flag_sets.append(flags(COMPILE, compile))
    if link:
        flag_sets.append(flags(LINK, link))
    return feature(name = name, enabled = enabled, flag_sets = flag_sets)

# The same bytes from a checkout anywhere: every path that gets into an object is relative to the
# workspace or begins with a name instead of this machine's directory.
REPRODUCIBLE = [
    "-ffile-compilation-dir=.",
    "-ffile-prefix-map=" + LLVM_PREFIX + "=llvm",
    "-Wno-builtin-macro-redefined",
    "-D__DATE__=\"redacted\"",
    "-D__TIME__=\"redacted\"",
    "-D__TIMESTAMP__=\"redacted\"",
]

# Bazel's three modes, alike on every platform: fastbuild is the optimised code with its assertions,
# opt is what one ships and measures, dbg is for stepping through.
MODES = [
    flags(COMPILE, ["-O2", "-g", "-fno-omit-frame-pointer"], "fastbuild"),
    flags(COMPILE, ["-O2", "-DNDEBUG", "-fomit-frame-pointer"], "opt"),
    flags(COMPILE, ["-O1", "-g", "-fno-omit-frame-pointer"], "dbg"),
    flags(ASSEMBLE, ["-g"], "fastbuild"),
    flags(ASSEMBLE, ["-g"], "dbg"),
    flags(ASSEMBLE, ["-DNDEBUG"], "opt"),
]

COMMON_FEATURES = [
    feature(name = "fastbuild"),
    feature(name = "opt"),
    feature(name = "dbg"),
    switch("warnings_are_errors", compile = ["-Werror"]),
]
