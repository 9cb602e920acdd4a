"""mosquitto_pub and mosquitto_sub, the clients most people try first."""

import json
import os
import subprocess
import tempfile
import unittest

import wire
from lab import REPOSITORY, TARGET, TARGET6, dpuctl, eventually, needs_offload, status
from peers import unique


def publish(topic, *arguments, address=TARGET):
    subprocess.run(
        ["mosquitto_pub", "-h", address[0], "-p", str(address[1]), "-t", topic, *arguments],
        check=True, timeout=30, stdin=subprocess.DEVNULL)


class Subscriber:
    """mosquitto_sub, ended after `count` messages; `ready` when its SUBACK has come."""

    def __init__(self, count, *arguments, address=TARGET):
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", "-d", "-h", address[0], "-p", str(address[1]),
             "-C", str(count), "-W", "30", *arguments],
            # Unbuffered: `communicate` with a timeout does not see what a buffer has read ahead.
            stdout=subprocess.PIPE, bufsize=0)
        # A retained message may come before the SUBACK.
        self.early = []
        for line in self.process.stdout:
            self.early.append(line)
            if b"received SUBACK" in line:
                break

    def output(self):
        out, _ = self.process.communicate(timeout=40)
        lines = self.early + out.splitlines(keepends=True)
        return b"".join(line for line in lines if not line.startswith((b"Client ", b"Subscribed")))


class Tools(unittest.TestCase):
    def check_round_trip(self, version, address=TARGET):
        for qos in "012":
            topic = unique("tool")
            subscriber = Subscriber(1, "-V", version, "-q", qos, "-t", topic, address=address)
            publish(topic, "-V", version, "-q", qos, "-m", f"hello {qos}", address=address)
            self.assertEqual(subscriber.output(), f"hello {qos}\n".encode())

    def test_round_trip_311(self):
        self.check_round_trip("mqttv311")

    def test_round_trip_31(self):
        self.check_round_trip("mqttv31")

    def test_round_trip_5(self):
        self.check_round_trip("mqttv5")

    @needs_offload
    def test_round_trip_over_ipv6(self):
        self.check_round_trip("mqttv311", TARGET6)
        self.check_round_trip("mqttv5", TARGET6)

    def test_three_megabyte_file(self):
        topic = unique("file")
        with tempfile.NamedTemporaryFile() as file:
            content = os.urandom(3 << 20)
            file.write(content)
            file.flush()
            publish(topic, "-r", "-f", file.name)
        done = subprocess.run(
            ["mosquitto_sub", "-h", TARGET[0], "-p", str(TARGET[1]), "-t", topic, "-C", "1", "-N"],
            capture_output=True, timeout=30)
        self.assertTrue(done.stdout == content, "content differs")
        publish(topic, "-r", "-n")

    def test_lines(self):
        topic = unique("lines")
        subscriber = Subscriber(1000, "-t", topic)
        lines = "".join(f"line {n}\n" for n in range(1000))
        subprocess.run(
            ["mosquitto_pub", "-h", TARGET[0], "-p", str(TARGET[1]), "-t", topic, "-l"],
            input=lines.encode(), check=True, timeout=30)
        self.assertEqual(subscriber.output(), lines.encode())

    def test_retained_and_will(self):
        topic = unique("keep")
        publish(topic, "-r", "-m", "kept")
        self.assertEqual(Subscriber(1, "-t", topic).output(), b"kept\n")
        publish(topic, "-r", "-n")

    @needs_offload
    def test_consuming_ends_and_begins_while_clients_stay(self):
        """`config apply` on a connection that publishes all the time: nothing is lost."""
        topic = unique("live")
        with tempfile.TemporaryDirectory() as folder:
            def apply(consume):
                wanted = dpuctl("config", "get")
                wanted["mqtt"]["consume"] = consume
                path = os.path.join(folder, "wanted.json")
                with open(path, "w") as file:
                    json.dump(wanted, file)
                dpuctl("config", "apply", path)

            def count(counter):
                return dpuctl("mqtt", "stats")["counters"][counter]

            with wire.Wire.open(TARGET, unique("s")) as receiver, \
                    wire.Wire.open(TARGET, unique("p")) as sender:
                receiver.send(wire.subscribe(1, [(topic, 0)]))
                sent = 0

                def until(counter):
                    nonlocal sent
                    before = count(counter)

                    def more():
                        nonlocal sent
                        for _ in range(20):
                            sender.send(wire.publish(topic, b"%d" % sent))
                            sent += 1
                        return count(counter) >= before + 10
                    eventually(more, 20, counter)

                until("publishesConsumed")
                apply("off")
                try:
                    until("relayedOff")
                finally:
                    apply("certified")
                until("publishesConsumed")
                self.assertEqual(
                    receiver.messages(seconds=1), [(topic, b"%d" % n) for n in range(sent)])

    @needs_offload
    def test_a_capture_is_what_tcpdump_would_see(self):
        """Pings through `dpuctl capture`, read by tcpdump."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pings.pcapng")
            capture = subprocess.Popen(
                [os.path.join(REPOSITORY, "build/host/dpuctl"), "--socket", status()["socket"],
                 "capture", "--port", "uplink", "-n", "6", "--write", path])
            self.addCleanup(capture.wait)
            self.addCleanup(capture.kill)
            eventually(lambda: os.path.exists(path), 10, "the capture's file")
            subprocess.run(["ping", "-c", "3", "-i", "0.2", TARGET[0]], check=True,
                           stdout=subprocess.DEVNULL)
            # Others may have sent something meanwhile.
            subprocess.run(["ping", "-c", "3", "-i", "0.2", TARGET[0]], check=True,
                           stdout=subprocess.DEVNULL)
            self.assertEqual(capture.wait(20), 0)
            seen = subprocess.run(
                ["tcpdump", "-n", "-t", "-r", path, "icmp"], capture_output=True, text=True,
                check=True).stdout.splitlines()
        self.assertIn("ICMP echo request", seen[0])
        self.assertIn("ICMP echo reply", seen[1])
