#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Queues one by one, on netdevsim with the kernel series; runs inside the guest.

The network of waymark_guest.py with four queues: a filter on the wire's side says on
which of the balancer's receive queues all packets arrive, unless a rule in its NIC
leads them to another one.
"""
import ctypes
import json
import os
import shutil
import socket
import struct
import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

# pylint: disable=wrong-import-position
from netns import sh, wait_for  # noqa: E402
from interfaces_guest import TwoNics  # noqa: E402
from servers import ask_udp, start_nginx, start_udp_echo, udp_socket  # noqa: E402
from tap import run_tests, tests_in  # noqa: E402
from waymark import BUILD, Balancer, attach_decap  # noqa: E402

PATIENCE = 60  # seconds for a condition: the guest is emulated
QUEUES = 4
QUEUE_SET, SYS_BPF, BPF_OBJ_GET = 67, 321, 7


MARK_PREFS, STEER_PREFS = (11, 12), (13, 14)  # of rules that mark, and of steering rules
TCAM = 64  # steering rules that netdevsim has room for, whoever's


class QueueTopology(TwoNics):
    """The NIC has four queues; arrive() says which one packets come on."""

    queues = QUEUES

    def arrive(self, queue):
        self.wire.run("tc qdisc del dev lb clsact", check=False)
        self.wire.run("tc qdisc add dev lb clsact")
        self.wire.run(f"tc filter add dev lb egress matchall action skbedit queue_mapping {queue}")


# --- what the tests look at ---

def queue(net, *args, check=True):
    return net.lb.run([BUILD / "waymark", "queue", *args], check=check)


def rx(net):
    """The receive queues of eth0, by number."""
    rows = json.loads(queue(net, "list", "eth0", "--json").stdout)
    return {r["queue"]: r for r in rows if r["type"] == "rx"}


def states(net):
    return [row["state"] for _, row in sorted(rx(net).items())]


def with_program(net):
    """Queue: program, of those that have one."""
    return {n: r["xdp_prog_id"] for n, r in rx(net).items() if r["xdp_prog_id"]}


def filters(net, device="eth0"):
    """What the NIC says it has, as tc shows it."""
    text = net.lb.run(f"tc -j -s filter show dev {device} ingress").stdout
    return [f for f in json.loads(text) if f.get("options", {}).get("in_hw")]


def mark_rules(net):
    return [f for f in filters(net) if f["pref"] in MARK_PREFS]


def queues_of(rules):
    return {a["queue_mapping"] for f in rules for a in f["options"]["actions"]
            if "queue_mapping" in a}


def steering(net, device="eth0"):
    """Vip -> the queues that its steering rules lead to."""
    found = {}
    for f in filters(net, device):
        keys = f["options"]["keys"]
        if f["pref"] in STEER_PREFS:
            vip = (keys["dst_ip"], keys["ip_proto"], keys.get("dst_port"))
            found.setdefault(vip, []).extend(queues_of([f]))
    return {vip: sorted(queues) for vip, queues in found.items()}


def all_steered(net, queues):
    """What steering() shall say."""
    return {(v["address"], v["protocol"], v["port"]): queues for v in net.balancer.config["vips"]}


def steered_packets(net):
    """Steering rule -> packets; one that was made anew begins with 0."""
    return {(f["pref"], f["options"]["handle"]):
            int(f["options"]["actions"][0]["stats"].get("hw_packets", 0))
            for f in filters(net) if f["pref"] in STEER_PREFS}


def received(net):
    link = json.loads(net.lb.run("ip -j -s link show eth0").stdout)[0]
    return link["stats64"]["rx"]["packets"]


def seen(net):
    """Packets that the program saw."""
    return sum(n for name, n in net.balancer.counters().items()
               if name.startswith(("tx_", "pass_", "drop_")))


def refused(net, text, *args, code=1):
    done = queue(net, *args, check=False)
    assert done.returncode == code and text in done.stderr, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr


def answered(net, vip=None, times=3):
    sock = udp_socket(net, vip or net.vips[0])
    try:
        return {ask_udp(sock) for _ in range(times)}
    finally:
        sock.close()


def send_unseen(net):
    """Five datagrams for a vip that the NIC receives and the program does not see."""
    sock = udp_socket(net, net.vips[0])
    nic, program = received(net), seen(net)
    for _ in range(5):
        sock.send(b"lost")
    wait_for(lambda: received(net) >= nic + 5, "the NIC to receive", PATIENCE)
    assert seen(net) == program, "the program saw packets of a queue that is not its own"
    sock.close()


def udp_from(net, vip, sport):
    """Who answers a datagram from this port?"""
    sock = udp_socket(net, vip)
    sock.close()
    with net.client.entered():
        sock = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    try:
        sock.bind(("", sport))
        sock.connect((vip, 7))
        return ask_udp(sock)
    finally:
        sock.close()


def tcp_from(net, vip, sport):
    """Who answers a connection from this port?"""
    with net.client.entered():
        sock = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET)
    sock.settimeout(PATIENCE)
    try:
        sock.bind(("", sport))
        sock.connect((vip, 80))
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        text = b""
        while got := sock.recv(4096):
            text += got
        return text.split(b"\r\n\r\n")[1].decode().strip()
    finally:
        sock.close()


def is_refused_by_the_host(net):
    """The host has what is not for a vip: a port that is closed is refused, not silent."""
    sock = udp_socket(net, "10.200.0.1", 9)
    before = seen(net)
    sock.send(b"x")
    try:
        sock.recv(10)
        return False
    except ConnectionRefusedError:
        return seen(net) == before
    finally:
        sock.close()


def limit(net, queues):
    net.balancer.config["interface"] = {"name": "eth0", "queues": queues} if queues else "eth0"
    net.balancer.write()


def logged(net, text):
    wait_for(lambda: text in net.balancer.daemon.output(), f"the log to say: {text}", PATIENCE)


class Netdev:
    """The netdev family by hand, for what somebody else does to a queue."""

    def __init__(self, net):
        with net.lb.entered():
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.sock.settimeout(PATIENCE)
        self.ifindex = json.loads(net.lb.run("ip -j link show eth0").stdout)[0]["ifindex"]
        reply = self._ask(16, 3, self._attr(2, b"netdev\0"))
        self.family = struct.unpack_from("=H", reply, reply.index(b"\x06\x00\x01\x00") + 4)[0]

    @staticmethod
    def _attr(number, data):
        return struct.pack("=HH", 4 + len(data), number) + data.ljust(-len(data) % 4 + len(data),
                                                                      b"\0")

    def _ask(self, kind, command, attrs, flags=1):
        payload = struct.pack("=BBH", command, 1, 0) + attrs
        self.sock.send(struct.pack("=IHHII", 16 + len(payload), kind, flags, 1, 0) + payload)
        return self.sock.recv(65536)

    def set_program(self, number, fd):
        attrs = b"".join(self._attr(n, struct.pack("=i", v)) for n, v in
                         ((2, self.ifindex), (3, 0), (1, number), (66, fd)))
        error = struct.unpack_from("=i", self._ask(self.family, QUEUE_SET, attrs, 5), 16)[0]
        assert error == 0, os.strerror(-error)


def foreign_program(net):
    """A descriptor of an XDP program that is not ours."""
    path = net.bpffs / "foreign"
    if not path.exists():
        sh(["bpftool", "prog", "load", BUILD / "softnic.bpf.o", path])
    name = ctypes.create_string_buffer(str(path).encode())
    attr = struct.pack("=QII", ctypes.addressof(name), 0, 0)
    fd = ctypes.CDLL(None).syscall(SYS_BPF, BPF_OBJ_GET, attr, len(attr))
    assert fd >= 0, "no foreign program"
    return fd


# --- the command; no daemon is concerned ---

def test_list_shows_states(net):
    assert states(net) == ["running"] * QUEUES
    assert with_program(net) == {}
    text = queue(net, "list", "eth0").stdout.splitlines()
    assert text[1].split()[:4] == ["eth0", "rx", "0", "running"], text


def test_a_stopped_queue_loses_its_packets_and_no_other(net):
    net.arrive(2)
    assert answered(net)
    row = json.loads(queue(net, "stop", "eth0", "2", "--json").stdout)
    assert [(r["queue"], r["state"]) for r in row] == [(2, "stopped")], row
    assert states(net) == ["running", "running", "stopped", "running"]
    sock = udp_socket(net, net.vips[0])
    before = net.balancer.sent()[0]
    for _ in range(5):
        sock.send(b"lost")
    net.arrive(1)
    assert answered(net, times=5)  # these came later, so the others would be counted by now
    assert net.balancer.sent()[0] == before + 5
    sock.close()
    queue(net, "start", "eth0", "2")
    assert states(net) == ["running"] * QUEUES
    net.arrive(2)
    assert answered(net)


def test_restart_of_several(net):
    rows = json.loads(queue(net, "restart", "eth0", "0-1,3", "--json").stdout)
    assert [(r["queue"], r["state"]) for r in rows] == [(n, "running") for n in (0, 1, 3)], rows
    for number in range(QUEUES):
        net.arrive(number)
        assert answered(net)


def test_the_kernels_words_are_shown(net):
    refused(net, "cannot start rx queue 1 of eth0", "start", "eth0", "1")
    refused(net, f"cannot stop rx queue {QUEUES} of eth0", "stop", "eth0", str(QUEUES))
    # At the first that is refused it ends; what was done is shown and stays.
    done = queue(net, "stop", "eth0", f"{QUEUES - 1},{QUEUES}", "--raw", "--no-headings",
                 "--columns", "queue,state", check=False)
    assert (done.returncode, done.stdout) == (1, f"{QUEUES - 1} stopped\n"), done
    queue(net, "start", "eth0", str(QUEUES - 1))


def test_a_driver_that_cannot_has_its_own_exit_code(net):
    refused(net, "cannot stop rx queue 0 of lo", "stop", "lo", "0", code=4)


def test_not_root(net):
    command = Path("/run/waymark-for-all")  # where everybody may read it
    shutil.copy(BUILD / "waymark", command)
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", command, "queue"]
    done = net.lb.run([*user, "stop", "eth0", "1"], check=False)
    assert done.returncode == 1 and "needs root (CAP_NET_ADMIN)" in done.stderr, done
    assert states(net) == ["running"] * QUEUES
    assert net.lb.run([*user, "list", "eth0"]).stdout.count("\n") == 1 + 2 * QUEUES


def test_monitor_tells_what_changes(net):
    def listeners():
        """Sockets there that hear of something by generic netlink; waymarkd has one, too."""
        lines = net.lb.run("cat /proc/net/netlink").stdout.splitlines()
        return sum(line.split()[1] == "16" and int(line.split()[3], 16) != 0 for line in lines[1:])
    before = listeners()
    monitor = net.lb.start([BUILD / "waymark", "queue", "monitor", "eth0", "--json", "--count",
                            "2"], "monitor.log")
    wait_for(lambda: listeners() > before, "the monitor to listen", PATIENCE)
    queue(net, "stop", "eth0", "3")
    queue(net, "start", "eth0", "3")
    assert monitor.wait(PATIENCE) == 0
    rows = [json.loads(line) for line in monitor.output().splitlines()]
    assert [(r["device"], r["queue"], r["state"]) for r in rows] == [
        ("eth0", 3, "stopped"), ("eth0", 3, "running")], rows


# --- the daemon on single queues ---

def test_the_program_goes_to_some_queues(net):
    net.balancer.stop()
    net.balancer.start("--detach")
    net.balancer.stop()
    assert net.balancer.prog_id() is None
    limit(net, ["0-1"])
    net.balancer.start()
    status = net.balancer.ask("status")
    assert status["queues"] == ["eth0 0-1"] and status["mode"] == "native", status
    assert with_program(net) == {n: status["prog_id"] for n in (0, 1)}
    assert net.balancer.prog_id() is None, "the device has no program"
    for number in (0, 1):
        net.arrive(number)
        assert answered(net)


def test_first_packets_are_led_to_them(net):
    """Whatever RSS would choose, from whatever port, and SYNs as well."""
    assert steering(net) == all_steered(net, [0, 1])
    offload = net.balancer.ask("status")["offload"]
    assert (offload["steering_rules"], offload["steered"], offload["to_steer"],
            offload["steering_why"]) == (8, 4, 4, None), offload
    assert "8 rules lead 4 of 4 vips" in net.balancer.cli("status").stdout
    before = net.balancer.counters()
    sport = 31000
    for number in range(QUEUES):
        net.arrive(number)
        for vip in (net.vips[0], net.vips6[0]):
            for bit in (0, 2):
                assert udp_from(net, vip, sport + bit).startswith("real")
                assert tcp_from(net, vip, sport + bit).startswith("real")
            sport += 4
    after = net.balancer.counters()
    connections = QUEUES * 4
    assert after["tx_syn"] - before["tx_syn"] >= connections, (before, after)
    assert after["tx_miss"] - before["tx_miss"] >= connections, (before, after)
    assert all(steered_packets(net).values()), steered_packets(net)


def test_other_queues_are_the_hosts(net):
    for number in range(QUEUES):
        net.arrive(number)
        if number > 1:
            assert is_refused_by_the_host(net)


def test_a_vip_comes_and_goes(net):
    vips = net.balancer.config["vips"]
    before = steered_packets(net)
    new = dict(net.balancer.vip("udp4-1-7"), name="new", port=8)

    def send(times=5):
        for _ in range(times):
            sock = udp_socket(net, net.vips[0], 8)
            sock.send(b"x")
            sock.close()
    net.arrive(3)
    net.balancer.config["vips"] = vips + [new]
    net.balancer.write()
    net.balancer.reload()
    assert steering(net) == all_steered(net, [0, 1])
    assert before.keys() < steered_packets(net).keys()
    program = seen(net)
    send()
    wait_for(lambda: seen(net) == program + 5, "the new vip's packets to be led", PATIENCE)

    net.balancer.config["vips"] = vips
    net.balancer.write()
    net.balancer.reload()
    assert steering(net) == all_steered(net, [0, 1])
    assert steered_packets(net).keys() == before.keys()
    nic, program = received(net), seen(net)
    send()
    wait_for(lambda: received(net) >= nic + 5, "the NIC to receive", PATIENCE)
    assert seen(net) == program


def test_steering_rules_outlive_the_daemon(net):
    """They are there all the time: none is made anew, none begins to count anew."""
    net.arrive(2)
    sport = 32000
    for end in (net.balancer.kill, net.balancer.stop):
        before = steered_packets(net)
        end()
        for bit in (0, 2):
            assert udp_from(net, net.vips[0], sport + bit).startswith("real")
            assert tcp_from(net, net.vips6[0], sport + bit).startswith("real")
        sport += 4
        net.balancer.start()
        after = steered_packets(net)
        assert before.keys() == after.keys(), (before, after)
        assert all(after[rule] >= n for rule, n in before.items()), (before, after)
        assert sum(after.values()) >= sum(before.values()) + 4, (before, after)
        assert net.balancer.ask("status")["offload"]["steering_rules"] == 8


def test_a_flow_with_a_rule_stays_with_the_balancer(net):
    """Wherever its packets would arrive: the rule leads them to one of our queues."""
    net.arrive(0)
    sock = udp_socket(net, net.vips[0])
    first = ask_udp(sock)

    def marked():
        before = net.balancer.counters()["tx_marked"]
        assert {ask_udp(sock) for _ in range(12)} == {first}
        return net.balancer.counters()["tx_marked"] >= before + 12
    wait_for(marked, "packets to come marked", PATIENCE)
    rules = mark_rules(net)
    assert queues_of(rules) and queues_of(rules) <= {0, 1}, rules
    net.arrive(3)
    before = net.balancer.counters()["tx_marked"]
    assert {ask_udp(sock) for _ in range(10)} == {first}
    assert net.balancer.counters()["tx_marked"] == before + 10
    net.flow = (sock, first)


def test_a_daemon_that_was_killed_is_succeeded(net):
    sock, first = net.flow
    before = with_program(net)
    net.balancer.kill()
    assert {ask_udp(sock) for _ in range(5)} == {first}
    net.balancer.start()
    status = net.balancer.ask("status")
    assert status["adopted"] and with_program(net) == before, status
    assert set(before.values()) == {status["prog_id"]}
    assert len(net.balancer.rules()) == 1
    assert {ask_udp(sock) for _ in range(5)} == {first}


def test_reload_moves_program_and_rules(net):
    sock, first = net.flow
    program = net.balancer.ask("status")["prog_id"]
    limit(net, ["2", "3"])
    assert net.balancer.reload()["summary"].startswith("on other queues"), net.balancer.ask("status")
    assert with_program(net) == {2: program, 3: program}
    assert net.balancer.ask("status")["queues"] == ["eth0 2-3"]
    assert steering(net) == all_steered(net, [2, 3])
    net.arrive(0)
    assert is_refused_by_the_host(net)
    assert answered(net)
    net.arrive(2)
    assert {ask_udp(sock) for _ in range(5)} == {first}

    def led():
        ask_udp(sock)
        queues = queues_of(mark_rules(net))
        return queues and queues <= {2, 3}
    wait_for(led, "a rule that leads to the new queues", PATIENCE)


def test_reload_to_a_queue_that_is_not_there(net):
    before = with_program(net)
    limit(net, ["2-9"])
    done = net.balancer.cli("reload", check=False)
    assert done.returncode == 1 and f"has no rx queue {QUEUES}, but 0-{QUEUES - 1}" in done.stderr
    assert with_program(net) == before
    assert net.balancer.ask("status")["queues"] == ["eth0 2-3"]


def test_reload_to_the_whole_device_and_back(net):
    program = net.balancer.ask("status")["prog_id"]
    limit(net, None)
    net.balancer.reload()
    assert (with_program(net), net.balancer.prog_id()) == ({}, program)
    assert steering(net) == {} and net.balancer.ask("status")["offload"]["to_steer"] == 0
    net.arrive(1)
    assert answered(net)
    limit(net, ["0-1"])
    net.balancer.reload()
    assert (with_program(net), net.balancer.prog_id()) == ({0: program, 1: program}, None)
    assert steering(net) == all_steered(net, [0, 1])


def test_all_queues_by_number_need_no_steering(net):
    limit(net, [f"0-{QUEUES - 1}"])
    net.balancer.reload()
    assert len(with_program(net)) == QUEUES and steering(net) == {}
    limit(net, ["0-1"])
    net.balancer.reload()
    assert steering(net) == all_steered(net, [0, 1])


def test_a_table_that_is_full(net):
    """As many rules as fit, and those first that every vip needs."""
    others = [f"filter add dev eth0 ingress pref 20 protocol ip flower skip_sw ip_proto udp "
              f"dst_ip 192.0.2.{n} action drop\n" for n in range(TCAM - 8)]
    path = net.dir / "others.tc"
    path.write_text("".join(others), encoding="ascii")
    net.lb.run(f"tc -batch {path}")
    limit(net, ["2-3"])
    net.balancer.reload()
    assert {len(q) for q in steering(net).values()} == {1}, steering(net)
    assert steering(net).keys() == all_steered(net, None).keys()
    offload = net.balancer.ask("status")["offload"]
    assert (offload["steering_rules"], offload["steered"]) == (4, 4), offload
    assert "table is full" in offload["steering_why"], offload
    logged(net, "has no room for all steering rules")
    net.arrive(0)
    # Rules of flows make way, in vain here and so once only.
    for left in (0, 1):
        sock = udp_socket(net, net.vips[0])
        wait_for(lambda s=sock: ask_udp(s) and mark_rules(net), "a flow's rule", PATIENCE)
        sock.close()
        net.balancer.reload()
        assert len(mark_rules(net)) == left, mark_rules(net)
        assert {len(q) for q in steering(net).values()} == {1}
    net.lb.run("tc filter del dev eth0 ingress pref 20")
    net.balancer.reload()
    assert steering(net) == all_steered(net, [2, 3])
    limit(net, ["0-1"])
    net.balancer.reload()


def test_lost_steering_rules_come_again(net):
    net.lb.run(f"tc filter del dev eth0 ingress pref {STEER_PREFS[0]}")
    wait_for(lambda: steering(net) == all_steered(net, [0, 1]), "them to come again", PATIENCE)


def test_restart_with_other_queues(net):
    """Rules that are in the NIC and lead elsewhere are deleted, the program moves."""
    sock, first = net.flow
    net.arrive(1)
    for _ in range(20):
        ask_udp(sock)
    wait_for(lambda: mark_rules(net), "a rule", PATIENCE)
    program = net.balancer.ask("status")["prog_id"]
    net.balancer.stop()
    limit(net, ["3"])
    net.balancer.start()
    assert net.balancer.ask("status")["prog_id"] == program
    assert with_program(net) == {3: program}
    assert queues_of(filters(net)) == {3}, filters(net)
    assert steering(net) == all_steered(net, [3])
    net.arrive(3)
    assert {ask_udp(sock) for _ in range(5)} == {first}
    limit(net, ["0-1"])
    net.balancer.reload()


def test_somebodys_program_on_a_queue_is_left_alone(net):
    before = with_program(net)
    Netdev(net).set_program(2, foreign_program(net))
    foreign = with_program(net)[2]
    limit(net, ["0-2"])
    done = net.balancer.cli("reload", check=False)
    assert done.returncode == 1 and "rx queue 2 of eth0 already has XDP program" in done.stderr
    assert with_program(net) == before | {2: foreign}
    limit(net, ["0-1"])
    net.balancer.reload()
    assert with_program(net) == before | {2: foreign}
    Netdev(net).set_program(2, -1)


def test_what_somebody_does_to_our_queues_is_said(net):
    queue(net, "stop", "eth0", "1")
    logged(net, "rx queue 1 of eth0 is stopped")
    queue(net, "start", "eth0", "1")
    Netdev(net).set_program(0, -1)
    logged(net, "somebody took the program off rx queue 0 of eth0")
    assert sorted(with_program(net)) == [1]
    net.balancer.stop()
    net.balancer.start()  # adopted from queue 1
    assert net.balancer.ask("status")["adopted"]
    assert sorted(with_program(net)) == [0, 1]


def test_link_down_and_up(net):
    before = with_program(net)
    net.lb.ip("link set eth0 down")
    net.lb.ip("link set eth0 up")
    net.lb.ip("address replace fd00:200::1/32 dev eth0")
    assert with_program(net) == before
    net.arrive(0)
    wait_for(lambda: answered(net), "packets to be balanced again", PATIENCE)


def test_mode_generic_is_refused(net):
    net.balancer.stop()
    done = net.balancer.run("--mode", "generic")
    assert done.returncode == 1 and "not in generic mode" in done.stderr, done.stderr
    net.balancer.start()


def test_detach_leaves_nothing(net):
    net.balancer.stop()
    net.balancer.start("--detach")
    assert sorted(with_program(net)) == [0, 1]
    net.balancer.stop()
    assert with_program(net) == {} and not filters(net)


def test_detach_of_a_device_that_is_down(net):
    net.balancer.start("--detach")
    assert sorted(with_program(net)) == [0, 1]
    net.lb.ip("link set eth0 down")
    net.balancer.stop()
    net.lb.ip("link set eth0 up")
    assert with_program(net) == {}


def test_a_nic_that_takes_no_rules(net):
    """Then RSS decides, which is said once."""
    limit(net, ["2-3"])
    backend = net.balancer.config["offload"]["backend"]
    net.balancer.config["offload"]["backend"] = "none"
    net.balancer.write()
    net.balancer.start("--detach")
    net.arrive(0)
    send_unseen(net)
    net.arrive(2)
    assert answered(net)
    net.balancer.reload()
    assert net.balancer.daemon.output().count("takes no steering rules") == 1
    assert "backend none" in net.balancer.ask("status")["offload"]["steering_why"]
    net.balancer.stop()
    net.balancer.config["offload"]["backend"] = backend


def test_a_nic_that_returns_is_steered_again(net):
    """Its filters are gone with it, and hw-tc-offload is off at first."""
    net.add_second()
    net.balancer.config["interface"] = [{"name": name, "queues": ["2-3"]}
                                        for name in ("eth0", "eth1")]
    net.balancer.write()
    net.balancer.start("--detach")
    assert net.balancer.ask("status")["offload"]["steering_rules"] == 16
    want = all_steered(net, [2, 3])
    assert steering(net) == want and steering(net, "eth1") == want
    net.remove_second()
    logged(net, "eth1 is gone")
    assert net.balancer.ask("status")["offload"]["steering_rules"] == 8
    net.add_second()
    logged(net, "eth1 is back, and served again")
    wait_for(lambda: steering(net, "eth1") == want, "its steering rules", PATIENCE)
    assert steering(net) == want
    net.balancer.stop()
    assert not filters(net) and not filters(net, "eth1")


def main():
    with QueueTopology(reals=2, vips=1) as net:
        attach_decap(net)
        start_udp_echo(net)
        start_nginx(net)
        net.arrive(0)
        net.balancer = Balancer(net, offload="flower")
        net.balancer.config["offload"]["idle"] = "10m"  # rules end when a test wants it
        net.balancer.write()
        net.balancer.start()
        return run_tests(tests_in(globals()), net, log=lambda: net.balancer.daemon.output())


if __name__ == "__main__":
    sys.exit(main())
