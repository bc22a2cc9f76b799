"""The rules behind the macros of platforms/defs.bzl: an image, built for its platform, and a script that boots it."""

_PLATFORMS = ["aarch64", "riscv64", "x86_64"]

_RESET = ["conlyopt", "copt", "cxxopt", "linkopt"]

def _flag(name):
    return "//command_line_option:" + name

def _image_transition_impl(settings, attr):
    result = {_flag(name): [] for name in _RESET}
    result[_flag("collect_code_coverage")] = False
    result[_flag("compilation_mode")] = "opt" if attr.optimized else settings[_flag("compilation_mode")]

    # A sanitizer or coverage is for this machine's tests; it would break a kernel.
    result[_flag("features")] = [
        name
        for name in settings[_flag("features")]
        if name == "warnings_are_errors"
    ]

    # Bazel's default drops debug information in fastbuild, where -g is on for backtraces and debuggers.
    result[_flag("strip")] = "never"
    result[_flag("platforms")] = [str(Label("//platforms:" + attr.platform))]
    return result

_image_transition = transition(
    implementation = _image_transition_impl,
    inputs = [_flag("compilation_mode"), _flag("features")],
    outputs = [_flag(name) for name in _RESET + [
        "collect_code_coverage",
        "compilation_mode",
        "features",
        "platforms",
        "strip",
    ]],
)

def _quote(word):
    return "'" + word.replace("'", "'\\''") + "'"

# The script finds its files relative to its runfiles, wherever it is started from: by `bazel run`, as a test,
# as a file of another test, or by hand from bazel-bin.
_SCRIPT = """#!/bin/bash
set -euo pipefail
if [[ -d "$0.runfiles" ]]; then
  runfiles="$0.runfiles"
elif [[ "$0" == *.runfiles/* ]]; then
  runfiles="${0%%%%.runfiles/*}.runfiles"
else
  runfiles="${TEST_SRCDIR:-${RUNFILES_DIR:?cannot find the runfiles of $0}}"
fi
cd "${runfiles}/%s"
exec %s "$@"
"""

def _qemu_impl(ctx):
    elf = ctx.actions.declare_file(ctx.label.name + ".elf")
    ctx.actions.symlink(output = elf, target_file = ctx.file.image)

    words = [
        ctx.file._launcher.short_path,
        "--cpu=" + ctx.attr.platform,
        "--image=" + elf.short_path,
        "--memory=" + ctx.attr.memory,
        "--cpus=%d" % ctx.attr.cpus,
    ]
    if ctx.attr.cpus_argument:
        words.append("--cpus-argument=" + ctx.attr.cpus_argument)
    if ctx.attr.icount:
        words.append("--icount")
    words += ["--option=" + option for option in ctx.attr.qemu_options]
    words += ["--one-cpu-option=" + option for option in ctx.attr.one_cpu_options]
    words += ctx.attr.launcher_flags + ["--"] + ctx.attr.guest_args

    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        output = script,
        content = _SCRIPT % (ctx.workspace_name, " ".join([_quote(word) for word in words])),
        is_executable = True,
    )
    return [DefaultInfo(
        executable = script,
        files = depset([elf]),
        runfiles = ctx.runfiles(files = [elf, script, ctx.file._launcher]),
    )]

_ATTRS = {
    "cpus": attr.int(default = 1),
    "cpus_argument": attr.string(),
    "guest_args": attr.string_list(),
    "icount": attr.bool(),
    "image": attr.label(mandatory = True, allow_single_file = True, cfg = _image_transition),
    "launcher_flags": attr.string_list(),
    "memory": attr.string(default = "128M"),
    "one_cpu_options": attr.string_list(),
    "optimized": attr.bool(),
    "platform": attr.string(default = "x86_64", values = _PLATFORMS),
    "qemu_options": attr.string_list(),
    "_allowlist_function_transition": attr.label(
        default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
    ),
    "_launcher": attr.label(default = "//platforms/qemu:launcher", allow_single_file = True),
}

def _platform_files_impl(ctx):
    return [DefaultInfo(
        files = depset(ctx.files.srcs),
        runfiles = ctx.runfiles(files = ctx.files.srcs),
    )]

platform_files = rule(
    implementation = _platform_files_impl,
    attrs = {
        "optimized": attr.bool(doc = "Build with -c opt, whatever the build's own mode."),
        "platform": attr.string(mandatory = True, values = _PLATFORMS),
        "srcs": attr.label_list(mandatory = True, cfg = _image_transition),
        "_allowlist_function_transition": _ATTRS["_allowlist_function_transition"],
    },
    doc = """The files of `srcs`, built for `platform`, in a build for this machine.

    For tests and reports that look into archives and images: sizes, symbols, sections.""",
)

qemu_run_rule = rule(
    implementation = _qemu_impl,
    attrs = _ATTRS,
    executable = True,
    doc = "See qemu_run in platforms/defs.bzl.",
)

# A test rule's name ends in _test.
qemu_rule_test = rule(
    implementation = _qemu_impl,
    attrs = _ATTRS,
    test = True,
    doc = "See qemu_test in platforms/defs.bzl.",
)
