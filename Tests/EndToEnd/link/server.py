"""A server to be run under the shim: does what is asked on standard input, one line each.

Every command is a Python expression over `names`; its value, or the name of the error, is
printed. So a test can make this process call whatever a broker might.
"""

import errno
import os
import select
import socket
import subprocess
import sys


def listen(port, family=socket.AF_INET6, blocking=True):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setblocking(blocking)
    listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    listener.listen(64)
    return listener


def wait(how, listener, seconds):
    """Whether the listener becomes readable."""
    if how == "select":
        return bool(select.select([listener], [], [], seconds)[0])
    if how == "poll":
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    with select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        return bool(epoll.poll(seconds))


def become_the_child():
    """The parent leaves, its child goes on with the same descriptors."""
    if os.fork():
        os._exit(0)
    return True


def fork_and_wait():
    child = os.fork()
    if not child:
        os._exit(0)
    return os.waitpid(child, 0)[1]


def close_everything_else(*kept):
    """As a careless daemon does. Returns how many closes worked."""
    closed = 0
    for descriptor in range(3, 200):
        if descriptor not in kept:
            try:
                os.close(descriptor)
                closed += 1
            except OSError:
                pass
    return closed


names = dict(globals())
for line in sys.stdin:
    try:
        if line.startswith("let "):
            name, _, expression = line[4:].partition("=")
            names[name.strip()] = eval(expression, names)
            print("done", flush=True)
        else:
            print(f"= {eval(line, names)!r}", flush=True)
    except OSError as error:
        print(f"! {errno.errorcode.get(error.errno, error)}", flush=True)
