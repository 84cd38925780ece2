# SPDX-License-Identifier: GPL-2.0
"""The backend `ntuple`: marks are locations of rules. The softnic plays the card."""
import pytest
from netns import wait_for
from servers import HttpConnection, Wrk, ask_udp, curl, start_nginx, start_udp_echo, udp_socket
from waymark import Balancer, SoftNic, attach_decap

LOCATIONS = 1024  # of the NIC below, the first of which is not used


@pytest.fixture
def make_net(topology):
    def make(capacity=LOCATIONS - 1):
        topology.nic = SoftNic(topology, capacity=capacity)
        attach_decap(topology)
        start_nginx(topology)
        topology.balancer = Balancer(topology, offload="ntuple").start()
        return topology
    return make


def open_connections(net, number, vip=0):
    connections = [HttpConnection(net, net.vips[vip]) for _ in range(number)]
    reals = [c.ask() for c in connections]
    for _ in range(12):
        assert [c.ask() for c in connections] == reals
    return connections, reals


def promoted(net, connections):
    ports = {c.source[1] for c in connections}
    wait_for(lambda: ports <= set(net.nic.marks()), "a rule for each connection")


def moved(net, before):
    after = net.balancer.counters()
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_flows_go_by_the_location_of_their_rule(make_net):
    net = make_net()
    start_udp_echo(net)
    status = net.balancer.ask("status")["offload"]
    assert status["backend"] == "ntuple"
    assert status["rules_max"] == LOCATIONS - 1 - (LOCATIONS - 1) // 16
    connections, reals = open_connections(net, 8)
    promoted(net, connections)
    # Not a destination's mark: one each, from the highest location on.
    marks = net.nic.marks()
    assert len(set(marks.values())) == len(marks)
    assert {marks[c.source[1]] for c in connections} == set(range(LOCATIONS - 8, LOCATIONS))
    before = net.balancer.counters()
    for _ in range(10):
        assert [c.ask() for c in connections] == reals
    assert moved(net, before)["tx_marked"] >= 80
    assert "tx_hit" not in moved(net, before)
    sock = udp_socket(net, net.vips[0])
    first = ask_udp(sock)
    before = net.balancer.counters()

    def marked():
        assert {ask_udp(sock) for _ in range(12)} == {first}
        return moved(net, before).get("tx_marked", 0) >= 12
    wait_for(marked, "UDP by its location")
    sock.close()


def test_ends_of_connections_come_marked_and_are_seen(make_net):
    """Such a NIC cannot match TCP flags: FIN is found by a look at the header."""
    net = make_net()
    connections, _ = open_connections(net, 4)
    promoted(net, connections)
    before = net.balancer.counters()
    for c in connections:
        c.close()
    wait_for(lambda: not net.nic.rules(), "the rules to go after FIN")
    assert moved(net, before)["mark_control"] >= 4
    assert net.balancer.ask("stats")["offload"]["ended"]["closed"] >= 4


def test_the_next_daemon_knows_its_rules(make_net):
    net = make_net()
    connections, reals = open_connections(net, 8)
    promoted(net, connections)
    marks = net.nic.marks()
    net.balancer.kill()
    assert [c.ask() for c in connections] == reals
    net.nic.put(4000, 7)
    net.balancer.start()
    assert len(net.balancer.rules()) == 8
    before = net.balancer.counters()
    for _ in range(10):
        assert [c.ask() for c in connections] == reals
    assert moved(net, before)["tx_marked"] >= 80
    assert net.nic.marks() == {**marks, 4000: 7}
    assert net.balancer.ask("stats")["offload"]["installed"] == 0
    assert "1 rules that are not waymark's" in net.balancer.daemon.output()
    for c in connections:
        c.close()
    wait_for(lambda: set(net.nic.marks()) == {4000}, "all rules to go but the foreign one")


@pytest.mark.parametrize("which", ["unknown", "mismatch"])
def test_wrong_location_takes_the_software_path(make_net, which):
    net = make_net()
    connections, reals = open_connections(net, 4)
    others, _ = open_connections(net, 1, vip=1)
    promoted(net, connections + others)
    wrong = 5 if which == "unknown" else net.nic.marks()[others[0].source[1]]
    net.nic.knob(mark_fixed=wrong)
    before = net.balancer.counters()
    for _ in range(10):
        assert [c.ask() for c in connections] == reals
    after = moved(net, before)
    assert after["mark_" + which] >= 40 and "tx_marked" not in after
    net.nic.knob(mark_fixed=0)


def test_full_table_serves_the_rest_in_software(make_net):
    net = make_net(capacity=4)
    result = Wrk(net, net.vips[0], seconds=2, connections=32).finish()
    assert result["failed"] == 0 and result["requests"] > 0
    connections, reals = open_connections(net, 8)

    def full():
        """Places that the load's flows left rest at first."""
        assert [c.ask() for c in connections] == reals
        return net.nic.rules() == 4
    wait_for(full, "a full table", timeout=40)
    for _ in range(10):
        assert [c.ask() for c in connections] == reals
    assert net.nic.rules() <= 4
    offload = net.balancer.ask("stats")["offload"]
    assert offload["full"] + offload["held"] > 0


def test_a_real_that_goes_takes_its_rules_along(make_net):
    net = make_net()
    connections, reals = open_connections(net, 12)
    promoted(net, connections)
    net.balancer.vip("tcp4-1-80")["reals"] = net.balancer.reals(which=[1, 2])
    net.balancer.write()
    net.balancer.reload()
    gone = {c.source[1] for c, real in zip(connections, reals) if real == "real3"}
    assert gone
    wait_for(lambda: not gone & set(net.nic.marks()), "rules of the real that went")
    for c, real in zip(connections, reals):
        if real != "real3":
            assert c.ask() == real


def test_detach_leaves_nothing(make_net):
    net = make_net()
    net.balancer.stop()
    net.balancer.start("--detach")
    connections, _ = open_connections(net, 4)
    promoted(net, connections)
    assert net.balancer.stop() == 0
    assert net.nic.rules() == 0 and net.balancer.prog_id() is None


def test_a_program_for_marks_is_refused_and_serves_on(make_net):
    net = make_net()
    net.balancer.stop()
    net.balancer.config["offload"]["backend"] = "sim"
    net.balancer.write()
    done = net.balancer.run()
    assert done.returncode == 1
    assert "was loaded for locations of rules" in done.stderr and "--new-program" in done.stderr
    assert curl(net, net.vips[0]).startswith("real")
