"""Frames made by hand, good and bad."""

import errno
import socket
import struct
import subprocess
import time

CLIENT, SERVER = "10.77.0.2", "10.77.0.1"


class Injector:
    """Sends raw frames on an interface."""

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((interface, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame):
        # The cable is full for a moment when the firmware's core was taken away from it.
        for _ in range(100):
            try:
                self.socket.send(frame)
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                time.sleep(0.01)
        raise AssertionError("the cable to the firmware stays full")


def addresses(interface, server):
    """Our MAC address and the server's, as the kernel has learnt it."""
    subprocess.run(["ping", "-c", "1", "-W", "2", server], check=True, capture_output=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        own = raw.getsockname()[4]
    shown = subprocess.run(
        ["ip", "neigh", "show", server], check=True, capture_output=True, text=True).stdout.split()
    return own, bytes.fromhex(shown[shown.index("lladdr") + 1].replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(own, peer, protocol, payload, *, version=4, words=5, total=None, fragment=0x4000,
         wrong_checksum=False, ttl=64, source=CLIENT, destination=SERVER):
    total = 20 + len(payload) if total is None else total
    header = struct.pack(
        ">BBHHHBBH4s4s", version << 4 | words, 0, total, 1, fragment, ttl, protocol, 0,
        socket.inet_aton(source), socket.inet_aton(destination))
    value = checksum(header) ^ (0x5555 if wrong_checksum else 0)
    header = header[:10] + struct.pack(">H", value) + header[12:]
    return peer + own + b"\x08\x00" + header + payload


def tcp(own, peer, *, flags, source_port=40000, port=1883, sequence=1000, words=None, options=b"",
        payload=b"", wrong_checksum=False, source=CLIENT, **ip_options):
    words = 5 + len(options) // 4 if words is None else words
    segment = struct.pack(
        ">HHIIBBHHH", source_port, port, sequence, 0, words << 4, flags, 1000, 0, 0)
    segment += options + payload
    pseudo = socket.inet_aton(source) + socket.inet_aton(SERVER) + struct.pack(">HH", 6, len(segment))
    value = checksum(pseudo + segment) ^ (0x5555 if wrong_checksum else 0)
    segment = segment[:16] + struct.pack(">H", value) + segment[18:]
    return ipv4(own, peer, 6, segment, source=source, **ip_options)


def defects(own, peer):
    """One frame for each thing that can be wrong with a header.

    No fragment: af_packet has the kernel put fragments together, so that one alone never arrives.
    """
    def echo(wrong=0):
        message = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + b"data"
        value = checksum(message) ^ wrong
        return message[:2] + struct.pack(">H", value) + message[4:]

    return {
        "IPv4 header checksum": ipv4(own, peer, 1, echo(), wrong_checksum=True),
        "IPv4 version": ipv4(own, peer, 1, echo(), version=5),
        "IPv4 header length": ipv4(own, peer, 1, echo(), words=4),
        "IPv4 longer than the frame": ipv4(own, peer, 1, echo(), total=1400),
        "IPv4 shorter than its header": ipv4(own, peer, 1, echo(), total=10),
        "IPv4 unknown protocol": ipv4(own, peer, 200, b"x" * 20),
        "ICMP checksum": ipv4(own, peer, 1, echo(0x5555)),
        "TCP checksum": tcp(own, peer, flags=2, wrong_checksum=True),
        "TCP truncated": ipv4(own, peer, 6, b"\x9c\x40\x07\x5b" + b"\0" * 6),
        "TCP data offset below 5": tcp(own, peer, flags=2, words=3),
        "TCP data offset beyond the segment": tcp(own, peer, flags=2, words=15),
        "TCP flags SYN and FIN": tcp(own, peer, flags=3),
        "EtherType nobody speaks": peer + own + b"\x88\xb5" + b"x" * 50,
        "ARP truncated": peer + own + b"\x08\x06" + b"\0\1\x08\0\6\4",
    }


def dropped(dpuctl):
    """Sum of every counter of a drop, over poll loops and stacks."""
    sets = [core["counters"] for core in dpuctl("core", "stats")["cores"]]
    sets.append(dpuctl("tcp", "stats")["counters"])
    return sum(
        value for counters in sets for name, value in counters.items() if name.startswith("dropped"))
