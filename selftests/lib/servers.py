# SPDX-License-Identifier: GPL-2.0
"""Servers on the reals and load from the client, in a Topology."""
import json
import socket
import sys
from pathlib import Path

from netns import Failed, SLOW, wait_for

HERE = Path(__file__).resolve().parent

NGINX = """\
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {dir}/pid;
error_log {dir}/error.log warn;
events {{ worker_connections 4096; }}
http {{
	access_log off;
	keepalive_requests 100000000;
	keepalive_timeout 600s;
	client_max_body_size 64m;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	server {{
{listen}
		location / {{ return 200 "{name}\\n"; }}
		location /healthz {{
			if (-f {dir}/sick) {{ return 503; }}
			return 200 "well\\n";
		}}
	}}
}}
"""


def start_nginx(topology, port=80, reals=None, own=False):
    """nginx on each real, on every VIP and with `own` on the real's own addresses; answers with
    the real's name, and to /healthz with 200, or 503 while there is a file "sick" beside its
    configuration."""
    for real in reals or topology.reals:
        directory = topology.dir / f"nginx-{real.role}"
        directory.mkdir()
        listen = [f"\t\tlisten {vip}:{port};" for vip in topology.vips]
        listen += [f"\t\tlisten [{vip}]:{port};" for vip in topology.vips6]
        listen += [f"\t\tlisten {real.address}:{port};",
                   f"\t\tlisten [{real.address6}]:{port};"] if own else []
        conf = directory / "nginx.conf"
        conf.write_text(NGINX.format(dir=directory, name=real.role, listen="\n".join(listen)),
                        encoding="ascii")
        real.nginx = real.start(["nginx", "-p", directory, "-c", conf, "-e", directory / "error.log"])
    for real in reals or topology.reals:
        wait_for_tcp(real, topology.vips[0], port)
        wait_for_tcp(real, topology.vips6[0], port)


def wait_for_tcp(space, address, port):
    def connects():
        with space.entered(), socket.create_connection((address, port), timeout=1):
            return True
    wait_for(connects, f"a server on {address} port {port} in {space.role}")


def start_udp_echo(topology, port=7, reals=None):
    """UDP echo on each real, on every VIP; answers with the real's name in front."""
    for real in reals or topology.reals:
        command = [sys.executable, "-B", HERE / "udp_echo.py", real.role, port]
        real.echo = real.start([*command, *topology.vips, *topology.vips6],
                               log=f"{real.role}-echo.log")
    for real in reals or topology.reals:
        wait_for(lambda r=real: "ready" in r.echo.output(), f"UDP echo in {real.role}")


def url(address, port=80, path="/"):
    return f"http://[{address}]:{port}{path}" if ":" in address else f"http://{address}:{port}{path}"


def curl(topology, address, *options, port=80, path="/"):
    """One request on a connection of its own; the answer's text."""
    done = topology.client.run(["curl", "-sS", "--fail", "--max-time", "10", *options,
                                url(address, port, path)])
    return done.stdout.strip()


class Wrk:
    """wrk against a VIP. finish() gives {"requests", "answers", ..., "failed"}."""

    def __init__(self, topology, address, port=80, seconds=5, connections=32, threads=1):
        self.seconds = seconds
        self.process = topology.client.start(
            ["wrk", "-t", threads, "-c", connections, "-d", f"{seconds}s", "--timeout", "10s",
             "-s", HERE / "wrk.lua", url(address, port)],
            log=f"wrk-{len(topology.client.processes)}.log")

    def finish(self):
        code = self.process.wait(self.seconds + 30)
        lines = [line for line in self.process.output().splitlines() if line.startswith("{")]
        if code or not lines:
            raise Failed(f"wrk: exit code {code}\n{self.process.output()}")
        result = json.loads(lines[-1])
        result["failed"] = sum(result[k] for k in ("connect", "read", "write", "status", "timeout"))
        return result


def udp_socket(topology, address, port=7, source=0):
    """A connected UDP socket of the client, from any port or this one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with topology.client.entered():
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.settimeout(5 * SLOW)
        sock.bind(("", source))
        sock.connect((address, port))
    return sock


def ask_udp(sock, payload=b"hello"):
    """Send, and return the name of the real that answered."""
    sock.send(payload)
    name, _, rest = sock.recv(65536).partition(b" ")
    if rest != payload:
        raise Failed(f"the echo is {rest!r}, not {payload!r}")
    return name.decode()


class HttpConnection:
    """One connection that stays open, for asking again and again who answers."""

    def __init__(self, topology, address, port=80):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with topology.client.entered():
            self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect((address, port))
        self.file = self.sock.makefile("rb")
        self.source = self.sock.getsockname()[:2]

    def ask(self, body=b""):
        method = b"POST" if body else b"GET"
        self.sock.sendall(method + b" / HTTP/1.1\r\nHost: vip\r\nContent-Length: %d\r\n\r\n" % len(body)
                          + body)
        status = self.file.readline()
        if b" 200 " not in status:
            raise Failed(f"HTTP status {status!r}")
        length = 0
        while (line := self.file.readline()) not in (b"\r\n", b""):
            key, _, value = line.partition(b":")
            if key.lower() == b"content-length":
                length = int(value)
        return self.file.read(length).decode().strip()

    def close(self):
        self.file.close()
        self.sock.close()
