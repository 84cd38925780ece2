# SPDX-License-Identifier: GPL-2.0
"""The mac lane: the NIC writes marks into source addresses. Whatever such an address says costs
speed only, and a request is never lost."""
import errno
import shutil

import pytest
from netns import wait_for
from servers import HttpConnection, ask_udp, start_nginx, start_udp_echo, udp_socket
from waymark import Balancer, SoftNic, attach_decap

CONNECTIONS = 6
ROUNDS = 10


@pytest.fixture(name="net")
def one_net(topology):
    topology.nic = SoftNic(topology)
    attach_decap(topology)
    start_nginx(topology)
    return topology


def start(net, lane="mac", **offload):
    balancer = Balancer(net)
    balancer.config["offload"].update(lane=lane, **offload)
    balancer.write()
    net.balancer = balancer.start()
    return balancer


def still_there(connections, reals, times=ROUNDS):
    for _ in range(times):
        assert [c.ask() for c in connections] == reals


def marked_connections(net):
    """Connections that have rules, and their reals; the rules were seen to bring marks."""
    connections = [HttpConnection(net, net.vips[0]) for _ in range(CONNECTIONS)]
    reals = [c.ask() for c in connections]
    come_back_marked(net, connections, reals)
    return connections, reals


def come_back_marked(net, connections, reals):
    wait_for(lambda: share(net, connections, reals) >= 0.9, "packets to go by their marks", timeout=60)


def share(net, connections, reals):
    """Of the packets to the reals now, so many go by their mark alone."""
    before = net.balancer.counters()
    still_there(connections, reals)
    after = net.balancer.counters()
    marked, hit, miss = (after[name] - before[name] for name in ("tx_marked", "tx_hit", "tx_miss"))
    assert marked + hit + miss >= CONNECTIONS * ROUNDS
    return marked / (marked + hit + miss)


def prefixes(net):
    return {address[:3] for address in net.nic.addresses().values()}


def test_flows_go_by_their_source_addresses(net):
    balancer = start(net)
    status = balancer.ask("status")
    assert (status["lane"], status["offload"]["mark_bits"]) == ("mac", 24)
    connections, reals = marked_connections(net)
    assert set(net.nic.marks().values()) == {0}  # no rule puts anything in front
    (prefix,) = prefixes(net)
    assert prefix[0] & 3 == 2  # one station's, locally administered
    rules = {rule["mark"] for rule in balancer.rules()}
    assert {int.from_bytes(a[3:], "little") for a in net.nic.addresses().values()} == rules
    assert "lane mac" in balancer.cli("status").stdout
    still_there(connections, reals)


def test_datagrams_and_ipv6_too(net):
    start_udp_echo(net)
    balancer = start(net)
    socks = [udp_socket(net, net.vips[0]), udp_socket(net, net.vips6[0])]

    def marked():
        before = balancer.counters()["tx_marked"]
        for sock in socks * 3:
            assert ask_udp(sock) is not None
        return balancer.counters()["tx_marked"] - before == 6

    wait_for(marked, "datagrams of both families to go by their marks")


def test_a_daemon_that_comes_back_finds_lane_and_rules(net):
    balancer = start(net)
    connections, reals = marked_connections(net)
    prefix, program = prefixes(net), balancer.prog_id()
    balancer.kill()
    still_there(connections, reals)
    balancer.start()
    status = balancer.ask("status")
    assert (status["lane"], status["adopted"], status["prog_id"]) == ("mac", True, program)
    assert prefixes(net) == prefix and net.nic.rules() >= CONNECTIONS
    come_back_marked(net, connections, reals)
    assert prefixes(net) == prefix


def test_rules_of_an_older_load_are_useless_and_go(net):
    balancer = start(net)
    connections, reals = marked_connections(net)
    (old,) = prefixes(net)
    balancer.kill()
    net.lb.ip("link set dev eth0 xdp off")
    shutil.rmtree(net.bpffs / "waymark")
    net.nic.knob(remove_errno=errno.EBUSY)  # the NIC keeps them
    balancer.start()
    assert balancer.ask("status")["adopted"] is False
    share(net, connections, reals)
    assert old in prefixes(net)
    counted = balancer.counters()
    assert counted["tx_marked"] == counted["mark_unknown"] == counted["mark_stale"] == 0
    net.nic.knob(remove_errno=0)
    come_back_marked(net, connections, reals)
    wait_for(lambda: old not in prefixes(net), "the rules of the older load to go", timeout=60)


@pytest.mark.parametrize("lanes", [("meta", "mac"), ("mac", "auto")])
def test_another_lane_takes_over_and_flows_stay(net, lanes):
    balancer = start(net, lanes[0])
    connections, reals = marked_connections(net)
    balancer.vip("tcp4-1-80")["reals"][0]["weight"] = 0  # from here on the flow table counts
    balancer.write()
    balancer.reload()
    program = balancer.prog_id()
    balancer.config["offload"]["lane"] = lanes[1]
    balancer.write()
    refused = balancer.cli("reload", check=False)
    assert refused.returncode == 1 and "lane" in refused.stderr and "restart" in refused.stderr
    balancer.stop()
    balancer.start()
    assert balancer.prog_id() != program
    assert balancer.ask("status")["lane"] == {"mac": "mac", "auto": "meta"}[lanes[1]]
    assert "and flows stay" in balancer.daemon.output()
    still_there(connections, reals)
    come_back_marked(net, connections, reals)
    assert all(any(a) == (lanes[1] == "mac") for a in net.nic.addresses().values())


