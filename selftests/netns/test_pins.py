# SPDX-License-Identifier: GPL-2.0
"""Pins are one daemon's: another one, of another interface or of another network namespace,
neither takes over nor empties what is pinned there, whether the first one lives or not."""
import pytest
from netns import wait_for
from servers import curl, start_nginx
from waymark import BUILD, Balancer, attach_decap, yaml_text


@pytest.fixture(scope="module")
def net(make_topology):
    made = make_topology(reals=2, vips=1)
    attach_decap(made)
    start_nginx(made)
    made.other = made.space("other")
    made.other.ip("link add eth0 type veth peer name far0")
    made.other.ip("link set eth0 up")
    made.lb.ip("link add eth1 type veth peer name far1")
    made.lb.ip("link set eth1 up")
    return made


@pytest.fixture
def first(net):
    balancer = Balancer(net, offload="none").start()
    assert curl(net, net.vips[0]).startswith("real")
    yield balancer
    balancer.take_off()


def second(net, first, space, interface):
    """A daemon with the same pin and no vips, which has to end by itself."""
    file = net.dir / "second.yaml"
    file.write_text(yaml_text(dict(first.config, interface=interface, vips=[],
                                   control=str(net.dir / "second.sock"))) + "  []\n",
                    encoding="utf-8")
    return space.run([BUILD / "waymarkd", "-c", file], check=False)


def assert_unharmed(net, first):
    assert curl(net, net.vips[0]).startswith("real")
    if first.daemon.running():
        assert len(first.ask("vip")) == len(first.config["vips"])


@pytest.mark.parametrize("place", [("other", "eth0"), ("lb", "eth1")])
def test_two_daemons_cannot_have_one_pin(net, first, place):
    done = second(net, first, getattr(net, place[0]), place[1])
    assert done.returncode == 1 and "another waymarkd has its pins in" in done.stderr
    assert_unharmed(net, first)


@pytest.mark.parametrize("place, why", [(("other", "eth0"), "in another network namespace"),
                                        (("lb", "eth1"), "those of the program on eth0")])
def test_what_works_elsewhere_is_not_taken_over(net, first, place, why):
    prog = first.prog_id()
    first.kill()
    done = second(net, first, getattr(net, place[0]), place[1])
    assert done.returncode == 1 and why in done.stderr, done.stderr
    assert "another `pin`" in done.stderr
    assert_unharmed(net, first)
    first.start()
    assert first.prog_id() == prog and first.ask("status")["adopted"] is True
    assert_unharmed(net, first)


def test_pins_of_a_program_that_works_nowhere_are_taken_over(net, first):
    first.kill()
    net.lb.ip("link set dev eth0 xdp off")
    first.config["interface"] = "eth1"
    first.write()
    first.start()
    assert first.ask("status")["adopted"] is True
    assert first.stop() == 0
    net.lb.ip("link set dev eth1 xdp off")
    first.config["interface"] = "eth0"
    first.write()
    first.start()
    assert first.ask("status")["adopted"] is True
    assert_unharmed(net, first)


@pytest.mark.parametrize("interfaces", [["eth1", "eth0"], ["eth1"]])
def test_other_order_of_the_same_interfaces_is_no_other_daemon(net, first, interfaces):
    first.stop()
    first.config["interface"] = ["eth0", "eth1"]
    first.write()
    first.start().stop()
    first.config["interface"] = interfaces
    first.write()
    assert first.start().ask("status")["adopted"] is True
    if "eth0" in interfaces:
        assert_unharmed(net, first)
    assert first.stop() == 0
    net.lb.ip("link set dev eth1 xdp off")


def test_refused_start_leaves_no_directory(net):
    config = {"interface": "eth1", "pin": str(net.bpffs / "nothing"), "vips": []}
    net.lb.run(f"ip link set dev eth1 xdp obj {BUILD / 'decap.bpf.o'} sec xdp")
    file = net.dir / "refused.yaml"
    file.write_text(yaml_text(config) + "  []\n", encoding="utf-8")
    done = net.lb.run([BUILD / "waymarkd", "-c", file, "--control", net.dir / "r.sock"],
                      check=False)
    net.lb.ip("link set dev eth1 xdp off")
    assert done.returncode == 1 and "not waymark's" in done.stderr
    assert not (net.bpffs / "nothing").exists()


def test_lock_goes_with_the_daemon(net, first):
    first.kill()
    first.start()
    wait_for(lambda: first.ask("status")["adopted"], "the second life")
    assert first.stop() == 0
    assert first.start().ask("status")["adopted"] is True
