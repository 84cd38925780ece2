# SPDX-License-Identifier: GPL-2.0
"""A local consumer: a process without privileges, in a namespace without the device,
is a real of a vip. waymarkd makes its AF_XDP sockets and hands them over; veth,
copy mode, two queues. The consumer is Documentation/examples/responder.c."""
import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import struct

import pytest
from netns import LB_MAC, SLOW, wait_for
from servers import ask_udp, start_udp_echo, udp_socket
from waymark import BUILD, Balancer, SoftNic, attach_decap

NOBODY = 65534
PORT = 7


class Consumer:
    """The responder in real3's namespace, as nobody."""

    number = itertools.count(1)

    def __init__(self, net, *options, user=NOBODY, wait=True):
        self.net = net
        program = net.dir / "responder"
        if not program.exists():  # the build directory may be closed to nobody
            shutil.copy(BUILD / "examples/responder", program)
            program.chmod(0o755)
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all",
               "--bounding-set=-all", "--no-new-privs"]
        self.process = net.reals[2].start([*who, program, *options, net.local_socket],
                                          log=f"responder-{next(self.number)}.log")
        if wait:
            wait_for(lambda: "ready" in self.process.output() or not self.process.running(),
                     "the consumer")
            assert self.process.running(), self.process.output()

    def finish(self):
        """Ends it; what it counted."""
        self.process.signal(signal.SIGTERM)
        assert self.process.wait() == 0, self.process.output()
        lines = self.process.output().splitlines()
        return {key: int(value) for key, value in (line.split() for line in lines[1:])}


def two_queues(topology):
    for space, port in ((topology.lb, "eth0"), (topology.wire, "lb")):
        space.run(f"ethtool -L {port} rx 2 tx 2", check=False)  # on one CPU there is one queue


@pytest.fixture
def net(topology):
    os.chmod(topology.dir, 0o711)

    def connect_balancer():  # again
        topology._connect(topology.lb, LB_MAC, "10.200.0.1", "fd00:200::1")
        two_queues(topology)
        topology.wire.run([BUILD / "waymark", "softnic", "wire", "lb"])
        SoftNic(topology)  # its way to the balancer is another device

    topology.connect_balancer = connect_balancer
    two_queues(topology)
    topology.local_socket = topology.dir / "local.sock"
    topology.nic = SoftNic(topology)
    attach_decap(topology)
    start_udp_echo(topology)
    balancer = topology.balancer = Balancer(
        topology, local={"name": "echo", "socket": str(topology.local_socket), "mode": "0660",
                         "group": "nogroup"})
    for name in (f"udp4-1-{PORT}", f"udp6-1-{PORT}"):
        balancer.vip(name)["reals"] = [{"local": "echo"}]
    balancer.write()
    return topology


@pytest.fixture
def running(net):
    net.balancer.start()
    return net


def stats(net):
    return net.balancer.ask("xsk", "stats")


def connected(net):
    return stats(net)["connected"]


def flows(net, vip, number=16):
    made = [udp_socket(net, vip, PORT) for _ in range(number)]
    for flow in made:
        flow.settimeout(5 * SLOW)
    return made


def ping(flow, number):
    flow.send(struct.pack("!I", number) + b"payload")


def check(flow, number):
    answer = flow.recv(2048)
    assert (struct.unpack("!I", answer[:4])[0], answer[4:]) == (number, b"payload")


def dropped(net):
    return {name: n for name, n in net.balancer.counters().items() if name.startswith("drop_") and n}


@pytest.mark.kernel
@pytest.mark.parametrize("v6", [False, True])
def test_every_packet_reaches_the_consumer_in_order(running, v6):
    consumer = Consumer(running)
    vip = (running.vips6 if v6 else running.vips)[0]
    made = flows(running, vip)
    for window in range(0, 200, 10):  # no more under way than the links' queues hold
        for number in range(window, window + 10):
            for flow in made:
                ping(flow, number)
        for flow in made:
            for number in range(window, window + 10):
                check(flow, number)
    counted = consumer.finish()
    assert counted["packets"] == counted["sent"] == 200 * len(made)
    assert counted["marked"] == counted["packets"]  # the mark stands in front of each
    assert not any(counted[key] for key in ("stall_kicks", "dropped", "fill_empty", "tx_full"))
    assert not dropped(running)


