#!/usr/bin/python3
"""Measures stock mosquitto beside the same mosquitto behind the offload, in a lab that is up.

Both are driven by the same client (mqttbench) over a veth pair, in turns: every round measures
both, one after the other, so that what else the machine does meets both alike. Stock mosquitto and
its client have the whole machine and run where Linux puts them, which was better for it than any
pinning; the poll loop is stopped meanwhile. With the offload, the poll loop has one core, client
and broker have the other.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(REPOSITORY, "build/host/mqttbench")
DPUCTL = os.path.join(REPOSITORY, "build/host/dpuctl")
CLIENT_CORE = "0"

# Subscribers: messages one at a time, and in the burst, per round.
MESSAGES = {1: (3000, 3000), 10: (2000, 1000), 100: (600, 300), 1000: (60, 30)}
# What counts as kept, by number of subscribers: figure, path of the value, limit.
CHECKS = [
    ("nothing lost, duplicated or reordered", lambda r: faults(r), 0),
    ("N = 1: p50 at most 1.2 times stock", lambda r: ratio(r, 1, "p50"), 1.2),
    ("N = 100: p50 at most half of stock", lambda r: ratio(r, 100, "p50"), 0.5),
    ("N = 100: broker CPU per delivery at most 1/20 of stock",
     lambda r: ratio(r, 100, "brokerCPU"), 0.05),
    ("every delivery of the offload went through the DPU", lambda r: missing(r), 0),
]


def ratio(results, subscribers, name):
    found = [r["ratios"][name] for r in results if r["subscribers"] == subscribers]
    return found[0] if found else None


def faults(results):
    return sum(
        r[path][name] for r in results for path in ("stock", "offload")
        for name in ("lost", "duplicated", "reordered", "foreign"))


def missing(results):
    """Share of the offload's deliveries that the broker made after all, over 1 %."""
    made = sum(r["offload"]["deliveries"] for r in results)
    through = sum(r["offload"]["deliveriesThroughDPU"] for r in results)
    return max(0, round(1 - through / made - 0.01, 4)) if made else None


class Path:
    """One of the two ways to a broker."""

    def __init__(self, name, host, port, broker_pid, client_cores):
        self.name, self.host, self.port = name, host, port
        self.broker_pid, self.client_cores = broker_pid, client_cores

    def run(self, lab, subscribers, arguments):
        publishes, burst = MESSAGES[subscribers]
        command = [
            "ip", "netns", "exec", lab["namespaces"]["clients"], "taskset", "-c",
            self.client_cores, BENCH, "--host", self.host, "--port", str(self.port),
            "--subscribers", str(subscribers), "--version", arguments.version,
            "--payload", str(arguments.payload), "--warmup", str(max(20, publishes // 20)),
            "--publishes", str(publishes), "--burst", str(burst),
            "--broker-pid", str(self.broker_pid), "--samples"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, start_new_session=True,
            preexec_fn=come_first)
        if done.returncode != 0:
            raise SystemExit(f"{self.name}, {subscribers} subscribers: {done.stderr.strip()}")
        return json.loads(done.stdout)


def come_first(pid="self"):
    """Firmware, brokers and clients alike come before whatever else the machine does.

    Linux shares the processor among sessions first, so it is the session that gets the priority.
    """
    try:
        with open(f"/proc/{pid}/autogroup", "w") as group:
            group.write("-20")
    except FileNotFoundError:  # a kernel that does not group by session
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), -20)


def through_dpu(lab):
    done = subprocess.run(
        [DPUCTL, "--socket", lab["socket"], "--json", "mqtt", "stats"],
        capture_output=True, text=True, timeout=10, check=True)
    return json.loads(done.stdout)["counters"]["copiesDelivered"]


