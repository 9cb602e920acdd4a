#!/usr/bin/python3
"""Looks for allocation and reference counting in the machine code under `PollLoop.turn`.

Follows every direct call and jump from the loop's turn through the disassembled firmware. What is
reached only through a function pointer (DPDK's drivers) is not ours and is not followed.
"""

import collections
import os
import re
import subprocess
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENTRY = re.compile(r"^\$[es]8PollLoop.*4turn")
# A message on the way to a trap may cost what it likes: the process ends there.
END = re.compile(r"4fail|9invariant.*|abort$|_assertionFailure|fatalError|__stack_chk_fail")
FORBIDDEN = re.compile(
    r"^(swift_(retain|release|alloc|dealloc|bridgeObject|unknownObject|slow|init|beginAccess)\w*"
    r"|malloc|calloc|realloc|free|posix_memalign|aligned_alloc|memalign"
    r"|rte_malloc\w*|rte_zmalloc\w*|rte_free|pthread_mutex_\w+)$")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
CALL = re.compile(r"\s(?:callq?|jmpq?|j[a-z]+|bl?|b\.\w+|cbn?z|tbn?z)\s+.*?<([^>+]+)(?:@plt)?(?:\+0x[0-9a-f]+)?>")


def calls(binary):
    """Each function's direct callees."""
    machine = subprocess.run(["file", "-b", binary], capture_output=True, text=True).stdout
    tool = "aarch64-linux-gnu-objdump" if "aarch64" in machine else "objdump"
    graph, function = collections.defaultdict(set), None
    with subprocess.Popen(
            [tool, "-d", "--no-show-raw-insn", binary], stdout=subprocess.PIPE, text=True) as dump:
        for line in dump.stdout:
            if found := FUNCTION.match(line):
                function = found.group(1)
                graph[function]  # a function without calls is one, too
            elif function and (found := CALL.search(line)):
                if found.group(1) != function:
                    graph[function].add(found.group(1))
    return graph


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.path.join(REPOSITORY, "build/host/dpu")
    graph = calls(binary)
    entries = [name for name in graph if ENTRY.search(name)]
    if not entries:
        print(f"{binary}: no PollLoop.turn in it", file=sys.stderr)
        return 1
    came_from = {name: None for name in entries}
    ahead, wrong = collections.deque(entries), []
    while ahead:
        function = ahead.popleft()
        for callee in sorted(graph.get(function, ())):
            if callee in came_from or END.search(callee):
                continue
            came_from[callee] = function
            if FORBIDDEN.match(callee):
                wrong.append(callee)
            else:
                ahead.append(callee)
    for name in wrong:
        path, step = [], name
        while step:
            path.append(step)
            step = came_from[step]
        print(" <- ".join(path), file=sys.stderr)
    print(f"hot path: {len(came_from)} functions under PollLoop.turn, {len(wrong)} forbidden calls")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
