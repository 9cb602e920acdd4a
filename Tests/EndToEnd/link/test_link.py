"""The link between firmware and broker, with an unmodified mosquitto under the shim.

Needs mosquitto, the shim and linkrelay, built; no privileges, no lab:
    DPU_EMBEDDED=1 swift build -c release --scratch-path .build-host --product dpushim
    swift build --product linkrelay
    python3 Tests/EndToEnd/link/test_link.py
"""

import os
import signal
import socket
import struct
import subprocess
import time
import unittest

from harness import Process, Setting, eventually
from wire import (GOODBYE, PING, PINGRESP, PUBACK, PUBLISH, SUBACK, V5, Wire, connect,
                  publish, subscribe)


def subscriber(address, client, topic, qos=0):
    wire = Wire.open(address, client)
    wire.send(subscribe(1, [(topic, qos)]))
    assert wire.next_packet()[0] == SUBACK
    return wire


def payload(packet):
    body = packet[2]
    return body[2 + struct.unpack(">H", body[:2])[0]:]


def topic(packet):
    body = packet[2]
    return body[2:2 + struct.unpack(">H", body[:2])[0]]


class Paths(unittest.TestCase):
    """Clients of both paths, and where the broker thinks they come from."""

    def test_the_broker_sees_the_true_address(self):
        with Setting().start() as setting:
            with Wire.open(setting.relayed, "far") as far, Wire.open(setting.kernel, "near") as near:
                port = far.socket.getsockname()[1]
                setting.broker.expect(f"New client connected from 10.0.0.1:{port} as far")
                port = near.socket.getsockname()[1]
                setting.broker.expect(f"New client connected from 127.0.0.1:{port} as near")

    def test_each_family_has_its_listener(self):
        for ipv6, address in ((False, "10.0.0.1"), (True, "fd77::7f00:1")):
            with self.subTest(address), Setting(ipv6=ipv6) as setting:
                setting.start(listener=f"listener {setting.broker_port}")
                with Wire.open(setting.relayed, "far") as far:
                    port = far.socket.getsockname()[1]
                    line = setting.broker.expect("New client connected from")
                    self.assertIn(f"from {address}:{port} as far", line)

    def test_messages_cross_between_the_paths(self):
        with Setting(workers=3).start() as setting:
            far = [subscriber(setting.relayed, f"far{i}", "t/#") for i in range(4)]
            near = subscriber(setting.kernel, "near", "t/#")
            far[0].send(publish("t/a", b"from far"))
            near.send(publish("t/b", b"from near"))
            for wire in far + [near]:
                got = {payload(wire.next_packet()), payload(wire.next_packet())}
                self.assertEqual(got, {b"from far", b"from near"})
                wire.close()

    def test_without_the_firmware_the_broker_serves_as_ever(self):
        with Setting() as setting:
            setting.start_broker()
            with subscriber(setting.kernel, "a", "t") as a:
                a.send(publish("t", b"alone"))
                self.assertEqual(payload(a.next_packet()), b"alone")
                # The firmware comes later; the old connection stays.
                setting.start_relay().expect("listen 0")
                with Wire.open(setting.relayed, "b") as b:
                    b.send(publish("t", b"together"))
                    self.assertEqual(payload(a.next_packet()), b"together")

    def test_without_the_variable_the_shim_does_nothing(self):
        with Setting() as setting:
            setting.start_relay()
            process = Process(
                ["mosquitto", "-p", str(setting.broker_port)],
                env={key: value for key, value in setting.environment().items()
                     if not key.startswith("DPU_")})
            setting.processes.append(process)
            process.expect(" running")
            self.assertEqual(len(os.listdir(f"/proc/{process.pid}/task")), 1)

    def test_a_port_without_listener_is_refused(self):
        with Setting().start() as setting:
            setting.broker.kill(signal.SIGTERM)
            setting.relay.expect("down 0")
            setting.start_broker(listener=f"listener {setting.broker_port} 127.0.0.1")
            setting.relay.expect("listen 0")
            # A listener of the loopback address is not for clients of the network.
            with Wire(setting.relayed) as wire:
                wire.send(connect("far"))
                with self.assertRaises((EOFError, ConnectionError)):
                    wire.next_packet()

    def test_as_a_daemon_of_its_own_user(self):
        if os.geteuid() != 0:
            self.skipTest("only root can start it as another user")
        with Setting() as setting:
            setting.start_relay()
            pid_file = f"{setting.folder}/run/pid"
            os.mkdir(f"{setting.folder}/run")
            subprocess.run(["chown", "mosquitto:", f"{setting.folder}/run"], check=True)
            os.chmod(setting.folder, 0o777)
            path = f"{setting.folder}/mosquitto.conf"
            with open(path, "w", encoding="ascii") as file:
                file.write(f"listener {setting.broker_port} 0.0.0.0\nallow_anonymous true\n"
                           f"pid_file {pid_file}\nuser mosquitto\n")
            subprocess.run(["mosquitto", "-d", "-c", path], env=setting.environment(),
                           check=True, timeout=10, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            setting.relay.expect("listen 0")
            def written():
                if not os.path.exists(pid_file):
                    return None
                with open(pid_file, encoding="ascii") as file:
                    return file.read().strip()

            pid = int(eventually(written))
            try:
                self.assertNotEqual(os.stat(f"/proc/{pid}").st_uid, 0)
                with subscriber(setting.relayed, "far", "t") as far:
                    far.send(publish("t", b"x"))
                    self.assertEqual(payload(far.next_packet()), b"x")
            finally:
                os.kill(pid, signal.SIGTERM)
            setting.relay.expect("down 0")


class Bytes(unittest.TestCase):
    def test_three_megabytes_through_a_small_ring(self):
        with Setting(ring_bytes=1 << 17).start() as setting:
            body = os.urandom(3_000_000)
            with subscriber(setting.relayed, "s", "big", qos=1) as s, \
                    Wire.open(setting.relayed, "p") as p:
                p.send(publish("big", body, qos=1, identifier=1))
                self.assertEqual(p.next_packet(20)[0], PUBACK)
                kind, _, got = s.next_packet(20)
                self.assertEqual(kind, PUBLISH)
                self.assertTrue(got.endswith(body))

    def test_the_stream_is_the_same_as_over_the_kernel(self):
        script = [connect("c", V5), subscribe(1, [("a/#", 1), ("b/+", 0)], V5),
                  publish("a/x", b"1" * 200, V5, qos=1, identifier=7),
                  publish("b/y", b"", V5, retain=True), PING, publish("none", b"z", V5), PING]
        streams = []
        for path in ("relayed", "kernel"):
            with Setting().start() as setting, Wire(getattr(setting, path)) as wire:
                for packet in script:
                    wire.send(packet)
                    time.sleep(0.05)
                wire.quiet(0.3)
                streams.append(wire.stream)
        self.assertEqual(streams[0], streams[1])
        self.assertGreater(len(streams[0]), 200)

    def test_a_subscriber_that_stalls_holds_nobody_up(self):
        with Setting().start(configuration="max_queued_messages 0\nmax_queued_bytes 0") as setting:
            with subscriber(setting.relayed, "slow", "t", qos=1) as slow, \
                    subscriber(setting.relayed, "fast", "t") as fast, \
                    Wire.open(setting.relayed, "p") as p:
                for number in range(400):
                    p.send(publish("t", struct.pack(">I", number) + bytes(10_000)))
                    if number % 20 == 0:
                        p.send(PING)
                        self.assertEqual(p.next_packet()[0], PINGRESP)
                for number in range(400):
                    self.assertEqual(payload(fast.next_packet())[:4], struct.pack(">I", number))
                for number in range(400):
                    self.assertEqual(payload(slow.next_packet())[:4], struct.pack(">I", number))

    def test_goodbye_arrives_before_the_end(self):
        with Setting().start() as setting:
            will = ("will", b"gone", 0, False)
            with subscriber(setting.kernel, "watch", "will") as watch:
                far = Wire.open(setting.relayed, "polite", will=will)
                far.send(GOODBYE)
                far.close()
                setting.broker.expect("Received DISCONNECT from polite")
                far = Wire.open(setting.relayed, "rude", will=will)
                far.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                far.close()
                self.assertEqual(payload(watch.next_packet()), b"gone")
                watch.quiet(0.2)
                self.assertEqual(watch.stream.count(b"gone"), 1)


class Flush(unittest.TestCase):
    def test_what_the_broker_wrote_comes_before_flushed(self):
        with Setting(workers=2).start() as setting:
            wires = [subscriber(setting.relayed, f"s{i}", "t") for i in range(60)]
            with Wire.open(setting.relayed, "p") as p:
                for number in range(30):
                    p.send(publish("t", bytes(100)) + PING)
                    self.assertEqual(p.next_packet()[0], PINGRESP)
                    # All copies were written before the PINGRESP that we have seen.
                    setting.relay.say(f"flush {number}")
                    answers = [setting.relay.expect(f"flushed {lane} {number}").split()
                               for lane in (0, 1)]
                    self.assertEqual([answer[3] for answer in answers], ["true", "true"])
            for wire in wires:
                for _ in range(30):
                    self.assertEqual(len(payload(wire.next_packet())), 100)
                wire.close()

    def test_all_bytes_are_counted_when_flushed(self):
        with Setting().start() as setting:
            wires = [subscriber(setting.relayed, f"s{i}", "t") for i in range(200)]
            # Published past the offload, so that nothing but the FLUSH orders the copies.
            with Wire.open(setting.kernel, "p") as p:
                for number in range(20):
                    p.send(publish("t", bytes(50)) + PING)
                    self.assertEqual(p.next_packet()[0], PINGRESP)
                    flushed = setting.relay.ask(f"flush {number}", f"flushed 0 {number}").split()
                    time.sleep(0.02)
                    self.assertEqual(int(flushed[4]), setting.counters()["bytesReceived"])
            for wire in wires:
                wire.close()

    def test_a_channel_without_credit_makes_it_incomplete(self):
        with Setting().start() as setting:
            with subscriber(setting.relayed, "s", "t") as s, Wire.open(setting.kernel, "p") as p:
                setting.relay.say("hold")
                for _ in range(20):
                    p.send(publish("t", bytes(10_000)))
                p.send(PING)
                self.assertEqual(p.next_packet()[0], PINGRESP)
                self.assertIn(" false ", setting.relay.ask("flush 1", "flushed 0 1"))
                setting.relay.say("release")
                for _ in range(20):
                    self.assertEqual(len(payload(s.next_packet())), 10_000)
                self.assertIn(" true ", setting.relay.ask("flush 2", "flushed 0 2"))


class Certificate(unittest.TestCase):
    def test_a_kernel_client_revokes_it_while_it_stays(self):
        with Setting().start() as setting:
            eventually(setting.certified, what="certificate")
            with Wire.open(setting.relayed, "far"):
                eventually(setting.certified, what="certificate")
                near = Wire.open(setting.kernel, "near")
                self.assertFalse(setting.certified())
                second = Wire.open(setting.kernel, "second")
                near.close()
                setting.broker.expect("near")
                time.sleep(0.1)
                self.assertFalse(setting.certified())
                second.close()
                eventually(setting.certified)

    def test_a_bridge_revokes_it(self):
        with Setting().start() as setting, Setting() as other:
            other.start_broker(shim=False)
            setting.broker.kill(signal.SIGTERM)
            setting.relay.expect("down 0")
            setting.start_broker(
                configuration=f"connection b\naddress 127.0.0.1:{other.broker_port}\ntopic # both")
            setting.relay.expect("up 0")
            eventually(lambda: not setting.certified())
            self.assertIn("flags 4", setting.relay.ask("certified", "certified "))

    def test_a_unix_listener_denies_it(self):
        with Setting() as setting:
            os.chmod(setting.folder, 0o777)  # mosquitto leaves root before it binds
            setting.start(configuration=f"listener 0 {setting.folder}/mqtt.sock")
            self.assertIn("false flags 8", setting.relay.ask("certified", "certified "))


class Deaths(unittest.TestCase):
    def test_the_firmware_dies_and_returns(self):
        with Setting().start() as setting:
            with subscriber(setting.kernel, "watch", "will/#") as watch:
                far = [Wire.open(setting.relayed, f"far{i}", will=(f"will/{i}", b"gone", 0, False))
                       for i in range(20)]
                before = setting.descriptors()
                setting.relay.kill()
                topics = {topic(watch.next_packet()) for _ in far}
                self.assertEqual(len(topics), 20)
                eventually(lambda: setting.descriptors() <= before - 40)
                watch.send(PING)
                self.assertEqual(watch.next_packet()[0], PINGRESP)
                for wire in far:
                    wire.close()
                os.unlink(setting.socket)
                setting.start_relay().expect("listen 0")
                with subscriber(setting.relayed, "again", "t") as again:
                    again.send(publish("t", b"back"))
                    self.assertEqual(payload(again.next_packet()), b"back")

    def test_the_broker_dies_and_returns(self):
        with Setting().start() as setting:
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                far = [Wire.open(setting.relayed, f"far{i}") for i in range(10)]
                setting.broker.kill(number)
                setting.relay.expect("down 0")
                for wire in far:
                    self.assertTrue(wire.quiet(2))
                    wire.close()
                setting.start_broker()
                setting.relay.expect("listen 0")
            with subscriber(setting.relayed, "again", "t") as again:
                again.send(publish("t", b"back"))
                self.assertEqual(payload(again.next_packet()), b"back")

    def test_many_restarts_leave_nothing_behind(self):
        with Setting().start() as setting:
            Wire.open(setting.kernel, "warm").close()
            setting.relay.kill()
            time.sleep(0.3)
            before = setting.descriptors()
            for _ in range(8):
                if os.path.exists(setting.socket):
                    os.unlink(setting.socket)
                setting.start_relay().expect("listen 0")
                wires = [Wire.open(setting.relayed, f"c{i}") for i in range(5)]
                setting.relay.kill()
                for wire in wires:
                    wire.close()
            eventually(lambda: setting.descriptors() == before, what="all descriptors closed")

    def test_a_stopped_broker_stalls_and_goes_on(self):
        with Setting().start() as setting:
            with Wire.open(setting.relayed, "far") as far:
                os.kill(setting.broker.pid, signal.SIGSTOP)
                try:
                    setting.relay.expect("stalled 0", 4)
                finally:
                    os.kill(setting.broker.pid, signal.SIGCONT)
                setting.relay.expect("resumed 0", 4)
                far.send(PING)
                self.assertEqual(far.next_packet()[0], PINGRESP)

    def test_a_second_broker_waits_for_its_turn(self):
        with Setting().start() as setting, Setting() as other:
            other.place = setting.place
            other.start_broker()
            time.sleep(0.5)
            with Wire.open(setting.relayed, "far") as far:
                far.send(PING)
                self.assertEqual(far.next_packet()[0], PINGRESP)
            self.assertNotIn("down 0 peerGone", setting.relay.lines)
            setting.broker.kill()
            setting.relay.expect("down 0")
            self.assertIn(str(other.broker_port), setting.relay.expect("listen 0"))


class Scale(unittest.TestCase):
    def test_a_thousand_channels(self):
        with Setting(workers=2).start() as setting:
            wires = [subscriber(setting.relayed, f"s{i}", "t/#") for i in range(1000)]
            with Wire.open(setting.relayed, "p") as p:
                for number in range(10):
                    p.send(publish("t/x", struct.pack(">I", number) + bytes(60)))
                for wire in wires:
                    for number in range(10):
                        self.assertEqual(
                            payload(wire.next_packet())[:4], struct.pack(">I", number))
            before = setting.descriptors()
            for wire in wires:
                wire.close()
            eventually(lambda: setting.descriptors() <= before - 2000, what="descriptors closed")
            counters = setting.counters()
            self.assertEqual(counters["refusedOpen"], 0)
            eventually(setting.certified, what="certificate")


if __name__ == "__main__":
    unittest.main(verbosity=2)
