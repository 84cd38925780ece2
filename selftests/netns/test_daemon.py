# SPDX-License-Identifier: GPL-2.0
"""waymarkd's life: it may die and come back, be refused, stop, detach; its control socket."""
import json
import re
import socket

import pytest
from netns import wait_for
from servers import HttpConnection, Wrk, curl, start_nginx
from waymark import BUILD, NO_DAEMON, Balancer, SoftNic, attach_decap


@pytest.fixture
def net(topology):
    topology.nic = SoftNic(topology)
    attach_decap(topology)
    start_nginx(topology)
    topology.balancer = Balancer(topology)
    return topology


@pytest.fixture
def running(net):
    net.balancer.start()
    return net


def open_connections(net, number, asks=12):
    connections = [HttpConnection(net, net.vips[0]) for _ in range(number)]
    reals = [c.ask() for c in connections]
    for _ in range(asks):
        assert [c.ask() for c in connections] == reals
    return connections, reals


def marks(balancer):
    return {(d["vip"], d["real"]): d["mark"] for d in balancer.ask("dest")}


# --- dying and coming back ---


def test_kill_9_under_load_loses_no_request(running):
    balancer = running.balancer
    connections, reals = open_connections(running, 8)
    prog, before = balancer.prog_id(), marks(balancer)
    wrk = Wrk(running, running.vips[0], seconds=5, connections=16)
    wait_for(lambda: balancer.sent()[1] > 1000, "load that is marked")
    balancer.kill()
    assert [c.ask() for c in connections] == reals
    assert balancer.prog_id() == prog

    balancer.start()
    assert balancer.prog_id() == prog and marks(balancer) == before
    assert balancer.ask("status")["adopted"] is True
    result = wrk.finish()
    assert result["failed"] == 0 and result["requests"] > 0
    assert [c.ask() for c in connections] == reals


def test_rules_survive_the_daemon(running):
    balancer = running.balancer
    connections, reals = open_connections(running, 8)
    wait_for(lambda: running.nic.rules() >= 8, "rules")
    balancer.kill()
    before = running.nic.stats()["marked"]
    assert [c.ask() for c in connections] == reals
    assert running.nic.stats()["marked"] > before

    balancer.start()
    # Taken over: known again, and deleted when their connections end.
    sources = {f"{c.source[0]}:{c.source[1]}" for c in connections}
    assert sources <= {rule["source"] for rule in balancer.rules()}
    for c in connections:
        c.close()
    wait_for(lambda: not sources & {rule["source"] for rule in balancer.rules()}, "rules to go")
    wait_for(lambda: running.nic.rules() == 0, "the NIC to be empty")


def test_change_of_the_file_while_it_was_dead_is_applied(running):
    balancer = running.balancer
    connections, reals = open_connections(running, 12)
    balancer.kill()
    balancer.vip("tcp4-1-80")["reals"] = balancer.reals(which=[1, 2])
    balancer.write()
    balancer.start()
    for c, real in zip(connections, reals):
        if real != "real3":
            assert c.ask() == real
    assert {curl(running, running.vips[0]) for _ in range(20)} == {"real1", "real2"}


def test_stop_leaves_the_data_plane_running(running):
    balancer = running.balancer
    connections, reals = open_connections(running, 6)
    prog = balancer.prog_id()
    assert balancer.stop() == 0
    assert balancer.prog_id() == prog
    assert [c.ask() for c in connections] == reals
    assert {curl(running, running.vips[0]) for _ in range(30)} == {"real1", "real2", "real3"}
    assert not balancer.socket.exists()

    balancer.start()
    assert balancer.prog_id() == prog
    assert [c.ask() for c in connections] == reals


def test_detach_leaves_nothing(net):
    balancer = net.balancer.start("--detach")
    connections, _ = open_connections(net, 4)
    wait_for(lambda: net.nic.rules() >= len(connections), "rules")
    assert balancer.prog_id() is not None
    assert balancer.stop() == 0
    assert balancer.prog_id() is None
    assert net.nic.rules() == 0
    assert not balancer.socket.exists()
    assert not (net.bpffs / "waymark").exists() or not list((net.bpffs / "waymark").iterdir())


# --- adopting, refusing ---


def test_program_loaded_by_ip_link_is_adopted(net):
    net.lb.ip(f"link set dev eth0 xdp obj {BUILD / 'waymark.bpf.o'} sec xdp")
    prog = net.balancer.prog_id()
    # Not configured yet it passes everything.
    net.balancer.start()
    assert net.balancer.prog_id() == prog
    assert net.balancer.ask("status")["adopted"] is True
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2", "real3"}
    connections, reals = open_connections(net, 4)
    wait_for(lambda: net.nic.rules() >= 4, "rules")
    assert [c.ask() for c in connections] == reals
    assert net.balancer.counters()["tx_marked"] > 0


def test_foreign_program_is_refused_and_stays(net):
    net.lb.ip(f"link set dev eth0 xdp obj {BUILD / 'decap.bpf.o'} sec xdp")
    prog = net.balancer.prog_id()
    done = net.balancer.run()
    assert done.returncode != 0 and "eth0" in done.stderr
    assert net.balancer.prog_id() == prog


