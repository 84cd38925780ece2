# SPDX-License-Identifier: GPL-2.0
"""`queues` of an interface on a kernel whose queues take no programs: refused with the
reason, at start and at reload, and nothing is changed. (Where they do: selftests/vm.)"""
import pytest

from netns import sh
from waymark import BUILD, Balancer

REASON = "queues: this kernel cannot give a queue an XDP program of its own"


@pytest.fixture(name="balancer")
def without_queue_set(make_topology):
    done = sh([BUILD / "waymark", "queue", "stop", "lo", "0"], check=False)
    if "has no queue-stop" not in done.stderr:
        pytest.skip("this kernel has the commands: selftests/vm/queue_cli.sh")
    made = Balancer(make_topology(reals=2, vips=1), offload="none")
    yield made
    made.take_off()


def limit(balancer):
    balancer.config["interface"] = {"name": "eth0", "queues": ["0-3"]}
    balancer.write()


def test_refused_at_start_and_nothing_is_left(balancer):
    limit(balancer)
    assert balancer.run("-n").returncode == 0  # the file is good
    done = balancer.run()
    assert done.returncode == 1 and REASON in done.stderr and "eth0" in done.stderr
    assert balancer.prog_id() is None and not balancer.socket.exists()
    assert not list(balancer.topology.bpffs.glob("waymark/*"))


def test_refused_at_reload_and_the_program_keeps_all_queues(balancer):
    balancer.start()
    program, vips = balancer.prog_id(), balancer.ask("vip")
    limit(balancer)
    del balancer.config["vips"][0]  # would be good, and must not be done either
    balancer.write()
    done = balancer.cli("reload", check=False)
    assert done.returncode == 1 and REASON in done.stderr
    assert balancer.prog_id() == program and balancer.ask("vip") == vips
    status = balancer.ask("status")
    assert status["queues"] == [] and status["last_reload"]["ok"] is False
