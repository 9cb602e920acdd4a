#!/usr/bin/python3
"""What 10,000 table writes a second cost the forwarding, on one core.

Turns with and without writes alternate in one process, so that what else the machine does meets
both alike; time is that of the measuring thread. Builds on `./dev bench p4 --ours-only`.
"""

import argparse
import json
import os
import statistics
import subprocess

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(REPOSITORY, "build/bench/p4")
PACKET_BYTES = 60
ROWS = [("L3", "bench_l3", "bench_l3", "I.routing"),
        ("ACL, 100 rules", "bench_acl", "bench_acl_100", "I.acl")]


def measure(program, setup, table, arguments):
    workload = os.path.join(BUILD, "workload")
    bench = subprocess.Popen(
        ["taskset", "-c", str(arguments.core), os.path.join(BUILD, "p4bench"),
         os.path.join(REPOSITORY, f"Benchmarks/p4/programs/{program}.json"),
         os.path.join(workload, "packets.bin"), str(PACKET_BYTES),
         os.path.join(workload, f"{setup}.setup")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    bench.stdout.readline()

    def ask(words):
        print(words, file=bench.stdin, flush=True)
        answer = json.loads(bench.stdout.readline())
        return answer["cpuNanoseconds"] / answer["packets"]

    plain = str(arguments.milliseconds)
    writing = f"write {plain} {arguments.writes} {table}"
    ask(plain)  # warms the caches
    pairs = []
    for number in range(arguments.rounds):
        if number % 2:
            pairs.append((ask(plain), ask(writing)))
        else:
            pairs.append(tuple(reversed((ask(writing), ask(plain)))))
    bench.stdin.close()
    bench.wait()
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--milliseconds", type=int, default=120, help="of each turn")
    parser.add_argument("--writes", type=int, default=10_000, help="a second")
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1)
    arguments = parser.parse_args()
    if not os.path.exists(os.path.join(BUILD, "p4bench")):
        raise SystemExit("build/bench/p4/p4bench is missing: ./dev bench p4 --ours-only")
    for title, program, setup, table in ROWS:
        pairs = measure(program, setup, table, arguments)
        plain, writing = (statistics.median(side) for side in zip(*pairs))
        slower = statistics.median(after / before for before, after in pairs) - 1
        print(f"{title:16}{plain:6.1f} ns a packet, {writing:6.1f} with {arguments.writes} writes/s:"
              f" {slower:+.1%}")


if __name__ == "__main__":
    main()