def percentile(samples, part):
    ordered = sorted(samples)
    return ordered[max(-(-len(ordered) * part // 100), 1) - 1]


def combine(runs):
    """Figures of one path over all rounds: latencies pooled, counts and CPU time summed."""
    samples = [s for run in runs for s in run["samplesMicroseconds"]]
    phases = [run[phase] for run in runs for phase in ("latency", "burst")]
    measured = sum(phase["deliveries"] for phase in phases)
    cpu = sum(p["deliveries"] * (p["brokerCPUMicrosecondsPerDelivery"] or 0) for p in phases)
    burst_seconds = sum(run["burst"]["seconds"] for run in runs)
    burst = sum(run["burst"]["deliveries"] for run in runs)
    return {
        "p50Microseconds": percentile(samples, 50), "p99Microseconds": percentile(samples, 99),
        "p50MicrosecondsOfRounds": [run["p50Microseconds"] for run in runs],
        "brokerCPUMicrosecondsPerDelivery": round(cpu / measured, 4),
        "deliveries": sum(run["deliveries"] for run in runs),
        "burstDeliveriesPerSecond": round(burst / burst_seconds) if burst_seconds else None,
        **{name: sum(run[name] for run in runs)
           for name in ("lost", "duplicated", "reordered", "foreign")},
        "complete": all(run["complete"] for run in runs),
    }


def measure(lab, subscribers, arguments):
    pids = lab["pids"]
    stock = Path("stock", "10.77.1.1", 1884, pids["stock"], f"0-{os.cpu_count() - 1}")
    offload = Path("offload", "10.77.0.1", 1883, pids["broker"], CLIENT_CORE)
    runs, through = {"stock": [], "offload": []}, 0
    for number in range(arguments.rounds):
        for path in (stock, offload) if number % 2 == 0 else (offload, stock):
            before = through_dpu(lab)
            if path is stock:
                # The poll loop would take turns with stock mosquitto on its core.
                os.kill(pids["firmware"], signal.SIGSTOP)
            try:
                runs[path.name].append(path.run(lab, subscribers, arguments))
            finally:
                os.kill(pids["firmware"], signal.SIGCONT)
            time.sleep(0.2)
            through += through_dpu(lab) - before
    result = {"subscribers": subscribers, **{name: combine(r) for name, r in runs.items()}}
    result["offload"]["deliveriesThroughDPU"] = through
    result["stock"]["deliveriesThroughDPU"] = 0
    result["ratios"] = {
        short: round(result["offload"][name] / result["stock"][name], 4)
        for short, name in (
            ("p50", "p50Microseconds"), ("p99", "p99Microseconds"),
            ("brokerCPU", "brokerCPUMicrosecondsPerDelivery"))}
    return result


COLUMNS = [
    ("p50 us", "p50Microseconds", ".1f"), ("p99 us", "p99Microseconds", ".1f"),
    ("broker CPU us/delivery", "brokerCPUMicrosecondsPerDelivery", ".3f"),
    ("burst deliveries/s", "burstDeliveriesPerSecond", ",d"), ("deliveries", "deliveries", ",d"),
    ("through DPU", "deliveriesThroughDPU", ",d"), ("lost", "lost", "d"),
    ("duplicated", "duplicated", "d"), ("reordered", "reordered", "d"),
]


def table(results):
    lines = [["subscribers", "path", *(title for title, _, _ in COLUMNS)]]
    for result in results:
        for path in ("stock", "offload"):
            lines.append([
                str(result["subscribers"]) if path == "stock" else "", path,
                *(format(result[path][key], form) for _, key, form in COLUMNS)])
        ratios = result["ratios"]
        lines.append(["", "ratio", f"{ratios['p50']:.2f}", f"{ratios['p99']:.2f}",
                      f"{ratios['brokerCPU']:.4f}", *[""] * (len(COLUMNS) - 3)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--subscribers", default="1,10,100,1000")
    parser.add_argument("--version", default="3.1.1", choices=("3.1.1", "5.0", "mixed"))
    parser.add_argument("--payload", type=int, default=64)
    arguments = parser.parse_args()
    lab = json.loads(subprocess.run(
        [os.path.join(REPOSITORY, "dev"), "lab", "status", "--json"],
        capture_output=True, text=True, check=True).stdout)

    for pid in lab["pids"].values():
        come_first(pid)
    results = []
    for subscribers in (int(n) for n in arguments.subscribers.split(",")):
        print(f"measuring {subscribers} subscribers, {arguments.rounds} rounds", file=sys.stderr)
        results.append(measure(lab, subscribers, arguments))
    checks = []
    for what, value_of, limit in CHECKS:
        value = value_of(results)
        if value is not None:
            checks.append({"check": what, "value": value, "limit": limit, "met": value <= limit})

    if arguments.json:
        print(json.dumps({
            "version": arguments.version, "payloadBytes": arguments.payload,
            "rounds": arguments.rounds, "cores": os.cpu_count(), "results": results,
            "checks": checks}, indent=2))
    else:
        print(f"\nMQTT {arguments.version}, QoS 0, {arguments.payload} bytes, one publisher; latency "
              "from publish to the last subscriber\n")
        print(table(results))
        print()
        for check in checks:
            print(f"{'met   ' if check['met'] else 'MISSED'}  {check['check']}: {check['value']}")
    # Speed depends on the machine and is only reported; a lost or repeated message is a failure.
    complete = all(r[path]["complete"] for r in results for path in ("stock", "offload"))
    return 0 if complete and faults(results) == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
