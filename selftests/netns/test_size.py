# SPDX-License-Identifier: GPL-2.0
"""What `waymark size` says of a capture is what the balancer did with that traffic.

The client's packets are captured on its device, before the softnic. The
prediction is made from that file alone; the truth are the data plane's counters.
"""
import contextlib
import json
import time

import pytest
from netns import Failed, sh, wait_for
from servers import Wrk, curl, start_nginx, start_udp_echo, udp_socket
from waymark import BUILD, Balancer, SoftNic, attach_decap

# The daemon under test shares its CPUs with whatever else runs here, and reads its
# events later than one that is alone: some packets more are not marked.
TOLERANCE = 4  # percent of all packets


def packets_in(path):
    answer, row = predict(path, 1)
    return round(row["pps"] * row["seconds"]) + answer["not_balanced"]


@contextlib.contextmanager
def capture(net, path):
    """What the client sends to the VIPs. The file is complete at the end: tcpdump
    gets packets in batches and would leave the last ones behind."""
    wanted = " or ".join(f"dst host {vip}" for vip in (*net.vips, *net.vips6))
    dump = net.client.start(["tcpdump", "-i", "eth0", "-Q", "out", "-s", "96", "-B", "32768", "-U",
                             "-Z", "root", "-w", path, f"(tcp or udp) and ({wanted})"],
                            log="tcpdump.log")
    wait_for(lambda: "listening on" in dump.output(), "tcpdump to listen")
    yield
    incomplete = None
    try:
        wait_for(lambda: packets_in(path) >= net.balancer.sent()[0], "tcpdump to write all packets",
                 every=0.2)
    except Failed as failed:
        incomplete = failed
    dump.signal(2)
    dump.wait()
    if "\n0 packets dropped by kernel" not in dump.output():
        pytest.skip("tcpdump was too slow and dropped packets")
    if incomplete:
        raise incomplete


def predict(path, rules):
    done = sh([BUILD / "waymark", "size", "--pcap", path, "--rules", rules, "--json"])
    answer = json.loads(done.stdout)
    return answer, answer["sizes"][0]


def compare(net, path, capacity):
    counters = net.balancer.counters()
    packets, marked = net.balancer.sent(counters)
    answer, row = predict(path, capacity)
    percent = 100 * marked / packets
    print(f"{packets} packets of {answer['flows']} flows, {capacity} rules: marked {percent:.2f} %, "
          f"predicted {100 * row['marked']:.2f} %; rules predicted {row['rules_max']:.0f}")
    assert round(row["pps"] * row["seconds"]) == pytest.approx(packets, rel=0.002)
    assert answer["not_balanced"] == 0
    assert 100 * row["marked"] == pytest.approx(percent, abs=TOLERANCE)
    return percent


def play_zipf(net, flows, seconds, pps):
    """UDP flows of which the r-th sends as 1/r. A step is 10 ms."""
    socks = [udp_socket(net, (net.vips if i % 2 else net.vips6)[0]) for i in range(flows)]
    unit = pps / sum(1 / r for r in range(1, flows + 1)) / 100
    owed = [i / flows for i in range(flows)]
    began = time.monotonic()
    for step in range(int(100 * seconds)):
        for i, sock in enumerate(socks):
            owed[i] += unit / (i + 1)
            while owed[i] >= 1:
                sock.send(b"x")
                owed[i] -= 1
        # A pace, not a wait for something.
        time.sleep(max(0, began + step / 100 - time.monotonic()))
    for sock in socks:
        sock.close()


@pytest.fixture
def net(topology):
    topology.balancer = Balancer(topology)
    return topology


@pytest.mark.parametrize("capacity, low, high", [(5, 20, 70), (1000, 60, 99)])
def test_udp_with_a_heavy_tail(net, capacity, low, high):
    net.nic = SoftNic(net, capacity=capacity)
    attach_decap(net)
    start_udp_echo(net)
    net.balancer.start()
    path = net.dir / "udp.pcap"
    with capture(net, path):
        play_zipf(net, flows=60, seconds=8, pps=1500)
    assert low < compare(net, path, capacity) < high


def test_the_load_of_the_demo(net):
    net.nic = SoftNic(net, capacity=1000)
    attach_decap(net)
    start_nginx(net)
    net.balancer.start()
    path = net.dir / "demo.pcap"
    with capture(net, path):
        wrks = [Wrk(net, vip[0], seconds=5, connections=24) for vip in (net.vips, net.vips6)]
        for _ in range(20):
            curl(net, net.vips[0])
        for wrk in wrks:
            assert wrk.finish()["failed"] == 0
    assert compare(net, path, 1000) > 80


def test_connections_that_end_soon(net):
    """A request each: hardly a flow lives to have a rule."""
    net.nic = SoftNic(net, capacity=1000)
    attach_decap(net)
    start_nginx(net)
    net.balancer.start()
    path = net.dir / "curl.pcap"
    with capture(net, path):
        for i in range(100):
            curl(net, (net.vips if i % 2 else net.vips6)[0])
    assert compare(net, path, 1000) < 20
