"""Compiler options of Tern's own code, in one place. The language standard, the optimisation and
the sanitizers are in .bazelrc, because they must be the same for every target of a build."""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wnon-virtual-dtor",
    "-Wsuggest-override",

    # {.timeout = ...}: leaving the other fields to their defaults is how our options are meant.
    "-Wno-missing-field-initializers",
]

TERN_COPTS = _WARNINGS + select({
    str(Label("//bazel:werror")): ["-Werror"],
    "//conditions:default": [],
})

# For what runs once for each process or connection, where it is not small anyway: 33 kB less of
# a server of 3 MB, none of them on the way of a call.
TERN_COLD = select({
    str(Label("//bazel:opt")): ["-Os"],
    "//conditions:default": [],
})

# See tern_binary. In this repository only, with gold or lld, of which Bazel takes what is there.
STATIC_RUNTIME_LINKOPTS = select({
    str(Label("//bazel:opt")): [
        "-static-libgcc",
        "-Lbazel/static_runtime",
        "-Wl,--as-needed",  # Bazel asks for libm, too.
        # Of functions that are the same, one is kept: 90 kB less, most of them protobuf's and
        # libstdc++'s. "safe" leaves those whose address is taken, as it may be compared. gold
        # (Bazel's choice on Debian) and lld know it, GNU ld does not.
        "-Wl,--icf=safe",
        # No shared library wants the symbols of our static ones: 8 kB.
        "-Wl,--exclude-libs,ALL",
    ],
    "//conditions:default": [],
})
