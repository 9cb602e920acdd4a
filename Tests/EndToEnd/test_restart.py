"""Firmware and broker go away and come back, in any order."""

import time
import unittest

from lab import KERNEL_PATH, TARGET, dev_lab, dpuctl, eventually, needs_offload, status
from peers import unique
from wire import PINGRESP, PING, Wire, publish, subscribe


def round_trip(address):
    topic = unique("trip")
    with Wire.open(address, unique("c")) as client:
        client.send(subscribe(1, [(topic, 0)]) + publish(topic, b"here"))
        return client.messages(seconds=0.2) == [(topic, b"here")]


@needs_offload
class Restart(unittest.TestCase):
    def tearDown(self):
        for process, pid in status()["pids"].items():
            if pid is None:
                dev_lab("start", process)
        self.works()

    def works(self):
        eventually(lambda: round_trip(TARGET), 15, "a round trip through the offload")

    def test_firmware(self):
        broker = status()["pids"]["broker"]
        offloaded, direct = Wire.open(TARGET, unique("a")), Wire.open(KERNEL_PATH, unique("b"))
        watcher = Wire.open(KERNEL_PATH, unique("w"))
        watcher.send(subscribe(1, [("fate", 1)]))
        willing = Wire.open(TARGET, unique("will"), will=("fate", "lost", 0, False))
        dev_lab("stop", "firmware")
        with self.assertRaises(ConnectionResetError):
            offloaded.socket.recv(1)
        # The broker sees a lost network: it fires the will, and the kernel path goes on.
        self.assertEqual(watcher.messages(seconds=1), [("fate", b"lost")])
        direct.send(PING)
        self.assertEqual(direct.next_packet()[0], PINGRESP)
        dev_lab("start", "firmware")
        self.works()
        self.assertEqual(status()["pids"]["broker"], broker)
        for client in (offloaded, direct, watcher, willing):
            client.close()

    def test_broker(self):
        firmware = status()["pids"]["firmware"]
        client = Wire.open(TARGET, unique("a"))
        dev_lab("stop", "broker")
        self.assertTrue(client.is_closed())

        def refused():
            try:
                Wire(TARGET, 2).close()
            except ConnectionRefusedError:
                return True

        eventually(refused, 5, "a refused connection")
        dev_lab("start", "broker")
        self.works()
        self.assertEqual(status()["pids"]["firmware"], firmware)

    def test_broker_killed(self):
        client = Wire.open(TARGET, unique("a"))
        dev_lab("kill", "broker")
        self.assertTrue(client.is_closed())
        dev_lab("start", "broker")
        self.works()

    def test_firmware_killed(self):
        dev_lab("kill", "firmware")
        self.assertTrue(round_trip(KERNEL_PATH))
        dev_lab("start", "firmware")
        self.works()

    def test_both_firmware_first(self):
        dev_lab("stop", "firmware")
        dev_lab("stop", "broker")
        dev_lab("start", "firmware")
        time.sleep(0.5)
        dev_lab("start", "broker")
        self.works()

    def test_both_broker_first(self):
        dev_lab("stop", "broker")
        dev_lab("stop", "firmware")
        dev_lab("start", "broker")
        eventually(lambda: round_trip(KERNEL_PATH), 5, "a broker without DPU")
        dev_lab("start", "firmware")
        self.works()


@needs_offload
class KernelPath(unittest.TestCase):
    """A client beside the offload takes the certificate away; nobody misses a message."""

    def consumed(self):
        return dpuctl("mqtt", "stats")["counters"]["publishesConsumed"]

    def test_subscriber_beside_the_offload(self):
        topic = unique("beside")
        publisher, fast = Wire.open(TARGET, unique("p")), Wire.open(TARGET, unique("f"))
        fast.send(subscribe(1, [(topic, 0)]))
        fast.quiet(0.2)
        before = self.consumed()
        for number in range(100):
            publisher.send(publish(topic, b"a%d" % number))
        fast.quiet(0.2)
        self.assertGreater(self.consumed(), before, "the offload takes nothing")

        direct = Wire.open(KERNEL_PATH, unique("d"))
        direct.send(subscribe(1, [(topic, 0)]))
        direct.quiet(0.2)
        before = self.consumed()
        sent = [b"b%d" % number for number in range(200)]
        for payload in sent:
            publisher.send(publish(topic, payload))
        self.assertEqual([m for _, m in direct.messages()], sent)
        self.assertEqual(self.consumed(), before)
        direct.send(publish(topic, b"from the kernel path"))
        expected = [b"a%d" % n for n in range(100)] + sent + [b"from the kernel path"]
        self.assertEqual([m for _, m in fast.messages()], expected)

        direct.close()

        def consumes_again():
            publisher.send(publish(topic, b"again"))
            time.sleep(0.1)
            return self.consumed() > before

        eventually(consumes_again, 15, "consuming again")
        for client in (publisher, fast):
            client.close()

    def test_subscriber_comes_while_messages_flow(self):
        """From its SUBACK on, a subscriber on either path misses nothing."""
        topic = unique("join")
        publisher = Wire.open(TARGET, unique("p"))
        sent = 0
        for address in (TARGET, KERNEL_PATH) * 5:
            late = Wire.open(address, unique("late"))
            late.send(subscribe(1, [(topic, 0)]))
            while not select_readable(late):
                publisher.send(publish(topic, b"%d" % sent))
                sent += 1
            late.next_packet()
            first = sent
            for _ in range(20):
                publisher.send(publish(topic, b"%d" % sent))
                sent += 1
            seen = [int(m) for _, m in late.messages()]
            self.assertEqual(seen[-20:], list(range(first, sent)))
            self.assertEqual(seen, list(range(seen[0], sent)))
            late.close()
        publisher.close()


def select_readable(client):
    import select
    return select.select([client.socket], [], [], 0.001)[0]
