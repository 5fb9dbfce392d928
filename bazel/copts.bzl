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
