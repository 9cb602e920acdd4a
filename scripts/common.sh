# Sourced by the other scripts: where things are, and how they fail.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
host_build=$repository/build/host

die() {
  echo "$(basename "$0" .sh): $*" >&2
  exit 1
}

require_root() { [ "$(id -u)" = 0 ] || die "needs root: network namespaces"; }

# Packages and the host build; its output goes to a log unless it fails.
prepare() {
  "$repository/scripts/install.sh"
  local log=$repository/build/host.log
  mkdir -p "$repository/build"
  echo "building for this machine (minutes the first time)" >&2
  if ! "$repository/scripts/build.sh" host >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    die "the build failed; see $log"
  fi
}

# arm64_arguments SYSROOT: what `swift build` needs to build for the DPU, one a line.
arm64_arguments() {
  printf '%s\n' --triple aarch64-none-none-elf --toolset cross/toolset-arm64.json \
    -Xswiftc -Xcc -Xswiftc "-mcpu=${DPU_CPU:-cortex-a72}" \
    -Xswiftc -use-ld=lld \
    -Xswiftc -Xclang-linker -Xswiftc --target=aarch64-linux-gnu \
    -Xswiftc -Xclang-linker -Xswiftc --sysroot="$1" \
    -Xswiftc -Xclang-linker -Xswiftc --gcc-toolchain=/usr \
    -Xswiftc -Xclang-linker -Xswiftc -static \
    -Xlinker "-L$1/usr/lib/aarch64-linux-gnu" -Xlinker "-L$1/lib/aarch64-linux-gnu"
}
