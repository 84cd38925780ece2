# SPDX-License-Identifier: GPL-2.0
"""Peers that pass descriptors which nobody wants to close."""
import contextlib
import os
import signal
import socket
import struct
import traceback

LINGER = 600  # seconds; longer than any test may take
MOST = 512  # sockets of one listener: nobody accepts them
PATIENCE = 60  # seconds that a child may live


class Lingering:
    """TCP sockets whose last close() sleeps for LINGER seconds: they linger, and their peer,
    this listener, reads nothing. They are made by children that are gone when pass_on()
    returns, so that whoever got them has the last references; a process that exits does
    not linger."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(MOST)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()  # resets all of them: nobody sleeps any more

    def _make(self):
        sock = socket.create_connection(self.listener.getsockname())
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.send(bytes(65536))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))
        return sock

    def _send(self, path, kind, messages, count):
        with socket.socket(socket.AF_UNIX, kind) as peer:
            peer.connect(str(path))
            for message in messages:
                socks = [self._make() for _ in range(count)]
                # A kernel may refuse them, and who was sent nonsense may have hung up.
                with contextlib.suppress(PermissionError, BrokenPipeError, ConnectionResetError):
                    socket.send_fds(peer, [message], [sock.fileno() for sock in socks])
                for sock in socks:
                    sock.detach()  # stays open; the end of the process closes it

    def pass_on(self, path, kind, *messages, count=2):
        """Each message with so many of them, on one connection, which ends then."""
        child = os.fork()
        if not child:
            code = 1
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(PATIENCE)
            try:
                self._send(path, kind, messages, count)
                code = 0
            except BaseException:  # pylint: disable=broad-except
                traceback.print_exc()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
