"""Runs a command in another network namespace, behind a relay that loses and reorders frames.

The relay joins a TAP device in that namespace to an existing interface. It drops and delays
frames in both directions by a seeded random choice, so a run can be repeated, and says at the end
what it did. This kernel has no netem.
"""

import argparse
import fcntl
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
# A frame put back waits for this many later ones, or this long when none come.
REORDER_DISTANCE = 3
REORDER_SECONDS = 0.005
TAP = "lossy0"


class Direction:
    """One way through the relay: decides over each frame, hands those that pass to `send`."""

    def __init__(self, name, send, chances, random_source):
        self.name, self.send, self.random = name, send, random_source
        self.loss, self.reorder = chances
        self.held = []  # [frame, frames still to pass, release time]
        self.passed = self.lost = self.reordered = 0

    def offer(self, frame):
        draw = self.random.random()
        if draw < self.loss:
            self.lost += 1
        elif draw < self.loss + self.reorder:
            self.reordered += 1
            self.held.append([frame, REORDER_DISTANCE, time.monotonic() + REORDER_SECONDS])
        else:
            self.passed += 1
            self.send(frame)
            for entry in self.held:
                entry[1] -= 1
            if self.held and self.held[0][1] <= 0:
                self.send(self.held.pop(0)[0])

    def release_late(self):
        now = time.monotonic()
        while self.held and self.held[0][2] <= now:
            self.send(self.held.pop(0)[0])

    def __str__(self):
        return f"{self.name}: {self.passed} passed, {self.lost} lost, {self.reordered} reordered"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def open_tap():
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", TAP.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def open_interface(name):
    """A raw socket that sees what comes in on the interface, other stations' frames included."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    raw.bind((name, 0))
    raw.setblocking(False)
    return raw


def relay(command, tap, raw, own_mac, arguments):
    source = random.Random(arguments.seed)
    chances = (arguments.loss / 100, arguments.reorder / 100)

    def to_wire(frame):
        try:
            raw.send(frame)
        except BlockingIOError:
            pass  # a full queue is a loss like any other

    def to_client(frame):
        try:
            os.write(tap, frame)
        except BlockingIOError:
            pass

    out = Direction("out", to_wire, chances, source)
    back = Direction("back", to_client, chances, source)
    poller = select.poll()
    poller.register(tap, select.POLLIN)
    poller.register(raw, select.POLLIN)
    while command.poll() is None:
        poller.poll(2 if out.held or back.held else 50)
        try:
            for _ in range(64):
                out.offer(os.read(tap, 65536))
        except BlockingIOError:
            pass
        try:
            for _ in range(64):
                frame = raw.recv(65536)
                if frame[:6] == own_mac or frame[0] & 1:
                    back.offer(frame)
        except BlockingIOError:
            pass
        out.release_late()
        back.release_late()
    print(f"relay: seed {arguments.seed}; {out}; {back}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--interface", required=True)
    parser.add_argument("--address", required=True, help="of the client behind the relay")
    parser.add_argument("--loss", type=float, default=1.0, help="percent of all frames")
    parser.add_argument("--reorder", type=float, default=1.0, help="percent of all frames")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = None
    try:
        tap = open_tap()
        raw = open_interface(arguments.interface)
        ip("link", "set", TAP, "netns", arguments.namespace)
        inside = ["ip", "-n", arguments.namespace]
        subprocess.run([*inside, "addr", "add", arguments.address, "dev", TAP], check=True)
        subprocess.run([*inside, "link", "set", TAP, "up"], check=True)
        shown = subprocess.run(
            [*inside, "-br", "link", "show", TAP], check=True, capture_output=True, text=True)
        own_mac = bytes.fromhex(shown.stdout.split()[2].replace(":", ""))
        command = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", arguments.namespace,
             *arguments.command])
        relay(command, tap, raw, own_mac, arguments)
    finally:
        if command is not None and command.poll() is None:
            command.kill()
            command.wait()
    return command.returncode


if __name__ == "__main__":
    sys.exit(main())
