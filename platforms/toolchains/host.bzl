"""The toolchain configuration for this machine: clang, lld and libstdc++, with sanitizers, libFuzzer and coverage."""

load("@baton_host_tools//:paths.bzl", "CLANG_HEADERS", "HOST_CPU", "INCLUDE_DIRECTORIES", "LLD", "LLVM_PREFIX")
load("@rules_cc//cc:cc_toolchain_config_lib.bzl", "feature")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/toolchains:cc_toolchain_config_info.bzl", "CcToolchainConfigInfo")
load(":flags.bzl", "ASSEMBLE", "COMMON_FEATURES", "COMPILE", "COMPILE_C", "COMPILE_CXX", "LINK", "MODES", "REPRODUCIBLE", "TOOL_PATHS", "flags", "switch")

def _host_toolchain_config_impl(ctx):
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "baton-host",
        compiler = "clang",
        host_system_name = "local",
        target_cpu = HOST_CPU,
        target_libc = "glibc",
        target_system_name = HOST_CPU + "-linux-gnu",
        abi_libc_version = "glibc",
        abi_version = "clang",
        tool_paths = TOOL_PATHS,
        cxx_builtin_include_directories = INCLUDE_DIRECTORIES + [
            CLANG_HEADERS,
            # The sanitizers' ignore lists, which clang counts among its inputs.
            LLVM_PREFIX,
        ],
        features = COMMON_FEATURES + [
            feature(name = "supports_pic", enabled = True),
            feature(name = "supports_dynamic_linker", enabled = True),
            feature(
                name = "host",
                enabled = True,
                flag_sets = [
                    flags(ASSEMBLE + COMPILE, REPRODUCIBLE),
                    flags(COMPILE_C, ["-std=c17"]),
                    flags(COMPILE_CXX, ["-std=c++23"]),
                    flags(COMPILE_CXX, ["-D_GLIBCXX_ASSERTIONS"], "fastbuild"),
                    flags(COMPILE_CXX, ["-D_GLIBCXX_ASSERTIONS"], "dbg"),
                    flags(LINK, [
                        "-fuse-ld=lld",
                        "--ld-path=" + LLD,
                        "-Wl,--build-id=none",
                        "-lstdc++",
                        "-lm",
                    ]),
                ] + MODES,
            ),
            # Its reports name functions and lines and nothing else, and the rest takes long to write.
            switch("asan", ["-fsanitize=address", "-gline-tables-only"], ["-fsanitize=address"]),
            switch(
                "ubsan",
                ["-fsanitize=undefined", "-fno-sanitize-recover=all"],
                ["-fsanitize=undefined", "-fsanitize-link-c++-runtime"],
            ),
            switch("tsan", ["-fsanitize=thread"], ["-fsanitize=thread"]),
            # In a fuzz target's own `features`: libFuzzer's main and its coverage.
            switch("fuzzer", ["-fsanitize=fuzzer-no-link"], ["-fsanitize=fuzzer"]),
            # For everything a fuzz target is linked with: the coverage alone.
            switch("fuzzer_coverage", ["-fsanitize=fuzzer-no-link"]),
            # Bazel turns both on in a coverage run, the second because .bazelrc asks for clang's format.
            feature(name = "coverage"),
            switch(
                "llvm_coverage_map_format",
                ["-fprofile-instr-generate", "-fcoverage-mapping"],
                ["-fprofile-instr-generate"],
            ),
        ],
    )

host_toolchain_config = rule(
    implementation = _host_toolchain_config_impl,
    provides = [CcToolchainConfigInfo],
)
