"""A firmware of its own on a null device, for tests of its control socket."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from lab import REPOSITORY

BUILD = os.path.join(REPOSITORY, "build/host")


def configuration(folder, **members):
    return {
        "schema": 1, "eal": ["--no-huge", "-m", "128"],
        "ports": [{"role": "uplink", "device": "net_null0,no-rx=1"}],
        "cores": [sorted(os.sched_getaffinity(0))[-1]],
        "addresses": ["10.79.0.1/24"],
        "tcp": {"connections": 256, "blocks": 1024},
        "hostLink": {"socket": f"{folder}/link.sock"},
        "control": {"socket": f"{folder}/control.sock", "mode": "0666"}, **members}


class Firmware:
    """Runs until `stop`; `folder` holds its configuration, sockets and log."""

    def __init__(self, environment=None, **members):
        self.folder = tempfile.mkdtemp(prefix="dpu-control-")
        os.chmod(self.folder, 0o755)
        self.file = f"{self.folder}/dpu.json"
        self.socket = f"{self.folder}/control.sock"
        with open(self.file, "w") as file:
            json.dump(configuration(self.folder, **members), file, indent=2)
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.start()

    def start(self):
        self.log = open(f"{self.folder}/log", "ab")
        self.process = subprocess.Popen(
            [f"{BUILD}/dpu", "--config", self.file], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env=self.environment)
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, self.said()
            # The socket is there before the devices are; who is answered finds it all running.
            with contextlib.suppress(OSError, ValueError):
                self.call("system.uptime")
                return
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def said(self):
        with open(f"{self.folder}/log") as file:
            return file.read()

    def connect(self):
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(20)
        end.connect(self.socket)
        return end

    def call(self, method, **params):
        with self.connect() as end:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            end.sendall(json.dumps(request).encode() + b"\n")
            reply = json.loads(end.makefile("rb").readline())
        assert "error" not in reply, reply["error"]
        return reply["result"]

    def ctl(self, *words, code=0):
        """What dpuctl prints; with another `code` what it complains about."""
        done = subprocess.run(
            [f"{BUILD}/dpuctl", "--socket", self.socket, *words], capture_output=True, text=True,
            timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == code, (words, done)
        return done.stderr if code else done.stdout

    def resident(self):
        """Kilobytes of memory."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def end(self):
        """As an operator stops it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        return self.process.returncode

    def stop(self):
        code = self.end()
        shutil.rmtree(self.folder)
        return code
