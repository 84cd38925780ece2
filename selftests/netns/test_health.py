# SPDX-License-Identifier: GPL-2.0
"""Health checks: who does not serve gets no new flows, and who does keeps his."""
import os
import re
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
from netns import sh, wait_for
from servers import HttpConnection, curl, start_nginx
from waymark import BUILD, Balancer, attach_decap

WEB = "tcp4-1-80"
# Patient enough for a machine that is busy with other things, and down for no longer than needed.
CHECK = {"type": "http", "interval": "1s", "timeout": "1s", "rise": 1, "fall": 2, "hold-down": "0s",
         "path": "/healthz"}
LIAR = Path(__file__).resolve().parent.parent / "lib/liar.py"


@pytest.fixture
def net(topology):
    attach_decap(topology)
    start_nginx(topology, own=True)
    topology.balancer = Balancer(topology, offload="none")
    topology.balancer.vip(WEB)["check"] = dict(CHECK)
    topology.balancer.write()
    return topology


def reals(net, vip=WEB):
    return net.balancer.rows(vip)


def states(net, vip=WEB):
    return [row["health"] for row in net.balancer.ask("real", vip)]


def slots(net, vip=WEB):
    return net.balancer.slots(vip)


def is_in_ring(net, real, vip=WEB):
    return reals(net, vip)[real.address]["slots"] > 0


def wait_for_state(net, real, state, vip=WEB):
    def there():
        row = reals(net, vip)[real.address]
        return row["health"] == state and (row["slots"] > 0) == (state == "up") and row
    return wait_for(there, f"{real.role} to be {state}", 30)


def start(net):
    net.balancer.start()
    wait_for(lambda: set(states(net)) == {"up"}, "all to be up", 30)


def log(net):
    return net.balancer.daemon.output()


def child(net):
    """The process id of waymark-health."""
    pid = net.balancer.daemon.pid
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                return int(path.name)
        except (OSError, IndexError):
            pass
    return None


def sick(real, ill=True):
    """Let its nginx answer 503, or again not."""
    path = real.topology.dir / f"nginx-{real.role}" / "sick"
    path.touch() if ill else path.unlink()  # pylint: disable=expression-not-assigned


# --- a server that does not serve ---

def killed(real):
    real.nginx.kill()
    return lambda: restart_nginx(real)


def stopped(real):
    real.nginx.signal(signal.SIGSTOP)
    return lambda: real.nginx.signal(signal.SIGCONT)


def answers_503(real):
    sick(real)
    return lambda: sick(real, False)


def restart_nginx(real):
    real.nginx = real.start(real.nginx.command[3:])


@pytest.mark.parametrize("how, said", [(killed, "no connection: Connection refused after "),
                                       (stopped, "no answer within 1000 ms"),
                                       (answers_503, "HTTP 503 after ")])
def test_it_is_taken_out_and_gets_the_same_slots_back(net, how, said):
    start(net)
    before = slots(net)
    ill = net.reals[2]
    assert set(before) == {real.address for real in net.reals}
    heal = how(ill)
    row = wait_for_state(net, ill, "down")
    assert row["check"].startswith(said) and row["why"] == "it is down by its health check"
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2"}
    # Of the others' slots few have moved, as Maglev promises.
    kept = [now == then for now, then in zip(slots(net), before) if then != ill.address]
    assert kept.count(False) < len(kept) / 10
    assert f"vip {WEB}: real {ill.address} is down: {said}" in wait_for(
        lambda: "is down" in log(net) and log(net), "a line in the log")
    heal()
    row = wait_for_state(net, ill, "up")
    assert row["check"].startswith("HTTP 200 after ") and row["why"] is None
    assert slots(net) == before
    assert f"vip {WEB}: real {ill.address} is up: HTTP 200 after " in wait_for(
        lambda: "is up" in log(net) and log(net), "a line in the log")


def test_a_connection_is_enough_for_a_check_of_type_tcp(net):
    net.balancer.vip(WEB)["check"] = {**CHECK, "type": "tcp"}
    del net.balancer.vip(WEB)["check"]["path"]
    net.balancer.write()
    start(net)
    sick(net.reals[0])
    net.reals[1].nginx.kill()
    row = wait_for_state(net, net.reals[1], "down")
    assert row["check"].startswith("no connection: Connection refused")
    assert reals(net)[net.reals[0].address]["check"].startswith("connected after ")
    assert states(net) == ["up", "down", "up"]


