#!/bin/bash
# ./dev demo [--json]: the main job from a fresh checkout. Installs what is missing, builds, brings
# the lab up, measures stock and offload side by side, prints the table, cleans up.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$repository"

require_root
prepare
trap 'status=$?; trap - EXIT; scripts/lab.sh down; exit $status' EXIT
trap 'exit 130' INT TERM HUP
scripts/lab.sh up
/usr/bin/python3 scripts/mqtt_compare.py --rounds 4 "$@"
