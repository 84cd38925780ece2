# SPDX-License-Identifier: GPL-2.0
"""A network in namespaces: a client, a wire, the balancer, reals.

      client            wire                          lb
    +---------+   +--------------------------+   +---------+
    | 10.200. |   |  client       lb         |   | 10.200. |
    | 0.2  eth0---|--[port]     [port]-------|---eth0 0.1  |
    +---------+   |     |  bridge  |         |   +---------+
                  |  ===+====+=====+===      |
                  |      |       |           |
                  +--[real1]--[real2]--...---+
                       |         |
                  +----eth0+ +---eth0-+      VIPs on lo of every real:
                  | 10.200.| | 10.200.|      10.200.1.1, .2, ...
                  | 2.11   | | 2.12   |
                  +--------+ +--------+

All is one link, 10.200.0.0/16 and fd00:200::/32 (IPv6 hosts alike:
fd00:200::2, fd00:200::1, fd00:200:1::1, fd00:200:2::11). The client reaches the
VIPs through the balancer; reals answer the client directly.

The client sends at most 1500 bytes; everywhere else there is room for an outer
header. Its checksums are made in software, because XDP's redirect forgets that
one is still to be made. The reals know no ARP for the VIPs.

Names end with the process id. Everything goes with Topology.close(), which also
runs at exit; what a killed process left behind is swept by the next one.
Children die with their parent. Needs root.
"""
import atexit
import contextlib
import ctypes
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

RUN = Path("/run/netns")
NAME = "wm{pid}-{number}-{role}"
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)

CLIENT_MAC = "02:00:0a:c8:00:02"
LB_MAC = "02:00:0a:c8:00:01"
CLIENT_MTU, MTU = 1500, 1600


class Failed(RuntimeError):
    """A command or a wait that should have succeeded did not."""


# All patience is so many times longer: an emulated guest is slow.
SLOW = float(os.environ.get("WM_SLOW", "1"))


def wait_for(condition, what, timeout=15.0, every=0.02):
    """Wait until condition() is true; returns its value. Exceptions count as "not yet"."""
    timeout *= SLOW
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except Exception as error:  # pylint: disable=broad-except
            last = error
        if time.monotonic() > deadline:
            raise Failed(f"waited {timeout:g} s for {what}" + (f" ({last})" if last else ""))
        time.sleep(every)


def _die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def sh(command, check=True, timeout=60, **kwargs):
    """Run a command (a string is split at blanks). Returns the CompletedProcess."""
    if isinstance(command, str):
        command = command.split()
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout * SLOW,
                          preexec_fn=_die_with_parent, check=False,
                          **{"stdin": subprocess.DEVNULL, **kwargs} if "input" not in kwargs
                          else kwargs)
    if check and done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: exit code {done.returncode}\n"
                     f"{done.stdout}{done.stderr}")
    return done


class Process:
    """A child that runs until it is stopped; its output goes to a file, or its errors elsewhere."""

    def __init__(self, command, log, env=None, stderr=subprocess.STDOUT):
        self.command = [str(word) for word in command]
        self.log = Path(log)
        with open(log, "ab") as out:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=stderr, preexec_fn=_die_with_parent,
                                          env=env)
        self.pid = self.child.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def running(self):
        return self.child.poll() is None

    def wait(self, timeout=20):
        """Exit code, negative for a signal."""
        try:
            return self.child.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.command} still runs after {timeout} s:\n{self.output()}") from None

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        """At once, as a crash would."""
        self.child.kill()
        self.child.wait()

    def stop(self, timeout=20):
        """Ask it to end; insist after the timeout. Returns the exit code."""
        if self.running():
            self.child.terminate()
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.child.returncode


