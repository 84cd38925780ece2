#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The ways by which a mark reaches a program, other than waymarkd's own on netdevsim, and
waymark as one of several programs; runs inside the guest with the series.

    lanes_guest.py OBJECTS [TEST...]    OBJECTS: where lanes.sh put what it made
"""
import ctypes
import json
import mmap
import os
import socket
import struct
import sys
from pathlib import Path

from pair import ACK, CLIENT, PATIENCE, REALS, VIP, Pair, frame
from tap import run_tests
from netns import wait_for
from waymark import BUILD

OBJECTS = Path(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)


# --- BPF by hand ---

SYS_BPF, MAP_LOOKUP, MAP_UPDATE, OBJ_GET = 321, 1, 2, 7


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(SYS_BPF, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"bpf command {command}")
    return result


def pinned(path):
    name = ctypes.create_string_buffer(str(path).encode())
    return bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))


def update(fd, key, value):
    k, v = ctypes.create_string_buffer(struct.pack("=I", key), 4), ctypes.create_string_buffer(value)
    bpf(MAP_UPDATE, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(k), ctypes.addressof(v), 0))


class Marks:
    """marks.bpf.c, loaded; its programs on the balancer's port in waymark's place."""

    AT_ENTRY, ON_CPU, BEFORE_DEVICE = range(3)

    def __init__(self, net):
        self.net, self.pins = net, net.bpffs / "marks"
        # One whose expected attach type bpftool guesses from the section: xdp/cpumap, xdp/devmap.
        net.lb.run(["bpftool", "prog", "loadall", OBJECTS / "marks.bpf.o", self.pins,
                    "pinmaps", net.bpffs / "marks-maps"])

    def attach(self, program):
        self.net.lb.run(f"ip link set dev eth0 xdp pinned {self.pins}/{program}")

    def program(self, name):
        return pinned(self.pins / name)

    def map(self, name):
        return pinned(self.net.bpffs / "marks-maps" / name)

    def seen(self, place):
        """(packets, mark, length of the metadata)."""
        fd = self.map("seen")
        key = ctypes.create_string_buffer(struct.pack("=I", place), 4)
        value = ctypes.create_string_buffer(12)
        bpf(MAP_LOOKUP, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
        os.close(fd)
        return struct.unpack("=III", value.raw)

    def wait(self, place, packets):
        wait_for(lambda: self.seen(place)[0] >= packets, f"a packet at place {place}", PATIENCE)
        return self.seen(place)[1:]


class XdpSocket:
    """An AF_XDP socket on queue 0, in copy mode, that only receives."""

    SOL_XDP, MMAP_OFFSETS, RX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 283, 1, 2, 4, 5, 6
    PGOFF_FILL = 0x100000000
    FRAMES, SIZE = 16, 4096

    def __init__(self, net, interface, queue=0):
        self.memory = mmap.mmap(-1, self.FRAMES * self.SIZE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        with net.lb.entered():
            self.sock = socket.socket(44, socket.SOCK_RAW, 0)
            index = socket.if_nametoindex(interface)
        self.sock.setsockopt(self.SOL_XDP, self.UMEM_REG, struct.pack(
            "=QQIIII", address, self.FRAMES * self.SIZE, self.SIZE, 0, 0, 0))
        for ring in (self.FILL_RING, self.COMPLETION_RING, self.RX_RING):
            self.sock.setsockopt(self.SOL_XDP, ring, struct.pack("=I", self.FRAMES))
        offsets = struct.unpack("=16Q", self.sock.getsockopt(self.SOL_XDP, self.MMAP_OFFSETS, 128))
        self.rx_producer, _, self.rx_descriptors = offsets[0:3]
        fill_producer, _, fill_descriptors = offsets[8:11]
        self.rx = mmap.mmap(self.sock.fileno(), self.rx_descriptors + self.FRAMES * 16)
        self.fill = mmap.mmap(self.sock.fileno(), fill_descriptors + self.FRAMES * 8,
                              offset=self.PGOFF_FILL)
        for i in range(self.FRAMES):
            struct.pack_into("=Q", self.fill, fill_descriptors + 8 * i, i * self.SIZE)
        struct.pack_into("=I", self.fill, fill_producer, self.FRAMES)
        where = struct.pack("=HHIII", 44, 2, index, queue, 0)  # XDP_COPY
        if libc.bind(self.sock.fileno(), where, len(where)):
            raise OSError(ctypes.get_errno(), "bind")
        self.taken = 0

    def receive(self):
        """(the 4 bytes in front of it, the frame) of the next one."""
        def came():
            return struct.unpack_from("=I", self.rx, self.rx_producer)[0] > self.taken
        wait_for(came, "a frame in the ring", PATIENCE)
        at, length = struct.unpack_from("=QI", self.rx, self.rx_descriptors + 16 * self.taken)
        self.taken += 1
        return struct.unpack_from("=I", self.memory, at - 4)[0], self.memory[at:at + length]


# --- helpers ---

def marking(net, sport, mark, proto="udp"):
    """A rule by hand, for this flow to the VIP; marks stand in front of packets."""
    net.lb.run("ethtool -K eth0 hw-tc-offload on rx-xdp-mark on")
    net.lb.run("tc qdisc add dev eth0 clsact")
    net.lb.run(f"tc filter add dev eth0 ingress protocol ip pref 1 flower skip_sw ip_proto {proto} "
               f"src_ip {CLIENT} src_port {sport} dst_ip {VIP} dst_port 80 action skbedit mark {mark}")


def mark_of(balancer, real, protocol="udp"):
    return next(dest["mark"] for dest in balancer.ask("dest")
                if (dest["vip"], dest["real"]) == (protocol, real))


def marked_by_hand(net, balancer):
    """Packets whose sender gave them a mark, as a NIC's rule would, to a real that the ring
    would not choose."""
    for flow, protocol in (({}, "udp"), ({"flags": ACK}, "tcp")):
        chosen = net.real_of(4000, **flow)
        other = next(real for real in REALS if real != chosen)
        before = balancer.counters()["tx_marked"]
        assert net.real_of(4000, 5, **flow) == chosen
        assert balancer.counters()["tx_marked"] == before
        assert net.real_of(4000, 5, mark=mark_of(balancer, other, protocol), **flow) == other
        assert balancer.counters()["tx_marked"] == before + 5
        before = balancer.counters()["mark_unknown"]
        assert net.real_of(4000, 5, mark=4000, **flow) == chosen
        assert balancer.counters()["mark_unknown"] == before + 5


# --- tests ---

def veth_kfunc():
    """veth has the kfunc: the program is bound to it, and takes skb->mark for the NIC's."""
    with Pair("veth", together=True) as net:
        balancer = net.balancer("none").start()
        status = balancer.ask("status")
        assert (status["lane"], status["offload"]["backend"]) == ("kfunc", "none"), status
        marked_by_hand(net, balancer)


