"""The stack under the offload, as Linux sees it."""

import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from lab import ECHO, ECHO6, REPOSITORY, TARGET, TARGET6, dpuctl, eventually, needs_offload, slow
from peers import unique
from wire import Wire, publish, subscribe
import frames

HERE = os.path.dirname(os.path.abspath(__file__))


def ping(*arguments):
    done = subprocess.run(["ping", "-q", *arguments], capture_output=True, text=True, timeout=30)
    return done.returncode == 0


@needs_offload
class Network(unittest.TestCase):
    def test_ping(self):
        self.assertTrue(ping("-c", "20", "-i", "0.01", "-w", "10", "10.77.0.1"))
        self.assertTrue(ping("-c", "20", "-i", "0.01", "-w", "10", "fd77::1"))

    def test_ping_of_any_size(self):
        for size in ("0", "1", "56", "1000", "1472"):
            self.assertTrue(ping("-c", "3", "-i", "0.01", "-w", "5", "-s", size, "10.77.0.1"), size)
        self.assertTrue(ping("-c", "3", "-i", "0.01", "-w", "5", "-s", "1452", "fd77::1"))

    def test_bump_in_the_wire(self):
        """What is not for the DPU passes between its ports."""
        self.assertTrue(ping("-c", "20", "-i", "0.01", "-w", "10", "10.77.0.10"))

    def test_mqtt_over_ipv6(self):
        with Wire.open(TARGET6, unique("six")) as six, Wire.open(TARGET, unique("four")) as four:
            six.send(subscribe(1, [("family/#", 0)]))
            four.send(subscribe(1, [("family/#", 0)]))
            six.quiet(0.2), four.quiet(0.2)
            four.send(publish("family/4", b"to six"))
            six.quiet(0.2)
            six.send(publish("family/6", b"to four"))
            expected = [("family/4", b"to six"), ("family/6", b"to four")]
            self.assertEqual(six.messages(), expected)
            self.assertEqual(four.messages(), expected)

    def test_closed_port_is_refused(self):
        for address in (("10.77.0.1", 9), ("fd77::1", 9)):
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(address, 3)

    def test_half_closed_connection_still_echoes(self):
        with socket.create_connection(ECHO, 5) as client:
            client.sendall(b"z" * 100_000)
            client.shutdown(socket.SHUT_WR)
            received = 0
            while data := client.recv(1 << 16):
                received += len(data)
            self.assertEqual(received, 100_000)


@needs_offload
class Echo(unittest.TestCase):
    def test_quit_makes_the_server_close_first(self):
        for address in (ECHO, ECHO6):
            with socket.create_connection(address, 5) as client:
                client.sendall(b"hello\r\n")
                self.assertEqual(client.recv(100), b"hello\r\n")
                client.sendall(b"QUIT\r\n")
                received = b""
                while data := client.recv(100):
                    received += data
                self.assertEqual(received, b"QUIT\r\n")

    def test_reader_that_stops(self):
        """A client that does not read closes the window, and later gets every byte."""
        with socket.create_connection(ECHO, 5) as client:
            client.setblocking(False)
            sent, source = bytearray(), random.Random(3)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                block = source.randbytes(1 << 15)
                try:
                    sent += block[: client.send(block)]
                except BlockingIOError:
                    time.sleep(0.01)
            client.settimeout(10)
            client.shutdown(socket.SHUT_WR)
            received = bytearray()
            while data := client.recv(1 << 16):
                received += data
            self.assertTrue(received == sent, f"{len(received)} of {len(sent)} bytes")

    def transfer(self, *prefix, byte_count, timeout):
        done = subprocess.run(
            [*prefix, "/usr/bin/python3", os.path.join(HERE, "echo_client.py"), ECHO[0],
             str(byte_count)],
            capture_output=True, text=True, timeout=timeout)
        print(done.stdout.strip(), done.stderr.strip().splitlines()[-1:], file=sys.stderr)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_bulk(self):
        self.transfer(byte_count=20_000_000, timeout=60)

    @slow
    def test_loss_and_reordering(self):
        """100 MB there and back through 1 % random loss and 1 % reordering."""
        self.transfer(
            os.path.join(REPOSITORY, "dev"), "lab", "lossy", "--seed", "1", "--",
            byte_count=100_000_000, timeout=300)

    @slow
    def test_mqtt_through_loss(self):
        subprocess.run(
            [os.path.join(REPOSITORY, "dev"), "lab", "lossy", "--loss", "2", "--seed", "5", "--",
             os.path.join(REPOSITORY, "build/host/mqttbench"), "--host", "10.77.0.1",
             "--subscribers", "10", "--publishes", "100", "--timeout", "30"],
            check=True, timeout=120, stdout=subprocess.DEVNULL)


