# SPDX-License-Identifier: GPL-2.0
"""A local consumer: a process without privileges, in a namespace without the device,
is a real of a vip. waymarkd makes its AF_XDP sockets and hands them over; veth,
copy mode, two queues. The consumer is Documentation/examples/responder.c."""
import contextlib
import functools
import itertools
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import time

import pytest
from hostile import Lingering
from netns import LB_MAC, SLOW, wait_for
from protocol import faults_of, read_protocol
from servers import ask_udp, start_udp_echo, udp_socket
from waymark import BUILD, Balancer, Client, SoftNic, attach_decap

NOBODY = 65534
PORT = 7
SECOND_MAC = "02:00:0a:c8:00:03"


class Consumer:
    """The responder in real3's namespace, as nobody."""

    number = itertools.count(1)

    def __init__(self, net, *options, user=NOBODY, wait=True, socket_path=None):
        self.net = net
        program = net.dir / "responder"
        if not program.exists():  # the build directory may be closed to nobody
            shutil.copy(BUILD / "examples/responder", program)
            program.chmod(0o755)
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all",
               "--bounding-set=-all", "--no-new-privs"]
        self.process = net.reals[2].start([*who, program, *options,
                                           socket_path or net.local_socket],
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


@functools.cache
def shape_of_stats():
    return read_protocol(BUILD / "waymark")["xsk"]


def stats(net, *name):
    answer = net.balancer.ask("xsk", "stats", *name)
    assert faults_of(shape_of_stats(), answer) == []
    return answer


def connected(net, *name):
    return stats(net, *name)["connected"]


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
@pytest.mark.usefixtures("one_cpu")
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
    wait_for(lambda: shares(net)[0] > 0, "it to get its share")
    made = flows(net, net.vips[0], 40)
    for flow in made:
        flow.send(b"who")
    answers = [flow.recv(2048) for flow in made]
    here = sum(answer == b"who" for answer in answers)
    assert 0 < here < 40
    assert all(answer in (b"who", b"real1 who") for answer in answers)
    assert consumer.finish()["packets"] == here


def shares(net, vip=f"udp4-1-{PORT}"):
    """Slots of each real of a vip, in the order of the configuration."""
    return [row["slots"] for row in net.balancer.ask("real", vip)]


@pytest.fixture
def shared_vip(net):
    """A vip of the consumer and of two distant reals."""
    net.balancer.vip(f"udp4-1-{PORT}")["reals"] += net.balancer.reals(which=[1, 2])
    net.balancer.write()
    net.balancer.start()
    return net


new_ports = itertools.count(20000)  # none of them is a former flow's


def ask_all(net, number=40):
    """Answers to as many new flows; all of them have to come."""
    made = [udp_socket(net, net.vips[0], PORT, next(new_ports)) for _ in range(number)]
    for flow in made:
        flow.send(b"who")
    answers = [flow.recv(2048) for flow in made]
    for flow in made:
        flow.close()
    return answers


def test_a_consumer_that_is_gone_gets_no_new_flows(shared_vip):
    net = shared_vip
    first = net.balancer.ask("real", f"udp4-1-{PORT}")[0]
    assert (first["slots"], first["why"]) == (0, "no process is the local consumer now")
    assert b"who" not in ask_all(net)
    assert "echo: nobody" in net.balancer.cli("status").stdout
    for end in ("kill", "finish"):
        consumer = Consumer(net)
        wait_for(lambda: shares(net)[0] > 0, "it to get its share")
        assert f"echo: process {consumer.process.pid}" in net.balancer.cli("status").stdout
        assert b"who" in ask_all(net)
        consumer.process.kill() if end == "kill" else consumer.finish()
        wait_for(lambda: shares(net)[0] == 0, "others to get its share")
        assert sum(shares(net)) == 65537
        assert b"who" not in ask_all(net)
    assert "has gone: new flows go to other reals" in net.balancer.daemon.output()
    assert not dropped(net)
    # The vip that is its own keeps its ring, and waits.
    assert shares(net, f"udp6-1-{PORT}") == [65537]


def test_its_share_outlives_the_daemon(shared_vip):
    net = shared_vip
    consumer = Consumer(net)
    wait_for(lambda: shares(net)[0] > 0, "it to get its share")
    before = shares(net)
    net.balancer.kill()
    consumer.process.signal(signal.SIGSTOP)  # it cannot say that it is there
    net.balancer.start()
    assert shares(net) == before or "has not come back" in net.balancer.daemon.output()
    wait_for(lambda: shares(net)[0] == 0, "the daemon's patience to end")
    assert "local consumer echo has not come back" in net.balancer.daemon.output()
    net.balancer.stop()
    net.balancer.start()  # this one knows already
    assert shares(net)[0] == 0
    assert "has not come back" not in net.balancer.daemon.output()
    consumer.process.signal(signal.SIGCONT)
    wait_for(lambda: shares(net) == before, "it to be back")
    assert b"who" in ask_all(net)
    consumer.finish()


def test_what_a_consumer_leaves_behind_gets_nothing(shared_vip):
    """Its sockets live on in another process; its packets do not go there."""
    net = shared_vip
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.settimeout(30 * SLOW)
        peer.connect(str(net.local_socket))
        peer.send(hello(NEW))
        kept = socket.recv_fds(peer, 4096, 253)[1]
        wait_for(lambda: shares(net)[0] > 0, "it to get its share")
    wait_for(lambda: shares(net)[0] == 0, "others to get its share")
    flow = udp_socket(net, net.vips6[0], PORT)  # of a vip that is its own
    for number in range(5):
        ping(flow, number)
    wait_for(lambda: dropped(net) == {"drop_local": 5}, "drops with a reason")
    for fd in kept:
        os.close(fd)


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


# --- several interfaces ---


@pytest.fixture
def two_nics(net):
    """The balancer has eth1, with one queue, in the same link; the client reaches the second
    vip through it, and both vips are the consumer's."""

    def connect_second():
        net.wire.ip(f"link add lb1 mtu 1600 type veth peer name eth1 mtu 1600 "
                    f"address {SECOND_MAC} netns {net.lb.name}")
        net.wire.sysctl("net.ipv6.conf.lb1.disable_ipv6", 1)
        net.wire.ip("link set lb1 master br0 up")
        # Else it answers ARP for eth0's address: frames for eth0 would carry its own.
        net.lb.sysctl("net.ipv4.conf.eth1.arp_ignore", 1)
        net.lb.ip("link set eth1 up")

    net.connect_second = connect_second
    connect_second()
    net.client.ip(f"neigh replace 10.200.0.3 lladdr {SECOND_MAC} dev eth0")
    net.client.ip(f"route add {net.vips[1]}/32 via 10.200.0.3 onlink dev eth0")
    net.balancer.config["interface"] = ["eth0", "eth1"]
    net.balancer.vip(f"udp4-2-{PORT}")["reals"] = [{"local": "echo"}]
    net.balancer.write()
    net.balancer.start()
    return net


def received_by(net, device):
    return json.loads(net.lb.run(f"ip -j -s link show {device}").stdout)[0]["stats64"]["rx"]["packets"]


def exchange(made, numbers):
    for number in numbers:
        for flow in made:
            ping(flow, number)
        for flow in made:
            check(flow, number)


@pytest.mark.kernel
def test_one_consumer_serves_two_interfaces(two_nics):
    net = two_nics
    consumer = Consumer(net)
    made = flows(net, net.vips[0], 4) + flows(net, net.vips[1], 4)
    before = received_by(net, "eth1")
    exchange(made, range(40))
    assert received_by(net, "eth1") - before >= 160  # not all by the first
    said = stats(net)
    assert said["device"] == "eth0 eth1"
    devices = [row["device"] for row in said["sockets"]]
    assert sorted(set(devices)) == ["eth0", "eth1"] and devices == sorted(devices)
    net.balancer.kill()
    exchange(made, range(40, 60))
    net.balancer.start()
    wait_for(lambda: connected(net), "the consumer to be known")
    exchange(made, range(60, 80))
    assert not dropped(net)
    counted = consumer.finish()
    assert counted["packets"] == counted["sent"] == 80 * len(made)


@pytest.mark.kernel
def test_an_interface_may_come_and_go(two_nics):
    net = two_nics
    consumer = Consumer(net)
    first, second = flows(net, net.vips[0], 2), flows(net, net.vips[1], 2)
    exchange(first + second, range(10))
    net.lb.ip("link delete eth1")
    wait_for(lambda: "interface eth1 is gone" in net.balancer.daemon.output(), "the daemon to notice")
    exchange(first, range(10, 20))
    net.connect_second()
    # Its sockets were for what is gone: it is told so, and the next one gets others.
    assert consumer.process.wait() == 1
    assert "Stale" in consumer.process.output()
    consumer = Consumer(net)
    exchange(first + second, range(20, 30))
    assert consumer.finish()["packets"] == 40


def test_more_interfaces_than_there_is_room_for(net):
    net.balancer.config["interface"] = [f"eth{i}" for i in range(5)]
    net.balancer.write()
    done = net.balancer.run()
    assert done.returncode and "local: expected at most 4 interfaces, found 5" in done.stderr


# --- several consumers ---


@pytest.fixture
def several(net):
    """Two consumers, each with a vip; what is started must do for both."""
    net.sockets = {name: net.dir / f"{name}.sock" for name in ("one", "two")}
    net.balancer.config["local"] = [
        {"name": name, "socket": str(path), "mode": "0660", "group": "nogroup"}
        for name, path in net.sockets.items()]
    for name, vip in (("one", f"udp4-1-{PORT}"), ("two", f"udp4-2-{PORT}"), ("one", f"udp6-1-{PORT}")):
        net.balancer.vip(vip)["reals"] = [{"local": name}]
    net.balancer.write()
    return net


def need_any_queue(net):
    """The kernel has sockets for all queues."""
    probe = net.lb.run([BUILD / "waymark", "xsk", "count", "eth0", "--port", "1",
                        "--sockets", "one", "--seconds", "0.1"], check=False)
    if probe.returncode:
        assert "WM_ANY_QUEUE" not in os.environ, probe.stderr
        pytest.skip("this kernel has no XDP_ANY_QUEUE")


@pytest.fixture
def any_queue(several):
    need_any_queue(several)
    several.balancer.start()
    return several


def test_several_consumers_need_sockets_for_all_queues(several):
    done = several.lb.run([BUILD / "waymark", "xsk", "count", "eth0", "--port", "1", "--sockets",
                           "one", "--seconds", "0.1"], check=False)
    if not done.returncode:
        pytest.skip("this kernel has XDP_ANY_QUEUE")
    done = several.balancer.run()
    assert done.returncode and "local: 2 consumers" in done.stderr
    assert "XDP_ANY_QUEUE" in done.stderr and "name one" in done.stderr
    assert several.balancer.prog_id() is None


@pytest.mark.kernel
def test_each_consumer_gets_what_is_its_own(any_queue):
    net = any_queue
    one, two = (Consumer(net, socket_path=path) for path in net.sockets.values())
    for_one, for_two = flows(net, net.vips[0], 8), flows(net, net.vips[1], 8)
    exchange(for_one + for_two, range(20))
    exchange(for_two, range(20, 30))
    assert [stats(net, name)["pid"] for name in net.sockets] == [one.process.pid, two.process.pid]
    done = net.balancer.cli("xsk", "stats", check=False)
    assert done.returncode == 1 and "which local consumer?" in done.stderr
    done = net.balancer.cli("xsk", "stats", "three", check=False)
    assert done.returncode == 1 and 'no local consumer "three"' in done.stderr
    # One that does not read, or is gone, is no matter to the other.
    one.process.signal(signal.SIGSTOP)
    for flow in for_one:
        ping(flow, 99)
    exchange(for_two, range(30, 40))
    one.process.signal(signal.SIGCONT)
    for flow in for_one:
        check(flow, 99)
    assert one.finish()["packets"] == 21 * 8
    exchange(for_two, range(40, 50))
    wait_for(lambda: not connected(net, "one"), "the daemon to notice")
    ping(for_one[0], 100)
    wait_for(lambda: dropped(net) == {"drop_local": 1}, "a drop")
    assert two.finish()["packets"] == 50 * 8


@pytest.mark.kernel
def test_a_consumer_without_a_queue_to_hold(several):
    net = several
    net.sockets["three"] = net.dir / "three.sock"
    net.balancer.config["local"].append({"name": "three", "socket": str(net.sockets["three"]),
                                         "mode": "0660", "group": "nogroup"})
    net.balancer.write()
    need_any_queue(net)
    net.balancer.start()
    three = Consumer(net, wait=False, socket_path=net.sockets["three"])
    assert three.process.wait() == 1
    assert "eth0 has 2 receive queues, and the socket is to hold queue 2" in three.process.output()
    two = Consumer(net, socket_path=net.sockets["two"])
    exchange(flows(net, net.vips[1], 4), range(10))
    assert two.finish()["packets"] == 40


@pytest.mark.kernel
def test_consumers_that_change_places_get_nothing_of_each_other(any_queue):
    net = any_queue
    one, two = (Consumer(net, socket_path=path) for path in net.sockets.values())
    for_one, for_two = flows(net, net.vips[0], 4), flows(net, net.vips[1], 4)
    exchange(for_one + for_two, range(10))
    net.balancer.stop()
    two.process.signal(signal.SIGSTOP)  # it cannot say that it is there
    net.balancer.config["local"].reverse()
    net.balancer.write()
    net.balancer.start()
    wait_for(lambda: connected(net, "one"), "the first one to be known")
    exchange(for_one, range(10, 20))
    for flow in for_two:  # its place was the first one's
        ping(flow, 10)
    wait_for(lambda: dropped(net) == {"drop_local": 4}, "drops")
    two.process.signal(signal.SIGCONT)
    wait_for(lambda: connected(net, "two"), "the second one to be known")
    exchange(for_one + for_two, range(20, 30))
    assert one.finish()["packets"] == 30 * 4
    assert two.finish()["packets"] == 20 * 4


# --- without copies ---


def test_zero_copy_where_the_driver_has_none(net):
    net.balancer.config["local"]["zero-copy"] = "always"
    net.balancer.write()
    net.balancer.start()
    consumer = Consumer(net, wait=False)
    assert consumer.process.wait() == 1
    why = "queue 0 of eth0: the driver cannot do without copies"
    assert why in consumer.process.output() and why in net.balancer.daemon.output()
    assert ask_udp(udp_socket(net, net.vips[1], PORT))  # others do not care


def test_zero_copy_if_possible_says_what_came_of_it(net):
    net.balancer.config["local"]["zero-copy"] = "auto"
    net.balancer.write()
    net.balancer.start()
    consumer = Consumer(net)
    exchange(flows(net, net.vips[0], 4), range(10))
    assert "the driver of eth0 cannot do without copies: packets are copied" in \
        net.balancer.daemon.output()
    assert not any(row["zero_copy"] for row in stats(net)["sockets"])
    assert consumer.finish()["packets"] == 40


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


HANDOVER = 8 * 4 + 4 * (16 + 4) + 256  # bytes of struct wm_handover
NEW, RESUME, OFFER, REFUSE = 1, 2, 3, 4


def hello(kind, queues=2, device=b"eth0"):
    return struct.pack("=8I16sI", 0x68786d77, 2, kind, 0, 2048, 64, 0, 1, device,
                       queues).ljust(HANDOVER, b"\0")


def test_the_log_is_not_a_strangers(running):
    """Neither its words nor its lines are for whoever connects."""
    began, number = time.monotonic(), 200
    for _ in range(number):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(5 * SLOW)
            peer.connect(str(running.local_socket))
            socket.send_fds(peer, [hello(RESUME, device=b"e\n<0>x\r\x1b[2J\xff")], [0, 1, 2])
            kind, text = struct.unpack_from("=8xI100x256s", peer.recv(4096).ljust(HANDOVER, b"\0"))
            assert kind == REFUSE and b"sockets are for 2 queues of e" in text
    seconds = time.monotonic() - began
    log = running.balancer.daemon.log.read_bytes()
    assert b"queues of e\\x0a<0>x\\x0d\\x1b[2J\\xff; it is 2 of eth0 now" in log
    lines = log.splitlines()
    assert all(line.startswith(b"waymarkd: ") and line.isascii() for line in lines), lines
    refused = sum(b"is refused" in line for line in lines)
    assert 10 <= refused <= 10 + seconds + 1 < number


def open_descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def test_descriptors_that_come_along_do_not_stay(running):
    before = open_descriptors(running.balancer.daemon)
    for message in (b"", b"x", b"\0" * 4096):
        for count in (1, 129, 130, 253):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
                peer.settimeout(5 * SLOW)
                peer.connect(str(running.local_socket))
                for _ in range(4):  # only the first may still be read
                    with contextlib.suppress(BrokenPipeError):
                        socket.send_fds(peer, [message], [0] * count)
                with contextlib.suppress(ConnectionResetError):
                    assert peer.recv(4096) == b""
    wait_for(lambda: open_descriptors(running.balancer.daemon) <= before, "all to be closed")


def test_who_comes_is_told_that_there_are_no_descriptors(running):
    """But not a consumer that has its sockets: it would take new ones."""
    daemon, clients = running.balancer.daemon, []
    most = open_descriptors(daemon) + 2
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (most, limits[1]))
    replied = True
    while replied:  # what is left goes to clients of the control socket
        clients.append(Client(running.balancer.socket))
        with contextlib.suppress(BrokenPipeError):
            clients[-1].send(command="status")
        replied = clients[-1].reply()["ok"]
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    silent.connect(str(running.local_socket))  # and what has become free since to this one
    for kind in (NEW, RESUME, NEW):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(5 * SLOW)
            daemon.signal(signal.SIGSTOP)
            peer.connect(str(running.local_socket))
            peer.send(hello(kind))
            daemon.signal(signal.SIGCONT)
            answer = peer.recv(4096)
            if kind == RESUME:
                assert answer == b""
                continue
            got, text = struct.unpack_from("=8xI100x256s", answer.ljust(HANDOVER, b"\0"))
            assert got == REFUSE and b"waymarkd has no descriptor left" in text
    assert daemon.output().count("local consumer echo: a connection cannot be taken: ") <= 1
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
    for client in (silent, *clients):
        client.close()
    assert Consumer(running).finish()["packets"] == 0


