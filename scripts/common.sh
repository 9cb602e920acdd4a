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
