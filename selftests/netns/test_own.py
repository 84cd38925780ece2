# SPDX-License-Identifier: GPL-2.0
"""A vip on an address of the machine itself: whoever would be cut off is named first."""
import socket

import pytest
from netns import wait_for
from waymark import Balancer

OWN, OWN6 = "10.200.0.1", "fd00:200::1"  # the balancer's


@pytest.fixture(name="net")
def one_net(make_topology):
    return make_topology(reals=2, vips=1)


@pytest.fixture(name="balancer")
def one_balancer(net):
    made = Balancer(net, offload="none")
    yield made
    made.take_off()


@pytest.fixture(name="service")
def one_service(net):
    """What the operator is logged in by, on every address of the balancer."""
    with net.lb.entered():
        sock = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    yield sock.getsockname()[1]
    sock.close()


def answers(net, port, address=OWN):
    with net.client.entered():
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            return False
    return True


def vip(balancer, address, port, protocol="tcp"):
    return {"name": f"mine-{protocol}", "address": address, "port": port, "protocol": protocol,
            "reals": balancer.reals(":" in address)}


def named(port):
    with open("/proc/self/comm", encoding="ascii") as comm:
        return f"{comm.read().strip()} (port {port})"


@pytest.mark.parametrize("address", [OWN, OWN6])
def test_every_port_is_refused_at_start_and_the_service_named(net, balancer, service, address):
    balancer.config["vips"].append(vip(balancer, address, "any"))
    balancer.write()
    refused = balancer.run()
    assert refused.returncode == 1
    for said in ("vip mine-tcp", address, named(service), "waymarkd --force"):
        assert said in refused.stderr, refused.stderr
    assert balancer.prog_id() is None and answers(net, service, address)

    balancer.start("--force")
    assert named(service) in balancer.daemon.output()
    assert not answers(net, service, address)
    # What runs is no news: a daemon that is started again by its manager asks nobody.
    balancer.kill()
    balancer.start()
    assert named(service) not in balancer.daemon.output()


def test_every_port_is_refused_at_reload(net, balancer, service):
    balancer.start()
    balancer.config["vips"].append(vip(balancer, OWN, "any"))
    balancer.write()
    refused = balancer.cli("reload", check=False)
    assert refused.returncode == 1
    assert named(service) in refused.stderr and "waymark reload --force" in refused.stderr
    balancer.hup()
    wait_for(lambda: balancer.daemon.output().count("waymark reload --force") == 2,
             "the message in the log")
    assert answers(net, service) and len(balancer.ask("vip")) == 4

    balancer.cli("reload", "--force")
    assert not answers(net, service) and len(balancer.ask("vip")) == 5
    balancer.config["vips"][0]["reals"][0]["weight"] = 50
    balancer.write()
    balancer.reload()  # it is there already


def test_other_protocol_is_no_loss(balancer, service):
    """ssh is not cut off by a vip for UDP, but all the same the answers to the machine are."""
    balancer.config["vips"].append(vip(balancer, OWN, "any", "udp"))
    balancer.write()
    refused = balancer.run()
    assert refused.returncode == 1 and f"port {service}" not in refused.stderr
    assert "the answers to connections that the machine opens" in refused.stderr


def test_one_port_is_a_warning_where_something_listens(balancer, service):
    balancer.config["vips"] += [vip(balancer, OWN, service), vip(balancer, OWN, service, "udp")]
    balancer.write()
    balancer.start()
    log = balancer.daemon.output()
    assert "vip mine-tcp takes packets" in log and named(service) in log
    assert "vip mine-udp takes packets" not in log
    balancer.reload()
    assert balancer.daemon.output().count("vip mine-tcp takes packets") == 1


@pytest.mark.usefixtures("service")
def test_addresses_of_others_are_nobodys_business(balancer):
    balancer.config["vips"].append(vip(balancer, "10.200.1.77", "any"))
    balancer.write()
    balancer.start()
    assert "vip mine-tcp takes packets" not in balancer.daemon.output()
