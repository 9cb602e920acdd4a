"""P4 pipelines on real interfaces: the firewall, the generator, swaps and writes under traffic."""

import json
import os
import socket
import statistics
import struct
import subprocess
import tempfile
import time
import unittest
import zlib

from lab import REPOSITORY, dpuctl, eventually, needs_offload, slow
from peers import V311, Peer, unique
from pipelines import (
    CLIENT, DPU, HOST, PORTS, Cable, Caller, Refused, Stream, ctl, drain, listener, on_host,
    operator_file, pings, probe_tcp, probe_udp, program, udp)
from test_tools import Subscriber, publish


def verdicts():
    return {row["verdict"]: row["packets"] for row in ctl("firewall", "stats")["verdicts"]}


def rule(number):
    """The rule as `firewall list` has it."""
    return next(row for row in ctl("firewall", "list")["rules"] if row["entry"] == number)


class Loaded(unittest.TestCase):
    """Tests with a program in the lab's firmware; without one, packets pass as ever."""

    program = None

    @classmethod
    def setUpClass(cls):
        if cls.program is None:
            raise unittest.SkipTest("only others derive from it")
        ctl("p4", "load", program(cls.program), "--ports", PORTS)
        cls.addClassCleanup(ctl, "p4", "unload")
        cls.prepare()

    @classmethod
    def prepare(cls):
        operator_file(f"lab-{cls.program}")


