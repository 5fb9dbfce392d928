"""cc_library, cc_binary and cc_test for Tern's own code: the same attributes, our compiler options.

One target for each header and its source; visibility is private unless said otherwise.
Headers of lib, server, client and testing are included as "tern/" and their path from the root of the
repository: "tern/lib/wire/frame.h".
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("//bazel:copts.bzl", "STATIC_RUNTIME_LINKOPTS", "TERN_COPTS")

def _include_prefix():
    # What users' code can reach: their own "server/server.h" must not stand in its way.
    top = native.package_name().split("/")[0]
    return "tern/" + native.package_name() if top in ["client", "lib", "server", "testing"] else None

def tern_library(name, copts = [], **kwargs):
    kwargs.setdefault("include_prefix", _include_prefix())
    cc_library(name = name, copts = TERN_COPTS + copts, **kwargs)

def tern_binary(name, copts = [], static_runtime = False, **kwargs):
    """A program.

    static_runtime: optimised, it brings the part of the C++ runtime that it uses, instead of
    having 1.5 MB of libstdc++.so resident. Not with C++ libraries that are shared: there would be
    two runtimes in one process.
    """
    if static_runtime:
        kwargs["linkopts"] = kwargs.get("linkopts", []) + STATIC_RUNTIME_LINKOPTS
        kwargs["additional_linker_inputs"] = ["//bazel/static_runtime:libstdc++.so"]
    cc_binary(name = name, copts = TERN_COPTS + copts, **kwargs)

def tern_test(name, deps = [], copts = [], size = "small", **kwargs):
    """A GoogleTest program; brings gtest, gmock and main(). size = "small": one minute at most."""
    cc_test(
        name = name,
        size = size,
        copts = TERN_COPTS + copts,
        deps = deps + ["@com_google_googletest//:gtest_main"],
        **kwargs
    )