def veth_meta():
    """Loaded by iproute2. Marks come when they are asked for, with rx-xdp-mark, only."""
    with Pair("veth", together=True) as net:
        balancer = net.balancer("none")
        net.lb.run(f"ip link set dev eth0 xdp obj {BUILD}/waymark.bpf.o sec xdp")
        prog = balancer.prog_id()
        balancer.start()
        status = balancer.ask("status")
        assert (status["lane"], status["adopted"], status["prog_id"]) == ("meta", True, prog), status
        real = net.real_of(4000)
        other = next(r for r in REALS if r != real)
        assert net.real_of(4000, 5, mark=mark_of(balancer, other)) == real
        assert balancer.counters()["tx_marked"] == 0
        net.lb.run("ethtool -K eth0 rx-xdp-mark on")
        marked_by_hand(net, balancer)
        net.lb.run("ethtool -K eth0 rx-xdp-mark off")
        assert net.real_of(4000, 5, mark=mark_of(balancer, other)) == real


def af_xdp_has_the_mark_in_front():
    with Pair() as net:
        marking(net, 4000, 4711)
        marks = Marks(net)
        sockets = [XdpSocket(net, "eth0", queue) for queue in (0, 1)]
        for queue, sock in enumerate(sockets):
            update(marks.map("sockets"), queue, struct.pack("=I", sock.sock.fileno()))
        marks.attach("to_socket")
        for sport, mark in ((4000, 4711), (4001, 0), (4000, 4711)):
            before = marks.seen(marks.AT_ENTRY)[0]
            net.exchange(sport, timeout=0)
            assert marks.wait(marks.AT_ENTRY, before + 1) == (mark, 4)
            sock = wait_for(lambda: next((s for s in sockets if struct.unpack_from(
                "=I", s.rx, s.rx_producer)[0] > s.taken), None), "a frame in a ring", PATIENCE)
            got, data = sock.receive()
            assert got == mark, (got, mark)
            assert b"token-" in data
        net.lb.run("ethtool -K eth0 rx-xdp-mark off")
        net.exchange(4000, timeout=0)
        assert marks.wait(marks.AT_ENTRY, 4) == (0, 0)


