#!/bin/bash
# A core of the gateware and the interpreter of HBPFBridge in lock-step: all vectors, random
# programs, and 10,000 filters with random changes as far as the verifier accepts them. The core's
# side is held against sim/model.hpp too. Ends with a line "N passed, N failed".
#   lockstep.sh [INSTRUCTIONS [SEED [CORES]]]   of the random programs; 500,000, 1 and 1
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
instructions=${1:-500000}
seed=${2:-1}
cores=${3:-1}
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build=$("$here/build.sh" 1 2 4 8)
# The same flags as for the firmware, so that what is built for it serves.
if ! DPU_EMBEDDED=1 swift build -c release --manifest-cache none --package-path "$root" \
  --scratch-path "$root/.build-host" --product ebpflockstep -Xswiftc -use-ld=lld \
  -Xswiftc -Xclang-linker -Xswiftc -static >"$work/build" 2>&1; then
  tail -n 30 "$work/build" >&2
  exit 1
fi
follower=$root/.build-host/release/ebpflockstep

# add FILE: shows a report and adds up its last line; one that ended otherwise is a failure.
add() {
  sed '$d' "$1"
  local last
  last=$(tail -n 1 "$1")
  if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
  else
    echo "$last"
    failed=$((failed + 1))
  fi
}

# both WHAT [all] -- ARGUMENT...: a check of the core with its trace into the follower.
both() {
  local what=$1 all=()
  shift
  if [ "$1" = all ]; then
    all=(all)
    shift
  fi
  "$build/ebpf-check" "$what" "$@" --trace /dev/fd/3 3>&1 >"$work/core" 2>&1 |
    "$follower" "${all[@]}" >"$work/interpreter" || true
  add "$work/core"
  add "$work/interpreter"
}

both vectors --root "$root"
both lockstep all --cores "$cores" --instructions "$instructions" --seed "$seed"
for filter in "$root"/ebpf/*.v[23].bin; do
  od -An -v -tx1 "$filter" | tr -d ' \n'
  echo
done | "$follower" mutants 10000 >"$work/programs"
both programs --programs "$work/programs" --seed "$seed"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
