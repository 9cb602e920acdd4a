"""A board made of files: dpu-slot as a program of this machine, its partitions as files."""

import atexit
import json
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
PARTS = REPOSITORY / "scripts/image_parts.py"
SLOT_BYTES = 1 << 20

shared = pathlib.Path(tempfile.mkdtemp(prefix="dpu-image-test-"))
atexit.register(shutil.rmtree, shared)


def must(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE,
                          **more).stdout


def program():
    path = shared / "dpu-slot"
    if not path.exists():
        must("cc", "-O1", "-D_GNU_SOURCE", "-o", path,
             *sorted((REPOSITORY / "deploy/image/dpu-slot").glob("*.c")), "-lsodium", "-ljansson")
    return path


def key(name):
    """Paths of a private and a public key."""
    private, public = shared / f"{name}.pem", shared / f"{name}.pub"
    if not private.exists():
        must("openssl", "genpkey", "-algorithm", "ed25519", "-out", private)
        must("openssl", "pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def image(version, signer="ours", architecture=None, kernel=None, security=0):
    """The bytes of a small image for this machine."""
    content = shared / "content"
    content.write_bytes(version.encode() * 2000)
    path = shared / "made.image"
    must(PARTS, "slot", path, "--key", key(signer)[0], "--version", version,
         "--security-version", security, "--architecture", architecture or platform.machine(),
         "--kernel", kernel or platform.release(),
         f"dpu={content}:755", f"dpu.json={PARTS}", f"modules/order={content}")
    return path.read_bytes()


class Board:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="board-", dir=shared))
        self.devices = self.folder / "devices"
        self.devices.mkdir()
        for name, size in (("state", 8192), ("a", SLOT_BYTES), ("b", SLOT_BYTES)):
            self.device(name).write_bytes(bytes(size))
        self.running = self.folder / "running"
        self.command = [program(), "--devices", self.devices, "--key", key("ours")[1],
                        "--running", self.running]

    def device(self, name):
        return self.devices / f"dpu-{name}"

    def put(self, slot, data):
        """What a factory does."""
        path = self.device(slot)
        path.write_bytes(data + bytes(SLOT_BYTES - len(data)))

    def slot(self, *words, data=b""):
        """Exit status and what it says."""
        done = subprocess.run([str(word) for word in (*self.command, *words)], input=data,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode().strip()

    def status(self):
        code, said = self.slot("status")
        assert code == 0, said
        return json.loads(said)

    def snapshot(self):
        return [path.read_bytes() for path in sorted(self.devices.iterdir())]

    def boot(self):
        """What the loader does: the slot that it starts, None for rescue."""
        target = self.folder / "slot"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        self.running.unlink(missing_ok=True)
        code, said = self.slot("boot", target)
        if code != 0:
            return None
        name = said.splitlines()[-1]
        self.running.write_text(name + "\n")
        return name

    def ssh(self):
        """A folder with an `ssh` that does here what it is told, and what a board has besides."""
        tools = self.folder / "bin"
        if tools.exists():
            return tools
        tools.mkdir()
        (self.folder / "boots").write_text("0")
        scripts = {
            # A tunnel is a link to the socket.
            "ssh": f"""#!/usr/bin/python3
import os, signal, sys
if "-L" in sys.argv:
    near, far = sys.argv[sys.argv.index("-L") + 1].split(":")
    os.symlink(far, near)
    signal.pause()
os.environ["PATH"] = "{tools}:" + os.environ["PATH"]
os.execvp("bash", ["bash", "-c", sys.argv[-1]])
""",
            # The kernel's name for this boot stays the same here.
            "dpu-slot": f"""#!/bin/bash
set -o pipefail
{" ".join(map(str, self.command))} "$@" |
  sed 's/"boot":"[^"]*"/"boot":"'"$(cat {self.folder}/boots)"'"/'
""",
            "dpu-restart": f"#!/bin/bash\ntouch {self.folder}/restarted\n",
        }
        for name, text in scripts.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        return tools

    def flash(self, data, *options, host="root@dpu"):
        path = self.folder / "sent.image"
        path.write_bytes(data)
        where = ("--host", host) if host else ()
        done = subprocess.run(
            [str(REPOSITORY / "build/host/dpuctl"), *where, "--socket",
             str(self.folder / "control.sock"), "flash", str(path), *options],
            env={**os.environ, "PATH": f"{self.ssh()}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", timeout=60)
        return done.returncode, done.stdout, done.stderr
