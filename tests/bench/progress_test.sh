#!/usr/bin/env bash
# An sh_test needs no Python rules of Bazel, only python3.
exec python3 -B tests/bench/progress_test.py "$@"
