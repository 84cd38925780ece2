# SPDX-License-Identifier: GPL-2.0
"""Balancer and wire, port by port, for tests inside a guest.

        netns lb                       netns wire
    +----------------+             +----------------+
    |  eth0   - - - -|-------------|- - - -   lb    |  frames to the vips are
    |  (eth1) - - - -|-------------|- - - -  (lb1)  |  sent here, and what goes
    +----------------+             +----------------+  to the reals is seen here

Devices are netdevsim's (made inside the namespace, so that a reload leaves them
there) or a pair of veth. Nothing answers: frames are sent byte by byte, and each
that comes back is told by its outer header's destination, which is the real. With
`together` both ends are in one namespace, where veth keeps a packet's mark.
"""
import atexit
import contextlib
import itertools
import json
import os
import select
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

# pylint: disable=wrong-import-position
from netns import Failed, Topology, sh, sweep, wait_for  # noqa: E402
from waymark import Balancer  # noqa: E402

SIM = Path("/sys/bus/netdevsim")
DEBUGFS = Path("/sys/kernel/debug/netdevsim")
PATIENCE = 60  # seconds for a condition: the guest is emulated
Balancer.patience = PATIENCE
VIP, OTHER_VIP, CLIENT = "192.0.2.100", "192.0.2.101", "198.51.100.7"
REALS = ("192.0.2.11", "192.0.2.12", "192.0.2.13")
OTHER_REALS = ("192.0.2.21", "192.0.2.22")
SYN, FIN, RST, ACK = 2, 1, 4, 16
ETH_P_IP, PACKET_OUTGOING, SO_MARK = 0x0800, 4, 36


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(dst_mac, sport, payload, vip=VIP, dport=80, flags=None):
    """Ethernet, IPv4, and UDP, or TCP if there are flags."""
    if flags is None:
        number, l4 = 17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    else:
        number, l4 = 6, struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 5 << 4, flags, 4096, 0, 0)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4) + len(payload), 1, 0, 64, number, 0)
    ip += socket.inet_aton(CLIENT) + socket.inet_aton(vip)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return (bytes.fromhex(dst_mac.replace(":", "")) + bytes.fromhex("020000000007") +
            struct.pack("!H", ETH_P_IP) + ip + l4 + payload)


class Port:
    """eth0 or eth1, and what is at the other end of its wire."""

    def __init__(self, pair, name, far):
        self.pair, self.name, self.far, self.number = pair, name, far, None

    def mac(self):
        return json.loads(self.pair.lb.run(f"ip -j link show {self.name}").stdout)[0]["address"]


