# SPDX-License-Identifier: GPL-2.0
"""What does not fit with its outer header has a counter of its own and is not sent.

The balancer's link has the MTU of the client's here, as in a network where nobody made
room for the header; in some tests somebody does, later.
"""
import pytest
from netns import MTU, wait_for
from servers import ask_udp, start_udp_echo, udp_socket
from waymark import Balancer, attach_decap

NARROW = 1500
ROUTE = 1300  # of the route to real1
HEADER = {4: 20, 6: 40}
UDP_IN_IP = {4: 28, 6: 48}


def set_mtu(net, mtu):
    net.wire.ip(f"link set lb mtu {mtu}")
    net.lb.ip(f"link set eth0 mtu {mtu}")


@pytest.fixture(scope="module")
def net(shared):
    attach_decap(shared)
    start_udp_echo(shared)
    set_mtu(shared, NARROW)
    shared.lb.ip(f"route add {shared.reals[0].address}/32 dev eth0 mtu {ROUTE}")
    shared.balancer = Balancer(shared, offload="none").start()
    return shared


@pytest.fixture(params=[4, 6])
def family(request):
    return request.param


@pytest.fixture
def vip(net, family):
    return (net.vips if family == 4 else net.vips6)[0]


def socket_of(net, vip, name):
    """A client's socket whose flow the real of this name has."""
    for _ in range(200):
        sock = udp_socket(net, vip)
        if ask_udp(sock) == name:
            return sock
        sock.close()
    raise AssertionError(f"no flow reached {name}")


def payload(family, longest):
    """As much as makes an IP packet of this length. The echo puts the real's name in front,
    and the client's link takes no more than 1500."""
    return b"x" * (longest - UDP_IN_IP[family])


def dropped(net):
    return net.balancer.counters()["drop_mtu"]


def assert_longest(net, family, sock, longest):
    """A packet of this length goes there and is answered, a longer one is counted."""
    before = net.balancer.counters()
    ask_udp(sock, payload(family, longest))
    middle = net.balancer.counters()
    assert middle["drop_mtu"] == before["drop_mtu"]
    sock.send(payload(family, longest + 1))
    wait_for(lambda: dropped(net) == before["drop_mtu"] + 1, "the drop to be counted")
    assert net.balancer.sent()[0] == net.balancer.sent(middle)[0]


def test_start_and_status_say_what_fits(net):
    status = net.balancer.ask("status")
    assert (status["mtu"], status["fits4"], status["fits6"]) == (1500, 1480, 1460)
    log = net.balancer.daemon.output()
    assert "packets of more than 1480 bytes do not fit with an IPv4 header" in log
    assert "packets of more than 1460 bytes do not fit with an IPv6 header" in log


def test_the_limit_is_exact(net, vip, family):
    assert_longest(net, family, socket_of(net, vip, "real2"), NARROW - HEADER[family])


def test_a_route_with_an_mtu_counts(net):
    fits = {real["address"]: real["fits"] for real in net.balancer.ask("real", "udp4-1-7")}
    assert fits == {real.address: (ROUTE if i == 0 else NARROW) - HEADER[4]
                    for i, real in enumerate(net.reals)}
    assert_longest(net, 4, socket_of(net, net.vips[0], "real1"), ROUTE - HEADER[4])


def test_a_change_of_the_mtu_is_followed(net, vip, family):
    sock = socket_of(net, vip, "real3")
    set_mtu(net, MTU)
    try:
        wait_for(lambda: net.balancer.ask("status")["mtu"] == MTU, "the new MTU")
        wait_for(lambda: {real["fits"] for real in net.balancer.ask("real", f"udp{family}-2-7")}
                 >= {MTU - HEADER[family]}, "the reals' entries")
        ask_udp(sock, payload(family, 1490))
    finally:
        set_mtu(net, NARROW)
    wait_for(lambda: {real["fits"] for real in net.balancer.ask("real", f"udp{family}-2-7")}
             >= {NARROW - HEADER[family]}, "the reals' entries")
    assert_longest(net, family, sock, NARROW - HEADER[family])
