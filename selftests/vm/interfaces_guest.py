#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""waymark on two netdevsim NICs with the kernel series; runs inside the guest.

The network of waymark_guest.py, and a second NIC of the balancer, eth1, on the same
bridge. The client sends to a VIP by the one or by the other, as its routes say.
"""
import contextlib
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

# pylint: disable=wrong-import-position
from netns import LB_MAC, sh, wait_for  # noqa: E402
from servers import HttpConnection, curl, start_nginx  # noqa: E402
from tap import run_tests, tests_in  # noqa: E402
from waymark import Balancer, attach_decap  # noqa: E402
from waymark_guest import PATIENCE, SIM, NsimTopology, prove, wait_marked  # noqa: E402

NEXT_HOP = {"eth0": "10.200.0.1", "eth1": "10.200.0.9"}
MAC = {"eth0": LB_MAC, "eth1": "02:00:0a:c8:00:09"}
BOTH = ("eth0", "eth1")
LONG = "10m"  # rules are idle when a test wants it: the guest is slow


class TwoNics(NsimTopology):
    """NsimTopology whose balancer has eth1 as well."""

    def add_second(self):
        nic, port = self._new_device(3, self.lb, "eth1"), self._new_device(4, self.wire, "lb1")
        with open(f"/run/netns/{self.lb.name}", "rb") as one, \
                open(f"/run/netns/{self.wire.name}", "rb") as two:
            sh(["sh", "-c", f"echo {one.fileno()}:{nic} {two.fileno()}:{port} > "
                f"{SIM}/link_device"], pass_fds=(one.fileno(), two.fileno()))
        self.lb.ip(f"link set eth1 address {MAC['eth1']} mtu 1600")
        self.lb.run("ethtool -K eth1 hw-tc-offload on")
        self.wire.sysctl("net.ipv6.conf.lb1.disable_ipv6", 1)
        self.wire.ip("link set lb1 mtu 1600 master br0 up")
        self.lb.ip("link set eth1 up")

    def remove_second(self):
        for number in (3, 4):
            (SIM / "del_device").write_text(f"{number}\n", encoding="ascii")

    def route(self, vip, interface):
        """The client sends to this VIP by that NIC from now on."""
        self.client.ip(f"route replace {vip}/32 via {NEXT_HOP[interface]}")


def programs(net):
    """Interface -> id of its program."""
    links = {name: json.loads(net.lb.run(f"ip -j link show {name}").stdout)[0] for name in BOTH}
    return {name: link.get("xdp", {}).get("prog", {}).get("id") for name, link in links.items()}


def sources(net, interface):
    """Client's ports for which this NIC says it has a rule."""
    text = net.lb.run(f"tc -j filter show dev {interface} ingress").stdout
    return {f["options"]["keys"].get("src_port") for f in json.loads(text)
            if f.get("options", {}).get("in_hw")}


# --- tests: each gets the network and leaves it as it was ---

def test_each_nic_has_a_program_of_its_own(net):
    status = net.balancer.ask("status")
    assert (status["lane"], status["mode"]) == ("kfunc", "native"), status
    assert status["offload"]["backend"] == "flower", status
    assert status["offload"]["table"] is None, status
    ids = programs(net)
    assert all(ids.values()) and ids["eth0"] != ids["eth1"], ids
    shown = [json.loads(sh(["bpftool", "-j", "prog", "show", "id", str(i)]).stdout)
             for i in ids.values()]
    assert {p["name"] for p in shown} == {"waymark_hw"}, shown
    # They share every map but the one in which each says what it was built from.
    apart = set(shown[0]["map_ids"]) ^ set(shown[1]["map_ids"])
    names = [json.loads(sh(["bpftool", "-j", "map", "show", "id", str(i)]).stdout)["name"]
             for i in apart]
    assert names == ["waymark_build"] * 2, names


def test_flows_come_marked_by_either(net):
    for interface in BOTH:
        net.route(net.vips[0], interface)
        connection = HttpConnection(net, net.vips[0])
        first = connection.ask()
        wait_marked(net, connection)
        assert prove(connection) == {first}
        # Both know it: the next packet may come by the other.
        for name in BOTH:
            assert connection.source[1] in sources(net, name), (interface, name)
        assert {r["interface"] for r in net.balancer.rules()} == set(BOTH)
        connection.close()
        wait_for(lambda: not sources(net, "eth0") | sources(net, "eth1"),
                 "both rules to go after FIN", PATIENCE)


def test_flow_that_moves_stays_and_is_marked(net):
    net.route(net.vips[0], "eth0")
    connection = HttpConnection(net, net.vips[0])
    first = connection.ask()
    wait_marked(net, connection)
    net.route(net.vips[0], "eth1")
    before = net.balancer.counters()
    assert prove(connection, 20) == {first}
    after = net.balancer.counters()
    assert after["tx_marked"] >= before["tx_marked"] + 20, after
    connection.close()


def set_idle(net, idle):
    net.balancer.config["offload"]["idle"] = idle
    net.balancer.write()
    net.balancer.reload()


@contextlib.contextmanager
def idle_after(net, idle):
    set_idle(net, idle)
    try:
        yield
    finally:
        set_idle(net, LONG)


