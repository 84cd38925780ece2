#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""waymark on netdevsim with the kernel series; runs inside the guest.

The network of selftests/lib/netns.py, but the balancer's eth0 is a netdevsim device
whose other end is a port of the wire's bridge. It has the flow table; waymarkd
installs rules with its backend `flower` and the program reads marks by kfunc.
"""
import json
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

# pylint: disable=wrong-import-position
from netns import Topology, sh, wait_for  # noqa: E402
from servers import HttpConnection, ask_udp, curl, start_nginx, start_udp_echo  # noqa: E402
from servers import udp_socket  # noqa: E402
from tap import run_tests, tests_in  # noqa: E402
from waymark import BUILD, Balancer, attach_decap  # noqa: E402

SIM = Path("/sys/bus/netdevsim")
PATIENCE = 60  # seconds for a condition: the guest is emulated
Balancer.patience = PATIENCE


class NsimTopology(Topology):
    """Topology whose balancer sits behind a netdevsim NIC."""

    queues = 2

    def _connect(self, space, mac, address, address6, *mtu):
        if space.role != "lb":
            super()._connect(space, mac, address, address6, *mtu)
            return
        nic, port = self._new_device(1, space, "eth0"), self._new_device(2, self.wire, "lb")
        with open(f"/run/netns/{space.name}", "rb") as one, \
                open(f"/run/netns/{self.wire.name}", "rb") as two:
            sh(["sh", "-c", f"echo {one.fileno()}:{nic} {two.fileno()}:{port} > "
                f"{SIM}/link_device"], pass_fds=(one.fileno(), two.fileno()))
        space.ip(f"link set eth0 address {mac} mtu 1600")
        space.run("ethtool -K eth0 hw-tc-offload on")
        self.wire.sysctl("net.ipv6.conf.lb.disable_ipv6", 1)
        self.wire.ip("link set lb mtu 1600 master br0 up")
        space.ip("link set eth0 up")
        space.ip(f"address add {address}/16 dev eth0")
        space.ip(f"address add {address6}/32 dev eth0")

    def _new_device(self, number, space, name):
        """Make it, move it, return its index there."""
        (SIM / "new_device").write_text(f"{number} 1 {self.queues}\n", encoding="ascii")
        self.defer((SIM / "del_device").write_text, f"{number}\n")
        here = SIM / f"devices/netdevsim{number}/net"
        wait_for(lambda: here.exists() and os.listdir(here), "the netdevsim device", PATIENCE)
        sh(["udevadm", "settle"], check=False)
        old = os.listdir(here)[0]
        sh(["ip", "link", "set", old, "netns", space.name, "name", name])
        return json.loads(space.run(f"ip -j link show {name}").stdout)[0]["ifindex"]


def hardware_rules(net):
    """The filters that the NIC says it has, as tc shows them."""
    text = net.lb.run("tc -j -s filter show dev eth0 ingress").stdout
    return [f for f in json.loads(text) if f.get("options", {}).get("in_hw")]


def prove(connection, times=14):
    return {connection.ask() for _ in range(times)}


def wait_marked(net, connection):
    """Until packets of this connection come by mark."""
    def marked():
        before = net.balancer.counters()["tx_marked"]
        prove(connection)
        return net.balancer.counters()["tx_marked"] >= before + 10
    wait_for(marked, "packets to come marked", PATIENCE)


# --- tests: each gets the network and leaves it as it was ---

def test_lane_and_backend(net):
    status = net.balancer.ask("status")
    assert status["lane"] == "kfunc", status
    assert status["mode"] == "native", status
    assert status["offload"]["backend"] == "flower", status
    assert status["offload"]["mark_bits"] == 16, status


def test_http_reaches_every_real(net):
    for vip in (net.vips[0], net.vips6[0]):
        assert {curl(net, vip) for _ in range(24)} == {"real1", "real2", "real3"}


def test_tcp_flow_gets_a_rule_and_stays(net):
    for vip in (net.vips[0], net.vips6[0]):
        connection = HttpConnection(net, vip)
        first = connection.ask()
        wait_marked(net, connection)
        assert prove(connection) == {first}
        assert len(net.balancer.rules()) == len(hardware_rules(net)) >= 1
        connection.close()
        wait_for(lambda: not hardware_rules(net), "the rule to go after FIN", PATIENCE)


def test_udp_flow_gets_a_rule_and_stays(net):
    sock = udp_socket(net, net.vips[0])
    first = ask_udp(sock)
    before = net.balancer.counters()["tx_marked"]

    def marked():
        assert {ask_udp(sock) for _ in range(12)} == {first}
        return net.balancer.counters()["tx_marked"] > before + 10
    wait_for(marked, "UDP packets to come marked", PATIENCE)
    sock.close()


def count_alike(net):
    connection = HttpConnection(net, net.vips[0])
    wait_marked(net, connection)
    source = f"{connection.source[0]}:{connection.source[1]}"

    def rule():
        return next(r for r in net.balancer.rules() if r["source"] == source)
    assert rule()["protocol"] == "tcp"

    def packets():  # each action of a rule has the counters of the rule
        return sum(int(f["options"]["actions"][0]["stats"]["hw_packets"])
                   for f in hardware_rules(net)
                   if f["options"]["keys"].get("src_port") == connection.source[1])
    hardware, program = packets(), net.balancer.counters()["tx_marked"]
    for _ in range(20):
        connection.ask()
    # Acknowledgments may still be on their way; both see the same packets.
    wait_for(lambda: packets() - hardware == net.balancer.counters()["tx_marked"] - program >= 20,
             "both to have counted the same", PATIENCE)
    wait_for(lambda: rule()["packets"] == packets(), "the daemon to have counted them, too",
             PATIENCE)
    connection.close()


def test_hardware_and_program_count_alike(net):
    count_alike(net)


def test_killed_daemon_loses_nothing_and_finds_its_rules(net):
    connection = HttpConnection(net, net.vips[0])
    first = connection.ask()
    wait_marked(net, connection)
    prog, marks = net.balancer.prog_id(), {r["mark"] for r in net.balancer.rules()}
    net.balancer.kill()
    assert prove(connection, 30) == {first}
    net.balancer.start()
    assert net.balancer.prog_id() == prog
    assert {r["mark"] for r in net.balancer.rules()} == marks
    before = net.balancer.counters()["tx_marked"]
    assert prove(connection, 30) == {first}
    assert net.balancer.counters()["tx_marked"] >= before + 30
    connection.close()


def test_foreign_mark_misroutes_nothing(net):
    """Somebody else's rule, which wins, stamps a mark that names no destination."""
    connection = HttpConnection(net, net.vips[0])
    first = connection.ask()
    net.lb.run(f"tc filter add dev eth0 ingress protocol ip pref 1 handle 77 flower skip_sw "
               f"ip_proto tcp src_ip {connection.source[0]} src_port {connection.source[1]} "
               f"dst_ip {net.vips[0]} dst_port 80 action skbedit mark 4000")
    before = net.balancer.counters()
    assert prove(connection, 20) == {first}
    after = net.balancer.counters()
    assert after["mark_unknown"] >= before["mark_unknown"] + 20, after
    net.lb.run("tc filter del dev eth0 ingress protocol ip pref 1 handle 77 flower")
    connection.close()


