"""Sends bytes of a seeded stream to the echo service and compares what comes back."""

import random
import socket
import sys
import threading
import time

BLOCK = 1 << 16


def blocks(byte_count):
    source = random.Random(77)
    while byte_count > 0:
        yield source.randbytes(min(BLOCK, byte_count))
        byte_count -= BLOCK


def main():
    host, byte_count = sys.argv[1], int(sys.argv[2])
    client = socket.create_connection((host, 7), 10)
    client.settimeout(60)

    def send():
        for block in blocks(byte_count):
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)

    start = time.monotonic()
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    received = 0
    for block in blocks(byte_count):
        back = bytearray()
        while len(back) < len(block):
            data = client.recv(len(block) - len(back))
            if not data:
                sys.exit(f"closed after {received + len(back)} of {byte_count} bytes")
            back += data
        if back != block:
            sys.exit(f"differs within {len(block)} bytes from offset {received}")
        received += len(back)
    if client.recv(1):
        sys.exit("more came back than was sent")
    seconds = time.monotonic() - start
    print(f"{received} bytes identical, {received * 8 / seconds / 1e6:.0f} Mbit/s each way")


if __name__ == "__main__":
    main()
