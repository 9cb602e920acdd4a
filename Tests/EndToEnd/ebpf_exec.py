#!/usr/bin/python3
"""Every row of the public conformance set through `dpuctl ebpf exec`, on each engine, as
bpf_conformance would call it. Ends with `N passed, N failed`."""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(engine, row):
    """What is wrong with the engine's answer; nothing when it is right."""
    memory = [row["mem"]] if row["mem"] else []
    done = subprocess.run(
        [os.path.join(ROOT, "build/host/dpuctl"), "ebpf", "exec", "--engine", engine, *memory],
        input=row["prog"], capture_output=True, text=True, timeout=60)
    if row["kind"] == "reject":
        return None if done.returncode == 2 else f"ran, exit code {done.returncode}"
    if done.returncode != 0:
        return done.stderr.strip()
    if int(done.stdout, 16) != int(row["r0"], 16):
        return f"r0 {done.stdout.strip()}, expected {row['r0']}"
    return None


def main():
    with open(os.path.join(ROOT, "Tests/Vectors/ebpf/conformance.json"), encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    passed = failed = 0
    for engine in sys.argv[1:] or ["interpreter", "jit", "rtl"]:
        for row in rows:
            wrong = run(engine, row)
            if wrong:
                failed += 1
                print(f"FAILED {engine} {row['name']}: {wrong}")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
