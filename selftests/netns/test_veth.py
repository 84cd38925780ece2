# SPDX-License-Identifier: GPL-2.0
"""On veth the daemon says when it attaches what the other end lacks, with the command that
cures it, and nothing where nothing is lacking."""
import re

import pytest
from waymark import BUILD, Balancer

PAIR = re.compile(r"warning: (eth\d is one end of a pair of veth.*)")


@pytest.fixture(scope="module")
def net(make_topology):
    return make_topology(reals=1, vips=1)


@pytest.fixture
def advice(net):
    """A function that starts a daemon on an interface: what it says of veth; None: nothing."""
    made = []

    def start(interface, *options, bare=False):
        made.append(Balancer(net, offload="none", interface=interface))
        if bare:
            net.wire.ip("link set dev lb xdp off")
        made[-1].start("--detach", *options)
        made[-1].stop()
        found = PAIR.search(made[-1].daemon.output())
        return found.group(1) if found else None

    net.lb.ip("link add eth1 type veth peer name far1")
    net.lb.ip("link set eth1 up")
    yield start
    net.lb.ip("link delete eth1")


def test_the_cure_is_named_and_cures(net, advice):
    said = advice("eth1")
    assert "drops what XDP sends" in said and "packets without checksums" in said
    assert "VLAN tags beside the frames" in said
    cure = said.rpartition(": ")[2]
    assert cure == "ethtool -K far1 gro on tx off txvlan off"
    net.lb.run(cure)
    assert advice("eth1") is None


def test_a_program_on_the_other_end_polls_too(net, advice):
    net.lb.run(f"ip link set dev far1 xdp obj {BUILD / 'decap.bpf.o'} sec xdp")
    assert advice("eth1").endswith(": ethtool -K far1 tx off txvlan off")


def test_generic_mode_needs_no_polling(advice):
    assert advice("eth1", "--mode", "generic").endswith(": ethtool -K far1 tx off txvlan off")


def test_other_end_in_another_namespace(net, advice):
    """There a program is seen, and features are not."""
    said = advice("eth0")
    assert "another network namespace" in said and said.endswith("do there: ethtool -K lb tx off txvlan off")
    assert "GRO" not in said
    said = advice("eth0", bare=True)
    assert "GRO on or an XDP program" in said
    assert said.endswith("do there: ethtool -K lb gro on tx off txvlan off")


def test_what_is_no_veth_is_not_spoken_of(net, advice):
    net.lb.ip("link add eth2 type dummy", check=False)
    if "eth2" not in net.lb.ip("link show").stdout:
        pytest.skip("this kernel has no dummy devices")
    assert advice("eth2", "--mode", "generic") is None