def test_link_down_and_up(net):
    net.lb.ip("link set eth0 down")
    net.lb.ip("link set eth0 up")
    net.lb.ip("address replace fd00:200::1/32 dev eth0")
    wait_for(lambda: curl(net, net.vips[0]), "requests to be answered again", PATIENCE)
    connection = HttpConnection(net, net.vips[0])
    wait_marked(net, connection)
    connection.close()


def test_detach_leaves_nothing(net):
    net.balancer.stop()
    net.balancer.start("--detach")
    net.balancer.stop()
    assert net.balancer.prog_id() is None
    assert not hardware_rules(net)


def test_ip_link_program_with_the_meta_lane(net):
    """Loaded by iproute2, adopted; the driver puts marks in front of packets."""
    net.lb.run("ethtool -K eth0 rx-xdp-mark on")
    net.lb.run(f"ip link set dev eth0 xdp obj {BUILD}/waymark.bpf.o sec xdp")
    prog = net.balancer.prog_id()
    net.balancer.start()
    status = net.balancer.ask("status")
    assert (status["lane"], status["adopted"], status["prog_id"]) == ("meta", True, prog), status
    connection = HttpConnection(net, net.vips[0])
    first = connection.ask()
    wait_marked(net, connection)
    assert prove(connection) == {first}
    connection.close()