@pytest.mark.kernel
def test_flow_table_rules_and_counters_go_on_working(running):
    consumer = Consumer(running)
    made = flows(running, running.vips[0], 4)
    for number in range(40):
        for flow in made:
            ping(flow, number)
            check(flow, number)
    wait_for(lambda: len(running.balancer.rules()) >= 4, "rules")
    for number in range(40, 60):
        for flow in made:
            ping(flow, number)
            check(flow, number)
    counters = running.balancer.counters()
    assert counters["tx_marked"] > 0 and counters["tx_hit"] > 0
    [dest] = [d for d in running.balancer.ask("dest") if d["vip"] == f"udp4-1-{PORT}"]
    assert dest["real"] == "local:echo" and dest["packets"] == 240 and dest["flows"] == 4
    assert dest["marked"] == counters["tx_marked"]
    source = "{}:{}".format(*made[0].getsockname())
    said = running.balancer.where("udp", source, f"{running.vips[0]}:{PORT}")
    assert said["real"] == "local:echo" and said["outer_source"] is None
    assert said["flow"]["real"] == "local:echo"
    assert consumer.finish()["packets"] == 240


def test_without_a_consumer_packets_are_dropped_with_a_reason(running):
    flow = udp_socket(running, running.vips[0], PORT)
    for number in range(10):
        ping(flow, number)
    wait_for(lambda: dropped(running) == {"drop_local": 10}, "10 drops")
    # Others do not care.
    other = udp_socket(running, running.vips[1], PORT)
    assert ask_udp(other)
    consumer = Consumer(running)
    flow.settimeout(5 * SLOW)
    ping(flow, 99)
    check(flow, 99)
    assert consumer.finish()["packets"] == 1
    assert dropped(running) == {"drop_local": 10}


@pytest.mark.kernel
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_daemon_may_come_and_go(running, how):
    consumer = Consumer(running)
    made, number = flows(running, running.vips[0], 8), itertools.count()
    prog = running.balancer.prog_id()

    def go(rounds):
        for _ in range(rounds):
            n = next(number)
            for flow in made:
                ping(flow, n)
            for flow in made:
                check(flow, n)

    go(20)
    for _ in range(3):
        getattr(running.balancer, how)()
        go(20)
        running.balancer.start(wait=False)
        go(50)  # while it starts
        wait_for(lambda: connected(running), "the consumer to be known")
        said = running.balancer.daemon.output()  # it knew everything again
        assert "took over 8 vips" in said and not re.search("added|removed|filled", said)
        go(20)
        assert running.balancer.prog_id() == prog
        assert stats(running)["pid"] == consumer.process.pid
        assert not dropped(running)
    sent = next(number) * len(made)
    counted = consumer.finish()
    assert counted["packets"] == counted["sent"] == sent
    assert not any(counted[key] for key in ("stall_kicks", "dropped", "fill_empty", "tx_full"))


@pytest.mark.kernel
def test_a_consumer_that_was_killed_leaves_nothing(running):
    flow = udp_socket(running, running.vips[0], PORT)
    flow.settimeout(5 * SLOW)
    for number in range(5):
        consumer = Consumer(running)
        ping(flow, number)
        check(flow, number)
        consumer.process.kill()
    wait_for(lambda: not connected(running), "the daemon to notice")
    assert stats(running)["sockets"] == []
    ping(flow, 99)
    wait_for(lambda: dropped(running).get("drop_local"), "a drop")


def test_one_consumer_at_a_time(running):
    first = Consumer(running)
    second = Consumer(running, wait=False)
    assert second.process.wait() == 1
    assert f"process {first.process.pid} is the consumer already" in second.process.output()
    flow = udp_socket(running, running.vips[0], PORT)
    flow.settimeout(5 * SLOW)
    ping(flow, 1)
    check(flow, 1)
    assert first.finish()["packets"] == 1


def test_who_may_be_the_consumer(running):
    stranger = Consumer(running, user=12345, wait=False)
    assert stranger.process.wait() == 1
    assert "Permission denied" in stranger.process.output()
    status = os.stat(running.local_socket)
    assert (status.st_mode & 0o777, status.st_gid) == (0o660, NOBODY)
    assert stats(running)["connected"] is False


def test_a_consumer_that_does_not_read_hurts_only_itself(net):
    net.balancer.config["local"]["ring"] = 64
    net.balancer.write()
    net.balancer.start()
    consumer = Consumer(net)
    consumer.process.signal(signal.SIGSTOP)
    flow = udp_socket(net, net.vips[0], PORT)
    for number in range(1000):
        ping(flow, number)
    wait_for(lambda: sum(s["rx_ring_full"] for s in stats(net)["sockets"]) > 0, "a full ring")
    # The same queues serve other vips meanwhile.
    others = [udp_socket(net, net.vips[1], PORT) for _ in range(8)]
    for other in others:
        assert ask_udp(other)
    assert not dropped(net)
    consumer.process.signal(signal.SIGCONT)
    # What the rings held is answered; a probe is, once there is room for it.
    flow.settimeout(0.2 * SLOW)
    answers, probes = [], 0
    while 5000 not in answers:
        ping(flow, 5000)
        probes += 1
        assert probes < 50
        with contextlib.suppress(socket.timeout):
            while 5000 not in answers:
                answers.append(struct.unpack("!I", flow.recv(2048)[:4])[0])
    assert 64 <= len(answers) - 1 < 1000

    def settled():  # a probe may have been slow
        with contextlib.suppress(socket.timeout):
            while True:
                answers.append(struct.unpack("!I", flow.recv(2048)[:4])[0])
        full = sum(s["rx_ring_full"] for s in stats(net)["sockets"])
        return len(answers) + full == 1000 + probes

    wait_for(settled, "each packet to be answered or counted")
    assert consumer.finish()["stall_kicks"] == 0