def waymark_xsk_shows_the_mark():
    """The project's own AF_XDP consumer, whose program reads it in front of the packet."""
    with Pair() as net:
        marking(net, 4000, 4711)
        tool = net.lb.start([BUILD / "waymark", "--json", "xsk", "dump", "eth0", "--port", 80,
                             "--count", 3], log="xsk.log")
        wait_for(lambda: "prog/xdp" in net.lb.ip("link show eth0").stdout or not tool.running(),
                 "the program", PATIENCE)
        for sport in (4000, 4001, 4000):
            net.exchange(sport, timeout=0)
        assert tool.wait(PATIENCE) == 0, tool.output()
        rows = [json.loads(line) for line in tool.output().splitlines() if line.startswith("{")]
        got = sorted((row["source"].rsplit(":", 1)[1], row["mark"]) for row in rows if "source" in row)
        assert got == [("4000", 4711), ("4000", 4711), ("4001", None)], rows


def cpumap_keeps_the_mark():
    with Pair() as net:
        marking(net, 4000, 4711)
        marks = Marks(net)
        program = marks.program("on_cpu")
        update(marks.map("cpus"), 1, struct.pack("=Ii", 64, program))
        marks.attach("to_cpu")
        for number, (sport, mark) in enumerate(((4000, 4711), (4001, 0)), 1):
            net.exchange(sport, timeout=0)
            assert marks.wait(marks.AT_ENTRY, number) == (mark, 4)
            assert marks.wait(marks.ON_CPU, number) == (mark, 4)


def devmap_keeps_the_mark():
    """From the NIC by devmap to a veth, behind which waymark sends the packet by its mark."""
    with Pair() as front, Pair("veth") as net:
        # The first network's balancer is the second one's wire.
        net.wire.ip("link delete lb")
        front.lb.ip(f"link add lb type veth peer name eth0 netns {net.lb.name}")
        net.wire = front.lb
        net.up(net.ports[0])
        balancer = net.balancer("none").start()
        mac, right = net.ports[0].mac(), mark_of(balancer, REALS[1])
        marking(front, 4000, right)
        marks = Marks(front)
        index = json.loads(front.lb.run("ip -j link show lb").stdout)[0]["ifindex"]
        with front.lb.entered():  # whose index it is
            update(marks.map("devices"), 0,
                   struct.pack("=Ii", index, marks.program("before_device")))
        marks.attach("to_device")
        for number, (sport, mark) in enumerate(((4000, right), (4001, 0)), 1):
            before, token = balancer.counters()["tx_marked"], b"token-%d-by-devmap" % sport
            with net.sniffer() as sniffer:
                front.send([frame(mac, sport, token)])
                reals = net.collect(sniffer, token, 1, PATIENCE)
            assert marks.wait(marks.AT_ENTRY, number) == (mark, 4)
            assert marks.wait(marks.BEFORE_DEVICE, number) == (mark, 4)
            assert balancer.counters()["tx_marked"] - before == (mark != 0)
            assert reals[0] in ([REALS[1]] if mark else REALS), reals


def programs(net, name):
    """Those of this name that are loaded."""
    rows = json.loads(net.lb.run("bpftool -j prog show").stdout)
    return [row for row in rows if row.get("name") == name]


