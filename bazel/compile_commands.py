"""Turns `bazel aquery --output=jsonproto` of C++ compilations into compile_commands.json.

Reads from standard input and writes to standard output. Only sources of the tree are listed,
not generated ones.
"""

import json
import os
import sys

# gcc has them, and clang's tools refuse them.
GCC_ONLY = {"-fno-canonical-system-headers", "-Wunused-but-set-parameter", "-Wno-free-nonheap-object"}


def main():
    commands = {}
    for action in json.load(sys.stdin).get("actions", []):
        # TERN_SYSTEM_*: see version_target() in bazel/system/probe.bzl; clang-tidy dislikes them.
        arguments = [a for a in action["arguments"]
                     if a not in GCC_ONLY and not a.startswith("-DTERN_SYSTEM_")]
        source = arguments[arguments.index("-c") + 1] if "-c" in arguments else ""
        if source and not source.startswith(("bazel-out/", "external/")):
            # The path from the workspace's root; `bazel-out` is a link there, too. A source that
            # is compiled twice (as a tool, or without -fPIC) has one command.
            commands[source] = {
                "directory": os.getcwd(),
                "file": source,
                "arguments": arguments,
            }
    json.dump([commands[source] for source in sorted(commands)], sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
