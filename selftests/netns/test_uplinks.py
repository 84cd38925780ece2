# SPDX-License-Identifier: GPL-2.0
"""Several interfaces: a packet leaves by the one that it came in by, with one next hop for all.
Where they are on different links that is refused at the start, and where it turns out later
the packets are dropped and counted; where they are on the same link they are served.

The balancer's second interface, eth1, is on the link of the topology, or on one of its own where
the client is, too, and no real.
"""
import contextlib
import socket

import pytest
from netns import wait_for
from servers import ask_udp, start_udp_echo, udp_socket
from waymark import BUILD, Balancer, attach_decap

LB1_MAC, CLIENT1_MAC = "02:00:0a:c8:00:09", "02:00:0a:c9:00:02"
SAME_LINK, OTHER_LINK, ELSEWHERE = "10.200.0.9/16", "10.201.0.1/16", "192.168.77.1/24"
IPIP = 4
ETH_P_IP = 0x0800
CONNECTIONS = 20


@pytest.fixture(scope="module")
def net(make_topology):
    made = make_topology(reals=2, vips=1)
    attach_decap(made)
    start_udp_echo(made)
    made.wire.ip("link add br1 mtu 1600 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
    made.wire.ip("link set br1 up")
    made.wire.ip("link add client1 mtu 1600 type veth peer name eth1 mtu 1500 "
                 f"address {CLIENT1_MAC} netns {made.client.name}")
    made.wire.ip("link set client1 master br1 up")
    made.client.run("ethtool -K eth1 tx off")
    made.client.ip("address add 10.201.0.2/16 dev eth1")
    made.client.ip("link set eth1 up")
    return made


@pytest.fixture
def start(net):
    """A function that makes eth1, on a bridge of the wire, and starts the daemon on both."""
    made = []

    def run(bridge, *addresses, options=(), refused=False, **settings):
        net.wire.ip("link add lb1 mtu 1600 type veth peer name eth1 mtu 1600 "
                    f"address {LB1_MAC} netns {net.lb.name}")
        net.wire.ip(f"link set lb1 master {bridge} up")
        net.wire.run([BUILD / "waymark", "softnic", "wire", "lb1"])
        for address in addresses:
            net.lb.ip(f"address add {address} dev eth1")
        net.lb.ip("link set eth1 up")
        made.append(Balancer(net, offload="none", interface=["eth0", "eth1"], **settings))
        return made[-1].run(*options) if refused else made[-1].start(*options)

    yield run
    for balancer in made:
        balancer.take_off()
    net.wire.ip("link delete lb1", check=False)
    net.client.ip(f"route del {net.vips[0]}/32", check=False)
    net.client.ip("neigh flush dev eth1")
    net.client.ip("neigh flush dev eth0")


def by_eth1(net, gateway, device):
    """The client sends to the vip by the balancer's second interface from now on."""
    net.client.ip(f"neigh replace {gateway} lladdr {LB1_MAC} dev {device} nud permanent")
    net.client.ip(f"route replace {net.vips[0]}/32 via {gateway} dev {device}")


class Wire:
    """Frames that the balancer sends by its second interface."""

    def __init__(self, net):
        with net.wire.entered():
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        self.sock.bind(("lb1", ETH_P_IP))
        self.sock.setblocking(False)

    def tunnelled(self):
        """Those in an outer header."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, where = self.sock.recvfrom(2048)
                if where[2] != socket.PACKET_OUTGOING and frame[23] == IPIP:
                    found.append(frame)
        return found


def send(net, count=CONNECTIONS):
    """Datagrams of so many flows; returns what the counters say when all had a verdict."""
    before = net.balancer.counters()
    for _ in range(count):
        with contextlib.closing(udp_socket(net, net.vips[0])) as sock:
            sock.send(b"x")

    def seen():
        after = net.balancer.counters()
        change = {name: after[name] - before[name] for name in after}
        return change if change["tx_miss"] + change["drop_uplink"] >= count else None

    return wait_for(seen, f"{count} datagrams to have a verdict")


def assert_lost(net):
    """Nothing leaves by eth1, and all of it is counted."""
    wire = Wire(net)
    assert send(net)["drop_uplink"] == CONNECTIONS
    assert not wire.tunnelled()
    wire.sock.close()


def assert_served(net):
    for _ in range(CONNECTIONS):
        with contextlib.closing(udp_socket(net, net.vips[0])) as sock:
            assert ask_udp(sock).startswith("real")


def test_another_link_is_refused(net, start):
    done = start("br1", OTHER_LINK, refused=True)
    assert done.returncode == 1
    assert "eth0 and eth1 are on different links" in done.stderr
    assert "Take eth1 out of `interface`" in done.stderr and "--force" in done.stderr
    link = net.lb.run("ip -d link show").stdout
    assert "prog/xdp" not in link


def test_another_link_by_force_loses_what_would_go_astray(net, start):
    net.balancer = start("br1", OTHER_LINK, options=["--force"])
    assert net.balancer.ask("status")["apart"][0].startswith("eth1: packets for 10.200.2.11, ")
    assert "drop_uplink" in net.balancer.daemon.output()
    assert_served(net)
    by_eth1(net, "10.201.0.1", "eth1")
    assert_lost(net)
    fits = {real["fits"] for real in net.balancer.ask("real")}
    assert fits == {1580, 1560}


def test_another_next_hop_there_is_refused(net, start):
    """Here the real answers on both links, as two machines."""
    net.client.ip(f"address add {net.reals[0].address}/32 dev eth1")
    try:
        done = start("br1", OTHER_LINK, refused=True)
        checked = net.lb.run([BUILD / "waymarkd", "-n", "-c", net.dir / "waymark.yaml"], check=False)
    finally:
        net.client.ip(f"address del {net.reals[0].address}/32 dev eth1")
    assert done.returncode == 1 and f"has the link address {CLIENT1_MAC}" in done.stderr
    assert checked.returncode == 1 and f"has the link address {CLIENT1_MAC}" in checked.stderr


@pytest.mark.parametrize("addresses", [[], [SAME_LINK], [ELSEWHERE]],
                         ids=["none", "of-the-link", "of-nowhere"])
def test_the_same_link_is_served(net, start, addresses):
    net.balancer = start("br0", *addresses)
    assert net.balancer.ask("status")["apart"] == []
    assert_served(net)
    by_eth1(net, "10.200.0.9", "eth0")
    before = net.balancer.counters()
    assert_served(net)
    after = net.balancer.counters()
    assert after["tx_miss"] == before["tx_miss"] + CONNECTIONS
    assert after["drop_uplink"] == before["drop_uplink"]
    checked = net.balancer.run("-n")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_what_turns_out_later_is_dropped_and_said(net, start):
    net.balancer = start("br1")
    by_eth1(net, "10.201.0.1", "eth1")
    for _ in range(2):
        before = net.balancer.daemon.output().count("eth1 is on another link than")
        net.lb.ip(f"address add {OTHER_LINK} dev eth1")
        wait_for(lambda: net.balancer.ask("status")["apart"], "the conflict to be noticed")
        wait_for(lambda n=before: net.balancer.daemon.output().count(
            "eth1 is on another link than") == n + 1, "the log")
        wait_for(lambda: send(net, 1)["drop_uplink"] == 1, "the data plane to know")
        assert_lost(net)
        shown = net.balancer.cli("status").stdout
        assert "OTHER LINKS" in shown
        net.lb.ip(f"address del {OTHER_LINK} dev eth1")
        wait_for(lambda: net.balancer.ask("status")["apart"] == [], "its end to be noticed")
        wait_for(lambda: send(net, 1)["drop_uplink"] == 0, "the data plane to know")


def test_reload_refuses_new_reals_and_not_those_that_are_served(net, start):
    net.balancer = balancer = start("br1", OTHER_LINK, options=["--force"])
    for vip in balancer.config["vips"]:
        vip["reals"] = vip["reals"][:1]
    balancer.write()
    balancer.cli("reload", "--force")
    for vip in balancer.config["vips"]:
        vip["reals"][0]["weight"] = 50
    balancer.write()
    balancer.reload()
    for vip in balancer.config["vips"]:
        vip["reals"] = balancer.reals(":" in vip["address"])
    balancer.write()
    done = balancer.cli("reload", check=False)
    assert done.returncode == 1 and "are on different links" in done.stderr
    assert "waymark reload --force" in done.stderr
    balancer.cli("reload", "--force")
    assert "10.200.2.12" in balancer.ask("status")["apart"][0]
