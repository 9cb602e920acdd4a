"""dpuctl flash against a board of files."""

import json
import os
import platform
import socket
import subprocess
import threading
import unittest

import board
from board import Board, image
from test_slots import damages


class Machine(threading.Thread):
    """Starts the board anew when it is told to; a firmware of a version in `healthy` answers."""

    def __init__(self, on, healthy):
        super().__init__()
        self.board = on
        self.healthy = healthy
        self.started = []
        self.stopping = threading.Event()
        self.firmware = None

    def __enter__(self):
        self.board.ssh()
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()
        if self.firmware:
            self.firmware.close()

    def run(self):
        flag = self.board.folder / "restarted"
        while not self.stopping.wait(0.05):
            if flag.exists():
                flag.unlink()
                self.boot()

    def boot(self):
        slot = self.board.boot()
        counter = self.board.folder / "boots"
        counter.write_text(str(int(counter.read_text()) + 1))
        version = (self.board.folder / "slot/dpu").read_bytes()[:1].decode()
        self.started.append(version)
        if version in self.healthy:
            self.serve()
        else:
            self.board.slot("failed", "the firmware ended 3 times")
            self.boot()
        return slot

    def serve(self):
        self.firmware = socket.socket(socket.AF_UNIX)
        self.firmware.bind(str(self.board.folder / "control.sock"))
        self.firmware.listen()
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self):
        checks = [{"name": "core 1", "ok": True, "detail": "answers"},
                  {"name": "port uplink", "ok": False, "detail": "link down"}]
        results = {"version.get": {"version": "0.1.0", "interface": 1},
                   "system.health": {"status": "degraded", "checks": checks}}
        while True:
            try:
                client, _ = self.firmware.accept()
            except OSError:
                return
            for line in client.makefile("rb"):
                request = json.loads(line)
                reply = {"jsonrpc": "2.0", "id": request["id"],
                         "result": results[request["method"]]}
                client.sendall(json.dumps(reply).encode() + b"\n")
            client.close()


class Flash(unittest.TestCase):
    def setUp(self):
        self.board = Board()
        self.board.put("a", image("1"))
        self.board.boot()
        self.board.slot("healthy")

    def test_looks_at_a_file(self):
        good = image("7")
        code, said, complaint = self.board.flash(good, "--check", "--json", host=None)
        self.assertEqual((code, complaint), (0, ""))
        self.assertEqual(json.loads(said)["version"], "7")
        code, said, _ = self.board.flash(good, "--check", "--key", str(board.key("ours")[1]))
        self.assertEqual(code, 0)
        self.assertIn(f"7 for {platform.machine()}", said)

    def test_a_key_that_did_not_sign(self):
        code, _, complaint = self.board.flash(
            image("7"), "--check", "--key", str(board.key("theirs")[1]))
        self.assertEqual(code, 2)
        self.assertIn("the signature is not of the key", complaint)

    def test_bad_images_change_nothing(self):
        before = self.board.snapshot()
        for name, data in damages(image("3")):
            with self.subTest(name):
                code, said, complaint = self.board.flash(data)
                self.assertEqual((code, said), (2, ""), complaint)
                self.assertRegex(complaint, "dpuctl: .*(image|truncated|sign|for )")
                self.assertEqual(self.board.snapshot(), before)

    def test_an_image_that_works_stays(self):
        with Machine(self.board, healthy="12") as machine:
            code, said, complaint = self.board.flash(image("2"), "--json", "--patience", "30")
        self.assertEqual(code, 0, complaint)
        answer = json.loads(said)
        self.assertEqual((answer["slot"], answer["version"], answer["previous"]), ("b", "2", "1"))
        self.assertEqual(machine.started, ["2"])
        status = self.board.status()
        self.assertEqual((status["active"], status["trial"]), ("b", None))
        self.assertTrue(status["slots"][1]["good"])

    def test_an_image_that_does_not_work_is_reported(self):
        with Machine(self.board, healthy="1") as machine:
            code, said, complaint = self.board.flash(image("2"), "--patience", "30")
        self.assertEqual((code, said), (2, ""))
        self.assertIn("dpuctl: the DPU fell back to slot a: slot b: the firmware ended 3 times",
                      complaint)
        self.assertEqual(machine.started, ["2", "1"])
        self.assertEqual(self.board.status()["active"], "a")

    def test_a_machine_that_does_not_come_back(self):
        self.board.ssh()
        code, _, complaint = self.board.flash(image("2"), "--patience", "2")
        self.assertEqual(code, 3)
        self.assertIn("not healthy within 2 seconds: the DPU did not come back", complaint)

    def test_an_image_behind_the_committed_security_version_is_not_sent(self):
        with Machine(self.board, healthy="12"):
            self.assertEqual(self.board.flash(image("2", security=3), "--patience", "30")[0], 0)
        code, _, complaint = self.board.flash(image("3", security=2))
        self.assertEqual(code, 2)
        self.assertIn("of security version 2; the DPU has committed 3", complaint)
        _, said, _ = self.board.flash(image("3", security=2), "--check", host=None)
        self.assertIn("security version 2", said)

    def test_wrong_usage(self):
        self.assertEqual(self.board.flash(image("3"), host=None)[0], 1)
        self.assertEqual(self.board.flash(image("3"), host="-oProxyCommand=x")[0], 1)
        self.assertEqual(self.board.flash(image("3"), "--key", "/nowhere")[0], 1)
        self.assertEqual(self.board.flash(image("3"), "--socket", "/tmp/a;b")[0], 1)

    def test_a_machine_without_slots(self):
        (self.board.ssh() / "dpu-slot").unlink()
        path = self.board.folder / "image"
        path.write_bytes(image("3"))
        ssh = self.board.folder / "bin/ssh"
        ssh.write_text("#!/bin/bash\necho 'dpu-slot: not found'\nexit 127\n")
        code, complaint = self.dpuctl(path)
        self.assertEqual((code, "was not started from an image" in complaint), (2, True), complaint)
        ssh.write_text("#!/bin/bash\necho 'no route to host' >&2\nexit 255\n")
        code, complaint = self.dpuctl(path)
        self.assertEqual((code, "no route to host" in complaint), (3, True), complaint)

    def dpuctl(self, path):
        done = subprocess.run(
            [str(board.REPOSITORY / "build/host/dpuctl"), "--host", "root@dpu", "flash", str(path)],
            env={**os.environ, "PATH": f"{self.board.folder}/bin:{os.environ['PATH']}"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", timeout=60)
        return done.returncode, done.stderr
