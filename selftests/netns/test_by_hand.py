# SPDX-License-Identifier: GPL-2.0
"""Reals are drained, disabled and enabled by people."""
import json
import signal
import threading

import pytest
from netns import wait_for
from servers import HttpConnection, curl, start_nginx
from waymark import BUILD, Balancer, attach_decap

WEB = "tcp4-1-80"
OTHER = "tcp6-1-80"
CHECK = {"type": "http", "interval": "1s", "timeout": "1s", "rise": 1, "fall": 2, "hold-down": "0s",
         "path": "/healthz"}


@pytest.fixture
def net(make_topology):
    net = make_topology(reals=3, vips=1)
    attach_decap(net)
    start_nginx(net, own=True)
    net.balancer = Balancer(net, offload="none")
    return net


def real(net, verb, *arguments):
    return net.balancer.ask("real", verb, *arguments)


def refused(net, verb, *arguments):
    """What is said of a command that is refused and changes nothing."""
    before = [net.balancer.slots(WEB), [row["admin"] for row in net.balancer.ask("real")]]
    done = net.balancer.cli("real", verb, *arguments, check=False)
    assert done.returncode == 1, done.stdout
    assert [net.balancer.slots(WEB), [row["admin"] for row in net.balancer.ask("real")]] == before
    return done.stderr


def admin(net, vip=WEB):
    return [row["admin"] for row in net.balancer.ask("real", vip)]


def state(net):
    """The file: (vip, real) -> state."""
    rows = json.loads(net.balancer.state.read_text(encoding="ascii"))["reals"]
    return {(row["vip"], row["real"]): row["state"] for row in rows}


def most_stay(now, before, gone):
    """Slots of the others stay, as far as Maglev promises."""
    kept = [a == b for a, b in zip(now, before) if b != gone]
    return kept.count(False) < len(kept) / 10


@pytest.mark.parametrize("verb", ["disable", "drain"])
def test_it_gets_no_new_flows_and_the_same_slots_back(net, verb):
    net.balancer.start()
    before, others = net.balancer.slots(WEB), net.balancer.slots(OTHER)
    address = net.reals[2].address
    answer = real(net, verb, address)
    word = {"disable": "disabled", "drain": "drained"}[verb]
    assert answer == {"summary": f"{address} is {word}",
                      "changes": [f"vip {vip}: real {address} is {word}" for vip in (WEB, "udp4-1-7")]}
    after = net.balancer.slots(WEB)
    assert address not in after and most_stay(after, before, address)
    assert net.balancer.slots(OTHER) == others
    row = net.balancer.rows(WEB)[address]
    assert (row["admin"], row["slots"], row["why"]) == (word, 0, f"it is {word} by hand")
    assert row["admin_s"] is not None and row["weight"] == 100
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2"}
    assert net.balancer.ask("status")["by_hand"] == 2
    assert f"vip {WEB}: real {address} is {word}" in net.balancer.daemon.output()
    assert real(net, verb, address)["summary"] == f"{address} was {word} already: nothing to change"
    assert real(net, "enable", address)["summary"] == f"{address} is enabled"
    assert net.balancer.slots(WEB) == before
    row = net.balancer.rows(WEB)[address]
    assert (row["admin"], row["admin_s"], row["why"]) == ("enabled", None, None)
    assert net.balancer.ask("status")["by_hand"] == 0


def test_flows_under_way_go_on(net):
    net.balancer.start()
    connections = [HttpConnection(net, net.vips[0]) for _ in range(24)]
    names = [c.ask() for c in connections]
    assert {"real1", "real2", "real3"} == set(names)
    real(net, "drain", net.reals[2].address)
    real(net, "disable", net.reals[1].address)
    assert [c.ask() for c in connections] == names
    assert {curl(net, net.vips[0]) for _ in range(20)} == {"real1"}


