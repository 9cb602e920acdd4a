"""A broker under the shim and a relay that stands in for the firmware, on loopback only."""

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.dirname(HERE))


def first(*candidates):
    for path in candidates:
        if path and os.path.exists(path):
            return os.path.abspath(path)
    raise SystemExit(f"build first, none of these exists: {', '.join(filter(None, candidates))}")


SHIM = first(os.environ.get("DPU_SHIM"), f"{REPOSITORY}/build/host/libdpushim.so",
             f"{REPOSITORY}/.build-host/release/libdpushim.so")
RELAY = first(os.environ.get("DPU_LINKRELAY"), f"{REPOSITORY}/.build/release/linkrelay",
              f"{REPOSITORY}/.build/debug/linkrelay")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(check, seconds=10, what="it"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = check()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Process:
    """A child whose output is kept line by line."""

    def __init__(self, arguments, **options):
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, bufsize=1, **options)
        self.lines = []
        self.fresh = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.fresh.put(line.rstrip("\n"))

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, part, seconds=10):
        """The next line with `part` in it; lines before it are passed over."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.fresh.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {part!r}; last: {self.lines[-8:]}") from None
            if part in line:
                return line

    def ask(self, line, part, seconds=10):
        self.say(line)
        return self.expect(part, seconds)

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(10)
        self.reader.join(5)
        self.process.stdin.close()
        self.process.stdout.close()

    @property
    def pid(self):
        return self.process.pid


class Setting:
    """One temporary folder with a relay and a broker in it; `close` leaves nothing behind.

    The relay takes brokers over both carriers; the broker comes over `carrier`.
    """

    carrier = "memory"

    def __init__(self, workers=1, ring_bytes=1 << 20, ipv6=False, peer=None):
        self.folder = tempfile.mkdtemp(prefix="dpulink-")
        os.chmod(self.folder, 0o755)
        self.socket = f"{self.folder}/link.sock"
        self.shim_log = f"{self.folder}/shim.log"
        self.broker_port, self.relay_port, self.link_port = free_port(), free_port(), free_port()
        self.relay_options = [str(workers), str(ring_bytes), f"tcp:127.0.0.1:{self.link_port}"]
        self.relay_options += (["ipv6"] if ipv6 else []) + ([f"peer:{peer}"] if peer else [])
        # What the shim is told.
        self.place = f"tcp:127.0.0.1:{self.link_port}" if self.carrier == "tcp" else self.socket
        self.processes = []
        self.relay = self.broker = None

    def start_relay(self):
        self.relay = Process(
            [RELAY, self.socket, str(self.relay_port), str(self.broker_port),
             *self.relay_options])
        self.processes.append(self.relay)
        eventually(lambda: os.path.exists(self.socket), what="the relay's socket")
        return self.relay

    def environment(self):
        return {**os.environ, "LD_PRELOAD": SHIM, "DPU_SHIM_SOCKET": self.place,
                "DPU_SHIM_LOG": self.shim_log}

    def start_broker(self, configuration="", listener=None, arguments=(), shim=True):
        path = f"{self.folder}/mosquitto.conf"
        listener = listener or f"listener {self.broker_port} 0.0.0.0"
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{listener}\nallow_anonymous true\nlog_type all\n{configuration}\n")
        self.broker = Process(
            ["mosquitto", "-c", path, *arguments],
            env=self.environment() if shim else None)
        self.processes.append(self.broker)
        self.broker.expect(" running")
        return self.broker

    def start(self, **options):
        self.start_relay()
        self.start_broker(**options)
        self.relay.expect("listen 0")
        return self

    @property
    def relayed(self):
        return ("127.0.0.1", self.relay_port)

    @property
    def kernel(self):
        return ("127.0.0.1", self.broker_port)

    def certified(self):
        return self.relay.ask("certified", "certified ").split()[1] == "true"

    def counters(self, of="counters"):
        """What the link of lane 0 counted; of="listener": what the thread of the link did."""
        words = self.relay.ask(of, f"{of} ").replace('"', " ").replace(",", " ").split()
        return {k: int(v) for k, v in (w.strip("[]").split("=") for w in words if "=" in w)}

    def descriptors(self, pid=None):
        return len(os.listdir(f"/proc/{pid or self.broker.pid}/fd"))

    def close(self):
        for process in reversed(self.processes):
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
