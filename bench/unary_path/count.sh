#!/usr/bin/env bash
#
# Instructions of one call through two sessions, client and server together:
#     bench/unary_path/count.sh PROGRAM
# The difference of two runs, so that what happens once does not count.

set -euo pipefail
program="$1"
few=6400
many=70400

count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" 2>&1 |
    sed -n 's/.*Collected : //p'
}

echo "$((($(count "$many") - $(count "$few")) / (many - few))) instructions per call"
