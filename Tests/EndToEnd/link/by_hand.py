"""Both sides of the link over TCP by hand, and a proxy between the true ones."""

import socket
import struct
import threading

from harness import eventually

CONTROL, FRAMES = 1, 2


def opening(purpose, worker=0, generation=0, magic=b"DPUS", version=1):
    return magic + struct.pack("<HBBII", version, purpose, worker, generation, 0)


def statement(flags, number, kind=1):
    return struct.pack("<IIQ", kind, flags, number)


def frame(kind, body=b"", argument=0, channel=0, length=None):
    header = struct.pack("<BBHIQ", kind, 0, len(body) if length is None else length, argument,
                         channel)
    return header + body + bytes(-len(body) % 16)


def exactly(connection, count):
    """The next bytes; shorter when the other side ends."""
    got = b""
    while len(got) < count:
        part = connection.recv(count - len(got))
        if not part:
            break
        got += part
    return got


class FakeShim:
    """A shim by hand: its control connection, and one for each worker it joins."""

    def __init__(self, setting, join=True, receive_buffer=None):
        self.address = ("127.0.0.1", setting.link_port)
        self.receive_buffer = receive_buffer
        hello = eventually(self.attach, what="greeting")
        assert hello[0] == 1, hello
        self.hello = hello[16:]
        self.generation = struct.unpack("<I", self.hello[12:16])[0]
        self.frames = self.join() if join else None

    def attach(self):
        """The greeting; nothing while the workers still hold what the last broker left."""
        self.control = self.connect()
        self.control.sendall(opening(CONTROL))
        hello = exactly(self.control, 48)
        if len(hello) == 48:
            return hello
        self.control.close()
        return None

    def connect(self):
        connection = socket.socket()
        if self.receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        connection.settimeout(8)
        connection.connect(self.address)
        return connection

    def join(self, worker=0, generation=None):
        connection = self.connect()
        generation = self.generation if generation is None else generation
        connection.sendall(opening(FRAMES, worker, generation))
        return connection

    def greet(self):
        body = bytearray(self.hello)
        body[6] = 2  # the shim's role
        self.frames.sendall(frame(1, bytes(body)))

    def close(self):
        for connection in (self.control, self.frames):
            if connection:
                connection.close()


def ends(connection):
    """Whether the other side closes, with whatever it still says."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


class Proxy:
    """Between shim and relay: holds one direction of the control connection when asked."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        # Statements of the shim and acknowledgements of the relay pass while these are set.
        self.statements, self.acknowledgements = threading.Event(), threading.Event()
        self.statements.set()
        self.acknowledgements.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
                first = exactly(near, 16)
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            far.sendall(first)
            control = first[6:7] == bytes([CONTROL])
            for source, sink, gate in ((near, far, self.statements),
                                       (far, near, self.acknowledgements)):
                threading.Thread(target=self.move, daemon=True,
                                 args=(source, sink, gate if control else None)).start()

    @staticmethod
    def move(source, sink, gate):
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while part := source.recv(65536):
                if gate:
                    gate.wait()
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for connection in (source, sink):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.statements.set()
        self.acknowledgements.set()
        self.listener.close()


HELLO = struct.pack("<IHBBIIIIII", 0x4c555044, 1, 1, 1, 0, 9, 65536, 64, 1 << 17, 0)


def take_shim(listener):
    """A firmware by hand: control and frames of a shim that connects, with the greetings said."""
    control, _ = listener.accept()
    assert exactly(control, 16) == opening(CONTROL)
    control.sendall(frame(1, HELLO))
    frames, _ = listener.accept()
    assert exactly(frames, 16) == opening(FRAMES, 0, 9)
    frames.sendall(frame(1, HELLO))
    frames.settimeout(5)
    control.settimeout(5)
    return control, frames
