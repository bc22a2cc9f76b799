"""The rules that a kernel is built, booted and tested with: kernel_image, qemu_run, qemu_test, platform_files."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("//platforms/qemu:rules.bzl", "qemu_rule_test", "qemu_run_rule", _platform_files = "platform_files")

platform_files = _platform_files

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

def qemu_run(
        name,
        image,
        platform = "x86_64",
        args = [],
        memory = "128M",
        cpus = 1,
        cpus_argument = "",
        icount = False,
        optimized = False,
        qemu_options = [],
        one_cpu_options = [],
        **kwargs):
    """A kernel image that `bazel run` boots under QEMU, with the serial port on the terminal.

    `bazel build` of it gives the ELF, `<name>.elf`, built for `platform` whatever the build itself is for.
    `bazel run //x:y -- key=value ...` passes the arguments to the guest after those in `args`, joined by
    spaces: as the kernel's command line (PVH's start_info on x86_64, `/chosen/bootargs` in the device tree on
    the others) and, on x86_64 and aarch64, in the fw_cfg file `opt/baton/args`. Ctrl-C ends QEMU.

    The kernel ends QEMU with status 33 for success or 35 for failure (platforms/qemu/launch.sh says how on
    each machine). Success is exit code 0; everything else is not, with a line that says what happened.

    Args:
      name: the target.
      image: a kernel_image.
      platform: `x86_64`, `aarch64` or `riscv64`.
      args: the guest's arguments; those of the command line come after them.
      memory: how much the machine has, as QEMU's -m takes it.
      cpus: how many CPUs it has. Several run at the same time, as far as the host has some, unless `icount`
        says otherwise.
      cpus_argument: the name of an argument of the guest's by which it says how many CPUs it wants: where
        `name=4` is among the arguments, the machine has 4.
      icount: one guest instruction a nanosecond of virtual time: exactly repeatable, and only one host
        thread.
      optimized: build the image with -c opt, whatever the build's own mode.
      qemu_options: more options for QEMU.
      one_cpu_options: more options for a machine of one CPU: some, like -icount, keep several from running at
        the same time.
      **kwargs: visibility, tags, testonly, ...
    """
    qemu_run_rule(
        name = name,
        image = image,
        platform = platform,
        guest_args = args,
        memory = memory,
        cpus = cpus,
        cpus_argument = cpus_argument,
        icount = icount,
        optimized = optimized,
        qemu_options = qemu_options,
        one_cpu_options = one_cpu_options,
        launcher_flags = ["--mode=run"],
        **kwargs
    )

def qemu_test(
        name,
        image,
        platform = "x86_64",
        args = [],
        timeout_seconds = 30,
        expect = "",
        memory = "128M",
        cpus = 1,
        icount = False,
        optimized = False,
        qemu_options = [],
        tags = [],
        **kwargs):
    """A test that boots a kernel image under QEMU; it needs no flag.

    It passes only if the kernel ends QEMU with its own success status, 33 (see qemu_run), has written
    something to the serial port, has not written a line that begins with `PANIC`, and has written a line
    that matches `expect`, if given. The serial log is in the test's log. A failure ends with one line:
    `FAILED: hang`, `panic`, `triple fault or early exit`, `empty log` or `unexpected log`, and details.

    Args:
      name: the target.
      image: a kernel_image.
      platform: `x86_64`, `aarch64` or `riscv64`.
      args: the guest's arguments, as for qemu_run.
      timeout_seconds: when a guest that has not ended counts as hanging.
      expect: an extended regular expression that a line of the log must match.
      memory: as for qemu_run.
      cpus: as for qemu_run.
      icount: as for qemu_run.
      optimized: as for qemu_run.
      qemu_options: as for qemu_run.
      tags: as of every test; `qemu` is added, so that `--test_tag_filters=-qemu` leaves only what runs on
        this machine.
      **kwargs: visibility, size, ...
    """

    # Bazel's own limit is the smallest class that leaves the launcher room to be the one that speaks.
    if timeout_seconds <= 45:
        timeout = "short"
    elif timeout_seconds <= 270:
        timeout = "moderate"
    elif timeout_seconds <= 840:
        timeout = "long"
    else:
        timeout = "eternal"
    qemu_rule_test(
        name = name,
        image = image,
        platform = platform,
        guest_args = args,
        memory = memory,
        cpus = cpus,
        icount = icount,
        optimized = optimized,
        qemu_options = qemu_options,
        launcher_flags = [
            "--mode=test",
            "--timeout=%d" % timeout_seconds,
            "--expect=" + expect,
        ],
        # Each guest CPU is a thread that Bazel must count; with icount they take turns on one.
        tags = tags + ["qemu"] + (["cpu:%d" % cpus] if cpus > 1 and not icount else []),
        timeout = kwargs.pop("timeout", timeout),
        **kwargs
    )