def test_a_made_up_address_costs_speed_only(net):
    balancer = start(net)
    connections, reals = marked_connections(net)
    (prefix,) = prefixes(net)
    dests = {(d["vip"], d["real"]): d["mark"] for d in balancer.ask("dest")}
    other_vip = dests["tcp4-2-80", net.reals[0].address].to_bytes(3, "little")
    own_vip = dests["tcp4-1-80", net.reals[0].address].to_bytes(3, "little")
    another = bytes([prefix[0], prefix[1], prefix[2] ^ 1])  # a second balancer's, say
    for address, counter in ((another + own_vip, None),
                             (prefix + other_vip, "mark_mismatch"),
                             (prefix + b"\xff\x0f\x00", "mark_unknown"),
                             (prefix + own_vip[:2] + b"\x7f", "mark_stale")):
        net.nic.knob(smac_fixed=address)
        before = balancer.counters()
        share(net, connections, reals)
        after = balancer.counters()
        assert after["tx_marked"] == before["tx_marked"], counter
        assert after["tx_hit"] - before["tx_hit"] >= CONNECTIONS * ROUNDS
        moved = {name for name in after if name.startswith("mark_") and after[name] != before[name]}
        # What ends or begins while every frame has a mark is counted as such.
        assert moved - {"mark_control"} == ({counter} if counter else set())
    net.nic.knob(smac_fixed=0)
    come_back_marked(net, connections, reals)


def test_a_nic_that_changes_the_address_costs_speed_only(net):
    balancer = start(net)
    connections, reals = marked_connections(net)
    net.nic.knob(mark_xor=1 << 12)
    before = balancer.counters()
    share(net, connections, reals)
    after = balancer.counters()
    assert after["mark_stale"] - before["mark_stale"] >= CONNECTIONS * ROUNDS
    assert after["tx_marked"] == before["tx_marked"]
    net.nic.knob(mark_xor=0)
    come_back_marked(net, connections, reals)


def test_a_nic_that_does_not_rewrite_leaves_all_in_software(net):
    net.nic.knob(smac_errno=errno.EOPNOTSUPP)
    balancer = start(net)
    connections = [HttpConnection(net, net.vips[0]) for _ in range(CONNECTIONS)]
    reals = [c.ask() for c in connections]
    still_there(connections, reals)
    wait_for(lambda: balancer.ask("stats")["offload"]["refused"] > 0, "a refusal")
    still_there(connections, reals)
    assert net.nic.rules() == 0 and balancer.counters()["tx_marked"] == 0


def test_a_rule_that_the_nic_loses_is_noticed(net):
    balancer = start(net, idle="2s")
    connections, reals = marked_connections(net)
    net.nic.clear()
    share(net, connections, reals)

    def found():
        still_there(connections, reals, times=1)
        return balancer.ask("stats")["offload"]["active"] < CONNECTIONS or net.nic.rules()

    wait_for(found, "the daemon to see that", timeout=60)
    come_back_marked(net, connections, reals)


@pytest.mark.parametrize("backend,lane,why", [
    ("ntuple", "mac", "cannot rewrite a frame's source address"),
    ("sim", "kfunc", "bpf_xdp_metadata_rx_flow_mark"),
])
def test_what_the_backend_has_not_is_refused(net, backend, lane, why):
    balancer = Balancer(net, offload=backend)
    balancer.config["offload"]["lane"] = lane
    balancer.write()
    refused = balancer.run()
    assert refused.returncode == 1 and f"lane {lane}" in refused.stderr and why in refused.stderr
    assert balancer.prog_id() is None


@pytest.mark.parametrize("lane", ["auto", "mac"])
def test_a_lane_is_believed_when_marks_were_seen(net, lane):
    """Rules that are used and bring no mark: in the lane of our own choice they go."""
    net.nic.knob(stamp_lose=1)
    balancer = start(net, lane, idle="2s")
    assert balancer.ask("status")["offload"]["marks"] == "awaited"
    connections = [HttpConnection(net, net.vips[0]) for _ in range(CONNECTIONS)]
    reals = [c.ask() for c in connections]

    def missing():
        still_there(connections, reals, times=20)
        return balancer.ask("status")["offload"]["marks"] == "missing"

    wait_for(missing, "marks to be missed", timeout=60)
    assert "no mark has arrived" in balancer.daemon.output()
    net.nic.knob(stamp_lose=0)
    if lane == "auto":
        wait_for(lambda: net.nic.rules() == 0, "the rules to go", timeout=60)
        balancer.reload()
        share(net, connections, reals)
        assert net.nic.rules() == 0 and balancer.counters()["tx_marked"] == 0
        balancer.stop()
        balancer.start()
    come_back_marked(net, connections, reals)
    wait_for(lambda: balancer.ask("status")["offload"]["marks"] == "seen", "marks to be believed")
    assert "marks arrive, by lane" in balancer.daemon.output()
