# SPDX-License-Identifier: GPL-2.0
"""VIPs and reals of either family: all four encapsulations carry requests, by XDP and
by TC on the real, and with marks."""
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
