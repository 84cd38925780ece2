# SPDX-License-Identifier: GPL-2.0
"""A NIC that takes VLAN tags off frames is told not to, for as long as the program is attached."""
import pytest
from netns import wait_for
from waymark import Balancer

OFFLOAD, PROVIDERS = "rx-vlan-offload", "rx-vlan-stag-hw-parse"
SAID = "eth0: rx-vlan-offload is switched off"


@pytest.fixture(scope="module")
def net(make_topology):
    made = make_topology(reals=1, vips=1)
    if not is_on(made, OFFLOAD):
        pytest.skip("this kernel's veth has no rx-vlan-offload")
    return made


@pytest.fixture
def balancer(net):
    made = Balancer(net, offload="none")
    yield made
    made.take_off()
    net.lb.run(f"ethtool -K eth0 {OFFLOAD} on {PROVIDERS} on")


def is_on(net, feature):
    text = net.lb.run("ethtool -k eth0").stdout
    return f"{feature}: on" in text.splitlines()


def test_tags_stay_in_frames_until_detach(net, balancer):
    balancer.start()
    assert not is_on(net, OFFLOAD) and not is_on(net, PROVIDERS)
    assert balancer.daemon.output().count(SAID) == 1
    assert balancer.stop() == 0
    assert not is_on(net, OFFLOAD)
    balancer.start("--detach")  # another daemon, which finds it off
    assert SAID not in balancer.daemon.output()
    assert balancer.stop() == 0
    assert is_on(net, OFFLOAD) and is_on(net, PROVIDERS)


def test_what_was_off_before_stays_off(net, balancer):
    net.lb.run(f"ethtool -K eth0 {OFFLOAD} off")
    balancer.start("--detach")
    assert not is_on(net, PROVIDERS)
    assert balancer.stop() == 0
    assert not is_on(net, OFFLOAD) and is_on(net, PROVIDERS)


def test_somebody_who_switches_it_on_sees_it_switched_off(net, balancer):
    balancer.start("--detach")
    net.lb.run(f"ethtool -K eth0 {OFFLOAD} on")
    wait_for(lambda: not is_on(net, OFFLOAD), "it to be off again")
    assert balancer.stop() == 0
    assert is_on(net, OFFLOAD)


def test_a_larger_program_knows_of_it_too(net, balancer):
    balancer.start()
    assert balancer.stop() == 0
    balancer.start("--new-program", "--detach")
    assert balancer.stop() == 0
    assert is_on(net, OFFLOAD) and is_on(net, PROVIDERS)


def test_start_that_fails_changes_nothing(net, balancer):
    balancer.vip("tcp4-1-80").update(address="10.200.0.1", port="any")
    balancer.write()
    assert balancer.run().returncode == 1
    assert is_on(net, OFFLOAD) and is_on(net, PROVIDERS)