# --- TLS, UDP ---

NGINX_TLS = """\
daemon off;
master_process off;
pid {dir}/pid;
error_log {dir}/error.log warn;
events {{ }}
http {{
	access_log off;
	server {{
		listen {address}:8443 ssl;
		ssl_certificate {dir}/cert.pem;
		ssl_certificate_key {dir}/key.pem;
		location / {{ return 200 "$ssl_server_name\\n"; }}
	}}
}}
"""
OPENSSL_CA = """\
[ca]
default_ca = d
[d]
database = {dir}/index
new_certs_dir = {dir}
serial = {dir}/serial
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
subjectAltName = DNS:{name}
"""


def certificate(directory, name, start, end):
    """cert.pem and key.pem of a certificate that signs itself, for a name, from day to day."""
    directory.mkdir()
    (directory / "index").touch()
    (directory / "serial").write_text("01\n", encoding="ascii")
    (directory / "ca.conf").write_text(OPENSSL_CA.format(dir=directory, name=name), encoding="ascii")
    sh(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
        directory / "key.pem", "-out", directory / "request.pem"])
    sh(["openssl", "ca", "-batch", "-selfsign", "-notext", "-config", directory / "ca.conf", "-keyfile",
        directory / "key.pem", "-in", directory / "request.pem", "-out", directory / "cert.pem",
        "-startdate", start, "-enddate", end])
    return (directory / "cert.pem").read_text(encoding="ascii")


def start_nginx_tls(real, name, start, end):
    directory = real.topology.dir / f"tls-{real.role}"
    cert = certificate(directory, name, start, end)
    conf = directory / "nginx.conf"
    conf.write_text(NGINX_TLS.format(dir=directory, address=real.address), encoding="ascii")
    real.start(["nginx", "-p", directory, "-c", conf, "-e", directory / "error.log"], log=f"{real.role}-tls.log")
    return cert


def test_certificates_have_to_be_valid_and_for_the_name(net):
    good, expired, other = net.reals
    ca = start_nginx_tls(good, "web.example", "20200101000000Z", "20991231000000Z")
    ca += start_nginx_tls(expired, "web.example", "20200101000000Z", "20210101000000Z")
    ca += start_nginx_tls(other, "other.example", "20200101000000Z", "20991231000000Z")
    file = net.dir / "ca.pem"
    file.write_text(ca, encoding="ascii")
    check = {**CHECK, "type": "https", "port": 8443, "host": "web.example", "body": "web.example",
             "ca": str(file)}
    net.balancer.vip(WEB)["check"] = check
    net.balancer.write()
    # Its user may not read the file: that says nothing about the servers.
    net.balancer.start()
    wait_for(lambda: {row["check"] for row in reals(net).values() if row["check"].startswith(
        f"certificates cannot be read from {file}")}, "the first result", 30)
    assert "down" not in states(net)
    os.chmod(net.dir, 0o711)
    wait_for(lambda: states(net) == ["up", "down", "down"], "the certificates to be told apart", 60)
    rows = reals(net)
    assert rows[good.address]["check"].startswith("HTTP 200 after ")
    assert "certificate has expired" in rows[expired.address]["check"]
    assert "web.example" in rows[other.address]["check"]
    net.balancer.vip(WEB)["check"] = {**check, "verify": False}
    net.balancer.write()
    net.balancer.reload()
    wait_for(lambda: set(states(net)) == {"up"}, "all to be up", 60)


def test_a_datagram_has_to_be_answered(net):
    echo = "udp4-1-7"
    for real in net.reals:
        real.start([sys.executable, "-B", LIAR.parent / "udp_echo.py", real.role, 7, real.address],
                   log=f"{real.role}-echo.log")
    check = {**CHECK, "type": "udp", "send": "a\\x00b\\n", "body": "real"}
    del check["path"]
    net.balancer.vip(echo)["check"] = check
    net.balancer.write()
    net.balancer.start()
    wait_for(lambda: set(states(net, echo)) == {"up"}, "all to be up", 30)
    assert {row["check"].partition(" after")[0] for row in reals(net, echo).values()} == {"10 bytes"}
    net.reals[0].processes[-1].kill()
    net.reals[1].processes[-1].signal(signal.SIGSTOP)
    row = wait_for_state(net, net.reals[0], "down", echo)
    assert row["check"].startswith("no connection: Connection refused")
    row = wait_for_state(net, net.reals[1], "down", echo)
    assert row["check"] == "no answer within 1000 ms"
    check["body"] = "real2"
    net.reals[1].processes[-1].signal(signal.SIGCONT)
    net.balancer.write()
    net.balancer.reload()
    row = wait_for_state(net, net.reals[2], "down", echo)
    assert row["check"].startswith("10 bytes without the text")
    wait_for_state(net, net.reals[1], "up", echo)


