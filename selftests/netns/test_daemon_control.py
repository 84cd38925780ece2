# SPDX-License-Identifier: GPL-2.0
"""waymarkd's control protocol as its table has it, what it refuses at start
and at reload, next hops, and what it tells the service manager."""
import contextlib
import json
import os
import re
import resource
import signal
import socket
import struct
import time
from pathlib import Path

import pytest
from hostile import Lingering
from netns import sh, wait_for
from protocol import faults_of, read_protocol
from servers import HttpConnection, start_nginx
from waymark import BUILD, ROOT, Balancer, Client, SoftNic, attach_decap, proven_flow

WEB = "tcp4-1-80"
REAL = "10.200.2.11"
MISSING = "10.200.2.99"  # an address that nobody has


# --- helpers ---


@pytest.fixture(scope="module")
def daemon(make_topology):
    """One daemon for the tests that only ask."""
    net = make_topology(reals=2, vips=1)
    net.nic = SoftNic(net)
    return Balancer(net).start()


@pytest.fixture
def client(daemon):
    made = Client(daemon.socket)
    yield made
    made.close()


@pytest.fixture
def balancer(make_topology):
    """A daemon that a test may mistreat; not started."""
    net = make_topology(reals=2, vips=1)
    made = Balancer(net, offload="none")
    yield made
    made.take_off()


@pytest.fixture
def running(balancer):
    return balancer.start()


def test_descriptors_that_come_along_hold_nobody_up(running):
    """The last reference to a socket that lingers is not for the loop to close."""
    status = b'{"command": "status"}\n'
    with Lingering() as far:
        for messages in ([status], [status, b"no JSON\n", status], [b"x"], [b"\0" * 4096] * 4):
            far.pass_on(running.socket, socket.SOCK_STREAM, *messages)
            assert running.ask("status")["pid"] == running.daemon.pid
        far.pass_on(running.socket, socket.SOCK_STREAM, status, status)
        assert running.stop() == 0
    assert not running.daemon.running()


def dests_entry(balancer, ident):
    """The bytes of a destination in the data plane."""
    key = [str(b) for b in ident.to_bytes(4, "little")]
    done = sh(["bpftool", "-j", "map", "lookup", "pinned",
               balancer.topology.bpffs / "waymark" / "dests", "key", *key])
    return bytes(int(byte, 16) for byte in json.loads(done.stdout)["value"])


def next_hop(balancer, ident):
    return ":".join(f"{byte:02x}" for byte in dests_entry(balancer, ident)[44:50])


def state(balancer):
    """All that a refused change must leave alone."""
    client = Client(balancer.socket)
    try:
        return [client.ask("dest"), client.ask("vip"), client.ask("ring", vip=WEB),
                client.ask("real")]
    finally:
        client.close()


# --- shapes ---

FLOW = {"protocol", "source", "destination"}


@pytest.fixture(scope="module")
def protocol():
    return read_protocol(BUILD / "waymark")


@pytest.fixture(scope="module")
def flow(daemon):
    """A UDP flow of the client that has a rule, as request arguments."""
    return proven_flow(daemon)


# Every request but xsk, which test_local.py asks: request -> arguments, None for those of a flow.
ASKED = [
    ("status", {}), ("vip", {}), ("real", {}), ("real", {"vip": WEB}), ("dest", {}),
    ("flows", {}), ("flows", {"max": 1}), ("mark", {"mark": 1}), ("stats", {}),
    ("ring", {"vip": WEB}), ("reload", {}), ("flow", None), ("where", None),
    ("real_drain", {"real": REAL, "vip": WEB}), ("real_disable", {"real": REAL, "vip": WEB}),
    ("real_enable", {"real": REAL})]


# What may be missing in general, but not from these replies.
THERE_BY_NOW = {"status": "last_reload", "flow": "rule", "where": "flow"}


def test_every_request_is_asked_here(protocol):
    assert {request for request, _ in ASKED} | {"xsk"} == set(protocol)


@pytest.mark.parametrize("command,arguments", ASKED)
def test_a_reply_has_the_keys_of_the_table_with_their_types(daemon, flow, client, protocol,
                                                            command, arguments):
    if command == "status":
        client.ask("reload")  # so that there is a last one
    data = client.ask(command, **(flow if arguments is None else arguments))
    assert faults_of(protocol[command], data) == []
    rows = protocol[command]["list"]
    if rows is not None:
        assert data[rows] if rows else data
    if command in THERE_BY_NOW:
        assert data[THERE_BY_NOW[command]] is not None


def test_counters_are_those_of_the_abi(client):
    text = (ROOT / "include/waymark/abi.h").read_text(encoding="ascii")
    names = set(re.findall(r"^\s*X\([A-Z_0-9]+, ([a-z_0-9]+),", text, re.M))
    counters = client.ask("stats")["counters"]
    assert names and set(counters) == names
    assert all(isinstance(n, int) for n in counters.values())


