# SPDX-License-Identifier: GPL-2.0
"""A daemon of another build finds the program of the old one running: with the same layout of
its maps it puts its own in the place, and no packet and no flow is lost. With another layout
it says what it would cost, and one option does it."""
import re
import shutil
import subprocess

import pytest
from netns import sh, wait_for
from servers import HttpConnection, Wrk, curl, start_nginx
from waymark import BUILD, ROOT, Balancer, SoftNic, attach_decap

# Does nothing, and makes it another program.
CHANGE = ("int waymark(struct xdp_md *ctx)\n{\n",
          "int waymark(struct xdp_md *ctx)\n{\n\tif (ctx->ingress_ifindex == 0x7fffffff)\n"
          "\t\treturn XDP_PASS;\n")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Where a build is whose bpf/ differs from ours; else it is the same."""
    top = tmp_path_factory.mktemp("other")
    shutil.copytree(ROOT / "bpf", top / "bpf")  # keeps the times: make compiles what differs
    shutil.copytree(BUILD, top / "build", ignore=shutil.ignore_patterns("selftests", "*.d"))
    source = top / "bpf/waymark.bpf.c"
    text = source.read_text(encoding="utf-8")
    assert CHANGE[0] in text
    source.write_text(text.replace(*CHANGE), encoding="utf-8")
    sh(["make", "-C", ROOT, f"BUILD={top / 'build'}", f"BPF={top / 'bpf'}",
        top / "build/waymarkd"], timeout=300)
    return top / "build"


@pytest.fixture(scope="module")
def other_abi(tmp_path_factory):
    """An object whose maps have another layout, as far as it says."""
    top = tmp_path_factory.mktemp("abi")
    shutil.copytree(ROOT / "include", top / "include")
    header = top / "include/waymark/abi.h"
    text = re.sub(r"(#define WM_ABI_VERSION) \d+", r"\1 999", header.read_text(encoding="utf-8"))
    header.write_text(text, encoding="utf-8")
    triplet = subprocess.run(["cc", "-print-multiarch"], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.strip()
    clang = sh([ROOT / "scripts/deps", "--clang"]).stdout.strip()
    sh([clang, "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-I", top / "include", "-I", ROOT / "bpf",
        "-idirafter", f"/usr/include/{triplet}", "-c", ROOT / "bpf/waymark.bpf.c", "-o",
        top / "waymark.bpf.o"], timeout=120)
    return top / "waymark.bpf.o"


@pytest.fixture
def net(topology):
    topology.nic = SoftNic(topology)
    attach_decap(topology)
    start_nginx(topology)
    topology.balancer = Balancer(topology)
    return topology


class Other(Balancer):
    """The same balancer, another daemon."""

    build = BUILD

    def command(self, *options):
        return [self.build / "waymarkd", *super().command(*options)[1:]]


def tag(net):
    prog = net.balancer.prog_id()
    return re.search(r"tag (\w+)", sh(["bpftool", "prog", "show", "id", str(prog)]).stdout).group(1)


def test_other_build_replaces_the_program_and_loses_nothing(net, other):
    old = net.balancer = Other(net)
    old.build = other
    old.start()
    connections = [HttpConnection(net, net.vips[0]) for _ in range(8)]
    reals = [c.ask() for c in connections]
    # So that only the flow table knows where they go.
    old.config["vips"][0]["reals"] = [dict(real, weight=0) for real in old.reals()[:2]] + \
        old.reals()[2:]
    old.write()
    old.reload()
    wrk = Wrk(net, net.vips[0], seconds=5, connections=16)
    wait_for(lambda: old.sent()[0] > 1000, "load")
    before, was = old.ask("status"), tag(net)
    assert before["build"] == before["prog_build"] and before["outdated"] is False
    old.kill()

    old.build = BUILD
    new = old.start()
    status = new.ask("status")
    assert status["adopted"] is True and status["prog_id"] == new.prog_id() != before["prog_id"]
    assert tag(net) != was
    assert status["prog_build"] == status["build"] != before["build"]
    assert [c.ask() for c in connections] == reals and len(set(reals)) > 1
    result = wrk.finish()
    assert result["failed"] == 0 and result["requests"] > 0
    pinned = sh(["bpftool", "prog", "show", "pinned", net.bpffs / "waymark/prog"]).stdout
    assert pinned.startswith(f"{new.prog_id()}:")


def test_same_build_keeps_the_program(net):
    balancer = net.balancer.start()
    prog = balancer.prog_id()
    balancer.stop()
    assert balancer.start().prog_id() == prog


def test_two_interfaces_are_renewed_or_none(net, other):
    net.lb.ip("link add eth1 type veth peer name far1")
    net.lb.ip("link set eth1 up")
    balancer = net.balancer = Other(net, offload="none")
    balancer.config["interface"] = ["eth0", "eth1"]
    balancer.write()
    balancer.build = other
    balancer.start().stop()
    old = balancer.prog_id()
    # eth1 is somebody else's now: refused, and eth0 stays as it was.
    net.lb.run(f"ip -force link set dev eth1 xdpdrv obj {BUILD / 'decap.bpf.o'} sec xdp")
    balancer.build = BUILD
    done = balancer.run()
    assert done.returncode == 1 and "eth1" in done.stderr
    assert balancer.prog_id() == old
    net.lb.ip("link set dev eth1 xdp off")
    balancer.start()
    assert balancer.prog_id() != old and balancer.ask("status")["unserved"] == []


def test_other_layout_is_refused_with_its_price_and_one_option_does_it(net, other_abi):
    net.lb.run(f"ip link set dev eth0 xdp obj {other_abi} sec xdp")
    balancer, old = net.balancer, net.balancer.prog_id()
    done = balancer.run()
    assert done.returncode == 1 and "ABI version 999" in done.stderr
    assert "waymarkd --new-program" in done.stderr and "flow table begins empty" in done.stderr
    assert balancer.prog_id() == old
    balancer.start("--new-program")
    assert balancer.prog_id() not in (old, None)
    assert {curl(net, net.vips[0]) for _ in range(20)} == {"real1", "real2", "real3"}
    assert balancer.stop() == 0
    assert balancer.start().ask("status")["adopted"] is True


def test_new_program_of_the_same_layout_has_no_gap(net):
    balancer = net.balancer.start()
    wrk = Wrk(net, net.vips[0], seconds=5, connections=16)
    wait_for(lambda: balancer.sent()[1] > 100, "load that is marked")
    old = balancer.prog_id()
    balancer.stop()
    balancer.start("--new-program")
    assert balancer.prog_id() != old and balancer.ask("status")["adopted"] is False
    result = wrk.finish()
    # The ring is the same, so each flow finds its real also without the table.
    assert result["failed"] == 0 and result["requests"] > 0


def test_failed_new_program_changes_nothing(net):
    balancer = net.balancer.start()
    prog = balancer.prog_id()
    balancer.stop()
    balancer.config["interface"] = ["eth0", "eth1"]
    balancer.write()
    net.lb.ip("link add eth1 type veth peer name far1")
    net.lb.ip("link set eth1 up")
    net.lb.run(f"ip link set dev eth1 xdp obj {BUILD / 'decap.bpf.o'} sec xdp")
    done = balancer.run("--new-program")
    assert done.returncode == 1 and "eth1" in done.stderr
    assert balancer.prog_id() == prog
    assert curl(net, net.vips[0]).startswith("real")
