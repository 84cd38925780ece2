# SPDX-License-Identifier: GPL-2.0
"""A change of the configuration touches only the flows that it concerns."""
import pytest
from netns import Failed, wait_for
from servers import (HttpConnection, Wrk, ask_udp, curl, start_nginx, start_udp_echo, udp_socket)
from waymark import Balancer, SoftNic, attach_decap

WEB, ECHO = "tcp4-1-80", "udp4-1-7"


@pytest.fixture
def net(topology):
    topology.nic = SoftNic(topology)
    attach_decap(topology)
    start_nginx(topology)
    start_udp_echo(topology)
    topology.balancer = Balancer(topology).start()
    return topology


def by_hup(balancer):
    before = balancer.ask("status")["reloads"]
    balancer.hup()
    wait_for(lambda: balancer.ask("status")["reloads"] > before, "the reload after SIGHUP")
    assert balancer.ask("status")["last_reload"]["ok"]


def by_command(balancer):
    assert balancer.reload()["summary"]


def remove_real3(net, reload, *vips):
    for vip in vips:
        net.balancer.vip(vip)["reals"] = net.balancer.reals(which=[1, 2])
    net.balancer.write()
    reload(net.balancer)


def open_connections(net, number, asks=12):
    connections = [HttpConnection(net, net.vips[0]) for _ in range(number)]
    reals = [c.ask() for c in connections]
    for _ in range(asks):
        assert [c.ask() for c in connections] == reals
    return connections, reals


@pytest.mark.parametrize("reload", [by_hup, by_command])
def test_connections_of_other_reals_stay_when_one_is_removed(net, reload):
    connections, reals = open_connections(net, 24)
    assert set(reals) == {"real1", "real2", "real3"}
    wait_for(lambda: net.nic.rules() >= 24, "rules for all")
    remove_real3(net, reload, WEB)

    for connection, real in zip(connections, reals):
        if real != "real3":
            for _ in range(5):
                assert connection.ask() == real
    # New ones go to who is left, and those of the real that went do not reach it.
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2"}
    for connection, real in zip(connections, reals):
        if real == "real3":
            with pytest.raises((Failed, OSError)):
                connection.ask()


@pytest.mark.parametrize("reload", [by_hup, by_command])
def test_flows_of_a_removed_real_move(net, reload):
    socks = [udp_socket(net, net.vips[0]) for _ in range(30)]
    before = [ask_udp(s) for s in socks]
    for _ in range(12):
        assert [ask_udp(s) for s in socks] == before
    assert "real3" in before
    remove_real3(net, reload, ECHO)

    after = [ask_udp(s) for s in socks]
    assert "real3" not in after
    assert [a for a, b in zip(after, before) if b != "real3"] == [b for b in before if b != "real3"]
    for _ in range(12):
        assert [ask_udp(s) for s in socks] == after


def test_rules_and_id_of_a_removed_real_are_freed(net):
    _, reals = open_connections(net, 12)
    wait_for(lambda: net.nic.rules() >= 12, "rules for all")
    gone = {d["mark"] for d in net.balancer.ask("dest")
            if d["vip"] == WEB and d["real"] == net.reals[2].address}
    assert len(gone) == 1
    remove_real3(net, by_command, WEB)
    wait_for(lambda: not {r["mark"] for r in net.balancer.rules()} & gone, "its rules to go")
    wait_for(lambda: net.nic.rules() == len([r for r in reals if r != "real3"]), "the NIC's too")
    wait_for(lambda: net.balancer.ask("status")["retiring"] == 0, "its id to be free", timeout=40)

    # Back again it has another mark: rules that were forgotten would be stale.
    net.balancer.vip(WEB)["reals"] = net.balancer.reals()
    net.balancer.write()
    by_command(net.balancer)
    marks = {d["mark"] for d in net.balancer.ask("dest") if d["vip"] == WEB}
    assert len(marks) == 3 and not marks & gone


def test_there_and_back_is_the_same(net):
    ring = net.balancer.ask("ring", WEB)
    connections, reals = open_connections(net, 10)
    stay = [(c, r) for c, r in zip(connections, reals) if r != "real3"]
    for reals_now in (net.balancer.reals(which=[1, 2]), net.balancer.reals()):
        net.balancer.vip(WEB)["reals"] = reals_now
        net.balancer.write()
        by_command(net.balancer)
        assert all(c.ask() == r for c, r in stay)
    again = net.balancer.ask("ring", WEB)
    name = lambda r: [r["reals"][i] for i in r["slot"]]
    assert name(again) == name(ring)


def test_weight_0_keeps_connections_and_gets_no_new_ones(net):
    connections, reals = open_connections(net, 15)
    assert "real2" in reals
    net.balancer.vip(WEB)["reals"][1]["weight"] = 0
    net.balancer.write()
    by_command(net.balancer)
    for _ in range(3):
        assert [c.ask() for c in connections] == reals
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real3"}


