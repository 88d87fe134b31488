#!/usr/bin/env bash
# The main job end to end: data -> quantize -> synth -> sim -> profile -> report, each step a command a user would type.
# usage: demo.sh [NAME]; DEMO_OPTIONS are given to `edgendt quantize` (a --config, --data, or key=value).
set -euo pipefail
name="${1:-demo}"
board="${BOARD:-ulx3s-85f}"
export PATH="$(dirname "$0")/../.venv/bin:$PATH"
run() {
  printf '\n$ %s\n' "$*"
  "$@"
}
# shellcheck disable=SC2086  # DEMO_OPTIONS is a list of words
run edgendt quantize --name "$name" ${DEMO_OPTIONS:-}
run edgendt estimate "$name" --board "$board"
run edgendt synth "$name" --board "$board"
run edgendt sim "$name" ${CI:+--strict}
run edgendt profile "$name" --board "$board"
run edgendt report "$name"
printf '\nEverything made lies in runs/%s\n' "$name"