def test_types(daemon, flow, client):
    status = client.ask("status")
    assert status["pid"] == daemon.daemon.pid and status["mode"] in ("native", "generic")
    assert status["config"] == str(daemon.file) and status["interfaces"] == ["eth0"]
    assert isinstance(status["adopted"], bool) and isinstance(status["uptime_s"], float)
    assert status["dests_max"] >= status["dests"] == 8 and status["reals"] == 4
    assert status["flows_max"] >= 100000 and status["vips"] == 4
    assert status["offload"]["backend"] == "sim" and status["offload"]["mark_bits"] == 16
    reals = client.ask("real", vip=WEB)
    assert [r["address"] for r in reals] == [r.address for r in daemon.topology.reals]
    assert sum(r["slots"] for r in reals) == 65537
    assert sum(r["share"] for r in reals) == pytest.approx(1)
    for row in client.ask("dest"):
        assert row["state"] == "live" and row["mark"] & 0xfff == row["dest"]
    one = client.ask("flow", **flow)
    assert one["in_table"] is True and one["state"] == "proven" and one["counted"] is None
    assert one["rule"]["dest"] == one["dest"] and one["rule"]["real"] == one["real"]
    where = client.ask("where", **flow)
    assert where["flow"]["dest"] == where["dest"] == one["dest"]


def test_flow_that_nobody_has_seen(client, flow):
    other = dict(flow, source="10.9.9.9:9")
    answer = client.ask("flow", **other)
    assert answer == {**other, "in_table": False, "dest": None, "real": None, "idle_s": None,
                      "state": None, "counted": None, "rule": None}
    nowhere = client.ask("where", **dict(flow, destination="10.9.9.9:9"))
    assert {k for k, v in nowhere.items() if v is not None} == FLOW


def test_ring_is_what_where_says(client, daemon):
    ring = client.ask("ring", vip=WEB)
    assert len(ring["slot"]) == 65537
    for port in range(1000, 1020):
        where = client.ask("where", protocol="tcp", source=f"10.200.0.2:{port}",
                           destination=f"{daemon.topology.vips[0]}:80")
        assert ring["reals"][ring["slot"][where["slot"]]] == where["real"]


def test_meaning_of_marks(client):
    live = client.ask("dest")[0]
    assert client.ask("mark", mark=live["mark"])["meaning"] == "live"
    assert client.ask("mark", mark=live["mark"])["real"] == live["real"]
    stale = client.ask("mark", mark=live["mark"] + 4096)
    assert stale["meaning"] == "stale" and stale["vip"] is None and stale["real"] is None
    assert stale["dest"] == live["dest"] and stale["generation"] == live["generation"] + 1
    assert client.ask("mark", mark=4095)["meaning"] == "unknown"
    assert client.ask("mark", mark=0)["meaning"] == "unknown"
    assert "32 bits" in client.refused("mark", mark=1 << 32)


def test_flows_max_bounds_the_list_not_the_total(client, flow):
    answer = client.ask("flows", max=0)
    assert answer["rules"] == [] and answer["total"] >= 1


@pytest.mark.parametrize("command,arguments,text", [
    ("ring", {"vip": "nosuch"}, "nosuch"),
    ("real", {"vip": "nosuch"}, "nosuch"),
    ("where", {"protocol": "icmp", "source": "1.1.1.1:1", "destination": "1.1.1.1:1"}, "icmp"),
    ("where", {"protocol": "tcp", "source": "1.1.1.1", "destination": "1.1.1.1:1"}, "source"),
    ("flow", {"protocol": "tcp", "source": "1.1.1.1:1", "destination": "[::1]:1"}, "IPv6")])
def test_what_cannot_be_served_is_said(client, command, arguments, text):
    assert text in client.refused(command, **arguments)
    assert client.ask("status")


# --- bad messages, bounds ---

