# SPDX-License-Identifier: GPL-2.0
"""How many flows each real has now: `waymark real`, column LIVE. What an operator waits
for after a weight of 0."""
import json

import pytest
from netns import sh, wait_for
from servers import (HttpConnection, ask_udp, start_nginx, start_udp_echo, udp_socket)
from waymark import Balancer, Client, SoftNic, attach_decap

WEB, ECHO = "tcp4-1-80", "udp4-1-7"


@pytest.fixture
def net(topology):
    topology.nic = SoftNic(topology)
    attach_decap(topology)
    start_nginx(topology)
    start_udp_echo(topology)
    topology.balancer = Balancer(topology)
    return topology


def live(balancer, vip):
    """Flows of the vip's reals, in their order."""
    return [row["live"] for row in balancer.ask("real", vip)]


def by_name(reals):
    return [reals.count(f"real{i}") for i in (1, 2, 3)]


def forget_flows(balancer):
    """Empty the flow table: as if others had taken all the places."""
    table = balancer.topology.bpffs / "waymark" / "flows"
    dump = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", table]).stdout)
    for bucket in dump:
        if any(int(byte, 16) for byte in bucket["value"]):
            sh(["bpftool", "map", "update", "pinned", table, "key", *bucket["key"],
                "value", *(["0"] * 64)])


def test_a_drained_real_is_seen_to_be_empty(net):
    balancer = net.balancer
    balancer.config["offload"] = {"backend": "none"}
    balancer.write()
    balancer.start()
    assert live(balancer, WEB) == [0, 0, 0]
    connections = [HttpConnection(net, net.vips[0]) for _ in range(24)]
    reals = [c.ask() for c in connections]
    assert set(reals) == {"real1", "real2", "real3"}
    wait_for(lambda: live(balancer, WEB) == by_name(reals), "all flows to be counted")

    balancer.vip(WEB)["reals"][2]["weight"] = 0
    balancer.write()
    balancer.reload()
    late = [HttpConnection(net, net.vips[0]) for _ in range(6)]
    reals += [c.ask() for c in late]
    wait_for(lambda: live(balancer, WEB) == by_name(reals), "those that came after the drain")
    for connection, real in zip(connections, list(reals)):
        if real == "real3":
            connection.close()
    reals = [r for r in reals if r != "real3"]
    wait_for(lambda: live(balancer, WEB) == by_name(reals), "real3 to have no flow left")
    assert live(balancer, WEB)[2] == 0
    assert [row["flows"] for row in balancer.ask("real", WEB)][2] > 0  # of its whole life
    table = balancer.cli("real", WEB).stdout.splitlines()
    assert "LIVE" in table[0].split()


def test_flows_that_go_by_their_marks_are_counted_once(net):
    balancer = net.balancer
    balancer.config["offload"]["idle"] = "10m"  # no reading, which would enter them again
    balancer.config["flow-table"] = {"flows": 200}
    balancer.write()
    balancer.start()
    connections = [HttpConnection(net, net.vips[0]) for _ in range(12)]
    reals = [c.ask() for c in connections]
    for _ in range(12):
        assert [c.ask() for c in connections] == reals
    wait_for(lambda: net.nic.rules() >= 12 and
             all(r["state"] == "active" for r in balancer.rules()), "rules for all")
    wait_for(lambda: live(balancer, WEB) == by_name(reals), "each once, by entry or rule")
    forget_flows(balancer)
    ask_udp(udp_socket(net, net.vips[0]))
    wait_for(lambda: sum(live(balancer, ECHO)) == 1, "a count that began afterwards")
    assert live(balancer, WEB) == by_name(reals)


def test_a_datagram_flow_counts_until_it_is_idle(net):
    balancer = net.balancer
    balancer.config["offload"] = {"backend": "none"}
    balancer.config["flow-table"] = {"udp-idle": "5m"}
    balancer.write()
    balancer.start()
    names = [ask_udp(udp_socket(net, net.vips[0])) for _ in range(12)]
    wait_for(lambda: live(balancer, ECHO) == by_name(names), "all flows to be counted")
    balancer.config["flow-table"]["udp-idle"] = "1s"
    balancer.write()
    balancer.reload()
    wait_for(lambda: live(balancer, ECHO) == [0, 0, 0], "all to be idle")


def test_replies_keep_their_order_and_nobody_else_waits(net):
    balancer = net.balancer
    balancer.config["flow-table"] = {"flows": 2000000}
    balancer.write()
    balancer.start()
    client, gone = Client(balancer.socket), Client(balancer.socket)
    # Leaves while the flows are counted that it asked for.
    gone.send(command="real")
    gone.close()
    order = ["real", "vip", "real", "status", "real"]
    for command in order:
        client.send(command=command)
    kinds = {"real": "live", "vip": "ring", "status": "pid"}
    for command in order:
        data = client.reply()["data"]
        assert kinds[command] in (data[0] if isinstance(data, list) else data)
    assert len(client.ask("real", vip=WEB)) == 3
    client.refused("real", vip="nobody")
    client.close()
