#!/usr/bin/python3
"""Looks for allocation and reference counting in the machine code under `PollLoop.turn`.

Follows every direct call and jump from the loop's turn through the disassembled firmware. What is
reached only through a function pointer (DPDK's drivers) is not ours and is not followed.
"""

import bisect
import collections
import os
import re
import subprocess
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENTRY = re.compile(r"^\$[es]8PollLoop.*4turn")
# A message on the way to a trap may cost what it likes: the process ends there. The same holds for
# a cancelled thread, which system calls of glibc may end in, and we cancel none.
END = re.compile(r"4fail|__rte_panic|__pthread_unwind|9invariant.*|abort$|_assertionFailure|fatalError|__stack_chk_fail")
FORBIDDEN = re.compile(
    r"^(swift_(retain|release|alloc|dealloc|bridgeObject|unknownObject|slow|init|beginAccess)\w*"
    r"|(__libc_|__)?(malloc|calloc|realloc|free|posix_memalign|aligned_alloc|memalign)"
    r"|rte_malloc\w*|rte_zmalloc\w*|rte_free|pthread_mutex_\w+)$")
SYMBOL = re.compile(r"^([0-9a-f]+) .{6}[F ] (\S+)\s+([0-9a-f]+)\s+(?:\.(?:hidden|protected|internal) )?(.+)$")
BRANCH = re.compile(
    r"^ *([0-9a-f]+):\s+(call|jmp|j[a-z]+|bl?|b\.\w+|cbn?z|tbn?z)\s+(?:\S+, )*(?:0x)?([0-9a-f]+) <([^>]+)>")


class Function:
    """Code from one start to the next. Names of local functions repeat, some have none."""

    def __init__(self, name):
        self.name = name
        self.targets = set()  # where direct calls and jumps out of it go


def disassemble(binary):
    """The starts of all functions, in order, and the functions themselves."""
    machine = subprocess.run(["file", "-b", binary], capture_output=True, text=True).stdout
    tool = "aarch64-linux-gnu-objdump" if "aarch64" in machine else "objdump"
    names, branches = {}, []
    with subprocess.Popen([tool, "-t", binary], stdout=subprocess.PIPE, text=True) as table:
        for line in table.stdout:
            if (found := SYMBOL.match(line)) and found.group(2) == ".text":
                start, size = int(found.group(1), 16), int(found.group(3), 16)
                if size:
                    names[start] = found.group(4)
                    names.setdefault(start + size, f"unnamed at {start + size:x}")
    with subprocess.Popen(
            [tool, "-d", "--no-show-raw-insn", binary], stdout=subprocess.PIPE, text=True) as dump:
        for line in dump.stdout:
            if found := BRANCH.match(line):
                target = int(found.group(3), 16)
                branches.append((int(found.group(1), 16), target))
                if found.group(2) in ("call", "bl"):
                    names.setdefault(target, f"unnamed at {target:x}")
    starts = sorted(names)
    functions = [Function(names[start]) for start in starts]
    for place, target in branches:
        source = functions[bisect.bisect_right(starts, place) - 1]
        callee = functions[bisect.bisect_right(starts, target) - 1]
        if callee is not source:
            source.targets.add(callee)
    return functions


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.path.join(REPOSITORY, "build/host/dpu")
    entries = [f for f in disassemble(binary) if ENTRY.search(f.name)]
    if not entries:
        print(f"{binary}: no PollLoop.turn in it", file=sys.stderr)
        return 1
    came_from = dict.fromkeys(entries)
    ahead, wrong = collections.deque(entries), []
    while ahead:
        function = ahead.popleft()
        for callee in sorted(function.targets, key=lambda f: f.name):
            if callee in came_from or END.search(callee.name):
                continue
            came_from[callee] = function
            if FORBIDDEN.match(callee.name):
                wrong.append(callee)
            else:
                ahead.append(callee)
    for step in wrong:
        path = []
        while step:
            path.append(step.name)
            step = came_from[step]
        print(" <- ".join(path), file=sys.stderr)
    print(f"hot path: {len(came_from)} functions under PollLoop.turn, {len(wrong)} forbidden calls")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
