# SPDX-License-Identifier: GPL-2.0
"""An interface that is not there when the daemon starts: the others are served, it is waited
for, and `waymark status` says so."""
import json
from pathlib import Path

import pytest
from netns import wait_for
from servers import curl, start_nginx
from waymark import BUILD, UNSERVED, Balancer, attach_decap, yaml_text

LOCKS = Path("/run/waymark/lock")


@pytest.fixture(scope="module")
def net(make_topology):
    made = make_topology(reals=2, vips=1)
    attach_decap(made)
    start_nginx(made)
    return made


@pytest.fixture
def start(net):
    """A function that starts the daemon on these interfaces."""
    made = []

    def run(*interfaces):
        made.append(Balancer(net, offload="none", interface=list(interfaces)))
        return made[-1].start()

    yield run
    for balancer in made:
        balancer.take_off()
    net.lb.ip("link delete eth1", check=False)


def locks(net):
    """Those of the balancer's network namespace: another one's daemon has its own."""
    inode = Path(f"/run/netns/{net.lb.name}").stat().st_ino
    return list(LOCKS.glob(f"if-{inode}-*"))


def make(net):
    net.lb.ip("link add eth1 type veth peer name far1")
    net.lb.ip("link set eth1 up")


def program(net, interface):
    link = json.loads(net.lb.run(f"ip -j link show {interface}").stdout)[0]
    return link.get("xdp", {}).get("prog", {}).get("id")


@pytest.mark.parametrize("interfaces", [["eth0", "eth1"], ["eth1", "eth0"]])
def test_what_is_there_is_served_and_the_rest_waited_for(start, net, interfaces):
    balancer = start(*interfaces)
    assert curl(net, net.vips[0]).startswith("real")
    done = balancer.cli("status", check=False)
    assert done.returncode == UNSERVED and "eth1: there is no such interface" in done.stdout
    assert "NOT SERVED: eth1" in balancer.daemon.output()
    make(net)
    wait_for(lambda: balancer.cli("status", check=False).returncode == 0, "eth1 to be served")
    assert "interface eth1 is there, and served\n" in balancer.daemon.output()
    assert program(net, "eth0") == program(net, "eth1") is not None
    # And found by the next one, whichever comes first.
    assert balancer.stop() == 0
    assert balancer.start().ask("status")["adopted"] is True
    assert curl(net, net.vips[0]).startswith("real")


def test_it_is_locked_while_it_is_there(start, net):
    balancer = start("eth0", "eth1")
    before = len(locks(net))
    assert before
    for times in range(1, 4):
        make(net)
        wait_for(lambda n=times: balancer.daemon.output().count("interface eth1 is ") == 2 * n - 1,
                 "eth1")
        file = net.dir / "second.yaml"
        file.write_text(yaml_text({"interface": "eth1", "pin": str(net.bpffs / "second"),
                                   "control": str(net.dir / "second.sock"), "vips": []}) +
                        "  []\n", encoding="utf-8")
        done = net.lb.run([BUILD / "waymarkd", "-c", file], check=False)
        assert done.returncode == 1 and f"pid {balancer.daemon.pid}" in done.stderr
        net.lb.ip("link delete eth1")
        wait_for(lambda n=times: balancer.daemon.output().count("eth1 is gone") == n, "its end")
    assert len(locks(net)) <= before


def test_somebody_elses_program_on_it_is_said(start, net):
    net.wire.ip(f"link add late type veth peer name far1 netns {net.lb.name}")
    balancer = start("eth0", "eth1")
    net.lb.run(f"ip link set dev far1 xdp obj {BUILD / 'decap.bpf.o'} sec xdp")
    net.lb.ip("link set far1 name eth1")
    wait_for(lambda: "eth1 is there, and not served" in balancer.daemon.output(), "the message")
    assert "XDP program decap" in balancer.ask("status")["unserved"][0]
    net.lb.ip("link set dev eth1 xdp off")
    wait_for(lambda: balancer.ask("status")["unserved"] == [], "eth1 to be served")


def test_none_of_them_is_an_error(net):
    balancer = Balancer(net, offload="none", interface=["nosuch0", "nosuch1"])
    done = balancer.run()
    assert done.returncode == 1 and "nosuch0 and the others: No such device" in done.stderr


def test_renamed_interface_is_served_on_and_shown_by_its_new_name(start, net):
    make(net)
    balancer = start("eth0", "eth1")
    net.lb.ip("link set eth1 down")
    net.lb.ip("link set eth1 name wan1")
    net.lb.ip("link set wan1 up")
    wait_for(lambda: "eth1 is called wan1 now" in balancer.daemon.output(), "the message")
    assert balancer.ask("status")["interfaces"] == ["eth0", "wan1 (eth1 in the configuration)"]
    assert balancer.ask("status")["unserved"] == []
    net.lb.ip("link set dev wan1 xdp off")
    wait_for(lambda: program(net, "wan1") == program(net, "eth0"), "the program")
    balancer.reload()
    assert balancer.ask("status")["unserved"] == []
    net.lb.ip("link delete wan1")
    wait_for(lambda: "interface wan1 is gone" in balancer.daemon.output(), "its end")
    make(net)
    wait_for(lambda: balancer.ask("status")["interfaces"] == ["eth0", "eth1"] and
             balancer.ask("status")["unserved"] == [], "another eth1")
