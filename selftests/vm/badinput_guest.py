#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What goes wrong with a NIC and its rules, on netdevsim with the series; runs inside
the guest. It costs speed and a clear message, never a packet of a flow.

Every test has devices of its own, because it spoils them.
"""
import re
import sys

from pair import ACK, DEBUGFS, OTHER_REALS, OTHER_VIP, PATIENCE, REALS, VIP, Pair, said
from tap import run_tests
from netns import wait_for


def rules_on(net, port=None):
    net.lb.run(f"ethtool -K {(port or net.ports[0]).name} hw-tc-offload on")


def mark_of(balancer, vip, real):
    """The mark that stands for this destination."""
    for dest in balancer.ask("dest"):
        if (dest["vip"], dest["real"]) == (vip, real):
            return dest["mark"]
    raise AssertionError(f"no destination {vip} {real}")


def offload(balancer):
    return balancer.ask("stats")["offload"]


def add_rule(net, sport, mark, pref=1):
    net.lb.run("tc qdisc add dev eth0 clsact", check=False)
    net.lb.run(f"tc filter add dev eth0 ingress protocol ip pref {pref} handle 0x77 flower skip_sw "
               f"ip_proto udp src_ip 198.51.100.7 src_port {sport} dst_ip {VIP} dst_port 80 "
               f"action skbedit mark {mark}")


def mark_beyond_the_width():
    """A NIC that carries fewer bits than it is thought to refuses the rules whose mark does
    not fit. Their flows stay in software, the others are marked."""
    with Pair() as net:
        (DEBUGFS / f"netdevsim{net.ports[0].number}/ports/0/flow_table/mark_max").write_text(
            "2", encoding="ascii")
        rules_on(net)
        balancer = net.balancer().start()
        marks = {real: mark_of(balancer, "udp", real) for real in REALS}
        reals = {sport: net.real_of(sport, 12) for sport in range(4000, 4008)}
        narrow = {sport for sport in reals if marks[reals[sport]] <= 2}
        assert narrow and narrow != set(reals), (marks, reals)
        said(balancer, "eth0 refused a rule: netdevsim: mark must be 1 to 2")
        wait_for(lambda: offload(balancer)["refused"] >= 1, "the refusal to be counted", PATIENCE)
        for sport in sorted(narrow)[:2]:
            assert net.promote(balancer, sport) == reals[sport]
        before = balancer.counters()
        wide = set(reals) - narrow
        assert {sport: net.real_of(sport, 10) for sport in wide} == {s: reals[s] for s in wide}
        assert balancer.counters()["tx_marked"] == before["tx_marked"]
        assert len(net.hardware()) <= len(narrow)
        assert balancer.daemon.output().count("mark must be 1 to 2") == 1


def refused_rule():
    """Somebody fills the NIC's table up with his own rules: none is left for us."""
    with Pair() as net:
        rules_on(net)
        number = net.ports[0].number
        net.lb.run(f"devlink resource set netdevsim/netdevsim{number} path /flow-table size 1")
        net.reload(net.ports[0])
        net.link(net.ports[0])
        net.up(net.ports[0])
        rules_on(net)
        add_rule(net, 1, 1)
        balancer = net.balancer(idle="20s").start()
        real = net.real_of(4000, 30)
        said(balancer, "flow table full (1 rules)")
        assert net.real_of(4000, 10) == real
        assert len(net.hardware()) == 1 and balancer.counters()["tx_marked"] == 0
        # It is tried again once there is room.
        net.lb.run("tc filter del dev eth0 ingress protocol ip pref 1")
        assert net.promote(balancer, 4000) == real


def table_full():
    """Eight rules fit. Of 20 busy flows so many are marked, all are balanced."""
    with Pair() as net:
        number = net.ports[0].number
        net.lb.run(f"devlink resource set netdevsim/netdevsim{number} path /flow-table size 8")
        net.reload(net.ports[0])
        net.link(net.ports[0])
        net.up(net.ports[0])
        rules_on(net)
        balancer = net.balancer().start()
        reals = {sport: net.real_of(sport, 12) for sport in range(4000, 4020)}
        wait_for(lambda: len(net.hardware()) == 8 and offload(balancer)["full"] >= 1,
                 "a full table", PATIENCE)
        said(balancer, "flow table full (8 rules) (ENOSPC)")
        assert balancer.daemon.output().count("flow table full") == 1
        before = balancer.counters()
        assert {sport: net.real_of(sport, 3) for sport in reals} == reals
        after = balancer.counters()
        marked = after["tx_marked"] - before["tx_marked"]
        assert 0 < marked <= 24, (before, after)
        assert sum(after[c] - before[c] for c in ("tx_marked", "tx_hit")) == 60, (before, after)
        assert len(net.hardware()) <= 8 and balancer.ask("status")["offload"]["rules"] <= 8