@needs_offload
class Firewall(Loaded):
    program = "firewall"

    def allow(self, *words):
        made = ctl("firewall", "allow", *words)
        self.addCleanup(self.remove, made["rule"])
        return made["rule"]

    def deny(self, *words):
        made = ctl("firewall", "deny", *words)
        self.addCleanup(self.remove, made["rule"])
        return made["rule"]

    @staticmethod
    def remove(number):
        try:
            ctl("firewall", "remove", number)
        except Refused:
            pass  # the test has done it

    def test_mqtt_passes_and_is_offloaded(self):
        for qos in "012":
            topic = unique("wall")
            subscriber = Subscriber(1, "-q", qos, "-t", topic)
            publish(topic, "-q", qos, "-m", f"hello {qos}")
            self.assertEqual(subscriber.output(), f"hello {qos}\n".encode())
        topic = unique("wall")
        with Peer(V311) as subscriber, Peer(V311) as publisher:
            subscriber.subscribe((topic, 0))
            before = dpuctl("mqtt", "stats")["counters"]["copiesDelivered"]

            def offloaded():
                publisher.publish(topic, b"x")
                self.assertEqual(subscriber.next().payload, b"x")
                return dpuctl("mqtt", "stats")["counters"]["copiesDelivered"] >= before + 3

            eventually(offloaded, 15, "delivery without the broker")
        counters = ctl("p4", "stats")["counters"]
        self.assertGreater(counters["framesFromStack"], 0)
        self.assertGreater(counters["framesToStack"], 0)

    def test_probes_meet_the_rules(self):
        self.assertEqual(
            probe_tcp(DPU, [7, 22, 80, 1883, 1884, 8883]),
            {7: "open", 22: "filtered", 80: "filtered", 1883: "open", 1884: "filtered",
             8883: "filtered"})
        self.assertEqual(probe_udp(DPU, [7, 53]), {7: "filtered", 53: "filtered"})
        self.assertTrue(pings(DPU))
        self.assertFalse(pings(HOST))
        with listener(8000, on_host()), listener(8001, on_host()):
            shut = {8000: "filtered", 8001: "filtered", 8002: "filtered"}
            self.assertEqual(probe_tcp(HOST, shut), shut)
            opened = self.allow("--protocol", "tcp", "--to", HOST, "--port", "8000-8001")
            self.assertEqual(
                probe_tcp(HOST, shut), {**shut, 8000: "open", 8001: "open"})
            self.deny("--protocol", "tcp", "--to", HOST, "--port", 8001, "--priority", 1)
            self.assertEqual(probe_tcp(HOST, shut), {**shut, 8000: "open"})
            ctl("firewall", "remove", opened)
            self.assertEqual(probe_tcp(HOST, shut), shut)

    def test_the_default_decides_where_no_rule_does(self):
        self.assertEqual(probe_tcp(DPU, [22]), {22: "filtered"})
        self.addCleanup(ctl, "firewall", "default", "deny")
        ctl("firewall", "default", "allow")
        self.assertEqual(probe_tcp(DPU, [22]), {22: "closed"})
        self.assertEqual(probe_tcp(HOST, [8009]), {8009: "closed"})
        self.assertEqual(probe_udp(HOST, [8009]), {8009: "closed"})
        self.assertIn("default: allow", ctl("firewall", "list", raw=True))
        ctl("firewall", "default", "deny")
        self.assertEqual(probe_tcp(DPU, [22]), {22: "filtered"})

    def test_answers_pass_and_strangers_do_not(self):
        before = verdicts()["stateful"]
        with listener(9001) as waiting:
            with on_host():
                inner = socket.create_connection((CLIENT, 9001), timeout=5)
            outer, _ = waiting.accept()
            with inner, outer:
                outer.settimeout(5)
                inner.sendall(b"question")
                self.assertEqual(outer.recv(100), b"question")
                outer.sendall(b"answer" * 1000)
                got = b""
                while len(got) < 6000:
                    got += inner.recv(65536)
                self.assertEqual(got, b"answer" * 1000)
        self.assertGreater(verdicts()["stateful"], before)
        with udp(9002, on_host()) as inner, udp(9003) as known, udp(9004) as stranger:
            stranger.sendto(b"unasked", (HOST, 9002))
            inner.sendto(b"question", (CLIENT, 9003))
            self.assertEqual(known.recv(100), b"question")
            known.sendto(b"answer", (HOST, 9002))
            stranger.sendto(b"unasked", (HOST, 9002))
            self.assertEqual(drain(inner), [b"answer"])

    def test_counters_add_up(self):
        refused = self.deny("--protocol", "udp", "--to", HOST, "--port", 6000, "--priority", 1)
        passed = self.allow("--protocol", "udp", "--to", HOST, "--port", 6001, "--priority", 2)
        before, tables = self.counted()
        with udp(6001, on_host()) as receiver, udp(0) as sender:
            for _ in range(10):
                for _ in range(30):
                    sender.sendto(bytes(58), (HOST, 6001))
                for _ in range(20):
                    sender.sendto(bytes(8), (HOST, 6000))
                time.sleep(0.01)
            self.assertEqual(len(drain(receiver)), 300)
        after, tables_after = self.counted()
        for number, packets, size in [(passed, 300, 100), (refused, 200, 50)]:
            self.assertEqual(
                (rule(number)["packets"], rule(number)["bytes"]), (packets, packets * size))
        grown = {name: after[name] - before[name] for name in after}
        self.assertGreaterEqual(grown["permit"], 300)
        self.assertGreaterEqual(grown["deny-acl"], 200)
        # Each IPv4 packet is looked up once in each table on its way, and gets one verdict.
        self.assertEqual(
            tables_after["FwIngress.acl"] - tables["FwIngress.acl"],
            grown["permit"] + grown["deny-acl"] + grown["deny-rate"])
        self.assertEqual(
            tables_after["FwIngress.net_block"] - tables["FwIngress.net_block"],
            sum(grown.values()) - grown["malformed"] - grown["deny-l2"])

    def counted(self):
        """Verdicts, and look-ups by table, with nothing in between."""
        def lookups():
            return {row["name"]: row["hits"] + row["misses"] for row in
                    ctl("p4", "stats")["tables"]}

        def still():
            first, counted, second = lookups(), verdicts(), lookups()
            return (counted, first) if first == second else None

        return eventually(still, 10, "a quiet moment")

    def test_a_rule_with_a_rate(self):
        before = verdicts()
        self.allow("--protocol", "udp", "--to", HOST, "--port", 6002, "--rate", 100,
                   "--burst", 10, "--priority", 3)
        with udp(6002, on_host()) as receiver, udp(0) as sender:
            for _ in range(200):
                sender.sendto(b"x", (HOST, 6002))
            passed = len(drain(receiver))
        self.assertGreaterEqual(passed, 10)
        self.assertLess(passed, 100)
        self.assertEqual(verdicts()["deny-rate"] - before["deny-rate"], 200 - passed)

    def test_networks(self):
        ctl("firewall", "block", "10.77.0.0/28")
        self.addCleanup(ctl, "firewall", "unblock", "10.77.0.0/28")
        before = verdicts()["deny-net"]
        self.assertFalse(pings(DPU))
        self.assertGreater(verdicts()["deny-net"], before)
        ctl("firewall", "block", f"{CLIENT}/32", "--except")
        self.assertFalse(pings(DPU), "the DPU's own answers are still blocked")
        ctl("firewall", "block", f"{DPU}/32", "--except")
        self.assertTrue(pings(DPU))
        shown = ctl("firewall", "list", raw=True)
        self.assertIn("10.77.0.0/28", shown)
        ctl("firewall", "unblock", f"{CLIENT}/32")
        ctl("firewall", "unblock", f"{DPU}/32")

    def test_the_list_for_people(self):
        shown = ctl("firewall", "list", raw=True)
        for word in ["10.77.0.1", "1883", "tcp", "icmp", "inside", "outside", "default: deny"]:
            self.assertIn(word, shown)
        self.assertIn("stateful", ctl("firewall", "stats", raw=True))

    def test_refusals_name_the_place(self):
        cases = [
            (("p4", "table", "list", "nothing"), "nothing"),
            (("p4", "table", "insert", "acl", "permit", "--key", "colour=3", "--priority", "1"),
             "colour"),
            (("p4", "table", "insert", "acl", "paint", "--priority", "1"), "paint"),
            (("p4", "table", "insert", "acl", "permit", "--key", "proto=300", "--priority", "1"),
             "$.params.keys.proto"),
            (("p4", "table", "delete", "acl", "--entry", "99999"), "$.params"),
            (("p4", "table", "insert", "port_zone", "set_zone", "--key", "ingress_port=9"),
             "zone"),
            (("firewall", "remove", "99999"), "$.params"),
            (("firewall", "block", "300.0.0.0/8"), "$.params.keys"),
            (("p4", "counter", "read", "verdicts", "99"), "$.params.index"),
            (("p4", "register", "read", "nothing"), "nothing"),
            (("p4", "meter", "read", "acl_rate"), "entry"),
            (("p4", "multicast", "set", "1", "600"), "$.params.replicas[0].port"),
            (("p4", "packet-out", "0g"), "$.params.packets[0]"),
            (("p4", "load", os.path.join(REPOSITORY, "scripts/lab.json")), "$"),
            (("p4", "load", program("firewall"), "--pipeline", "other", "--ports", "0=uplink"),
             "uplink belongs to"),
        ]
        for words, place in cases:
            with self.subTest(" ".join(words)):
                with self.assertRaises(Refused) as caught:
                    ctl(*words)
                self.assertEqual(caught.exception.code, 2)
                self.assertIn(place, caught.exception.text)
        for words in [("firewall", "allow", "--port", "70000"), ("firewall", "default", "maybe"),
                      ("firewall", "deny", "--zone", "nowhere"), ("pktgen", "start", "--size", "9"),
                      ("pktgen", "start", "--rate", "5", "--gap", "5")]:
            with self.subTest(" ".join(words)):
                with self.assertRaises(Refused) as caught:
                    ctl(*words)
                self.assertEqual(caught.exception.code, 1)


