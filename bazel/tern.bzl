"""Rules for users: from a .proto with services to a client stub and a server base class.

    load("@tern//bazel:tern.bzl", "tern_proto_library")

    tern_proto_library(name = "kv", srcs = ["kv.proto"])

makes :kv_proto, :kv_cc_proto, :kv_client, :kv_server, and :kv for both ends. Use
tern_cc_library where the proto_library and cc_proto_library exist already.
"""

load("@com_google_protobuf//bazel:cc_proto_library.bzl", "cc_proto_library")
load("@com_google_protobuf//bazel:proto_library.bzl", "proto_library")
load("@com_google_protobuf//bazel/common:proto_info.bzl", "ProtoInfo")
load("@rules_cc//cc:defs.bzl", "cc_library")

# What the plugin writes for foo.proto, by the end that uses it.
_CLIENT = ["client.h", "client.cc"]
_SERVER = ["server.h"]
_MOCK = ["mock.h"]

def _import_path(file, info):
    """Returns the path by which other .proto files import this one."""
    root = info.proto_source_root
    if root and root != "." and file.path.startswith(root + "/"):
        return file.path[len(root) + 1:]
    path = file.short_path
    return "/".join(path.split("/")[2:]) if path.startswith("../") else path

def _codegen_impl(ctx):
    info = ctx.attr.proto[ProtoInfo]
    suffixes = _CLIENT + _SERVER + (_MOCK if ctx.attr.generate_mocks else [])

    # One include root for each library, under which files lie by import path: so neither
    # strip_import_prefix, import_prefix nor another repository needs arithmetic on paths.
    root = ctx.attr.include_root
    imports = [_import_path(file, info) for file in info.direct_sources]
    outputs = {
        suffix: [
            ctx.actions.declare_file("%s/%s.tern.%s" % (root, path[:-len(".proto")], suffix))
            for path in imports
        ]
        for suffix in suffixes
    }
    all_outputs = [file for files in outputs.values() for file in files]

    if not imports:
        fail("%s: proto_library %s has no srcs of its own" % (ctx.label, ctx.attr.proto.label))
    first = all_outputs[0].path
    out_folder = first[:first.index("/" + root + "/") + 1 + len(root)]

    args = ctx.actions.args()
    args.add("--plugin=protoc-gen-tern=" + ctx.executable._plugin.path)
    args.add("--tern_out=" + out_folder)
    if ctx.attr.generate_mocks:
        args.add("--tern_opt=mocks")
    args.add_joined("--descriptor_set_in", info.transitive_descriptor_sets, join_with = ":")
    args.add_all(imports)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [args],
        tools = [ctx.executable._plugin],
        inputs = info.transitive_descriptor_sets,
        outputs = all_outputs,
        mnemonic = "TernCodegen",
        progress_message = "Generating Tern stubs for %s" % ctx.label,
    )
    return [
        DefaultInfo(files = depset(all_outputs)),
        OutputGroupInfo(**{
            suffix.replace(".", "_"): depset(files)
            for suffix, files in outputs.items()
        }),
    ]

_tern_codegen = rule(
    implementation = _codegen_impl,
    attrs = {
        "generate_mocks": attr.bool(),
        "include_root": attr.string(mandatory = True),
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "_plugin": attr.label(
            default = Label("//lib/codegen:protoc-gen-tern"),
            executable = True,
            cfg = "exec",
        ),
        "_protoc": attr.label(
            default = Label("@com_google_protobuf//:protoc"),
            executable = True,
            cfg = "exec",
            allow_files = True,
        ),
    },
)

def _files(codegen, group, testonly):
    name = "%s_%s" % (codegen, group)
    native.filegroup(
        name = name,
        testonly = testonly,
        srcs = [codegen],
        output_group = group,
        tags = ["manual"],
    )
    return name

def tern_cc_library(name, proto, deps, generate_mocks = False, testonly = None, **kwargs):
    """Client stubs and server base classes of one proto_library's services.

    Args:
      name: of the target that bundles both ends. <name>_client and <name>_server are the ends;
        <name>_mock (testonly) has GoogleMock classes of the stubs. For foo.proto they hold
        foo.tern.client.h, foo.tern.server.h and foo.tern.mock.h, included by the path by which
        foo.proto is imported.
      proto: one proto_library.
      deps: the cc_proto_library of that proto_library.
      generate_mocks: whether to make <name>_mock.
      testonly: as everywhere.
      **kwargs: for every target (visibility, tags, ...).
    """
    codegen = name + "_codegen"
    root = "_tern/" + name
    _tern_codegen(
        name = codegen,
        testonly = testonly,
        generate_mocks = generate_mocks,
        include_root = root,
        proto = proto,
        tags = ["manual"],
    )
    cc_library(
        name = name + "_client",
        testonly = testonly,
        srcs = [_files(codegen, "client_cc", testonly)],
        hdrs = [_files(codegen, "client_h", testonly)],
        includes = [root],
        deps = deps + [str(Label("//client:stub"))],
        **kwargs
    )
    cc_library(
        name = name + "_server",
        testonly = testonly,
        hdrs = [_files(codegen, "server_h", testonly)],
        includes = [root],
        deps = deps + [str(Label("//server:service"))],
        **kwargs
    )
    cc_library(
        name = name,
        testonly = testonly,
        deps = [":%s_client" % name, ":%s_server" % name],
        **kwargs
    )
    if generate_mocks:
        cc_library(
            name = name + "_mock",
            testonly = True,
            hdrs = [_files(codegen, "mock_h", True)],
            includes = [root],
            deps = [":%s_client" % name, "@com_google_googletest//:gtest"],
            **kwargs
        )

def tern_proto_library(
        name,
        srcs,
        deps = [],
        strip_import_prefix = None,
        import_prefix = None,
        generate_mocks = False,
        testonly = None,
        visibility = None):
    """proto_library, cc_proto_library and tern_cc_library in one.

    Args:
      name: makes <name>_proto, <name>_cc_proto, <name>_client, <name>_server, <name>, and with
        generate_mocks <name>_mock.
      srcs: .proto files.
      deps: the proto_library targets that srcs import: ":other_proto", for
        google/protobuf/timestamp.proto "@com_google_protobuf//:timestamp_proto", and for
        tern/method.proto "@tern//proto:method_proto".
      strip_import_prefix: as in proto_library.
      import_prefix: as in proto_library.
      generate_mocks: as in tern_cc_library.
      testonly: as everywhere.
      visibility: of all of them.
    """
    prefixes = {}
    if strip_import_prefix != None:
        prefixes["strip_import_prefix"] = strip_import_prefix
    if import_prefix != None:
        prefixes["import_prefix"] = import_prefix
    proto_library(
        name = name + "_proto",
        testonly = testonly,
        srcs = srcs,
        visibility = visibility,
        deps = deps,
        **prefixes
    )
    cc_proto_library(
        name = name + "_cc_proto",
        testonly = testonly,
        visibility = visibility,
        deps = [":%s_proto" % name],
    )
    tern_cc_library(
        name = name,
        testonly = testonly,
        deps = [":%s_cc_proto" % name],
        generate_mocks = generate_mocks,
        proto = ":%s_proto" % name,
        visibility = visibility,
    )
