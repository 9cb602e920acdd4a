#!/usr/bin/python3
"""Makes the parts of an image, always the same bytes of the same files.

usage: image_parts.py slot OUT --key KEY.pem --version V --kernel K [--security-version N]
                           NAME=FILE[:MODE]...
       image_parts.py loader OUT NAME=FILE[:MODE]... NAME/ NAME->TARGET...
       image_parts.py modules TREE NAME...      paths of kernel modules, each after what it needs
       image_parts.py libraries TREE FILE...    paths of the shared libraries that programs need
The format of a slot is described in deploy/image/dpu-slot/image.h; a loader is an initramfs.
"""

import argparse
import gzip
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile


def padded(data, multiple):
    return data + bytes(-len(data) % multiple)


def entry(text):
    """NAME=FILE[:MODE] as (name, bytes, permissions)."""
    name, _, place = text.partition("=")
    path, _, mode = place.partition(":")
    return name, pathlib.Path(path).read_bytes(), int(mode or "644", 8)


def sign(key, data):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return subprocess.run(
            ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", file.name],
            check=True, stdout=subprocess.PIPE).stdout


def make_slot(out, key, version, security, architecture, kernel, entries):
    files = [entry(text) for text in entries]
    manifest = json.dumps({
        "format": 1,
        "version": version,
        "securityVersion": security,
        "architecture": architecture,
        "kernel": kernel,
        "files": [{"name": name, "mode": mode, "size": len(data),
                   "sha256": hashlib.sha256(data).hexdigest()} for name, data, mode in files],
    }, indent=1).encode()
    header = padded(padded(b"dpu-image 1\n", 16) + len(manifest).to_bytes(8, "little"), 64)
    image = padded(header + sign(key, manifest) + manifest, 512)
    image += b"".join(padded(data, 512) for _, data, _ in files)
    pathlib.Path(out).write_bytes(image)


class Archive:
    """A cpio archive in the form that the kernel unpacks."""

    def __init__(self):
        self.data = bytearray()
        self.count = 0
        self.folders = set()

    def add(self, name, mode, content=b"", device=(0, 0)):
        self.count += 1
        fields = [self.count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08x" % field for field in fields)
        self.data += name.encode() + b"\0"
        self.data += bytes(-len(self.data) % 4) + content
        self.data += bytes(-len(self.data) % 4)

    def folder(self, name):
        if name and name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self.add(name, stat.S_IFDIR | 0o755)


def make_loader(out, entries):
    archive = Archive()
    for text in sorted(entries):
        name = re.split("=|->|/$", text)[0]
        archive.folder(os.path.dirname(name))
        if "->" in text:
            archive.add(name, stat.S_IFLNK | 0o777, text.partition("->")[2].encode())
        elif text.endswith("/"):
            archive.folder(name)
        else:
            _, data, mode = entry(text)
            archive.add(name, stat.S_IFREG | mode, data)
    archive.folder("dev")
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("TRAILER!!!", 0)
    pathlib.Path(out).write_bytes(gzip.compress(bytes(archive.data), 9, mtime=0))


def modules(tree, names):
    places = {path.stem.replace("-", "_"): path
              for path in sorted(pathlib.Path(tree, "lib/modules").rglob("*.ko"))}
    ordered = []

    def add(name):
        path = places[name.replace("-", "_")]
        if path in ordered:
            return
        needs = re.search(rb"(?:^|\0)depends=([^\0]*)\0", path.read_bytes())
        for need in filter(None, needs.group(1).decode().split(",") if needs else []):
            add(need)
        ordered.append(path)

    for name in names:
        add(name)
    return ordered


def libraries(tree, programs):
    folders = [pathlib.Path(tree, folder, "aarch64-linux-gnu") for folder in ("lib", "usr/lib")]
    found = {}

    def add(program):
        text = subprocess.run(["readelf", "-d", program], check=True, stdout=subprocess.PIPE,
                              encoding="utf-8").stdout
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", text):
            if name not in found:
                found[name] = next(folder / name for folder in folders if (folder / name).exists())
                add(found[name])

    for program in programs:
        add(program)
    return sorted(found.values())


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    slot = verbs.add_parser("slot")
    slot.add_argument("out")
    for option in ("key", "version", "kernel"):
        slot.add_argument(f"--{option}", required=True)
    slot.add_argument("--security-version", type=int, default=0)
    slot.add_argument("--architecture", default="aarch64")
    slot.add_argument("entries", nargs="+")
    loader = verbs.add_parser("loader")
    loader.add_argument("out")
    loader.add_argument("entries", nargs="+")
    for verb in ("modules", "libraries"):
        list_ = verbs.add_parser(verb)
        list_.add_argument("tree")
        list_.add_argument("names", nargs="+")
    arguments = parser.parse_args()
    if arguments.verb == "slot":
        make_slot(arguments.out, arguments.key, arguments.version, arguments.security_version,
                  arguments.architecture, arguments.kernel, arguments.entries)
    elif arguments.verb == "loader":
        make_loader(arguments.out, arguments.entries)
    else:
        found = {"modules": modules, "libraries": libraries}[arguments.verb]
        print("\n".join(map(str, found(arguments.tree, arguments.names))))


if __name__ == "__main__":
    sys.exit(main())