class Namespace:
    """A network namespace."""

    def __init__(self, name, role, topology):
        self.name, self.role, self.topology = name, role, topology
        self.processes = []
        sh(["ip", "netns", "add", name])
        # Nobody asks for addresses or announces anything.
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_ra", 0)
        self.sysctl("net.ipv6.conf.default.router_solicitations", 0)
        self.sysctl("net.ipv6.conf.all.accept_dad", 0)
        # A real's packets come with the client's source out of a tunnel header.
        self.sysctl("net.ipv4.conf.all.rp_filter", 0)
        self.sysctl("net.ipv4.conf.default.rp_filter", 0)
        self.ip("link set lo up")

    def prefix(self):
        # Not `ip netns exec`: that hides the BPF file system by a new mount namespace.
        return ["nsenter", f"--net={RUN / self.name}", "--"]

    def run(self, command, check=True, timeout=60, **kwargs):
        if isinstance(command, str):
            command = command.split()
        return sh([*self.prefix(), *command], check, timeout, **kwargs)

    def ip(self, command, check=True):
        """An IPv6 address can be bound to when this returns: without `nodad` it is tentative
        until a worker of the kernel has run, also where nobody is asked (accept_dad)."""
        words = command.split()
        if words[0] == "address" and words[1] in ("add", "replace") and ":" in words[2]:
            words.append("nodad")
        return sh(["ip", "-n", self.name, *words], check)

    def sysctl(self, name, value):
        with self.entered():
            Path("/proc/sys", *name.split(".")).write_text(str(value), encoding="ascii")

    def start(self, command, log=None, env=None, stderr=subprocess.STDOUT):
        """Start a child; it ends with the topology at the latest."""
        if isinstance(command, str):
            command = command.split()
        log = self.topology.dir / (log or f"{self.role}-{Path(str(command[0])).name}.log")
        process = Process([*self.prefix(), *command], log, env, stderr)
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the namespace: sockets made inside stay there."""
        with open("/proc/thread-self/ns/net", "rb") as back, open(RUN / self.name, "rb") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise Failed(f"setns {self.name}: {os.strerror(ctypes.get_errno())}")
            try:
                yield self
            finally:
                if libc.setns(back.fileno(), CLONE_NEWNET):
                    os.abort()  # whatever came next would hit the wrong network


class Topology:
    """The network above. Use as a context manager, or close() it."""

    _number = itertools.count(1)

    def __init__(self, reals=3, vips=2):
        self.number = next(self._number)
        self.spaces = []
        self.undo = []
        self.dir = None
        sweep()
        atexit.register(self.close)
        try:
            self.dir = Path(tempfile.mkdtemp(prefix=f"wm{os.getpid()}-{self.number}-", dir="/run"))
            self.bpffs = self._mount_bpffs()
            self.client = self.space("client")
            self.wire = self.space("wire")
            self.lb = self.space("lb")
            self.reals = [self.space(f"real{i + 1}") for i in range(reals)]
            self.vips = [f"10.200.1.{i + 1}" for i in range(vips)]
            self.vips6 = [f"fd00:200:1::{i + 1}" for i in range(vips)]
            self._make_bridge()
            self._make_client()
            self._connect(self.lb, LB_MAC, "10.200.0.1", "fd00:200::1")
            for i, real in enumerate(self.reals):
                self._make_real(i, real)
        except BaseException:
            self.close()
            raise

    def _mount_bpffs(self):
        path = self.dir / "bpf"
        path.mkdir()
        sh(["mount", "-t", "bpf", "bpf", path])
        return path

    def space(self, role):
        """One more namespace; it goes with the topology."""
        name = NAME.format(pid=os.getpid(), number=self.number, role=role)
        space = Namespace(name, role, self)
        self.spaces.append(space)
        return space

    def _make_bridge(self):
        self.wire.ip("link add br0 mtu 1600 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        self.wire.sysctl("net.ipv6.conf.br0.disable_ipv6", 1)
        self.wire.ip("link set br0 up")

    def _connect(self, space, mac, address, address6, mtu=MTU):
        """A port of the bridge for this namespace's eth0."""
        port = space.role
        self.wire.ip(f"link add {port} mtu {MTU} type veth peer name eth0 mtu {mtu} "
                     f"address {mac} netns {space.name}")
        self.wire.sysctl(f"net.ipv6.conf.{port}.disable_ipv6", 1)
        self.wire.ip(f"link set {port} master br0 up")
        space.ip(f"address add {address}/16 dev eth0")
        space.ip(f"address add {address6}/32 dev eth0")
        space.ip("link set eth0 up")

    def _make_client(self):
        self._connect(self.client, CLIENT_MAC, "10.200.0.2", "fd00:200::2", CLIENT_MTU)
        self.client.run("ethtool -K eth0 tx off")
        self.client.ip("route add 10.200.1.0/24 via 10.200.0.1")
        self.client.ip("route add fd00:200:1::/48 via fd00:200::1")

    def _make_real(self, i, real):
        real.address, real.address6 = f"10.200.2.{11 + i}", f"fd00:200:2::{11 + i}"
        real.sysctl("net.ipv4.conf.all.arp_ignore", 1)
        real.sysctl("net.ipv4.conf.all.arp_announce", 2)
        self._connect(real, f"02:00:0a:c8:02:{11 + i:02x}", real.address, real.address6)
        for vip in self.vips:
            real.ip(f"address add {vip}/32 dev lo")
        for vip in self.vips6:
            real.ip(f"address add {vip}/128 dev lo")

    def defer(self, function, *args):
        """Call it at close(), the last one first, before the namespaces go."""
        self.undo.append((function, args))

    def processes(self):
        return [process for space in self.spaces for process in space.processes]

    def close(self):
        atexit.unregister(self.close)
        for function, args in reversed(self.undo):
            with contextlib.suppress(Exception):
                function(*args)
        self.undo = []
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                process.child.terminate()
        for process in self.processes():
            process.stop()
        for space in reversed(self.spaces):
            sh(["ip", "netns", "delete", space.name], check=False)
        self.spaces = []
        if self.dir:
            remove_dir(self.dir)
            self.dir = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def remove_dir(path):
    sh(["umount", path / "bpf"], check=False)
    if not os.path.ismount(path / "bpf"):
        shutil.rmtree(path, ignore_errors=True)


def sweep():
    """Remove what processes left behind that are gone."""
    for path in [*RUN.glob("wm*-*"), *Path("/run").glob("wm*-*")]:
        match = re.match(r"wm(\d+)-\d+-", path.name)
        if not match or Path("/proc", match.group(1)).exists():
            continue
        if path.parent == RUN:
            sh(["ip", "netns", "delete", path.name], check=False)
        else:
            remove_dir(path)


def raise_on_signals():
    """SIGTERM and SIGHUP end the program as Ctrl-C does: through its clean-up.
    Ctrl-C does so even where it was ignored, in the background of a script."""
    def handler(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
