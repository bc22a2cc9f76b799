"""Files that each bare-metal machine has a version of, in a folder of its name beside the BUILD file."""

_MACHINES = [
    "aarch64",
    "riscv64",
    "x86_64",
]

def _by_machine(values, otherwise):
    branches = {"//platforms:bare_metal_" + machine: values[machine] for machine in _MACHINES}
    branches["//conditions:default"] = otherwise
    return select(branches)

def machine_files(*files, **more):
    """The files of the machine that is being compiled for; elsewhere none.

    Args:
      *files: their names; each machine has them.
      **more: by the name of a machine, a list of those that only it has.

    Returns:
      For `srcs` or `hdrs`.
    """
    return _by_machine({
        machine: sorted(["%s/%s" % (machine, file) for file in list(files) + more.get(machine, [])])
        for machine in _MACHINES
    }, [])

def machine_folder():
    """For `strip_include_prefix`: headers in it are included as if they lay beside the BUILD file.

    Returns:
      The folder of the machine that is being compiled for.
    """
    package = "/" + native.package_name()
    return _by_machine({machine: package + "/" + machine for machine in _MACHINES}, package)
