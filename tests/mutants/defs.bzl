"""mutant: the explored tests once more, of a header with a mistake in it, which one of them must find."""

load("//tests/explore:defs.bzl", "explored_test")

def mutant(name, header, edit, tests):
    """One program for each test, `<name>_<test>`; and `<name>`, the list of them.

    The header is included before everything else, so that its guard keeps the true one out.

    Args:
      name: the target, and what the mistake is called.
      header: the label of the header, without the slashes that it begins with.
      edit: a program for `sed -Ez`, of which the file is one line. It must change something.
      tests: of `//tests/explore`, in the order in which they are run.
    """
    path = header.replace(":", "/")
    mutated = name + "/" + path
    native.genrule(
        name = name + "_header",
        testonly = True,
        srcs = ["//" + header],
        outs = [mutated],
        cmd = """
            sed -Ez '%s' $< > $@
            if cmp -s $< $@; then
              echo 'the mutant %s changes nothing any more: look for what it was to change' >&2
              exit 1
            fi
        """ % (edit.replace("$", "$$"), name),
        tags = ["manual"],
    )
    for test in tests:
        explored_test(
            name = "%s_%s" % (name, test),
            srcs = [
                mutated,
                "//tests/explore:%s_test.cc" % test,
            ],
            # Few of them are run often: the time to compile counts.
            copts = [
                "-include",
                "$(BINDIR)/%s/%s" % (native.package_name(), mutated),
                "-w",
                "-g1",
            ],
            tags = ["manual"],
            deps = ["//tests/explore:scenarios"],
        )
    native.filegroup(
        name = name,
        testonly = True,
        srcs = [":%s_%s" % (name, test) for test in tests],
        tags = ["manual"],
    )
