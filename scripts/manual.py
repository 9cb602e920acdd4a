#!/usr/bin/python3
"""Prints the manual page of dpuctl, made of what the program says of itself.

usage: scripts/manual.py DPUCTL >dpuctl.1
"""

import json
import subprocess
import sys


def quoted(text):
    """For troff: no line begins with a control character, no backslash means anything."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.splitlines())


def spelled(argument):
    """`--json`, `-n N`, `FILE`."""
    if argument["kind"] == "positional":
        value = argument["valueName"].upper()
        text = value + (" ..." if argument.get("isRepeating") else "")
    else:
        names = [("-" if name["kind"] == "short" else "--") + name["name"]
                 for name in argument["names"]]
        text = ", ".join(names)
        if argument["kind"] == "option":
            text += " " + argument["valueName"].upper()
    return f"[{text}]" if argument.get("isOptional") else text


def own(command):
    return [argument for argument in command.get("arguments", [])
            if argument.get("shouldDisplay", True)
            and not any(name["name"] in ("help", "version") for name in argument.get("names") or [])]


def section(command, path, shared):
    """One command and those below it."""
    name = " ".join([*path, command["commandName"]])
    arguments = [argument for argument in own(command)
                 if not path or spelled(argument) not in shared]
    children = [child for child in command.get("subcommands", []) if child["commandName"] != "help"]
    if path and not children:
        yield ".TP"
        yield ".B " + quoted(" ".join([name, *map(spelled, arguments)]))
        yield quoted(command.get("abstract", ""))
        if command.get("discussion"):
            yield ".br\n" + quoted(command["discussion"])
        for argument in arguments:
            if argument.get("abstract"):
                yield ".RS\n.TP\n.B " + quoted(spelled(argument))
                yield quoted(argument["abstract"]) + "\n.RE"
    for child in children:
        if len(path) == 0:
            yield ".SS " + quoted(child["commandName"])
            if child.get("subcommands"):
                yield quoted(child.get("abstract", ""))
        yield from section(child, [*path, command["commandName"]], shared)


def main():
    program = sys.argv[1]
    tree = json.loads(subprocess.run(
        [program, "--experimental-dump-help"], check=True, capture_output=True, text=True).stdout)
    root = tree["command"]
    shared = {spelled(argument) for argument in own(root)}
    print('.TH DPUCTL 1 "" "dpu" "User commands"')
    print(".SH NAME\ndpuctl \\- " + quoted(root["abstract"].rstrip(".")))
    print(".SH SYNOPSIS\n.B dpuctl\n[options] command [arguments]")
    print(".SH DESCRIPTION\n" + quoted(root.get("discussion", "")))
    print(".SH OPTIONS")
    for argument in own(root):
        print(".TP\n.B " + quoted(spelled(argument)) + "\n" + quoted(argument.get("abstract", "")))
    print(".SH COMMANDS")
    print("\n".join(section(root, [], shared)))
    print(".SH FILES\n.TP\n.B /run/dpu/control.sock\nthe firmware's control socket")


main()