def test_what_lingers_holds_nobody_up(running):
    daemon = running.balancer.daemon
    before = open_descriptors(daemon)
    with Lingering() as far:
        for messages in ([b""], [hello(9)], [hello(NEW)], [hello(RESUME)], [hello(NEW), b"more"]):
            far.pass_on(running.local_socket, socket.SOCK_SEQPACKET, *messages)
            assert not connected(running)  # it answers
        far.pass_on(running.local_socket, socket.SOCK_SEQPACKET, hello(RESUME), count=40)
        consumer = Consumer(running)
        flow = udp_socket(running, running.vips[0], PORT)
        flow.settimeout(5 * SLOW)
        ping(flow, 1)
        check(flow, 1)
        far.pass_on(running.local_socket, socket.SOCK_SEQPACKET, hello(RESUME), hello(NEW))
        assert connected(running)
        assert consumer.finish()["packets"] == 1
        wait_for(lambda: open_descriptors(daemon) <= before, "all to be closed")
        far.pass_on(running.local_socket, socket.SOCK_SEQPACKET, b"", b"", b"")
        assert running.balancer.stop() == 0
        assert not daemon.running()


def test_sockets_are_made_beside_everything_else(running):
    """A queue whose socket somebody keeps is tried again and again."""
    def connect(kind=NEW):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        peer.settimeout(30 * SLOW)
        peer.connect(str(running.local_socket))
        peer.send(hello(kind))
        return peer

    with connect() as former:
        answer, kept, _flags, _from = socket.recv_fds(former, 4096, 253)
        assert struct.unpack_from("=8xI", answer) == (OFFER,) and len(kept) == 3
    wait_for(lambda: not connected(running), "the daemon to notice")
    asked, peers = 0, [connect() for _ in range(3)]
    client = Client(running.balancer.socket)
    while not all(select.select([peer], [], [], 0)[0] for peer in peers):
        client.ask("status")
        asked += 1
    client.close()
    for peer in peers:
        kind, text = struct.unpack_from("=8xI100x256s", peer.recv(4096))
        assert kind == REFUSE and b"is taken by another AF_XDP socket" in text
        peer.close()
    # Each of them takes seconds; in between one request would be answered anyway.
    assert asked >= 20
    for fd in kept:
        os.close(fd)
    assert Consumer(running).finish()["packets"] == 0


