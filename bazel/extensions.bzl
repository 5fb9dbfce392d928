"""bzlmod's way to the repositories of deps.bzl.

In a file that no BUILD or WORKSPACE loads: Bazel 4.2.3 has no module_extension.
"""

load("//bazel/system:repositories.bzl", "SYSTEM_REPOSITORIES")

def _impl(_module_ctx):
    for name, rule in SYSTEM_REPOSITORIES.items():
        rule(name)

system = module_extension(implementation = _impl)
