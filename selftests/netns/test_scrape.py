# SPDX-License-Identifier: GPL-2.0
"""waymarkd's metrics: the numbers are those of the command line, and the program that serves them
comes, goes and fails without anything else noticing."""
import os
import signal
import socket
from pathlib import Path

import pytest
from netns import sh, wait_for
from played_metrics import OPENMETRICS, read_answer, samples
from waymark import Balancer, Client, SoftNic, proven_flow

PORT = 9799
ADDRESS = ("127.0.0.1", PORT)
WEB = "tcp4-1-80"


@pytest.fixture(scope="module")
def net(make_topology):
    made = make_topology(reals=2, vips=1)
    made.nic = SoftNic(made)
    return made


@pytest.fixture
def balancer(net):
    made = Balancer(net, metrics={"listen": str(PORT)})
    yield made
    made.take_off()


def ask(net, path="/metrics", headers=None, address=ADDRESS):
    """(status, headers, body) from within the balancer's namespace."""
    with net.lb.entered():
        sock = socket.create_connection(address, timeout=20)
    with sock:
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        sock.sendall("\r\n".join(lines + ["", ""]).encode())
        return read_answer(sock)


def scrape(net, address=ADDRESS):
    status, _, body = ask(net, address=address)
    assert status == 200
    return samples(body)


def child(balancer):
    """The process id of its waymark-metrics; None: there is none."""
    pid = balancer.daemon.pid
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        if Path(f"/proc/{number}/comm").read_text(encoding="ascii") == "waymark-metrics\n":
            return int(number)
    return None


def silent(net, address=ADDRESS):
    """Nobody listens there."""
    with net.lb.entered(), socket.socket() as sock:
        return sock.connect_ex(address) != 0


def balances(balancer):
    """Packets of many flows are sent to reals."""
    net = balancer.topology
    before = balancer.sent()[0]
    with net.client.entered():
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for sock in socks:
        sock.sendto(b"x", (net.vips[0], 7))
        sock.close()
    wait_for(lambda: balancer.sent()[0] >= before + 50, "packets to be sent to reals")
    return True


def expected(client):
    """What the daemon says on its control socket, as samples."""
    found = {}
    stats = client.ask("stats")
    for name, n in stats["counters"].items():
        action = name.partition("_")[0]
        found[f'waymark_packets_total{{action="{action}",verdict="{name}"}}' if action in ("tx", "pass", "drop")
              else f"waymark_{name}_total"] = n
    for real in client.ask("real"):
        labels = f'{{vip="{real["vip"]}",real="{real["address"]}"}}'
        for key, name in (("packets", "packets_total"), ("marked", "marked_packets_total"), ("bytes", "bytes_total"),
                          ("flows", "flows_total"), ("weight", "weight"), ("slots", "slots"), ("live", "live_flows")):
            found[f"waymark_real_{name}{labels}"] = real[key]
    for vip in client.ask("vip"):
        found[f'waymark_vip_dropped_packets_total{{vip="{vip["name"]}"}}'] = vip["dropped"]
        found[f'waymark_vip_reals{{vip="{vip["name"]}"}}'] = vip["reals"]
    found["waymark_sent_bytes_total"] = stats["bytes"]
    found["waymark_rules_installed_total"] = stats["offload"]["installed"]
    found['waymark_rules{state="active"}'] = stats["offload"]["active"]
    return found


def test_numbers_are_those_of_the_command_line(net, balancer):
    balancer.start()
    balances(balancer)
    proven_flow(balancer)
    client = Client(balancer.socket)

    def differences():
        before, got, after = expected(client), scrape(net), expected(client)
        return {name: (before[name], got.get(name), after[name]) for name in before
                if got.get(name) is None or not min(before[name], after[name]) <= got[name] <= max(
                    before[name], after[name])}

    wait_for(lambda: not differences(), "the same numbers")
    client.close()
    got = scrape(net)
    assert sum(n for name, n in got.items() if name.startswith("waymark_real_packets_total")) >= 50
    assert got['waymark_rules{state="active"}'] >= 1 and got['waymark_interface_served{interface="eth0"}'] == 1
    # With OpenMetrics as well, but for what describes the families.
    assert set(samples(ask(net, headers=OPENMETRICS)[2])) == set(got)


def test_promtool_checks_a_real_scrape(net, balancer):
    balancer.start()
    done = sh(["promtool", "check", "metrics"], check=False, input=ask(net)[2])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_reload_is_seen_by_the_next_scrape(net, balancer):
    balancer.start()
    name = f'waymark_real_weight{{vip="{WEB}",real="{net.reals[0].address}"}}'
    assert scrape(net)[name] == 100 and scrape(net)["waymark_reloads_total"] == 0
    for weight in (7, 0, 100):
        balancer.vip(WEB)["reals"][0]["weight"] = weight
        balancer.write()
        balancer.reload()
        wait_for(lambda weight=weight: scrape(net)[name] == weight, "the next facts", 2)
    assert scrape(net)["waymark_reloads_total"] == 3 and scrape(net)["waymark_last_reload_successful"] == 1
    balancer.write("interface: eth0\nvips: nonsense\n")
    assert balancer.cli("reload", check=False).returncode == 1
    wait_for(lambda: scrape(net)["waymark_last_reload_successful"] == 0, "the failure to show")