ICMP = {key: value for key, value in CHECK.items() if key != "path"} | {"type": "icmp"}
WEB6 = "tcp6-1-80"


def may_ping(net):
    """Everybody, by sockets that need no privilege."""
    net.lb.run(["sh", "-c", "echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range"])


def ignore_echo(real, ignore=True):
    for path in ("ipv4/icmp_echo_ignore_all", "ipv6/icmp/echo_ignore_all"):
        real.run(["sh", "-c", f"echo {int(ignore)} >/proc/sys/net/{path}"])


@pytest.mark.parametrize("ping", [True, False])
def test_an_echo_request_has_to_be_answered(net, ping):
    if ping:
        may_ping(net)
    # A vip with every port has none to ask, and none is needed.
    net.balancer.vip(WEB)["port"] = "any"
    for vip in (WEB, WEB6):
        net.balancer.vip(vip)["check"] = dict(ICMP)
    net.balancer.write()
    net.balancer.start()
    for vip in (WEB, WEB6):
        wait_for(lambda v=vip: set(states(net, v)) == {"up"}, "all to be up", 30)
        assert {row["check"].partition(" after")[0] for row in reals(net, vip).values()} == {"echo reply"}
    raw = [len(net.lb.run(f"cat /proc/net/{file}").stdout.splitlines()) - 1 for file in ("raw", "raw6")]
    assert raw == ([0, 0] if ping else [1, 1])
    ill = net.reals[2]
    ignore_echo(ill)
    row = wait_for_state(net, ill, "down")
    assert row["check"] == "no echo reply within 1000 ms"
    wait_for(lambda: states(net, WEB6) == ["up", "up", "down"], "it to be down there, too", 30)
    ignore_echo(ill, False)
    wait_for_state(net, ill, "up")


def test_where_no_echo_request_can_be_sent_nobody_goes_down(net):
    net.balancer.vip(WEB)["check"] = dict(ICMP)
    net.balancer.write()
    command = net.balancer.command
    net.balancer.command = lambda *options: ["setpriv", "--bounding-set", "-net_raw", *command(*options)]
    net.balancer.start()
    wait_for(lambda: {(row["check"] or "").partition(" has not group ")[0] for row in reals(net).values()} == {
        "no echo request may be sent from here: waymarkd lacks CAP_NET_RAW, and "
        "net.ipv4.ping_group_range"}, "the reason", 30)
    assert set(states(net)) == {"unchecked"} and set(slots(net)) == {r.address for r in net.reals}
    # Who is started again finds that it may.
    may_ping(net)
    os.kill(child(net), signal.SIGKILL)
    wait_for(lambda: set(states(net)) == {"up"}, "all to be up", 60)


# --- scripts ---

def script_check(net, text, **more):
    """A check that runs this script; its name is that of no other process."""
    path = net.dir / f"check-{os.getpid()}"
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)
    os.chmod(net.dir, 0o711)
    check = {key: value for key, value in CHECK.items() if key != "path"}
    net.balancer.vip(WEB)["check"] = check | {"type": "script", "script": f"{path} one  two", **more}
    net.balancer.write()


def running(net):
    """Process ids of what the script of this test is or has made."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{net.dir}/check-{os.getpid()}".encode() in command and b"--supervise" not in command:
            found.append(int(path.name))
    return found


def test_a_script_says_who_serves(net):
    script_check(net, f"""#!/bin/sh
