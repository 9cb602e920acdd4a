#!/bin/bash
# DPDK's testpmd sends frames through the firmware and its filters, in the simulated FPGA and in
# software, with an FPGA that is flooded and one that dies, and counts what comes back. Prints a
# table; fails when the counts do not add up. Needs no network interface. Some two minutes.
set -euo pipefail
source "$(dirname "$0")/common.sh"

[ $# = 0 ] || die "takes no arguments"
for file in dpu dpuctl; do
  [ -e "$host_build/$file" ] || die "build/host/$file is missing: ./dev build host"
done
"$repository/scripts/install.sh"
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$repository/Tests/EndToEnd/testpmd.py"
