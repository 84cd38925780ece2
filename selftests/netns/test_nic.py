# SPDX-License-Identifier: GPL-2.0
"""`waymark nic` on veth, which takes no rule: what it says, and that nothing changes. What a NIC
takes is in unit/test_trial and, in a guest, in vm/flower."""
import json

import pytest
from waymark import BUILD, Balancer

NO_FLOWER = "TC classifier not found"  # a kernel without CONFIG_NET_CLS_FLOWER


@pytest.fixture(scope="module")
def net(make_topology):
    return make_topology(reals=1, vips=1)


@pytest.fixture
def device(net):
    net.lb.ip("link add try0 type veth peer name try1")
    yield "try0"
    net.lb.ip("link delete try0")


def nic(net, *options):
    return net.lb.run([BUILD / "waymark", "nic", *options], check=False)


def of(net, device, *options):
    done = nic(net, device, "--json", *options)
    assert done.returncode == 4, done.stderr
    return json.loads(done.stdout)


def on_ingress(net, device):
    return net.lb.run(f"tc qdisc show dev {device}").stdout


def test_each_refusal_in_the_kernels_words(net, device):
    before = on_ingress(net, device)
    said = of(net, device)
    assert on_ingress(net, device) == before
    assert said["driver"] == "veth" and said["lanes"] == [] and said["fits"] == []
    assert said["queues"] == 1 and said["hw_tc_offload"] == "none"
    rows = {row["trial"]: row for row in said["trials"]}
    flower = rows["software"]["message"] != NO_FLOWER
    assert rows["software"]["taken"] == flower
    for name, row in rows.items():
        assert set(row) == {"trial", "text", "pref", "taken", "in_nic", "as_sent", "counters", "error",
                            "message", "took_s", "removed"}
        if name in ("either", "software") and flower:
            assert (row["in_nic"], row["as_sent"], row["removed"]) == (False, True, True)
        else:
            assert not row["taken"] and row["error"] and row["removed"] is None
    assert rows["ntuple-udp"]["error"] == "EOPNOTSUPP"


def test_a_table_for_people(net, device):
    done = nic(net, device)
    assert done.returncode == 4 and done.stderr == ""
    assert f"{device}, driver veth" in done.stdout
    assert "takes no rule that marks" in done.stdout
    assert "mac-and-mark" in done.stdout


def test_a_qdisc_that_was_there_stays(net, device):
    net.lb.run(f"tc qdisc add dev {device} clsact")
    before = on_ingress(net, device)
    of(net, device)
    assert "clsact" in before and on_ingress(net, device) == before


def test_not_while_a_daemon_serves_it(net):
    balancer = Balancer(net, offload="none").start()
    done = nic(net, "eth0")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"eth0 is already served by waymarkd, pid {balancer.daemon.pid}" in done.stderr
    balancer.stop()
    of(net, "eth0")


@pytest.mark.parametrize("arguments, code, words", [
    (["nope0"], 1, "interface nope0: No such device"),
    (["lo", "--count", "100001"], 2, "--count: up to 100000"),
    ([], 2, "DEV"),
])
def test_what_cannot_be_tried(net, arguments, code, words):
    done = nic(net, *arguments)
    assert done.returncode == code and words in done.stderr


def test_without_privileges_nothing_is_tried(net, device):
    done = net.lb.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BUILD / "waymark", "nic",
                       device], check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert device in done.stderr
