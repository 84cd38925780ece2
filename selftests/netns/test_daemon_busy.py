# SPDX-License-Identifier: GPL-2.0
"""waymarkd while a reload is under way: it answers, promotes, and ends when told to.

Who has a lease on the configuration file holds a reload for as long as a test wants (the
kernel gives up after 45 s); the rest is told by the order of replies."""
import fcntl
import os
import select
import signal

import pytest
from netns import wait_for
from servers import udp_socket
from waymark import Balancer, Client, SoftNic, proven_flow, yaml_text

VIPS, REALS = 500, 20  # of the large configuration
WEB = "tcp4-1-80"


@pytest.fixture
def balancer(make_topology):
    net = make_topology(reals=2, vips=1)
    net.nic = SoftNic(net, mark_bits=32)
    made = Balancer(net, limits={"vips": VIPS + 10, "dests": 60000}).start()
    yield made
    made.take_off()


@pytest.fixture
def clients(balancer):
    made = [Client(balancer.socket) for _ in range(3)]
    yield made
    for client in made:
        client.close()


def pending(client):
    """Is there no reply yet?"""
    return not select.select([client.sock], [], [], 0)[0]


def reweighted(balancer, weight):
    balancer.vip(WEB)["reals"][0]["weight"] = weight
    return yaml_text(balancer.config)


