#!/bin/bash
# Runs Tests/EndToEnd in a lab of its own beside one that may be up. `quick` leaves out what takes
# minutes; other arguments select tests by name.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$repository"
require_root

export DPU_LAB=${DPU_LAB:-test}
export PYTHONDONTWRITEBYTECODE=1
if [ "${1:-}" = quick ]; then
  export DPU_TEST_QUICK=1
  shift
fi
trap 'status=$?; trap - EXIT; scripts/lab.sh down; exit $status' EXIT
trap 'exit 130' INT TERM HUP
scripts/lab.sh up
# Not `lab exec`: it would hide from the tests what they do to namespaces.
nsenter --net="/run/netns/$DPU_LAB-clients" /usr/bin/python3 -u Tests/EndToEnd/run.py "$@"
