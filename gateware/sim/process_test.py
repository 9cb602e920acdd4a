#!/usr/bin/env python3
"""Drives dpu-fpga-sim through its file as a driver does: programs, packets, completions, reset.

process_test.py SIMULATOR REPOSITORY
"""
import json
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib

AREA = 0x40000


class Card:
    def __init__(self, simulator, folder, cores, *options):
        path = os.path.join(folder, f"bar{cores}")
        self.process = subprocess.Popen(
            [simulator, "--bar", path, "--cores", str(cores), *options], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        with open(path, "r+b") as file:
            self.bar = mmap.mmap(file.fileno(), 0x42000)
        self.request, self.tail, self.head = 0, 0, 0

    def load(self, offset):
        return struct.unpack_from("<Q", self.bar, offset)[0]

    def store(self, offset, value):
        struct.pack_into("<Q", self.bar, offset, value)

    def access(self, operation, offset, values, size=8):
        for index, value in enumerate(values):
            self.store(AREA + 0x1000 + 8 * index, value)
        self.store(AREA + 0x08, operation | size << 8)
        self.store(AREA + 0x10, offset)
        self.store(AREA + 0x18, len(values))
        self.request += 1
        self.store(AREA + 0x20, self.request)
        while self.load(AREA + 0x28) != self.request:
            time.sleep(0)
        return self.load(AREA + 0x30)

    def write(self, offset, *values):
        return self.access(1, offset, values)

    def read(self, offset, count=1):
        self.access(0, offset, [0] * count)
        return [self.load(AREA + 0x1000 + 8 * index) for index in range(count)]

    def program(self, code, generation):
        self.write(0x8000, *struct.unpack(f"<{len(code) // 8}Q", code))
        self.write(0x030, len(code) // 8)
        self.write(0x038, zlib.crc32(code))
        self.write(0x040, generation)
        while self.read(0x020)[0] >> 2 & 3 == 1:
            pass
        return self.read(0x048)[0] == generation

    def submit(self, slot, packet, cookie):
        self.bar[0x10000 + slot * 0x800 : 0x10000 + slot * 0x800 + len(packet)] = packet
        struct.pack_into("<IIHHI", self.bar, 0x1000 + 16 * (self.tail & 255), cookie, 0, slot, len(packet), 0)
        self.tail += 1

    def ring(self):
        self.store(0x050, self.tail & 0xFFFF)

    def poll(self):
        place = 0x2000 + 16 * (self.head & 255)
        high = self.load(place + 8)
        if high >> 63 == self.head >> 8 & 1:
            return None
        low = self.load(place)
        self.head += 1
        if self.head % 32 == 0:
            self.store(0x060, self.head & 0xFFFF)
        return low & 0xFFFFFFFF, low >> 32, high >> 16 & 0xFF

    def stop(self):
        self.process.terminate()
        return self.process.wait(10)


def main():
    simulator, root = sys.argv[1:3]
    passed = failed = 0

    def check(good, what):
        nonlocal passed, failed
        passed, failed = passed + bool(good), failed + (not good)
        if not good:
            print("FAILED", what)

    rows = json.load(open(f"{root}/Tests/Vectors/ebpf/filter-vectors.json"))["rows"]
    with tempfile.TemporaryDirectory() as folder:
        for cores, options in ((1, ()), (4, ("--stall-seed", "3"))):
            card = Card(simulator, folder, cores, *options)
            check(card.bar[0:8] == b"DPUEBPF1" and card.bar[AREA : AREA + 8] == b"DPUFSIM1", "magic")
            check(card.read(0x010)[0] & 0xFFFF == cores | 2 << 8, "capabilities")
            check(card.access(0, 0x40000, [0]) == 1 and card.access(2, 0, [0]) == 1, "bad requests")
            for generation, name in enumerate(("icmp_tx", "count_proto"), 1):
                code = open(f"{root}/ebpf/{name}.v3.bin", "rb").read()
                check(card.program(code, generation), f"{name} is not active")
                card.write(0x018, 1)
                mine = [row for row in rows if row["filter"] == name]
                free, out, sent, ended = list(range(2 * cores)), {}, 0, 0
                while ended < len(mine):
                    while free and sent < len(mine):
                        slot = free.pop()
                        packet = bytes.fromhex(mine[sent]["packet"])
                        card.submit(slot, packet, sent)
                        out[sent] = slot
                        sent += 1
                    card.ring()
                    end = card.poll()
                    if end is None:
                        time.sleep(0)
                        continue
                    cookie, verdict, fault = end
                    slot = out.pop(cookie, None)
                    row = mine[cookie]
                    after = bytes.fromhex(row["packet_after"])
                    base = 0x10000 + (slot or 0) * 0x800
                    check(
                        slot is not None and fault == 0 and verdict == row["r0"]
                        and card.bar[base : base + len(after)] == after,
                        f"{name} {row['n']} on {cores} core(s): verdict {verdict}, fault {fault}")
                    free.append(slot)
                    ended += 1
            total = 0
            for core in range(cores):
                state = card.read(0x10000 + 2 * core * 0x800 + 1536, 14)
                total += sum(state[0::2])
            check(total == len(mine), f"{total} of {len(mine)} packets were counted in the state")
            card.write(0x018, 2)
            card.write(0x018, 0)
            check(card.read(0x068)[0] == 0 and card.read(0x020)[0] & 0xC == 0, "reset")
            check(card.load(0x2008) == 0 and card.read(0x2008)[0] == 0, "the ring is not clear after a reset")
            check(card.stop() == 0, "does not stop")
    print(f"the simulated FPGA behind its file: {passed} passed, {failed} failed")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
