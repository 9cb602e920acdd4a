"""The link over TCP when the network or the other side does what it should not.

What is the same over both carriers stands in test_over_tcp.py.
"""

import os
import random
import socket
import struct
import threading
import time
import unittest

from by_hand import (CONTROL, FRAMES, FakeShim, Proxy, ends, exactly, frame, opening, statement,
                     take_shim)
from harness import Setting, eventually
from test_calls import Server, client
from test_link import payload, subscriber
from wire import PING, PINGRESP, Wire, publish


class TCPSetting(Setting):
    carrier = "tcp"


class Connected(unittest.TestCase):
    """A broker over TCP, through a proxy."""

    def setUp(self):
        self.setting = TCPSetting()
        self.addCleanup(self.setting.close)
        os.chmod(self.setting.folder, 0o777)  # the shim's log is made by mosquitto's user
        self.proxy = Proxy(self.setting.link_port)
        self.addCleanup(self.proxy.close)
        self.setting.place = f"tcp:127.0.0.1:{self.proxy.port}"
        self.relay = self.setting.start_relay()

    def start_broker(self):
        self.setting.start_broker()
        self.relay.expect("listen 0")
        eventually(self.setting.certified, what="certificate")

    def shim_log(self):
        with open(self.setting.shim_log, encoding="utf-8") as file:
            return file.read()

    def near_in_background(self):
        """A kernel client; the seconds until the broker has answered it, once it has."""
        took = []
        started = time.monotonic()

        def run():
            self.near = Wire.open(self.setting.kernel, "near")
            took.append(time.monotonic() - started)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(lambda: self.near.close())
        return thread, took


class Certificate(Connected):
    def test_nobody_is_let_in_before_the_acknowledgement(self):
        self.start_broker()
        self.proxy.acknowledgements.clear()
        thread, took = self.near_in_background()
        eventually(lambda: not self.setting.certified(), what="revocation")
        thread.join(0.7)
        self.assertEqual(took, [], "the broker answered before the firmware acknowledged")
        self.proxy.acknowledgements.set()
        thread.join(1)
        self.assertEqual(len(took), 1)
        self.assertLess(took[0], 1.9)
        # Taken back already: the next client need not wait for anybody.
        self.proxy.acknowledgements.clear()
        Wire.open(self.setting.kernel, "second").close()

    def test_connecting_waits_as_well(self):
        server = Server(self.setting)
        server(f"let l = listen({self.setting.broker_port})")
        self.relay.expect("listen 0")
        eventually(self.setting.certified, what="certificate")
        self.proxy.acknowledgements.clear()
        with socket.create_server(("127.0.0.1", 0)) as bridge:
            threading.Timer(0.5, self.proxy.acknowledgements.set).start()
            started = time.monotonic()
            server(f"let b = socket.create_connection({bridge.getsockname()!r})")
            self.assertGreater(time.monotonic() - started, 0.45)
        self.assertIn("flags 4", self.relay.ask("certified", "certified "))

    def test_a_listener_that_cannot_be_served_waits_as_well(self):
        server = Server(self.setting)
        server(f"let l = listen({self.setting.broker_port})")
        self.relay.expect("listen 0")
        eventually(self.setting.certified, what="certificate")
        self.proxy.acknowledgements.clear()
        threading.Timer(0.5, self.proxy.acknowledgements.set).start()
        server("let u = socket.socket(socket.AF_UNIX)")
        server(f"u.bind('{self.setting.folder}/u.sock')")
        started = time.monotonic()
        server("u.listen()")
        self.assertGreater(time.monotonic() - started, 0.45)
        self.assertIn("flags 8", self.relay.ask("certified", "certified "))

    def test_a_lost_statement_ends_the_link_before_anybody_is_let_in(self):
        self.start_broker()
        self.proxy.statements.clear()
        thread, took = self.near_in_background()
        time.sleep(1.5)
        self.assertTrue(self.setting.certified(), "the statement was to be held up")
        self.relay.expect("down 0", 3)
        self.assertEqual(took, [])
        thread.join(4)
        self.assertEqual(len(took), 1)
        # Two seconds for the acknowledgement, two until nothing can be believed any more.
        self.assertGreater(took[0], 3.9)
        self.assertLess(took[0], 5)
        self.assertIn("the firmware did not acknowledge", self.shim_log())
        self.proxy.statements.set()
        self.relay.expect("listen 0")
        eventually(
            lambda: "false flags 2" in self.relay.ask("certified", "certified "), what="statement")

    def test_after_a_farewell_nobody_waits(self):
        self.start_broker()
        self.relay.say("quit")
        self.relay.process.wait(5)
        started = time.monotonic()
        Wire.open(self.setting.kernel, "near").close()
        self.assertLess(time.monotonic() - started, 1)

    def test_after_a_death_the_certificate_may_be_believed_for_two_seconds(self):
        self.start_broker()
        self.relay.kill()
        started = time.monotonic()
        Wire.open(self.setting.kernel, "near").close()
        took = time.monotonic() - started
        self.assertGreater(took, 1.5)
        self.assertLess(took, 3)
        # Once disbelieved, it stays so.
        started = time.monotonic()
        Wire.open(self.setting.kernel, "second").close()
        self.assertLess(time.monotonic() - started, 1)


