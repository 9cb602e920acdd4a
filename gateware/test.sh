#!/bin/sh
# Lint, all vectors, lock-step with the interpreter and the model, stress; for some two minutes. Ends
# with a line "N passed, N failed".   test.sh [long]   also runs what docs/gateware.md gives figures
# of.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
passed=0
failed=0
for tool in verilator g++ make swift; do
  command -v "$tool" >/dev/null || { echo "gateware: $tool is missing (scripts/packages.txt)" >&2; exit 2; }
done

# Adds up the last line of a check, or counts one failure when it died.
check() {
  output=$("$@" 2>&1)
  status=$?
  echo "$output" | sed '$d'
  line=$(echo "$output" | tail -1)
  p=$(echo "$line" | sed -n 's/^\([0-9]*\) passed, [0-9]* failed$/\1/p')
  f=$(echo "$line" | sed -n 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p')
  if [ -z "$p" ] || { [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; }; then
    echo "$line"
    echo "FAILED $* (status $status)"
    failed=$((failed + 1))
  else
    passed=$((passed + p))
    failed=$((failed + f))
  fi
}

for cores in 1 2 4 8; do
  if verilator --lint-only -Wall -I"$here/rtl" "-GCORES=$cores" --top-module dpu_ebpf "$here"/rtl/*.sv; then
    passed=$((passed + 1))
  else
    echo "FAILED lint with $cores core(s)"
    failed=$((failed + 1))
  fi
done

if build=$("$here/build.sh" 1 2 4 8); then
  check "$here/lockstep.sh" 1000000 1
  check "$build/ebpf-check" lockstep --cores 4 --instructions 100000 --seed 2
  for cores in 1 2 4 8; do
    check "$build/ebpf-check" stress --cores $cores --packets 10000 --seed $cores
  done
  check "$build/ebpf-check" scaling --root "$root"
  check python3 "$here/sim/process_test.py" "$build/dpu-fpga-sim" "$root"
  if [ "${1:-}" = long ]; then
    check "$here/lockstep.sh" 10000000 1000
    check "$build/ebpf-check" stress --cores 4 --packets 1000000 --seed 1000
  fi
else
  echo "FAILED build"
  failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
