# SPDX-License-Identifier: GPL-2.0
"""ICMP errors about answers of the reals find the real: discovery of a path's MTU works.

    far                  client
    +---------------+    +-------------------------+
    | eth0 mtu 1500 |----| far mtu 1400, eth0 -----|---- wire: balancer, reals
    +---------------+    +-------------------------+

The client's namespace is a router here. `far` does not know how narrow its link is, so a
real sends it full segments; the router refuses those, and tells the vip.
"""
import os
import re
import socket

import pytest
from netns import wait_for
from servers import start_udp_echo, url, wait_for_tcp
from waymark import Balancer, attach_decap

NARROW = 1400
PORT = 80
SIZE = 200_000
# Of each family: the network behind the router, its addresses there, the router's way to it.
FAR = {4: ("10.201.0.0/24", "10.201.0.1", "10.201.0.2", "10.200.0.2"),
       6: ("fd00:201::/64", "fd00:201::1", "fd00:201::2", "fd00:200::2")}


def join_far(topology):
    """The namespace behind the router; the reals know the way back."""
    far, router = topology.space("far"), topology.client
    router.ip(f"link add far mtu {NARROW} type veth peer name eth0 mtu 1500 netns {far.name}")
    router.ip("link set far up")
    far.ip("link set eth0 up")
    router.sysctl("net.ipv4.ip_forward", 1)
    router.sysctl("net.ipv6.conf.all.forwarding", 1)
    for network, gateway, address, via in FAR.values():
        length = network.partition("/")[2]
        router.ip(f"address add {gateway}/{length} dev far")
        far.ip(f"address add {address}/{length} dev eth0")
        far.ip(f"route add default via {gateway}")
        for real in topology.reals:
            real.ip(f"route add {network} via {via}")
    return far


def start_files(topology):
    """A file that takes many full segments, on each real."""
    (topology.dir / "files").mkdir()
    (topology.dir / "files/large").write_bytes(os.urandom(SIZE))
    for real in topology.reals:
        for vip in (topology.vips[0], topology.vips6[0]):
            real.start(["/usr/bin/python3", "-m", "http.server", PORT, "--bind", vip, "--directory",
                        topology.dir / "files"], log=f"{real.role}-{len(real.processes)}.log")
            wait_for_tcp(real, vip, PORT)


@pytest.fixture(scope="module")
def net(shared):
    shared.far = join_far(shared)
    attach_decap(shared)
    start_files(shared)
    start_udp_echo(shared)
    shared.balancer = Balancer(shared, offload="none").start()
    return shared


@pytest.fixture(params=FAR)
def family(request):
    return request.param


@pytest.fixture
def vip(net, family):
    return (net.vips if family == 4 else net.vips6)[0]


def forget(net):
    for real in net.reals:
        real.ip("-4 route flush cache")
        real.ip("-6 route flush cache")


def those_who_know(net, family):
    """The reals that have learned how narrow the way is."""
    said = {real.role: real.ip(f"route get {FAR[family][2]}").stdout for real in net.reals}
    return [role for role, text in said.items() if re.search(rf"\bmtu {NARROW}\b", text)]


def test_downloads_get_through_a_narrow_link(net, vip, family):
    forget(net)
    before = net.balancer.counters()["tx_icmp"]
    for _ in range(30):
        done = net.far.run(["curl", "-sS", "--fail", "--max-time", "10", "-o", "/dev/null",
                            "-w", "%{size_download}", url(vip, PORT, "/large")])
        assert int(done.stdout) == SIZE
    assert those_who_know(net, family) == [real.role for real in net.reals]
    assert net.balancer.counters()["tx_icmp"] - before >= len(net.reals)


def test_an_error_reaches_the_real_of_its_flow_only(net, vip, family):
    with net.far.entered():
        flows = [socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                               socket.SOCK_DGRAM) for _ in range(12)]
    # The request just fits in the narrow link; with the real's name in front the answer
    # does not. Once its real knows that, it comes in pieces.
    payload = b"x" * (NARROW - (28 if family == 4 else 48))
    for flow in flows:
        forget(net)
        flow.settimeout(10)
        flow.connect((vip, 7))
        flow.send(payload)
        wait_for(lambda: those_who_know(net, family), "a real to learn of the narrow link")
        flow.send(payload)
        name = flow.recv(2048).split()[0].decode()
        assert those_who_know(net, family) == [name]