@needs_offload
class FirewallLab(unittest.TestCase):
    """The lab that an operator brings up with scripts/lab-firewall.json, beside this one."""

    @slow
    def test_it_comes_up_and_works(self):
        environment = {**os.environ, "DPU_LAB": f"{os.environ.get('DPU_LAB', 'lab')}w"}
        script = os.path.join(REPOSITORY, "scripts/lab.sh")

        def run(*words):
            return subprocess.run(
                [script, *words], env=environment, capture_output=True, text=True, timeout=60,
                stdin=subprocess.DEVNULL)

        self.addCleanup(run, "down")
        up = run("up", "--config", os.path.join(REPOSITORY, "scripts/lab-firewall.json"))
        self.assertEqual(up.returncode, 0, up.stderr)
        done = run("exec", "--", "bash", "-c", """
            mosquitto_sub -h 10.77.0.1 -t wall -C 1 -W 10 & sub=$!
            for i in 1 2 3 4 5 6 7 8 9; do mosquitto_pub -h 10.77.0.1 -t wall -m hello; sleep 0.2
              kill -0 $sub 2>/dev/null || break; done
            wait $sub
            timeout 1 bash -c '</dev/tcp/10.77.0.1/22' || echo shut""")
        self.assertEqual(done.stdout.split(), ["hello", "shut"])


# --- the generator ------------------------------------------------------------------------------


class Data:
    """A data packet of the generator."""

    def __init__(self, frame):
        self.frame = frame
        self.op, self.stream, self.port, self.sequence, self.stamp, self.hash = struct.unpack(
            ">BBHIII", frame[14:30])
        self.pattern = frame[30:62]

    def is_right(self, pattern=bytes(range(32))):
        wanted = zlib.crc32(struct.pack(">BI", self.stream, self.sequence) + self.pattern)
        return self.op == 0 and self.pattern == pattern and self.hash == wanted


