#!/bin/bash
# ./dev test [quick]: everything CI checks. Each step's output goes to build/test/STEP.log; the end
# of it is shown when the step fails. `quick` leaves out what takes minutes.
set -uo pipefail
source "$(dirname "$0")/common.sh"
cd "$repository" || exit 1

quick=false
case ${1:-} in
  "") ;;
  quick) quick=true ;;
  *) die "usage: test [quick]" ;;
esac
logs=$repository/build/test
rm -rf "$logs"
mkdir -p "$logs"
passed=0
failed=0

# step NAME COMMAND...: a step that prints `N passed, N failed` brings that many results,
# any other one.
step() {
  local name=$1 log=$logs/$1.log started=$SECONDS status=0 counts good=1 bad=0
  shift
  printf '%-16s' "$name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log"); then
    read -r good _ bad _ <<<"$(tail -n 1 <<<"$counts")"
  elif [ $status != 0 ]; then
    good=0
  fi
  # A step may not fail without a failure to show for it.
  [ $status = 0 ] || [ "$bad" != 0 ] || bad=1
  passed=$((passed + good))
  failed=$((failed + bad))
  printf '%s, %d s\n' "$([ "$bad" = 0 ] && echo "ok ($good)" || echo "FAILED ($bad)")" \
    $((SECONDS - started))
  [ "$bad" = 0 ] || { tail -n 40 "$log" | sed 's/^/    /'; }
}

format() {
  local folders=()
  for folder in Sources Tests Benchmarks Fuzz; do [ -d "$folder" ] && folders+=("$folder"); done
  swift format lint --strict --parallel --recursive Package.swift "${folders[@]}"
}

syntax() {
  local file
  for file in dev .ci/run scripts/*.sh cross/*.sh gateware/*.sh deploy/debian/p*{inst,rm} \
    deploy/bluefield/bf.cfg deploy/image/{loader/{start,supervise,restart},content/*}; do
    bash -n "$file" || return 1
  done
  /usr/bin/python3 - scripts/*.py Tests/EndToEnd/*.py Tests/EndToEnd/*/*.py gateware/*.py gateware/*/*.py <<'END'
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)
END
}

unit_tests() {
  local log=$logs/swift-test.log status=0 good bad
  swift test >"$log" 2>&1 || status=$?
  cat "$log"
  good=$(grep -E 'Test .* passed after' "$log" | grep -vcE 'Test run|Suite')
  bad=$(grep -E 'Test .* failed after' "$log" | grep -vcE 'Test run|Suite')
  # No test executed, or a build that failed, is a failure.
  [ "$good" -gt 0 ] && [ $status = 0 ] || [ "$bad" -gt 0 ] || bad=1
  echo "$good passed, $bad failed"
  return $status
}

step packages scripts/install.sh
step format format
step syntax syntax
step import-graph scripts/import_graph.py
step build-host scripts/build.sh host
if ! $quick; then
  step gateware gateware/test.sh
  step build-gateware scripts/build.sh gateware
  step ebpf-exec Tests/EndToEnd/ebpf_exec.py
  # The tests of the drivers run against it.
  export DPU_FPGA_SIM=$repository/build/host/dpu-fpga-sim
fi
step unit-tests unit_tests
step hot-path scripts/audit.py
step broker-link Tests/EndToEnd/link/run
if $quick; then
  step end-to-end scripts/endtoend.sh quick
else
  step build-arm64 scripts/build.sh arm64
  step smoke-arm64 cross/smoke.sh
  step ebpf-arm64 cross/ebpf.sh
  step image Tests/EndToEnd/image/run
  # Its own limit is for a machine that does nothing else.
  step board env DPU_BOARD_LIMIT=600 scripts/board.sh --smoke
  step end-to-end scripts/endtoend.sh
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
