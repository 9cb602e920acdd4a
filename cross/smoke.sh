#!/bin/bash
# Runs the arm64 firmware's self-test under qemu-user: its poll loop, DPDK's ring and null devices,
# a TCP handshake and an echo. usage: cross/smoke.sh [BINARY]
set -euo pipefail
binary=${1:-$(dirname "${BASH_SOURCE[0]}")/../build/arm64/dpu}
[ -x "$binary" ] || {
  echo "smoke: $binary is missing: ./dev build arm64" >&2
  exit 1
}
description=$(file -b "$binary")
case $description in
  *ARM\ aarch64*statically\ linked*) ;;
  *)
    echo "smoke: not a static arm64 executable: $description" >&2
    exit 1
    ;;
esac
limit=$((8 * 1024 * 1024))
size=$(stat -c %s "$binary")
[ "$size" -lt "$limit" ] || {
  echo "smoke: $size bytes, more than $limit" >&2
  exit 1
}
echo "$size bytes, $description"
# BlueField-2's processor.
exec timeout 120 qemu-aarch64-static -cpu cortex-a72 "$binary" --selftest