@pytest.fixture(autouse=True)
def lease_signal():
    """The kernel says with SIGIO that somebody waits for the lease."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGIO, before)


class Held:
    """A lease on the configuration: who opens it waits until let go."""

    def __init__(self, balancer):
        self.file = open(balancer.file, "r+", encoding="utf-8")
        fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_WRLCK)

    def opened(self):
        wait_for(lambda: fcntl.fcntl(self.file, fcntl.F_GETLEASE) != fcntl.F_WRLCK,
                 "the daemon to open its configuration")

    def let_go(self, text):
        self.opened()
        self.file.truncate(0)
        self.file.write(text)
        self.file.close()  # and with it the lease


def test_others_are_served_and_flows_promoted_meanwhile(balancer, clients):
    waiting, other, _ = clients
    before = other.ask("status")
    assert before["reload_state"] == "idle"
    held = Held(balancer)
    waiting.send(command="reload")
    waiting.send(command="status")
    wait_for(lambda: other.ask("status")["reload_state"] == "reading", "the reload to begin")
    installed = other.ask("stats")["offload"]["installed"]
    proven_flow(balancer)
    assert other.ask("stats")["offload"]["installed"] > installed
    assert other.ask("status")["reloads"] == before["reloads"]
    assert pending(waiting)

    held.let_go(reweighted(balancer, 7))
    assert "1 real reweighted" in waiting.reply()["data"]["summary"]
    after = waiting.reply()["data"]  # in the order of the requests
    assert (after["reloads"], after["reload_state"]) == (before["reloads"] + 1, "idle")


def test_reloads_asked_for_meanwhile_are_one_more(balancer, clients):
    first, *others = clients
    before = first.ask("status")["reloads"]
    held = Held(balancer)
    first.send(command="reload")
    held.opened()
    for client in others:
        # Both lines are read in one go: with the first reply the second is under way.
        client.sock.sendall(b'{"command": "status"}\n{"command": "reload"}\n')
        assert client.reply()["data"]["reload_state"] == "reading"
    balancer.hup()
    text = reweighted(balancer, 7)
    final = balancer.file.with_suffix(".final")
    final.write_text(reweighted(balancer, 9), encoding="utf-8")
    final.rename(balancer.file)
    assert all(pending(client) for client in clients)
    held.let_go(text)

    assert "1 real reweighted" in first.reply()["data"]["summary"]
    answers = [client.reply() for client in others]
    assert answers[0] == answers[1] and "1 real reweighted" in answers[0]["data"]["summary"]
    wait_for(lambda: first.ask("status")["reload_state"] == "idle", "the last to end")
    assert first.ask("real", vip=WEB)[0]["weight"] == 9
    # The signal may have come before or after the second began: one reload, or two.
    assert first.ask("status")["reloads"] - before in (2, 3)


def test_error_reaches_all_who_wait(balancer, clients):
    before = clients[2].ask("real")
    held = Held(balancer)
    clients[0].send(command="reload")
    held.let_go("interface: eth0\nvips: [ { address: nonsense, port: 1, reals: [] } ]\n")
    reply = clients[0].reply()
    assert not reply["ok"] and reply["errno"] == 22 and ":2:" in reply["error"]
    assert clients[2].ask("status")["last_reload"]["text"] == reply["error"]
    assert clients[2].ask("real") == before


def sockets(balancer):
    folder = f"/proc/{balancer.daemon.pid}/fd"
    links = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
    return len([link for link in links if link.startswith("socket:")])


def test_client_that_does_not_wait_is_let_go(balancer, clients):
    for _ in range(3):  # by then those who asked before have been let go
        before = clients[0].ask("status")["reloads"]
    held = Held(balancer)
    there = sockets(balancer)
    gone = Client(balancer.socket)
    gone.send(command="reload")
    wait_for(lambda: clients[0].ask("status")["reload_state"] == "reading", "the reload to begin")
    gone.close()
    wait_for(lambda: sockets(balancer) == there, "its socket to be closed")
    held.let_go(yaml_text(balancer.config))
    wait_for(lambda: clients[0].ask("status")["reloads"] == before + 1, "the reload to end")


def test_ends_though_the_file_never_comes(balancer, clients):
    held = Held(balancer)
    clients[0].send(command="reload")
    wait_for(lambda: clients[1].ask("status")["reload_state"] == "reading", "the reload to begin")
    assert balancer.stop() == 0
    assert clients[0].reply() is None
    held.file.close()


def test_ends_at_once_though_its_first_file_never_comes(balancer):
    assert balancer.stop() == 0
    held = Held(balancer)
    balancer.start(wait=False)
    held.opened()
    assert balancer.stop() == -signal.SIGTERM
    held.file.close()


def test_what_is_no_file_is_refused(balancer, clients):
    before = clients[0].ask("vip")
    balancer.file.unlink()
    os.mkfifo(balancer.file)
    assert "it is a pipe, not a file" in clients[0].refused("reload")
    assert clients[0].ask("vip") == before
    assert balancer.stop() == 0
    balancer.file.unlink()
    balancer.file.symlink_to("/dev/zero")
    for options in ([], ["-n"]):
        done = balancer.run(*options)
        assert done.returncode == 1 and "it is a device or a socket, not a file" in done.stderr


def large(balancer, gateway="02:00:00:00:00:99"):
    """The configuration and many more vips, each with reals of its own."""
    config = {"gateway": gateway, **balancer.config}
    config["vips"] = config.pop("vips")  # last
    lines = [yaml_text(config)]
    for v in range(VIPS):
        reals = ", ".join(f"{{ address: 10.{150 + v // 200}.{v % 200}.{r + 1} }}" for r in range(REALS))
        lines.append(f"  - {{ address: 10.201.{v // 200}.{v % 200 + 1}, port: 80, protocol: tcp, "
                     f"reals: [ {reals} ] }}\n")
    return "".join(lines)


def test_answers_and_promotes_while_rings_are_built(balancer, clients):
    """Each turn: a flow's packets, then two questions. A reload that held up the loop
    would have none of them answered while it changes the data plane."""
    waiting, other, _ = clients
    balancer.file.write_text(large(balancer), encoding="utf-8")
    waiting.send(command="reload")
    read = []
    while pending(waiting):
        flow = udp_socket(balancer.topology, balancer.topology.vips[0])
        for _ in range(10):
            flow.send(b"x")
        flow.close()
        events = other.ask("stats")["events"]["read"]
        if other.ask("status")["reload_state"] == "changing" and pending(waiting):
            read.append(events)
    reply = waiting.reply()
    assert reply["ok"] and f"{VIPS} vips" in reply["data"]["summary"], reply
    assert len(read) > 1 and read[-1] > read[0]


def test_answers_while_next_hops_are_found(balancer, clients):
    """Ten thousand new reals behind a router that is known: looking their ways up is
    all that there is to do before the change."""
    waiting, other, _ = clients
    net = balancer.topology
    net.lb.ip(f"route add 10.128.0.0/10 via {net.reals[0].address}")
    balancer.file.write_text(large(balancer, "auto"), encoding="utf-8")
    waiting.send(command="reload")
    states = []
    while pending(waiting):
        states.append(other.ask("status")["reload_state"])
    reply = waiting.reply()
    assert reply["ok"] and f"{VIPS} vips" in reply["data"]["summary"], reply
    assert "finding" in states

    def slots():
        return [r["slots"] for r in other.ask("real") if r["address"].startswith("10.15")]

    assert len(slots()) == VIPS * REALS
    # Where a way was not found in the time that a reload gives, the real follows.
    wait_for(lambda: all(slots()), "every real to have slots")


def test_planning_is_waited_for_at_the_end(balancer, clients):
    waiting, other, _ = clients
    balancer.file.write_text(large(balancer), encoding="utf-8")
    waiting.send(command="reload")
    wait_for(lambda: other.ask("status")["reload_state"] == "changing", "a plan to be made", every=0)
    assert balancer.stop() == 0
