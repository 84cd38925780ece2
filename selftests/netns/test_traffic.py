# SPDX-License-Identifier: GPL-2.0
"""Real clients and servers through the balancer: HTTP, UDP, what is not for a VIP."""
import collections
import contextlib
import json
import socket
import struct
import threading

import pytest
from netns import wait_for
from servers import (HttpConnection, Wrk, ask_udp, curl, start_nginx, start_udp_echo, udp_socket)
from waymark import Balancer, SoftNic, attach_decap, endpoint

REALS = {"real1", "real2", "real3"}
LB = {4: "10.200.0.1", 6: "fd00:200::1"}


@pytest.fixture(scope="module")
def net(shared):
    shared.nic = SoftNic(shared)
    attach_decap(shared)
    start_nginx(shared)
    start_udp_echo(shared)
    shared.balancer = Balancer(shared).start()
    return shared


@pytest.fixture(params=[4, 6])
def family(request):
    return request.param


@pytest.fixture
def vip(net, family):
    return (net.vips if family == 4 else net.vips6)[0]


def test_addresses_are_never_tentative(net):
    """Or a server that starts at once could not bind to them."""
    shown = json.loads(net.reals[0].run("ip -j -6 address show").stdout)
    nodad = {a["local"] for link in shown for a in link["addr_info"] if a.get("nodad")}
    assert {net.reals[0].address6, *net.vips6} <= nodad


def test_http_requests_reach_every_real(net, vip):
    assert {curl(net, vip) for _ in range(40)} == REALS


def test_second_vip_is_served_too(net, family):
    vip = (net.vips if family == 4 else net.vips6)[1]
    assert {curl(net, vip) for _ in range(40)} == REALS


def test_connection_stays_on_its_real(net, vip):
    connections = [HttpConnection(net, vip) for _ in range(12)]
    first = [c.ask() for c in connections]
    # Before the threshold, around it, and with a rule in the NIC.
    for _ in range(20):
        assert [c.ask() for c in connections] == first
    assert len(set(first)) > 1
    for c in connections:
        c.close()


def test_where_names_the_real_that_answers(net, vip):
    for _ in range(6):
        with contextlib.closing(HttpConnection(net, vip)) as connection:
            name = connection.ask()
            said = net.balancer.where("tcp", endpoint(*connection.source), endpoint(vip, 80))
            real = net.reals[int(name[4:]) - 1]
            assert said["real"] in (real.address, real.address6)
            assert said["flow"]["real"] == said["real"]


def test_uploads_of_full_size_segments(net, vip):
    with contextlib.closing(HttpConnection(net, vip)) as connection:
        name = connection.ask()
        for _ in range(3):
            assert connection.ask(b"x" * 300_000) == name


def test_udp_flows_reach_every_real_and_stay(net, vip):
    socks = [udp_socket(net, vip) for _ in range(30)]
    first = [ask_udp(s) for s in socks]
    assert set(first) == REALS
    for i in range(12):
        assert [ask_udp(s, b"datagram %d" % i) for s in socks] == first
    for s in socks:
        s.close()


def test_proven_flows_arrive_marked(net, vip):
    """The NIC takes over: what it marked is what the program sent by mark."""
    before_nic, (_, before) = net.nic.stats(), net.balancer.sent()
    result = Wrk(net, vip, seconds=3, connections=16).finish()
    assert result["failed"] == 0 and set(result["answers"]) == REALS

    nic, (_, marked) = net.nic.stats(), net.balancer.sent()
    assert marked - before > result["requests"] / 2
    assert nic["marked"] - before_nic["marked"] == marked - before


def test_rules_go_when_connections_close(net, vip):
    connections = [HttpConnection(net, vip) for _ in range(4)]
    sources = {endpoint(*c.source) for c in connections}
    for _ in range(15):
        for c in connections:
            c.ask()

    def ours():
        return {rule["source"] for rule in net.balancer.rules()} & sources

    wait_for(lambda: ours() == sources, "rules for four connections")
    for c in connections:
        c.close()
    wait_for(lambda: not ours(), "their rules to go")


