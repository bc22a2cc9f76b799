"""What is tested on each of the three machines."""

load("@rules_shell//shell:sh_test.bzl", "sh_test")
load("//platforms:defs.bzl", "qemu_test")

PLATFORMS = [
    "aarch64",
    "riscv64",
    "x86_64",
]

# As the demo itself boots: see kernel_demo/BUILD.
CLOCK = [
    "-icount",
    "shift=2",
]

def qemu_tests(name, platforms = PLATFORMS, **kwargs):
    """A qemu_test on each machine, `<name>_<platform>_test`.

    Args:
      name: how their names begin.
      platforms: the machines.
      **kwargs: as for qemu_test.
    """
    for platform in platforms:
        qemu_test(
            name = "%s_%s_test" % (name, platform),
            platform = platform,
            **kwargs
        )

def kernel_tests(name, **kwargs):
    """The same of the demo kernel, by the clock that it boots with on one CPU.

    Args:
      name: how their names begin.
      **kwargs: as for qemu_tests.
    """
    qemu_tests(
        name = name,
        image = "//kernel_demo:kernel",
        qemu_options = CLOCK,
        **kwargs
    )

def failing_tests(name, **kwargs):
    """Guests that have to fail, `<name>_<platform>_failing_test`: only a diagnosis_test runs them.

    Args:
      name: how their names begin.
      **kwargs: as for qemu_test.
    """
    for platform in PLATFORMS:
        qemu_test(
            name = "%s_%s_failing_test" % (name, platform),
            platform = platform,
            tags = ["manual"],
            **kwargs
        )

def diagnosis_test(name, lines, failing):
    """That failing_tests fail, on each machine, and that each of `lines` matches a line of each log.

    Args:
      name: the test.
      lines: extended regular expressions.
      failing: the names of the failing_tests.
    """
    tests = [
        ":%s_%s_failing_test" % (test, platform)
        for test in failing
        for platform in PLATFORMS
    ]
    sh_test(
        name = name,
        size = "medium",
        srcs = ["//tests/kernel_demo:diagnosis_test.sh"],
        # A dollar sign begins a variable there.
        args = ["'%s'" % line.replace("$", "$$").replace("'", "'\\''") for line in lines] + ["--"] +
               ["$(rootpath %s)" % test for test in tests],
        data = tests,
    )
