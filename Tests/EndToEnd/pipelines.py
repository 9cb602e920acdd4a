"""What the pipeline tests need: the operator's tool, sockets in other namespaces, a cable."""

import contextlib
import ctypes
import json
import os
import select
import shlex
import socket
import subprocess
import threading
import time

from lab import REPOSITORY, status

PROGRAMS = os.path.join(REPOSITORY, "p4")
CLIENT, DPU, HOST = "10.77.0.2", "10.77.0.1", "10.77.0.10"
PORTS = "0=uplink,1=host,2=stack,255=cpu"

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
PKTGEN = 0x88B5

_libc = ctypes.CDLL(None, use_errno=True)
_lab = {}


def lab():
    """The lab's status, asked for once: its places stay while the tests run."""
    if not _lab:
        _lab.update(status())
    return _lab


def program(name):
    return os.path.join(PROGRAMS, f"{name}.json")


class Refused(AssertionError):
    """dpuctl has failed: its exit status and what it said."""

    def __init__(self, words, done):
        self.code, self.text = done.returncode, done.stderr.strip()
        super().__init__(f"dpuctl {' '.join(words)}: {self.text}")


def ctl(*words, raw=False, socket_path=None):
    """Runs dpuctl; returns what it answers, or with `raw` the text it prints for people."""
    words = [str(word) for word in words]
    command = [os.path.join(REPOSITORY, "build/host/dpuctl"), "--socket",
               socket_path or lab()["socket"]]
    done = subprocess.run(
        [*command, *([] if raw else ["--json"]), *words], capture_output=True, text=True,
        timeout=60, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Refused(words, done)
    return done.stdout if raw else json.loads(done.stdout)


def host_address(namespace=None):
    """The hardware address of the host's port."""
    shown = subprocess.run(
        ["ip", "-n", namespace or lab()["namespaces"]["host"], "-json", "link", "show", "host0"],
        check=True, capture_output=True, text=True)
    return json.loads(shown.stdout)[0]["address"]


def operator_file(name):
    """Does what scripts/NAME.dpuctl says."""
    with open(os.path.join(REPOSITORY, "scripts", f"{name}.dpuctl")) as file:
        for line in file:
            words = shlex.split(line.replace("@HOST_MAC@", host_address()), comments=True)
            if words:
                ctl(*words)


class Caller:
    """The control socket without a process for each call."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(lab()["socket"])
        self.lines = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def call(self, method, **parameters):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]


@contextlib.contextmanager
def inside(namespace):
    """Sockets that this thread makes meanwhile are in that namespace."""
    with open("/proc/thread-self/ns/net") as own, open(f"/run/netns/{namespace}") as other:
        if _libc.setns(other.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            if _libc.setns(own.fileno(), CLONE_NEWNET) != 0:
                os.abort()  # whatever came next would happen in the wrong place


def on_host():
    return inside(lab()["namespaces"]["host"])


def udp(port, on=None, address=""):
    """A UDP socket bound to a port; `on` is a context such as `on_host()`."""
    with on or contextlib.nullcontext():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    made.bind((address, port))
    made.settimeout(5)
    return made


def listener(port, on=None):
    with on or contextlib.nullcontext():
        made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", port))
    made.listen(64)
    made.settimeout(5)
    return made


def drain(receiver, quiet=0.5):
    """All datagrams until none has come for so long."""
    packets = []
    receiver.settimeout(quiet)
    while True:
        try:
            packets.append(receiver.recv(65536))
        except socket.timeout:
            return packets


# --- probes, as a port scanner makes them ------------------------------------------------------


def probe_tcp(address, ports, seconds=0.7):
    """What becomes of connections: `open`, `closed` (refused) or `filtered` (nothing came)."""
    attempts = {}
    poller = select.poll()
    for port in ports:
        made = socket.socket()
        made.setblocking(False)
        made.connect_ex((address, port))
        attempts[made.fileno()] = (port, made)
        poller.register(made, select.POLLOUT)
    found = {port: "filtered" for port in ports}
    end = time.monotonic() + seconds
    while attempts and time.monotonic() < end:
        for descriptor, _ in poller.poll(max(0, (end - time.monotonic()) * 1000)):
            port, made = attempts.pop(descriptor)
            poller.unregister(descriptor)
            error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            found[port] = "open" if error == 0 else "closed"
            made.close()
    for _, made in attempts.values():
        made.close()
    return found


def probe_udp(address, ports, seconds=0.7):
    """`open`: an answer came; `closed`: the port is unreachable; `filtered`: nothing came."""
    found = {}
    probes = []
    for port in ports:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.connect((address, port))
        made.send(b"probe")
        made.settimeout(seconds)
        probes.append((port, made))
    for port, made in probes:
        try:
            made.recv(1500)
            found[port] = "open"
        except socket.timeout:
            found[port] = "filtered"
        except ConnectionRefusedError:
            found[port] = "closed"
        made.settimeout(0.05)
        made.close()
    return found


def pings(address, count=1):
    return subprocess.run(
        ["ping", "-c", str(count), "-i", "0.2", "-W", "1", address],
        capture_output=True).returncode == 0


# --- a stream of numbered packets ---------------------------------------------------------------


class Stream:
    """Numbered datagrams from the clients to the host, until told to stop."""

    def __init__(self, port, rate):
        self.receiver = udp(port, on_host())
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.target, self.rate, self.sent = (HOST, port), rate, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        begin = time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - begin) * self.rate)
            while self.sent < due and not self._stop.is_set():
                self.sender.sendto(self.sent.to_bytes(4, "big") + bytes(28), self.target)
                self.sent += 1
            time.sleep(0.001)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.sender.close()
        self.receiver.close()

    def finish(self):
        """Stops; the numbers that have arrived, in their order."""
        self._stop.set()
        self._thread.join()
        return [int.from_bytes(packet[:4], "big") for packet in drain(self.receiver)]


# --- a cable for the generator ------------------------------------------------------------------


class Cable:
    """Joins the clients' end of the uplink with the host's: what the generator sends out of one
    port comes in on the other. Keeps what passed."""

    def __init__(self, change=lambda frame: frame):
        self.frames = []
        self.change = change
        self._in = self._raw("cl0")
        self._in.settimeout(0.1)
        with on_host():
            self._out = self._raw("host0")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @staticmethod
    def _raw(interface):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PKTGEN))
        raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        raw.bind((interface, PKTGEN))
        return raw

    def _run(self):
        while not self._stop.is_set():
            try:
                frame = self._in.recv(65536)
            except socket.timeout:
                continue
            self.frames.append(frame)
            changed = self.change(frame)
            if changed is not None:
                self._out.send(changed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._in.close()
        self._out.close()