BAD = {
    "no JSON": b"hello\n",
    "half an object": b'{"command": "status"\n',
    "not UTF-8": b'{"command": "\xff\xfe"}\n',
    "a key twice": b'{"command": "status", "command": "reload"}\n',
    "more than one value": b'{"command": "status"} {}\n',
    "an empty line": b"\n",
    "a NUL": b'{"command": "status"}\0\n',
    "null": b"null\n",
    "a list": b'["status"]\n',
    "no command": b"{}\n",
    "command null": b'{"command": null}\n',
    "unknown command": b'{"command": "Status"}\n',
    "an argument too many": b'{"command": "vip", "vip": "web"}\n',
    "an argument missing": b'{"command": "flow", "protocol": "tcp", "source": "1.1.1.1:1"}\n',
    "a number for text": b'{"command": "ring", "vip": 1}\n',
    "text for a number": b'{"command": "mark", "mark": "1"}\n',
    "a fraction": b'{"command": "mark", "mark": 1.5}\n',
    "a negative number": b'{"command": "flows", "max": -1}\n',
    "too large a number": b'{"command": "mark", "mark": 18446744073709551616}\n',
    "too long by one": b'{"command": "status"}'.ljust(4096) + b"\n",
    "no end": b"x" * 100000,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_message_is_answered_and_the_connection_closed(daemon, name):
    bad, other = Client(daemon.socket), Client(daemon.socket)
    try:
        bad.sock.sendall(BAD[name])
    except (BrokenPipeError, ConnectionResetError):
        pass  # it may stop listening in the middle of a long one
    reply = bad.reply()
    assert reply["ok"] is False and reply["error"] and reply["errno"] > 0
    assert bad.reply() is None
    assert other.ask("status")["pid"] == daemon.daemon.pid
    bad.close()
    other.close()


def test_longest_request_is_served(client):
    client.sock.sendall(b'{"command": "status"}'.ljust(4095) + b"\n")
    assert client.reply()["ok"] is True


def test_requests_before_a_bad_one_are_answered_those_behind_are_not(client):
    client.sock.sendall(b'{"command": "status"}\n' * 3 + b"bad\n" + b'{"command": "status"}\n' * 3)
    assert [client.reply()["ok"] for _ in range(4)] == [True, True, True, False]
    assert client.reply() is None


def test_more_clients_than_allowed_are_told_so(daemon):
    clients = [Client(daemon.socket) for _ in range(64)]
    for each in clients:
        each.ask("mark", mark=1)
    extra = Client(daemon.socket)
    reply = extra.reply()
    assert reply["ok"] is False and "clients" in reply["error"] and extra.reply() is None
    extra.close()
    for each in clients:
        each.close()

    def there_is_room():
        one = Client(daemon.socket)
        try:
            return one.ask("status")
        finally:
            one.close()

    wait_for(there_is_room, "room after the others left")


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^RssAnon:\s+(\d+)", file.read(), re.M).group(1))


def test_slow_reader_gets_all_and_costs_one_reply(daemon, client):
    client.ask("ring", vip=WEB)  # what one such reply costs is paid once
    before = memory_kib(daemon.daemon.pid)
    slow = Client(daemon.socket)
    number = 100  # 13 MiB of replies if they were kept
    # In one piece: a hundred small ones may take more of the socket's buffer than it
    # has, if the daemon stops reading after the first.
    slow.sock.sendall(number * (json.dumps({"command": "ring", "vip": WEB}).encode() + b"\n"))
    for _ in range(20):
        assert client.ask("status")
    assert memory_kib(daemon.daemon.pid) - before < 6000
    for _ in range(number):
        assert len(slow.reply()["data"]["slot"]) == 65537
    slow.close()


def test_socket_is_for_root_and_its_group(daemon):
    assert daemon.socket.stat().st_mode & 0o777 == 0o660


# --- start ---


def test_options():
    def run(*options):
        return sh([BUILD / "waymarkd", *options], check=False)

    assert run("--help").returncode == 0 and "--detach" in run("--help").stdout
    assert re.fullmatch(r"waymarkd \d+\.\d+\.\d+\n", run("--version").stdout)
    for wrong in (["--nosuch"], ["surplus"], ["--mode", "fast"], ["-c"]):
        assert run(*wrong).returncode == 2
    done = run("-c", "/nosuch/file.yaml")
    assert done.returncode == 1 and "/nosuch/file.yaml" in done.stderr


def test_n_says_yes_or_where_and_prints_what_reads_the_same(balancer):
    good = balancer.run("-n")
    assert good.returncode == 0 and not good.stdout and not good.stderr
    full = balancer.run("-nv")
    assert full.returncode == 0 and "gateway: auto" in full.stdout
    balancer.write(full.stdout)
    assert balancer.run("-nv").stdout == full.stdout

    balancer.write(full.stdout.replace("protocol: tcp", "protocol: sctp", 1))
    line = full.stdout.splitlines().index("    protocol: tcp") + 1
    bad = balancer.run("-n")
    assert bad.returncode == 1 and f"{balancer.file}:{line}:" in bad.stderr


@pytest.mark.parametrize("backend, why", [("flower", "has no hw-tc-offload"),
                                          ("ntuple", "takes no n-tuple rules")])
def test_backend_that_cannot_work_is_refused_by_name(balancer, backend, why):
    balancer.config["offload"] = {"backend": backend}
    balancer.write()
    done = balancer.run()
    assert done.returncode == 1
    assert backend in done.stderr and why in done.stderr
    assert balancer.prog_id() is None and not balancer.socket.exists()


def test_auto_without_a_nic_works_in_software_and_says_why(balancer):
    balancer.config["offload"] = {"backend": "auto"}
    balancer.write()
    balancer.start()
    assert balancer.ask("status")["offload"]["backend"] == "none"
    assert "no rules in the NIC" in balancer.daemon.output()
    assert "hw-tc-offload" in balancer.daemon.output()


def test_marks_too_narrow_for_the_ids_are_refused_and_nothing_is_left(make_topology):
    net = make_topology(reals=2, vips=1)
    SoftNic(net, mark_bits=4)  # 8 destinations need 4 bits, none are left for generations
    balancer = Balancer(net)
    done = balancer.run()
    assert done.returncode == 1 and "marks have 4 bits" in done.stderr
    assert balancer.prog_id() is None and not balancer.socket.exists()
    assert not list(net.bpffs.glob("waymark/*"))


def test_sizes_come_from_the_configuration(balancer):
    balancer.config["flow-table"] = {"flows": 3000}
    balancer.config["limits"] = {"dests": 5000, "vips": 700}
    balancer.write()
    status = balancer.start().ask("status")
    assert status["flows_max"] == 3001  # whole buckets and status["dests_max"] == 8191


def test_second_daemon_on_the_interface_names_the_first(running):
    done = running.run("--control", running.topology.dir / "other.sock")
    assert done.returncode == 1
    assert f"eth0 is already served by waymarkd, pid {running.daemon.pid}" in done.stderr
    assert not (running.topology.dir / "other.sock").exists()
    assert running.ask("status")["pid"] == running.daemon.pid


def lock_name(balancer):
    """The abstract name that goes with the lock of eth0, as bind() wants it."""
    link = json.loads(balancer.topology.lb.run("ip -j link show eth0").stdout)[0]
    netns = os.stat(f"/run/netns/{balancer.topology.lb.name}").st_ino
    return f"\0waymarkd/{netns}/{link['ifindex']}"


def take_lock_name(balancer, user):
    with balancer.topology.lb.entered():
        taken = socket.socket(socket.AF_UNIX)
    taken.bind(lock_name(balancer))
    os.seteuid(user)
    try:
        taken.listen()  # the kernel notes who does this
    finally:
        os.seteuid(0)
    return taken


def test_other_user_cannot_take_the_lock(balancer):
    with take_lock_name(balancer, 65534):
        balancer.start()
        assert f"process {os.getpid()} of user 65534 has the socket name" in balancer.daemon.output()
        done = balancer.run("--control", balancer.topology.dir / "other.sock")
        assert done.returncode == 1
        assert f"eth0 is already served by waymarkd, pid {balancer.daemon.pid}" in done.stderr
        _, netns, index = lock_name(balancer).split("/")
        assert Path(f"/run/waymark/lock/if-{netns}-{index}").stat().st_mode & 0o777 == 0o600


def test_lock_of_a_daemon_with_another_run_directory_counts(balancer):
    """Or of an older version: such a one has the socket name and no file that we see."""
    with take_lock_name(balancer, 0):
        done = balancer.run()
    assert done.returncode == 1
    assert f"eth0 is already served by waymarkd, pid {os.getpid()}" in done.stderr
    assert balancer.prog_id() is None


def test_lock_goes_with_the_process_however_it_ends(running):
    _, netns, index = lock_name(running).split("/")
    file = Path(f"/run/waymark/lock/if-{netns}-{index}")
    assert file.read_text(encoding="ascii") == f"{running.daemon.pid}\n"
    running.kill()
    assert file.exists()
    running.start()
    assert file.read_text(encoding="ascii") == f"{running.daemon.pid}\n"
    assert running.stop() == 0
    assert not file.exists()


def test_control_socket_in_use_is_refused_before_anything_is_touched(running):
    net = running.topology
    net.lb.ip("link add other0 type veth peer name other1")
    net.lb.ip("link set other0 up")
    config = dict(running.config, interface="other0", pin=str(net.bpffs / "other"))
    file = net.dir / "other.yaml"
    file.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in config.items()), encoding="ascii")
    done = net.lb.run([BUILD / "waymarkd", "-c", file], check=False)
    assert done.returncode == 1 and str(running.socket) in done.stderr
    assert str(running.daemon.pid) in done.stderr
    assert "xdp" not in net.lb.ip("link show other0").stdout
    assert not (net.bpffs / "other").exists()


