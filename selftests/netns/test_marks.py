# SPDX-License-Identifier: GPL-2.0
"""A NIC that is full, refuses, is slow, loses rules or stamps wrong marks costs speed,
never a request."""
import errno

import pytest
from netns import wait_for
from servers import HttpConnection, Wrk, start_nginx
from waymark import Balancer, SoftNic, attach_decap

GENERATION_BIT = 1 << 15  # above any id, inside a 16-bit mark


@pytest.fixture
def make_net(topology):
    def make(**nic):
        topology.nic = SoftNic(topology, **nic)
        attach_decap(topology)
        start_nginx(topology)
        topology.balancer = Balancer(topology).start()
        return topology
    return make


def load(net, connections=16, seconds=2):
    result = Wrk(net, net.vips[0], seconds=seconds, connections=connections).finish()
    assert result["failed"] == 0 and result["requests"] > 0
    return result


def open_connections(net, number):
    """Connections that proved themselves, and their reals."""
    connections = [HttpConnection(net, net.vips[0]) for _ in range(number)]
    reals = [c.ask() for c in connections]
    for _ in range(12):
        assert [c.ask() for c in connections] == reals
    return connections, reals


def still_there(connections, reals, times=10):
    for _ in range(times):
        assert [c.ask() for c in connections] == reals


def rules_installed(net, at_least):
    wait_for(lambda: net.nic.rules() >= at_least, f"{at_least} rules in the NIC")


@pytest.mark.parametrize("counter,knob", [
    ("mark_stale", {"mark_xor": GENERATION_BIT}),
    ("mark_unknown", {"mark_fixed": 0x0FFF}),
])
def test_wrong_mark_takes_the_software_path(make_net, counter, knob):
    net = make_net()
    connections, reals = open_connections(net, 8)
    rules_installed(net, 8)
    still_there(connections, reals)
    net.nic.knob(**knob)
    before = net.balancer.counters()
    still_there(connections, reals)
    load(net)
    after = net.balancer.counters()
    assert after[counter] - before[counter] > 80
    assert after["tx_marked"] == before["tx_marked"]
    assert after["tx_hit"] - before["tx_hit"] > 80

    # Healed, the marks are good again.
    net.nic.knob(**{name: 0 for name in knob})
    still_there(connections, reals)
    assert net.balancer.counters()["tx_marked"] > after["tx_marked"]


def test_mark_of_another_vip_does_not_misroute(make_net):
    """Every packet carries a live mark, of a destination that is not its VIP's."""
    net = make_net()
    wrong = next(d["mark"] for d in net.balancer.ask("dest")
                 if d["vip"] == "tcp4-2-80" and d["real"] == net.reals[2].address)
    connections, reals = open_connections(net, 8)
    net.nic.knob(mark_fixed=wrong)
    before = net.balancer.counters()
    still_there(connections, reals)
    load(net)
    after = net.balancer.counters()
    assert after["mark_mismatch"] - before["mark_mismatch"] > 80
    assert after["tx_marked"] == before["tx_marked"]


def test_full_rule_table_serves_the_rest_in_software(make_net):
    net = make_net(capacity=4)
    load(net, connections=32)
    connections, reals = open_connections(net, 12)
    rules_installed(net, 4)
    before = net.balancer.counters()
    still_there(connections, reals)
    after = net.balancer.counters()
    assert net.nic.rules() == 4
    # Four flows go by mark, eight do not.
    assert after["tx_marked"] - before["tx_marked"] >= 40
    assert after["tx_hit"] - before["tx_hit"] >= 80
    offload = net.balancer.ask("stats")["offload"]
    assert offload["full"] + offload["held"] > 0


def test_refused_installs_are_counted_and_tried_later(make_net):
    net = make_net()
    net.nic.knob(install_errno=errno.EIO)
    connections, reals = open_connections(net, 8)
    wait_for(lambda: net.balancer.ask("stats")["offload"]["refused"] > 0, "a refusal")
    still_there(connections, reals)
    assert net.nic.rules() == 0 and net.balancer.counters()["tx_marked"] == 0

    # The daemon backs off, not for good.
    net.nic.knob(install_errno=0)

    def marked():
        still_there(connections, reals)
        return net.balancer.counters()["tx_marked"] > 0
    wait_for(marked, "marks after the NIC was healed", timeout=60)


def test_delayed_installs_arrive(make_net):
    net = make_net()
    net.nic.knob(install_delay_ns=300_000_000)
    connections, reals = open_connections(net, 8)
    rules_installed(net, 8)
    still_there(connections, reals)
    assert net.balancer.counters()["tx_marked"] > 0


def test_lost_installs_leave_the_flows_in_software(make_net):
    net = make_net()
    net.nic.knob(install_lose=1)
    connections, reals = open_connections(net, 8)
    wait_for(lambda: net.balancer.ask("stats")["offload"]["installed"] >= 8, "installs reported")
    still_there(connections, reals)
    assert net.nic.rules() == 0 and net.balancer.counters()["tx_marked"] == 0
    load(net)


def test_lost_removals_never_misroute(make_net):
    """Rules that the NIC kept though it said they are gone: flows stay right."""
    net = make_net()
    net.nic.knob(remove_lose=1)
    connections, reals = open_connections(net, 6)
    rules_installed(net, 6)
    for c in connections:
        c.close()
    load(net)
    connections, reals = open_connections(net, 6)
    still_there(connections, reals)


def test_idle_rules_are_removed(topology):
    topology.nic = SoftNic(topology)
    attach_decap(topology)
    start_nginx(topology)
    balancer = Balancer(topology)
    balancer.config["offload"]["idle"] = "500ms"
    balancer.write()
    topology.balancer = balancer.start()
    connections, reals = open_connections(topology, 4)
    rules_installed(topology, 1)
    wait_for(lambda: topology.nic.rules() == 0, "idle rules to go", timeout=30)
    wait_for(lambda: balancer.ask("stats")["offload"]["ended"]["idle"] >= 4, "them to be counted")
    # The connections live, and prove themselves anew.
    still_there(connections, reals, times=15)
    rules_installed(topology, 1)
