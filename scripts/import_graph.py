#!/usr/bin/python3
"""Holds who may import whom: reads the `import` lines of every module and both manifests."""

import json
import os
import re
import subprocess
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Direct permissions. What a permitted module may import is permitted too, as Swift wants every
# module named whose declarations are used; C modules only where they are named here.
ALLOWED = {
    "CDPDK": [],
    "CLinux": [],
    "CJansson": [],
    "DPUCore": [],
    "Frames": ["DPUCore"],
    "PacketWire": ["DPUCore"],
    "MQTTWire": ["DPUCore"],
    "TopicTrie": ["DPUCore"],
    "HostLink": ["DPUCore"],
    "HBPFBridge": ["DPUCore"],
    "TCPLite": ["PacketWire", "DPUCore"],
    "JSONText": ["CJansson", "DPUCore"],
    "P4Pipelines": ["PacketWire", "JSONText", "DPUCore"],
    "MQTTOffload": ["TCPLite", "MQTTWire", "TopicTrie", "HostLink", "DPUCore"],
    "PollLoop": ["Frames", "DPUCore"],
    "DPDKPort": ["CDPDK", "Frames", "DPUCore"],
    "ControlPlane": ["CLinux", "JSONText", "DPUCore"],
    "PipelineHost": ["P4Pipelines", "ControlPlane", "PollLoop"],
    "HostPages": ["HBPFBridge", "CLinux"],
    "FilterHost": ["HostPages", "ControlPlane", "PollLoop", "CLinux"],
    "BrokerShim": ["HostLink", "CLinux"],
    "P4Compiler": [],
    "dpuctl": ["P4Compiler", "P4Pipelines", "HostPages", "CLinux"],
    "DPUMain": [
        "DPDKPort", "ControlPlane", "MQTTOffload", "HBPFBridge", "PipelineHost", "FilterHost",
        "CLinux"],
}
# Parts of the toolchain. Firmware modules have only what Embedded Swift has.
SYSTEM = {"Synchronization"}
HOST_SYSTEM = SYSTEM | {"ArgumentParser", "Foundation", "Glibc"}
HOST_MODULES = {"dpuctl", "P4Compiler"}

IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public|package|internal|fileprivate|private)?\s*"
    r"import\s+(?:(?:struct|enum|class|func|protocol|typealias|var|let)\s+)?(\w+)", re.MULTILINE)


def permitted(module):
    """What `module` may import."""
    found, ahead = set(), list(ALLOWED[module])
    while ahead:
        name = ahead.pop()
        if name in found:
            continue
        found.add(name)
        ahead += [n for n in ALLOWED[name] if not (n.startswith("C") and n[1].isupper())]
    return found


def imports(module):
    folder = os.path.join(REPOSITORY, "Sources", module)
    for place, _, files in os.walk(folder):
        for file in files:
            if file.endswith(".swift"):
                path = os.path.join(place, file)
                with open(path, encoding="utf-8") as source:
                    for name in IMPORT.findall(source.read()):
                        yield os.path.relpath(path, REPOSITORY), name


def dependencies(embedded):
    """Pairs of target and dependency in the manifest."""
    done = subprocess.run(
        ["swift", "package", "dump-package"], cwd=REPOSITORY, capture_output=True, text=True,
        check=True, env={**os.environ, "DPU_EMBEDDED": "1" if embedded else "0"})
    for target in json.loads(done.stdout)["targets"]:
        for dependency in target["dependencies"]:
            name = (dependency.get("byName") or dependency.get("target")
                    or dependency.get("product"))[0]
            yield target["name"], name


def main():
    wrong = []
    modules = sorted(os.listdir(os.path.join(REPOSITORY, "Sources")))
    for module in modules:
        if module not in ALLOWED:
            wrong.append(f"Sources/{module}: not in the graph of {os.path.basename(__file__)}")
            continue
        system = HOST_SYSTEM if module in HOST_MODULES else SYSTEM
        for path, name in imports(module):
            if name not in permitted(module) | system:
                wrong.append(f"{path}: {module} may not import {name}")
    for embedded in (False, True):
        for target, name in dependencies(embedded):
            if target in ALLOWED and name not in permitted(target) | HOST_SYSTEM:
                wrong.append(f"Package.swift: {target} may not depend on {name}")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"import graph: {len(modules)} modules, {len(wrong)} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