def test_stale_socket_is_replaced_what_is_no_socket_is_not(running):
    running.kill()
    assert running.socket.is_socket()
    running.start()
    assert running.ask("status")["pid"] == running.daemon.pid
    assert running.stop() == 0 and not running.socket.exists()
    running.socket.write_text("precious", encoding="ascii")
    done = running.run()
    assert done.returncode == 1 and "is no socket" in done.stderr
    assert running.socket.read_text(encoding="ascii") == "precious"


def test_directory_of_the_socket_is_made_and_interface_put_in(balancer):
    net = balancer.topology
    balancer.socket = net.dir / "run-eth0" / "control.sock"
    balancer.config["control"] = str(net.dir / "run-%i" / "control.sock")
    balancer.config["pin"] = str(net.bpffs / "waymark-%i")
    balancer.write()
    balancer.start()
    assert (net.bpffs / "waymark-eth0" / "prog").exists()


def test_program_stays_is_adopted_and_goes_with_detach(running):
    prog = running.prog_id()
    before = state(running)
    assert running.stop() == 0
    assert running.prog_id() == prog and not running.socket.exists()
    running.start("--detach")
    assert running.prog_id() == prog and running.ask("status")["adopted"] is True
    assert [d["mark"] for d in state(running)[0]] == [d["mark"] for d in before[0]]
    assert state(running)[2] == before[2]
    assert running.stop() == 0
    assert running.prog_id() is None
    assert not list(running.topology.bpffs.glob("waymark/*"))


def test_generation_survives_a_restart(running):
    """An id that was given up keeps its generation in the data plane."""
    vip = running.vip(WEB)
    used = set()
    for _ in range(3):
        vip["reals"] = running.reals(which=[1])
        running.write()
        running.reload()
        running.kill()
        running.start()
        wait_for(lambda: running.ask("status")["retiring"] == 0, "the id to be free")
        vip["reals"] = running.reals()
        running.write()
        running.reload()
        marks = {d["mark"] for d in running.ask("dest")
                 if d["vip"] == WEB and d["real"] == running.topology.reals[1].address}
        assert len(marks) == 1 and not marks & used
        used |= marks


# --- rules ---


@pytest.fixture
def offloading(make_topology):
    net = make_topology(reals=2, vips=1)
    net.nic = SoftNic(net)
    return Balancer(net).start()