echo noise
echo "$WAYMARK_REAL:$WAYMARK_PORT $# $1-$2 uid $(id -u)" >&2
test ! -e {net.dir}/sick-$WAYMARK_REAL
""")
    start(net)
    for real in net.reals:
        words = wait_for(lambda r=real: re.fullmatch(r"(.*) uid (\d+) \(exit code 0\) after \d+ ms",
                                                     reals(net)[r.address]["check"]), "its words", 30)
        assert words[1] == f"{real.address}:80 2 one-two" and words[2] != "0"
    ill = net.reals[2]
    (net.dir / f"sick-{ill.address}").touch()
    row = wait_for_state(net, ill, "down")
    assert " (exit code 1) after " in row["check"]
    (net.dir / f"sick-{ill.address}").unlink()
    wait_for_state(net, ill, "up")


@pytest.mark.parametrize("line, said", [
    ("sleep 1000", "the script has not ended within 1000 ms"),
    ("setsid sh -c ': \"$0\"; sleep 1000' $0 & sleep 1000", "the script has not ended within 1000 ms"),
    ("kill -SEGV $$", "signal 11 after "),
    ("exec yes", "the script has not ended within 1000 ms"),
    ("head -c 1000000 /dev/zero; echo; exit 3", "?"),
    ("printf 'a\\033[2J\\300z'; exit 7", "a?[2J?z (exit code 7) after "),
])
def test_a_script_that_does_not_do(net, line, said):
    script_check(net, f"#!/bin/sh\ntest $WAYMARK_REAL = {net.reals[2].address} || exit 0\n{line}\n")
    net.balancer.start()
    wait_for_state(net, net.reals[2], "down")
    row = wait_for(lambda: (row := reals(net)[net.reals[2].address])["check"].startswith(said) and row,
                   "what is said of it", 30)
    assert len(row["check"]) < 160
    assert peak_memory(child(net)) < 64 << 20
    net.balancer.vip(WEB)["check"]["type"] = "none"
    del net.balancer.vip(WEB)["check"]["script"]
    net.balancer.write()
    net.balancer.reload()
    wait_for(lambda: not running(net), "all that it started to end", 30)


BOMB = """#!/usr/bin/python3 -IB
import os, sys, time
if os.environ["WAYMARK_REAL"] != "BAD":
    sys.exit(0)
while True:
    try:
        if not os.fork():
            os.setsid()
    except OSError:
        time.sleep(0.05)
