#!/usr/bin/python3
"""Boots the board and checks what it must do; `scripts/board.sh --smoke` prepares everything.

usage: board_smoke.py --name NAME -- QEMU...
Prints a line for each check and `N passed, N failed`. Ends only what it started.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
DPUCTL = REPOSITORY / "build/host/dpuctl"
IMAGES = REPOSITORY / "build/image"
# Seconds that all of it may take, the boots included.
LIMIT = int(os.environ.get("DPU_BOARD_LIMIT", "300"))
BOOT_LIMIT = 180

arguments = argparse.ArgumentParser()
arguments.add_argument("--name", required=True)
arguments.add_argument("qemu", nargs="+")
options = arguments.parse_args()
state = pathlib.Path("/run/dpu-" + options.name)
started = time.monotonic()


class Failed(Exception):
    pass


def left():
    """Seconds that remain."""
    return max(1.0, LIMIT - (time.monotonic() - started))


def run(*command, namespace=None, timeout=60, **more):
    """Its exit status and everything it says."""
    if namespace:
        command = ("ip", "netns", "exec", f"{options.name}-{namespace}", *command)
    try:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=more.pop("stdin", subprocess.DEVNULL),
                              timeout=min(timeout, left()), encoding="utf-8", errors="replace",
                              **more)
    except subprocess.TimeoutExpired as expired:
        return -1, f"not done after {expired.timeout:.0f} s"
    return done.returncode, done.stdout.strip()


def must(*command, **more):
    status, said = run(*command, **more)
    if status != 0:
        raise Failed(f"{' '.join(map(str, command))}: status {status}: {said}")
    return said


def dpuctl(*words, **more):
    return must(DPUCTL, "--host", "dpu", *words, **more)


def ask(*words):
    return json.loads(dpuctl("--json", *words))


def ssh(command, **more):
    return must(state / "bin/ssh", "dpu", command, **more)


def slots():
    return json.loads(ssh("dpu-slot status"))


def until(what, seconds, attempt):
    """The first answer of `attempt` that is not false; its failures are not the end."""
    end = time.monotonic() + min(seconds, left())
    last = "nothing"
    while time.monotonic() < end:
        try:
            if answer := attempt():
                return answer
        except Failed as failure:
            last = str(failure)
        time.sleep(1)
    raise Failed(f"no {what}; at last: {last}")


class Processes:
    """What runs beside this; ended by their ids."""

    def __init__(self):
        self.running = []

    def start(self, name, *command, namespace):
        with open(state / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", f"{options.name}-{namespace}", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running.append(process)
        born = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()[19]
        (state / f"{name}.pid").write_text(f"{process.pid} {born}\n")
        return process

    def end(self):
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


processes = Processes()


def native_slot(*words, **more):
    """dpu-slot as this machine's own program, on the partitions of the board's disk."""
    program = state / "dpu-slot"
    if not program.exists():
        sources = sorted((REPOSITORY / "deploy/image/dpu-slot").glob("*.c"))
        must("cc", "-O1", "-D_GNU_SOURCE", "-o", program, *sources, "-lsodium", "-ljansson")
    return run(program, "--devices", state / "devices", "--key", IMAGES / "signing.pub", *words,
               **more)


# --- the disk ----------------------------------------------------------------------------------

MEBIBYTE = 1 << 20


def corrupt_slot_b():
    """Slot b gets the image with a byte changed, and the first start is to be one of it."""
    image = bytearray((IMAGES / "dpu.image").read_bytes())
    image[len(image) // 2] ^= 1
    with open(state / "disk.img", "r+b") as disk:
        disk.seek(34 * MEBIBYTE)
        disk.write(image)
        # The state, as dpu-slot leaves it after `try b`.
        devices = state / "devices"
        devices.mkdir()
        (devices / "dpu-state").write_bytes(bytes(MEBIBYTE))
        (devices / "dpu-b").write_bytes(image)
        status, said = native_slot("try", "b")
        if status != 0:
            raise Failed(said)
        disk.seek(1 * MEBIBYTE)
        disk.write((devices / "dpu-state").read_bytes())


# --- the checks --------------------------------------------------------------------------------


def boots():
    # A machine at work must not decide what the board can do.
    processes.start("qemu", "nice", "-n", "-10", *options.qemu, namespace="machine")
    until("answer by ssh", BOOT_LIMIT, slots)
    health = until("answer from the firmware", 60, lambda: ask("system", "health"))
    return f"{time.monotonic() - started:.0f} s; {health['status']}"


def refuses_corrupted_slot():
    status = slots()
    if status["running"] != "a" or "is not what was signed" not in status["note"]:
        raise Failed(str(status))
    return status["note"]


def lists_ports():
    ports = ask("port", "list")["ports"]
    found = {port["name"]: (port["driver"], port["linkUp"]) for port in ports}
    if found != {"uplink": ("net_virtio", True), "host": ("net_virtio", True)}:
        raise Failed(str(ports))
    return ", ".join(port["device"] for port in ports)


def is_bound():
    driver = "vfio-pci" if "smmuv3" in " ".join(options.qemu) else "uio_pci_generic"
    link = ssh("readlink /sys/bus/pci/devices/0000:00:02.0/driver")
    if os.path.basename(link) != driver:
        raise Failed(link)
    rights = ask("call", "system.rights")
    if int(rights["capabilities"], 0) != 0 or not rights["confined"]:
        raise Failed(str(rights))
    return f"{driver}, no capabilities, system calls confined"


def pings():
    must("ping", "-c", 3, "-W", 5, "10.77.0.1", namespace="clients")
    must("ping", "-c", 3, "-W", 5, "fd77::1", namespace="clients")


def echoes():
    program = (
        "import os, socket\n"
        "data = os.urandom(100_000)\n"
        "with socket.create_connection(('10.77.0.1', 7), 30) as connection:\n"
        "    connection.settimeout(30)\n"
        "    back = b''\n"
        "    for place in range(0, len(data), 10_000):\n"
        "        connection.sendall(data[place:place + 10_000])\n"
        "        while len(back) < place + 10_000:\n"
        "            part = connection.recv(65_536)\n"
        "            assert part, 'closed'\n"
        "            back += part\n"
        "assert back == data\n")
    must(sys.executable, "-c", program, namespace="clients")
    return "100,000 bytes"


def message(text):
    """A message from a client on the uplink's side through a broker on the host's side."""
    must(sys.executable, "-c", (
        "import subprocess, sys, time\n"
        "ends = ['-h', '10.77.0.10', '-t', 'board/smoke']\n"
        "hear = subprocess.Popen(['mosquitto_sub', *ends, '-C', '1', '-W', '30'],\n"
        "                        stdout=subprocess.PIPE)\n"
        "for _ in range(20):\n"
        "    time.sleep(1)\n"
        "    subprocess.run(['mosquitto_pub', *ends, '-q', '1', '-m', sys.argv[1]], timeout=20)\n"
        "    if hear.poll() is not None:\n"
        "        break\n"
        "sys.exit(hear.communicate(timeout=15)[0].decode().strip() != sys.argv[1])\n"), text,
        namespace="clients", timeout=90)


def passes_mqtt():
    configuration = state / "broker.conf"
    configuration.write_text("listener 1883 10.77.0.10\nallow_anonymous true\npersistence false\n")
    processes.start("broker", "mosquitto", "-c", configuration, namespace="host")
    until("broker", 20, lambda: reaches(1883))
    message("through the wire")


def reaches(port):
    """Whether a client gets a TCP connection to the host behind the DPU."""
    program = f"import socket; socket.create_connection(('10.77.0.10', {port}), 3).close()"
    return run(sys.executable, "-c", program, namespace="clients")[0] == 0


def blocks():
    processes.start("server", sys.executable, "-c", (
        "import socket\n"
        "server = socket.create_server(('10.77.0.10', 9999))\n"
        "while True:\n"
        "    server.accept()[0].close()\n"), namespace="host")
    until("connection to port 9999", 20, lambda: reaches(9999))
    dpuctl("p4", "load", REPOSITORY / "p4/firewall.json", "--pipeline", "firewall")
    mac = json.loads(must("ip", "-n", f"{options.name}-host", "-json", "link", "show", "host0"))
    dpuctl("firewall", "init", "--host-mac", mac[0]["address"])
    dpuctl("firewall", "allow", "--protocol", "tcp", "--to", "10.77.0.10", "--port", "1883")
    if reaches(9999):
        raise Failed("port 9999 is still open")
    if not reaches(1883):
        raise Failed("the broker is not reached any more")


def passes_mqtt_still():
    message("through the firewall")
    dpuctl("p4", "unload")
    until("connection to port 9999 without the firewall", 20, lambda: reaches(9999))


def offloads():
    """A broker on the host's side of the management link, its clients on the uplink's."""
    configuration = state / "outside.conf"
    configuration.write_text("listener 1883\nallow_anonymous true\npersistence false\n")
    listen = json.loads((REPOSITORY / "deploy/image/board.json").read_text())["hostLink"]["listen"]
    processes.start(
        "outside", "env", f"LD_PRELOAD={REPOSITORY / 'build/host/libdpushim.so'}",
        f"DPU_SHIM_SOCKET=tcp:{listen}", "DPU_SHIM_LOG=-", "mosquitto", "-c", configuration,
        namespace="link")

    def link():
        row = ask("call", "link.stats")["links"][0]
        return row["certified"] and row["listeners"]

    until("broker over the management link", 30, link)
    before = ask("mqtt", "stats")["counters"]
    must(sys.executable, "-c", (
        "import sys, time\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from wire import PUBACK, Wire, publish, subscribe\n"
        "broker = ('10.77.0.1', 1883)\n"
        "hear, say = Wire.open(broker, 'hear'), Wire.open(broker, 'say')\n"
        "hear.send(subscribe(1, [('outside/#', 0)]))\n"
        "hear.quiet(0.5)\n"
        "sent = []\n"
        "for number in range(200):\n"
        "    sent.append(('outside/consumed', b'%d' % number))\n"
        "    say.send(publish(*sent[-1]))\n"
        "    time.sleep(0.02)\n"
        "for number in range(1, 21):\n"
        "    sent.append(('outside/relayed', b'%d' % number))\n"
        "    say.send(publish(*sent[-1], qos=1, identifier=number))\n"
        "    assert say.next_packet(20)[0] == PUBACK\n"
        "heard = hear.messages(seconds=3)\n"
        "assert heard == sent, heard\n"), REPOSITORY / "Tests/EndToEnd", namespace="clients",
        timeout=90)
    after = ask("mqtt", "stats")["counters"]
    consumed = after["publishesConsumed"] - before["publishesConsumed"]
    # The first of a topic shows what the broker does with it; and none at QoS 1 is consumed.
    if not 100 < consumed <= 200:
        raise Failed(f"{consumed} of 200 messages were consumed")
    return f"{consumed} of 200 at QoS 0 without the broker, 20 at QoS 1 through it"


def refuses_bad_images():
    good = (IMAGES / "dpu.image").read_bytes()
    before = slots()
    changed = bytearray(good)
    changed[-600] ^= 0x40
    unsigned = bytearray(good)
    unsigned[64] ^= 1
    # The tool refuses the first two, the board the last, which only it can know.
    for name, data in (("truncated", good[:-4096]), ("altered", changed), ("unsigned", unsigned)):
        path = state / f"{name}.image"
        path.write_bytes(data)
        status, said = run(DPUCTL, "--host", "dpu", "flash", path)
        if status != 2 or not any(word in said for word in ("truncated", "sign")):
            raise Failed(f"{name}: status {status}: {said}")
    # Past the tool.
    path.write_bytes(good[:100_000])
    with open(path, "rb") as file:
        status, said = run(state / "bin/ssh", "dpu", "dpu-slot write b", stdin=file)
    if status != 2 or "refused: truncated" not in said:
        raise Failed(f"dpu-slot write: status {status}: {said}")
    if slots() != before:
        raise Failed(f"{before} became {slots()}")


def make_image(name, *replacements):
    """The image with files replaced and a version of its own, signed with the key of this build."""
    made = state / name
    path = made / "dpu.image"
    must(REPOSITORY / "scripts/image.sh", "slot", path, "--version", name, *replacements,
         cwd=REPOSITORY)
    return path


def flashes():
    path = make_image("second")
    answer = json.loads(must(DPUCTL, "--host", "dpu", "--json", "flash", path, "--key",
                             IMAGES / "signing.pub", "--patience", BOOT_LIMIT,
                             timeout=BOOT_LIMIT + 60).splitlines()[-1])
    status = slots()
    if (status["running"], status["active"], status["trial"]) != ("b", "b", None):
        raise Failed(str(status))
    if answer["version"] != "second" or not status["slots"][1]["good"]:
        raise Failed(f"{answer} {status}")
    pings()
    # The broker outside finds the new firmware by itself.
    until("broker over the management link", 30,
          lambda: ask("call", "link.stats")["links"][0]["up"])
    return (f"written in {answer['millisecondsWriting'] / 1000:.0f} s, "
            f"committed {answer['millisecondsStarting'] / 1000:.0f} s later")


def falls_back():
    """A well signed image whose firmware ends at once."""
    wrong = state / "wrong.json"
    wrong.write_text((REPOSITORY / "deploy/image/board.json").read_text()
                     .replace("0000:00:03.0", "0000:00:1f.0"))
    path = make_image("broken", "--config", wrong)
    status, said = run(DPUCTL, "--host", "dpu", "flash", path, "--patience", BOOT_LIMIT,
                       timeout=BOOT_LIMIT + 60)
    if status != 2 or "fell back to slot b" not in said:
        raise Failed(f"status {status}: {said}")
    until("healthy firmware in slot b", 60, lambda: ask("system", "health"))
    now = slots()
    if (now["running"], now["active"], now["trial"]) != ("b", "b", None):
        raise Failed(str(now))
    return said.splitlines()[-1].rpartition("slot a: ")[2]


CHECKS = [
    ("boots, with a corrupted slot b to be tried first", boots),
    ("refuses the corrupted slot and starts slot a", refuses_corrupted_slot),
    ("lists both ports, over ssh", lists_ports),
    ("reaches them through the kernel's driver for user space", is_bound),
    ("answers ping, IPv4 and IPv6", pings),
    ("echoes over TCP", echoes),
    ("passes MQTT between uplink and host", passes_mqtt),
    ("blocks by a P4 firewall what passed before", blocks),
    ("passes MQTT through the firewall", passes_mqtt_still),
    ("offloads MQTT with the broker outside, over TCP", offloads),
    ("refuses images that are truncated, altered or not signed", refuses_bad_images),
    ("takes a new image into slot b, and keeps it", flashes),
    ("falls back from an image whose firmware is never healthy", falls_back),
]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    passed = 0
    try:
        corrupt_slot_b()
        for title, check in CHECKS:
            began = time.monotonic()
            try:
                detail = check()
            except (Failed, OSError, ValueError, KeyError) as failure:
                print(f"FAILED {title}: {failure}", flush=True)
                # Nothing works on a board that is not there.
                if check is boots:
                    break
            else:
                passed += 1
                seconds = f"{time.monotonic() - began:.0f} s"
                print(f"ok {title} ({'; '.join(filter(None, (detail, seconds)))})", flush=True)
    finally:
        processes.end()
        console = state / "console.log"
        if passed < len(CHECKS) and console.exists():
            kept = REPOSITORY / "build/board-console.log"
            shutil.copy(console, kept)
            print(f"what the board said on its console is in {kept}", flush=True)
        print(f"{passed} passed, {len(CHECKS) - passed} failed", flush=True)
    return passed < len(CHECKS)


if __name__ == "__main__":
    sys.exit(main())