def test_rules_in_the_nic_are_taken_over_or_deleted(offloading):
    """What is still right stays, what a change meanwhile made wrong goes."""
    net = offloading.topology
    flows = [proven_flow(offloading) for _ in range(8)]
    marks = {r["mark"]: r["real"] for r in offloading.rules()}
    assert len(marks) == 2 and net.nic.rules() == 8
    offloading.kill()
    offloading.vip("udp4-1-7")["reals"] = offloading.reals(which=[1])
    offloading.write()
    offloading.start()
    first = [m for m, real in marks.items() if real == net.reals[0].address]
    wait_for(lambda: {r["mark"] for r in offloading.rules()} == set(first), "the others to go")
    rules = offloading.rules()
    assert 0 < len(rules) < len(flows) and net.nic.rules() == len(rules)


def test_rule_of_a_flow_that_ended_while_no_daemon_ran_is_deleted(make_topology):
    net = make_topology(reals=2, vips=1)
    net.nic = SoftNic(net)
    balancer = Balancer(net)
    balancer.config["offload"]["idle"] = "1h"  # age shall not be what deletes it
    balancer.write()
    balancer.start()
    attach_decap(net)
    start_nginx(net)
    connections = [HttpConnection(net, net.vips[0]) for _ in range(2)]

    def both_have_rules():
        assert all(c.ask() for c in connections)
        return net.nic.rules() == 2

    wait_for(both_have_rules, "rules for both")
    balancer.kill()
    connections[0].close()
    balancer.start()
    wait_for(lambda: net.nic.rules() == 1, "one of the rules to go")
    source = "{}:{}".format(*connections[1].source)
    assert [r["source"] for r in balancer.rules()] == [source]


@pytest.mark.skipif(os.cpu_count() < 2, reason="needs two CPUs: their events are read one by one")
def test_flow_that_ended_before_its_promotion_is_read_gets_no_rule(offloading):
    net = offloading.topology
    attach_decap(net)
    start_nginx(net)
    allowed = sorted(os.sched_getaffinity(0))
    try:
        offloading.daemon.signal(signal.SIGSTOP)
        # Proven on the last CPU, ended on the first, whose events are read first.
        os.sched_setaffinity(0, allowed[-1:])
        connection = HttpConnection(net, net.vips[0])
        for _ in range(20):
            connection.ask()
        os.sched_setaffinity(0, allowed[:1])
        connection.close()
    finally:
        os.sched_setaffinity(0, allowed)
        offloading.daemon.signal(signal.SIGCONT)
    wait_for(lambda: offloading.ask("stats")["events"]["read"] >= 2, "both events to be read")
    assert offloading.ask("stats")["offload"]["candidates"] == 0
    assert offloading.rules() == [] and net.nic.rules() == 0


def test_rules_leave_a_vip_that_is_not_offloaded_any_more(offloading):
    flow = proven_flow(offloading)
    offloading.vip("udp4-1-7")["offload"] = False
    offloading.write()
    offloading.reload()
    wait_for(lambda: offloading.topology.nic.rules() == 0, "the rule to go")
    client = Client(offloading.socket)
    assert client.ask("flow", **flow)["in_table"] is True
    client.close()


# --- reload ---

OTHER = {
    "interface": ["eth0", "lo"],
    "mode": "generic",
    "pin": "/sys/fs/bpf/elsewhere",
    "control": "/run/elsewhere.sock",
    "source": {"ipv4": "172.17.0.0/16"},
    "ring-seeds": {"ipv4": 1, "ipv6": 2},
    "flow-table": {"flows": 200000},
    "limits": {"dests": 99},
    "offload": {"backend": "sim", "sim": {"pin": "/nosuch"}},
}


@pytest.mark.parametrize("key", OTHER)
def test_what_is_fixed_is_refused_at_reload(balancer_once, key):
    before, kept = state(balancer_once), dict(balancer_once.config)
    balancer_once.config[key] = OTHER[key]
    # A change that would be good must not be made either.
    balancer_once.config["vips"] = kept["vips"][1:]
    balancer_once.write()
    client = Client(balancer_once.socket)
    try:
        text = client.refused("reload")
        assert f'"{key}' in text and "restart" in text
        last = client.ask("status")["last_reload"]
        assert last["ok"] is False and last["text"] == text
    finally:
        client.close()
        balancer_once.config = kept
        balancer_once.write()
    assert state(balancer_once) == before


@pytest.fixture(scope="module")
def balancer_once(make_topology):
    return Balancer(make_topology(reals=2, vips=1), offload="none").start()


def test_reload_error_has_its_line_and_changes_nothing(balancer_once):
    before = state(balancer_once)
    lines = balancer_once.file.read_text(encoding="utf-8").splitlines()
    line = next(i for i, text in enumerate(lines) if "weight" in text)
    lines[line] = lines[line].replace("100", "-1")
    balancer_once.write("\n".join(lines) + "\n")
    client = Client(balancer_once.socket)
    assert f"{balancer_once.file}:{line + 1}:" in client.refused("reload")
    client.close()
    balancer_once.write()
    assert state(balancer_once) == before


