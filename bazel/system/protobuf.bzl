"""The system's protobuf under the upstream labels: @com_google_protobuf//:protobuf."""

load("//bazel/system:probe.bzl", "HEADER", "missing", "package_version", "pkg_config", "require_file", "version_target")

# The well-known types, and which of the others each imports.
_WELL_KNOWN = {
    "any": [],
    "api": ["source_context", "type"],
    "descriptor": [],
    "duration": [],
    "empty": [],
    "field_mask": [],
    "source_context": [],
    "struct": [],
    "timestamp": [],
    "type": ["any", "source_context"],
    "wrappers": [],
}

# Upstream's names for parts that this libprotobuf holds in one archive.
_INSIDE_PROTOBUF = [
    "delimited_message_util",
    "differencer",
    "field_mask_util",
    "json_util",
    "time_util",
]

_BUILD = """
cc_library(name = "protobuf_lite", srcs = ["libprotobuf-lite.a"], linkopts = ["-pthread"], deps = [":version"])
cc_library(name = "protobuf", srcs = ["libprotobuf.a"], linkopts = {linkopts}, deps = {deps})
cc_library(name = "protoc_lib", srcs = ["libprotoc.a"], deps = [":protobuf"])
alias(name = "protoc", actual = "bin/protoc")
proto_lang_toolchain(
    name = "cc_toolchain",
    blacklisted_protos = {well_known},
    command_line = "--cpp_out=$(OUT)",
    runtime = ":protobuf",
)
"""

def _impl(rctx):
    lib_folder = pkg_config(rctx, "protobuf", "libprotobuf-dev", "--variable=libdir")
    include_folder = pkg_config(rctx, "protobuf", "libprotobuf-dev", "--variable=includedir")
    protoc = rctx.which("protoc")
    if not protoc:
        missing(rctx, "protoc", "protobuf-compiler")

    for archive, package in (
        ("libprotobuf.a", "libprotobuf-dev"),
        ("libprotobuf-lite.a", "libprotobuf-dev"),
        ("libprotoc.a", "libprotoc-dev"),
    ):
        require_file(rctx, "%s/%s" % (lib_folder, archive), package)
        rctx.symlink("%s/%s" % (lib_folder, archive), archive)
    rctx.symlink(protoc, "bin/protoc")
    for name in _WELL_KNOWN:
        file = "google/protobuf/%s.proto" % name
        require_file(rctx, "%s/%s" % (include_folder, file), "libprotobuf-dev")
        rctx.symlink("%s/%s" % (include_folder, file), "src/" + file)

    # From version 22 on, libprotobuf itself needs Abseil and utf8_range.
    deps, linkopts = [":version"], ["-pthread"]
    for module in pkg_config(rctx, "protobuf", "libprotobuf-dev", "--print-requires").split("\n"):
        module = module.strip().split(" ")[0]
        if module.startswith("absl_"):
            deps.append("@com_google_absl//pc:" + module)
    for flag in pkg_config(rctx, "protobuf", "libprotobuf-dev", "--static", "--libs-only-l").split(" "):
        if flag and flag != "-lprotobuf" and not flag.startswith("-labsl_"):
            linkopts.append(flag)

    build = HEADER % rctx.name
    build += version_target(rctx, "PROTOBUF", package_version(rctx, "libprotobuf-dev", "protobuf"))
    build += _BUILD.format(
        deps = repr(deps),
        linkopts = repr(linkopts),
        well_known = repr([":%s_proto" % name for name in _WELL_KNOWN]),
    )
    for name in _INSIDE_PROTOBUF:
        build += "alias(name = %r, actual = \":protobuf\")\n" % name
    for name, imports in _WELL_KNOWN.items():
        build += "proto_library(name = %r, srcs = %r, deps = %r, strip_import_prefix = \"src\")\n" % (
            name + "_proto",
            ["src/google/protobuf/%s.proto" % name],
            [":%s_proto" % i for i in imports],
        )
    rctx.file("BUILD", build)

    # The labels that our BUILD files load() rules from, as protobuf 27 and later have them.
    rctx.file("bazel/BUILD", "")
    rctx.file("bazel/proto_library.bzl", "proto_library = native.proto_library\n")
    rctx.file("bazel/cc_proto_library.bzl", "cc_proto_library = native.cc_proto_library\n")
    rctx.file("bazel/common/BUILD", "")
    rctx.file("bazel/common/native.bzl", "NativeProtoInfo = ProtoInfo\n")
    rctx.file(
        "bazel/common/proto_info.bzl",
        "load(\":native.bzl\", \"NativeProtoInfo\")\nProtoInfo = NativeProtoInfo\n",
    )

system_protobuf = repository_rule(
    implementation = _impl,
    doc = "The system's protobuf (Debian: libprotobuf-dev, libprotoc-dev, protobuf-compiler).",
    configure = True,
    local = True,
)
