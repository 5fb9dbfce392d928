"""Every system package that Tern can use, under the repository name that upstream gives it.

A repository is looked for only when a target in it is built, so one that nobody builds may be
absent from the machine.
"""

load("//bazel/system:abseil.bzl", "system_abseil")
load("//bazel/system:googletest.bzl", "system_googletest")
load("//bazel/system:library.bzl", "system_library")
load("//bazel/system:protobuf.bzl", "system_protobuf")

def _protobuf(name):
    system_protobuf(name = name)

def _abseil(name):
    system_abseil(name = name)

def _googletest(name):
    system_googletest(name = name)

def _benchmark(name):
    system_library(
        name = name,
        header = "benchmark/benchmark.h",
        libraries = ["benchmark"],
        linkopts = ["-pthread"],
        module = "benchmark",
        package = "libbenchmark-dev",
        target = "benchmark",
    )

def _leveldb(name):
    system_library(
        name = name,
        header = "leveldb/db.h",
        libraries = ["leveldb"],
        package = "libleveldb-dev",
        target = "leveldb",
    )

SYSTEM_REPOSITORIES = {
    "com_google_absl": _abseil,
    "com_google_benchmark": _benchmark,
    "com_google_googletest": _googletest,
    "com_google_leveldb": _leveldb,
    "com_google_protobuf": _protobuf,
}
