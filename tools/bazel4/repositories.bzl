"""The external repositories that a WORKSPACE build of Baton needs, all from this machine.

Newer Bazels take the real modules through MODULE.bazel and never read this file. The stand-ins have the
file layout of the newest releases of the repositories they are named after, so that the same BUILD files
serve every Bazel.
"""

load("//platforms:host_tools.bzl", "host_tools_repository")
load("//tools/bazel4:conformance.bzl", "baton_conformance_repositories")

_STAND_INS = [
    "remote_coverage_tools",
    "rules_cc",
    "rules_java",
    "rules_shell",
]

# Debian's Abseil is one set of libraries: each label that a test may ask for stands for all of it.
_ABSEIL_TARGETS = {
    "absl/algorithm": ["algorithm", "container"],
    "absl/base": ["base", "config", "core_headers", "endian", "no_destructor"],
    "absl/cleanup": ["cleanup"],
    "absl/container": [
        "btree",
        "fixed_array",
        "flat_hash_map",
        "flat_hash_set",
        "inlined_vector",
        "node_hash_map",
        "node_hash_set",
    ],
    "absl/flags": ["flag", "parse", "usage"],
    "absl/functional": ["any_invocable", "bind_front", "function_ref"],
    "absl/hash": ["hash", "hash_testing"],
    "absl/memory": ["memory"],
    "absl/numeric": ["bits", "int128"],
    "absl/random": ["bit_gen_ref", "distributions", "random", "seed_sequences"],
    "absl/status": ["status", "statusor"],
    "absl/strings": ["cord", "str_format", "strings"],
    "absl/synchronization": ["synchronization"],
    "absl/time": ["time"],
    "absl/types": ["optional", "span", "variant"],
    "absl/utility": ["utility"],
}

def _stand_in_repository_impl(repository_ctx):
    source = repository_ctx.path(Label("//tools/bazel4:BUILD")).dirname.get_child(repository_ctx.attr.directory)
    for child in source.readdir():
        repository_ctx.symlink(child, child.basename)

_stand_in_repository = repository_rule(
    implementation = _stand_in_repository_impl,
    local = True,
    attrs = {"directory": attr.string(mandatory = True)},
    doc = "A directory beside this file as a repository of its own.",
)

def _debian_abseil_repository_impl(repository_ctx):
    repository_ctx.file("WORKSPACE", "workspace(name = \"abseil-cpp\")\n")
    result = repository_ctx.execute(["sh", "-c", "ls /usr/lib/*/libabsl_*.a"])
    if result.return_code:
        fail("Abseil's libraries are missing: install the Debian package libabsl-dev (./bazelw does).")
    names = [path[path.rindex("/") + 1:] for path in result.stdout.splitlines()]
    linkopts = ["-Wl,--start-group"] + ["-l:" + name for name in names] + ["-Wl,--end-group", "-lpthread"]
    header = "load(\"@rules_cc//cc:cc_library.bzl\", \"cc_library\")\n\n" + \
             "package(default_visibility = [\"//visibility:public\"])\n\n"
    repository_ctx.file(
        "BUILD",
        header + "cc_library(\n    name = \"debian\",\n    linkopts = %s,\n)\n" % repr(linkopts),
    )
    for package, targets in repository_ctx.attr.targets.items():
        repository_ctx.file(
            package + "/BUILD",
            header + "".join([
                "cc_library(\n    name = \"%s\",\n    deps = [\"//:debian\"],\n)\n" % target
                for target in targets
            ]),
        )

_debian_abseil_repository = repository_rule(
    implementation = _debian_abseil_repository_impl,
    local = True,
    attrs = {"targets": attr.string_list_dict(mandatory = True)},
    doc = "Debian's libabsl-dev under the labels of the module abseil-cpp.",
)

def baton_repositories():
    """What a kernel's WORKSPACE needs to depend on `@baton//sched`.

    Call it after the `local_repository` (or archive) named `baton`, then register
    `@baton//platforms/toolchains:all`.
    """
    for name in _STAND_INS:
        if not native.existing_rule(name):
            _stand_in_repository(name = name, directory = name)
    if not native.existing_rule("baton_host_tools"):
        host_tools_repository(name = "baton_host_tools")

# buildifier: disable=unnamed-macro
def baton_test_repositories():
    """What Baton's own host tests need besides: Debian's GoogleTest, Benchmark, Abseil and parts of Boost."""
    baton_conformance_repositories()
    native.new_local_repository(
        name = "google_benchmark",
        path = "/usr/include/benchmark",
        build_file = "@baton//tools/bazel4/debian:google_benchmark.BUILD",
    )
    native.new_local_repository(
        name = "boost.context",
        path = "/usr/include/boost/context",
        build_file = "@baton//tools/bazel4/debian:boost_context.BUILD",
    )
    native.new_local_repository(
        name = "boost.intrusive",
        path = "/usr/include/boost/intrusive",
        build_file = "@baton//tools/bazel4/debian:boost_intrusive.BUILD",
    )
    _debian_abseil_repository(name = "abseil-cpp", targets = _ABSEIL_TARGETS)
