"""policy_conformance: a policy, put through the conformance kit by one line."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")

def policy_conformance(name, srcs, deps, copts = [], fuzz = True, fuzz_runs = 5000, size = "medium", **kwargs):
    """A test of the rules that every policy keeps, and a fuzz target of the same.

    `<name>` is a test; `<name>_fuzz_test` is the fuzz target, run for a fixed number of inputs from a fixed
    seed, which makes it a test like any other. For a long run, with coverage of everything it is made of:

        bazel run --config=fuzz //my:policy_fuzz_test -- -runs=-1 -max_total_time=3600 "$PWD/corpus"

    Args:
      name: the target.
      srcs: a file that calls `sched::conformance::put_through` for each policy.
      deps: the policies.
      copts: as of cc_test.
      fuzz: whether there is a fuzz target: it needs clang with libFuzzer, and a toolchain with a feature
        `fuzzer` that brings it in, as Baton's own for the host has.
      fuzz_runs: how many inputs `<name>_fuzz_test` makes up.
      size: as of cc_test; some compositions take their time under a sanitizer.
      **kwargs: what every test takes: tags, visibility, ...
    """
    cc_test(
        name = name,
        size = size,
        srcs = srcs,
        copts = copts,
        deps = deps + [str(Label("//tests/conformance:suite"))],
        **kwargs
    )
    if not fuzz:
        return
    cc_test(
        name = name + "_fuzz_test",
        size = size,
        srcs = srcs,
        args = [
            "-runs=%d" % fuzz_runs,
            "-seed=1",
            "-max_len=1024",
        ],
        copts = copts,
        features = ["fuzzer"],
        deps = deps + [str(Label("//tests/conformance:fuzz"))],
        **kwargs
    )
