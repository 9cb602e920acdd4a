"""What a program under the shim gets from its socket calls, compared with what Linux gives."""

import ast
import os
import socket
import sys
import threading
import time
import unittest

from harness import HERE, Process, Setting, eventually


class Server:
    def __init__(self, setting):
        self.process = Process(
            [sys.executable, os.path.join(HERE, "server.py")], env=setting.environment())
        setting.processes.append(self.process)

    def __call__(self, expression):
        """The value of an expression in the server; an error's name as a string with `!`."""
        self.process.say(expression)
        if expression.startswith("let "):
            line = self.process.expect("")
            assert line == "done", line
            return None
        line = self.process.expect("")
        return ast.literal_eval(line[2:]) if line.startswith("= ") else line


def client(address):
    connection = socket.create_connection(address, 5)
    connection.settimeout(5)
    return connection


class Calls(unittest.TestCase):
    def setUp(self):
        self.setting = Setting()
        self.addCleanup(self.setting.close)
        self.relay = self.setting.start_relay()
        self.server = Server(self.setting)

    def listen(self, options=""):
        self.server(f"let l = listen({self.setting.broker_port}{options})")
        self.relay.expect("listen 0")

    def relayed(self):
        connection = client(self.setting.relayed)
        self.addCleanup(connection.close)
        return connection

    def accept(self, name="c"):
        self.server("let pair = l.accept()")
        self.server(f"let {name} = pair[0]")
        return self.server("pair[1]")

    def test_a_listener_answers_as_before(self):
        self.listen(", blocking=False")
        server = self.server
        self.assertEqual(server("l.accept()"), "! EAGAIN")
        self.assertEqual(server("l.getpeername()"), "! ENOTCONN")
        self.assertEqual(server("l.getsockname()[1]"), self.setting.broker_port)
        self.assertEqual(server("l.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)"), 1)
        self.assertEqual(server("l.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)"), 1)
        self.assertEqual(server("os.get_blocking(l.fileno())"), False)
        self.assertEqual(server("os.get_inheritable(l.fileno())"), False)
        self.assertEqual(server("l.listen(5)"), None)
        server("l.setblocking(True)")
        self.assertEqual(server("os.get_blocking(l.fileno())"), True)
        self.assertEqual(server("l.close()"), None)
        self.relay.expect("unlisten 0")

    def test_every_way_of_waiting_reports_both_kinds(self):
        self.listen(", blocking=False")
        for how in ("select", "poll", "epoll"):
            for address, peer in ((self.setting.relayed, "::ffff:10.0.0.1"),
                                  (self.setting.kernel, "::ffff:127.0.0.1")):
                with self.subTest(how=how, peer=peer):
                    self.assertEqual(self.server(f"wait('{how}', l, 0.1)"), False)
                    with client(address) as connection:
                        self.assertEqual(self.server(f"wait('{how}', l, 5)"), True)
                        port = connection.getsockname()[1]
                        self.assertEqual(self.accept(), (peer, port, 0, 0))
                        self.assertEqual(self.server("c.getpeername()"), (peer, port, 0, 0))

    def test_a_blocking_accept_waits(self):
        self.listen()
        threading.Timer(0.3, lambda: setattr(self, "late", self.relayed())).start()
        started = time.monotonic()
        self.accept()
        self.assertGreater(time.monotonic() - started, 0.25)

    def test_an_ipv4_listener_gives_ipv4_names(self):
        self.listen(", family=socket.AF_INET")
        connection = self.relayed()
        self.assertEqual(self.accept(), ("10.0.0.1", connection.getsockname()[1]))
        self.assertEqual(
            self.server("c.getsockname()"), ("10.77.0.1", self.setting.broker_port))
        self.assertEqual(
            self.server("c.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN)"), socket.AF_INET)

    def test_options_of_an_offloaded_connection(self):
        self.listen()
        _connection = self.relayed()
        self.accept()
        server = self.server
        self.assertEqual(server("c.getsockname()"),
                         ("::ffff:10.77.0.1", self.setting.broker_port, 0, 0))
        for option, value in (("SO_DOMAIN", socket.AF_INET6), ("SO_PROTOCOL", 6),
                              ("SO_TYPE", 1), ("SO_ERROR", 0)):
            self.assertEqual(
                server(f"c.getsockopt(socket.SOL_SOCKET, socket.{option})"), value, option)
        self.assertEqual(server("c.getsockopt(6, socket.TCP_NODELAY)"), 0)
        self.assertEqual(server("c.setsockopt(6, socket.TCP_NODELAY, 1)"), None)
        self.assertEqual(server("c.getsockopt(6, socket.TCP_NODELAY)"), 1)
        self.assertEqual(server("c.setsockopt(6, socket.TCP_KEEPIDLE, 5)"), None)
        self.assertEqual(server("c.setsockopt(6, socket.TCP_NODELAY, b'x')"), "! EINVAL")
        self.assertEqual(server("c.getsockopt(6, socket.TCP_INFO, 100)"), "! ENOPROTOOPT")
        self.assertEqual(server("os.get_blocking(c.fileno())"), True)
        self.assertEqual(server("os.get_inheritable(c.fileno())"), False)  # accept4, CLOEXEC

    def test_both_directions_close_on_their_own(self):
        self.listen()
        connection = self.relayed()
        self.accept()
        connection.sendall(b"question")
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(self.server("c.recv(100)"), b"question")
        self.assertEqual(self.server("c.recv(100)"), b"")
        self.assertEqual(self.server("len(c.getpeername())"), 4)
        self.server("c.sendall(b'answer')")
        self.assertEqual(connection.recv(100), b"answer")
        self.server("c.shutdown(socket.SHUT_WR)")
        self.assertEqual(connection.recv(100), b"")
        eventually(lambda: self.server("c.getpeername()") == "! ENOTCONN")

        connection = self.relayed()
        self.accept()
        self.server("c.sendall(b'first')")
        self.server("c.shutdown(socket.SHUT_WR)")
        self.assertEqual(connection.recv(100), b"first")
        self.assertEqual(connection.recv(100), b"")
        connection.sendall(b"later")
        self.assertEqual(self.server("c.recv(100)"), b"later")

    def test_closing_with_unread_input_resets(self):
        self.listen()
        connection = self.relayed()
        self.accept()
        connection.sendall(b"unread")
        self.assertEqual(self.server("select.select([c], [], [], 5)[0] == [c]"), True)
        self.server("c.close()")
        with self.assertRaises(ConnectionResetError):
            connection.recv(100)

    def test_a_client_gone_before_accept_is_still_accepted(self):
        self.listen()
        connection = self.relayed()
        connection.sendall(b"short")
        self.assertEqual(self.server("wait('poll', l, 5)"), True)
        connection.close()
        time.sleep(0.2)
        self.accept()
        self.assertEqual(self.server("c.recv(100)"), b"short")
        self.assertEqual(self.server("c.recv(100)"), b"")

    def test_a_listener_closed_with_connections_waiting(self):
        self.listen()
        waiting = [self.relayed() for _ in range(5)]
        self.assertEqual(self.server("wait('poll', l, 5)"), True)
        time.sleep(0.2)
        self.server("l.close()")
        for connection in waiting:
            self.assertEqual(connection.recv(1), b"")

    def test_a_duplicate_keeps_the_connection(self):
        self.listen()
        connection = self.relayed()
        peer = self.accept()
        for copy in ("os.dup(c.fileno())", "os.dup2(c.fileno(), 150)",
                     "__import__('fcntl').fcntl(c.fileno(), 0, 140)"):
            self.server(f"let d = socket.socket(fileno={copy})")
            self.assertEqual(self.server("d.getpeername()"), peer)
            self.server("c.close()")
            self.server("let c = d")
            self.server("c.sendall(b'still')")
            self.assertEqual(connection.recv(100), b"still")
        self.server("c.close()")
        self.assertEqual(connection.recv(100), b"")

    def test_the_certificate_follows_every_duplicate(self):
        self.listen()
        eventually(self.setting.certified, what="certificate")
        with client(self.setting.kernel):
            self.accept()
            self.assertFalse(self.setting.certified())
            self.server("let d = os.dup(c.fileno())")
            self.server("let e = os.dup2(d, 150)")
            self.server("c.close()")
            self.assertFalse(self.setting.certified())
            self.server("os.close(d)")
            self.assertFalse(self.setting.certified())
            # Overwritten, not closed.
            self.server("os.dup2(0, e)")
            eventually(self.setting.certified, what="certificate")

    def test_connecting_revokes_the_certificate(self):
        self.listen()
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            self.server(f"let o = socket.create_connection({elsewhere.getsockname()!r})")
            self.assertFalse(self.setting.certified())
            self.server("o.close()")
            eventually(self.setting.certified, what="certificate")
            self.server("let u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)")
            self.server("u.connect(('127.0.0.1', 9))")
            eventually(self.setting.certified, what="certificate")

    def test_our_descriptors_cannot_be_closed(self):
        self.listen()
        connection = self.relayed()
        self.accept()
        self.server("close_everything_else(l.fileno(), c.fileno())")
        connection.sendall(b"alive")
        self.assertEqual(self.server("c.recv(100)"), b"alive")
        _second = self.relayed()
        self.accept("again")

    def test_children_do_not_keep_connections(self):
        self.listen()
        connection = self.relayed()
        self.accept()
        self.assertEqual(self.server("fork_and_wait()"), 0)
        self.assertEqual(self.server("subprocess.run(['/bin/true']).returncode"), 0)
        connection.sendall(b"alive")
        self.assertEqual(self.server("c.recv(100)"), b"alive")
        self.server("c.close()")
        self.assertEqual(connection.recv(100), b"")

    def test_a_child_that_goes_on_gets_a_link_of_its_own(self):
        self.listen(", blocking=False")
        _before = self.relayed()
        self.assertEqual(self.server("wait('epoll', l, 5)"), True)
        self.accept()
        self.assertEqual(self.server("become_the_child()"), True)
        self.relay.expect("down 0")
        # Its first accept starts the new helper.
        self.assertEqual(self.server("l.accept()"), "! EAGAIN")
        self.relay.expect("listen 0")
        after = self.relayed()
        self.assertEqual(self.server("wait('epoll', l, 5)"), True)
        self.accept()
        after.sendall(b"alive")
        self.assertEqual(self.server("c.recv(100)"), b"alive")

    def test_the_last_words_of_a_process_arrive(self):
        self.listen()
        connections = [self.relayed() for _ in range(50)]
        self.server("let all = [l.accept()[0] for _ in range(50)]")
        self.server("let sent = [c.sendall(b'x' * 5000 + b'farewell') for c in all]")
        self.server.process.process.stdin.close()
        for connection in connections:
            got = b""
            while True:
                try:
                    piece = connection.recv(10_000)
                except ConnectionResetError:
                    break
                if not piece:
                    break
                got += piece
            self.assertEqual(len(got), 5008)


if __name__ == "__main__":
    unittest.main(verbosity=2)
