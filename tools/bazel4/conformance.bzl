"""What a WORKSPACE build needs besides to put policies through `@baton//tests/conformance`."""

# buildifier: disable=unnamed-macro
def baton_conformance_repositories():
    """GoogleTest: Debian's, unless the workspace has named one before.

    Besides, the tests want a C++23 compiler with libFuzzer for this machine: register
    `@baton//platforms/toolchains/host:all`, or a toolchain of your own.
    """
    if not native.existing_rule("googletest"):
        native.new_local_repository(
            name = "googletest",
            path = "/usr/src/googletest",
            build_file = "@baton//tools/bazel4/debian:googletest.BUILD",
        )
