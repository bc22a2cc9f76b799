"""shared_scheduler_image: the shared scheduler as a flat binary that runs wherever it lies."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("//platforms:copts.bzl", "COPTS")

def shared_scheduler_image(name, capacity = 400, **kwargs):
    """The shared scheduler's image (sched/shared/abi.h) for the platform that is being built for.

    A flat file: the header, read-only data and text, linked from address zero and without an address in them that
    depends on where they are: a place for one is an error at link. Always optimised, so that it is the same in
    every mode.

    Args:
      name: the target, and the file.
      capacity: how many tasks its pool holds.
      **kwargs: visibility, testonly, ...
    """
    script = str(Label("//sched/shared:image.ld"))
    cc_binary(
        name = name,
        srcs = [str(Label("//sched/shared:image.cc"))],
        additional_linker_inputs = [script],
        copts = COPTS + [
            "-fpie",
            "-O2",
            "-DNDEBUG",
            "-DBATON_SHARED_CAPACITY=%d" % capacity,
            # A failed check would have nobody to tell.
            "-U_LIBCPP_HARDENING_MODE",
            "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE",
        ],
        linkopts = [
            "-Wl,-T,$(location %s)" % script,
            "-Wl,-pie",
            "-Wl,--no-dynamic-linker",
            "-Wl,--oformat=binary",
        ],
        linkstatic = True,
        target_compatible_with = ["@platforms//os:none"],
        deps = [
            str(Label("//sched/shared:abi")),
            str(Label("//sched/shared:scheduler")),
        ],
        **kwargs
    )