def count(net, name):
    """Packets that a program of chain.bpf.c has counted."""
    (program,) = programs(net, name)
    for number in program["map_ids"]:
        if json.loads(net.lb.run(f"bpftool -j map show id {number}").stdout)["name"] == "chain_count":
            entry = json.loads(net.lb.run(f"bpftool -j map dump id {number}").stdout)[0]
            return entry["formatted"]["value"]
    raise AssertionError(f"{name} has no counter")


def one_of_several_programs():
    """In a dispatcher: a filter first, then waymark, then what sees what is left."""
    with Pair() as net:
        balancer = net.balancer("none")
        chain = net.lb.start([OBJECTS / "chain_tool", "eth0", OBJECTS / "dispatcher.bpf.o",
                              OBJECTS / "chain.bpf.o", "first", BUILD / "waymark.bpf.o", "waymark",
                              OBJECTS / "chain.bpf.o", "last"])
        wait_for(lambda: "ready" in chain.output(), "the dispatcher", PATIENCE)
        (program,) = programs(net, "waymark")
        balancer.start()
        status = balancer.ask("status")
        assert (status["lane"], status["adopted"], status["prog_id"]) == \
            ("meta", True, program["id"]), status
        assert (program["type"], balancer.prog_id() != program["id"]) == ("ext", True), program
        real = net.real_of(5000, 10)
        assert real in REALS
        assert (count(net, "first"), count(net, "last")) == (10, 0)
        # What the filter drops, waymark does not see; what waymark passes, the last one does.
        before = balancer.counters()
        assert net.exchange(666, 3, timeout=1) == []
        net.exchange(5000, 2, vip="192.0.2.200", timeout=1)
        after = balancer.counters()
        assert after["pass_not_vip"] - before["pass_not_vip"] == 2, after
        assert balancer.sent(after) == balancer.sent(before)
        assert (count(net, "first"), count(net, "last")) == (15, 2)
        # The mark comes through the filter.
        other = next(r for r in REALS if r != net.real_of(4000))
        marking(net, 4000, mark_of(balancer, other))
        assert net.real_of(4000, 5) == other
        assert balancer.counters()["tx_marked"] == 5
        # A restart finds it; --detach leaves it, as it is not alone.
        balancer.stop()
        balancer.start("--detach")
        assert balancer.ask("status")["prog_id"] == program["id"]
        balancer.stop()
        assert f"xdp-loader unload eth0 --id {program['id']}" in balancer.daemon.output()
        assert net.real_of(5000, 2) == real
        assert chain.stop() == 0


def xdp_loader():
    """libxdp's own dispatcher: without waymark it is named and refused, with waymark served,
    if this libxdp can do that at all (see dispatcher.bpf.c)."""
    with Pair() as net:
        balancer = net.balancer("none")
        load = "xdp-loader load eth0 --mode native --prog-name"
        net.lb.run([*load.split(), "first", OBJECTS / "chain.bpf.o", "--prio", 10], timeout=120)
        done = balancer.run()
        assert done.returncode == 1
        assert "eth0 has libxdp's dispatcher" in done.stderr, done.stderr
        assert "xdp-loader load eth0 waymark.bpf.o -n waymark" in done.stderr, done.stderr
        done = net.lb.run([*load.split(), "waymark", BUILD / "waymark.bpf.o"], check=False, timeout=120)
        if done.returncode:
            assert "Invalid argument" in done.stderr + done.stdout, done
            print("# this libxdp's dispatcher takes no program that grows packets", flush=True)
        else:
            balancer.start()
            assert balancer.ask("status")["adopted"]
            assert net.real_of(5000, 10) in REALS
            assert count(net, "first") == 10
            balancer.stop()
        net.lb.run("xdp-loader unload eth0 --all", timeout=120)


TESTS = [veth_kfunc, veth_meta, af_xdp_has_the_mark_in_front, waymark_xsk_shows_the_mark,
         cpumap_keeps_the_mark, devmap_keeps_the_mark, one_of_several_programs, xdp_loader]

if __name__ == "__main__":
    wanted = sys.argv[2:]
    sys.exit(run_tests([test for test in TESTS if not wanted or test.__name__ in wanted]))
