"""Finds clang, lld and libc++'s headers on this machine and writes their paths where toolchains load them."""

# The release whose libc++ headers platforms/libcxx is written for.
_LLVM = "19"

def _find(repository_ctx, name, package):
    """The path of LLVM's tool `name`: with the version in its name, or plain and of that version."""
    path = repository_ctx.which(name + "-" + _LLVM)
    if not path:
        path = repository_ctx.which(name)
        if not path or "version " + _LLVM + "." not in repository_ctx.execute([path, "--version"]).stdout:
            path = None
    if not path:
        fail("%s %s is not on the PATH. Debian's package is %s; ./bazelw installs it." % (name, _LLVM, package))

    # Several tools are one program that finds out from its name which one to be: no symlink is resolved.
    return str(path)

def _system_include_directories(repository_ctx, clang):
    """Where `clang` looks for C++ headers, as it prints it."""
    text = repository_ctx.execute([clang, "-E", "-v", "-x", "c++", "/dev/null"]).stderr
    if "#include <...> search starts here:" not in text:
        fail("clang does not say where it looks for headers:\n" + text)
    text = text[text.index("#include <...> search starts here:"):text.index("End of search list.")]
    return [str(repository_ctx.path(line.strip())) for line in text.splitlines()[1:]]

def _host_tools_repository_impl(repository_ctx):
    clang = str(repository_ctx.path(_find(repository_ctx, "clang", "clang-19")).realpath)
    resources = repository_ctx.execute([clang, "-print-resource-dir"]).stdout.strip()
    prefix = repository_ctx.path(resources).dirname.dirname.dirname
    libcxx = repository_ctx.path(str(prefix) + "/include/c++/v1")
    if not libcxx.get_child("__config").exists:
        fail("libc++'s headers are not in %s. Debian's package is libc++-19-dev; ./bazelw installs it." % libcxx)

    values = {
        "AR": _find(repository_ctx, "llvm-ar", "llvm-19"),
        "CLANG": clang,
        "CLANG_HEADERS": resources + "/include",
        "COV": _find(repository_ctx, "llvm-cov", "llvm-19"),
        "HOST_CPU": repository_ctx.execute(["uname", "-m"]).stdout.strip(),
        "INCLUDE_DIRECTORIES": _system_include_directories(repository_ctx, clang),
        "LIBCXX_HEADERS": str(libcxx),
        "LLD": _find(repository_ctx, "ld.lld", "lld-19"),
        "LLVM_PREFIX": str(prefix),
        "NM": _find(repository_ctx, "llvm-nm", "llvm-19"),
        "OBJCOPY": _find(repository_ctx, "llvm-objcopy", "llvm-19"),
        "OBJDUMP": _find(repository_ctx, "llvm-objdump", "llvm-19"),
        "PROFDATA": _find(repository_ctx, "llvm-profdata", "llvm-19"),
        "READELF": _find(repository_ctx, "llvm-readelf", "llvm-19"),
        "SIZE": _find(repository_ctx, "llvm-size", "llvm-19"),
        "STRIP": _find(repository_ctx, "llvm-strip", "llvm-19"),
    }
    repository_ctx.file("BUILD", "")
    repository_ctx.file(
        "paths.bzl",
        "\"\"\"Written by platforms/host_tools.bzl.\"\"\"\n\n" +
        "".join(["%s = %s\n" % (name, repr(value)) for name, value in sorted(values.items())]),
    )

host_tools_repository = repository_rule(
    implementation = _host_tools_repository_impl,
    configure = True,
    local = True,
    environ = ["PATH"],
    doc = "A repository whose `paths.bzl` says where this machine's LLVM is.",
)
