# SPDX-License-Identifier: GPL-2.0
"""waymark xsk: AF_XDP sockets on every queue of a veth device, in copy mode.

    sender            receiver
    +------+          +------+     eth0 has 4 queues on both sides; a packet's
    | eth0 |----------| eth0 |     queue here is the one that it was sent by
    +------+          +------+

Only the receiver runs what is tested; the sender uses ordinary sockets.
"""
import json
import os
import re
import signal
import socket
import struct

import pytest
from netns import SLOW, wait_for
from waymark import BUILD

QUEUES = 4
PORT = 7777
KICK = 32  # descriptors that one system call sends
VETH_RING = 256  # packets that wait for a queue of veth; what comes then is dropped


class Pair:
    """The two namespaces, as far as a Topology is asked for."""

    def __init__(self, topology):
        self.dir = topology.dir
        self.sender, self.receiver = topology.space("sender"), topology.space("receiver")
        queues = f"numtxqueues {QUEUES} numrxqueues {QUEUES}"
        self.sender.ip(f"link add eth0 {queues} mtu 3600 type veth peer name eth0 {queues} mtu 3600 "
                       f"address 02:00:00:00:00:02 netns {self.receiver.name}")
        for space, host in ((self.sender, 1), (self.receiver, 2)):
            space.ip("link set eth0 up")
            space.run(f"ethtool -L eth0 rx {QUEUES} tx {QUEUES}")
            space.ip(f"address add 10.9.0.{host}/24 dev eth0")
            space.ip(f"address add fd09::{host}/64 dev eth0")
        self.sender.run("ethtool -K eth0 tx off")
        for address in ("10.9.0.2", "fd09::2"):
            self.sender.ip(f"neigh replace {address} lladdr 02:00:00:00:00:02 dev eth0")

    def socket(self, family=socket.AF_INET):
        with self.sender.entered():
            made = socket.socket(family, socket.SOCK_DGRAM)
        made.settimeout(5 * SLOW)
        return made

    def start(self, what, *options):
        """The tool; returns when its program is attached."""
        tool = self.receiver.start([BUILD / "waymark", "--json", "xsk", what, "eth0", *options])
        wait_for(lambda: "prog/xdp" in self.receiver.ip("link show eth0").stdout or not tool.running(),
                 "the program")
        return tool

    def finish(self, tool):
        """Ends it as Ctrl-C would; its report."""
        before = tool.output()
        tool.signal(signal.SIGINT)
        assert tool.wait() == 0, tool.output()
        return json.loads(tool.output()[len(before):])


@pytest.fixture
def pair(topology):
    return Pair(topology)


def total(report, key):
    return sum(row[key] for row in report["sockets"])


def healthy(report):
    """Nothing was lost, and no wake-up was missed."""
    keys = ("rx_dropped", "rx_ring_full", "rx_fill_empty", "rx_invalid", "tx_invalid", "tx_full",
            "given_up", "stall_kicks")
    return {key: total(report, key) for key in keys if total(report, key)}


@pytest.fixture(params=["queue", "one"])
def sockets(request, pair):
    """How many sockets: one per queue, or (XDP_ANY_QUEUE) one for all."""
    if request.param == "one":
        probe = pair.receiver.run([BUILD / "waymark", "xsk", "count", "eth0", "--port", "1",
                                   "--sockets", "one", "--seconds", "0.1"], check=False)
        if probe.returncode:
            assert "WM_ANY_QUEUE" not in os.environ, probe.stderr
            pytest.skip("this kernel has no XDP_ANY_QUEUE")
    return request.param


@pytest.mark.kernel
@pytest.mark.usefixtures("one_cpu")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_echo_on_every_queue_loses_nothing_and_keeps_order(pair, family, sockets):
    where = ("10.9.0.2" if family == socket.AF_INET else "fd09::2", PORT)
    tool = pair.start("echo", "--port", PORT, "--sockets", sockets)
    flows = [pair.socket(family) for _ in range(32)]
    rounds, window = 40, VETH_RING // len(flows)  # also if all are on one queue
    for first in range(0, rounds, window):
        for number in range(first, first + window):
            for i, flow in enumerate(flows):
                flow.sendto(struct.pack("!II", i, number) + b"x" * (number * 7 % 1000), where)
        for i, flow in enumerate(flows):
            for number in range(first, first + window):
                answer = flow.recv(4096)
                assert struct.unpack("!II", answer[:8]) == (i, number)
                assert len(answer) == 8 + number * 7 % 1000
    report = pair.finish(tool)
    assert len(report["sockets"]) == (1 if sockets == "one" else QUEUES)
    assert report["one_socket"] is (sockets == "one")
    assert total(report, "packets") == total(report, "sent") == 32 * rounds
    # 32 flows: that one queue of 4 has none is less likely than 1 in 2000.
    assert all(row["packets"] for row in report["sockets"])
    assert not healthy(report)
    assert report["program"]["taken"] == 32 * rounds


