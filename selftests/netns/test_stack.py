# SPDX-License-Identifier: GPL-2.0
"""What the balancer's stack gets of the packets to a vip's address: nothing of the vip, and the
rest only if the address is the machine's own."""
import contextlib
import socket
import struct
import sys

import pytest
from netns import wait_for
from servers import start_udp_echo, udp_socket
from waymark import Balancer, attach_decap

SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 8080), family=socket.AF_INET6 if ":" in sys.argv[1]
                              else socket.AF_INET)
print("ready", flush=True)
while True:
    server.accept()[0].close()
"""


@pytest.fixture(scope="module")
def net(shared):
    attach_decap(shared)
    start_udp_echo(shared)
    # The vips' prefix leads back to where the packets came from.
    shared.lb.sysctl("net.ipv4.ip_forward", 1)
    shared.lb.sysctl("net.ipv6.conf.all.forwarding", 1)
    shared.lb.ip("route add 10.200.1.0/24 via 10.200.0.2")
    shared.lb.ip("route add fd00:200:1::/48 via fd00:200::2")
    shared.balancer = Balancer(shared, offload="none").start()
    return shared


@pytest.fixture(params=[4, 6])
def family(request):
    return request.param


@pytest.fixture
def vip(net, family):
    return (net.vips if family == 4 else net.vips6)[0]


@contextlib.contextmanager
def own(net, vip):
    """The vip's address is on the balancer's lo, as for BGP."""
    length = 128 if ":" in vip else 32
    net.lb.ip(f"address add {vip}/{length} dev lo")
    try:
        wait_for(lambda: passes(net, vip), "the daemon to see the address")
        yield
    finally:
        net.lb.ip(f"address del {vip}/{length} dev lo")
    wait_for(lambda: not passes(net, vip), "the daemon to see that the address is gone")


# ARP and neighbour discovery go on all the time.
NOISE = {"pass_not_ip", "pass_not_us", "pass_protocol"}


def change(net, send, count=1):
    """What `send` does to the counters, once `count` packets of its have a verdict."""
    before = net.balancer.counters()
    send()

    def moved():
        after = net.balancer.counters()
        moved = {name: after[name] - before[name] for name in after.keys() - NOISE
                 if after[name] != before[name]}
        return moved if sum(moved.values()) >= count else None

    return wait_for(moved, f"{count} verdicts")


def other_port(net, vip):
    """A datagram to a port that is no vip's."""
    with contextlib.closing(udp_socket(net, vip, 9999)) as sock:
        sock.send(b"x")


def passes(net, vip):
    return "pass_not_vip" in change(net, lambda: other_port(net, vip))


def test_without_the_address_nothing_reaches_the_stack(net, vip):
    """With forwarding on, each packet would cross the link until its time to live ends."""
    seen = change(net, lambda: other_port(net, vip))
    assert seen == {"drop_no_service": 1}
    with net.client.entered():
        ping = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_RAW,
                             socket.IPPROTO_ICMPV6 if ":" in vip else socket.IPPROTO_ICMP)
    with ping:
        echo = struct.pack("!BBHHH", 128, 0, 0, 7, 1) if ":" in vip else \
            struct.pack("!BBHHH", 8, 0, 0xf7f7, 7, 1)
        assert change(net, lambda: ping.sendto(echo, (vip, 0))) == {"drop_no_service": 1}


def test_with_the_address_the_stack_serves_the_rest(net, vip):
    with own(net, vip):
        server = net.lb.start([sys.executable, "-c", SERVER, vip], log=f"server-{len(vip)}.log")
        wait_for(lambda: "ready" in server.output(), "the server")
        with net.client.entered():
            socket.create_connection((vip, 8080), timeout=10).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((vip, 8081), timeout=10)
        server.stop()


def test_fragments_of_a_vip_are_dropped(net, vip):
    """The stack would put them together and tell the client that nobody is there."""
    with own(net, vip), contextlib.closing(udp_socket(net, vip)) as sock:
        seen = change(net, lambda: sock.send(b"x" * 4000), 3)
        assert seen == {"drop_fragment": 3}
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(100)


def test_extension_headers_are_dropped(net):
    vip = net.vips6[0]
    with own(net, vip), contextlib.closing(udp_socket(net, vip)) as sock:
        # one option of padding, six bytes long in all
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
        assert change(net, lambda: sock.send(b"x")) == {"drop_extension": 1}
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(100)