@needs_offload
class Generator(Loaded):
    program = "pktgen"

    def setUp(self):
        ctl("pktgen", "start", "--count", 1, "--port", 300)  # as ever: the control port is trusted
        ctl("pktgen", "clear", "--streams", 8)

    def finished(self, streams=1, seconds=20):
        """The report of the streams, once all of them have sent and received all."""
        def done():
            rows = ctl("pktgen", "status")["streams"]
            rows = [row for row in rows if row["stream"] < streams]
            return rows if len(rows) == streams and not any(
                row["active"] or row["received"] < row["sent"] for row in rows) else None

        return eventually(done, seconds, "the end of the streams")

    def check(self, rows, count):
        for row in rows:
            self.assertEqual(
                {name: row[name] for name in
                 ["wanted", "sent", "received", "hashed", "matched", "wrong", "lost", "reordered"]},
                {"wanted": count, "sent": count, "received": count, "hashed": count,
                 "matched": count, "wrong": 0, "lost": 0, "reordered": 0})
            self.assertEqual(row["hash"], row["expectedHash"])
            self.assertTrue(row["complete"])

    def gaps(self, frames):
        stamps = [Data(frame).stamp for frame in frames]
        return [after - before for before, after in zip(stamps[1:], stamps[2:])]

    def paced(self, count, *pace, least, most):
        """The frames of a stream whose mean gap lies between `least` and `most` microseconds. Never
        faster; a poll loop that waits for the processor makes a stream look slower, so that it has
        some attempts."""
        for attempt in range(6):
            with Cable() as cable:
                ctl("pktgen", "start", "--count", count, *pace)
                self.check(self.finished(), count)
            mean = statistics.mean(self.gaps(cable.frames))
            self.assertGreaterEqual(mean, least)
            if mean <= most:
                return cable
            time.sleep(attempt)
        self.fail(f"a mean gap of {mean} us")

    def test_a_stream_at_a_rate(self):
        cable = self.paced(2999, "--rate", 10000, "--size", 128, least=95, most=150)
        self.assertEqual([Data(frame).sequence for frame in cable.frames], list(range(2999)))
        self.assertEqual({len(frame) for frame in cable.frames}, {128})
        self.assertTrue(all(Data(frame).is_right() for frame in cable.frames))
        shown = ctl("pktgen", "status")
        self.assertEqual(sum(row["packets"] for row in shown["latency"]), 2999)
        self.assertIn("LATENCY", ctl("pktgen", "status", raw=True))
        self.assertEqual(ctl("pktgen", "status", "--query")["streams"][0]["received"], 2999)

    def test_a_stream_with_a_gap(self):
        self.paced(301, "--gap", 1000, least=950, most=1500)

    def test_streams_and_sizes(self):
        for size in [62, 64, 1514]:
            with self.subTest(size), Cable() as cable:
                ctl("pktgen", "start", "--streams", 4, "--count", 250, "--rate", 10000,
                    "--size", size, "--pattern", "5a" * 32)
                self.check(self.finished(4), 250)
            self.assertEqual(len(cable.frames), 1000)
            self.assertEqual({len(frame) for frame in cable.frames}, {size})
            self.assertTrue(all(Data(frame).is_right(b"\x5a" * 32) for frame in cable.frames))
            ctl("pktgen", "clear", "--streams", 4)

    def test_what_the_cable_does_is_seen(self):
        """One frame lost, two in the wrong order, one with a bit turned over."""
        held = []

        def change(frame):
            number = Data(frame).sequence
            if number == 10:
                return None
            if number == 20:
                held.append(frame)
                return None
            if number == 30:
                return frame[:61] + bytes([frame[61] ^ 1]) + frame[62:]
            return frame

        with Cable(change) as cable:
            ctl("p4", "packet-in", "--limit", 1000)
            ctl("pktgen", "start", "--count", 100, "--rate", 5000)
            eventually(lambda: len(cable.frames) == 100, 10, "the stream")
            cable._out.send(held[0])
            row = eventually(
                lambda: next((row for row in ctl("pktgen", "status")["streams"]
                              if row["stream"] == 0 and row["received"] == 99), None))
        self.assertEqual((row["sent"], row["lost"], row["reordered"]), (100, 1, 1))
        self.assertEqual((row["matched"], row["wrong"]), (98, 1))
        self.assertFalse(row["complete"])
        # The wrong one is shown to the controller.
        packets = ctl("p4", "packet-in")["packets"]
        faults = [Data(bytes.fromhex(packet["packet"])) for packet in packets]
        self.assertEqual([fault.sequence for fault in faults if fault.op == 0], [30])

    def test_stop(self):
        with Cable():
            ctl("pktgen", "start", "--count", 100000, "--rate", 1000)
            eventually(lambda: ctl("pktgen", "status")["streams"][0]["sent"] > 50)
            self.assertTrue(ctl("pktgen", "status")["streams"][0]["active"])
            self.assertIn("running", ctl("pktgen", "status", raw=True))
            stopped = ctl("pktgen", "stop")["streams"][0]
            self.assertFalse(stopped["active"])
            self.assertLess(stopped["sent"], 100000)
            row = self.finished()[0]
            self.assertEqual((row["sent"], row["lost"]), (stopped["sent"], 0))
        ctl("pktgen", "clear")
        # What is left is what was asked for last.
        row = ctl("pktgen", "status")["streams"][0]
        self.assertEqual((row["sent"], row["received"], row["active"]), (0, 0, False))


