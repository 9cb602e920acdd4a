"""A round trip: DPDK's testpmd sends frames into a firmware of its own, an eBPF filter decides, and
testpmd counts what comes back.

    testpmd             firmware                                    testpmd
    file -> memif ----> uplink [filter, perhaps in the FPGA] host ----> memif -> file

Nothing here is the lab's: shared memory joins the processes, so there are no interfaces and no
namespaces. scripts/fpga_testpmd.sh prints the counts for people.
"""

import atexit
import ctypes
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from lab import REPOSITORY, eventually
from pipelines import Refused, ctl

BUILD = os.path.join(REPOSITORY, "build/host")
SIMULATOR = os.path.join(BUILD, "dpu-fpga-sim")
CORES = 4

# --- what is sent -------------------------------------------------------------------------------


def _ipv4(protocol, payload, source=1):
    return struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
        bytes([198, 18, 0, source]), bytes([198, 18, 0, 2])) + payload


def _udp(port, payload):
    return struct.pack(">HHHH", 4000, port, 8 + len(payload), 0) + payload


def _tcp(port, payload):
    return struct.pack(">HHIIBBHHH", 4000, port, 1, 0, 0x50, 0x02, 1024, 0, 0) + payload


def frame(number):
    """A frame of one of ten kinds with its number in it; sizes from 36 to 1,514 bytes."""
    mark = number.to_bytes(4, "big")
    kind, payload = number % 10, mark * (4 + number * 7 % 80)
    if kind == 0:
        kind, packet = 0x0800, _ipv4(17, _udp(9, payload))
    elif kind == 1:
        kind, packet = 0x0800, _ipv4(17, _udp(53, payload))
    elif kind == 2:
        kind, packet = 0x0800, _ipv4(6, _tcp(1883, payload))
    elif kind == 3:
        kind, packet = 0x0800, _ipv4(6, _tcp(9, payload))
    elif kind == 4:
        kind, packet = 0x0800, _ipv4(1, b"\x08\0\0\0" + payload)
    elif kind == 5:  # as an ARP request, and a number
        kind, packet = 0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + mark * 5
    elif kind == 6:
        kind, packet = 0x86DD, struct.pack(">IHBB", 0x60000000, len(payload), 17, 64) + mark * 8 \
            + _udp(9, payload)
    elif kind == 7:  # one VLAN tag
        kind, packet = 0x8100, b"\0\x05\x08\0" + _ipv4(17, _udp(9, payload))
    elif kind == 8:  # as long as it may be
        kind, packet = 0x0800, _ipv4(17, _udp(80, (mark * 368)[:1472]))
    else:  # ends before its destination port
        kind, packet = 0x0800, _ipv4(17, mark[2:])
    return bytes.fromhex("020000000002020000000001") + kind.to_bytes(2, "big") + packet


# --- the filters, and what they must say ----------------------------------------------------------


def _bytecode(name):
    with open(os.path.join(REPOSITORY, "ebpf", f"{name}.v3.bin"), "rb") as file:
        return file.read()


def drop_ports(*ports):
    """ebpf/drop_dport.c behind instructions that write its ports into the state."""
    stores = (struct.pack("<BBhi", 0x6A, 1, 1536 + 2 * place, port)
              for place, port in enumerate(ports))
    return b"".join(stores) + _bytecode("drop_dport")


def says_drop_ports(*ports):
    def verdict(frame):
        packet = frame[14:]
        kind = frame[12:14]
        if kind == b"\x81\0":
            kind, packet = packet[2:4], packet[4:]
        if kind != b"\x08\0" or packet[9] not in (6, 17):
            return "pass"
        if len(packet) < 24:
            return "aborted"
        return "drop" if int.from_bytes(packet[22:24], "big") in ports else "pass"

    return verdict


def says_mqtt_allow(frame):
    if frame[12:14] == b"\x08\x06":
        return "pass"
    if frame[12:14] != b"\x08\0" or frame[23] not in (1, 6):
        return "drop"
    ports = struct.unpack(">HH", frame[34:38])
    return "pass" if frame[23] == 1 or {1883, 8883} & set(ports) else "drop"


FILTERS = {
    "drop_dport": (lambda: drop_ports(9, 53), says_drop_ports(9, 53)),
    "mqtt_allow": (lambda: _bytecode("mqtt_allow"), says_mqtt_allow),
    "count_proto": (lambda: _bytecode("count_proto"), lambda frame: "pass"),
}


# --- files of frames ------------------------------------------------------------------------------


