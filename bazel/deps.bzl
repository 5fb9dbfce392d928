"""What a WORKSPACE that builds Tern calls. maybe() throughout: a repository the user has pinned wins.

    load("@tern//bazel:deps.bzl", "tern_deps", "tern_toolchain")
    tern_toolchain()  # only for Debian's Bazel, which has no network to fetch its own parts
    tern_deps()       # Abseil, protobuf, GoogleTest, ... from the system's packages
"""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load("//bazel/system:repositories.bzl", "SYSTEM_REPOSITORIES")

def tern_deps():
    """Tern's dependencies, from the system's packages, under the upstream labels."""
    for name, rule in SYSTEM_REPOSITORIES.items():
        if not native.existing_rule(name):
            rule(name)

def _files_impl(rctx):
    for path, text in rctx.attr.files.items():
        rctx.file(path, text)

_files = repository_rule(
    implementation = _files_impl,
    doc = "A repository whose files are given in the call.",
    attrs = {"files": attr.string_dict()},
)

# Debian's bazel-rules-cc does not load in Bazel 4.2.3; these are the rules that Bazel has built in.
_RULES_CC = [
    "cc_binary",
    "cc_import",
    "cc_library",
    "cc_proto_library",
    "cc_test",
    "cc_toolchain",
    "cc_toolchain_suite",
    "fdo_prefetch_hints",
    "fdo_profile",
    "objc_import",
    "objc_library",
]

# `bazel test` wants both targets at analysis, even without coverage.
_COVERAGE_BUILD = """package(default_visibility = ["//visibility:public"])
sh_binary(name = "coverage_report_generator", srcs = ["stub.sh"])
sh_binary(name = "lcov_merger", srcs = ["stub.sh"])
"""

def tern_toolchain():
    """What Bazel itself wants and would otherwise fetch, from Debian's bazel-* packages."""
    maybe(_files, name = "rules_cc", files = {
        "BUILD": "",
        "cc/BUILD": "",
        "cc/defs.bzl": "".join(["%s = native.%s\n" % (rule, rule) for rule in _RULES_CC]),
    })
    maybe(_files, name = "remote_coverage_tools", files = {
        "BUILD": _COVERAGE_BUILD,
        "stub.sh": "#!/bin/sh\nexit 0\n",
    })
    for name, path in {
        "bazel_skylib": "/usr/share/bazel/tools/skylib",
        "platforms": "/usr/share/bazel/tools/platforms",
        "rules_java": "/usr/share/bazel/rules/java",
        "rules_proto": "/usr/share/bazel/rules/proto",
        # Bazel 7 asks for it; 4.2.3 never does, and Debian 12 does not have it.
        "rules_python": "/usr/share/bazel/rules/python",
    }.items():
        maybe(native.local_repository, name = name, path = path)