@pytest.mark.kernel
def test_a_packet_of_two_parts(pair, sockets):
    tool = pair.start("echo", "--port", PORT, "--sockets", sockets)
    flow = pair.socket()
    payload = os.urandom(3400)
    for _ in range(20):
        flow.sendto(payload, ("10.9.0.2", PORT))
        assert flow.recv(65536) == payload
    report = pair.finish(tool)
    assert total(report, "packets") == total(report, "sent") == 20
    assert total(report, "parts") == 40
    assert not healthy(report)


def seen_by_xdp(space):
    """Packets that eth0 has handed to its program."""
    return sum(map(int, re.findall(r"rx_queue_\d+_xdp_packets: (\d+)",
                                   space.run("ethtool -S eth0").stdout)))


@pytest.mark.kernel
def test_a_burst_larger_than_a_kick_takes_is_sent_at_once(pair, sockets):
    # The tool is stopped until all wait in its ring: it has full bursts to send then. One
    # system call sends 32 of 64. What sends the rest must be neither the watchdog nor the
    # call that waits, which sends some too: with those there are fewer wake-ups. No more
    # packets than veth's ring and the receive buffer hold, on any kernel.
    number = 3 * VETH_RING // 4
    tool = pair.start("echo", "--port", PORT, "--sockets", sockets)
    flow = pair.socket()
    tool.signal(signal.SIGSTOP)
    before = seen_by_xdp(pair.receiver)
    for i in range(number):
        flow.sendto(struct.pack("!I", i), ("10.9.0.2", PORT))
    wait_for(lambda: seen_by_xdp(pair.receiver) >= before + number, "the packets")
    tool.signal(signal.SIGCONT)
    assert [struct.unpack("!I", flow.recv(64))[0] for _ in range(number)] == list(range(number))
    report = pair.finish(tool)
    assert total(report, "wakeups_tx") >= number // KICK
    assert not healthy(report)


def test_dump_shows_what_came(pair):
    tool = pair.start("dump", "--port", PORT, "--protocol", "udp", "--count", 30)
    flows = [pair.socket() for _ in range(3)]
    for flow in flows:
        for _ in range(10):
            flow.sendto(b"x" * 100, ("10.9.0.2", PORT))
    assert tool.wait() == 0
    rows = [json.loads(line) for line in tool.output().splitlines()]
    assert len(rows) == 30
    sources = {f"10.9.0.1:{flow.getsockname()[1]}" for flow in flows}
    assert {row["source"] for row in rows} == sources
    for row in rows:
        assert row["destination"] == f"10.9.0.2:{PORT}" and row["protocol"] == "udp"
        assert row["bytes"] == 142 and row["parts"] == 1 and row["mark"] is None
    hashes = {(row["source"], row["hash"]) for row in rows}
    assert len(hashes) == 3 and None not in {h for _, h in hashes}
    assert len({h for _, h in hashes}) == 3


def test_other_packets_reach_the_stack(pair):
    tool = pair.start("count", "--port", PORT, "--protocol", "udp")
    with pair.receiver.entered():
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("10.9.0.2", PORT + 1))
    taken.bind(("10.9.0.2", PORT))
    taken.settimeout(0)
    other.settimeout(5 * SLOW)
    flow = pair.socket()
    flow.sendto(b"for a socket of AF_XDP", ("10.9.0.2", PORT))
    flow.sendto(b"for the stack", ("10.9.0.2", PORT + 1))
    assert other.recv(100) == b"for the stack"
    with pytest.raises(BlockingIOError):
        taken.recv(100)
    report = pair.finish(tool)
    assert total(report, "packets") == 1 and report["program"]["passed"] >= 1