def foreign_mark():
    """Somebody's rule stamps the mark of another vip's destination: named at the start,
    seen and counted by the program for each packet, and no packet goes astray."""
    with Pair() as net:
        rules_on(net)
        balancer = net.balancer().start()
        mark = mark_of(balancer, "other", OTHER_REALS[0])
        balancer.stop()
        add_rule(net, 4000, mark)
        balancer.start()
        said(balancer, "1 filters that are not waymark's set marks, such as the flower filter "
             f"with pref 1 handle 0x77 chain 0, mark {mark}")
        before = balancer.counters()
        real = net.real_of(4000, 30)
        assert real in REALS
        after = balancer.counters()
        assert after["mark_mismatch"] - before["mark_mismatch"] == 30, after
        assert after["tx_marked"] == before["tx_marked"]
        # The mark is right for the flow that it belongs to.
        assert net.promote(balancer, 5000, vip=OTHER_VIP) in OTHER_REALS
        # Not ours: it stays when ours go.
        assert balancer.stop() == 0
        balancer.start("--detach")
        balancer.stop()
        assert len(net.hardware()) == 1 and f"mark {mark}" in net.hardware()[0]


def foreign_mark_of_the_same_vip():
    """A mark says which real, and only the vip can be checked: a stranger who stamps the mark
    of another real of the vip sends his flow there, and no other packet."""
    with Pair() as net:
        rules_on(net)
        balancer = net.balancer().start()
        right = net.real_of(4000)
        wrong = next(real for real in REALS if real != right)
        add_rule(net, 4000, mark_of(balancer, "udp", wrong))
        assert net.real_of(4000, 5) == wrong
        others = {sport: net.real_of(sport, 2) for sport in range(4001, 4005)}
        net.lb.run("tc filter del dev eth0 ingress protocol ip pref 1")
        assert net.real_of(4000, 5) == right
        assert {sport: net.real_of(sport, 2) for sport in others} == others


def wrong_namespace():
    """The interface is there, in another namespace."""
    with Pair() as net:
        balancer = net.balancer()
        done = net.wire.run(balancer.command(), check=False)
        assert done.returncode == 1
        assert "interface eth0: No such device" in done.stderr, done.stderr
        assert "namespace" in done.stderr, done.stderr


def wrong_interface():
    """A program that is bound to another device is on it: it can't be put on ours, by anybody,
    and it is taken for what it is if pins name it."""
    with Pair(ports=2) as net:
        rules_on(net)
        balancer = net.balancer().start()
        assert balancer.ask("status")["lane"] == "kfunc"
        pin = net.bpffs / "waymark/prog"
        done = net.lb.run(f"ip link set dev eth1 xdp pinned {pin}", check=False)
        assert done.returncode and "bound" in done.stderr, done.stderr
        done = net.lb.run(f"ip link set dev eth1 xdpgeneric pinned {pin}", check=False)
        assert done.returncode, done.stderr
        balancer.stop()
        net.lb.ip("link set dev eth0 xdp off")
        rules_on(net, net.ports[1])
        # Only the pins are left, and they are of a program for eth0.
        balancer.config["interface"] = "eth1"
        balancer.write()
        balancer.start()
        said(balancer, "eth1: loading the program that was bound to it anew")
        status = balancer.ask("status")
        assert (status["lane"], status["adopted"]) == ("kfunc", True), status
        assert net.real_of(4000, port=net.ports[1]) in REALS


def link_down_and_up():
    """A rule outlives it."""
    with Pair() as net:
        rules_on(net)
        balancer = net.balancer().start()
        for flow in ({}, {"flags": ACK}):
            real = net.promote(balancer, 4000, **flow)
            rules = [re.sub(" packets.*", "", rule) for rule in net.hardware()]
            net.lb.ip("link set eth0 down")
            assert balancer.ask("status")["offload"]["rules"] == len(rules)
            net.lb.ip("link set eth0 up")
            before = balancer.counters()["tx_marked"]
            wait_for(lambda f=flow: net.exchange(4000, 1, timeout=1, **f), "the link to be up", PATIENCE)
            assert net.real_of(4000, 10, **flow) == real
            assert balancer.counters()["tx_marked"] >= before + 10
            assert [re.sub(" packets.*", "", rule) for rule in net.hardware()] == rules


