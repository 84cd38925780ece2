# SPDX-License-Identifier: GPL-2.0
"""liar.py WHAT ADDRESS PORT: a server that answers each request with something else than it
should."""
import os
import socket
import sys
import threading
import time

OK = b"HTTP/1.1 200 OK\r\n"


def good(sock):
    sock.sendall(OK + b"Content-Length: 6\r\n\r\nneedle")


def garbage(sock):
    sock.sendall(b"\0\xff" + os.urandom(4096))


def headers(sock):
    sock.sendall(OK)
    while True:
        sock.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def body(sock):
    sock.sendall(OK + b"Content-Length: 99999999999\r\n\r\n")
    while True:
        sock.sendall(b"hay" * 20000)


def drip(sock):
    for byte in OK + b"Content-Length: 6\r\n\r\nneedle":
        sock.sendall(bytes([byte]))
        time.sleep(0.2)


def silence(sock):
    sock.recv(1 << 16)
    time.sleep(3600)


def escapes(sock):
    sock.sendall(b"HTTP/1.1 \x1b[2J\x07 waymarkd: error\r\n\r\n")


def serve(sock, answer):
    with sock:
        try:
            sock.recv(1 << 16)
            answer(sock)
            while sock.recv(1 << 16):
                pass
        except OSError:
            pass


def main(what, address, port):
    listener = socket.create_server((address, int(port)), backlog=64)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, globals()[what]), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
