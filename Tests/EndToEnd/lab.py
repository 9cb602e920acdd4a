"""What the tests know about the lab: addresses, its processes, and the operator's socket."""

import json
import os
import subprocess
import time
import unittest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# The path under test. Without the offload (DPU_TEST_DIRECT=1) the tests run against stock
# mosquitto, which shows that the tests themselves are right.
DIRECT = os.environ.get("DPU_TEST_DIRECT") == "1"
STOCK = (os.environ.get("DPU_TEST_STOCK", "10.77.1.1"), 1884)
KERNEL_PATH = ("10.77.1.1", 1883)
TARGET = STOCK if DIRECT else ("10.77.0.1", 1883)
TARGET6 = ("fd77::1", 1883)
ECHO = ("10.77.0.1", 7)
ECHO6 = ("fd77::1", 7)

needs_offload = unittest.skipIf(DIRECT, "of the offload only")
QUICK = os.environ.get("DPU_TEST_QUICK") == "1"
slow = unittest.skipIf(QUICK, "left out of a quick run")


def dev_lab(*arguments, timeout=60):
    """Runs `./dev lab ...` and returns what it prints."""
    done = subprocess.run(
        [os.path.join(REPOSITORY, "dev"), "lab", *arguments],
        capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"lab {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def status():
    return json.loads(dev_lab("status", "--json"))


def dpuctl(*arguments):
    """Runs `dpuctl --json` against the lab's firmware."""
    done = subprocess.run(
        [os.path.join(REPOSITORY, "build/host/dpuctl"), "--socket", status()["socket"], "--json",
         *arguments],
        capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise AssertionError(f"dpuctl {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def eventually(check, seconds=10, what="it"):
    """Repeats `check` until it returns something true; network errors count as not yet."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            result = check()
            if result:
                return result
        except (OSError, EOFError, AssertionError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s ({last})")
