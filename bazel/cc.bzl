"""cc_library, cc_binary and cc_test for Tern's own code: the same attributes, our compiler options.

One target for each header and its source; visibility is private unless said otherwise.
Headers are included by their path from the root of the repository: "lib/wire/frame.h".
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("//bazel:copts.bzl", "TERN_COPTS")

def tern_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = TERN_COPTS + copts, **kwargs)

def tern_binary(name, copts = [], **kwargs):
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
