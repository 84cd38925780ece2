# SPDX-License-Identifier: GPL-2.0
"""Kinds of links that not every kernel has: VLAN devices and bonds. (VRFs: test_routes.)"""
import contextlib

import pytest
from netns import wait_for
from servers import ask_udp, start_udp_echo, udp_socket
from waymark import BUILD, Balancer, attach_decap

pytestmark = pytest.mark.links
LB1_MAC = "02:00:0a:c8:00:09"
FLOWS = 20


@pytest.fixture(name="net")
def fixture_net(topology):
    attach_decap(topology)
    start_udp_echo(topology)
    return topology


def need(done, what):
    if done.returncode:
        pytest.skip(f"this kernel has no {what}")


def assert_served(net):
    wait_for(lambda: all(real["slots"] for real in net.balancer.ask("real", "udp4-1-7")),
             "all reals to have slots")
    for _ in range(FLOWS):
        with contextlib.closing(udp_socket(net, net.vips[0])) as sock:
            assert ask_udp(sock).startswith("real")


def test_tagged_frames_are_left_to_the_stack(net):
    """A VLAN device on the balancer's interface: what comes tagged is not balanced, and leaves
    by no other VLAN. What comes without a tag is served. The other end of the balancer's veth
    puts tags into frames, as the daemon says it must."""
    net.wire.run("ethtool -K lb txvlan off")
    need(net.lb.ip("link add link eth0 name eth0.5 type vlan id 5", check=False), "VLAN devices")
    net.lb.ip("address add 10.205.0.1/24 dev eth0.5")
    net.lb.ip("link set eth0.5 up")
    net.client.ip("link add link eth0 name eth0.5 type vlan id 5")
    net.client.ip("address add 10.205.0.2/24 dev eth0.5")
    net.client.ip("link set eth0.5 up")
    balancer = net.balancer = Balancer(net, offload="none").start()
    assert "ethtool -K lb tx off txvlan off" in balancer.daemon.output()
    assert_served(net)
    net.client.ip(f"route replace {net.vips[0]}/32 via 10.205.0.1")
    before = balancer.counters()
    with contextlib.closing(udp_socket(net, net.vips[0])) as sock:
        def passed():
            sock.send(b"x")
            return balancer.counters()["pass_not_ip"] >= before["pass_not_ip"] + FLOWS
        wait_for(passed, "tagged frames to be passed")
    assert balancer.sent() == balancer.sent(before)
    net.client.ip(f"route del {net.vips[0]}/32")
    assert_served(net)


def make_bond(net, mode):
    """bond0 in the place of the balancer's eth0, of eth0 and a second one."""
    lb = net.lb
    need(lb.ip(f"link add bond0 type bond mode {mode} miimon 100", check=False), "bonds")
    net.wire.ip("link add lb1 mtu 1600 type veth peer name eth1 mtu 1600 "
                f"address {LB1_MAC} netns {lb.name}")
    net.wire.ip("link set lb1 master br0 up")
    net.wire.run([BUILD / "waymark", "softnic", "wire", "lb1"])
    lb.ip("address flush dev eth0")
    for member in ("eth0", "eth1"):
        lb.ip(f"link set {member} down")
        lb.ip(f"link set {member} master bond0")
    lb.ip("link set bond0 mtu 1600 up")
    lb.ip("address add 10.200.0.1/16 dev bond0")
    lb.ip("address add fd00:200::1/32 dev bond0")


def test_members_of_a_bond(net):
    """The routes lead by bond0, the programs sit on its members."""
    make_bond(net, "active-backup")
    balancer = net.balancer = Balancer(net, offload="none", interface=["eth0", "eth1"]).start()
    assert balancer.ask("status")["apart"] == []
    assert_served(net)
    before = balancer.counters()
    net.lb.ip("link set bond0 type bond active_slave eth1")  # announced, so the bridge follows
    assert_served(net)
    after = balancer.counters()
    assert balancer.sent(after)[0] >= balancer.sent(before)[0] + FLOWS
    assert after["drop_uplink"] == before["drop_uplink"]


def test_the_bond_itself(net):
    """The kernel puts the program on the members, and sends by one of them."""
    make_bond(net, "active-backup")
    balancer = net.balancer = Balancer(net, offload="none", interface="bond0").start()
    assert balancer.ask("status")["unserved"] == []
    assert_served(net)
