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
from servers import ask_udp, start_udp_echo, udp_socket  # noqa: E402
from tap import run_tests, tests_in  # noqa: E402
from waymark import BUILD, Balancer, attach_decap  # noqa: E402
from waymark_guest import NsimTopology, hardware_rules  # noqa: E402

PATIENCE = 60  # seconds for a condition: the guest is emulated
QUEUES = 4
QUEUE_SET, SYS_BPF, BPF_OBJ_GET = 67, 321, 7


class QueueTopology(NsimTopology):
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
    monitor = net.lb.start([BUILD / "waymark", "queue", "monitor", "eth0", "--json", "--count",
                            "2"], "monitor.log")

    def listens():
        lines = Path(f"/proc/{monitor.pid}/net/netlink").read_text(encoding="ascii").splitlines()
        return any(line.split()[1] == "16" and int(line.split()[3], 16) for line in lines[1:])
    wait_for(listens, "the monitor to listen", PATIENCE)
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


def test_other_queues_are_the_hosts(net):
    net.arrive(2)
    send_unseen(net)
    # The host answers there: a port that is closed is refused, not silent.
    sock = udp_socket(net, "10.200.0.1", 9)
    before = seen(net)
    sock.send(b"x")
    try:
        sock.recv(10)
        raise AssertionError("who answered?")
    except ConnectionRefusedError:
        pass
    assert seen(net) == before
    sock.close()


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
    rule = hardware_rules(net)[0]["options"]["actions"]
    assert [a.get("queue_mapping") for a in rule if "queue_mapping" in a][0] in (0, 1), rule
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
    net.arrive(0)
    send_unseen(net)
    net.arrive(2)
    assert {ask_udp(sock) for _ in range(5)} == {first}

    def led():
        ask_udp(sock)
        actions = [a for f in hardware_rules(net) for a in f["options"]["actions"]]
        queues = {a["queue_mapping"] for a in actions if "queue_mapping" in a}
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
    net.arrive(1)
    assert answered(net)
    limit(net, ["0-1"])
    net.balancer.reload()
    assert (with_program(net), net.balancer.prog_id()) == ({0: program, 1: program}, None)


def test_restart_with_other_queues(net):
    """Rules that are in the NIC and lead elsewhere are deleted, the program moves."""
    sock, first = net.flow
    net.arrive(1)
    for _ in range(20):
        ask_udp(sock)
    wait_for(lambda: hardware_rules(net), "a rule", PATIENCE)
    program = net.balancer.ask("status")["prog_id"]
    net.balancer.stop()
    limit(net, ["3"])
    net.balancer.start()
    assert net.balancer.ask("status")["prog_id"] == program
    assert with_program(net) == {3: program}
    actions = [a for f in hardware_rules(net) for a in f["options"]["actions"]]
    assert {a["queue_mapping"] for a in actions if "queue_mapping" in a} <= {3}, actions
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
    assert with_program(net) == {} and not hardware_rules(net)


def test_detach_of_a_device_that_is_down(net):
    net.balancer.start("--detach")
    assert sorted(with_program(net)) == [0, 1]
    net.lb.ip("link set eth0 down")
    net.balancer.stop()
    net.lb.ip("link set eth0 up")
    assert with_program(net) == {}


def main():
    with QueueTopology(reals=2, vips=1) as net:
        attach_decap(net)
        start_udp_echo(net)
        net.arrive(0)
        net.balancer = Balancer(net, offload="flower")
        net.balancer.config["offload"]["idle"] = "10m"  # rules end when a test wants it
        net.balancer.write()
        net.balancer.start()
        return run_tests(tests_in(globals()), net, log=lambda: net.balancer.daemon.output())


if __name__ == "__main__":
    sys.exit(main())
