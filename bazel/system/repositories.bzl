"""Every system package that Tern can use, under the repository name that upstream gives it.

A repository is looked for only when a target in it is built, so one that nobody builds may be
absent from the machine.
"""

load("//bazel/system:abseil.bzl", "system_abseil")
load("//bazel/system:googletest.bzl", "system_googletest")
load("//bazel/system:grpc.bzl", "system_grpc")
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

# What lib/compress uses: a program that does not, needs neither.

def _zlib(name):
    system_library(
        name = name,
        header = "zlib.h",
        libraries = ["z"],
        module = "zlib",
        package = "zlib1g-dev",
        target = "zlib",
    )

# (Without its pkg-config module, which names a folder that Debian does not have it in.)
def _zstd(name):
    system_library(
        name = name,
        header = "zstd.h",
        libraries = ["zstd"],
        package = "libzstd-dev",
        target = "zstd",
    )

# What Tern is compared with: only bench/ uses them.

def _grpc(name):
    system_grpc(name = name)

def _thrift(name):
    system_library(
        name = name,
        header = "thrift/Thrift.h",
        libraries = [
            "thriftnb",
            "thrift",
        ],
        linkopts = [
            "-levent",
            "-pthread",
        ],
        module = "thrift",
        package = "libthrift-dev",
        static = True,
        target = "thrift",
        tools = {"thrift_compiler": "thrift of thrift-compiler"},
    )

def _capnp(name):
    system_library(
        name = name,
        header = "capnp/rpc.h",
        libraries = [
            "capnp-rpc",
            "capnp",
            "kj-async",
            "kj",
        ],
        linkopts = ["-pthread"],
        module = "capnp-rpc",
        package = "libcapnp-dev",
        static = True,
        target = "capnp-rpc",
        tools = {
            "capnp": "capnp of capnproto",
            "capnpc-c++": "capnpc-c++ of capnproto",
        },
    )

SYSTEM_REPOSITORIES = {
    "capnp-cpp": _capnp,
    "com_github_grpc_grpc": _grpc,
    "com_google_absl": _abseil,
    "com_google_benchmark": _benchmark,
    "com_google_googletest": _googletest,
    "com_google_leveldb": _leveldb,
    "com_google_protobuf": _protobuf,
    "org_apache_thrift": _thrift,
    "zlib": _zlib,
    "zstd": _zstd,
}
