# SPDX-License-Identifier: GPL-2.0
"""Changes of routes, rules and nexthops reach the next hops at once.

The daemon looks all routes up again every 15 seconds in any case. So each test makes several
changes, one after the other was noticed: in the time that they have, that alone would notice
two of them.
"""
import time

import pytest
from netns import SLOW, wait_for
from waymark import Balancer

PATIENCE = 30  # seconds for all changes of a test


@pytest.fixture(scope="module")
def net(shared):
    shared.balancer = Balancer(shared, offload="none").start()
    return shared


def mac_of(real):
    return f"02:00:0a:c8:02:{11 + int(real.role[4:]) - 1:02x}"


class Noticed:
    """How often the log says that the next hop of a real is now this one."""

    def __init__(self, net, real):
        self.net, self.real = net, real
        self.deadline = time.monotonic() + PATIENCE * SLOW

    def count(self, mac):
        return self.net.balancer.daemon.output().count(
            f"the next hop of real {self.real} is now {mac}")

    def after(self, command, mac):
        before = self.count(mac)
        self.net.lb.ip(command)
        wait_for(lambda: self.count(mac) > before, f"{command} to be noticed",
                 max(0.1, (self.deadline - time.monotonic()) / SLOW))


@pytest.mark.parametrize("v6", [False, True])
def test_routes(net, v6):
    real, *gateways = net.reals
    address = real.address6 if v6 else real.address
    first, second = (gateway.address6 if v6 else gateway.address for gateway in gateways)
    route, noticed = f"{address}/{128 if v6 else 32}", Noticed(net, address)
    for _ in range(2):
        noticed.after(f"route add {route} via {first}", mac_of(gateways[0]))
        noticed.after(f"route replace {route} via {second}", mac_of(gateways[1]))
        noticed.after(f"route del {route}", mac_of(real))


def test_nexthops(net):
    real, *gateways = net.reals
    noticed = Noticed(net, real.address)
    net.lb.ip(f"nexthop add id 7 via {gateways[0].address} dev eth0")
    noticed.after(f"route add {real.address}/32 nhid 7", mac_of(gateways[0]))
    for _ in range(2):
        noticed.after(f"nexthop replace id 7 via {gateways[1].address} dev eth0", mac_of(gateways[1]))
        noticed.after(f"nexthop replace id 7 via {gateways[0].address} dev eth0", mac_of(gateways[0]))
    noticed.after("nexthop del id 7", mac_of(real))


def test_rules(net):
    real, *gateways = net.reals
    noticed = Noticed(net, real.address)
    net.lb.ip(f"route add {real.address}/32 via {gateways[0].address} table 77")
    for _ in range(3):
        noticed.after(f"rule add to {real.address} table 77", mac_of(gateways[0]))
        noticed.after(f"rule del to {real.address} table 77", mac_of(real))


def test_many_changes_are_one(net):
    """A full table that comes in does not keep the loop busy, and the last word counts."""
    real, *gateways = net.reals
    noticed = Noticed(net, real.address)
    batch = net.dir / "routes"
    batch.write_text("".join(f"route add 10.{210 + i // 65536}.{i // 256 % 256}.{i % 256}/32 via "
                             f"{gateways[1].address}\n" for i in range(20000))
                     + f"route add {real.address}/32 via {gateways[0].address}\n", encoding="ascii")
    noticed.after(f"-batch {batch}", mac_of(gateways[0]))
    net.lb.ip("route flush root 10.210.0.0/16")
    noticed.after(f"route del {real.address}/32", mac_of(real))
    assert net.balancer.cli("status").returncode == 0


@pytest.mark.links
def test_inside_a_vrf(topology):
    """The main table knows no way to the reals then."""
    lb = topology.lb
    if lb.ip("link add red type vrf table 10", check=False).returncode:
        pytest.skip("this kernel has no VRF")
    lb.ip("link set red up")
    lb.ip("link set eth0 master red")  # the connected routes move along
    lb.ip("address add fd00:200::1/32 dev eth0", check=False)
    balancer = Balancer(topology, offload="none").start()
    topology.balancer = balancer
    wait_for(lambda: all(real["slots"] for real in balancer.ask("real")), "all reals to have slots")
    real, gateway, _ = topology.reals
    noticed = Noticed(topology, real.address)
    for _ in range(3):
        noticed.after(f"route add {real.address}/32 via {gateway.address} vrf red", mac_of(gateway))
        noticed.after(f"route del {real.address}/32 vrf red", mac_of(real))