"""


def test_a_script_that_forks_for_ever(net):
    """It is bounded while it runs, and nothing is left of it."""
    script_check(net, BOMB.replace("BAD", net.reals[2].address), timeout="1s", interval="10s", fall=1, rise=1)
    net.balancer.start()
    first = wait_for(lambda: child(net), "the process that makes checks")
    wait_for(lambda: len(running(net)) > 8, "it to fork", 30)
    wait_for_state(net, net.reals[2], "down")
    assert len(running(net)) <= 128 and child(net) == first
    wait_for(lambda: not running(net), "all of it to end", 60)
    wait_for(lambda: states(net)[:2] == ["up", "up"], "the others to be up", 60)
    # Nor when the process that has it run is killed.
    wait_for(lambda: len(running(net)) > 8, "it to fork again", 60)
    os.kill(first, signal.SIGKILL)
    net.balancer.stop()
    wait_for(lambda: not running(net), "all of it to end", 60)


def test_a_script_that_cannot_be_run_says_nothing_of_the_real(net):
    script_check(net, "#!/no/such/interpreter\n")
    net.balancer.start()
    wait_for(lambda: {(row["check"] or "").partition(" after")[0] for row in reals(net).values()} == {
        "the script cannot be run: No such file or directory"}, "the reason", 30)
    assert set(states(net)) == {"unchecked"}


def test_flows_of_a_real_that_is_down_stay_with_it(net):
    start(net)
    connections = [HttpConnection(net, net.vips[0]) for _ in range(24)]
    names = [c.ask() for c in connections]
    assert "real3" in names
    sick(net.reals[2])
    wait_for_state(net, net.reals[2], "down")
    assert [c.ask() for c in connections] == names


def test_no_request_fails_once_it_is_down(net):
    """One of three dies under load."""
    start(net)
    end, failed, served = threading.Event(), [], []

    def load():
        while not end.is_set():
            try:
                connection = HttpConnection(net, net.vips[0])
                served.append(connection.ask())
                connection.close()
            except Exception as error:  # pylint: disable=broad-except
                failed.append(error)

    threads = [threading.Thread(target=load, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: set(served) == {"real1", "real2", "real3"}, "all to serve")
    net.reals[2].nginx.kill()
    wait_for_state(net, net.reals[2], "down")
    # Each thread may have one request under way that began before.
    before = len(failed)
    mark = len(served)
    wait_for(lambda: len(served) > mark + 300, "300 requests", 60)
    end.set()
    for thread in threads:
        thread.join(30)
    assert len(failed) <= before + len(threads)
    assert "real3" not in served[mark + len(threads):]


# --- all of them, most of them ---

def test_all_down_and_fail_open_serves_as_if_all_were_up(net):
    start(net)
    before = slots(net)
    for real in net.reals:
        sick(real)
    wait_for(lambda: states(net) == ["down"] * 3 and slots(net) == before, "the old ring", 30)
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2", "real3"}
    wait_for(lambda: "all of its 3 reals that are checked are down: they are served as if they were "
             "up (fail: open)" in log(net), "a line in the log")


def test_all_down_and_fail_closed_drops_new_flows(net):
    net.balancer.vip(WEB)["check"]["fail"] = "closed"
    net.balancer.write()
    start(net)
    before = slots(net)
    for real in net.reals:
        sick(real)
    wait_for(lambda: set(slots(net)) == {None}, "an empty ring", 30)
    with net.client.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(0.5)
    with pytest.raises(OSError):
        sock.connect((net.vips[0], 80))
    assert net.balancer.counters()["drop_no_real"] > 0
    # A restart finds it so, and leaves it so until a result says otherwise.
    net.balancer.kill()
    net.balancer.start()
    assert states(net) == ["down"] * 3 and set(slots(net)) == {None}
    for real in net.reals:
        sick(real, False)
    wait_for(lambda: slots(net) == before, "all to be back", 30)


def test_max_down_leaves_those_that_went_down_last(net):
    net.balancer.vip(WEB)["check"]["max-down"] = "50%"
    net.balancer.write()
    start(net)
    sick(net.reals[1])
    wait_for_state(net, net.reals[1], "down")
    sick(net.reals[0])
    wait_for(lambda: states(net) == ["down", "down", "up"], "two to be down", 30)
    wait_for(lambda: "max-down is 50%" in log(net), "a line in the log")
    assert [is_in_ring(net, real) for real in net.reals] == [True, False, True]
    sick(net.reals[1], False)
    wait_for(lambda: [is_in_ring(net, real) for real in net.reals] == [False, True, True],
             "the other one to be out", 30)


# --- the daemon, its child ---

def test_a_restart_changes_no_slot(net):
    start(net)
    net.reals[2].nginx.kill()
    wait_for_state(net, net.reals[2], "down")
    before = slots(net)
    prog = net.balancer.prog_id()
    net.balancer.kill()
    net.balancer.vip(WEB)["check"].update({"interval": "1h"})  # no result will come soon
    net.balancer.write()
    net.balancer.start()
    row = reals(net)[net.reals[2].address]
    assert net.balancer.prog_id() == prog
    assert row["health"] == "down" and row["health_s"] is None
    assert slots(net) == before
    # The next one has its results, and they say the same.
    net.balancer.stop()
    net.balancer.vip(WEB)["check"].update({"interval": "1s"})
    net.balancer.write()
    net.balancer.start()
    wait_for(lambda: all(row["checked_s"] is not None for row in reals(net).values()), "results", 30)
    assert slots(net) == before
    restart_nginx(net.reals[2])
    wait_for_state(net, net.reals[2], "up")


def test_a_reload_keeps_the_states_of_reals_that_stay(net):
    start(net)
    sick(net.reals[2])
    wait_for_state(net, net.reals[2], "down")
    net.balancer.vip(WEB)["reals"] = net.balancer.reals(which=[2, 3])
    net.balancer.vip(WEB)["check"]["interval"] = "1h"
    net.balancer.write()
    assert "checks of 1 vip changed" in net.balancer.reload()["summary"]
    assert states(net) == ["up", "down"]
    assert not is_in_ring(net, net.reals[2]) and is_in_ring(net, net.reals[1])
    # Without a check it is served like any other.
    del net.balancer.vip(WEB)["check"]
    net.balancer.write()
    net.balancer.reload()
    assert states(net) == [None, None] and is_in_ring(net, net.reals[2])
    wait_for(lambda: child(net) is None, "the child to end")


def test_a_child_that_is_killed_is_started_again_and_states_stay(net):
    start(net)
    sick(net.reals[2])
    wait_for_state(net, net.reals[2], "down")
    before, first = slots(net), child(net)
    with open(f"/proc/{first}/status", encoding="ascii") as file:
        status = file.read()
    assert "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status
    assert "Uid:\t0" not in status and "Gid:\t0" not in status
    for end in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.pidfd_send_signal(pidfd(first), end)  # not by these
    signal.pidfd_send_signal(pidfd(first), signal.SIGKILL)
    wait_for(lambda: child(net) not in (None, first), "another child", 30)
    assert slots(net) == before and states(net) == ["up", "up", "down"]
    assert log(net).count("waymark-health was ended by signal 9") == 1
    sick(net.reals[2], False)
    wait_for_state(net, net.reals[2], "up")
    last = child(net)
    net.balancer.kill()
    wait_for(lambda: not Path(f"/proc/{last}").exists(), "the child to end with the daemon")


def pidfd(pid):
    return os.pidfd_open(pid)


NONSENSE = {
    "words": "import sys\nsys.__stdin__.buffer.raw\nimport socket\ns = socket.socket(fileno=0)\n"
             "s.sendall(b'what is all this\\n')\ns.recv(1)\n",
    "a line without end": "import socket\ns = socket.socket(fileno=0)\n"
                          "while True:\n    s.sendall(b'x' * 4096)\n",
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_child_that_talks_nonsense_harms_nobody(net, what):
    place = net.dir / "programs"
    place.mkdir()
    shutil.copy2(BUILD / "waymarkd", place)
    fake = place / "waymark-health"
    fake.write_text(f"#!{sys.executable}\n{NONSENSE[what]}", encoding="ascii")
    fake.chmod(0o755)
    net.balancer.command = lambda *options: [place / "waymarkd", "-c", net.balancer.file, *options]
    net.balancer.start()
    wait_for(lambda: "says what nobody understands" in log(net), "a line in the log", 30)
    assert states(net) == ["unchecked"] * 3
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2", "real3"}
    # The right one again, and all is well.
    shutil.copy2(BUILD / "waymark-health", place / "new")
    (place / "new").rename(fake)
    wait_for(lambda: set(states(net)) == {"up"}, "all to be up", 60)


def test_without_the_program_the_daemon_serves(net):
    place = net.dir / "programs"
    place.mkdir()
    shutil.copy2(BUILD / "waymarkd", place)
    net.balancer.command = lambda *options: [place / "waymarkd", "-c", net.balancer.file, *options]
    net.balancer.start()
    assert "waymark-health cannot be started (No such file or directory; it belongs beside " \
        "waymarkd)" in log(net)
    assert states(net) == ["unchecked"] * 3
    assert {curl(net, net.vips[0]) for _ in range(30)} == {"real1", "real2", "real3"}


# --- servers that mean harm ---

def peak_memory(pid):
    """In bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


