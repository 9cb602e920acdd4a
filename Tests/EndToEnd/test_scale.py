"""Many connections at once."""

import selectors
import time
import unittest

from lab import DIRECT, TARGET, dpuctl
from peers import unique
from wire import V311, V5, Wire, connect, publish, subscribe

CONNECTIONS = 1000


class Scale(unittest.TestCase):
    def test_a_thousand_connections(self):
        topic, name = unique("many"), unique("m")
        clients = []
        try:
            for number in range(CONNECTIONS):
                version = V5 if number % 2 else V311
                client = Wire(TARGET)
                clients.append(client)
                client.send(connect(f"{name}-{number}", version))
                client.send(subscribe(1, [(topic, 0)], version))
            for client in clients:
                self.assertEqual([client.next_packet(20)[0] for _ in range(2)], [2, 9])
            if not DIRECT:
                self.assertGreaterEqual(dpuctl("tcp", "list")["total"], CONNECTIONS)
                self.assertGreaterEqual(dpuctl("mqtt", "clients")["total"], CONNECTIONS)
            sent = [b"<%02d>" % number for number in range(20)]
            # Everybody publishes once, too: first, middle and last included.
            for number, payload in enumerate(sent):
                speaker = number * (CONNECTIONS - 1) // 19
                clients[speaker].send(
                    publish(topic, payload, V5 if speaker % 2 else V311))
                clients[speaker].next_packet(20)
                clients[speaker].read = 0
            self.collect(clients, len(sent))
            for client in clients:
                payloads = [m for m in sent if client.stream.count(m) == 1]
                self.assertEqual(payloads, sent)
        finally:
            for client in clients:
                client.close()

    def collect(self, clients, count):
        """Reads until everybody has so many messages."""
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
            end = time.monotonic() + 20
            while time.monotonic() < end:
                for key, _ in selector.select(0.5):
                    self.assertTrue(key.data.receive(), "closed")
                if all(c.stream.count(b"many-") >= count for c in clients):
                    return

    def test_connections_come_and_go(self):
        """Every way to leave, again and again: nothing is left behind."""
        for number in range(300):
            client = Wire.open(TARGET, unique("go"), V5 if number % 2 else V311)
            client.send(subscribe(1, [("go/#", 0)], V5 if number % 2 else V311))
            if number % 3 == 0:
                client.send(b"\xe0\0")
                client.close()
            elif number % 3 == 1:
                client.close()
            else:
                client.reset()
        with Wire.open(TARGET, unique("go")) as client:
            client.send(subscribe(1, [("went", 0)]) + publish("went", b"well"))
            self.assertEqual(client.messages(), [("went", b"well")])