def test_a_ring_that_is_too_small_is_said(pair):
    # The tool is stopped: more comes than the ring and the frames hold.
    tool = pair.start("count", "--port", PORT, "--ring", 64, "--sockets", "queue")
    flow = pair.socket()
    tool.signal(signal.SIGSTOP)
    for _ in range(1000):
        flow.sendto(b"x", ("10.9.0.2", PORT))
    tool.signal(signal.SIGCONT)
    report = pair.finish(tool)
    assert total(report, "packets") + total(report, "rx_ring_full") == 1000
    assert total(report, "packets") >= 64 and total(report, "rx_ring_full") > 0
    assert report["program"]["taken"] == 1000


def test_the_program_goes_with_the_tool(pair):
    tool = pair.start("count", "--all")
    tool.kill()
    wait_for(lambda: "prog/xdp" not in pair.receiver.ip("link show eth0").stdout, "no program")


@pytest.mark.kernel
def test_it_ends_with_its_device(pair):
    tool = pair.start("count", "--port", PORT)
    pair.receiver.ip("link delete eth0")
    assert tool.wait() == 1
    assert "eth0 is gone" in tool.output()


@pytest.mark.kernel
def test_sockets_can_be_had_again_at_once(pair):
    for _ in range(5):
        assert pair.finish(pair.start("count", "--port", PORT))["sockets"]


# --- what can go wrong is said ---


def refused(pair, *arguments, user=None):
    command = [BUILD / "waymark", "xsk", "count", *arguments]
    if user:
        command = ["setpriv", f"--reuid={user}", "--clear-groups", "--inh-caps=-all", *command]
    done = pair.receiver.run(command, check=False)
    assert done.returncode
    return done.returncode, done.stderr


def test_no_such_device(pair):
    code, text = refused(pair, "nosuch0", "--port", "1")
    assert code == 1 and "nosuch0: No such device" in text


def test_packets_must_be_chosen(pair):
    code, text = refused(pair, "eth0")
    assert code == 2 and "--port N, or --all" in text
    code, text = refused(pair, "eth0", "--all", "--port", "7")
    assert code == 2


def test_not_root(pair):
    code, text = refused(pair, "eth0", "--port", "1", user=65534)
    assert code == 1 and "root" in text


def test_queue_is_taken(pair):
    tool = pair.start("count", "--port", PORT)
    code, text = refused(pair, "eth0", "--port", "1")
    assert code == 1 and "queue 0 of eth0 is taken by another AF_XDP socket" in text
    assert not healthy(pair.finish(tool))


def test_another_program_is_there(pair):
    for space in (pair.sender, pair.receiver):
        space.ip("link set eth0 mtu 1500")
    pair.receiver.run([BUILD / "waymark", "softnic", "wire", "eth0"])
    code, text = refused(pair, "eth0", "--port", "1")
    assert code == 1 and "eth0 has an XDP program already" in text


def test_driver_without_xdp(pair):
    code, text = refused(pair, "lo", "--port", "1", "--mode", "native")
    assert code == 1 and "the driver of lo has no XDP" in text and "--mode generic" in text


def test_driver_without_zerocopy(pair):
    code, text = refused(pair, "eth0", "--port", "1", "--bind", "zerocopy")
    assert code == 1 and "the driver cannot do without copies" in text
    tool = pair.start("count", "--port", PORT, "--sockets", "queue")  # bind: auto
    assert not any(row["zero_copy"] for row in pair.finish(tool)["sockets"])


def test_generic_mode_works_where_native_does_not(pair):
    with pair.receiver.entered():
        flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tool = pair.receiver.start([BUILD / "waymark", "--json", "xsk", "dump", "lo", "--port", PORT,
                                "--count", 1, "--mode", "generic"])
    wait_for(lambda: "xdpgeneric" in pair.receiver.ip("link show lo").stdout, "the program")
    flow.sendto(b"x", ("127.0.0.1", PORT))
    assert tool.wait() == 0
    assert json.loads(tool.output())["destination"] == f"127.0.0.1:{PORT}"


@pytest.mark.kernel
def test_one_socket_or_the_reason(pair):
    probe = pair.receiver.run([BUILD / "waymark", "--json", "xsk", "count", "eth0", "--port", "1",
                               "--sockets", "one", "--seconds", "0.1"], check=False)
    if probe.returncode == 0:
        assert json.loads(probe.stdout)["one_socket"] is True
    else:
        assert "XDP_ANY_QUEUE" in probe.stderr and "WM_ANY_QUEUE" not in os.environ


