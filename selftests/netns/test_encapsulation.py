# SPDX-License-Identifier: GPL-2.0
"""VIPs and reals of either family: all four encapsulations carry requests, by XDP and
by TC on the real, and with marks."""
import socket

import pytest
from servers import HttpConnection, Wrk, ask_udp, curl, start_nginx, start_udp_echo, udp_socket
from waymark import Balancer, SoftNic, attach_decap

REALS = {"real1", "real2", "real3"}
KINDS = {"4in4": (4, 4), "6in4": (6, 4), "4in6": (4, 6), "6in6": (6, 6)}


@pytest.fixture(scope="module", params=["xdp", "tc"])
def net(request, make_topology):
    """Per family one VIP with IPv4 reals (the first) and one with IPv6 reals (the second)."""
    made = make_topology()
    SoftNic(made)
    attach_decap(made, request.param)
    start_nginx(made)
    start_udp_echo(made)
    balancer = Balancer(made)
    for vip in balancer.config["vips"]:
        vip["reals"] = balancer.reals(v6=vip["name"].split("-")[1] == "2")
    balancer.write()
    made.balancer = balancer.start()
    return made


@pytest.fixture(params=list(KINDS))
def vip(request, net):
    inner, outer = KINDS[request.param]
    return (net.vips if inner == 4 else net.vips6)[0 if outer == 4 else 1]


def test_requests_reach_every_real(net, vip):
    assert {curl(net, vip) for _ in range(30)} == REALS


def test_uploads_of_full_size_segments(net, vip):
    connection = HttpConnection(net, vip)
    name = connection.ask()
    assert connection.ask(b"x" * 200_000) == name
    connection.close()


def test_udp_is_answered_by_one_real_a_flow(net, vip):
    socks = [udp_socket(net, vip) for _ in range(20)]
    first = [ask_udp(s) for s in socks]
    assert set(first) == REALS
    # 12 more: by the mark in the end.
    for _ in range(12):
        assert [ask_udp(s) for s in socks] == first


def test_marked_packets_are_encapsulated_alike(net, vip):
    _, before = net.balancer.sent()
    result = Wrk(net, vip, seconds=1, connections=8).finish()
    _, after = net.balancer.sent()
    assert result["failed"] == 0 and result["requests"] > 0
    assert after - before > result["requests"] / 2


IP_MTU_DISCOVER, MAY_FRAGMENT, MUST_NOT = 10, 0, 2  # linux/in.h


def second_words(net, raw, discover):
    """Identification and flags of a datagram at the real: outside, and of the client."""
    with net.client.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, discover)
        sock.sendto(b"hello", (net.vips[0], 7))
    while True:
        frame = raw.recv(2048)
        if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_IPIP:
            return frame[18:22], frame[38:42]


def test_outer_df_follows_the_configuration_without_a_restart(topology):
    balancer = Balancer(topology, offload="none")
    balancer.vip("udp4-1-7")["reals"] = balancer.reals(which=[1])
    balancer.write()
    balancer.start()
    with topology.reals[0].entered(), socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as raw:
        raw.bind(("eth0", 0x0800))
        raw.settimeout(10)
        for value in (None, "copy", "zero"):
            if value:
                balancer.config["outer-df"] = value
                balancer.write()
                balancer.reload()
            for discover in (MUST_NOT, MAY_FRAGMENT):
                outer, inner = second_words(topology, raw, discover)
                assert inner[2:] == (b"\x40\0" if discover == MUST_NOT else b"\0\0")
                assert outer == (inner if value == "copy" else bytes(4))