@pytest.mark.parametrize("user", [0, NOBODY])
def test_silent_connections_give_way(running, user):
    silent = []

    def connect():
        os.seteuid(user)
        try:
            for _ in range(40):
                peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                peer.settimeout(30 * SLOW)
                peer.connect(str(running.local_socket))
                silent.append(peer)
        finally:
            os.seteuid(0)

    os.chmod(running.local_socket, 0o666)
    for _ in range(5):
        connect()
        consumer = Consumer(running)
        assert stats(running)["pid"] == consumer.process.pid
        connect()
        assert stats(running)["pid"] == consumer.process.pid  # it has spoken, and stays
        consumer.finish()
        wait_for(lambda: not connected(running), "the daemon to notice")
    assert not any(peer.recv(4096) for peer in silent[:300])  # all of these are gone
    for peer in silent:
        peer.close()


def test_nonsense_on_the_socket(running):
    consumer = Consumer(running)
    flow = udp_socket(running, running.vips[0], PORT)
    flow.settimeout(5 * SLOW)
    size = HANDOVER
    strange, resume, lie = (hello(kind, queues) for kind, queues in ((9, 2), (2, 2), (2, 1 << 31)))
    for message in (b"x", b"\0" * 4096, strange, resume, lie):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(5 * SLOW)
            peer.connect(str(running.local_socket))
            socket.send_fds(peer, [message], [0, 1, 2])
            assert len(peer.recv(4096)) in (0, size)
    ping(flow, 1)
    check(flow, 1)
    assert consumer.finish()["packets"] == 1
