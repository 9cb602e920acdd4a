"""What arrives through the offload is, byte for byte, what arrives directly."""

from concurrent.futures import ThreadPoolExecutor
import random
import unittest

from lab import STOCK, TARGET, slow
from peers import unique
from wire import (GOODBYE, PING, PUBACK, PUBREL, V311, V5, Wire, acknowledge, connect, packet,
                  publish, subscribe, text, unsubscribe)


def play(address, script):
    """Plays (client, bytes) steps; returns what each client got and whether it was closed.

    After each step everybody is read until it is quiet, so both paths get the same order.
    """
    clients = {}
    try:
        for name, data in script:
            if name not in clients:
                clients[name] = Wire(address)
            try:
                clients[name].send(data)
            except ConnectionError:
                pass  # closed by the broker: shows in the result
            for client in clients.values():
                client.quiet(0.03)
        return {n: (c.quiet(0.3), c.stream.hex()) for n, c in clients.items()}
    finally:
        for client in clients.values():
            client.close()


class Bytes(unittest.TestCase):
    maxDiff = 2000

    def same(self, script):
        self.assertEqual(play(STOCK, script), play(TARGET, script))

    def all_same(self, scripts):
        """The same for many short scripts, several at a time."""
        with ThreadPoolExecutor(8) as pool:
            expected = list(pool.map(lambda script: play(STOCK, script), scripts.values()))
            seen = pool.map(lambda script: play(TARGET, script), scripts.values())
            for what, direct, through in zip(scripts, expected, seen):
                with self.subTest(what):
                    self.assertEqual(direct, through)

    def test_conversation(self):
        t = unique("bytes")
        for version in (V311, V5):
            sub = unique("s")
            self.same([
                ("sub", connect(sub, version)),
                ("old", connect(sub + "o", V311)),
                ("pub", connect(sub + "p", version)),
                ("sub", subscribe(1, [(f"{t}/#", 2), (f"{t}/+", 1)], version)),
                ("old", subscribe(9, [(f"{t}/a", 0), (f"{t}/b", 1)])),
                ("pub", publish(f"{t}/a", b"zero", version)),
                ("pub", publish(f"{t}/b", b"one", version, qos=1, identifier=5)),
                ("pub", publish(f"{t}/a", b"two", version, qos=2, identifier=6)),
                ("pub", acknowledge(PUBREL, 6)),
                ("sub", acknowledge(PUBACK, 1)),
                ("pub", PING),
                ("pub", publish(f"{t}/a", b"kept", version, retain=True)),
                ("pub", publish(f"{t}/a", b"zero again", version)),
                ("old", unsubscribe(10, [f"{t}/a"])),
                ("pub", publish(f"{t}/a", b"after", version)),
                ("pub", publish(f"{t}/a", b"", version, retain=True)),
                ("pub", publish(f"{t}/a", b"x" * 70_000, version)),
                ("old", PING),
                ("pub", GOODBYE),
                ("sub", GOODBYE),
                ("old", GOODBYE),
            ])

    @slow
    def test_packets_in_pieces(self):
        """Every cut of a stream, also inside fixed headers."""
        t, version = unique("cut"), V311
        stream = (
            subscribe(1, [(t, 1)]) + publish(t, b"a" * 200) + publish(t, b"b", qos=1, identifier=3)
            + publish(t, b"") + PING + publish(t, b"c" * 130))
        source = random.Random(7)
        for _ in range(3):
            cuts = sorted(source.sample(range(1, len(stream)), 12))
            pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)])]
            self.same([("c", connect(unique("c"), version)), *(("c", piece) for piece in pieces)])

    def test_one_segment(self):
        """CONNECT and everything after it in one segment, as some clients send it."""
        t = unique("one")
        for version in (V311, V5):
            name = unique("c")
            self.same([("c", connect(name, version) + subscribe(1, [(t, 0)], version)
                        + b"".join(publish(t, b"%d" % n, version) for n in range(20)) + PING)])

    def test_properties(self):
        t = unique("props")
        listed = (b"\x01\x01" + b"\x03" + text("text/plain") + b"\x08" + text("answer")
                  + b"\x09" + text(b"\x00\x01") + b"\x26" + text("k") + text("v")
                  + b"\x26" + text("k") + text("w"))
        sub = unique("s")
        self.same([
            ("new", connect(sub, V5)), ("old", connect(sub + "o", V311)),
            ("pub", connect(sub + "p", V5)),
            ("new", subscribe(1, [(t, 0)], V5, b"\x0b\x07")), ("old", subscribe(1, [(t, 0)])),
            *(("pub", publish(t, b"%d" % n, V5, listed=listed)) for n in range(5)),
            ("pub", publish(t, b"aliased", V5, listed=listed + b"\x23\x00\x04")),
            ("pub", publish("", b"by alias", V5, listed=b"\x23\x00\x04")),
        ])

    def test_what_is_malformed(self):
        """The broker's own answer to a bad packet shows, and the connection ends as it would."""
        t = unique("bad")
        levels = "/".join("x" * 210)
        bad = {
            "publish with QoS 3": packet(3, 6, text(t) + b"\0\1x"),
            "wildcard in a topic": publish(f"{t}/#", b"x"),
            "empty topic": publish("", b"x"),
            "invalid UTF-8": publish(b"\xff\xfe", b"x"),
            "NUL in a topic": publish(b"a\0b", b"x"),
            "topic longer than the packet": packet(3, 0, b"\x7f\xffabc"),
            "no room for a topic": packet(3, 0, b"\0"),
            "length of five bytes": b"\x30\xff\xff\xff\xff\x01",
            "second CONNECT": connect("again"),
            "reserved type 0": packet(0, 0, b""),
            "type 15": packet(15, 0, b""),
            "subscribe flags": packet(8, 0, b"\0\1" + text(t) + b"\0"),
            "subscribe to nothing": packet(8, 2, b"\0\1"),
            "subscribe QoS 3": subscribe(1, [(t, 3)]),
            "bad filter": subscribe(1, [("a/#/b", 0)]),
            "more than 200 levels": subscribe(1, [(levels, 0)]) + publish(levels, b"x"),
            "SUBACK from a client": packet(9, 0, b"\0\1\0"),
            "PUBREL of nothing": acknowledge(PUBREL, 77),
            "QoS 1 with id 0": publish(t, b"x", qos=1, identifier=0),
        }
        self.all_same({
            (what, version): [("c", connect(unique("bad"), version)), ("c", data), ("c", PING)]
            for version in (V311, V5) for what, data in bad.items()})

    def test_what_is_no_connect(self):
        bad = {
            "HTTP": b"GET / HTTP/1.1\r\n\r\n",
            "PUBLISH first": publish("a", b"b"),
            "zeroes": bytes(64),
            "version 9": packet(1, 0, text("MQTT") + bytes([9, 2, 0, 60]) + text("x")),
            "wrong name": packet(1, 0, text("MQTX") + bytes([4, 2, 0, 60]) + text("x")),
            "reserved flag": packet(1, 0, text("MQTT") + bytes([4, 3, 0, 60]) + text("x")),
            "no client id, not clean": connect("", V311, clean=False),
        }
        self.all_same({what: [("c", data), ("c", PING)] for what, data in bad.items()})