# --- every verb ---------------------------------------------------------------------------------


@needs_offload
class Verbs(unittest.TestCase):
    """Each verb of `dpuctl p4`, on a pipeline of its own that no traffic goes through."""

    def load(self, path):
        loaded = ctl("p4", "load", path, "--pipeline", "verbs", "--ports", "255=cpu")
        self.assertEqual(loaded["pipeline"], "verbs")
        self.addCleanup(ctl, "p4", "unload", "--pipeline", "verbs")

    def vector(self, name):
        return os.path.join(REPOSITORY, "Tests/Vectors/p4", f"{name}.json")

    def people(self, *words):
        """The text for people, which must show all `words` that follow a bar."""
        bar = words.index("|")
        shown = ctl(*words[:bar], raw=True)
        for word in words[bar + 1:]:
            self.assertIn(word, shown)
        return shown

    def test_programs(self):
        self.people("p4", "verify", program("l3switch"), "|", "L3Ingress.ipv4_lpm", "lpm")
        self.people("p4", "verify", "--remote", program("l3switch"), "|", "L3Ingress.ipv4_lpm")
        self.load(program("l3switch"))
        self.people("p4", "list", "|", "verbs", "255=cpu")
        self.people("p4", "info", "|", "profile ecmp_sel", "port_rx", "set_nexthop")
        self.assertEqual(ctl("p4", "stats")["counters"]["received"], 0)
        self.people("p4", "stats", "--all", "|", "droppedParserLimit", "logsLost")
        for batch in ["1", "64"]:
            for kind, test in [("stf", "arith-bmv2"), ("replay", None)]:
                if kind == "stf":
                    stem = os.path.join(REPOSITORY, "Tests/Vectors/p4/stf", test)
                    words = [f"{stem}.json", f"{stem}.stf"]
                else:
                    words = [program("firewall"), self.vector("packets/firewall")]
                done = ctl("p4", kind, "--batch", batch, *words)
                self.assertTrue(done["passed"])
                self.assertGreater(done["packetsIn"], 0)
        with self.assertRaises(Refused) as caught:
            ctl("p4", "replay", program("paths"), self.vector("packets/firewall"))
        self.assertEqual(caught.exception.code, 2)

    def test_tables(self):
        self.load(program("l3switch"))
        made = ctl("p4", "table", "insert", "ipv4_lpm", "set_nexthop", "nh=7", "--key", "vrf=1",
                   "--key", "dst=10.1.0.0/16")["entry"]
        ctl("p4", "table", "modify", "ipv4_lpm", "set_nexthop", "nh=8", "--entry", made)
        self.assertEqual(
            ctl("p4", "table", "get", "ipv4_lpm", "--entry", made)["arguments"], {"nh": 8})
        ctl("p4", "table", "modify", "ipv4_lpm", "use_ecmp", "group=3", "--key", "vrf=1", "--key",
            "dst=10.1.0.0/16")
        self.people("p4", "table", "get", "ipv4_lpm", "--key", "vrf=1", "--key", "dst=10.1.0.0/16",
                    "|", "use_ecmp")
        self.people("p4", "table", "list", "ipv4_lpm", "|", "/16", "use_ecmp", "no_route")
        ctl("p4", "table", "default", "ipv4_lpm", "set_nexthop", "nh=1")
        self.people("p4", "table", "list", "ipv4_lpm", "|", "default: set_nexthop")
        ctl("p4", "table", "default", "ipv4_lpm")
        self.people("p4", "table", "list", "ipv4_lpm", "|", "default: no_route")
        ctl("p4", "table", "delete", "ipv4_lpm", "--key", "vrf=1", "--key", "dst=10.1.0.0/16")
        ctl("p4", "table", "insert", "l2_fdb", "forward", "port=1",
            "--key", "dst=02:00:00:00:00:01")
        ctl("p4", "table", "clear", "l2_fdb")
        for table in ["ipv4_lpm", "l2_fdb"]:
            self.assertEqual(ctl("p4", "table", "list", table)["entries"], [])

    def test_profiles(self):
        self.load(program("l3switch"))
        one = ctl("p4", "member", "add", "ecmp_sel", "pick", "nh=1")["member"]
        two = ctl("p4", "member", "add", "ecmp_sel", "pick", "nh=2")["member"]
        ctl("p4", "member", "modify", "ecmp_sel", two, "pick", "nh=3")
        group = ctl("p4", "group", "add", "ecmp_sel")["group"]
        for member in [one, two]:
            ctl("p4", "group", "join", "ecmp_sel", group, member)
        self.people("p4", "member", "list", "ecmp_sel", "|", "pick", "nh=1", "nh=3")
        self.people("p4", "group", "list", "ecmp_sel", "|", str(group))
        entry = ctl("p4", "table", "insert", "ecmp_group", "--group", group, "--key",
                    "nexthop=5")["entry"]
        self.people("p4", "table", "list", "ecmp_group", "|", f"group {group}")
        ctl("p4", "table", "modify", "ecmp_group", "--member", one, "--entry", entry)
        self.people("p4", "table", "list", "ecmp_group", "|", f"member {one}")
        with self.assertRaises(Refused) as caught:
            ctl("p4", "member", "delete", "ecmp_sel", one)
        self.assertIn("$.params", caught.exception.text)
        ctl("p4", "table", "delete", "ecmp_group", "--entry", entry)
        ctl("p4", "group", "leave", "ecmp_sel", group, two)
        ctl("p4", "group", "delete", "ecmp_sel", group)
        for member in [one, two]:
            ctl("p4", "member", "delete", "ecmp_sel", member)
        self.assertEqual(ctl("p4", "member", "list", "ecmp_sel")["members"], [])

    def test_arrays(self):
        self.load(program("firewall"))
        ctl("p4", "counter", "write", "verdicts", 3, "--packets", 5, "--bytes", 500)
        self.assertEqual(
            [(cell["packets"], cell["bytes"]) for cell in
             ctl("p4", "counter", "read", "verdicts", 3, "--count", 2)["cells"]],
            [(5, 500), (0, 0)])
        self.people("p4", "counter", "read", "verdicts", "--all", "|", "500")
        ctl("p4", "counter", "reset", "verdicts")
        ctl("p4", "register", "write", "flow_seen0", 10, "0xabcd", "--count", 3)
        values = ctl("p4", "register", "read", "flow_seen0", 9, "--count", 5)["cores"][0]["values"]
        self.assertEqual(values, [0, 0xabcd, 0xabcd, 0xabcd, 0])
        self.people("p4", "register", "read", "flow_seen0", 10, "|", "ELEMENT")
        ctl("p4", "register", "reset", "flow_seen0")
        entry = ctl("firewall", "allow", "--protocol", "tcp")["rule"]
        ctl("p4", "meter", "write", "acl_rate", "--entry", entry, "--committed-rate", 1000,
            "--committed-burst", 10, "--peak-rate", 2000, "--peak-burst", 20)
        self.people("p4", "meter", "read", "acl_rate", "--entry", entry, "|", "1000", "2000")
        ctl("p4", "meter", "reset", "acl_rate", "--entry", entry)
        ctl("p4", "counter", "write", "acl_hits", "--entry", entry, "--packets", 4)
        self.assertEqual(rule(entry)["packets"], 4)

    def test_traffic_manager(self):
        self.load(program("paths"))
        ctl("p4", "multicast", "set", 4, "1", "2/9")
        ctl("p4", "mirror", "set", 6, "--group", 4, "--truncate", 40)
        ctl("p4", "mirror", "set", 7, "--port", 3)
        self.people("p4", "multicast", "list", "|", "2/9")
        self.people("p4", "mirror", "list", "|", "40 B")
        ctl("p4", "mirror", "delete", 6)
        ctl("p4", "multicast", "delete", 4)
        self.assertEqual(len(ctl("p4", "mirror", "list")["sessions"]), 1)
        self.assertEqual(ctl("p4", "multicast", "list")["groups"], [])
        ctl("p4", "queue", "--port", 2, "--priority", 3, "--depth", 5, "--rate", 1000)
        ctl("p4", "queue", "--rate", 0)

    def test_value_sets_and_logs(self):
        self.load(self.vector("load/issue1955"))
        name = "parserImpl.p1.ipv4_ethertypes"
        for value in ["0x800", "0x86dd"]:
            ctl("p4", "valueset", "change", name, "--add", value)
        ctl("p4", "valueset", "change", name, "--remove", "0x800")
        self.assertEqual(ctl("p4", "valueset", "list", name)["values"], [0x86dd])
        ctl("p4", "valueset", "change", name, "--clear")
        self.assertEqual(ctl("p4", "valueset", "list", name, raw=True).strip(), "")
        ctl("p4", "load", self.vector("load/logging-bmv2"))
        ctl("p4", "table", "default", "t", "a")
        ctl("p4", "packet-out", "020000000001" "020000000002" "0800", "--port", 1)
        shown = eventually(lambda: ctl("p4", "logs", raw=True).strip())
        self.assertIn("Logging", shown)
        self.assertGreater(ctl("p4", "stats")["counters"]["logs"], 0)
        for _ in range(3):
            ctl("p4", "packet-out", *["020000000001" "020000000002" "0800"] * 32, "--port", 1)
        eventually(lambda: ctl("p4", "stats")["counters"]["logsLost"] > 0)

    def test_packets_digests_and_traces(self):
        self.load(program("firewall"))
        ctl("p4", "table", "insert", "port_zone", "set_zone", "zone=1", "--key", "ingress_port=4")
        ctl("p4", "table", "insert", "wire", "forward", "port=255", "--key", "ingress_port=4",
            "--priority", 1)
        ctl("firewall", "allow", "--zone", "inside")
        header = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, socket.inet_aton("10.0.0.1"),
            socket.inet_aton("10.0.0.2"))
        ports = struct.pack(">HHHH", 1000, 2000, 8, 0)
        packet = "020000000001" "020000000002" "0800" + (header + ports).hex()
        shown = self.people("p4", "trace", packet, "--port", 4, "|", "FwIngress.acl",
                            "permit_track", "port 255")
        self.assertIn(packet, shown)
        self.assertEqual(ctl("p4", "packet-in")["packets"], [])
        self.assertEqual(
            ctl("p4", "packet-out", packet, packet, "--port", 4), {"sent": 2, "dropped": 0})
        packets = eventually(lambda: ctl("p4", "packet-in")["packets"])
        self.assertEqual({row["packet"] for row in packets}, {packet})
        self.people("p4", "packet-in", "|", "PACKET")
        digests = ctl("p4", "digests")["digests"]
        self.assertEqual(len(digests), 1)
        self.people("p4", "digests", "|", "DIGEST")

    def test_batches(self):
        self.load(program("firewall"))
        writes = [{"method": "p4.table.insert", "table": "net_block", "keys": [f"10.{n}.0.0/16"],
                   "action": "net_deny"} for n in range(5)]
        wrong = writes + [{**writes[0], "keys": ["10.0.0.0/40"]}]
        doubled = writes + writes[:1]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            def batch(content, *words):
                file.seek(0)
                file.truncate()
                json.dump(content, file)
                file.flush()
                return ctl("p4", "batch", file.name, *words)

            for content, place in [(wrong, "$.params.writes[5].keys"), (doubled, "writes[5]")]:
                with self.assertRaises(Refused) as caught:
                    batch(content)
                self.assertIn(place, caught.exception.text)
                self.assertEqual(ctl("p4", "table", "list", "net_block")["entries"], [])
            self.assertEqual(batch(doubled, "--each")["failures"], 1)
            self.assertEqual(len(ctl("p4", "table", "list", "net_block")["entries"]), 5)
            ctl("p4", "table", "clear", "net_block")
            self.assertEqual(len(batch(writes)["results"]), 5)

            def listing():
                """But for the handles, which come in another order after each clearing."""
                return [{**entry, "entry": 0}
                        for entry in ctl("p4", "table", "list", "net_block")["entries"]]

            listed = listing()
            ctl("p4", "table", "clear", "net_block")
            with tempfile.NamedTemporaryFile(suffix=".records") as records:
                made = batch(writes, "--binary", records.name)
                self.assertEqual(made["records"], 5)
                self.assertEqual(len(ctl("p4", "write", records.name)["entries"]), 5)
                self.assertEqual(listing(), listed)
                with self.assertRaises(Refused) as caught:
                    ctl("p4", "write", records.name)
                self.assertIn("record 0, byte 0", caught.exception.text)
                self.assertEqual(ctl("p4", "write", records.name, "--each")["failures"], 5)
                # More than a request takes.
                with open(records.name, "rb") as file:
                    one = file.read()
                with tempfile.NamedTemporaryFile(suffix=".records") as many:
                    many.write(one * (2 * (1 << 20) // len(one) + 1))
                    many.flush()
                    answer = ctl("p4", "write", many.name, "--each")
                    self.assertEqual(answer["updates"], os.path.getsize(many.name) * 5 // len(one))
                    self.assertEqual(answer["failures"], answer["updates"])
                    last = answer["refusals"][-1]
                    self.assertEqual(last["update"], answer["updates"] - 1)
                    self.assertLess(last["offset"], os.path.getsize(many.name))
                    self.assertGreaterEqual(last["offset"], os.path.getsize(many.name) - len(one))

    def test_idle_entries(self):
        with open(program("firewall")) as file:
            content = json.load(file)
        acl = next(table for table in content["pipelines"][0]["tables"]
                   if table["name"] == "FwIngress.acl")
        acl["support_timeout"] = True
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(content, file)
            file.flush()
            self.load(file.name)
        entry = ctl("p4", "table", "insert", "acl", "permit", "--priority", 1, "--timeout",
                    100_000)["entry"]
        ctl("p4", "table", "timeout", "acl", 20, "--entry", entry)
        told = eventually(lambda: ctl("call", "p4.timeouts")["timeouts"])
        self.assertEqual(told[0]["entry"], entry)


# --- changes under traffic ----------------------------------------------------------------------


@needs_offload
class UnderTraffic(Loaded):
    program = "firewall"

    def variant(self):
        """The firewall with another age of flows: a program with the same tables."""
        with open(program("firewall")) as file:
            text = file.read()
        changed = text.replace("0x000003d1", "0x00000200")
        self.assertNotEqual(changed, text)
        file = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(file.close)
        file.write(changed)
        file.flush()
        return file.name

    def test_a_swap_loses_nothing_that_both_programs_keep(self):
        ctl("firewall", "allow", "--protocol", "udp", "--to", HOST, "--port", 7000)
        programs = [self.variant(), program("firewall")]

        def swap(stream):
            swaps = 0
            while swaps < 10 or stream.sent < 1000:
                loaded = ctl("p4", "load", programs[swaps % 2], "--keep")
                self.assertEqual(loaded["kept"]["lost"], 0)
                swaps += 1

        self.stream(7000, swap)
        self.assertEqual(ctl("p4", "stats")["counters"]["droppedAtSwap"], 0)

    def stream(self, port, change):
        """All of a stream arrives while `change` is at work. What the firmware never received tells
        nothing of it: the kernel's ring was full, since the poll loop waited for the processor."""
        for _ in range(4):
            before = ctl("port", "get", "uplink")["receivedPackets"]
            with Stream(port, 2000) as stream:
                change(stream)
                arrived = stream.finish()
            if ctl("port", "get", "uplink")["receivedPackets"] - before >= stream.sent:
                break
        self.assertEqual(arrived, list(range(stream.sent)))

    def test_writes_take_effect_all_at_once(self):
        """Zone and rule change together: a packet that saw one without the other would be lost."""
        networks = [f"192.0.2.{number}" for number in range(48)]
        insert = [self.network("p4.table.insert", n, action="net_deny") for n in networks]
        delete = [self.network("p4.table.delete", n) for n in networks]
        self.set_zone(2)
        ctl("firewall", "allow", "--protocol", "udp", "--port", 7001, "--priority", 5)
        self.addCleanup(self.set_zone, 2)

        def write(_stream):
            with Caller() as caller:
                for _ in range(20):
                    for old, new in [(2, 3), (3, 2)]:
                        batch = [self.zone_write(new)] + insert + [
                            self.rule_write("p4.table.delete", old)] + delete + [
                            self.rule_write("p4.table.insert", new)]
                        results = caller.call("p4.batch", writes=batch)["results"]
                        self.assertEqual(len(results), len(batch))

        self.stream(7001, write)

    def network(self, method, address, **members):
        return {"method": method, "table": "net_block", "keys": [f"{address}/32"], **members}

    def zone_write(self, zone):
        return {"method": "p4.table.modify", "table": "port_zone", "keys": [0],
                "action": "set_zone", "arguments": [zone]}

    def set_zone(self, zone):
        ctl("p4", "table", "modify", "port_zone", "set_zone", f"zone={zone}", "--key",
            "ingress_port=0")

    def rule_write(self, method, zone):
        members = {"method": method, "table": "acl", "priority": 5,
                   "keys": {"zone": zone, "proto": 17, "dport": 7001}}
        if method.endswith("insert"):
            members["action"] = "permit"
        return members