@pytest.mark.parametrize("what, said", [
    ("garbage", "no good answer: Received HTTP/0.9 when not allowed"),
    ("headers", "an answer with more than 64 KiB of headers"),
    ("body", "HTTP 200 without the text that it should contain"),
    ("drip", "no answer within 1000 ms"),
    ("silence", "no answer within 1000 ms"),
    ("escapes", "no good answer: "),
])
def test_what_a_server_answers_is_bounded(net, what, said):
    liar = net.reals[2]
    liar.start([sys.executable, "-B", LIAR, what, liar.address, 8080], log="liar.log")
    for real in net.reals[:2]:
        real.start([sys.executable, "-B", LIAR, "good", real.address, 8080], log=f"{real.role}-good.log")
    net.balancer.vip(WEB)["check"].update({"port": 8080, "body": "needle"})
    net.balancer.write()
    net.balancer.start()
    row = wait_for_state(net, liar, "down")
    assert row["check"].startswith(said), row["check"]
    assert all(" " <= c <= "~" for c in row["check"])
    wait_for(lambda: states(net) == ["up", "up", "down"], "the others to be up", 30)
    assert peak_memory(child(net)) < 64 << 20


# --- the log ---

def test_many_changes_at_once_are_one_line(net):
    many = [f"10.200.3.{i}" for i in range(1, 41)]
    for address in many:
        net.reals[0].ip(f"address add {address}/16 dev eth0")
    balancer = net.balancer
    balancer.vip(WEB)["reals"] += [{"address": address} for address in many]
    balancer.vip(WEB)["check"] = {"type": "tcp", "port": 9, "interval": "1s", "timeout": "1s",
                                  "fall": 1, "jitter": "0%"}
    balancer.write()
    balancer.start()
    wait_for(lambda: set(states(net)) == {"down"}, "all to be down", 30)
    wait_for(lambda: "all of its 43 reals" in log(net), "the last line")
    lines = [line for line in log(net).splitlines() if " down" in line]
    assert len(lines) < 12, lines
    assert any("reals are down, 0 are up: " in line and line.endswith(" more") for line in lines), lines
