# SPDX-License-Identifier: GPL-2.0
"""waymark-metrics with a waymarkd that is played: files with counters in the place of the
maps, a listening socket on the loopback device, and the other end of its socket."""
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
PATIENCE = 60
ABI = int(re.search(r"WM_ABI_VERSION (\d+)", (ROOT / "include/waymark/abi.h").read_text(encoding="utf-8")).group(1))
# Single numbers by their names, as the program has them.
NUMBERS = re.findall(r'^\t\{ "(\w+)"', (ROOT / "user/metrics/exposition.c").read_text(encoding="utf-8")
                     .partition("numbers[] = {")[2].partition("\t{},")[0], re.M)
FIRST_FD, COUNTERS_MAX, CPU_BYTES, DEST_BYTES, DEST_BITS = 3, 64, 640, 32, 13
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


def facts(**more):
    return {"abi": ABI, "counters": [["tx_hit", "sent by the flow table"], ["drop_mtu", "dropped: too long"],
                                     ["flow_insert", "flows entered"]],
            "numbers": dict(zip(NUMBERS[:3], (1700000000, 1000000, 4095))),
            "vips": [['a"b\\c\nd', "10.0.0.1", 80, "tcp", 2], ["every", "fc00::1", 0, "udp", 1]],
            "dests": [[0, 1, "10.0.0.2", 100, 65537, True], [0, 7, "10.0.0.3", 0, 0, True],
                      [1, 2, "local:echo", 100, 65537, False]], **more}


def state(**more):
    return {"texts": {"version": "1", "program": "1 (build 0)", "mode": "native", "lane": "meta", "backend": "sim"},
            "numbers": {**{name: i for i, name in enumerate(NUMBERS[3:], 100)}, "last_reload_successful": 1}, "rules": {"active": 3}, "ended": {"idle": 2},
            "interfaces": [["eth0", True], ["eth1", False]], "dropped": [4, 0], "live": [9, 8, 7],
            "health": [1, 2, 0], "by_hand": [0, 1, 2], **more}


def memory(name, cpus, size):
    """A file of `size` bytes for each CPU's entries, filled by `cpus`: {(cpu, offset): value}."""
    fd = os.memfd_create(name)
    os.ftruncate(fd, (2 * size + 4095) & ~4095)
    for (cpu, offset), value in cpus.items():
        os.pwrite(fd, struct.pack("=Q", value), cpu * size + offset)
    return fd


class Played:
    """Use as a context manager. `answer` says what the daemon sends when it is asked: a list of
    objects, or None for nothing."""

    def __init__(self, answer=None, cpus=None, dests=None, family=socket.AF_INET):
        self.answer = answer or (lambda n: ([{"facts": facts()}] if n == 1 else []) + [{"state": state()}])
        self.asked = 0
        self.listener = socket.socket(family)
        self.listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.listener.listen(128)
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()[:2]
        self.ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        fds = [theirs.fileno(), self.listener.fileno(), memory("cpus", cpus or {}, CPU_BYTES),
               memory("dests", dests or {}, DEST_BYTES << DEST_BITS)]
        self.log = os.memfd_create("log")
        self.process = self.start(fds)
        theirs.close()
        self.listener.close()
        os.close(fds[2])
        os.close(fds[3])
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def start(self, fds):
        def move():
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(high):
                os.dup2(fd, FIRST_FD + i, inheritable=True)

        return subprocess.Popen([BUILD / "waymark-metrics", "2", "2", str(DEST_BITS)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=self.log, preexec_fn=move, close_fds=False)

    def serve(self):
        try:
            while self.ours.recv(1) == b"?":
                self.asked += 1
                for line in self.answer(self.asked) or []:
                    self.ours.sendall(json.dumps(line).encode() + b"\n")
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ours.shutdown(socket.SHUT_RDWR)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        self.thread.join(PATIENCE)
        self.ours.close()

    def output(self):
        return os.pread(self.log, 1 << 20, 0).decode(errors="replace")

    def connect(self, receive=None):
        """`receive`: bytes that the kernel keeps for us."""
        sock = socket.socket(self.listener.family)
        sock.settimeout(PATIENCE)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.connect(self.address)
        return sock

    def get(self, path="/metrics", method="GET", headers=None, body=b""):
        """(status, headers, body)"""
        with self.connect() as sock:
            lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
            lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
            lines += [f"Content-Length: {len(body)}"] if body else []
            sock.sendall("\r\n".join(lines + ["", ""]).encode() + body)
            return read_answer(sock)


def read_answer(sock):
    """Of a server that closes the connection behind it."""
    chunks = list(iter(lambda: sock.recv(1 << 20), b""))
    head, _, body = b"".join(chunks).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body.decode()


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.01)


def samples(text):
    """{name with labels: value} of an answer."""
    return {name: int(value) for name, value in
            (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))}
