"""The control socket of a running firmware: settings, rights, events, memory, abuse."""

import json
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

from control import BUILD, Firmware
from lab import QUICK, REPOSITORY, eventually

SEED = 20261126
LINES = 20_000 if QUICK else 1_000_000
SLOW_READERS = 60
STALL_NANOSECONDS = 1_000_000


class WithFirmware(unittest.TestCase):
    members = {}

    def setUp(self):
        self.firmware = Firmware(**self.members)
        self.addCleanup(self.firmware.stop)

    def edited(self, **members):
        """A file with the running configuration and these members."""
        wanted = {**self.firmware.call("config.get")["configuration"], **members}
        path = f"{self.firmware.folder}/wanted.json"
        with open(path, "w") as file:
            json.dump(wanted, file, indent=2)
        return path


class Configuration(WithFirmware):
    def test_what_is_applied_and_saved_is_there_after_a_restart(self):
        program = os.path.join(REPOSITORY, "ebpf/drop_dport.v3.bin")
        path = self.edited(
            mqtt={"consume": "off", "verify": "trust"}, log="warning",
            filters=[{"port": "uplink", "program": program}])
        self.assertIn("while running", self.firmware.ctl("config", "diff", path))
        self.firmware.ctl("config", "apply", path)
        self.assertEqual(self.firmware.ctl("config", "diff", path), "no difference\n")
        self.assertEqual(
            self.firmware.call("ebpf.list")["ports"][0]["program"], program)
        running = self.firmware.call("config.get")
        self.assertEqual(running["configuration"]["mqtt"]["consume"], "off")
        self.firmware.ctl("config", "save")
        self.assertEqual(self.firmware.end(), 0)
        self.firmware.start()
        self.assertEqual(self.firmware.call("config.get"), running)

    def test_a_mistake_is_named_with_its_line_and_nothing_changes(self):
        before = self.firmware.call("config.get")
        path = f"{self.firmware.folder}/wrong.json"
        with open(path, "w") as file:
            file.write('{\n  "schema": 1,\n  "mqtt": {"consume": "of"}\n}\n')
        for verb in ("check", "diff", "apply"):
            self.assertIn(
                f"{path}:3:23: $.mqtt.consume: must be one of: off, certified",
                self.firmware.ctl("config", verb, path, code=2))
        self.assertEqual(self.firmware.call("config.get"), before)

    def test_a_filter_that_cannot_be_loaded_takes_nothing_with_it(self):
        before = self.firmware.call("config.get")
        path = self.edited(
            log="error", filters=[{"port": "uplink", "program": "/no/such/program"}])
        self.assertIn("/no/such/program", self.firmware.ctl("config", "apply", path, code=2))
        self.assertEqual(self.firmware.call("config.get"), before)
        self.assertEqual(self.firmware.call("log.level")["level"], "info")

    def test_the_file_is_read_again(self):
        def write(**members):
            with open(self.edited(**members)) as wanted, open(self.firmware.file, "w") as file:
                file.write(wanted.read())

        write(log="error", mqtt={"consume": "off"})
        self.assertIn("$.mqtt.consume", self.firmware.ctl("system", "reload"))
        self.assertEqual(self.firmware.call("log.level")["level"], "error")
        self.assertEqual(self.firmware.ctl("system", "reload"), "no difference\n")
        write(log="debug", mtu=1400)
        self.assertIn("$.mtu cannot change while", self.firmware.ctl("system", "reload", code=2))
        self.assertEqual(self.firmware.call("log.level")["level"], "error")

    def test_what_needs_a_restart_is_kept_for_it(self):
        path = self.edited(mtu=1400)
        self.assertIn("$.mtu cannot change while", self.firmware.ctl(
            "config", "apply", path, code=2))
        self.assertIn("saved for the next start", self.firmware.ctl(
            "config", "apply", "--next", path))
        self.assertEqual(self.firmware.call("config.get")["configuration"]["mtu"], 1500)
        self.firmware.end()
        self.firmware.start()
        self.assertEqual(self.firmware.call("config.get")["configuration"]["mtu"], 1400)


