# SPDX-License-Identifier: GPL-2.0
"""Decapsulation on a real: tunnel packets made by hand reach a server on the VIP.

The balancer's place (without a balancer) writes whole frames to real1's address
on the link; the server's answer comes to an ordinary UDP socket of the client.
"""
import socket

import pytest
from netns import LB_MAC
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from servers import start_udp_echo, udp_socket
from waymark import BUILD

REAL_MAC = "02:00:0a:c8:02:0b"
OUTER = {4: IP(src="172.16.2.45", dst="10.200.2.11"),
         6: IPv6(src="100::7a69:1", dst="fd00:200:2::11")}
INNER = {4: ("10.200.0.2", "10.200.1.1"), 6: ("fd00:200::2", "fd00:200:1::1")}


@pytest.fixture(scope="module")
def real(shared):
    start_udp_echo(shared)
    return shared.reals[0]


@pytest.fixture(scope="module", params=["xdp", "tc"])
def decap(request, real):
    """real1 decapsulates; yields the mode."""
    real.run([BUILD / "waymark", "decap", "attach", "eth0", "--mode", request.param])
    yield request.param
    real.run([BUILD / "waymark", "decap", "detach", "eth0"])


def send(topology, sock, inner, outer_packet, payload):
    src, dst = INNER[inner]
    layer = IP if inner == 4 else IPv6
    packet = layer(src=src, dst=dst) / UDP(sport=sock.getsockname()[1], dport=7) / Raw(payload)
    frame = Ether(src=LB_MAC, dst=REAL_MAC) / outer_packet / packet
    with topology.lb.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        raw.send(bytes(frame))


def answer(topology, inner, outer, payload=b"through a tunnel", before=()):
    """What the server says first. Outer headers in `before` carry packets that go ahead."""
    sock = udp_socket(topology, INNER[inner][1])
    for outer_packet in before:
        send(topology, sock, inner, outer_packet, b"not to be opened")
    # UDP: the first answer may be lost to address resolution.
    sock.settimeout(2)
    for _ in range(5):
        send(topology, sock, inner, OUTER[outer], payload)
        try:
            return sock.recv(65536)
        except socket.timeout:
            continue
    return None


@pytest.mark.parametrize("inner,outer", [(4, 4), (6, 4), (4, 6), (6, 6)])
def test_tunnel_packet_reaches_the_server_on_the_vip(shared, decap, inner, outer):
    assert answer(shared, inner, outer) == b"real1 through a tunnel"


@pytest.mark.parametrize("inner,outer", [(4, 4), (6, 6)])
def test_full_size_packets_fit(shared, decap, inner, outer):
    # The answer, with the real's name in front, just fits the client's link.
    payload = b"x" * (1500 - (28 if inner == 4 else 48) - len("real1 "))
    assert answer(shared, inner, outer, payload) == b"real1 " + payload


def test_strangers_are_not_decapsulated(shared, decap):
    strangers = [IP(src="192.0.2.1", dst="10.200.2.11"), IPv6(src="100:1::1", dst="fd00:200:2::11")]
    assert answer(shared, 4, 4, before=strangers) == b"real1 through a tunnel"


def test_attached_program_is_shown_by_ip_link(shared):
    other = shared.reals[1]
    other.run([BUILD / "waymark", "decap", "attach", "eth0"])
    assert "prog/xdp" in other.ip("-d link show eth0").stdout
    other.run([BUILD / "waymark", "decap", "detach", "eth0"])
    assert "prog/xdp" not in other.ip("-d link show eth0").stdout