def test_second_daemon_is_refused_and_names_the_first(running):
    balancer = running.balancer
    prog = balancer.prog_id()
    done = balancer.run()
    assert done.returncode != 0 and re.search(rf"\b{balancer.daemon.pid}\b", done.stderr)

    # Nor with other paths: it is the interface that counts.
    other = running.dir / "other.yaml"
    config = dict(balancer.config, control=str(running.dir / "other.sock"),
                  pin=str(running.bpffs / "other"))
    text = "\n".join(f"{k}: {json.dumps(v)}" for k, v in config.items())
    other.write_text(text + "\n", encoding="utf-8")
    done = running.lb.run([BUILD / "waymarkd", "-c", other], check=False)
    assert done.returncode != 0 and re.search(rf"\b{balancer.daemon.pid}\b", done.stderr)
    assert balancer.prog_id() == prog and balancer.ask("status")["pid"] == balancer.daemon.pid
    assert curl(running, running.vips[0]).startswith("real")


def test_missing_interface_is_named(net):
    net.balancer.config["interface"] = "nosuch0"
    net.balancer.write()
    done = net.balancer.run()
    assert done.returncode != 0 and "nosuch0" in done.stderr


# --- checking only ---


def test_n_checks_and_touches_nothing(net):
    done = net.balancer.run("-n")
    assert done.returncode == 0
    assert net.balancer.prog_id() is None and not net.balancer.socket.exists()


@pytest.mark.parametrize("options", [["-n"], []])
def test_bad_configuration_is_refused_with_its_line(net, options):
    text = net.balancer.file.read_text(encoding="utf-8").splitlines()
    line = next(i for i, t in enumerate(text) if "protocol" in t)
    text[line] = text[line].replace('"tcp"', '"icmp"')
    net.balancer.write("\n".join(text) + "\n")
    done = net.balancer.run(*options)
    assert done.returncode != 0 and f"{net.balancer.file}:{line + 1}:" in done.stderr
    assert net.balancer.prog_id() is None


# --- the control socket ---


class Control:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")

    def ask(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode() + b"\n")
        return json.loads(self.file.readline())

    def closed(self):
        try:
            return self.file.readline() == b""
        except ConnectionResetError:
            return True


@pytest.fixture(scope="module")
def daemon(shared):
    shared.balancer = Balancer(shared, offload="none").start()
    return shared.balancer


BAD = {
    "not JSON": b"status\n",
    "no object": b"[1, 2]\n",
    "a string": b'"status"\n',
    "no command": b'{"vip": "web"}\n',
    "command of a wrong type": b'{"command": 7}\n',
    "unknown command": b'{"command": "explode"}\n',
    "unknown argument": b'{"command": "status", "colour": "red"}\n',
    "missing argument": b'{"command": "ring"}\n',
    "argument of a wrong type": b'{"command": "ring", "vip": 7}\n',
    "binary": b"\x00\xff\xfe{}\n",
    "too long": b'{"command": "ring", "vip": "' + b"x" * 10000 + b'"}\n',
    "too long without an end": b"{" * 5000,
    "deeply nested": b'{"command":' + b"[" * 2000 + b"]" * 2000 + b"}\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_request_gets_an_error_and_is_closed(daemon, name):
    control = Control(daemon.socket)
    reply = control.ask(BAD[name])
    assert reply["ok"] is False and reply["error"]
    assert control.closed()
    assert Control(daemon.socket).ask('{"command": "status"}')["ok"] is True


def test_request_that_cannot_be_served_keeps_the_connection(daemon):
    control = Control(daemon.socket)
    reply = control.ask('{"command": "ring", "vip": "nosuch"}')
    assert reply["ok"] is False and "nosuch" in reply["error"] and reply["errno"]
    assert control.ask('{"command": "status"}')["data"]["pid"] == daemon.daemon.pid


def test_many_requests_on_one_connection(daemon):
    control = Control(daemon.socket)
    control.sock.sendall(b'{"command": "status"}\n' * 50)
    for _ in range(50):
        assert json.loads(control.file.readline())["ok"] is True
    # A line may come in pieces.
    control.sock.sendall(b'{"command": ')
    assert control.ask('"status"}')["ok"] is True


def test_silent_clients_do_not_block_others(daemon):
    silent = [Control(daemon.socket) for _ in range(20)]
    for c in silent:
        c.sock.sendall(b'{"command"')
    assert Control(daemon.socket).ask('{"command": "status"}')["ok"] is True


def test_client_that_leaves_at_once_does_no_harm(daemon):
    for _ in range(20):
        control = Control(daemon.socket)
        control.sock.sendall(b'{"command": "ring", "vip": "tcp4-1-80"}\n')
        control.sock.close()
        control.file.close()
    assert daemon.ask("status")["pid"] == daemon.daemon.pid


def test_socket_is_for_root_alone(daemon):
    assert daemon.socket.stat().st_mode & 0o007 == 0


def test_without_a_daemon_the_command_says_so_and_exits_3(net):
    done = net.balancer.cli("status", check=False)
    assert done.returncode == NO_DAEMON
    assert len(done.stderr.strip().splitlines()) == 1 and not done.stdout


def test_after_a_kill_the_command_says_so_and_exits_3(running):
    running.balancer.kill()
    assert running.balancer.cli("--json", "status", check=False).returncode == NO_DAEMON
