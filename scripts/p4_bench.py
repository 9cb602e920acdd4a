#!/usr/bin/python3
"""Measures our P4 pipeline beside DPDK's SWX pipeline, on one core, in turns.

Both sides run the same packets through the same tables, from a source in memory that takes a
buffer and copies 60 bytes to a sink that gives it back. SWX runs as its makers want it: the .spec
goes through the library's code generator and the C compiler, at -O3 for this very processor. Ours
is the Embedded Swift build that the firmware is made of. Every round measures both, one after the
other, so that what else the machine does meets both alike; time is that of the measuring thread.
"""

import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from bench_parts import REPOSITORY, build_ours, columns, options, run, say

BENCH = os.path.join(REPOSITORY, "Benchmarks/p4")
BUILD = os.path.join(REPOSITORY, "build/bench/p4")
WORKLOAD = os.path.join(BUILD, "workload")
PACKET_BYTES = 60
# The generated C includes two headers of the library that its package leaves out.
HEADERS = ["rte_swx_pipeline_internal.h", "rte_swx_pipeline_spec.h"]


def newer(target, *sources):
    return os.path.exists(target) and all(
        os.path.getmtime(target) >= os.path.getmtime(source) for source in sources)


# MARK: Building


def fetch_headers():
    """From the source package of the installed library."""
    if all(os.path.exists(os.path.join(BUILD, name)) for name in HEADERS):
        return
    version = run(["dpkg-query", "-W", "-f", "${Version}", "libdpdk-dev"])
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/lists/partial")
        with open(f"{folder}/sources.list", "w") as file:
            # Where this machine has its packages from, there are the sources as well.
            for place in sorted(set(run(
                    ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                     "Created-By: Packages", "Origin: Debian"]).splitlines())):
                file.write(f"deb-src {place}\n")
        apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={folder}/sources.list",
               "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={folder}/lists",
               "-o", f"Dir::Cache::srcpkgcache={folder}/src", "-o", f"Dir::Cache::pkgcache={folder}/pkg"]
        run(apt + ["update"])
        run(apt + ["source", "--download-only", f"dpdk={version}"], cwd=folder)
        archive = glob.glob(f"{folder}/dpdk_*.orig.tar.xz")[0]
        run(["tar", "-xf", archive, "-C", folder, "--wildcards", "--strip-components=3"]
            + [f"*/lib/pipeline/{name}" for name in HEADERS])
        for name in HEADERS:
            shutil.copy(f"{folder}/{name}", BUILD)


def build_swx():
    flags = run(["pkg-config", "--cflags", "libdpdk"]).split()
    # The library's own flags are for the oldest processor it runs on.
    flags = [flag for flag in flags if not flag.startswith("-march")]
    flags += ["-march=native", "-DALLOW_EXPERIMENTAL_API"]
    program = os.path.join(BUILD, "swxbench")
    source = os.path.join(BENCH, "swx/swxbench.c")
    if not newer(program, source):
        run(["gcc", "-O3", "-Wall", "-Wextra", *flags, source, "-o", program,
             *(f"-lrte_{name}" for name in ("pipeline", "eal", "mbuf", "mempool", "port"))])
    for name in ("null", "bench_l3", "bench_acl"):
        spec = os.path.join(BENCH, f"programs/{name}.spec")
        base = os.path.join(BUILD, name)
        if not newer(base + ".so", spec, program):
            run([program, "codegen", spec, base + ".c"])
            run(["gcc", "-O3", "-shared", "-fpic", "-Wno-deprecated-declarations", "-I", BUILD,
                 *flags, base + ".c", "-o", base + ".so"])
    return program


# MARK: Measuring