@needs_offload
class BadFrames(unittest.TestCase):
    """Whatever comes in is dropped with a reason, and the firmware goes on."""

    def check(self, sent):
        before = frames.dropped(dpuctl)
        with frames.Injector("cl0") as injector:
            for frame in sent:
                injector.send(frame)
        with Wire.open(TARGET, unique("ok")) as client:
            client.send(subscribe(1, [("ok", 0)]) + publish("ok", b"alive"))
            self.assertEqual(client.messages(), [("ok", b"alive")])
        self.assertTrue(ping("-c", "2", "-i", "0.01", "-w", "3", "10.77.0.1"))
        return frames.dropped(dpuctl) - before

    def test_noise(self):
        source = random.Random(11)
        noise = [source.randbytes(source.randint(14, 1514)) for _ in range(500)]
        self.check(noise)

    def test_noise_after_good_headers(self):
        source = random.Random(12)
        own, peer = frames.addresses("cl0", "10.77.0.1")
        bad = []
        for kind in (0x0800, 0x0806, 0x86DD):
            for size in (0, 1, 7, 19, 20, 27, 39, 40, 100):
                bad.append(peer + own + struct.pack(">H", kind) + source.randbytes(size))
        self.check(bad)

    def test_each_defect_is_counted(self):
        own, peer = frames.addresses("cl0", "10.77.0.1")
        defects = frames.defects(own, peer)
        for what, frame in defects.items():
            with self.subTest(what):
                self.assertGreaterEqual(self.check([frame] * 5), 5)

    @slow
    def test_every_bit_of_a_syn(self):
        """One bit flipped anywhere: checksums catch it, nothing falls over."""
        own, peer = frames.addresses("cl0", "10.77.0.1")
        syn = bytearray(frames.tcp(own, peer, flags=0x02, options=b"\x02\x04\x05\xb4"))
        flipped = []
        for bit in range(14 * 8, len(syn) * 8):
            frame = bytearray(syn)
            frame[bit // 8] ^= 1 << bit % 8
            flipped.append(bytes(frame))
        self.check(flipped)

    def test_segments_of_no_connection(self):
        own, peer = frames.addresses("cl0", "10.77.0.1")
        source = random.Random(13)
        self.check([
            frames.tcp(own, peer, flags=flags, source_port=source.randint(1024, 65535),
                       payload=source.randbytes(source.randint(0, 40)))
            for flags in range(256) for _ in range(2)])


@needs_offload
class Flood(unittest.TestCase):
    """Handshakes that nobody completes, and Linux among them."""

    def counters(self):
        return dpuctl("tcp", "stats")["counters"]

    def send(self, flags, sequence):
        # Nobody has this address, so nobody answers for it.
        own, peer = frames.addresses("cl0", "10.77.0.1")
        arrived = self.counters()["segmentsReceived"]
        with frames.Injector("cl0") as injector:
            # Never more than the kernel's ring holds, should the poll loop wait for the processor.
            for first in range(2000, 5000, 500):
                for port in range(first, first + 500):
                    injector.send(frames.tcp(
                        own, peer, flags=flags, sequence=sequence, source="10.77.0.200",
                        source_port=port, options=b"\x02\x04\x05\xb4" if flags == 2 else b""))
                arrived += 500
                eventually(
                    lambda: self.counters()["segmentsReceived"] >= arrived, what="a part of it")

    def test_keeps_nobody_out(self):
        before = self.counters()
        self.addCleanup(self.send, 0x04, 1001)
        self.send(0x02, 1000)
        data = random.Random(14).randbytes(1_000_000)
        with socket.create_connection(ECHO, 20) as connection, \
                Wire.open(TARGET, unique("flood")) as client:
            sender = threading.Thread(target=connection.sendall, args=(data,))
            sender.start()
            back = b""
            while len(back) < len(data):
                part = connection.recv(65536)
                self.assertTrue(part)
                back += part
            sender.join()
            self.assertEqual(back, data)
            client.send(subscribe(1, [("flood", 0)]) + publish("flood", b"alive"))
            self.assertEqual(client.messages(), [("flood", b"alive")])
            # What Linux and the stack have agreed on in spite of it.
            shown = subprocess.run(
                ["ss", "-tino", "dst", ECHO[0], "dport", "=", f":{ECHO[1]}"], check=True,
                capture_output=True, text=True).stdout
            self.assertRegex(shown, r"\bts sack .*wscale:")
        after = self.counters()
        self.assertGreater(after["cookiesSent"] - before["cookiesSent"], 1000)
        self.assertGreaterEqual(after["cookiesAccepted"] - before["cookiesAccepted"], 2)
        self.assertEqual(after["cookiesRefused"], before["cookiesRefused"])
