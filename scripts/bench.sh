#!/bin/bash
# ./dev bench [NAME] [--json]: one engine beside its peer, interleaved in one run, with ratios.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$repository"

benches=(mqtt link p4 ebpf)

name=${1:-}
case $name in
  "" | --json) name=mqtt ;;
  *) shift ;;
esac
[[ " ${benches[*]} " == *" $name "* ]] || die "no bench '$name'; there is: ${benches[*]}"

bench_mqtt() {
  require_root
  prepare
  trap 'status=$?; trap - EXIT; scripts/lab.sh down; exit $status' EXIT
  trap 'exit 130' INT TERM HUP
  scripts/lab.sh up
  /usr/bin/python3 scripts/mqtt_compare.py "$@"
}

bench_link() {
  require_root
  prepare
  /usr/bin/python3 scripts/link_bench.py "$@"
}

bench_p4() {
  "$repository/scripts/install.sh"
  /usr/bin/python3 scripts/p4_bench.py "$@"
}

bench_ebpf() {
  "$repository/scripts/install.sh"
  /usr/bin/python3 scripts/ebpf_bench.py "$@"
}

"bench_$name" --rounds 10 "$@"
