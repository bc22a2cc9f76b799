"""MODULE.bazel's way to the repository of platforms/host_tools.bzl."""

load(":host_tools.bzl", "host_tools_repository")

def _host_tools_impl(_module_ctx):
    host_tools_repository(name = "baton_host_tools")

host_tools = module_extension(implementation = _host_tools_impl)