def test_reload_under_load_loses_no_request_of_others(net):
    """The other VIP comes and goes, its neighbour's requests go on."""
    other = net.balancer.vip("tcp4-2-80")
    wrk = Wrk(net, net.vips[0], seconds=4, connections=16)
    for i in range(12):
        if other in net.balancer.config["vips"]:
            net.balancer.config["vips"].remove(other)
        else:
            net.balancer.config["vips"].append(other)
        net.balancer.vip(WEB)["reals"][0]["weight"] = 100 + i
        net.balancer.write()
        by_command(net.balancer)
    result = wrk.finish()
    assert result["failed"] == 0 and result["requests"] > 0


def test_added_vip_is_served_removed_one_is_not(net):
    vip = net.balancer.vip("tcp4-2-80")
    net.balancer.config["vips"].remove(vip)
    net.balancer.write()
    by_command(net.balancer)
    with pytest.raises(Failed):
        curl(net, net.vips[1], "--max-time", "1")
    net.balancer.config["vips"].append(vip)
    net.balancer.write()
    by_command(net.balancer)
    assert curl(net, net.vips[1]).startswith("real")


@pytest.mark.parametrize("reload", ["hup", "command"])
def test_first_part_of_a_file_is_refused_unless_forced(net, reload):
    """Lists that end early: good YAML, half of the vips and more gone."""
    before = net.balancer.ask("dest"), net.balancer.ask("vip")
    whole = net.balancer.file.read_text(encoding="utf-8")
    assert len(before[1]) == 8
    end = [i for i in range(len(whole)) if whole.startswith("  - name", i)][3]
    net.balancer.write(whole[:end])  # three are left, and their reals
    said = "5 of 8 vips would be removed, max-removal is 50%"
    if reload == "command":
        done = net.balancer.cli("reload", check=False)
        assert done.returncode == 1 and said in done.stderr and "waymark reload --force" in done.stderr
    else:
        net.balancer.hup()
        wait_for(lambda: said in net.balancer.daemon.output(), "the message in the log")
        assert "waymark reload --force" in net.balancer.daemon.output()
    after = net.balancer.ask("dest"), net.balancer.ask("vip")
    assert [(d["mark"], d["state"]) for d in after[0]] == [(d["mark"], d["state"]) for d in before[0]]
    assert [v["number"] for v in after[1]] == [v["number"] for v in before[1]]
    assert curl(net, net.vips[1]).startswith("real")

    # A daemon that comes back with that file leaves the program as it is.
    net.balancer.stop()
    refused = net.balancer.run()
    assert refused.returncode == 1 and said in refused.stderr and "--force" in refused.stderr
    assert curl(net, net.vips[1]).startswith("real")
    if reload == "command":
        net.balancer.write(whole)
        net.balancer.start()
        net.balancer.write(whole[:end])
        assert "5 vips removed" in net.balancer.ask("reload", "--force")["summary"]
    else:
        net.balancer.start("--force")
    assert len(net.balancer.ask("vip")) == 3


@pytest.mark.parametrize("reload", ["hup", "command"])
def test_bad_configuration_changes_nothing_and_names_the_line(net, reload):
    connections, reals = open_connections(net, 6)
    before = net.balancer.ask("vip"), net.balancer.ask("dest"), net.balancer.ask("ring", WEB)
    lines = net.balancer.file.read_text(encoding="utf-8").splitlines()
    bad = next(i for i, line in enumerate(lines) if '"weight"' in line)
    lines[bad] = lines[bad].replace("10.200.2.11", "10.200.2.1111")
    # An error at the end; what stands before it must not be applied either.
    lines.insert(0, "gateway: 02:00:00:00:00:99")
    net.balancer.write("\n".join(lines) + "\n")

    where = f"{net.balancer.file}:{bad + 2}:"
    if reload == "command":
        done = net.balancer.cli("reload", check=False)
        assert done.returncode == 1 and where in done.stderr
    else:
        net.balancer.hup()
        wait_for(lambda: where in net.balancer.daemon.output(), "the message in the log")
        status = net.balancer.ask("status")["last_reload"]
        assert not status["ok"] and where in status["text"]
    assert net.balancer.daemon.running()
    after = net.balancer.ask("vip"), net.balancer.ask("dest"), net.balancer.ask("ring", WEB)
    strip = lambda vips: [{k: v[k] for k in ("name", "address", "port", "number", "ring")} for v in vips]
    marks = lambda dests: [(d["dest"], d["mark"], d["real"]) for d in dests]
    assert strip(after[0]) == strip(before[0]) and marks(after[1]) == marks(before[1])
    assert after[2] == before[2]
    assert [c.ask() for c in connections] == reals
