"""The system's Abseil under the upstream labels: @com_google_absl//absl/strings."""

load("//bazel/system:probe.bzl", "HEADER", "package_version", "pkg_config", "version_target")

# Upstream label: pkg-config module. One line more makes one label more; a module that the
# installed Abseil does not have (absl_log before 2023, say) simply makes no label.
_LABELS = {
    "absl/algorithm:algorithm": "absl_algorithm",
    "absl/algorithm:container": "absl_algorithm_container",
    "absl/base:base": "absl_base",
    "absl/base:config": "absl_config",
    "absl/base:core_headers": "absl_core_headers",
    "absl/base:endian": "absl_endian",
    "absl/base:log_severity": "absl_log_severity",
    "absl/base:no_destructor": "absl_no_destructor",
    "absl/base:nullability": "absl_nullability",
    "absl/base:prefetch": "absl_prefetch",
    "absl/cleanup:cleanup": "absl_cleanup",
    "absl/container:btree": "absl_btree",
    "absl/container:fixed_array": "absl_fixed_array",
    "absl/container:flat_hash_map": "absl_flat_hash_map",
    "absl/container:flat_hash_set": "absl_flat_hash_set",
    "absl/container:inlined_vector": "absl_inlined_vector",
    "absl/container:node_hash_map": "absl_node_hash_map",
    "absl/container:node_hash_set": "absl_node_hash_set",
    "absl/crc:crc32c": "absl_crc32c",
    "absl/debugging:failure_signal_handler": "absl_failure_signal_handler",
    "absl/debugging:leak_check": "absl_leak_check",
    "absl/debugging:stacktrace": "absl_stacktrace",
    "absl/debugging:symbolize": "absl_symbolize",
    "absl/flags:config": "absl_flags_config",
    "absl/flags:flag": "absl_flags",
    "absl/flags:marshalling": "absl_flags_marshalling",
    "absl/flags:parse": "absl_flags_parse",
    "absl/flags:reflection": "absl_flags_reflection",
    "absl/flags:usage": "absl_flags_usage",
    "absl/functional:any_invocable": "absl_any_invocable",
    "absl/functional:bind_front": "absl_bind_front",
    "absl/functional:function_ref": "absl_function_ref",
    "absl/hash:hash": "absl_hash",
    "absl/log:absl_check": "absl_absl_check",
    "absl/log:absl_log": "absl_absl_log",
    "absl/log:check": "absl_check",
    "absl/log:initialize": "absl_log_initialize",
    "absl/log:log": "absl_log",
    "absl/memory:memory": "absl_memory",
    "absl/meta:type_traits": "absl_type_traits",
    "absl/numeric:bits": "absl_bits",
    "absl/numeric:int128": "absl_int128",
    "absl/random:bit_gen_ref": "absl_random_bit_gen_ref",
    "absl/random:distributions": "absl_random_distributions",
    "absl/random:random": "absl_random_random",
    "absl/random:seed_sequences": "absl_random_seed_sequences",
    "absl/status:status": "absl_status",
    "absl/status:statusor": "absl_statusor",
    "absl/strings:cord": "absl_cord",
    "absl/strings:str_format": "absl_str_format",
    "absl/strings:string_view": "absl_string_view",
    "absl/strings:strings": "absl_strings",
    "absl/synchronization:synchronization": "absl_synchronization",
    "absl/time:time": "absl_time",
    "absl/types:any": "absl_any",
    "absl/types:optional": "absl_optional",
    "absl/types:span": "absl_span",
    "absl/types:variant": "absl_variant",
    "absl/utility:utility": "absl_utility",
}

def _requires(text):
    """Returns the modules that a .pc file's `Requires: absl_base = 20220623, ...` names."""
    for line in text.split("\n"):
        if line.startswith("Requires:"):
            return [
                item.strip().split(" ")[0]
                for item in line[len("Requires:"):].split(",")
                if item.strip()
            ]
    return []

def _impl(rctx):
    pc_folder = pkg_config(rctx, "absl_strings", "libabsl-dev", "--variable=pcfiledir")
    lib_folder = pkg_config(rctx, "absl_strings", "libabsl-dev", "--variable=libdir")

    modules = {}
    for file in rctx.path(pc_folder).readdir():
        if file.basename.startswith("absl_") and file.basename.endswith(".pc"):
            modules[file.basename[:-len(".pc")]] = file

    # //pc has one target for each .pc file, with the dependencies that it states.
    build = HEADER % rctx.name
    build += version_target(rctx, "ABSEIL", package_version(rctx, "libabsl-dev", "absl_strings"))
    for module, file in sorted(modules.items()):
        archive = "lib%s.a" % module
        path = rctx.path("%s/%s" % (lib_folder, archive))
        if path.exists:
            rctx.symlink(path, "pc/" + archive)

        # Newer .pc files list themselves.
        deps = [":" + r for r in _requires(rctx.read(file)) if r != module and r in modules]
        build += "cc_library(name = %r, srcs = %r, deps = %r, linkopts = %r)\n" % (
            module,
            [archive] if path.exists else [],
            deps + [":version"],
            ["-pthread"] if module in ("absl_base", "absl_synchronization") else [],
        )
    rctx.file("pc/BUILD", build)

    packages = {}
    for label, module in _LABELS.items():
        if module not in modules and module == "absl_string_view":
            module = "absl_strings"  # a target of its own only since 2023
        if module in modules:
            package, name = label.split(":")
            packages.setdefault(package, []).append(
                "alias(name = %r, actual = \"//pc:%s\")\n" % (name, module),
            )
    for package, aliases in packages.items():
        rctx.file(package + "/BUILD", HEADER % rctx.name + "".join(aliases))
    rctx.file("BUILD", "")

system_abseil = repository_rule(
    implementation = _impl,
    doc = "The system's Abseil (Debian: libabsl-dev) under the upstream labels.",
    configure = True,
    local = True,
)