def knob(name, value):
    path = Path(f"/sys/kernel/debug/netdevsim/netdevsim1/ports/0/flow_table/{name}")
    path.write_text(value, encoding="ascii")


def kinds(rule):
    return [a["kind"] for a in rule["options"]["actions"]]


def test_the_mac_lane_needs_nothing_of_the_kernel(net):
    """An object that knows no kfunc; the NIC writes marks into source addresses."""
    net.balancer.stop()
    net.balancer.start("--detach")
    net.balancer.stop()
    net.lb.run("ethtool -K eth0 rx-xdp-mark off")
    net.balancer.config["offload"]["lane"] = "mac"
    net.balancer.write()
    net.balancer.start()
    status = net.balancer.ask("status")
    assert (status["lane"], status["offload"]["mark_bits"]) == ("mac", 24), status
    for vip in (net.vips[0], net.vips6[0]):
        connection = HttpConnection(net, vip)
        first = connection.ask()
        wait_marked(net, connection)
        assert prove(connection) == {first}
        assert {tuple(kinds(r)) for r in hardware_rules(net)} == {("pedit", "gact")}
        connection.close()
        wait_for(lambda: not hardware_rules(net), "the rule to go after FIN", PATIENCE)
    sock = udp_socket(net, net.vips[0])
    first, before = ask_udp(sock), net.balancer.counters()["tx_marked"]

    def marked():
        assert {ask_udp(sock) for _ in range(12)} == {first}
        return net.balancer.counters()["tx_marked"] > before + 10
    wait_for(marked, "UDP packets to come marked", PATIENCE)
    sock.close()


def test_in_the_mac_lane_hardware_program_and_daemon_count_alike(net):
    count_alike(net)


def test_in_the_mac_lane_a_killed_daemon_finds_its_rules(net):
    test_killed_daemon_loses_nothing_and_finds_its_rules(net)


def test_a_nic_that_no_longer_rewrites_costs_speed_only(net):
    """Rules are refused from here on. Then it takes them again."""
    knob("rewrite", "N")
    failed = net.balancer.ask("stats")["offload"]["refused"]
    connection = HttpConnection(net, net.vips[0])
    first = connection.ask()

    def refused():
        assert prove(connection) == {first}
        return net.balancer.ask("stats")["offload"]["refused"] > failed
    wait_for(refused, "the NIC to refuse a rule", PATIENCE)
    knob("rewrite", "Y")
    wait_marked(net, connection)
    assert prove(connection) == {first}
    connection.close()


def test_a_nic_with_one_preference(net):
    """mlx5 without the capability ignore_flow_level takes preference 1 only."""
    net.balancer.stop()
    net.balancer.start("--detach")
    net.balancer.stop()
    knob("pref_max", "1")
    net.balancer.start()
    connections = [HttpConnection(net, vip) for vip in (net.vips[0], net.vips6[0])]
    reals = [connection.ask() for connection in connections]
    for connection, real in zip(connections, reals):
        wait_marked(net, connection)
        assert prove(connection) == {real}
    rules = hardware_rules(net)
    assert len(rules) == len(net.balancer.rules()) == 2
    assert {(r["pref"], r["protocol"]) for r in rules} == {(1, "all")}
    net.balancer.kill()
    net.balancer.start()
    assert len(net.balancer.rules()) == 2
    for connection, real in zip(connections, reals):
        before = net.balancer.counters()["tx_marked"]
        assert prove(connection, 30) == {real}
        assert net.balancer.counters()["tx_marked"] >= before + 30
        connection.close()
    wait_for(lambda: not hardware_rules(net), "the rules to go after FIN", PATIENCE)
    knob("pref_max", "65535")


def main():
    with NsimTopology() as net:
        attach_decap(net)
        start_nginx(net)
        start_udp_echo(net)
        net.balancer = Balancer(net, offload="flower").start()
        return run_tests(tests_in(globals()), net, log=lambda: net.balancer.daemon.output())


if __name__ == "__main__":
    sys.exit(main())
