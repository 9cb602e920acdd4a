"""What the benchmarks of the engines have in common: building ours, and showing a table."""

import argparse
import os
import shutil
import subprocess
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def say(text):
    print(text, file=sys.stderr)


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise SystemExit(f"failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def build_ours(product, folder, *link):
    """Builds one of our programs as Embedded Swift, like the firmware, and puts it into `folder`."""
    run(["swift", "build", "-c", "release", "--manifest-cache", "none", "--scratch-path",
         ".build-host", "--product", product, "-Xswiftc", "-use-ld=lld",
         "-Xswiftc", "-Xclang-linker", "-Xswiftc", "-static", *link],
        cwd=REPOSITORY, env=dict(os.environ, DPU_EMBEDDED="1"))
    program = os.path.join(folder, product)
    shutil.copy(os.path.join(REPOSITORY, ".build-host/release", product), program)
    return program


def columns(lines):
    """Rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def options(description, milliseconds):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--milliseconds", type=int, default=milliseconds, help="of each turn")
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    return parser