def test_unit_reloads_with_the_result(balancer_once):
    """`systemctl reload` fails if the file is bad: it runs what the unit says."""
    unit = (ROOT / "Documentation/examples/waymarkd.service.in").read_text(encoding="utf-8")
    program, *arguments = re.search("^ExecReload=(.*)$", unit, re.M).group(1).split()
    command = ["env", f"WAYMARK_SOCKET={balancer_once.socket}", BUILD / Path(program).name, *arguments]
    run = lambda: balancer_once.topology.lb.run(command, check=False)
    before = balancer_once.ask("status")["reloads"]
    assert run().returncode == 0
    balancer_once.write("interface: eth0\n")
    bad = run()
    balancer_once.write()
    assert bad.returncode == 1 and "vips" in bad.stderr
    assert balancer_once.ask("status")["reloads"] == before + 2


def test_what_may_change_does(balancer_once):
    config = balancer_once.config
    config["gateway"] = "02:00:00:00:00:77"
    config["vips"][0]["reals"][0]["weight"] = 50
    balancer_once.write()
    reload = balancer_once.reload()
    assert reload["summary"].startswith("gateway changed; 1 real reweighted, ")
    dest = balancer_once.ask("real", WEB)[0]
    assert reload["changes"] == [f"vip {WEB}: real {dest['address']} has weight 50 instead of 100"]
    assert "\nwaymarkd: " + reload["changes"][0] + "\n" in balancer_once.daemon.output()
    assert dest["share"] == pytest.approx(1 / 3, abs=0.02) and dest["weight"] == 50
    assert next_hop(balancer_once, dest["dest"]) == "02:00:00:00:00:77"
    del config["gateway"]
    balancer_once.write()
    balancer_once.reload()
    assert next_hop(balancer_once, dest["dest"]) == "02:00:0a:c8:02:0b"


# --- next hops ---


def test_real_without_next_hop_is_named_and_comes_in_later(balancer):
    net = balancer.topology
    balancer.vip(WEB)["reals"].append({"address": MISSING, "weight": 100})
    balancer.write()
    balancer.start()
    assert f"real {MISSING} gets no packets" in balancer.daemon.output()

    def slots():
        rows = [r for r in balancer.ask("real", WEB) if r["address"] == MISSING]
        assert rows[0]["weight"] == 100
        assert rows[0]["why"] == (None if rows[0]["slots"] else f"its next hop {MISSING} does not answer")
        return rows[0]["slots"]

    assert slots() == 0
    mark = next(d["mark"] for d in balancer.ask("dest") if d["real"] == MISSING)
    assert balancer.ask("mark", str(mark))["meaning"] != "live"
    net.reals[0].ip(f"address add {MISSING}/16 dev eth0")
    wait_for(lambda: slots() > 20000, "its share of the ring")
    assert balancer.ask("mark", str(mark))["meaning"] == "live"
    assert next_hop(balancer, mark & 0xfff) == "02:00:0a:c8:02:0b"


def test_real_says_why_it_has_no_slots(balancer):
    balancer.vip(WEB)["reals"] += [{"address": "203.0.113.9", "weight": 100},
                                   {"address": "10.200.0.1", "weight": 100}]
    balancer.vip(WEB)["reals"][1]["weight"] = 0
    balancer.write()
    balancer.start()
    assert [r["why"] for r in balancer.ask("real", WEB)] == [
        None, "its weight is 0", "no way to it: Network is unreachable", "it is an address of this machine"]


def test_drops_of_a_vip_without_weights_are_counted_as_its_own(balancer):
    net = balancer.topology
    balancer.start()
    weights = balancer.vip(WEB)["reals"]
    for real in weights:
        real["weight"] = 0
    balancer.write()
    balancer.reload()
    assert "vip tcp4-1-80: all reals have weight 0: new flows are dropped" in balancer.daemon.output()
    assert {r["why"] for r in balancer.ask("real", WEB)} == {"its weight is 0"}
    with net.client.entered():
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((net.vips[0], 80))
    dropped = lambda: {v["name"]: v["dropped"] for v in balancer.ask("vip")}
    wait_for(lambda: dropped()[WEB] > 0, "the first drop")
    sock.close()
    assert dropped()[WEB] == balancer.counters()["drop_no_real"]
    assert not any(n for name, n in dropped().items() if name != WEB)
    # They stay its own in another ring, and with another daemon.
    for real in weights:
        real["weight"] = 100
    balancer.write()
    balancer.reload()
    balancer.kill()
    balancer.start()
    assert dropped()[WEB] == balancer.counters()["drop_no_real"] > 0


def test_many_reals_without_next_hop_are_one_line(balancer):
    lost = [f"10.200.77.{i}" for i in range(1, 201)]
    balancer.vip(WEB)["reals"] += [{"address": address, "weight": 100} for address in lost]
    balancer.write()
    balancer.start()
    lines = [line for line in balancer.daemon.output().splitlines() if "packets before" in line]
    assert len(lines) == 1 and "200 reals get no packets before their next hops answer" in lines[0]
    assert f"{lost[0]}, " in lines[0] and "and 196 more" in lines[0]
    real = balancer.topology.reals[0]
    real.sysctl("net.ipv4.conf.all.arp_ignore", 8)  # silent until all are there
    batch = balancer.topology.dir / "addresses"
    batch.write_text("".join(f"address add {address}/32 dev eth0\n" for address in lost[:150]),
                     encoding="ascii")
    real.ip(f"-batch {batch}")
    real.sysctl("net.ipv4.conf.all.arp_ignore", 1)

    def all_have_slots():
        return sum(bool(r["slots"]) for r in balancer.ask("real", WEB)) == 152

    wait_for(all_have_slots, "their shares of the ring")
    lines = [line for line in balancer.daemon.output().splitlines() if "answer" in line]
    assert len(lines) < 20  # they may answer in several bursts


