"""MQTT by hand: packets as bytes, and a client that sends and shows nothing but bytes."""

import select
import socket
import struct
import time

V311, V5 = 4, 5
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14


def length(value):
    out = bytearray()
    while True:
        value, digit = value >> 7, value & 0x7F
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def properties(version, listed=b""):
    return length(len(listed)) + listed if version == V5 else b""


def connect(client, version=V311, keepalive=60, clean=True, will=None):
    flags = 2 if clean else 0
    payload = text(client)
    if will:
        topic, message, qos, retain = will
        flags |= 4 | qos << 3 | (32 if retain else 0)
        payload += properties(version) + text(topic) + text(message)
    head = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keepalive)
    return packet(CONNECT, 0, head + properties(version) + payload)


def subscribe(identifier, filters, version=V311, listed=b""):
    """`filters`: pairs of filter and options byte (QoS; in 5.0 also no-local and the rest)."""
    body = struct.pack(">H", identifier) + properties(version, listed)
    return packet(SUBSCRIBE, 2, body + b"".join(text(f) + bytes([o]) for f, o in filters))


def unsubscribe(identifier, filters, version=V311):
    body = struct.pack(">H", identifier) + properties(version)
    return packet(UNSUBSCRIBE, 2, body + b"".join(text(f) for f in filters))


def publish(topic, message, version=V311, qos=0, retain=False, identifier=0, dup=False, listed=b""):
    body = text(topic) + (struct.pack(">H", identifier) if qos else b"")
    flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return packet(PUBLISH, flags, body + properties(version, listed) + message)


def acknowledge(kind, identifier):
    return packet(kind, 2 if kind == PUBREL else 0, struct.pack(">H", identifier))


PING = packet(PINGREQ, 0, b"")
GOODBYE = packet(DISCONNECT, 0, b"")


class Wire:
    """A TCP connection to a broker. Everything received is kept in `stream`."""

    def __init__(self, address, timeout=5):
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = b""
        self.read = 0  # how much of the stream `next_packet` has gone through

    @classmethod
    def open(cls, address, client, version=V311, **options):
        """Connects and waits for a CONNACK that accepts."""
        wire = cls(address)
        wire.send(connect(client, version, **options))
        kind, _, body = wire.next_packet()
        if kind != CONNACK or body[1] != 0:
            raise AssertionError(f"CONNECT refused: {kind} {body.hex()}")
        return wire

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, timeout=5):
        """Some more bytes; b"" at the end of the stream."""
        self.socket.settimeout(timeout)
        data = self.socket.recv(1 << 16)
        self.stream += data
        return data

    def next_packet(self, timeout=5):
        """(type, flags, body) of the next packet; EOFError when the peer has closed."""
        end = time.monotonic() + timeout
        while True:
            rest = memoryview(self.stream)[self.read:]
            size, at = 0, 1
            while at < len(rest) and at <= 4:
                size |= (rest[at] & 0x7F) << (7 * (at - 1))
                at += 1
                if rest[at - 1] < 0x80:
                    if len(rest) >= at + size:
                        self.read += at + size
                        return rest[0] >> 4, rest[0] & 15, bytes(rest[at:at + size])
                    break
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no packet")
            if not self.receive(left):
                raise EOFError("closed by peer")

    def quiet(self, seconds=0.4):
        """Reads until nothing has come for so long; returns True when the peer has closed."""
        while select.select([self.socket], [], [], seconds)[0]:
            try:
                if not self.receive():
                    return True
            except ConnectionError:
                return True
        return False

    def messages(self, version=V311, seconds=0.4):
        """(topic, payload) of every PUBLISH until it has been quiet."""
        self.quiet(seconds)
        found = []
        while True:
            try:
                kind, flags, body = self.next_packet(0)
            except (TimeoutError, EOFError):
                return found
            if kind != PUBLISH:
                continue
            at = 2 + struct.unpack_from(">H", body)[0]
            topic = body[2:at].decode()
            at += 2 if flags & 6 else 0
            if version == V5:
                at += 1 + body[at]  # our tests keep properties under 128 bytes
            found.append((topic, body[at:]))

    def is_closed(self, seconds=5):
        """Waits for the peer to close, reading what comes before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.quiet(0.1):
                return True
        return False

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()