def test_local_and_distant_reals_share_a_vip(net):
    net.balancer.vip(f"udp4-1-{PORT}")["reals"] += net.balancer.reals(which=[1])
    net.balancer.write()
    net.balancer.start()
    consumer = Consumer(net)
    made = flows(net, net.vips[0], 40)
    for flow in made:
        flow.send(b"who")
    answers = [flow.recv(2048) for flow in made]
    here = sum(answer == b"who" for answer in answers)
    assert 0 < here < 40
    assert all(answer in (b"who", b"real1 who") for answer in answers)
    assert consumer.finish()["packets"] == here


def test_dns_questions_are_answered(running):
    consumer = Consumer(running, "-d")
    flow = udp_socket(running, running.vips[0], PORT)
    flow.settimeout(5 * SLOW)
    question = b"\x07example\x03com\x00" + struct.pack("!HH", 1, 1)
    flow.send(b"no question at all")
    flow.send(struct.pack("!HHHHHH", 0xbeef, 0x0100, 1, 0, 0, 0) + question)
    answer = flow.recv(2048)
    assert answer[:12] == struct.pack("!HHHHHH", 0xbeef, 0x8500, 1, 1, 0, 0)
    assert answer[12:].startswith(question)
    assert answer[12 + len(question):] == (b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) +
                                           socket.inet_aton("192.0.2.1"))
    assert consumer.finish()["sent"] == 1


def test_sockets_of_a_device_that_is_gone_are_refused(running):
    consumer = Consumer(running)
    running.lb.ip("link delete eth0")
    assert running.balancer.daemon.wait() != 0  # nothing is left to serve
    running.connect_balancer()
    running.balancer.start()
    assert consumer.process.wait() == 1
    assert "Stale" in consumer.process.output()
    consumer = Consumer(running)
    flow = udp_socket(running, running.vips[0], PORT)
    ping(flow, 1)
    check(flow, 1)
    assert consumer.finish()["packets"] == 1


# --- refused ---


def test_a_group_that_there_is_not(net):
    net.balancer.config["local"]["group"] = "no-such-group"
    net.balancer.write()
    done = net.balancer.run()
    assert done.returncode and 'there is no group "no-such-group"' in done.stderr
    assert net.balancer.prog_id() is None


def test_local_is_fixed_while_the_daemon_runs(running):
    running.balancer.config["local"]["ring"] = 128
    running.balancer.write()
    done = running.balancer.cli("reload", check=False)
    assert done.returncode and '"local" differs' in done.stderr


def test_stats_without_a_local_consumer(net):
    del net.balancer.config["local"]
    for name in (f"udp4-1-{PORT}", f"udp6-1-{PORT}"):
        net.balancer.vip(name)["reals"] = net.balancer.reals(v6=name.startswith("udp6"))
    net.balancer.write()
    net.balancer.start()
    done = net.balancer.cli("xsk", "stats", check=False)
    assert done.returncode == 1 and "no local consumer" in done.stderr


def test_nonsense_on_the_socket(running):
    consumer = Consumer(running)
    flow = udp_socket(running, running.vips[0], PORT)
    flow.settimeout(5 * SLOW)
    size = 9 * 4 + 16 + 256  # struct wm_handover
    strange = struct.pack("=8I", 0x68786d77, 1, 9, 0, 1, 1, 64, 2048).ljust(size, b"\0")
    resume = struct.pack("=9I16s", 0x68786d77, 1, 2, 0, 2, 2, 64, 2048, 0, b"eth0").ljust(size, b"\0")
    for message in (b"x", b"\0" * 4096, strange, resume):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(5 * SLOW)
            peer.connect(str(running.local_socket))
            socket.send_fds(peer, [message], [0, 1, 2])
            assert len(peer.recv(4096)) in (0, size)
    ping(flow, 1)
    check(flow, 1)
    assert consumer.finish()["packets"] == 1