class Rights(unittest.TestCase):
    def test_no_capability_is_left_and_calls_are_confined(self):
        firmware = Firmware()
        self.addCleanup(firmware.stop)
        rights = firmware.call("system.rights")
        self.assertEqual(rights["capabilities"], "0x0000000000000000")
        self.assertTrue(rights["confined"])
        for thread in os.listdir(f"/proc/{firmware.process.pid}/task"):
            with open(f"/proc/{firmware.process.pid}/task/{thread}/status") as file:
                status = dict(line.split(":\t", 1) for line in file)
            self.assertEqual(int(status["CapEff"], 16), 0, thread)
            self.assertEqual(int(status["CapPrm"], 16), 0, thread)
            self.assertEqual(status["Seccomp"].strip(), "2", thread)
            self.assertEqual(status["NoNewPrivs"].strip(), "1", thread)
        # It listens to no network.
        with open(f"/proc/{firmware.process.pid}/net/tcp") as file:
            inodes = {line.split()[9] for line in file.readlines()[1:]}
        own = {os.readlink(f"/proc/{firmware.process.pid}/fd/{fd}")
               for fd in os.listdir(f"/proc/{firmware.process.pid}/fd")}
        self.assertFalse({f"socket:[{inode}]" for inode in inodes} & own)


def as_user(user, groups, path, method):
    """The error code, or 0, of a call made by another user."""
    script = (
        "import json, os, socket, sys\n"
        f"os.setgroups({groups}); os.setgid({user}); os.setuid({user})\n"
        f"end = socket.socket(socket.AF_UNIX); end.connect({path!r})\n"
        f"end.sendall(b'{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\"}}\\n')\n"
        "print(json.loads(end.makefile().readline()).get('error', {}).get('code', 0))\n")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return int(done.stdout)


class Roles(unittest.TestCase):
    def test_members_of_the_operators_group_may_change_but_not_stop(self):
        firmware = Firmware()
        self.addCleanup(firmware.stop)
        wanted = firmware.call("config.get")["configuration"]
        wanted["control"]["operators"] = "daemon"
        with open(firmware.file, "w") as file:
            json.dump(wanted, file)
        firmware.end()
        firmware.start()
        # Group 1 is daemon; 65534 is nobody.
        for groups, user, method, code in (
                ([], 65534, "tcp.list", 0), ([], 65534, "log.level", -32001),
                ([1], 65534, "log.level", 0), ([], 1, "log.level", 0),
                ([1], 65534, "system.shutdown", -32001)):
            self.assertEqual(
                as_user(user, groups, firmware.socket, method), code, (groups, user, method))


