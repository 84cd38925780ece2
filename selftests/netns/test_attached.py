# SPDX-License-Identifier: GPL-2.0
"""The program is taken off, replaced or attached in another mode while the daemon runs: it
is said everywhere, and attached again as `attach` has it."""
import os
import re

import pytest
from netns import wait_for
from servers import curl, start_nginx
from waymark import BUILD, UNSERVED, Balancer, attach_decap

OTHER = BUILD / "decap.bpf.o"  # any program that is not the balancer's


@pytest.fixture(scope="module")
def net(make_topology):
    made = make_topology(reals=2, vips=1)
    attach_decap(made)
    start_nginx(made)
    return made


@pytest.fixture
def start(net):
    """A function that starts the daemon with a policy."""
    made = []

    def run(policy, *options, **kwargs):
        made.append(Balancer(net, offload="none", attach=policy))
        return made[-1].start(*options, **kwargs)

    yield run
    for balancer in made:
        balancer.take_off()
        net.lb.ip("link set dev eth0 xdpgeneric off", check=False)


def link(net, what):
    net.lb.ip(f"link set dev eth0 {what}")


def status(balancer):
    done = balancer.cli("status", check=False)
    return done.returncode, done.stdout


def why(balancer):
    """What status says of eth0; empty: it is served."""
    return " ".join(balancer.ask("status")["unserved"])


def test_program_that_is_taken_off_is_attached_again(start, net):
    balancer = start("keep")
    prog = balancer.prog_id()
    for times in (1, 2):
        link(net, "xdp off")
        wait_for(lambda n=times: balancer.ask("status")["attached_again"] == n, "the program")
        assert balancer.prog_id() == prog and status(balancer)[0] == 0
        assert curl(net, net.vips[0]).startswith("real")
    assert "somebody took the program off eth0" in balancer.daemon.output()
    assert re.search(r"attached again +2 times", status(balancer)[1])


def test_once_says_it_everywhere_and_leaves_it_to_a_reload(start, net):
    balancer = start("once")
    link(net, "xdp off")
    wait_for(lambda: "took the program off eth0" in balancer.daemon.output(), "the message")
    code, text = status(balancer)
    assert code == UNSERVED and "NOT SERVED" in text and "(none, " in text
    assert "no XDP program is attached" in text
    assert balancer.prog_id() is None
    assert balancer.cli("reload").stdout.strip()
    assert status(balancer)[0] == 0 and balancer.prog_id() is not None
    assert curl(net, net.vips[0]).startswith("real")


@pytest.mark.parametrize("policy", ["keep", "once"])
def test_other_program_in_its_place_is_named_and_stays(start, net, policy):
    balancer = start(policy)
    net.lb.run(f"ip -force link set dev eth0 xdpdrv obj {OTHER} sec xdp")
    foreign = balancer.prog_id()
    wait_for(lambda: "in place of this daemon's" in balancer.daemon.output(), "the message")
    code, text = status(balancer)
    assert code == UNSERVED and re.search(rf"NOT SERVED +eth0: .*id {foreign}\b", text), text
    summary = balancer.cli("reload").stdout
    assert f"NOT SERVED: eth0: XDP program decap (id {foreign})" in summary
    assert balancer.prog_id() == foreign
    link(net, "xdpdrv off")
    if policy == "once":
        assert status(balancer)[0] == UNSERVED
        balancer.reload()
    wait_for(lambda: status(balancer)[0] == 0, "the program to come back")
    assert curl(net, net.vips[0]).startswith("real")


def test_mode_is_what_the_kernel_says(start, net):
    balancer = start("once")
    assert balancer.ask("status")["mode"] == "native"
    link(net, "xdp off")
    link(net, f"xdpgeneric pinned {net.bpffs / 'waymark' / 'prog'}")
    assert balancer.ask("status")["mode"] == "generic"
    link(net, "xdpgeneric off")
    link(net, f"xdpgeneric obj {OTHER} sec xdp")
    assert status(balancer)[0] == UNSERVED
    assert "in place of this daemon's" in why(balancer)


def test_waymark_with_other_tables_is_another_program(start, net):
    balancer = start("once")
    net.lb.run(f"ip -force link set dev eth0 xdpdrv obj {BUILD / 'waymark.bpf.o'} sec xdp")
    assert status(balancer)[0] == UNSERVED
    assert "XDP program waymark" in why(balancer)


def test_service_manager_hears_of_it(start, net):
    from test_daemon_control import Manager  # pylint: disable=import-outside-toplevel

    manager = Manager(net.dir / "notify-attached")
    os.environ["NOTIFY_SOCKET"] = str(manager.path)
    try:
        start("once")
    finally:
        del os.environ["NOTIFY_SOCKET"]
    manager.until("READY")
    link(net, "xdp off")
    assert "NOT SERVED: eth0" in manager.until("STATUS")["STATUS"]


def test_detach_when_it_is_off_already(start, net):
    balancer = start("once", "--detach")
    link(net, "xdp off")
    assert balancer.stop() == 0, balancer.daemon.output()
