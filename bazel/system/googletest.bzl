"""The system's GoogleTest under the upstream labels: @com_google_googletest//:gtest_main."""

load("//bazel/system:probe.bzl", "HEADER", "package_version", "pkg_config", "require_file", "version_target")

# As upstream: `gtest` is GoogleTest and GoogleMock, `gtest_main` adds main().
_BUILD = """
cc_library(
    name = "gtest",
    testonly = True,
    srcs = ["libgmock.a", "libgtest.a"],
    defines = ["GTEST_HAS_PTHREAD=1"],
    linkopts = ["-pthread"],
    deps = {deps},
)
cc_library(name = "gtest_main", testonly = True, srcs = ["libgmock_main.a"], deps = [":gtest"])
cc_library(name = "gtest_prod", deps = [":version"])
"""

def _impl(rctx):
    lib_folder = pkg_config(rctx, "gmock", "libgmock-dev", "--variable=libdir")
    for archive, package in (
        ("libgtest.a", "libgtest-dev"),
        ("libgmock.a", "libgmock-dev"),
        ("libgmock_main.a", "libgmock-dev"),
    ):
        require_file(rctx, "%s/%s" % (lib_folder, archive), package)
        rctx.symlink("%s/%s" % (lib_folder, archive), archive)

    # GoogleTest from 1.17 on needs Abseil where the distribution built it so.
    deps = [":version"]
    for module in pkg_config(rctx, "gtest", "libgtest-dev", "--print-requires").split("\n"):
        module = module.strip().split(" ")[0]
        if module.startswith("absl_"):
            deps.append("@com_google_absl//pc:" + module)
    rctx.file(
        "BUILD",
        HEADER % rctx.name +
        version_target(rctx, "GOOGLETEST", package_version(rctx, "libgmock-dev", "gmock")) +
        _BUILD.format(deps = repr(deps)),
    )

system_googletest = repository_rule(
    implementation = _impl,
    doc = "The system's GoogleTest and GoogleMock (Debian: libgtest-dev, libgmock-dev).",
    configure = True,
    local = True,
)
