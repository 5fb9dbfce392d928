"""A system library that is one header folder and one library file: LevelDB, OpenSSL, zstd."""

load("//bazel/system:probe.bzl", "HEADER", "library_folder", "missing", "package_version", "pkg_config", "require_file", "version_target")

_BUILD = """
cc_library(
    name = {name},
    srcs = {srcs},
    linkopts = {linkopts},
    deps = [":version"],
)
"""

_TOOL = """
alias(
    name = {name},
    actual = {actual},
)
"""

def _impl(rctx):
    module, package = rctx.attr.module, rctx.attr.package
    srcs = []
    for library in rctx.attr.libraries:
        file = "lib%s.%s" % (library, "a" if rctx.attr.static else "so")
        if module:
            folder = pkg_config(rctx, module, package, "--variable=libdir")
            require_file(rctx, "%s/%s" % (folder, file), package)
        else:
            folder = library_folder(rctx, file, package)
        rctx.symlink("%s/%s" % (folder, file), file)
        srcs.append(file)
    if rctx.attr.header:
        prefix = pkg_config(rctx, module, package, "--variable=includedir") if module else ""
        if not [p for p in (prefix, "/usr/include", "/usr/local/include") if p and rctx.path("%s/%s" % (p, rctx.attr.header)).exists]:
            missing(rctx, "<%s>" % rctx.attr.header, package)
    tools = ""
    for tool, where in rctx.attr.tools.items():
        program, tool_package = where.split(" of ")
        path = rctx.which(program)
        if not path:
            missing(rctx, program, tool_package)
        rctx.symlink(path, "bin/" + tool)
        tools += _TOOL.format(name = repr(tool), actual = repr("bin/" + tool))
    rctx.file(
        "BUILD",
        HEADER % rctx.name +
        version_target(rctx, rctx.attr.target.upper().replace("-", "_"), package_version(rctx, package, module)) +
        _BUILD.format(
            name = repr(rctx.attr.target),
            srcs = repr(srcs),
            linkopts = repr(rctx.attr.linkopts),
        ) +
        tools,
    )

system_library = repository_rule(
    implementation = _impl,
    configure = True,
    local = True,
    attrs = {
        "header": attr.string(doc = "a header whose absence means that the package is missing"),
        "libraries": attr.string_list(mandatory = True, doc = "names as after -l"),
        "linkopts": attr.string_list(),
        "module": attr.string(doc = "pkg-config module, if the library has one"),
        "package": attr.string(mandatory = True, doc = "Debian's package, named when missing"),
        "static": attr.bool(doc = "link the archive; the shared library brings its own dependencies"),
        "target": attr.string(mandatory = True, doc = "upstream's target name"),
        "tools": attr.string_dict(doc = "target: \"program of package\"; the programs that come with it"),
    },
)