class Refusals(unittest.TestCase):
    """What is no shim, or none whose turn it is. The broker is served after each of them."""

    def begin(self, **options):
        setting = TCPSetting(**options)
        self.addCleanup(setting.close)
        setting.start_relay()
        return setting

    def counted(self, setting, name, seconds=5):
        eventually(lambda: setting.counters("listener")[name] > 0, seconds, name)

    def serves(self, setting):
        if not setting.broker:
            setting.start_broker()
        eventually(lambda: any("listen 0" in line for line in setting.relay.lines))
        with subscriber(setting.relayed, "far", "t") as far:
            far.send(publish("t", b"served"))
            self.assertEqual(payload(far.next_packet()), b"served")

    def test_other_first_bytes(self):
        setting = self.begin()
        for first in (b"GET / HTTP/1.1\r\n", opening(3), opening(CONTROL, version=2),
                      opening(CONTROL, magic=b"DPUL"), b"short"):
            with self.subTest(first):
                before = setting.counters("listener")["refusedOpening"]
                with client(("127.0.0.1", setting.link_port)) as visitor:
                    visitor.sendall(first)
                    visitor.shutdown(socket.SHUT_WR)
                    self.assertTrue(ends(visitor))
                self.assertEqual(setting.counters("listener")["refusedOpening"], before + 1)
        self.serves(setting)

    def test_a_silent_visitor(self):
        setting = self.begin()
        with client(("127.0.0.1", setting.link_port)) as visitor:
            visitor.sendall(b"DPU")
            started = time.monotonic()
            self.assertTrue(ends(visitor))
            self.assertGreater(time.monotonic() - started, 1.5)
        self.counted(setting, "refusedLate")

    def test_too_many_visitors_at_once(self):
        setting = self.begin()
        crowd = [client(("127.0.0.1", setting.link_port)) for _ in range(60)]
        self.counted(setting, "refusedTooManyVisitors")
        for visitor in crowd:
            visitor.close()
        self.serves(setting)

    def test_another_peer(self):
        setting = self.begin(peer="127.0.0.9")
        with client(("127.0.0.1", setting.link_port)) as visitor:
            self.assertTrue(ends(visitor))
        self.counted(setting, "refusedPeer")
        with socket.create_connection(
                ("127.0.0.1", setting.link_port), 5, source_address=("127.0.0.9", 0)) as visitor:
            visitor.sendall(opening(CONTROL))
            self.assertEqual(len(exactly(visitor, 48)), 48)

    def test_a_broker_that_never_joins(self):
        setting = self.begin(workers=2)
        shim = FakeShim(setting)
        self.addCleanup(shim.close)
        self.assertTrue(ends(shim.control))
        self.counted(setting, "endedIncomplete")
        self.assertTrue(ends(shim.frames))
        self.serves(setting)

    def test_frames_of_nobody(self):
        setting = self.begin()
        with client(("127.0.0.1", setting.link_port)) as visitor:
            visitor.sendall(opening(FRAMES, 0, 1))
            self.assertTrue(ends(visitor))
        shim = FakeShim(setting, join=False)
        self.addCleanup(shim.close)
        for worker, generation in ((0, shim.generation + 1), (1, shim.generation),
                                   (255, shim.generation)):
            with shim.join(worker, generation) as wrong:
                self.assertTrue(ends(wrong))
        shim.frames = shim.join()
        with shim.join() as twice:
            self.assertTrue(ends(twice))
        self.assertEqual(setting.counters("listener")["refusedStream"], 5)
        shim.greet()
        setting.relay.expect("up 0")

    def test_garbage_on_the_control_connection(self):
        setting = self.begin()
        for garbage in (os.urandom(16)[:3] + b"\xff" * 61, statement(1, 1, kind=2),
                        statement(1, 1, kind=0)):
            shim = FakeShim(setting)
            shim.greet()
            setting.relay.expect("up 0")
            shim.control.sendall(statement(1, 1))
            eventually(setting.certified, what="certificate")
            shim.control.sendall(garbage)
            self.assertTrue(ends(shim.control))
            setting.relay.expect("down 0")
            self.assertFalse(setting.certified())
            shim.close()
        self.assertEqual(setting.counters("listener")["endedBadControl"], 3)
        self.serves(setting)

    def test_garbage_among_the_frames(self):
        setting = self.begin()
        for name, garbage in (("endedBadFrame", frame(6, length=0xffff) + bytes(65536)),
                              (None, frame(77) * 3), (None, frame(4, bytes(48)))):
            shim = FakeShim(setting)
            shim.greet()
            setting.relay.expect("up 0")
            shim.frames.sendall(garbage)
            self.assertTrue(ends(shim.control))
            setting.relay.expect("down 0")
            if name:
                self.counted(setting, name)
            shim.close()
        # Checked by the end of the link, as in shared memory.
        self.assertEqual(setting.counters()["failedBadKind"], 2)
        for seed in range(20):
            shim = FakeShim(setting)
            shim.greet()
            setting.relay.expect("up 0")
            try:
                shim.frames.sendall(random.Random(seed).randbytes(200_000))
                shim.control.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            self.assertTrue(ends(shim.control))
            setting.relay.expect("down 0")
            shim.close()
        self.serves(setting)

    def test_a_shim_that_reads_nothing(self):
        setting = self.begin()
        shim = FakeShim(setting, receive_buffer=4096)
        self.addCleanup(shim.close)
        shim.greet()
        setting.relay.expect("up 0")
        # A client's bytes fill the window of its channel, and a PING goes unanswered.
        with client(setting.relayed) as far:
            far.sendall(bytes(60_000))
            setting.relay.expect("stalled 0", 4)
            # The thread that carries the frames is not held up by it.
            with client(("127.0.0.1", setting.link_port)) as visitor:
                visitor.sendall(opening(CONTROL))
                self.assertTrue(ends(visitor))
            self.counted(setting, "refusedBusy")
            setting.relay.expect("down 0", 8)
        self.serves(setting)

    def test_one_broker_over_either_carrier(self):
        for first, second in (("memory", "tcp"), ("tcp", "memory")):
            with self.subTest(first=first), TCPSetting() as setting, TCPSetting() as other:
                tcp = f"tcp:127.0.0.1:{setting.link_port}"
                places = {"memory": setting.socket, "tcp": tcp}
                setting.place, other.place = places[first], places[second]
                setting.start()
                other.start_broker()
                self.counted(setting, "refusedBusy")
                with Wire.open(setting.relayed, "far") as far:
                    far.send(PING)
                    self.assertEqual(far.next_packet()[0], PINGRESP)
                counters = setting.counters("listener")
                self.assertEqual(
                    (counters["attachedLocally"], counters["attachedRemotely"]),
                    (1, 0) if first == "memory" else (0, 1))
                setting.broker.kill()
                setting.relay.expect("down 0")
                self.assertIn(str(other.broker_port), setting.relay.expect("listen 0"))