class Side:
    """One program of one side, loaded and waiting for its turn."""

    def __init__(self, command, core):
        self.command = command
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=BUILD)
        self.answer("ready")

    def answer(self, wanted=None):
        line = self.process.stdout.readline()
        if not line or (wanted and line.strip() != wanted):
            raise SystemExit(f"{' '.join(self.command)}: {line}{self.process.stderr.read()}")
        return line

    def turn(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return json.loads(self.answer())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def nanoseconds(turns):
    return statistics.median(turn["cpuNanoseconds"] / max(1, turn["packets"]) for turn in turns)


def figures(turns):
    each = nanoseconds(turns)
    return {"nanosecondsPerPacket": round(each, 2), "millionPacketsPerSecond": round(1000 / each, 3),
            "nanosecondsOfRounds": [
                round(t["cpuNanoseconds"] / max(1, t["packets"]), 1) for t in turns]}


def shares(turns):
    """What part of the packets left by each port."""
    sent = [sum(turn["sent"][port] for turn in turns) for port in range(4)]
    return [round(count / max(1, sum(sent)), 2) for count in sent]


def measure(name, ours, swx, arguments, words=None, ours_words=None):
    """`ours` and `swx` are commands; either may be nil."""
    say(f"measuring {name}")
    sides = {}
    if swx and not arguments.ours_only:
        sides["swx"] = Side(swx, arguments.core)
    if ours:
        sides["ours"] = Side(ours, arguments.core)
    words = words or str(arguments.milliseconds)
    turns = {side: [] for side in sides}
    for side in sides.values():
        side.turn(str(50) if ours_words is None else words)  # caches and branch predictors
    for number in range(arguments.rounds):
        for side in list(sides) if number % 2 == 0 else reversed(list(sides)):
            turns[side].append(
                sides[side].turn(ours_words if ours_words and side == "ours" else words))
    for side in sides.values():
        side.end()
    row = {"name": name, **{side: figures(turns[side]) for side in sides}}
    if ours:
        row["allocations"] = sum(turn["allocations"] for turn in turns["ours"])
    if ours_words and ours_words.startswith("generate"):
        row["sentOfRounds"] = [turn["packets"] for turn in turns["ours"]]
    if len(sides) == 2:
        row["ratio"] = round(statistics.median(
            (s["cpuNanoseconds"] / s["packets"]) / (o["cpuNanoseconds"] / o["packets"])
            for s, o in zip(turns["swx"], turns["ours"])), 3)
        row["shares"] = {side: shares(turns[side]) for side in sides}
        row["sameWork"] = all(
            abs(a - b) <= 0.02 for a, b in zip(row["shares"]["swx"], row["shares"]["ours"]))
    return row


def our_command(program, name, setup, *more):
    path = {"null": "null"}.get(name, os.path.join(BENCH, f"programs/{name}.json"))
    if name in ("l3switch", "pktgen"):
        path = os.path.join(REPOSITORY, f"p4/{name}.json")
    command = [program, path, os.path.join(WORKLOAD, "packets.bin"), str(PACKET_BYTES)]
    if setup:
        command.append(os.path.join(WORKLOAD, f"{setup}.setup"))
    return command + list(more)


def swx_command(program, name, tables=()):
    return [program, "run", f"./{name}.so", os.path.join(WORKLOAD, "packets.pcap"),
            *(f"{table}={WORKLOAD}/{entries}.{table}.swx" for table, entries in tables)]


def measure_all(ours, swx, arguments):
    acl = [("acl", "bench_acl_100"), ("acl", "bench_acl_1000")]
    programs = [
        ("ports only", our_command(ours, "null", None), swx_command(swx, "null")),
        ("L3", our_command(ours, "bench_l3", "bench_l3"), swx_command(
            swx, "bench_l3", [("routing", "bench_l3"), ("nexthop", "bench_l3")])),
        ("ACL, 100 rules", our_command(ours, "bench_acl", "bench_acl_100"),
         swx_command(swx, "bench_acl", acl[:1])),
        ("ACL, 1,000 rules", our_command(ours, "bench_acl", "bench_acl_1000"),
         swx_command(swx, "bench_acl", acl[1:])),
        ("L3, bursts of 32", our_command(ours, "bench_l3", "bench_l3", "--burst", "32"), None),
        ("l3switch.p4", our_command(ours, "l3switch", "l3switch"), None),
    ]
    rows = [measure(name, o, s, arguments) for name, o, s in programs]
    for row, title in ((rows[1], "L3"), (rows[2], "ACL"), (rows[3], "ACL")):
        if "ratio" in row:
            base = rows[0]
            row["ratioLessPorts"] = round(
                (row["swx"]["nanosecondsPerPacket"] - base["swx"]["nanosecondsPerPacket"])
                / (row["ours"]["nanosecondsPerPacket"] - base["ours"]["nanosecondsPerPacket"]), 3)
    milliseconds = arguments.milliseconds
    for title, name, setup, table in (
            ("L3, 10,000 writes/s", "bench_l3", "bench_l3", "I.routing"),
            ("ACL, 10,000 writes/s", "bench_acl", "bench_acl_100", "I.acl")):
        rows.append(measure(title, our_command(ours, name, setup), None, arguments,
                            words=str(milliseconds),
                            ours_words=f"write {milliseconds} 10000 {table}"))
    streams, packets = 64, 20_000
    row = measure("generator, 64 streams", our_command(ours, "pktgen", "pktgen"), None, arguments,
                  words=f"generate {streams} {packets}", ours_words=f"generate {streams} {packets}")
    row["asked"] = streams * packets
    rows.append(row)
    return rows


def table(rows):
    lines = [["", "SWX Mpps", "ns", "ours Mpps", "ns", "ratio", "less ports"]]
    for row in rows:
        cells = [row["name"]]
        for side in ("swx", "ours"):
            figure = row.get(side)
            cells += ([f"{figure['millionPacketsPerSecond']:.2f}",
                       f"{figure['nanosecondsPerPacket']:.1f}"] if figure else ["", ""])
        cells += [f"{row[key]:.2f}" if key in row else "" for key in ("ratio", "ratioLessPorts")]
        lines.append(cells)
    return columns(lines)


def main():
    parser = options(__doc__, 200)
    parser.add_argument("--ours-only", action="store_true", help="without SWX")
    arguments = parser.parse_args()
    os.makedirs(BUILD, exist_ok=True)
    say("building")
    run([sys.executable, os.path.join(BENCH, "workload.py"), WORKLOAD])
    swx = None
    if not arguments.ours_only:
        fetch_headers()
        swx = build_swx()
    ours = build_ours("p4bench", BUILD, "-Xlinker", "-ljansson")
    rows = measure_all(ours, swx, arguments)
    if arguments.json:
        print(json.dumps({"packetBytes": PACKET_BYTES, "rounds": arguments.rounds,
                          "millisecondsOfTurn": arguments.milliseconds, "rows": rows}, indent=2))
    else:
        print(f"\n{PACKET_BYTES}-byte packets, one core, medians of {arguments.rounds} rounds; "
              "ratio is SWX's time over ours\n")
        print(table(rows))
        allocating = [f"{row['name']}: {row['allocations']}" for row in rows if row["allocations"]]
        print("\ncalls of the allocator in all our rounds: " + (", ".join(allocating) or "none"))
        for row in rows:
            if "asked" in row:
                print(f"{row['name']}: asked for {row['asked']} packets a round, sent "
                      + ", ".join(str(count) for count in sorted(set(row["sentOfRounds"]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