def test_rule_where_no_packet_comes_is_idle_and_goes(net):
    net.route(net.vips[0], "eth1")
    connection = HttpConnection(net, net.vips[0])
    first = connection.ask()
    wait_marked(net, connection)
    port = connection.source[1]

    def only_there():
        assert prove(connection) == {first}
        assert port in sources(net, "eth1")
        return port not in sources(net, "eth0")
    with idle_after(net, "20s"):
        wait_for(only_there, "the rule that nobody uses to go", PATIENCE)
    wait_marked(net, connection)
    connection.close()
    wait_for(lambda: port not in sources(net, "eth1"), "the other to go after FIN", PATIENCE)


def test_killed_daemon_finds_both(net):
    net.route(net.vips[0], "eth0")
    net.route(net.vips[1], "eth1")
    connections = [HttpConnection(net, vip) for vip in net.vips[:2]]
    reals = [c.ask() for c in connections]
    for c in connections:
        wait_marked(net, c)
    ids = programs(net)
    net.balancer.kill()
    assert [prove(c) for c in connections] == [{r} for r in reals]
    net.balancer.start()
    assert programs(net) == ids
    assert net.balancer.ask("status")["lane"] == "kfunc"
    before = net.balancer.counters()["tx_marked"]
    assert [prove(c, 20) for c in connections] == [{r} for r in reals]
    assert net.balancer.counters()["tx_marked"] >= before + 40
    for c in connections:
        c.close()


def test_nic_that_returns_is_served_again(net):
    before = programs(net)
    net.route(net.vips[0], "eth0")
    connection = HttpConnection(net, net.vips[0])
    first = connection.ask()
    net.remove_second()
    wait_for(lambda: "eth1 is gone" in net.balancer.daemon.output(), "it to be missed", PATIENCE)
    assert prove(connection) == {first}
    net.add_second()
    wait_for(lambda: "eth1 is back, and served again" in net.balancer.daemon.output(),
             "it to be served again", PATIENCE)
    after = programs(net)
    assert after["eth0"] == before["eth0"] and after["eth1"] not in (None, before["eth1"]), after
    net.route(net.vips[0], "eth1")
    assert prove(connection) == {first}
    other = HttpConnection(net, net.vips[0])
    other.ask()
    wait_marked(net, other)
    for c in (connection, other):
        c.close()


def test_detach_leaves_nothing_on_either(net):
    net.balancer.stop()
    net.balancer.start("--detach")
    for vip, interface in zip(net.vips, BOTH):
        net.route(vip, interface)
        assert curl(net, vip)
    net.balancer.stop()
    assert programs(net) == {"eth0": None, "eth1": None}
    assert not sources(net, "eth0") | sources(net, "eth1")


def test_size_of_the_table_is_told(net):
    """By devlink, where the device is in our namespace: eth0 and eth1 are not."""
    (SIM / "new_device").write_text("5 1 2\n", encoding="ascii")
    net.defer((SIM / "del_device").write_text, "5\n")

    def names():
        return {link["ifname"] for link in json.loads(net.lb.run("ip -j link show").stdout)}
    before = names()
    sh(["devlink", "dev", "reload", "netdevsim/netdevsim5", "netns", net.lb.name])
    wait_for(lambda: names() - before, "the device in our namespace", PATIENCE)
    net.lb.ip(f"link set {(names() - before).pop()} name nic2")
    net.lb.run("ethtool -K nic2 hw-tc-offload on")
    net.lb.ip("link set nic2 up")
    net.lb.run("tc qdisc add dev nic2 clsact")
    net.lb.run("tc filter add dev nic2 ingress protocol ip pref 1 flower skip_sw ip_proto udp "
               "src_ip 10.0.0.1 src_port 1 dst_ip 10.0.0.2 dst_port 2 action drop")
    shown = json.loads(net.lb.run("devlink -j resource show netdevsim/netdevsim5").stdout)
    table = next(r for r in shown["resources"]["netdevsim/netdevsim5"]
                 if r["name"] == "flow-table")

    net.balancer.config["interface"] = "nic2"
    net.balancer.write()
    net.balancer.start("--detach")
    offload = net.balancer.ask("status")["offload"]
    assert offload["table"] == int(table["size"]) > 0, (offload, table)
    assert offload["table_used"] == int(table["occ"]) == 1, (offload, table)
    assert "entries in use" in net.balancer.cli("status").stdout
    net.balancer.stop()


def main():
    with TwoNics() as net:
        net.add_second()
        # Not by ARP: either interface would answer for the addresses of both.
        for name in BOTH:
            net.client.ip(f"neigh replace {NEXT_HOP[name]} lladdr {MAC[name]} dev eth0 "
                          "nud permanent")
        attach_decap(net)
        start_nginx(net)
        net.balancer = Balancer(net, offload="flower", interface=list(BOTH))
        net.balancer.config["offload"]["idle"] = LONG
        net.balancer.write()
        net.balancer.start()
        return run_tests(tests_in(globals()), net, log=lambda: net.balancer.daemon.output())


if __name__ == "__main__":
    sys.exit(main())
