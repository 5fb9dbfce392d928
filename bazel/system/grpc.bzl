"""The system's gRPC under the upstream labels: @com_github_grpc_grpc//:grpc++.

Its archives, because its shared library would bring a second protobuf into the program.
"""

load("//bazel/system:probe.bzl", "HEADER", "library_folder", "missing", "package_version", "pkg_config", "require_file", "version_target")

# In the order in which they need each other.
_ARCHIVES = ["grpc++", "grpc", "gpr", "address_sorting", "upb"]

_BUILD = """
cc_library(
    name = "grpc++",
    srcs = {srcs},
    linkopts = {linkopts},
    deps = {deps},
)
alias(name = "grpc_cpp_plugin", actual = "bin/grpc_cpp_plugin")
"""

def _impl(rctx):
    package = "libgrpc++-dev"
    # Its .pc file names a folder in which Debian does not put it.
    folder = library_folder(rctx, "libgrpc++.a", package)
    srcs = []
    for library in _ARCHIVES:
        file = "lib%s.a" % library
        require_file(rctx, "%s/%s" % (folder, file), package)
        rctx.symlink("%s/%s" % (folder, file), file)
        srcs.append(file)
    plugin = rctx.which("grpc_cpp_plugin")
    if not plugin:
        missing(rctx, "grpc_cpp_plugin", "protobuf-compiler-grpc")
    rctx.symlink(plugin, "bin/grpc_cpp_plugin")

    deps, linkopts = [":version", "@com_google_protobuf//:protobuf"], ["-pthread"]
    for module in ["grpc++", "grpc", "gpr"]:
        for required in pkg_config(rctx, module, package, "--print-requires").split("\n"):
            required = required.strip().split(" ")[0]
            label = "@com_google_absl//pc:" + required
            if required.startswith("absl_") and label not in deps:
                deps.append(label)
    for flag in pkg_config(rctx, "grpc++", package, "--libs-only-l").split(" "):
        if flag and flag[2:] not in _ARCHIVES and not flag.startswith("-labsl_"):
            linkopts.append(flag)
    rctx.file(
        "BUILD",
        HEADER % rctx.name +
        version_target(rctx, "GRPC", package_version(rctx, package, "grpc++")) +
        _BUILD.format(deps = repr(deps), linkopts = repr(linkopts), srcs = repr(srcs)),
    )

system_grpc = repository_rule(
    implementation = _impl,
    doc = "The system's gRPC (Debian: libgrpc++-dev, protobuf-compiler-grpc).",
    configure = True,
    local = True,
)
