"""Two workers: what arrives at either is for the one stack."""

import json
import os
import subprocess
import unittest

from lab import REPOSITORY, eventually, needs_offload, slow


@needs_offload
@slow
class TwoWorkers(unittest.TestCase):
    """A lab of its own with scripts/lab-cores.json, beside this one."""

    @classmethod
    def setUpClass(cls):
        cls.name = f"{os.environ.get('DPU_LAB', 'lab')}c"
        cls.addClassCleanup(cls.lab, "down")
        up = cls.lab("up", "--config", os.path.join(REPOSITORY, "scripts/lab-cores.json"))
        if up.returncode != 0:
            raise AssertionError(up.stderr)

    @classmethod
    def lab(cls, *words):
        return subprocess.run(
            [os.path.join(REPOSITORY, "scripts/lab.sh"), *words],
            env={**os.environ, "DPU_LAB": cls.name}, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL)

    def among_clients(self, *words):
        done = self.lab("exec", "--", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def ask(self, *words):
        done = subprocess.run(
            [os.path.join(REPOSITORY, "build/host/dpuctl"), "--socket",
             f"/run/dpu-{self.name}/control.sock", "--json", *words],
            capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def handed(self):
        """Frames that the second worker gave to the first, once none is on its way."""
        def look():
            first, second = (core["counters"] for core in self.ask("core", "stats")["cores"])
            self.assertEqual(second["droppedHandOverFull"], 0)
            return first["framesTakenOver"] == second["framesHandedOver"] and second

        return eventually(look, what="the frames handed over")["framesHandedOver"]

    def test_messages_are_consumed_whichever_worker_hears_them(self):
        before, handed = self.ask("mqtt", "stats")["counters"], self.handed()
        # Each connection has a port of its own, so the device's hash brings some to each worker.
        report = json.loads(self.among_clients(
            os.path.join(REPOSITORY, "build/host/mqttbench"), "--host", "10.77.0.1",
            "--subscribers", "24", "--publishes", "500", "--window", "4", "--timeout", "60"))
        self.assertTrue(report["complete"])
        for what in ("lost", "duplicated", "reordered", "foreign"):
            self.assertEqual(report[what], 0, what)
        after = self.ask("mqtt", "stats")["counters"]
        self.assertGreater(after["publishesConsumed"] - before["publishesConsumed"], 400)
        self.assertEqual(after["relayedOff"], 0)
        self.assertGreater(self.handed(), handed + 1000)
        self.assertEqual([row["core"] for row in self.ask("link", "stats")["links"]], [1])
        self.assertEqual(self.ask("system", "health")["status"], "ok")

    def test_bytes_and_pings_of_both_kinds(self):
        client = os.path.join(REPOSITORY, "Tests/EndToEnd/echo_client.py")
        for _ in range(6):
            self.assertIn("identical", self.among_clients(
                "/usr/bin/python3", client, "10.77.0.1", "300000"))
        self.among_clients("ping", "-q", "-c", "3", "-i", "0.2", "-W", "3", "10.77.0.1")
        self.among_clients("ping", "-q", "-c", "3", "-i", "0.2", "-W", "3", "fd77::1")

    def test_what_is_not_for_the_dpu_passes(self):
        # Broadcasts, which may be for the stack, included: that is how the host is found.
        self.among_clients("ping", "-q", "-c", "5", "-i", "0.2", "-W", "3", "10.77.0.10")
