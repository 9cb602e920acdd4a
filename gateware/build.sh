#!/bin/sh
# Builds the simulator and the checks into a cache, keyed by what goes in, and prints the folder.
#   build.sh [CORES ...]     which core counts to build; 1 2 4 8 if none is given
set -eu
here=$(cd "$(dirname "$0")" && pwd)
counts=${*:-1 2 4 8}
for tool in verilator g++ make; do
  command -v "$tool" >/dev/null || { echo "gateware/build.sh needs $tool" >&2; exit 2; }
done
key=$( (cd "$here" && cat rtl/*.sv rtl/*.svh sim/*.cpp sim/*.hpp build.sh; verilator --version
        g++ -dumpfullversion; echo "$counts") | sha256sum | cut -c1-20)
out=${XDG_CACHE_HOME:-$HOME/.cache}/dpu/gateware-$key
if [ -x "$out/dpu-fpga-sim" ] && [ -x "$out/ebpf-check" ]; then
  echo "$out"
  exit 0
fi
work=$out.$$
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
with=
archives=
for count in $counts; do
  # A model does not depend on the harness, so it is kept by itself.
  model_key=$( (cd "$here" && cat rtl/*.sv rtl/*.svh; verilator --version; g++ -dumpfullversion
                echo "$count O2") | sha256sum | cut -c1-20)
  model=${XDG_CACHE_HOME:-$HOME/.cache}/dpu/gateware-model-$model_key
  if [ ! -f "$model/Vcores${count}__ALL.a" ]; then
    verilator --cc --prefix "Vcores$count" --top-module dpu_ebpf "-GCORES=$count" -O3 \
      --x-assign fast --x-initial fast --noassert -Wno-fatal -I"$here/rtl" "$here"/rtl/*.sv \
      --Mdir "$work/model$count" >&2
    make -s -j2 -C "$work/model$count" -f "Vcores$count.mk" "Vcores${count}__ALL.a" \
      OPT_FAST="-O2" OPT_SLOW="-O0" OPT_GLOBAL="-O2" >&2
    make -s -j2 -C "$work/model$count" -f "Vcores$count.mk" verilated.o verilated_threads.o \
      OPT_GLOBAL="-O2" >&2
    rm -rf "$model"
    mv "$work/model$count" "$model"
  fi
  with="$with -DWITH_$count -I$model"
  archives="$archives $model/Vcores${count}__ALL.a"
  runtime=$model
done
root=$(verilator --getenv VERILATOR_ROOT)
flags="-std=c++17 -O2 -Wall -Wextra -I$root/include -isystem $root/include/vltstd $with"
objects=
pids=
for source in "$here"/sim/*.cpp; do
  name=$(basename "$source" .cpp)
  g++ $flags -c -o "$work/$name.o" "$source" 2>&1 | grep -v "verilated" >&2 &
  pids="$pids $!"
  [ $(( $(echo $pids | wc -w) % 2 )) -eq 0 ] && wait
done
wait
common="$work/device.o"
g++ -o "$work/ebpf-check" "$work/main.o" "$work/exec.o" "$work/vectors.o" "$work/lockstep.o" \
  $(ls "$work/stress.o" 2>/dev/null) $common $archives "$runtime/verilated.o" \
  "$runtime/verilated_threads.o" -lpthread
if [ -f "$work/fpga.o" ]; then
  g++ -o "$work/dpu-fpga-sim" "$work/fpga.o" $common $archives "$runtime/verilated.o" \
    "$runtime/verilated_threads.o" -lpthread
fi
rm -f "$work"/*.o
mkdir -p "$(dirname "$out")"
rm -rf "$out"
mv "$work" "$out"
trap - EXIT
echo "$out"
