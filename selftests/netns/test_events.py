# SPDX-License-Identifier: GPL-2.0
"""Flows are named to the daemon by the ring buffer or by perf buffers: promoted, and ended, alike."""
import pytest
from netns import wait_for
from servers import HttpConnection, start_nginx
from waymark import Balancer, SoftNic, attach_decap


@pytest.fixture
def make_net(topology):
    def make(events):
        topology.nic = SoftNic(topology)
        attach_decap(topology)
        start_nginx(topology)
        topology.balancer = Balancer(topology)
        set_events(topology.balancer, events)
        topology.balancer.start()
        return topology
    return make


def set_events(balancer, events):
    balancer.config["offload"]["events"] = events
    balancer.write()


def promote(net, number):
    """Connections that have a rule, and their reals."""
    connections = [HttpConnection(net, net.vips[0]) for _ in range(number)]
    reals = [c.ask() for c in connections]
    for _ in range(12):
        assert [c.ask() for c in connections] == reals
    wanted = {c.source[1] for c in connections}
    wait_for(lambda: wanted <= set(net.nic.marks()), "a rule for each connection")
    return connections, reals


def go_by_mark(net, connections, reals):
    before = net.balancer.counters()["tx_marked"]
    for _ in range(5):
        assert [c.ask() for c in connections] == reals
    assert net.balancer.counters()["tx_marked"] - before >= 5 * len(connections)


@pytest.mark.parametrize("events", ["ring", "perf"])
def test_flows_are_promoted_and_their_rules_end_with_them(make_net, events):
    net = make_net(events)
    connections, reals = promote(net, 8)
    go_by_mark(net, connections, reals)
    said = net.balancer.ask("stats")
    assert said["events"]["read"] >= 8 and said["events"]["lost"] == 0
    for connection in connections:
        connection.close()
    wait_for(lambda: net.nic.rules() == 0, "the rules to end")
    assert net.balancer.ask("stats")["offload"]["ended"]["closed"] >= 8


@pytest.mark.parametrize("before, after", [("ring", "perf"), ("perf", "ring"), ("perf", "perf")])
def test_a_restart_may_choose_anew_and_flows_stay(make_net, before, after):
    """The daemon is killed: nobody reads until the next one does."""
    net = make_net(before)
    balancer = net.balancer
    connections, reals = promote(net, 4)
    program = balancer.prog_id()
    balancer.kill()
    set_events(balancer, after)
    balancer.start()
    assert (balancer.prog_id() == program) == (before == after)
    go_by_mark(net, connections, reals)
    assert balancer.counters()["tx_miss"] <= balancer.counters()["tx_syn"]
    promote(net, 4)
    assert balancer.ask("stats")["events"]["read"] >= 4


def test_a_reload_cannot_change_it(make_net):
    net = make_net("ring")
    set_events(net.balancer, "perf")
    done = net.balancer.cli("reload", check=False)
    assert done.returncode == 1 and "offload: events" in done.stderr