class Service(unittest.TestCase):
    def test_the_service_manager_hears_of_start_health_and_end(self):
        path = f"/tmp/dpu-notify-{os.getpid()}"
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(path)
        self.addCleanup(os.unlink, path)
        manager.settimeout(20)
        firmware = Firmware({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
        self.addCleanup(firmware.stop)
        self.assertEqual(
            manager.recv(1000).decode(), "READY=1\nSTATUS=1 port(s), 1 worker(s)")
        begun = time.monotonic()
        self.assertEqual([manager.recv(1000) for _ in range(3)], [b"WATCHDOG=1"] * 3)
        self.assertGreater(time.monotonic() - begun, 0.5)
        firmware.process.send_signal(signal.SIGTERM)
        while (said := manager.recv(1000)) == b"WATCHDOG=1":
            pass
        self.assertEqual(said, b"STOPPING=1")

    def test_the_firmware_is_its_own_client(self):
        firmware = Firmware()
        self.addCleanup(firmware.stop)

        def call(*words):
            return subprocess.run(
                [f"{BUILD}/dpu", "call", *words], capture_output=True, text=True, timeout=30)

        done = call("--socket", firmware.socket, "port.list")
        self.assertEqual((done.returncode, json.loads(done.stdout)), (0, firmware.call("port.list")))
        done = call("--socket", firmware.socket, "tcp.list", '{"limit": 0}')
        self.assertEqual((done.returncode, json.loads(done.stderr[5:])["code"]), (2, -32602))
        self.assertEqual(call("--socket", firmware.socket, "tcp.list", "{").returncode, 1)
        self.assertEqual(call("--socket", "/no/such", "tcp.list").returncode, 3)


class Statistics(WithFirmware):
    def test_counters_stand_in_memory_that_only_the_firmware_can_write(self):
        with self.firmware.connect() as end:
            end.sendall(b'{"jsonrpc":"2.0","id":1,"method":"stats.open"}\n')
            line, descriptors, _, _ = socket.recv_fds(end, 4096, 1)
        answer = json.loads(line)["result"]
        self.addCleanup(os.close, descriptors[0])
        with self.assertRaises(PermissionError):
            mmap.mmap(descriptors[0], answer["bytes"])
        with self.assertRaises(PermissionError):
            os.ftruncate(descriptors[0], 4096)
        memory = mmap.mmap(descriptors[0], answer["bytes"], prot=mmap.PROT_READ)
        magic, layout, size, sequence, start, count = struct.unpack_from("<8s5Q", memory)
        self.assertEqual((magic, layout, size, sequence), (b"DPUSTATS", 1, answer["bytes"], 2))
        found = {}
        for index in range(count):
            offset, core, length = struct.unpack_from("<QII", memory, start + 128 * index)
            name = memory[start + 128 * index + 16:][:length].decode()
            found[name] = struct.unpack_from("<Q", memory, offset)[0]
        self.assertGreater(found["loop.turns"], 0)
        known = self.firmware.call("tcp.stats")["counters"]
        self.assertEqual({f"tcp.{name}" for name in known}, {n for n in found if n[:4] == "tcp."})
        shown = self.firmware.ctl("stats", "loop.t*")
        self.assertEqual([line.split()[0] for line in shown.splitlines()], ["COUNTER", "loop.turns"])


class Ports(WithFirmware):
    def test_one_port_with_the_drivers_own_counters(self):
        port = self.firmware.call("port.get", port="uplink")
        self.assertEqual([port], self.firmware.call("port.list")["ports"])
        counted = self.firmware.call("port.stats", port="uplink")
        self.assertEqual(counted["counters"]["framesReceived"], port["receivedPackets"])
        self.assertIn("rx_good_packets", counted["device"])
        self.assertIn("framesReceived", self.firmware.ctl("port", "stats", "uplink", "--all"))
        self.assertIn("no port of this name", self.firmware.ctl("port", "get", "x", code=2))


class Filters(WithFirmware):
    def test_top_and_metrics_show_the_filter_of_a_port(self):
        program = os.path.join(REPOSITORY, "ebpf/drop_dport.v3.bin")
        self.firmware.ctl("ebpf", "load", "uplink", program, "--engine", "interpreter")
        looks = self.firmware.ctl("top", "--plain", "-n", "1", "--every", "0.2")
        self.assertRegex(looks, r"(?m)^eBPF  uplink \S+ \(interpreter\)  in/s 0  passed/s 0")
        metrics = self.firmware.ctl("metrics")
        self.assertRegex(metrics, r'dpu_ebpf_frames_in_total\{port="uplink",core="\d+"\} 0\n')
        self.assertRegex(metrics, r'dpu_ebpf_dropped_total\{.*reason="by_verdict"\} 0\n')


class Events(WithFirmware):
    def test_changes_are_told_and_logged(self):
        with self.firmware.connect() as end:
            end.sendall(b'{"jsonrpc":"2.0","id":1,"method":"event.subscribe",'
                        b'"params":{"kinds":["change","health"]}}\n')
            lines = end.makefile("rb")
            lines.readline()
            self.firmware.call("log.level", level="error")
            while True:
                event = json.loads(lines.readline())["params"]
                if event["kind"] == "change":
                    break
        self.assertEqual(event["message"], "log.level by user 0")
        self.assertIn('message="log.level by user 0"', self.firmware.ctl("log", "tail"))


def garbage(dice):
    """A line that no client would write."""
    good = [b'{"jsonrpc":"2.0","id":%d,"method":"%s"}' % (dice.randrange(99), method) for method in (
        b"tcp.list", b"rpc.list", b"mqtt.clients", b"config.get", b"p4.list", b"ebpf.exec",
        b"system.health", b"mqtt.explain", b"link.stats", b"log.tail")]
    kind = dice.randrange(8)
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 60)).replace(b"\n", b" ")
    line = bytearray(dice.choice(good))
    if kind == 1:
        return bytes(line[:dice.randrange(len(line))]) or b"x"
    if kind == 2:
        return b"[" * dice.randrange(1, 80)
    if kind == 3:
        return b'{"jsonrpc":"2.0","id":1,"method":"tcp.list","params":{"limit":%d}}' % (
            dice.randrange(1001, 1 << 62))
    if kind == 4:
        return b'{"jsonrpc":"2.0","id":1,"method":"config.check","params":{"text":"{\\"a\\": "}}'
    for _ in range(dice.randrange(1, 4)):
        line[dice.randrange(len(line))] = dice.choice(b'{}[]",:\\x00\xff9-')
    return bytes(line).replace(b"\n", b" ") or b"x"


