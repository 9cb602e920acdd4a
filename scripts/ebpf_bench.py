#!/usr/bin/python3
"""Measures our eBPF engines beside DPDK's rte_bpf, on one core, in turns.

Both sides run the same bytecode over the same packets: our filters compiled for the first
instruction set with the packet's length in memory, because rte_bpf passes one argument. What is
measured is the filter alone: no packet is copied. Every round measures all four engines, one after
the other, so that what else the machine does meets all alike; time is that of the measuring thread.
"""

import json
import os
import statistics
import struct
import subprocess
import sys

from bench_parts import REPOSITORY, build_ours, columns, options, run, say

BENCH = os.path.join(REPOSITORY, "Benchmarks/ebpf")
BUILD = os.path.join(REPOSITORY, "build/bench/ebpf")
FILTERS = ["drop_dport", "mqtt_allow", "count_proto", "icmp_tx", "tuple_drop"]
IMAGE_BYTES, STATE = 2048, 1536


# MARK: Building


def text_section(elf):
    """The only section with code of an object file."""
    start, size, count = struct.unpack_from("<Q", elf, 40)[0], *struct.unpack_from("<HH", elf, 58)
    for index in range(count):
        _, kind, flags, _, offset, length = struct.unpack_from("<IIQQQQ", elf, start + index * size)
        if kind == 1 and flags & 4 and length:
            return elf[offset:offset + length]
    raise SystemExit("an object file without code")


def build_filters():
    """Bytecode and memory images of each filter."""
    with open(os.path.join(REPOSITORY, "Tests/Vectors/ebpf/filter-vectors.json")) as file:
        rows = json.load(file)["rows"]
    clang = os.environ.get("BPF_CLANG", "clang")
    for name in FILTERS:
        base = os.path.join(BUILD, name)
        run([clang, "-target", "bpf", "-O2", "-mcpu=v2", "-DLEN_IN_STATE", "-c",
             os.path.join(REPOSITORY, f"ebpf/{name}.c"), "-o", base + ".o"])
        with open(base + ".o", "rb") as program, open(base + ".bin", "wb") as code:
            code.write(text_section(program.read()))
        with open(base + ".images", "wb") as images:
            for row in rows:
                if row["filter"] != name:
                    continue
                packet, state = bytes.fromhex(row["packet"]), bytes.fromhex(row["state"])
                image = bytearray(IMAGE_BYTES)
                image[:len(packet)] = packet
                image[STATE:STATE + len(state)] = state
                image[IMAGE_BYTES - 4:] = len(packet).to_bytes(4, "little")
                images.write(image)


def build_dpdk():
    flags = run(["pkg-config", "--cflags", "libdpdk"]).split()
    program = os.path.join(BUILD, "rtebpf")
    run(["gcc", "-O3", "-Wall", "-Wextra", *flags, os.path.join(BENCH, "dpdk/rtebpf.c"),
         "-o", program, "-lrte_bpf", "-lrte_eal"])
    return program


# MARK: Measuring


class Side:
    """One engine of one side, loaded and waiting for its turn."""

    def __init__(self, command, core):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.isRefused = self.process.stdout.readline().strip() != "ready"
        if self.isRefused:
            self.reason = self.process.stderr.read().strip()
            if self.process.wait() != 3:
                raise SystemExit(f"{' '.join(command)}: {self.reason}")

    def turn(self, milliseconds):
        self.process.stdin.write(f"{milliseconds}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        if not self.isRefused:
            self.process.stdin.close()
            self.process.wait()


def each(turn):
    return turn["cpuNanoseconds"] / turn["packets"]


def shares(turns):
    total = sum(turn["packets"] for turn in turns)
    return [round(sum(turn["verdicts"][i] for turn in turns) / total, 2) for i in range(5)]


def measure(name, ours, theirs, arguments):
    say(f"measuring {name}")
    base = os.path.join(BUILD, name)
    sides = {
        f"{who} {engine}": Side([program, engine, base + ".bin", base + ".images"], arguments.core)
        for engine in ("interpreter", "jit") for who, program in (("rte_bpf", theirs), ("ours", ours))
    }
    turns = {key: [] for key, side in sides.items() if not side.isRefused}
    for key in turns:
        sides[key].turn(50)  # caches and branch predictors
    for number in range(arguments.rounds):
        for key in list(turns) if number % 2 == 0 else reversed(list(turns)):
            turns[key].append(sides[key].turn(arguments.milliseconds))
    for side in sides.values():
        side.end()
    row = {"filter": name, "nanosecondsPerPacket": {
        key: round(statistics.median(map(each, done)), 2) for key, done in turns.items()}}
    for engine in ("interpreter", "jit"):
        if f"rte_bpf {engine}" in turns:
            row[f"{engine}Ratio"] = round(statistics.median(
                each(o) / each(t)
                for o, t in zip(turns[f"ours {engine}"], turns[f"rte_bpf {engine}"])), 3)
    row["sameWork"] = len({str(shares(done)) for done in turns.values()}) == 1
    row["refusedByPeer"] = sides["rte_bpf interpreter"].isRefused
    return row


def table(rows):
    lines = [["filter", "interpreter: rte_bpf ns", "ours ns", "ratio", "JIT: rte_bpf ns", "ours ns",
              "ratio"]]
    for row in rows:
        cells = [row["filter"]]
        for engine in ("interpreter", "jit"):
            for who in ("rte_bpf", "ours"):
                figure = row["nanosecondsPerPacket"].get(f"{who} {engine}")
                cells.append("refused" if figure is None else f"{figure:.1f}")
            ratio = row.get(f"{engine}Ratio")
            cells.append("" if ratio is None else f"{ratio:.2f}")
        lines.append(cells)
    return columns(lines)


def main():
    parser = options(__doc__, 100)
    arguments = parser.parse_args()
    os.makedirs(BUILD, exist_ok=True)
    say("building")
    build_filters()
    theirs = build_dpdk()
    ours = build_ours("ebpfbench", BUILD)
    rows = [measure(name, ours, theirs, arguments) for name in FILTERS]
    if arguments.json:
        print(json.dumps({"filters": rows}, indent=2))
    else:
        print(table(rows))
        print("A ratio is our time over that of rte_bpf, the median of the rounds.")
    return 0 if all(row["sameWork"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