def write_pcap(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for one in frames:
            file.write(struct.pack("<IIII", 0, 0, len(one), len(one)) + one)


def read_pcap(path):
    with open(path, "rb") as file:
        data = file.read()
    frames, at = [], 24
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return frames


# --- the processes --------------------------------------------------------------------------------


def _with_parent():
    """In the child: it ends when this process does, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def install():
    """What is missing of the programs; nothing when all are there."""
    if not shutil.which("dpdk-testpmd"):
        subprocess.run([os.path.join(REPOSITORY, "scripts/install.sh")], check=True)
    if not os.path.exists(SIMULATOR):
        subprocess.run(
            [os.path.join(REPOSITORY, "scripts/build.sh"), "gateware"], check=True,
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


class RoundTrip:
    """Simulated FPGA, firmware and testpmd, for one run. `engine` and `dead_device` are those of
    the configuration. testpmd sends some hundred frames a second, or with `flood` all at once."""

    def __init__(self, filter_name="drop_dport", engine="fpga", dead_device="software", frames=1000,
                 flood=False, timeout_milliseconds=2000):
        install()
        self.frames = [frame(number) for number in range(frames)]
        self.verdict = FILTERS[filter_name][1]
        self.processes = {}
        self.folder = tempfile.mkdtemp(prefix="dputestpmd-")
        atexit.register(self.close)  # also after an interrupt
        try:
            write_pcap(self.path("sent.pcap"), self.frames)
            write_pcap(self.path("nothing.pcap"), [])
            with open(self.path("filter.bin"), "wb") as file:
                file.write(FILTERS[filter_name][0]())
            if engine == "fpga":
                self.start_simulator()
            self._start_firmware(engine, dead_device, timeout_milliseconds)
            self._start_testpmd(flood)
        except BaseException:
            self.close()
            raise

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, name, *command, **more):
        with open(self.path(f"{name}.log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, preexec_fn=_with_parent,
                **{"stdin": subprocess.DEVNULL, **more})

    def log(self, name):
        with open(self.path(f"{name}.log"), errors="replace") as file:
            return file.read()

    def check_alive(self, *names):
        for name in names:
            if name in self.processes and self.processes[name].poll() is not None:
                raise RuntimeError(f"{name} has stopped: {self.log(name)[-2000:]}")

    def start_simulator(self):
        self.start("simulator", SIMULATOR, "--bar", self.path("bar"), "--cores", str(CORES))

        def ready():
            self.check_alive("simulator")
            return "ready" in self.log("simulator")

        eventually(ready, 20, "a simulator that is ready")

    def kill_simulator(self):
        self.processes["simulator"].kill()
        self.processes["simulator"].wait()

    def _memif(self, number, name, role):
        return (f"net_memif{number},role={role},socket={self.path(name)}.sock,socket-abstract=no,"
                f"rsize=10")

    def _start_firmware(self, engine, dead_device, timeout_milliseconds):
        cpus = sorted(os.sched_getaffinity(0))
        configuration = {
            "schema": 1,
            "eal": ["--no-huge", "-m", "128"],
            "ports": [{"role": role, "device": self._memif(number, role, "server")}
                      for number, role in enumerate(["uplink", "host"])],
            "cores": [cpus[0]],
            "idle": "sleep",
            "addresses": ["10.77.0.1/24"],
            "tcp": {"connections": 64},
            "filters": [{"port": "uplink", "program": self.path("filter.bin"), "engine": engine,
                         "deadDevice": dead_device}],
            "control": {"socket": self.path("control.sock")},
        }
        if engine == "fpga":
            configuration["fpga"] = {"kind": "simulated", "path": self.path("bar"),
                                     "timeoutMilliseconds": timeout_milliseconds}
        with open(self.path("dpu.json"), "w") as file:
            json.dump(configuration, file)
        self.start("firmware", os.path.join(BUILD, "dpu"), "--config", self.path("dpu.json"))

        def answers():
            self.check_alive("firmware")
            return self.ctl("system", "health")

        eventually(answers, 30, "an answer of the firmware")

    def _start_testpmd(self, flood):
        cpus = sorted(os.sched_getaffinity(0))
        # Memory accesses for each frame are the only brake it has. Each number must stay below
        # 65,536, or testpmd never comes to an end with them.
        pace = ["--forward-mode=io"] if flood else [
            "--forward-mode=noisy", "--noisy-lkup-memory=1", "--noisy-lkup-num-reads=60000",
            "--noisy-lkup-num-writes=60000", "--noisy-lkup-num-reads-writes=60000"]
        self.start(
            "testpmd", "dpdk-testpmd", f"--lcores=0@{cpus[0]},1@{cpus[-1]}", "--no-huge", "-m",
            "256", "--no-pci", "--no-telemetry", "--no-shconf",
            f"--file-prefix={os.path.basename(self.folder)}",
            f"--vdev=net_pcap0,rx_pcap={self.path('sent.pcap')},tx_pcap={self.path('unused.pcap')}",
            f"--vdev={self._memif(0, 'uplink', 'client')}",
            f"--vdev={self._memif(1, 'host', 'client')}",
            f"--vdev=net_pcap1,rx_pcap={self.path('nothing.pcap')},"
            f"tx_pcap={self.path('back.pcap')}",
            "--", "-i", "--nb-cores=1", "--burst=8", "--total-num-mbufs=8192", "--no-flush-rx",
            *pace, stdin=subprocess.PIPE)
        self.tell("start")

    def tell(self, *commands):
        """Commands to testpmd; it obeys them once it is up."""
        self.processes["testpmd"].stdin.write("".join(f"{line}\n" for line in commands).encode())
        self.processes["testpmd"].stdin.flush()

    def ctl(self, *words):
        return ctl(*words, socket_path=self.path("control.sock"))

    def counters(self):
        return self.ctl("ebpf", "stats")["counters"]

    def wait_for_frames(self, count, seconds=60):
        def there():
            self.check_alive("firmware", "testpmd")
            return self.counters()["framesIn"] >= count

        eventually(there, seconds, f"frame {count} in the firmware")

    def finish(self):
        """Waits until nothing moves any more, ends testpmd, and returns all counts."""
        last, since = None, time.monotonic()
        end = since + 60
        while time.monotonic() - since < 1.5:
            self.check_alive("firmware", "testpmd")
            counters = self.counters()
            if counters != last or not counters["framesIn"]:
                last, since = counters, time.monotonic()
            if time.monotonic() > end:
                raise AssertionError(f"the counters do not come to rest: {counters}")
            time.sleep(0.1)
        self.tell("stop", "show port stats all", "quit")
        if self.processes["testpmd"].wait(30) != 0:
            raise AssertionError(f"testpmd failed: {self.log('testpmd')[-2000:]}")
        return Counts(self)

    def end(self, name):
        """Ends a process; its exit status, negative when it was killed."""
        process = self.processes[name]
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode

    def close(self):
        """Ends what was started here, testpmd first, and removes the files."""
        atexit.unregister(self.close)
        for name in ["testpmd", "firmware", "simulator"]:
            if name in self.processes:
                self.end(name)
        if "testpmd" in self.processes:
            self.processes["testpmd"].stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        # testpmd leaves its runtime folder behind.
        shutil.rmtree(f"/var/run/dpdk/{os.path.basename(self.folder)}", ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Counts:
    """What testpmd and the firmware have counted, at the end of a run."""

    # Where each frame ends that the filter sees; passed ones leave by the host's port.
    FORWARDED = ["passed", "passedUnanswered", "passedDeadDevice"]
    BY_POLICY = ["droppedUnanswered", "droppedDeadDevice", "droppedDeviceFull", "droppedUnloaded"]

    def __init__(self, trip):
        self.frames, self.verdict = trip.frames, trip.verdict
        self.filter = trip.counters()
        shown = trip.log("testpmd")
        # Of all ports; the memory interfaces are testpmd's ports 1 and 2.
        rows = [(int(received), int(sent)) for received, sent in re.findall(
            r"RX-packets: (\d+) +RX-missed:.*?TX-packets: (\d+) +TX-errors", shown, re.DOTALL)]
        if len(rows) != 4:
            raise AssertionError(f"testpmd shows {len(rows)} ports: {shown[-3000:]}")
        self.sent, self.received = rows[1][1], rows[2][0]
        self.back = read_pcap(trip.path("back.pcap"))

    def sum(self, names):
        return sum(self.filter.get(name, 0) for name in names)

    @property
    def forwarded(self):
        return self.sum(self.FORWARDED)

    @property
    def by_policy(self):
        return self.sum(self.BY_POLICY)

    def must(self, verdict):
        """The frames for which the filter must say so."""
        return [one for one in self.frames if self.verdict(one) == verdict]

    @property
    def add_up(self):
        dropped = self.filter["droppedByVerdict"]
        return (self.sent == self.filter["framesIn"] == self.forwarded + dropped + self.by_policy
                and self.received == self.forwarded == len(self.back))


# --- for people -----------------------------------------------------------------------------------


def table():
    """Runs the round trip in all ways and prints a row for each; 1 when counts do not add up."""
    runs = [(f"{name}, {engine}", {"filter_name": name, "engine": engine}, False)
            for name in ["drop_dport", "mqtt_allow"] for engine in ["fpga", "jit", "interpreter"]]
    runs.append(("drop_dport, fpga, flooded", {"flood": True}, False))
    runs += [(f"drop_dport, fpga killed, {policy}",
              {"dead_device": policy, "timeout_milliseconds": 500}, True)
             for policy in ["software", "pass", "drop"]]
    columns = ["sent", "forwarded", "dropped", "by policy", "received", "adds up"]
    print(f"{'run':36}" + "".join(f"{column:>11}" for column in columns), flush=True)
    failed = False
    for title, options, kills in runs:
        with RoundTrip(**options) as trip:
            if kills:
                trip.wait_for_frames(300)
                trip.kill_simulator()
            counts = trip.finish()
        failed |= not counts.add_up
        row = [counts.sent, counts.forwarded, counts.filter["droppedByVerdict"], counts.by_policy,
               counts.received, "yes" if counts.add_up else "NO"]
        print(f"{title:36}" + "".join(f"{cell:>11}" for cell in row))
        reasons = [f"{name} {value}" for name, value in counts.filter.items() if value and name in
                   [*Counts.BY_POLICY, "deviceTimeouts", "passedDeadDevice", "softwareDeadDevice"]]
        if reasons:
            print(f"    {', '.join(reasons)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(table())
    except (AssertionError, RuntimeError, Refused) as error:
        sys.exit(f"fpga_testpmd: {error}")
