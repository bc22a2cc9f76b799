"""The toolchain configuration for bare metal: freestanding C++23 with libc++'s headers, no floating point."""

load("@baton_host_tools//:paths.bzl", "CLANG_HEADERS", "LIBCXX_HEADERS", "LLD")
load("@rules_cc//cc:cc_toolchain_config_lib.bzl", "feature")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/toolchains:cc_toolchain_config_info.bzl", "CcToolchainConfigInfo")
load(":flags.bzl", "ASSEMBLE", "COMMON_FEATURES", "COMPILE", "COMPILE_CXX", "LINK", "MODES", "REPRODUCIBLE", "TOOL_PATHS", "flags")

# An interrupt may come at any instruction and saves no floating-point or vector register, so none is used.
_CPU_FLAGS = {
    "aarch64": [
        "--target=aarch64-none-elf",
        "-march=armv8-a",
        "-mgeneral-regs-only",
        "-mno-outline-atomics",
        # Before the MMU is on, memory is device memory, where an unaligned access traps.
        "-mstrict-align",
    ],
    "riscv64": [
        "--target=riscv64-none-elf",
        "-march=rv64imac_zicsr_zifencei",
        "-mabi=lp64",
        "-mcmodel=medany",
        # Lets lld turn a two-instruction call into one.
        "-mrelax",
    ],
    "x86_64": [
        "--target=x86_64-none-elf",
        # Everything that QEMU's and every 64-bit multi-core machine has; 128-bit atomics need it.
        "-mcx16",
        "-mno-mmx",
        # An interrupt pushes its frame right below the stack pointer.
        "-mno-red-zone",
        # Not -mgeneral-regs-only: it takes `double` away from <limits>.
        "-mno-sse",
        "-msoft-float",
    ],
}

_LINK_TARGET = {
    "aarch64": "aarch64-none-elf",
    "riscv64": "riscv64-none-elf",
    # For x86_64-none-elf the driver would call gcc to link.
    "x86_64": "x86_64-unknown-linux-gnu",
}

def _bare_metal_toolchain_config_impl(ctx):
    freestanding = [
        "-ffreestanding",
        "-nostdlibinc",
        "-fno-pic",
        "-fno-stack-protector",
        "-fno-asynchronous-unwind-tables",
        "-fno-unwind-tables",
        "-ffunction-sections",
        "-fdata-sections",
    ]
    cxx = [
        "-std=c++23",
        "-nostdinc++",
        "-fno-exceptions",
        "-fno-rtti",
        # Nothing is constructed late or destroyed at all: no guard variables, no atexit.
        "-fno-threadsafe-statics",
        "-fno-c++-static-destructors",
        # Ours first: <__config_site> and <__assertion_handler> are found here.
        "-isystem",
        ctx.file.libcxx_config.dirname,
        "-isystem",
        LIBCXX_HEADERS,
    ]
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "baton-bare-metal-" + ctx.attr.cpu,
        compiler = "clang",
        host_system_name = "local",
        target_cpu = ctx.attr.cpu,
        target_libc = "none",
        target_system_name = ctx.attr.cpu + "-none-elf",
        abi_libc_version = "none",
        abi_version = "none",
        tool_paths = TOOL_PATHS,
        cxx_builtin_include_directories = [LIBCXX_HEADERS, CLANG_HEADERS],
        features = COMMON_FEATURES + [
            feature(
                name = "bare_metal",
                enabled = True,
                flag_sets = [
                    flags(ASSEMBLE + COMPILE, _CPU_FLAGS[ctx.attr.cpu] + freestanding + REPRODUCIBLE),
                    flags(COMPILE_CXX, cxx),
                    # After libc++'s: its <string.h> includes the next one.
                    flags(ASSEMBLE + COMPILE, ["-isystem", ctx.file.libcxx_c.dirname]),
                    flags(COMPILE_CXX, ["-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_EXTENSIVE"], "fastbuild"),
                    flags(COMPILE_CXX, ["-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_EXTENSIVE"], "dbg"),
                    flags(LINK, [
                        "--target=" + _LINK_TARGET[ctx.attr.cpu],
                        "-nostdlib",
                        "-static",
                        "-fuse-ld=lld",
                        "--ld-path=" + LLD,
                        "-Wl,--build-id=none",
                        "-Wl,--gc-sections",
                        "-Wl,-z,max-page-size=4096",
                        "-Wl,-z,noexecstack",
                    ]),
                ] + MODES,
            ),
        ],
    )

bare_metal_toolchain_config = rule(
    implementation = _bare_metal_toolchain_config_impl,
    attrs = {
        "cpu": attr.string(mandatory = True, values = _CPU_FLAGS.keys()),
        "libcxx_c": attr.label(
            mandatory = True,
            allow_single_file = True,
            doc = "A header in the directory of C headers.",
        ),
        "libcxx_config": attr.label(
            mandatory = True,
            allow_single_file = True,
            doc = "A header in the directory of libc++'s configuration.",
        ),
    },
    provides = [CcToolchainConfigInfo],
)
