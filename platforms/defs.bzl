"""The rules that a kernel is built, booted and tested with: kernel_image, qemu_run, qemu_test."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")

def kernel_image(name, linker_script = None, additional_linker_inputs = [], deps = [], linkopts = [], **kwargs):
    """A kernel as an ELF for the bare-metal platform that is being built for.

    Build it with `--platforms=//platforms:aarch64`, or take it into a `qemu_run` or `qemu_test`, which
    choose the platform themselves. In a build for this machine it is skipped as incompatible.

    The image is freestanding C++23 with libc++'s headers (see platforms/libcxx) and is linked with
    //platforms/runtime. It defines `_start`, and places code that must come first into `.text.boot` and,
    on x86_64, the PVH note into `.note.Xen`. A static constructor is an error at link.

    Args:
      name: the target; the file is `<name>`.
      linker_script: label of the layout; by default platforms/ldscripts/<machine>.ld.
      additional_linker_inputs: as of cc_binary.
      deps: as of cc_binary.
      linkopts: as of cc_binary.
      **kwargs: everything else that a cc_binary takes: srcs, copts, defines, visibility, ...
    """
    script = linker_script or str(Label("//platforms/ldscripts:default"))
    cc_binary(
        name = name,
        additional_linker_inputs = additional_linker_inputs + [script],
        linkopts = ["-Wl,-T,$(location %s)" % script] + linkopts,
        linkstatic = True,
        target_compatible_with = ["@platforms//os:none"],
        deps = deps + [str(Label("//platforms/runtime"))],
        **kwargs
    )
