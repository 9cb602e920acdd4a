# Sourced by the other scripts: where things are, and how they fail.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
host_build=$repository/build/host

die() {
  echo "$(basename "$0" .sh): $*" >&2
  exit 1
}

require_root() { [ "$(id -u)" = 0 ] || die "needs root: network namespaces"; }