def test_it_outlasts_the_daemon(net):
    net.balancer.vip(WEB)["check"] = dict(CHECK)
    net.balancer.write()
    net.balancer.start()
    wait_for(lambda: {row["health"] for row in net.balancer.ask("real", WEB)} == {"up"}, "all to be up", 30)
    real(net, "disable", net.reals[2].address)
    real(net, "drain", net.reals[1].address, "--vip", WEB)
    before = net.balancer.slots(WEB)
    for end in (net.balancer.kill, net.balancer.stop):
        end()
        net.balancer.start()
        assert admin(net) == ["enabled", "drained", "disabled"]
        assert admin(net, "udp4-1-7") == ["enabled", "enabled", "disabled"]
        assert net.balancer.slots(WEB) == before
        assert "is still disabled, by hand" in net.balancer.daemon.output()
        # That they had no slots is no news of their health.
        assert [row["health"] for row in net.balancer.ask("real", WEB)] != ["up", "down", "down"]
    # The program is another one, as after a restart of the machine: only the file is left.
    net.balancer.stop()
    net.lb.ip("link set dev eth0 xdp off")
    net.balancer.start("--new-program")
    assert net.balancer.slots(WEB) == before and admin(net) == ["enabled", "drained", "disabled"]
    real(net, "enable", net.reals[2].address)
    real(net, "enable", net.reals[1].address)
    assert state(net) == {}


def test_a_reload_keeps_it_and_forgets_who_is_gone(net):
    net.balancer.start()
    address = net.reals[2].address
    real(net, "disable", address)
    net.balancer.vip(WEB)["reals"][2]["weight"] = 50
    net.balancer.write()
    net.balancer.reload()
    assert admin(net) == ["enabled", "enabled", "disabled"] and address not in net.balancer.slots(WEB)
    for vip in (WEB, "udp4-1-7"):
        net.balancer.vip(vip)["reals"] = net.balancer.reals(which=[1, 2])
    net.balancer.write()
    net.balancer.reload()
    wait_for(lambda: state(net) == {}, "it to be forgotten")
    for vip in (WEB, "udp4-1-7"):
        net.balancer.vip(vip)["reals"] = net.balancer.reals()
    net.balancer.write()
    net.balancer.reload()
    assert admin(net) == ["enabled"] * 3 and address in net.balancer.slots(WEB)


def test_a_real_that_nobody_has(net):
    net.balancer.start()
    one = net.reals[0].address
    assert "no vip has a real 10.9.9.9 (`waymark real` lists them)" in refused(net, "disable", "10.9.9.9")
    assert f"no vip has a real {one[:-1]}; did you mean {one}?" in refused(net, "drain", one[:-1])
    assert f"vip {OTHER} has no real {one}; vip {WEB} has it" in refused(net, "drain", one, "--vip", OTHER)
    assert 'no vip is called "wbe"' in refused(net, "enable", one, "--vip", "wbe")
    assert not net.balancer.state.exists()


def test_the_last_one_is_asked_for(net):
    net.balancer.start()
    first, second, third = (r.address for r in net.reals)
    before = net.balancer.slots(WEB)
    real(net, "disable", first)
    real(net, "drain", second)
    text = f"real {third} is the last one of vip {WEB} that takes new flows: they would be dropped"
    assert text in refused(net, "disable", third)
    assert text in refused(net, "drain", third, "--vip", WEB)
    # Of another vip it is not.
    real(net, "enable", second, "--vip", WEB)
    assert "vip udp4-1-7" in refused(net, "disable", third)
    real(net, "disable", third, "--vip", WEB)
    answer = real(net, "disable", second, "--vip", WEB, "--force")
    assert f"vip {WEB}: nobody is left who takes new flows: they are dropped" in answer["changes"]
    assert set(net.balancer.slots(WEB)) == {None}
    for address in (first, second, third):
        real(net, "enable", address)
    assert net.balancer.slots(WEB) == before


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_the_others_are_down_by_their_checks(net, fail):
    net.balancer.vip(WEB)["check"] = dict(CHECK, fail=fail)
    net.balancer.write()
    net.balancer.start()

    def states():
        return [row["health"] for row in net.balancer.ask("real", WEB)]
    wait_for(lambda: set(states()) == {"up"}, "all to be up", 30)
    for ill in net.reals[:2]:
        (net.dir / f"nginx-{ill.role}" / "sick").touch()
    wait_for(lambda: states() == ["down", "down", "up"], "two to be down", 30)
    last = net.reals[2].address
    wait_for(lambda: set(net.balancer.slots(WEB)) == {last}, "one to be left", 30)
    if fail == "closed":
        text = refused(net, "disable", last, "--vip", WEB)
        assert "the others are down by their checks, and fail is closed" in text
        return
    answer = real(net, "disable", last, "--vip", WEB)
    assert (f"vip {WEB}: the others are down by their checks, and are served all the same (fail: open)"
            in answer["changes"])
    assert set(net.balancer.slots(WEB)) == {r.address for r in net.reals[:2]}
    wait_for(lambda: "all of its 2 reals that are checked are down" in net.balancer.daemon.output(),
             "a line in the log")


