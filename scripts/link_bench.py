#!/usr/bin/python3
"""Measures what relaying costs over each carrier of the broker link, beside stock mosquitto.

Brings up a lab of its own in which the offload consumes nothing, so that every message goes from a
client through the firmware and the link to mosquitto under the shim and back. The broker takes
turns: shared memory, TCP over a veth pair, and stock mosquitto over the kernel's TCP with the poll
loop stopped. One publisher, QoS 0; latency from publish to the last subscriber, one message at a
time, then a burst. Placement of the processes as in mqtt_compare.py. Needs root.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import mqtt_compare
from mqtt_compare import CLIENT_CORE, REPOSITORY, Path, combine, come_first

# Subscribers, bytes of a message, messages one at a time, in the burst.
LOADS = [(1, 64, 2000, 20000), (100, 64, 300, 300), (1, 16384, 1000, 5000)]
PATHS = ("stock", "memory", "tcp")


def lab(*words, **environment):
    done = subprocess.run(
        [os.path.join(REPOSITORY, "scripts/lab.sh"), *words], capture_output=True, text=True,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"lab {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def without_consuming(folder):
    with open(os.path.join(REPOSITORY, "scripts/lab.json"), encoding="ascii") as file:
        # @CORE@ stands for a number.
        text = file.read().replace('[@CORE@]', '["@CORE@"]')
    configuration = {**json.loads(text), "mqtt": {"consume": "off"}}
    path = os.path.join(folder, "lab.json")
    with open(path, "w", encoding="ascii") as file:
        file.write(json.dumps(configuration).replace('"@CORE@"', "@CORE@"))
    return path


def carry(carrier):
    """The broker over this carrier, attached."""
    lab("stop", "broker")
    lab("start", "broker", DPU_LAB_CARRIER=carrier)
    state = json.loads(lab("status", "--json"))
    for _ in range(100):
        link = json.loads(subprocess.run(
            [mqtt_compare.DPUCTL, "--socket", state["socket"], "--json", "call", "link.stats"],
            capture_output=True, text=True, timeout=10, check=True).stdout)["links"][0]
        if link["up"] and link["listeners"]:
            break
        time.sleep(0.1)
    else:
        raise SystemExit(f"no link over {carrier}")
    for pid in state["pids"].values():
        come_first(pid)
    return state


def measure(load, rounds):
    subscribers, payload, publishes, burst = load
    mqtt_compare.MESSAGES[subscribers] = (publishes, burst)
    arguments = argparse.Namespace(version="3.1.1", payload=payload)
    runs = {path: [] for path in PATHS}
    for number in range(rounds):
        for path in PATHS if number % 2 == 0 else reversed(PATHS):
            state = carry("memory" if path == "stock" else path)
            pids = state["pids"]
            if path == "stock":
                os.kill(pids["firmware"], signal.SIGSTOP)
                way = Path(path, "10.77.1.1", 1884, pids["stock"], f"0-{os.cpu_count() - 1}")
            else:
                way = Path(path, "10.77.0.1", 1883, pids["broker"], CLIENT_CORE)
            try:
                runs[path].append(way.run(state, subscribers, arguments))
            finally:
                os.kill(pids["firmware"], signal.SIGCONT)
            time.sleep(0.2)
    return {"subscribers": subscribers, "payloadBytes": payload,
            **{path: combine(found) for path, found in runs.items()}}


def table(results):
    lines = [["subscribers", "bytes", "path", "p50 us", "p99 us", "burst deliveries/s",
              "broker CPU us/delivery"]]
    for result in results:
        for path in PATHS:
            found = result[path]
            lines.append([
                str(result["subscribers"]), str(result["payloadBytes"]), path,
                f"{found['p50Microseconds']:.0f}", f"{found['p99Microseconds']:.0f}",
                f"{found['burstDeliveriesPerSecond']:,d}",
                f"{found['brokerCPUMicrosecondsPerDelivery']:.1f}"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths))
                     for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    os.environ.setdefault("DPU_LAB", "link")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            lab("up", "--config", without_consuming(folder))
            for load in LOADS:
                print(f"measuring {load[0]} subscribers, {load[1]} bytes", file=sys.stderr)
                results.append(measure(load, arguments.rounds))
        finally:
            lab("down")
    if arguments.json:
        print(json.dumps({"rounds": arguments.rounds, "cores": os.cpu_count(),
                          "results": results}, indent=2))
    else:
        print(table(results))
    wrong = sum(result[path][name] for result in results for path in PATHS
                for name in ("lost", "duplicated", "reordered", "foreign"))
    complete = all(result[path]["complete"] for result in results for path in PATHS)
    return 0 if complete and wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
