"""Rules for tests: cc_build_failure_test, for misuse that a header promises to refuse, and sanitized_test."""

load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cpp_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

# Runs the compiler, keeps what it says and whether it failed. Its output is thrown away.
_COMPILE = """
log="$1"; object="$2"; shift 2
if "$@" > "${log}" 2>&1; then
  echo "compiled without an error" >> "${log}"
fi
rm -f "${object}"
"""

_TEST = """#!/bin/bash
log='%s'
if [[ "$(tail -n 1 "${log}")" == "compiled without an error" ]]; then
  echo "FAILED: it compiles; what it says:"
elif ! grep -qE -- '%s' "${log}"; then
  echo "FAILED: the compiler's message has no line that matches the expected one; what it says:"
else
  exit 0
fi
cat "${log}"
exit 1
"""

def _cc_build_failure_test_impl(ctx):
    cc_toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = cc_toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    context = cc_common.merge_cc_infos(
        cc_infos = [dep[CcInfo] for dep in ctx.attr.deps],
    ).compilation_context
    log = ctx.actions.declare_file(ctx.label.name + ".log")
    object = log.path + ".o"
    variables = cc_common.create_compile_variables(
        feature_configuration = features,
        cc_toolchain = cc_toolchain,
        source_file = ctx.file.src.path,
        output_file = object,
        user_compile_flags = ctx.fragments.cpp.copts + ctx.fragments.cpp.cxxopts + ctx.attr.copts,
        include_directories = context.includes,
        quote_include_directories = depset(["."], transitive = [context.quote_includes]),
        system_include_directories = context.system_includes,
        preprocessor_defines = context.defines,
    )
    compile = ACTION_NAMES.cpp_compile
    ctx.actions.run_shell(
        command = _COMPILE,
        arguments = [
            log.path,
            object,
            cc_common.get_tool_for_action(feature_configuration = features, action_name = compile),
        ] + cc_common.get_memory_inefficient_command_line(
            feature_configuration = features,
            action_name = compile,
            variables = variables,
        ),
        env = cc_common.get_environment_variables(
            feature_configuration = features,
            action_name = compile,
            variables = variables,
        ),
        inputs = depset([ctx.file.src], transitive = [context.headers, cc_toolchain.all_files]),
        outputs = [log],
        mnemonic = "CcBuildFailure",
        progress_message = "Compiling %s, which has to fail" % ctx.file.src.short_path,
    )

    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        output = script,
        content = _TEST % (log.short_path, ctx.attr.expect_error.replace("'", "'\\''")),
        is_executable = True,
    )
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(files = [log]))]

_cc_build_failure_test = rule(
    implementation = _cc_build_failure_test_impl,
    attrs = {
        "copts": attr.string_list(),
        "deps": attr.label_list(providers = [CcInfo]),
        "expect_error": attr.string(mandatory = True),
        "src": attr.label(mandatory = True, allow_single_file = [".cc"]),
    },
    fragments = ["cpp"],
    test = True,
    toolchains = use_cc_toolchain(),
    doc = "See cc_build_failure_test below.",
)

def cc_build_failure_test(name, src, expect_error, **kwargs):
    """Passes only if compiling `src` fails with a message that matches `expect_error`.

    The compiler is the one of the build's platform with the flags that a cc_library would get, so the same
    source with the mistake taken out compiles. The expected message keeps the test from passing for another
    mistake.

    Args:
      name: the target.
      src: what must not compile.
      expect_error: an extended regular expression that a line of the compiler's message must match.
      **kwargs: deps and copts as of cc_library, and what every test takes.
    """
    _cc_build_failure_test(
        name = name,
        src = src,
        expect_error = expect_error,
        size = kwargs.pop("size", "small"),
        **kwargs
    )

def _sanitizer_transition_impl(_settings, attr):
    return {
        "//command_line_option:collect_code_coverage": False,
        "//command_line_option:compilation_mode": "dbg",
        "//command_line_option:features": attr.sanitizers,
    }

_sanitizer_transition = transition(
    implementation = _sanitizer_transition_impl,
    inputs = [],
    outputs = [
        "//command_line_option:collect_code_coverage",
        "//command_line_option:compilation_mode",
        "//command_line_option:features",
    ],
)

def _sanitized_test_impl(ctx):
    test = ctx.attr.test[0][DefaultInfo]
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = test.files_to_run.executable, is_executable = True)
    return [DefaultInfo(executable = program, runfiles = test.default_runfiles)]

_sanitized_test = rule(
    implementation = _sanitized_test_impl,
    attrs = {
        "sanitizers": attr.string_list(mandatory = True),
        "test": attr.label(mandatory = True, cfg = _sanitizer_transition),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    test = True,
    doc = "See sanitized_test below.",
)

def sanitized_test(name, test, sanitizers, **kwargs):
    """A cc_test once more, with everything it is linked with built under sanitizers, in any build.

    For tests whose point is what a sanitizer sees, such as a race between two real threads. The tag
    `sanitizer` keeps them out of a run that is under sanitizers as a whole.

    Args:
      name: the target.
      test: the cc_test; it may be one that is also run as it is, or tagged `manual`.
      sanitizers: features of the host toolchain: `["tsan"]`, or `["asan", "ubsan"]`.
      **kwargs: what every test takes.
    """
    _sanitized_test(
        name = name,
        test = test,
        sanitizers = sanitizers,
        size = kwargs.pop("size", "small"),
        tags = kwargs.pop("tags", []) + ["sanitizer"],
        **kwargs
    )
