"""What the firmware refuses, and that it says why."""

import json
import os
import socket
import subprocess
import tempfile
import unittest

from lab import REPOSITORY, needs_offload, status

FIRMWARE = os.path.join(REPOSITORY, "build/host/dpu")


@needs_offload
class SecondFirmware(unittest.TestCase):
    def test_is_refused(self):
        lab = status()
        done = subprocess.run(
            ["ip", "netns", "exec", lab["namespaces"]["dpu"], FIRMWARE, "--config",
             os.path.join(lab["state"], "dpu.json")],
            capture_output=True, text=True, timeout=30)
        self.assertGreater(done.returncode, 0)
        self.assertIn("sock", done.stderr)
        self.assertEqual(status()["pids"], lab["pids"])


@needs_offload
class Configuration(unittest.TestCase):
    def check(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(text)
            file.flush()
            return subprocess.run(
                [FIRMWARE, "--check-config", file.name], capture_output=True, text=True, timeout=10)

    def setUp(self):
        with open(os.path.join(status()["state"], "dpu.json")) as file:
            self.good = file.read()

    def test_good(self):
        self.assertEqual(self.check(self.good).returncode, 0)

    def test_bad(self):
        cases = {
            "unknown key": (self.good.replace("{", '{\n  "nonsense": 1,', 1), ":2:"),
            "wrong type": (self.good.replace('"control": {', '"control": 7, "x": {', 1), ":"),
            "not closed": (self.good.rstrip().rstrip("}"), ":"),
            "empty": ("", ":"),
            "not JSON": ("hello\n", ":1:"),
            "a list": ("[]", ":1:"),
        }
        for what, (text, place) in cases.items():
            with self.subTest(what):
                done = self.check(text)
                self.assertGreater(done.returncode, 0)
                self.assertIn(place, done.stderr)

    def test_missing_file(self):
        done = subprocess.run(
            [FIRMWARE, "--config", "/nonexistent"], capture_output=True, text=True, timeout=10)
        self.assertGreater(done.returncode, 0)
        self.assertIn("/nonexistent", done.stderr)


@needs_offload
class Operator(unittest.TestCase):
    """The operator's socket: JSON-RPC 2.0, one object a line."""

    def setUp(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(status()["socket"])
        self.addCleanup(self.socket.close)
        self.lines = self.socket.makefile("rb")
        self.addCleanup(self.lines.close)

    def ask(self, line):
        self.socket.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")
        return json.loads(self.lines.readline())

    def works(self):
        answer = self.ask('{"jsonrpc":"2.0","id":41,"method":"version.get"}')
        self.assertEqual(answer["id"], 41)
        self.assertIn("result", answer)

    def test_malformed(self):
        for line, code in {
            "{": -32700,
            "hello": -32700,
            '{"jsonrpc":"2.0","id":1,"method":"version.get"': -32700,
            "\x01\x02": -32700,
            '"text"': -32600,
            '{"id":1}': -32600,
            '{"jsonrpc":"1.0","id":1,"method":"version.get"}': -32600,
            '{"jsonrpc":"2.0","id":1,"method":7}': -32600,
            '{"jsonrpc":"2.0","id":1,"method":"no.such"}': -32601,
            '{"jsonrpc":"2.0","id":1,"method":"version.get","params":"x"}': -32600,
        }.items():
            with self.subTest(line):
                self.assertEqual(self.ask(line)["error"]["code"], code)
        self.works()

    def test_not_utf8(self):
        self.assertEqual(self.ask(b'{"jsonrpc":"2.0","id":"\xff\xfe"}\n')["error"]["code"], -32700)
        self.works()

    def test_deep_nesting(self):
        self.assertIn("error", self.ask("[" * 5000 + "]" * 5000))
        self.works()

    def test_line_that_never_ends(self):
        """More than a request may have: the connection is refused, the firmware lives."""
        try:
            for _ in range(40):
                self.socket.sendall(b"x" * 65536)
            while self.socket.recv(65536):
                pass
        except (ConnectionError, socket.timeout):
            pass
        self.setUp()
        self.works()

    def test_many_connections(self):
        many = []
        try:
            for _ in range(200):
                extra = socket.socket(socket.AF_UNIX)
                extra.settimeout(1)
                many.append(extra)
                try:
                    extra.connect(status_socket(self))
                except OSError:
                    break
        finally:
            for extra in many:
                extra.close()
        self.works()


def status_socket(test):
    return test.socket.getpeername()
