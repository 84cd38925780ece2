# SPDX-License-Identifier: GPL-2.0
"""Only frames to the balancer's own addresses are balanced; others leave as they came."""
import contextlib
import ipaddress
import itertools
import socket
import struct

import pytest
from netns import CLIENT_MAC, LB_MAC, wait_for
from servers import ask_udp, start_udp_echo, udp_socket
from waymark import Balancer, attach_decap

OTHER_MAC = "02:00:0a:c8:99:99"
VRRP_MAC = "00:00:5e:00:01:07"
BROADCAST = "ff:ff:ff:ff:ff:ff"
numbers = itertools.count(20000)


@pytest.fixture(scope="module")
def net(shared):
    attach_decap(shared)
    start_udp_echo(shared)
    shared.balancer = Balancer(shared, offload="none").start()
    return shared


def mac_bytes(mac):
    return bytes(int(byte, 16) for byte in mac.split(":"))


def frame(net, mac):
    """A datagram of a new flow to the first vip, in a frame to this address."""
    udp = struct.pack("!4H", next(numbers), 7, 8 + 5, 0) + b"hello"
    addresses = ipaddress.ip_address("10.200.0.2").packed + ipaddress.ip_address(net.vips[0]).packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~total & 0xffff) + ip[12:]
    return mac_bytes(mac) + mac_bytes(CLIENT_MAC) + b"\x08\x00" + ip + udp


def send(net, mac, count=5):
    """Frames to this address, as a switch floods them; returns the counters' changes. The
    kernel's own multicast (neighbour discovery after a change of address) may add to
    pass_not_us, never to tx_miss."""
    before = net.balancer.counters()
    with net.client.entered(), contextlib.closing(socket.socket(socket.AF_PACKET,
                                                                socket.SOCK_RAW)) as raw:
        raw.bind(("eth0", 0))
        for _ in range(count):
            raw.send(frame(net, mac))

    def moved():
        after = net.balancer.counters()
        change = {name: after[name] - before[name] for name in after}
        return change if max(change["tx_miss"], change["pass_not_us"]) >= count else None

    return wait_for(moved, f"{count} frames to {mac} to have a verdict")


def test_frames_for_others_pass(net):
    net.lb.ip("link set eth0 promisc on")
    assert send(net, LB_MAC)["tx_miss"] == 5
    for mac in (OTHER_MAC, BROADCAST):
        change = send(net, mac)
        assert change["tx_miss"] == 0 and change["pass_not_us"] >= 5, change
    # The bridge has not learned that these are behind the balancer's port.
    learned = net.wire.run("bridge fdb show br br0").stdout
    assert OTHER_MAC not in learned and f"{BROADCAST} dev lb" not in learned


def test_a_macvlan_counts_while_it_has_an_address(net):
    """As VRRP uses them: only the master has the address."""
    assert send(net, VRRP_MAC)["tx_miss"] == 0
    net.lb.ip(f"link add vrrp link eth0 address {VRRP_MAC} type macvlan mode bridge")
    try:
        net.lb.ip("link set vrrp up")
        assert send(net, VRRP_MAC)["tx_miss"] == 0
        net.lb.ip("address add 10.200.0.77/32 dev vrrp")
        wait_for(lambda: send(net, VRRP_MAC)["tx_miss"] == 5, "the master's frames to be ours")
        net.lb.ip("address del 10.200.0.77/32 dev vrrp")
        wait_for(lambda: send(net, VRRP_MAC)["tx_miss"] == 0, "the backup's frames not to be ours")
    finally:
        net.lb.ip("link del vrrp")


def test_a_new_address_of_the_interface_is_followed(net):
    net.lb.ip(f"link set eth0 address {OTHER_MAC}")
    try:
        wait_for(lambda: send(net, OTHER_MAC)["tx_miss"] == 5, "frames to the new address")
        change = send(net, LB_MAC)
        assert change["tx_miss"] == 0 and change["pass_not_us"] >= 5, change
    finally:
        net.lb.ip(f"link set eth0 address {LB_MAC}")
    wait_for(lambda: send(net, LB_MAC)["tx_miss"] == 5, "frames to the old address again")
    with contextlib.closing(udp_socket(net, net.vips[0])) as sock:
        ask_udp(sock)


def test_a_bridge_that_the_interface_is_a_port_of(net):
    """Frames for the machine carry the bridge's address then."""
    net.lb.ip(f"link add brx address {VRRP_MAC} type bridge")
    try:
        net.lb.ip("link set eth0 master brx")
        wait_for(lambda: send(net, VRRP_MAC)["tx_miss"] == 5, "frames to the bridge to be ours")
        assert send(net, LB_MAC)["tx_miss"] == 5
    finally:
        net.lb.ip("link del brx")
