# SPDX-License-Identifier: GPL-2.0
"""A configuration that is too large for the running program's tables: a restart puts larger ones
in their place, and flows stay where they are."""
import pytest
from netns import wait_for
from servers import HttpConnection, start_nginx
from waymark import Balancer, SoftNic, attach_decap, yaml_text

WEB = "tcp4-1-80"
VIPS, REALS = 250, 20  # 5,000 destinations; a program for little has room for 4,095


@pytest.fixture(name="net")
def one_net(make_topology):
    net = make_topology(reals=2, vips=1)
    net.nic = SoftNic(net, mark_bits=32)
    attach_decap(net)
    start_nginx(net)
    return net


def balancer_of(net, offload="none"):
    made = Balancer(net, offload=offload)
    made.patience = 60  # thousands of destinations, on a machine that may be busy
    return made.start()


def grow(balancer, **keys):
    """The same and many vips more, none of which anybody asks for."""
    config = {**balancer.config, **keys, "gateway": "auto"}
    config["vips"] = config.pop("vips")  # last
    reals = ", ".join(f"{{ address: 10.200.77.{r + 1} }}" for r in range(REALS))
    many = "".join(f"  - {{ address: 10.201.{v // 200}.{v % 200 + 1}, port: 80, reals: [ {reals} ] }}\n"
                   for v in range(VIPS))
    balancer.write(yaml_text(config) + many)


def connections_of_the_table(net, balancer):
    """Connections whose real only the flow table knows: no ring names it any more."""
    connections = [HttpConnection(net, net.vips[0]) for _ in range(12)]
    reals = [c.ask() for c in connections]
    assert set(reals) == {"real1", "real2"}
    balancer.vip(WEB)["reals"][1]["weight"] = 0
    balancer.write()
    balancer.reload()
    return connections, reals


def by_limits(balancer):
    grow(balancer, limits={"vips": 600, "dests": 20000})
    return 20000


def by_need(balancer):
    grow(balancer)
    return VIPS * REALS


@pytest.mark.parametrize("offload", ["none", "sim"])
@pytest.mark.parametrize("larger", [by_limits, by_need])
def test_restart_makes_larger_tables_and_flows_stay(net, larger, offload):
    balancer = balancer_of(net, offload)
    connections, reals = connections_of_the_table(net, balancer)
    program, room = balancer.prog_id(), balancer.ask("status")["dests_max"]
    packets = sum(r["packets"] for r in balancer.ask("real", WEB))
    need = larger(balancer)
    assert room < need
    refused = balancer.cli("reload", check=False)
    assert refused.returncode == 1 and "restart waymarkd, which puts larger tables" in refused.stderr
    assert balancer.prog_id() == program and [c.ask() for c in connections] == reals

    balancer.stop()
    assert [c.ask() for c in connections] == reals
    balancer.start()
    assert "a larger one takes its place, and flows stay" in balancer.daemon.output()
    assert balancer.prog_id() != program and balancer.ask("status")["dests_max"] >= need
    for _ in range(12):
        assert [c.ask() for c in connections] == reals
    assert sum(r["packets"] for r in balancer.ask("real", WEB)) > packets  # counted on
    source = "{}:{}".format(*connections[0].source)
    assert balancer.ask("flow", "tcp", source, f"{net.vips[0]}:80")["in_table"] is True
    if offload == "sim":
        wait_for(lambda: all(c.ask() for c in connections) and net.nic.rules() >= 12, "rules for all")
        assert [c.ask() for c in connections] == reals
    # The next daemon finds nothing to do.
    program = balancer.prog_id()
    balancer.kill()
    balancer.start()
    assert balancer.prog_id() == program and "a larger one" not in balancer.daemon.output()
    assert [c.ask() for c in connections] == reals


def test_flows_of_another_size_are_not_thrown_away_unasked(net):
    balancer = balancer_of(net)
    connections, reals = connections_of_the_table(net, balancer)
    program = balancer.prog_id()
    balancer.stop()
    grow(balancer, **{"flow-table": {"flows": 300000}})
    refused = balancer.run()
    assert refused.returncode == 1 and "--new-program" in refused.stderr, refused.stderr
    assert "flow-table: flows" in refused.stderr
    assert balancer.prog_id() == program and [c.ask() for c in connections] == reals


def test_detach_with_the_larger_file(net):
    balancer = balancer_of(net)
    balancer.stop()
    grow(balancer)
    balancer.start("--detach")
    assert balancer.stop() == 0
    assert balancer.prog_id() is None