def test_statistics_add_up(net, vip):
    """All packets have a verdict, and the destinations' counters sum up to those sent."""
    curl(net, vip)
    stats = net.balancer.ask("stats")["counters"]
    status = net.balancer.ask("status")
    sent = sum(n for name, n in stats.items() if name.startswith("tx_"))
    assert 0 < sent <= status["packets"]
    assert status["marked"] >= stats["tx_marked"]
    by_vip = sum(vip["packets"] for vip in net.balancer.ask("vip"))
    assert by_vip >= sent


# --- what is not for a VIP ---


@contextlib.contextmanager
def tcp_server(space, address, answer):
    """Serves connections one by one in a thread; yields the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with space.entered():
        listener = socket.create_server((address, 0), family=family)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer:
                    while data := peer.recv(65536):
                        peer.sendall(answer + data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_tcp_to_the_balancers_own_address_is_untouched(net, family):
    with tcp_server(net.lb, LB[family], b"lb: ") as port:
        with net.client.entered():
            sock = socket.create_connection((LB[family], port), timeout=5)
        with sock:
            for i in range(20):
                sock.sendall(b"line %d" % i)
                assert sock.recv(65536) == b"lb: line %d" % i


def test_other_port_of_a_vip_is_dropped(net, vip):
    """The balancer does not have that address: its stack is not asked, no real answers."""
    before = net.balancer.counters()["drop_no_service"]
    with net.client.entered(), pytest.raises(OSError):
        socket.create_connection((vip, 81), timeout=0.3)
    assert net.balancer.counters()["drop_no_service"] > before


def icmp_echo(family, ident, payload):
    kind = 8 if family == 4 else 128
    body = struct.pack("!BBHHH", kind, 0, 0, ident, 1) + payload
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total & 0xFFFF) + (total >> 16)
    check = ~(total + (total >> 16)) & 0xFFFF if family == 4 else 0  # the kernel does ICMPv6's
    return body[:2] + struct.pack("!H", check) + body[4:]


def test_ping_is_answered_by_the_balancer(net, family):
    kinds = {4: (socket.AF_INET, socket.IPPROTO_ICMP, 0), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, 129)}
    af, protocol, reply = kinds[family]
    with net.client.entered():
        sock = socket.socket(af, socket.SOCK_RAW, protocol)
    sock.settimeout(5)
    with sock:
        sock.sendto(icmp_echo(family, 4711, b"payload!"), (LB[family], 0))
        while True:
            data, peer = sock.recvfrom(2048)
            data = data[20:] if family == 4 else data
            if peer[0] == LB[family] and data[0] == reply and data.endswith(b"payload!"):
                break


def test_fragments_to_a_vip_are_dropped_and_counted(net):
    before = net.balancer.counters()["drop_fragment"]
    sock = udp_socket(net, net.vips[0])
    sock.send(b"x" * 4000)  # three fragments
    sock.close()
    wait_for(lambda: net.balancer.counters()["drop_fragment"] >= before + 3, "fragments counted")


def test_every_view_answers_as_json(net):
    assert net.balancer.ask("status")["pid"] == net.balancer.daemon.pid
    vips = net.balancer.ask("vip")
    assert collections.Counter(v["protocol"] for v in vips) == {"tcp": 4, "udp": 4}
    reals = net.balancer.ask("real", "tcp4-1-80")
    assert [r["address"] for r in reals] == [r.address for r in net.reals]
    assert sum(r["slots"] for r in reals) == 65537
    ring = net.balancer.ask("ring", "tcp4-1-80")
    assert len(ring["slot"]) == 65537
    dests = net.balancer.ask("dest")
    assert len(dests) == 24 and len({d["mark"] for d in dests}) == 24
    meaning = net.balancer.ask("mark", str(dests[0]["mark"]))
    assert meaning["meaning"] == "live" and meaning["real"] == dests[0]["real"]