class Shim(unittest.TestCase):
    """What the shim does with a firmware that is none, or a slow one."""

    def test_the_last_words_arrive_at_a_firmware_that_is_slow_and_speaks(self):
        """A socket that is closed with unread bytes would throw away what it has not sent."""
        with TCPSetting() as setting, socket.create_server(
                ("127.0.0.1", setting.link_port)) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            server = Server(setting)
            server(f"let l = listen({setting.broker_port}, family=socket.AF_INET)")
            control, frames = take_shim(other)
            local = struct.pack(">QQ", 0, 0xffff0a4d0001) + struct.pack("<Q", setting.broker_port)
            frames.sendall(frame(4, local + local, channel=1 << 32))
            server("let c = l.accept()[0]")
            server("c.sendall(b'x' * 60000)")
            time.sleep(0.3)
            server.process.process.stdin.close()
            pings = frame(13) * 64
            got = b""
            try:
                for _ in range(10):
                    frames.sendall(pings)
                    time.sleep(0.005)
                while part := frames.recv(65536):
                    got += part
            except ConnectionError:
                pass
            words = 0
            while len(got) >= 16:
                kind, _, length, _, _ = struct.unpack("<BBHIQ", got[:16])
                words += length if kind == 6 else 0
                got = got[16 + (length + 15 & ~15):]
            self.assertEqual(words, 60000)
            control.close()
            frames.close()

    def test_a_variable_that_says_nothing(self):
        for place in ("tcp:", "tcp:1.2.3.4", "tcp:1.2.3.4:0", "tcp:1.2.3.4:65536", "tcp:name:5",
                      "tcp:::1:5", "tcp:[::1:5", "tcp:[1.2.3.4]:5", "tcp:1.2.3.4:5x"):
            with self.subTest(place), TCPSetting() as setting:
                setting.place = place
                setting.start_broker()
                Wire.open(setting.kernel, "near").close()
                with open(setting.shim_log, encoding="utf-8") as file:
                    self.assertIn("neither a path nor tcp:ADDRESS:PORT", file.read())
                self.assertEqual(len(os.listdir(f"/proc/{setting.broker.pid}/task")), 1)

    def test_over_ipv6(self):
        with TCPSetting() as setting:
            setting.relay_options[2] = f"tcp:[::1]:{setting.link_port}"
            setting.place = setting.relay_options[2]
            setting.start()
            with Wire.open(setting.relayed, "far") as far:
                far.send(PING)
                self.assertEqual(far.next_packet()[0], PINGRESP)

    def test_a_firmware_of_another_kind(self):
        for answer in (b"", b"HTTP/1.1 400 Bad Request\r\n" + bytes(64), bytes(20)):
            with self.subTest(answer), TCPSetting() as setting, \
                    socket.create_server(("127.0.0.1", setting.link_port)) as other:
                setting.start_broker()
                for _ in range(2):
                    connection, _ = other.accept()
                    self.assertEqual(exactly(connection, 16), opening(CONTROL))
                    connection.sendall(answer)
                    connection.close()
                Wire.open(setting.kernel, "near").close()

    def test_garbage_among_the_frames_ends_the_link(self):
        with TCPSetting() as setting, socket.create_server(
                ("127.0.0.1", setting.link_port)) as other:
            setting.start_broker()
            for garbage in (frame(6, length=0xffff) + bytes(65536), frame(77), bytes(5)):
                control, frames = take_shim(other)
                frames.sendall(garbage)
                if len(garbage) == 5:
                    frames.shutdown(socket.SHUT_WR)
                self.assertTrue(ends(frames))
                self.assertTrue(ends(control))
                frames.close()
                control.close()
            Wire.open(setting.kernel, "near").close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