class Pair(Topology):
    """The picture above. Use as a context manager, or close() it."""

    _id = itertools.count(1)
    _token = itertools.count(1)

    def __init__(self, kind="netdevsim", ports=1, together=False):  # pylint: disable=super-init-not-called
        self.number = next(Topology._number)
        self.kind = kind
        self.spaces, self.undo, self.dir = [], [], None
        self.vips, self.vips6, self.reals = [], [], []
        sweep()
        atexit.register(self.close)
        try:
            self.dir = Path(tempfile.mkdtemp(prefix=f"wm{os.getpid()}-{self.number}-", dir="/run"))
            self.bpffs = self._mount_bpffs()
            self.lb = self.space("lb")
            self.wire = self.lb if together else self.space("wire")
            self.ports = [Port(self, f"eth{i}", f"lb{i or ''}") for i in range(ports)]
            for port in self.ports:
                self._make(port)
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind, *_):
        if kind:
            for process in self.processes():
                print(f"# {process.log.name}: " + process.output()[-3000:].replace("\n", "\n# "))
        self.close()

    # --- devices ---

    def _make(self, port):
        if self.kind == "veth":
            self.lb.ip(f"link add {port.name} type veth peer name {port.far} netns {self.wire.name}")
        else:
            port.number = next(self._id)
            self._new_device(self.lb, port.number, port.name)
            self._new_device(self.wire, port.number + 100, port.far)
            self.link(port)
        self.up(port)

    def _new_device(self, space, number, name):
        before = self._names(space)
        space.run(["sh", "-c", f"echo {number} 1 2 > {SIM}/new_device"])
        self.defer(self.delete, number)
        self.name_new(space, before, name)

    @staticmethod
    def _names(space):
        return {link["ifname"] for link in json.loads(space.run("ip -j link show").stdout)}

    def name_new(self, space, before, name):
        """The link that was not there before gets its name."""
        new = wait_for(lambda: self._names(space) - before, "the new device", PATIENCE)
        sh(["udevadm", "settle"], check=False)
        old = (self._names(space) - before or new).pop()
        if old != name:
            space.ip(f"link set {old} name {name}")

    @staticmethod
    def delete(number):
        """The device goes, as if it were pulled out."""
        (SIM / "del_device").write_text(f"{number}\n", encoding="ascii")

    def reload(self, port):
        """devlink reload; the name as an administrator's udev rule would give it."""
        before = self._names(self.lb) - {port.name}
        self.lb.run(f"devlink dev reload netdevsim/netdevsim{port.number}")
        self.name_new(self.lb, before, port.name)

    def link(self, port):
        """Both ends of the wire."""
        with open(f"/run/netns/{self.lb.name}", "rb") as one, \
                open(f"/run/netns/{self.wire.name}", "rb") as two:
            index = [json.loads(space.run(f"ip -j link show {name}").stdout)[0]["ifindex"]
                     for space, name in ((self.lb, port.name), (self.wire, port.far))]
            sh(["sh", "-c", f"echo {one.fileno()}:{index[0]} {two.fileno()}:{index[1]} > "
                f"{SIM}/link_device"], pass_fds=(one.fileno(), two.fileno()))

    def up(self, port):
        for space, name in ((self.lb, port.name), (self.wire, port.far)):
            space.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 1)
            space.ip(f"link set {name} up")

    def hardware(self, port=None):
        """The rules that netdevsim has."""
        number = (port or self.ports[0]).number
        path = DEBUGFS / f"netdevsim{number}/ports/0/flow_table/rules"
        return path.read_text(encoding="ascii").splitlines()

    # --- the balancer ---

    def balancer(self, offload="flower", interface="eth0", idle="600s", **settings):
        """waymarkd's configuration: two UDP vips and a TCP one. Nothing goes because the
        guest is slow. The NIC's rules are read each quarter of `idle`."""
        port = self.ports[0]
        mac = json.loads(self.wire.run(f"ip -j link show {port.far}").stdout)[0]["address"]
        vips = [{"name": name, "address": vip, "port": 80, "protocol": protocol,
                 "reals": [{"address": real, "weight": 100} for real in reals]}
                for name, vip, protocol, reals in (("udp", VIP, "udp", REALS),
                                                   ("tcp", VIP, "tcp", REALS),
                                                   ("other", OTHER_VIP, "udp", OTHER_REALS))]
        config = {"interface": interface, "gateway": mac, "pin": str(self.bpffs / "waymark"),
                  "control": str(self.dir / "control.sock"),
                  "offload": {"backend": offload, "promote-after": 8, "idle": idle},
                  "flow-table": {"flows": 10000, "udp-idle": "600s"}, "vips": vips}
        return Balancer(self, config, **settings)

    # --- frames ---

    @contextlib.contextmanager
    def sniffer(self, port=None):
        """Sees what comes out of the balancer's port."""
        with self.wire.entered():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        with sock:
            sock.bind(((port or self.ports[0]).far, ETH_P_IP))
            sock.setblocking(False)
            yield sock

    @staticmethod
    def collect(sock, token, count, timeout):
        """Outer destinations of `count` frames with the token."""
        found, end = [], time.monotonic() + timeout
        while len(found) < count and (left := end - time.monotonic()) > 0:
            if not select.select([sock], [], [], left)[0]:
                break
            data, address = sock.recvfrom(65536)
            if address[2] != PACKET_OUTGOING and token in data:
                found.append(socket.inet_ntoa(data[30:34]))
        return found

    def send(self, frames, mark=0, port=None):
        with self.wire.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
            sock.bind(((port or self.ports[0]).far, 0))
            for data in frames:
                sock.send(data)

    def exchange(self, sport, count=1, mark=0, port=None, timeout=PATIENCE, **flow):
        """Send, and return the reals that the frames went to, one for each frame."""
        token = b"token-%08d" % next(self._token)
        data = frame((port or self.ports[0]).mac(), sport, token, **flow)
        with self.sniffer(port) as sock:
            self.send([data] * count, mark, port)
            return self.collect(sock, token, count, timeout)

    def real_of(self, sport, count=1, **flow):
        """The one real that all frames went to; each arrived."""
        reals = self.exchange(sport, count, **flow)
        if len(reals) != count or len(set(reals)) != 1:
            raise Failed(f"{count} frames from port {sport} went to {reals}")
        return reals[0]

    def promote(self, balancer, sport, **flow):
        """Until all packets of the flow come by mark. Returns its real."""
        def marked():
            before = balancer.counters()["tx_marked"]
            real = self.real_of(sport, 10, **flow)
            return balancer.counters()["tx_marked"] >= before + 10 and real
        return wait_for(marked, f"packets from port {sport} to come marked", PATIENCE)


def said(balancer, words):
    """Until the daemon has said so."""
    wait_for(lambda: words in balancer.daemon.output(), f"{words!r} in the log", PATIENCE)