def test_restart_has_no_news(running):
    running.vip(WEB)["reals"][0]["weight"] = 7
    running.write()
    running.reload()
    running.stop()
    running.start()
    log = running.daemon.output()
    assert "nothing to change" in log and "weight" not in log, log


def test_next_hop_that_moves_is_followed(running):
    net = running.topology
    dest = running.ask("real", WEB)[0]
    assert next_hop(running, dest["dest"]) == "02:00:0a:c8:02:0b"
    net.lb.ip(f"neighbour replace {dest['address']} lladdr 02:00:00:00:00:55 dev eth0 nud reachable")
    wait_for(lambda: next_hop(running, dest["dest"]) == "02:00:00:00:00:55", "the new next hop")
    mark = int.from_bytes(dests_entry(running, dest["dest"])[:4], "little")
    assert mark == next(d["mark"] for d in running.ask("dest") if d["dest"] == dest["dest"])


def test_gateway_is_taken_from_the_route(balancer):
    net = balancer.topology
    net.lb.ip(f"route add 192.0.2.0/24 via {net.reals[1].address}")
    balancer.vip(WEB)["reals"] = [{"address": "192.0.2.7", "weight": 1}]
    balancer.write()
    balancer.start()
    assert next_hop(balancer, balancer.ask("real", WEB)[0]["dest"]) == "02:00:0a:c8:02:0c"


def test_neighbour_made_by_hand_stays_so(balancer):
    net = balancer.topology
    address = net.reals[0].address
    net.lb.ip(f"neighbour add {address} lladdr 02:00:00:00:00:66 dev eth0 nud permanent")
    balancer.start()
    assert "PERMANENT" in net.lb.ip(f"neighbour show {address}").stdout
    assert next_hop(balancer, balancer.ask("real", WEB)[0]["dest"]) == "02:00:00:00:00:66"


def test_restart_needs_no_neighbour(running):
    """What the data plane sends to is believed: a restart drops nothing."""
    ring = running.ask("ring", WEB)
    running.kill()
    for real in running.topology.reals:
        real.ip("link set eth0 down")
    running.topology.lb.ip("neighbour flush dev eth0")
    running.start()
    assert running.ask("ring", WEB) == ring
    assert "gets no packets" not in running.daemon.output()


# --- the interface, signals, the service manager ---


def test_interface_that_vanishes_ends_the_daemon_with_a_reason(running):
    running.topology.wire.ip("link delete lb")
    assert running.daemon.wait() == 1
    assert "interface eth0 is gone" in running.daemon.output()
    assert not running.socket.exists()


def test_one_of_two_interfaces_vanishes_and_comes_back(balancer):
    net = balancer.topology

    def make():
        net.lb.ip("link add eth1 type veth peer name far1")
        net.lb.ip("link set eth1 up")
        net.lb.ip("link set far1 up")

    def prog_id():
        link = json.loads(net.lb.run("ip -j link show eth1").stdout)[0]
        return link.get("xdp", {}).get("prog", {}).get("id")
    make()
    balancer.config["interface"] = ["eth0", "eth1"]
    balancer.write()
    balancer.start()
    assert prog_id() == balancer.prog_id() is not None
    for _ in range(2):
        before = balancer.daemon.output()
        net.lb.ip("link delete eth1")
        wait_for(lambda: "interface eth1 is gone: it is served again" in
                 balancer.daemon.output()[len(before):], "the message")
        status = balancer.ask("status")
        assert status["prog_id"] == balancer.prog_id()
        assert status["unserved"] == ["eth1: there is no such interface"]
        make()
        wait_for(lambda: "interface eth1 is back, and served again" in
                 balancer.daemon.output()[len(before):], "eth1 to be served")
        assert prog_id() == balancer.prog_id() is not None
    net.lb.ip("link delete eth1")
    net.wire.ip("link delete lb")
    assert balancer.daemon.wait() == 1
    assert "interface eth0 is gone: nothing is left to serve" in balancer.daemon.output()


def test_program_that_somebody_takes_off_is_said(running):
    running.topology.lb.ip("link set dev eth0 xdp off")
    wait_for(lambda: "took the program off eth0" in running.daemon.output(), "the message")
    assert running.ask("status")


def test_closed_descriptors_are_not_taken_for_sockets(balancer):
    """Else log lines are written into them."""
    command = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *balancer.command("-v")]
    balancer.daemon = balancer.topology.lb.start(command, log="closed.log")
    wait_for(balancer._answers, "waymarkd to answer")
    for fd in range(3):
        assert os.readlink(f"/proc/{balancer.daemon.pid}/fd/{fd}") == "/"
    balancer.hup()
    wait_for(lambda: balancer.ask("status")["reloads"], "the reload")
    assert balancer.stop() == 0


