#!/bin/bash
# Builds everything that runs somewhere.
#
# usage: scripts/build.sh [host|arm64|gateware|all]
#
#   host   build/host/dpu            the firmware, static, for the machine we are on
#          build/host/libdpushim.so  preloaded into the broker
#          build/host/dpuctl         the operator's tool, dpuctl.1 its manual page, and completions
#          build/host/mqttbench      load generator of the demo
#   arm64  build/arm64/dpu           the firmware, static and stripped, for the DPU
#          build/arm64/dpu.debug     the same with symbols
#   gateware  build/host/dpu-fpga-sim  the FPGA in simulation, behind a file (docs/gateware.md)
#             build/host/ebpf-check    its tests, and the engine rtl of dpuctl ebpf exec
#
# DPU_CPU chooses the processor the firmware is compiled for: corei7 or newer for host, cortex-a72
# (BlueField-2, the default) or cortex-a78 (BlueField-3) for arm64. DPU_LTO=0 builds arm64 without
# optimisation across modules (docs/decisions/link-time-optimisation.md): sooner done, a bit slower.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
. "$repository/scripts/dpdk_libraries.sh"
cd "$repository"

"$repository/scripts/install.sh"

# swift_build SCRATCH ARGUMENT...: quiet when all goes well.
swift_build() {
  local scratch=$1 log
  shift
  log=$(mktemp)
  # The manifest asks for the environment; a cached answer may be another's.
  if ! swift build -c release --manifest-cache none --scratch-path "$scratch" "$@" >"$log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] |^warning: ' "$log" >&2
    rm -f "$log"
    die "building failed: swift build -c release --scratch-path $scratch $1 $2"
  fi
  rm -f "$log"
}

# install_file FROM TO: only when it changed, so that what depends on it stays.
install_file() {
  cmp -s "$1" "$2" && return
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new"
  mv "$2.new" "$2"
  echo "built ${2#"$repository"/}"
}

build_host() {
  mapfile -t link < <(dpdk_link_arguments)
  DPU_EMBEDDED=1 swift_build .build-host --product DPUMain -Xswiftc -use-ld=lld \
    -Xswiftc -Xclang-linker -Xswiftc -static "${link[@]}"
  install_file .build-host/release/DPUMain build/host/dpu
  if [ -d Sources/BrokerShim ]; then
    DPU_EMBEDDED=1 swift_build .build-shim --product dpushim -Xswiftc -use-ld=lld
    install_file .build-shim/release/libdpushim.so build/host/libdpushim.so
  fi
  local product
  for product in dpuctl:Sources/dpuctl mqttbench:Benchmarks/mqttbench; do
    [ -d "${product#*:}" ] || continue
    swift_build .build-tools --product "${product%%:*}" --static-swift-stdlib
    install_file ".build-tools/release/${product%%:*}" "build/host/${product%%:*}"
  done
  describe_dpuctl
}

# What shells and people read about dpuctl, made by the program itself.
describe_dpuctl() {
  local new shell
  new=$(mktemp)
  scripts/manual.py build/host/dpuctl >"$new"
  install_file "$new" build/host/dpuctl.1
  for shell in bash zsh fish; do
    build/host/dpuctl --generate-completion-script "$shell" >"$new"
    install_file "$new" "build/host/completions/dpuctl.$shell"
  done
  rm -f "$new"
}

build_arm64() {
  local sysroot link target
  sysroot=$(cross/sysroot.sh)
  mapfile -t link < <(dpdk_link_arguments)
  if [ "${DPU_LTO:-1}" = 1 ]; then
    link+=(--experimental-lto-mode full -Xcc -flto -Xswiftc -Xclang-linker -Xswiftc -flto)
  fi
  mapfile -t target < <(arm64_arguments "$sysroot")
  DPU_EMBEDDED=1 DPU_SYSROOT=$sysroot swift_build .build-arm64 --product DPUMain \
    "${target[@]}" "${link[@]}"
  install_file .build-arm64/release/DPUMain build/arm64/dpu.debug
  aarch64-linux-gnu-strip -o .build-arm64/dpu.stripped build/arm64/dpu.debug
  install_file .build-arm64/dpu.stripped build/arm64/dpu
}

build_gateware() {
  local made program
  made=$(gateware/build.sh)
  for program in dpu-fpga-sim ebpf-check; do
    install_file "$made/$program" "build/host/$program"
  done
}

case ${1:-host} in
  host) build_host ;;
  arm64) build_arm64 ;;
  gateware) build_gateware ;;
  all)
    build_host
    build_gateware
    build_arm64
    ;;
  *) die "unknown target '$1': host, arm64, gateware or all" ;;
esac
