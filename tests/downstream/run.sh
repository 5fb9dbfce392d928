#!/usr/bin/env bash
#
# Builds this workspace, as a user of Tern would, without downloading anything; runs its server and
# its client against each other and checks what the client prints. `./dev test` runs it.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
: "${HOME:=/root}"
export HOME
cache="${TERN_CACHE:-$HOME/.cache/tern-bazel}"
output_base="${TEST_TMPDIR:-$PWD/../../.cache}/downstream"
mkdir -p "$output_base"
output_base="$(cd "$output_base" && pwd)"

bazel=(bazel --output_base="$output_base")
# symlink_prefix: no bazel-* links in this folder.
flags=(--disk_cache="$cache" --symlink_prefix=/ --experimental_repository_disable_download)
[[ ${CI:-} == true ]] && flags+=(--color=no --curses=no --noshow_progress)

scratch="$(mktemp -d)"
server=""
finish() {
  # By its id; `timeout` has forwarded the signal to the server itself.
  if [[ -n $server ]]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  # Its Bazel is needed by nobody until the next run.
  timeout 60 "${bazel[@]}" shutdown >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap finish EXIT

fail() {
  printf 'downstream: %s\n' "$*" >&2
  for log in "$scratch"/*; do
    printf -- '---- %s\n' "${log##*/}" >&2
    cat "$log" >&2
  done
  exit 1
}

timeout --kill-after=30 1200 "${bazel[@]}" build "${flags[@]}" //... || fail "did not build"
bin="$(timeout 60 "${bazel[@]}" info "${flags[@]}" bazel-bin 2>/dev/null)"

timeout --kill-after=5 60 "$bin/app/server" >"$scratch/port" 2>"$scratch/server" &
server=$!
for ((i = 0; i < 200; ++i)); do
  [[ -s $scratch/port ]] && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.05
done
port="$(<"$scratch/port")"
[[ -n $port ]] || fail "the server did not start"

# Runs the client and checks its exit code and (a part of) all that it prints.
client() {
  local nickname="$1" code="$2" part="$3" status=0
  timeout --kill-after=5 20 "$bin/app/client" "127.0.0.1:$port" "$nickname" >"$scratch/client" 2>&1 || status=$?
  ((status == code)) || fail "client $nickname: exit code $status, not $code"
  grep -qF -- "$part" "$scratch/client" || fail "client $nickname: did not print '$part'"
}
client jo 0 "Hello, Joanna! 1234567890"
client nemo 1 "nobody is called nemo"

status=0
kill -TERM "$server"
wait "$server" || status=$?
server=""
((status == 0)) || fail "the server ended with $status on SIGTERM"
printf 'downstream: the client of another workspace was answered\n'