class Abuse(WithFirmware):
    """Malformed lines from some, silence from many: nobody else notices."""

    def flood(self, number, lines, failures):
        dice = random.Random(SEED + number)
        try:
            with self.firmware.connect() as end:
                end.setblocking(False)
                sent = answered = 0
                waiting = b""
                while answered < lines:
                    if not waiting and sent < lines and sent - answered < 512:
                        batch = [garbage(dice) for _ in range(min(64, lines - sent))]
                        sent += len(batch)
                        waiting = b"\n".join(batch) + b"\n"
                    readable, writable, _ = select.select(
                        [end], [end] if waiting else [], [], 60)
                    if not readable and not writable:
                        raise AssertionError(f"no answer; {answered} of {sent}")
                    if writable:
                        waiting = waiting[end.send(waiting):]
                    if readable:
                        got = end.recv(1 << 16)
                        if not got:
                            raise AssertionError(f"closed; {answered} of {sent}")
                        answered += got.count(b"\n")
        except Exception as error:  # The thread's own end: told to the test.
            failures.append(f"{number}: {error!r}")

    def slow_readers(self, count):
        """Ask for much and never read it."""
        ends = []
        for _ in range(count):
            end = self.firmware.connect()
            self.addCleanup(end.close)
            end.sendall(b'{"jsonrpc":"2.0","id":1,"method":"rpc.schema"}\n' * 20)
            ends.append(end)
        return ends

    def unharmed(self):
        core = self.firmware.call("core.stats")["cores"][0]["counters"]
        held = core["longestAttendedNanoseconds"]
        self.assertLess(held, STALL_NANOSECONDS)
        return f"the longest that a poll loop was held up: {held / 1000:.0f} us"

    def test_slow_readers_in_every_slot(self):
        ends = self.slow_readers(64)
        # Each has one reply waiting for it, and gets no other.
        time.sleep(1)
        before = self.firmware.resident()
        with self.firmware.connect() as late:
            reply = json.loads(late.makefile("rb").readline())
        self.assertEqual(reply["error"]["code"], -32002)
        time.sleep(2)
        ends.pop().close()
        eventually(lambda: self.firmware.call("system.uptime"), 5, "an answer")
        self.assertLess(self.firmware.resident() - before, 1024, "kilobytes grown")
        print(self.unharmed())

    def test_a_million_malformed_lines_and_slow_readers_harm_nobody(self):
        self.slow_readers(SLOW_READERS)
        failures = []
        # Those before it warm what grows once.
        self.flood(99, 2_000, failures)
        before = self.firmware.resident()
        threads = [threading.Thread(target=self.flood, args=(n, LINES // 2, failures))
                   for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertIsNone(self.firmware.process.poll())
        self.assertLess(self.firmware.resident() - before, 4096, "kilobytes grown")
        counters = self.firmware.call("control.stats")["counters"]
        self.assertGreaterEqual(counters["requests"] + counters["refusedParse"], LINES)
        print(f"{LINES} lines; {self.unharmed()}")


class Watching(WithFirmware):
    def test_top_and_metrics_take_less_than_a_hundredth_of_a_poll_core(self):
        def spent():
            """Processor time that operators took of the poll core, and the time that has passed."""
            core = self.firmware.call("core.stats")["cores"][0]
            return (core["counters"]["attendedNanoseconds"],
                    core["busyCycles"] + core["idleCycles"])

        watcher = subprocess.Popen(
            [f"{BUILD}/dpuctl", "--socket", self.firmware.socket, "top", "--plain", "--every", "1"],
            stdout=subprocess.DEVNULL)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.kill)
        time.sleep(1)
        start = spent()
        for _ in range(5):
            self.firmware.ctl("metrics")
            time.sleep(1)
        end = spent()
        share = (end[0] - start[0]) / (end[1] - start[1])
        print(f"top and metrics, once a second each: {share:.4%} of a poll core")
        self.assertLess(share, 0.01)

    def test_top_goes_on_when_the_firmware_was_started_anew(self):
        watcher = subprocess.Popen(
            [f"{BUILD}/dpuctl", "--socket", self.firmware.socket, "top", "--plain", "--every",
             "0.2", "-n", "1000"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.stdout.close)
        self.addCleanup(watcher.kill)

        def looks(wanted):
            """Reads on until a line begins so."""
            for line in watcher.stdout:
                if line.startswith(wanted):
                    return line
            self.fail(f"top has ended: {watcher.wait()}")

        looks("dpu 0.1.0")
        self.firmware.end()
        # Long enough for a look at nothing.
        time.sleep(1)
        self.firmware.start()
        begun = time.monotonic()
        while time.monotonic() - begun < 1:
            looks("dpu 0.1.0")
        self.assertIsNone(watcher.poll())