def netlink_ports(pid):
    """Numbers of a namespace's rtnetlink sockets that listen to a group."""
    with open(f"/proc/{pid}/net/netlink", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return [int(row[2]) for row in rows if row[1] == "0" and int(row[3], 16)]


def test_messages_that_are_not_the_kernels_are_passed_over(running):
    """Anybody with CAP_NET_ADMIN may write to a netlink socket of ours."""
    net = running.topology
    real = running.ask("real", WEB)[0]
    before = next_hop(running, real["dest"])
    index = json.loads(net.lb.run("ip -j link show eth0").stdout)[0]["ifindex"]
    gone = struct.pack("=BxHiII", 0, 1, index, 0, 0xffffffff)
    moved = struct.pack("=BxxxiHBB", socket.AF_INET, index, 2, 0, 1) + \
        struct.pack("=HH", 8, 1) + socket.inet_aton(real["address"]) + \
        struct.pack("=HH6sxx", 10, 2, bytes.fromhex("020000000066"))
    with net.lb.entered():
        forger = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    ports = netlink_ports(running.daemon.pid)
    assert len(ports) >= 2
    with forger:
        for kind, payload in ((17, gone), (28, moved)):
            message = struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, 0) + payload
            for port in ports:
                forger.sendto(message, (port, 0))

    # A genuine one behind them is heard.
    other = running.ask("real", WEB)[1]
    net.lb.ip(f"neighbour replace {other['address']} lladdr 02:00:00:00:00:55 dev eth0 nud reachable")
    wait_for(lambda: next_hop(running, other["dest"]) == "02:00:00:00:00:55", "the kernel's own")
    assert next_hop(running, real["dest"]) == before
    assert "is gone" not in running.daemon.output() and running.daemon.running()


# --- out of descriptors ---


def started_with(balancer, descriptors):
    """Whether waymarkd comes up with so few; if not, what it said."""
    command = ["prlimit", f"--nofile={descriptors}", *balancer.command()]
    balancer.daemon = balancer.topology.lb.start(command, log=f"few-{descriptors}.log")

    def is_up():
        return "serving 4 vips" in balancer.daemon.output()

    wait_for(lambda: is_up() or not balancer.daemon.running(), "waymarkd to start or to end")
    return is_up(), balancer.daemon.output()


def test_out_of_descriptors_is_not_taken_for_a_strange_program(running):
    """What there is to say is what to raise, and not to take the program off."""
    prog, marks = running.prog_id(), state(running)[0]
    running.kill()
    said = 0
    for descriptors in range(10, 120):
        up, text = started_with(running, descriptors)
        assert running.prog_id() == prog
        if up:
            break
        assert "take it off" not in text and "Too many open files" in text, text
        said += "cannot open the maps of the running program" in text and "LimitNOFILE" in text
    assert up and said > 5
    assert running.stop() == 0
    running.start()
    assert running.prog_id() == prog
    assert [d["mark"] for d in state(running)[0]] == [d["mark"] for d in marks]


def test_client_is_told_that_there_are_no_descriptors(running):
    pid = running.daemon.pid
    there = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (there + 3, there + 3))
    clients = [Client(running.socket) for _ in range(3)]
    assert all(client.ask("status")["pid"] == pid for client in clients)
    refused = 0
    for _ in range(8):
        late = Client(running.socket)
        with contextlib.suppress(BrokenPipeError):
            late.send(command="status")
        # The descriptor of the one before may be free by now, or not yet.
        reply = late.reply()
        assert reply["ok"] is True or "no descriptor left" in reply["error"]
        refused += not reply["ok"]
        late.close()
    assert refused
    assert running.daemon.output().count("a connection cannot be taken: Too many open files") == 1
    clients[0].close()
    wait_for(lambda: running.cli("status", check=False).returncode == 0, "a place")
    for client in clients[1:]:
        client.close()


class Manager:
    """Plays the service manager's side of sd_notify."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.settimeout(20)
        self.path = path

    def message(self):
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())

    def until(self, key):
        while True:
            message = self.message()
            if key in message:
                return message


def test_service_manager_is_kept_informed(balancer):
    net = balancer.topology
    manager = Manager(net.dir / "notify")
    environment = dict(os.environ, NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="1000000")
    environment.pop("WATCHDOG_PID", None)
    process = net.lb.start(balancer.command(), log="notified.log", env=environment)
    balancer.daemon = process
    ready = manager.until("READY")
    assert ready["READY"] == "1" and "4 vips" in ready["STATUS"] and "eth0" in ready["STATUS"]
    assert manager.until("WATCHDOG")["WATCHDOG"] == "1"

    before = time.monotonic_ns() // 1000
    balancer.hup()
    reloading = manager.until("RELOADING")
    assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) >= before
    assert manager.until("READY")["READY"] == "1"
    process.signal(signal.SIGTERM)
    assert manager.until("STOPPING")["STOPPING"] == "1"
    assert process.wait() == 0


def test_idle_daemon_sleeps(daemon):
    def wakeups():
        with open(f"/proc/{daemon.daemon.pid}/status", encoding="ascii") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))

    first, start = wakeups(), time.monotonic()
    time.sleep(3)  # a rate needs a time to be measured over
    rate = (wakeups() - first) / (time.monotonic() - start)
    assert rate < 60, f"{rate:.0f} wakeups a second"
