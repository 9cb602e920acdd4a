#!/bin/bash
# Runs the public conformance programs and the packet vectors of our own filters through the eBPF
# engines of another processor: builds cross/ebpfcheck for arm64 and runs it under qemu-user.
# usage: cross/ebpf.sh [BINARY]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/common.sh

build() {
  local sysroot target
  sysroot=$(cross/sysroot.sh)
  mapfile -t target < <(arm64_arguments "$sysroot")
  DPU_EMBEDDED=1 DPU_SYSROOT=$sysroot swift build -c release --manifest-cache none \
    --scratch-path .build-arm64-check --product ebpfcheck "${target[@]}" >&2
}

rows() {
  /usr/bin/python3 - <<'END'
import json

def file(name):
    with open(f"Tests/Vectors/ebpf/{name}.json") as text:
        return json.load(text)["rows"]

for row in file("conformance"):
    if row["kind"] == "run":
        memory = row["mem"] or "-"
        print(row["name"], row["prog"], memory, f"{len(row['mem']) // 2:x}", row["r0"][2:],
              row.get("mem_after") or "-", "checked")
programs = {}
for row in file("filter-vectors"):
    def memory(packet, state):
        return packet.ljust(2 * 1536, "0") + state.ljust(2 * 512, "0")
    for version in ("v2", "v3"):
        name = f"{row['filter']}.{version}"
        if name not in programs:
            with open(f"ebpf/{name}.bin", "rb") as code:
                programs[name] = code.read().hex()
        print(f"{name}/{row['n']}", programs[name], memory(row["packet"], row["state"]),
              f"{len(row['packet']) // 2:x}", f"{int(row['r0']):x}",
              memory(row["packet_after"], row["state_after"]), "proved")
END
}

binary=${1:-.build-arm64-check/release/ebpfcheck}
[ $# -gt 0 ] || build
run=()
case $(file -b "$binary") in *aarch64*) run=(qemu-aarch64-static -cpu cortex-a72) ;; esac
rows | timeout 250 "${run[@]}" "$binary"
