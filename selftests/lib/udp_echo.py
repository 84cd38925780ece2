#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""UDP echo: udp_echo.py NAME PORT ADDRESS... answers each datagram with
"NAME " and what came, from the address that it was sent to."""
import selectors
import socket
import sys


def main():
    name, port, addresses = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3:]
    selector = selectors.DefaultSelector()
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((address, port))
        selector.register(sock, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            data, peer = key.fileobj.recvfrom(65536)
            key.fileobj.sendto(name + b" " + data, peer)


if __name__ == "__main__":
    main()
