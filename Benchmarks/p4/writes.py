#!/usr/bin/env python3
"""Table writes per second over the control socket: JSON batches beside binary records.

usage: Benchmarks/p4/writes.py [ROUNDS]

Runs build/host/dpu on a null device with p4/firewall.json, and fills and empties tables of it from
one client, all in one request, JSON and records in turn. What a client needs to make the request is
not counted.
"""

import json
import os
import statistics
import struct
import sys
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPOSITORY, "Tests/EndToEnd"))
from control import Firmware  # noqa: E402

INSERT, DELETE = 1, 3


def record(operation, table, keys, action=0, arguments=b"", priority=0, timeout=0):
    key = b"".join(keys)
    return struct.pack("<BBHHHHHII", operation, 0, table, action, len(keys), len(key),
                       len(arguments), priority, timeout) + key + arguments


class Blocks:
    """Prefixes that are denied: one key."""
    name, count = "FwIngress.net_block", 4_000

    def json(self, n):
        return {"keys": [f"10.{n >> 8}.{n & 255}.0/24"], "action": "net_deny"}

    def keys(self, n):
        return [struct.pack(">I", 10 << 24 | n << 8) + struct.pack("<H", 24)]

    action, priority = "FwIngress.net_deny", staticmethod(lambda n: 0)


class Rules:
    """Rules of the firewall: seven keys, all ternary or ranges."""
    name, count = "FwIngress.acl", 1_000

    def json(self, n):
        return {"keys": {"zone": 2, "src": f"10.{n >> 8}.{n & 255}.0/24", "proto": 6,
                         "dport": "80..443"}, "priority": n, "action": "permit"}

    def keys(self, n):
        return [b"\2\3", struct.pack(">II", 10 << 24 | n << 8, 0xffffff00), bytes(8),
                b"\6\xff", bytes(2), struct.pack(">HH", 0, 65535), struct.pack(">HH", 80, 443)]

    action, priority = "FwIngress.permit", staticmethod(lambda n: n)


class Client:
    def __init__(self, firmware):
        self.end = firmware.connect()
        self.lines = self.end.makefile("rb")

    def call(self, method, params, body=b""):
        """The result, and the seconds it took."""
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
                          separators=(",", ":"))
        request = line.encode() + b"\n" + body
        start = time.perf_counter()
        self.end.sendall(request)
        reply = self.lines.readline()
        seconds = time.perf_counter() - start
        reply = json.loads(reply)
        assert "error" not in reply, reply
        return reply["result"], seconds


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    firmware = Firmware(pipelines=[
        {"name": "main", "program": os.path.join(REPOSITORY, "p4/firewall.json"),
         "ports": {"0": "uplink"}}])
    try:
        client = Client(firmware)
        info, _ = client.call("p4.info", {})
        tables = [table["name"] for table in info["tables"]]
        for kind in (Blocks(), Rules()):
            table = tables.index(kind.name)
            action = [row["name"] for row in info["actions"]].index(kind.action)
            writes = [{"method": "p4.table.insert", "table": kind.name, **kind.json(n)}
                      for n in range(kind.count)]
            body = b"".join(record(INSERT, table, kind.keys(n), action, b"", kind.priority(n))
                            for n in range(kind.count))
            listing = None
            for atomic in (True, False):
                took = {"JSON": [], "records": []}
                for _ in range(rounds):
                    for way in took:
                        client.call("p4.table.clear", {"table": kind.name})
                        if way == "JSON":
                            done, seconds = client.call(
                                "p4.batch", {"writes": writes, "atomic": atomic})
                            assert len(done["results"]) == kind.count
                        else:
                            done, seconds = client.call(
                                "p4.write", {"bytes": len(body), "atomic": atomic}, body)
                            assert len(done["entries"]) == kind.count
                        assert not done.get("failures")
                        took[way].append(seconds)
                        page, _ = client.call("p4.table.list", {"table": kind.name, "limit": 500})
                        # Handles are given out in another order after each clearing.
                        entries = sorted(json.dumps({**entry, "entry": 0}, sort_keys=True)
                                         for entry in page["entries"])
                        listing = listing or entries
                        assert entries == listing, "the two ways give different entries"
                rate = {way: kind.count / statistics.median(times) for way, times in took.items()}
                print(f"{kind.name} {'atomic' if atomic else 'each'}: "
                      f"JSON {rate['JSON']:,.0f}/s, records {rate['records']:,.0f}/s, "
                      f"{rate['records'] / rate['JSON']:.1f} times; bytes per write "
                      f"{len(json.dumps(writes)) // kind.count} and {len(body) // kind.count}",
                      flush=True)
    finally:
        firmware.stop()


if __name__ == "__main__":
    main()
