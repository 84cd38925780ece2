# SPDX-License-Identifier: GPL-2.0
"""The unit that is installed: waymarkd does all that it can under its restrictions, and a
reload fails where it failed. `make uninstall` takes away what `make install` brought."""
import os
import shutil
import sys
from pathlib import Path

import pytest
from netns import sh, wait_for
from servers import curl, start_nginx
from test_local import Consumer, two_queues
from waymark import BUILD, ROOT, Balancer, SoftNic, attach_decap

sys.path.insert(0, str(ROOT / "selftests/lib"))
import sandbox  # pylint: disable=wrong-import-position


def make(what, top, *more):
    return sh(["make", "-C", ROOT, f"BUILD={BUILD}", f"PREFIX={top / 'usr'}",
               f"SYSCONFDIR={top / 'etc'}", what, *more], timeout=300)


def files(top):
    return {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    top = tmp_path_factory.mktemp("installed")
    make("install", top)
    return top


def unit_of(top):
    return top / "usr/lib/systemd/system/waymarkd.service"


class Unit(Balancer):
    """The daemon as a service manager starts it by this unit."""

    unit = None

    def sandboxed(self, *command):
        return [sys.executable, "-B", ROOT / "selftests/lib/sandbox.py", self.unit,
                self.topology.run, self.topology.bpffs, *command]

    def command(self, *options):
        return self.sandboxed(BUILD / "waymarkd", "-c", self.file, *options)

    def exec_reload(self):
        """ExecReload= of the unit, in the unit."""
        words = sandbox.settings(self.unit.read_text(encoding="utf-8"))["ExecReload"].split()
        return self.topology.lb.run(self.sandboxed(BUILD / Path(words[0]).name, *words[1:]),
                                    check=False)


@pytest.fixture(scope="module")
def net(make_topology):
    made = make_topology(reals=3, vips=1)
    os.chmod(made.dir, 0o711)
    made.run = made.dir / "run"
    made.run.mkdir(mode=0o755)
    made.local_socket = made.run / "local.sock"
    two_queues(made)
    made.nic = SoftNic(made)
    attach_decap(made)
    start_nginx(made, own=True)
    return made


@pytest.fixture
def balancer(net, installed):
    made = Unit(net, local={"name": "echo", "group": "nogroup", "mode": "0660"})
    made.vip("udp4-1-7")["reals"] = [{"local": "echo"}]
    made.vip("tcp4-1-80")["check"] = {"type": "http", "path": "/healthz", "interval": "2s"}
    for key in ("pin", "control", "state"):
        del made.config[key]  # the unit is for the defaults
    made.config["offload"]["sim"] = {"pin": "/sys/fs/bpf/softnic"}
    made.socket = net.run / "control.sock"
    made.unit = unit_of(installed)
    made.write()
    yield made
    made.take_off()


def test_it_does_everything_under_the_units_restrictions(net, balancer):
    balancer.start()
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2", "real3"}
    wait_for(lambda: {row["health"] for row in balancer.ask("real", "tcp4-1-80")} == {"up"},
             "the first results of checks")
    consumer = Consumer(net)
    wait_for(lambda: balancer.ask("xsk", "stats")["connected"], "the consumer")
    prog = balancer.prog_id()
    out = net.reals[0].address
    balancer.ask("real", "disable", out, "--vip", "tcp4-1-80")
    balancer.kill()
    balancer.start()
    assert balancer.rows("tcp4-1-80")[out]["admin"] == "disabled"
    balancer.ask("real", "enable", out)
    assert balancer.prog_id() == prog and balancer.ask("status")["adopted"] is True
    wait_for(lambda: balancer.ask("xsk", "stats")["connected"], "the consumer to come back")
    net.lb.ip("link set dev eth0 xdp off")
    wait_for(lambda: balancer.prog_id() is not None, "the program to be attached again")
    consumer.finish()
    balancer.stop()
    assert balancer.start("--detach").stop() == 0
    assert balancer.prog_id() is None


@pytest.mark.parametrize("without", ["AF_XDP", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_CHOWN",
                                     "CAP_SYS_ADMIN"])
def test_it_asks_for_nothing_that_it_can_do_without(net, balancer, tmp_path, without):
    unit = tmp_path / "less.service"
    text = balancer.unit.read_text(encoding="utf-8")
    lines = [line if line.startswith("#") else line.replace(" " + without, "").replace(
        "=" + without, "=") for line in text.splitlines()]
    unit.write_text("\n".join(lines) + "\n", encoding="utf-8")
    balancer.unit = unit
    daemon = balancer.start(wait=False).daemon
    wait_for(lambda: not daemon.running() or balancer.cli("status", check=False).returncode == 0,
             "the daemon to start or to fail")
    served = daemon.running()
    if served:
        consumer = Consumer(net, wait=False)
        wait_for(lambda: not consumer.process.running() or
                 balancer.ask("xsk", "stats")["connected"], "an answer")
        served = balancer.ask("xsk", "stats")["connected"]
        consumer.process.stop()
    assert not served, daemon.output()


def metrics(net):
    return net.lb.run("curl -sSf http://127.0.0.1:9799/metrics", check=False).stdout


def test_metrics_are_served_by_nobody(net, balancer, tmp_path):
    balancer.config["metrics"] = {"listen": 9799}
    balancer.write()
    balancer.start()
    wait_for(lambda: "waymark_daemon_responsive 1" in metrics(net), "the metrics")
    balancer.stop()
    text = balancer.unit.read_text(encoding="utf-8").replace("=CAP_SETUID CAP_SETGID", "=CAP_SETGID")
    balancer.unit = tmp_path / "less.service"
    balancer.unit.write_text(text, encoding="utf-8")
    daemon = balancer.start().daemon
    wait_for(lambda: "cannot become user" in daemon.output(), "a word about it")
    assert metrics(net) == "" and balancer.ask("status")["pid"]


def test_reload_of_the_unit_fails_where_it_failed(balancer):
    balancer.start()
    assert balancer.exec_reload().returncode == 0
    balancer.write("interface: eth0\nvips: nonsense\n")
    done = balancer.exec_reload()
    assert done.returncode == 1 and "vips" in done.stderr
    balancer.write()
    assert balancer.exec_reload().returncode == 0


def test_systemd_understands_the_unit(installed):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    done = sh(["systemd-analyze", "verify", "--man=no", unit_of(installed)], check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "waymark" in line]
    assert said == [] and done.returncode == 0, done.stderr


def test_install_brings_unit_and_sample(installed):
    there = files(installed)
    assert {"usr/lib/systemd/system/waymarkd.service", "etc/waymark/waymark.yaml.sample",
            "usr/sbin/waymarkd", "usr/sbin/waymark", "usr/sbin/waymark-health"} <= there
    unit = unit_of(installed).read_text(encoding="utf-8")
    assert "@" not in unit and f"ExecStart={installed / 'usr/sbin/waymarkd'} " in unit
    sh([installed / "usr/sbin/waymarkd", "-n", "-c", installed / "etc/waymark/waymark.yaml.sample"])


def test_uninstall_takes_all_away_but_the_configuration(tmp_path):
    make("install", tmp_path)
    (tmp_path / "etc/waymark/waymark.yaml").write_text("mine\n", encoding="ascii")
    make("uninstall", tmp_path)
    assert files(tmp_path) == {"etc/waymark/waymark.yaml"}
    make("install", tmp_path, f"DESTDIR={tmp_path / 'stage'}")
    assert any("stage" in name for name in files(tmp_path))
    make("uninstall", tmp_path, f"DESTDIR={tmp_path / 'stage'}")
    assert files(tmp_path) == {"etc/waymark/waymark.yaml"}