def test_where_it_cannot_be_kept_nothing_changes(net):
    net.balancer.start()
    blocked = net.dir / "state.json.new"
    blocked.mkdir()
    text = refused(net, "disable", net.reals[0].address)
    assert f"cannot write {net.balancer.state}" in text and "Is a directory" in text
    blocked.rmdir()
    real(net, "disable", net.reals[0].address)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"reals": [{"vip": "x"}]}', '{"reals": 7}',
                                  '{"reals": [{"vip": "10.200.1.1:80/tcp", "real": "10.200.2.11", '
                                  '"state": "gone", "since": 1}]}'])
def test_a_broken_file_keeps_nobody_from_serving(net, text):
    net.balancer.state.write_text(text, encoding="ascii")
    net.balancer.start()
    assert admin(net) == ["enabled"] * 3
    output = net.balancer.daemon.output()
    assert "all reals are taken to be enabled: " + str(net.balancer.state) in output
    real(net, "drain", net.reals[0].address)
    assert len(state(net)) == 2


def test_many_at_once_and_reloads_between(net):
    """Each has its answer, and in the end all is as the last ones said."""
    net.balancer.start()
    before = net.balancer.slots(WEB)
    failed = []

    def toggle(address):
        for verb in ("disable", "drain", "enable") * 4:
            done = net.balancer.cli("real", verb, address, check=False)
            if done.returncode:
                failed.append(done.stderr)

    threads = [threading.Thread(target=toggle, args=(r.address,)) for r in net.reals[:2]]
    for thread in threads:
        thread.start()
    for weight in (50, 100) * 5:
        net.balancer.vip(WEB)["reals"][2]["weight"] = weight
        net.balancer.write()
        net.balancer.reload()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert admin(net) == ["enabled"] * 3 and net.balancer.slots(WEB) == before and state(net) == {}


def test_metrics_tell_it(net):
    net.balancer.vip(WEB)["check"] = dict(CHECK)
    net.balancer.config["metrics"] = {"listen": 9799}
    net.balancer.write()
    net.balancer.start()

    def seen():
        """What is told of each real of the vip: healthy, drained, disabled."""
        text = net.lb.run(["curl", "-s", "http://127.0.0.1:9799/metrics"], check=False).stdout
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return [[values.get(f'waymark_real_{name}{{vip="{WEB}",real="{r.address}"}}')
                 for name in ("healthy", "drained", "disabled")] for r in net.reals]

    wait_for(lambda: seen() == [["1", "0", "0"]] * 3, "all to be up", 30)
    (net.dir / f"nginx-{net.reals[0].role}" / "sick").touch()
    real(net, "drain", net.reals[1].address)
    real(net, "disable", net.reals[2].address)
    wait_for(lambda: seen() == [["0", "0", "0"], ["1", "1", "0"], ["1", "0", "1"]], "all of it", 30)
    del net.balancer.vip(WEB)["check"]
    net.balancer.write()
    net.balancer.reload()
    real(net, "enable", net.reals[1].address)
    wait_for(lambda: seen() == [[None, "0", "0"], [None, "0", "0"], [None, "0", "1"]], "no health without a check", 30)


def test_a_client_that_goes_away_changes_nothing(net):
    net.balancer.start()
    process = net.lb.start([BUILD / "waymark", "--socket", net.balancer.socket, "real", "drain",
                            net.reals[0].address])
    process.signal(signal.SIGKILL)
    real(net, "drain", net.reals[1].address)
    assert admin(net)[1] == "drained" and net.balancer.ask("status")["by_hand"] in (2, 4)