def test_scrapes_during_reloads(net, balancer):
    balancer.start()
    names = set(scrape(net))
    for i in range(20):
        balancer.vip(WEB)["reals"][0]["weight"] = 50 + i
        balancer.write()
        balancer.hup()
        assert names <= set(scrape(net))
    assert child(balancer)


def test_another_address_and_off(net, balancer):
    balancer.start()
    first = child(balancer)
    wait_for(lambda: scrape(net), "the metrics")
    for listen, address in (("[::1]:9799", ("::1", PORT)), ("127.0.0.1:9800", ("127.0.0.1", 9800)),
                            ("0.0.0.0:9800", ("10.200.0.1", 9800))):
        balancer.config["metrics"] = {"listen": listen}
        balancer.write()
        balancer.reload()
        wait_for(lambda address=address: scrape(net, address), f"the metrics at {listen}")
        wait_for(lambda: silent(net), "the old address to be left")
    assert child(balancer) != first and not Path(f"/proc/{first}").exists()
    balancer.config["metrics"] = {"listen": "off"}
    balancer.write()
    balancer.reload()
    wait_for(lambda: silent(net, ("127.0.0.1", 9800)) and child(balancer) is None, "nobody to listen")
    assert "waymark-metrics ended" not in balancer.daemon.output()


def test_it_is_started_again(net, balancer):
    balancer.start()
    prog = balancer.prog_id()
    for number in (signal.SIGKILL, signal.SIGSEGV):
        pid = child(balancer)
        wait_for(lambda: scrape(net), "the metrics")
        os.kill(pid, number)
        wait_for(lambda pid=pid: child(balancer) not in (None, pid) and scrape(net), "another one")
        assert f"waymark-metrics ended (signal {int(number)})" in balancer.daemon.output()
    assert balancer.prog_id() == prog and balances(balancer)


def test_port_that_somebody_has(net, balancer):
    with net.lb.entered():
        taken = socket.create_server(ADDRESS)
    balancer.start()
    wait_for(lambda: f"cannot listen at 127.0.0.1:{PORT}: Address already in use" in balancer.daemon.output(), "a word")
    assert child(balancer) is None and balances(balancer)
    taken.close()
    wait_for(lambda: scrape(net), "the metrics", 40)
    assert balancer.daemon.output().count("cannot listen") == 1


def test_it_ends_with_the_daemon(net, balancer):
    balancer.start()
    wait_for(lambda: scrape(net), "the metrics")
    balancer.kill()
    wait_for(lambda: silent(net), "its end")
    balancer.start()
    wait_for(lambda: scrape(net), "the metrics of the next daemon")
    pid = child(balancer)
    assert balancer.stop() == 0
    assert silent(net) and not Path(f"/proc/{pid}").exists()


def test_daemon_that_is_stopped_holds_no_scrape_up(net, balancer):
    balancer.start()
    assert scrape(net)["waymark_daemon_responsive"] == 1
    balancer.daemon.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: scrape(net)["waymark_daemon_responsive"] == 0, "an answer without it")
        before = scrape(net)["waymark_sent_bytes_total"]
        with net.client.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (net.vips[0], 7))
        wait_for(lambda: scrape(net)["waymark_sent_bytes_total"] > before, "packets to be counted")
    finally:
        balancer.daemon.signal(signal.SIGCONT)
    wait_for(lambda: scrape(net)["waymark_daemon_responsive"] == 1, "its answer")


def test_scrapers_who_do_not_read_do_not_reach_the_daemon(net, balancer):
    balancer.start()
    idle = []
    with net.lb.entered():
        for _ in range(200):
            idle.append(socket.create_connection(ADDRESS, timeout=20))
    for i, sock in enumerate(idle):
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" if i % 2 else b"GET /metr")
    assert scrape(net) and balancer.ask("status")["pid"] == balancer.daemon.pid
    assert balances(balancer)
    for sock in idle:
        sock.close()


def test_child_that_does_not_read_is_told_nothing_more(net, balancer):
    balancer.start()
    wait_for(lambda: scrape(net), "the metrics")
    pid = child(balancer)
    os.kill(pid, signal.SIGSTOP)
    with net.lb.entered():
        waiting = [socket.create_connection(ADDRESS, timeout=20) for _ in range(20)]
    for sock in waiting:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    balancer.reload()
    assert balancer.ask("status")["pid"] == balancer.daemon.pid
    os.kill(pid, signal.SIGCONT)
    assert {read_answer(sock)[0] for sock in waiting} == {200}
    for sock in waiting:
        sock.close()