def devlink_reload():
    """It takes the only interface away: the daemon says so and ends, as a service it is
    started again. Then flows go where they went, and rules are there again."""
    with Pair() as net:
        rules_on(net)
        balancer = net.balancer()
        # Flows from the time when there was one real: the ring alone does not know of it.
        vip, reals = balancer.vip("udp"), balancer.vip("udp")["reals"]
        vip["reals"] = reals[:1]
        balancer.write()
        balancer.start()
        reals_of = {sport: net.promote(balancer, sport) for sport in range(4000, 4006)}
        assert set(reals_of.values()) == {REALS[0]}
        vip["reals"] = reals
        balancer.write()
        balancer.reload()
        net.reload(net.ports[0])
        assert balancer.daemon.wait(PATIENCE) == 1
        assert "interface eth0 is gone: nothing is left to serve" in balancer.daemon.output()
        net.link(net.ports[0])
        net.up(net.ports[0])
        assert not net.hardware()

        # As after the reload: offload is off, and that is said.
        balancer.config["offload"]["backend"] = "auto"
        balancer.write()
        balancer.start()
        said(balancer, "ethtool -K eth0 hw-tc-offload on")
        assert balancer.ask("status")["lane"] == "kfunc"
        assert {sport: net.real_of(sport) for sport in reals_of} == reals_of
        assert len({net.real_of(sport) for sport in range(5000, 5012)}) > 1
        balancer.stop()

        rules_on(net)
        balancer.start()
        status = balancer.ask("status")
        assert (status["lane"], status["offload"]["backend"]) == ("kfunc", "flower"), status
        assert {sport: net.promote(balancer, sport) for sport in reals_of} == reals_of
        assert len(net.hardware()) >= len(reals_of)
        balancer.stop()


def reload_of_one_of_two():
    """The other is served on, and this one again when it is back."""
    with Pair(ports=2) as net:
        for port in net.ports:  # each of them is to have rules
            rules_on(net, port)
        one, two = net.ports
        balancer = net.balancer(interface=["eth0", "eth1"], idle="20s").start()
        reals = {sport: net.real_of(sport, port=two) for sport in (4000, 4001, 4002)}
        net.reload(two)
        said(balancer, "interface eth1 is gone: it is served again when it comes back")
        said(balancer, "interface eth1 is back, and served again")
        net.link(two)
        net.up(two)
        assert {sport: net.real_of(sport, port=one) for sport in reals} == reals
        wait_for(lambda: net.exchange(4000, port=two, timeout=1), "eth1 to carry frames", PATIENCE)
        assert {sport: net.real_of(sport, port=two) for sport in reals} == reals
        # And the first.
        net.reload(one)
        said(balancer, "interface eth0 is back, and served again")
        net.link(one)
        net.up(one)
        wait_for(lambda: net.exchange(4000, port=one, timeout=1), "eth0 to carry frames", PATIENCE)
        assert {sport: net.real_of(sport, port=one) for sport in reals} == reals
        assert {sport: net.real_of(sport, port=two) for sport in reals} == reals
        # A flow that was refused is not offered again at once.
        rules_on(net)
        wait_for(lambda: net.real_of(4000, 10, port=one) and net.hardware(),
                 "a rule in the new device", PATIENCE)
        assert balancer.daemon.running()


def device_vanishes():
    """One of two, then the last: said each time, without a crash."""
    with Pair(ports=2) as net:
        for port in net.ports:  # each of them is to have rules
            rules_on(net, port)
        one, two = net.ports
        balancer = net.balancer(interface=["eth0", "eth1"], idle="20s").start()
        real = net.real_of(4000, 30)
        wait_for(net.hardware, "a rule", PATIENCE)
        net.delete(one.number)
        said(balancer, "interface eth0 is gone: it is served again when it comes back")
        assert net.real_of(4000, 20, port=two) == real
        assert net.real_of(4001, 20, port=two) in REALS
        wait_for(lambda: balancer.ask("status")["offload"]["rules"] == 0,
                 "the rules of a device that is gone to be forgotten", PATIENCE)
        net.delete(two.number)
        assert balancer.daemon.wait(PATIENCE) == 1
        assert "interface eth1 is gone: nothing is left to serve" in balancer.daemon.output()


TESTS = [mark_beyond_the_width, refused_rule, table_full, foreign_mark,
         foreign_mark_of_the_same_vip, wrong_namespace, wrong_interface, link_down_and_up,
         devlink_reload, reload_of_one_of_two, device_vanishes]

if __name__ == "__main__":
    wanted = sys.argv[1:]
    sys.exit(run_tests([test for test in TESTS if not wanted or test.__name__ in wanted]))
