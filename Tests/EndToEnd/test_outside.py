"""The broker on another machine: the same broker, with its shim over TCP instead of shared memory."""

import os
import subprocess
import time
import unittest

import test_restart
from lab import KERNEL_PATH, TARGET, dev_lab, dpuctl, eventually, needs_offload, status
from peers import unique
from wire import PUBACK, Wire, publish, subscribe


def link():
    """The first worker's end, and what the link's threads count."""
    answer = dpuctl("call", "link.stats")
    return answer["links"][0], answer["counters"]


class Outside(unittest.TestCase):
    """The lab's broker starts anew over TCP, and at last as it was."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.restart("tcp")

    @classmethod
    def tearDownClass(cls):
        cls.restart("memory")
        super().tearDownClass()

    @staticmethod
    def restart(carrier):
        os.environ["DPU_LAB_CARRIER"] = carrier
        if status()["pids"]["broker"]:
            dev_lab("stop", "broker")
        dev_lab("start", "broker")
        eventually(lambda: test_restart.round_trip(TARGET), 15, f"a link over {carrier}")


@needs_offload
class RestartOutside(Outside, test_restart.Restart):
    pass


@needs_offload
class KernelPathOutside(Outside, test_restart.KernelPath):
    pass


@needs_offload
class Offload(Outside):
    def consumed(self):
        return dpuctl("mqtt", "stats")["counters"]["publishesConsumed"]

    def pair(self):
        """A publisher, a subscriber, and their topic; messages are consumed already."""
        topic = unique("outside")
        publisher, subscriber = Wire.open(TARGET, unique("p")), Wire.open(TARGET, unique("s"))
        self.addCleanup(publisher.close)
        self.addCleanup(subscriber.close)
        subscriber.send(subscribe(1, [(topic, 0)]))
        subscriber.quiet(0.2)
        before = self.consumed()

        def consumes():
            publisher.send(publish(topic, b"warm"))
            time.sleep(0.1)
            return self.consumed() > before

        eventually(consumes, 15, "consuming")
        subscriber.messages(seconds=0.3)
        return publisher, subscriber, topic

    def test_it_is_attached_over_tcp(self):
        row, counters = link()
        self.assertTrue(row["up"] and row["certified"], row)
        self.assertGreater(counters["attachedRemotely"], 0)
        peers = subprocess.run(
            ["ip", "netns", "exec", status()["namespaces"]["dpu"], "ss", "-Htn"],
            capture_output=True, text=True, check=True).stdout
        # One connection for control, one for the worker.
        self.assertEqual(peers.count("192.168.100.2:4841"), 2, peers)

    def test_qos_0_never_reaches_the_broker(self):
        publisher, subscriber, topic = self.pair()
        before = self.consumed()
        _, counters = link()
        sent = [b"%d" % number for number in range(500)]
        for payload in sent:
            publisher.send(publish(topic, payload))
        self.assertEqual([m for _, m in subscriber.messages()], sent)
        self.assertEqual(self.consumed() - before, len(sent))
        # Nothing of it went over the link, but for its PING.
        self.assertLess(link()[1]["bytesSent"] - counters["bytesSent"], 500)

    def test_qos_1_goes_through_the_broker(self):
        publisher, subscriber, topic = self.pair()
        before = self.consumed()
        for number in range(1, 101):
            publisher.send(publish(topic, b"%d" % number, qos=1, identifier=number))
            self.assertEqual(publisher.next_packet()[0], PUBACK)
        self.assertEqual([m for _, m in subscriber.messages()],
                         [b"%d" % number for number in range(1, 101)])
        self.assertEqual(self.consumed(), before)

    def test_large_messages_pass_whole(self):
        publisher, subscriber, topic = self.pair()
        body = os.urandom(1_000_000)
        publisher.send(publish(topic, body, qos=1, identifier=1))
        self.assertEqual(subscriber.messages(seconds=5), [(topic, body)])

    def test_a_client_of_the_kernel_takes_the_certificate_back(self):
        self.pair()
        self.assertTrue(link()[0]["certified"])
        with Wire.open(KERNEL_PATH, unique("near")):
            row, _ = link()
            self.assertFalse(row["certified"])
            self.assertEqual(row["objections"], ["kernelConnection"])
        eventually(lambda: link()[0]["certified"], 5, "certificate")

    def test_others_are_not_let_in(self):
        namespaces = status()["namespaces"]
        before = link()[1]["refusedPeer"]
        program = ("import socket\n"
                   "with socket.create_connection(('192.168.100.2', 4841), 5) as visitor:\n"
                   "    visitor.settimeout(5)\n"
                   "    print(visitor.recv(1))\n")
        done = subprocess.run(
            ["ip", "netns", "exec", namespaces["dpu"], "/usr/bin/python3", "-c", program],
            capture_output=True, text=True, timeout=20)
        self.assertEqual(done.stdout, "b''\n", done.stderr)
        self.assertEqual(link()[1]["refusedPeer"], before + 1)


del Outside
