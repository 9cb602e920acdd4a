#!/bin/bash
# Prints the path of an arm64 Debian tree with everything the firmware links; fetches it once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/tree.sh" sysroot "$here/packages.txt"
