# SPDX-License-Identifier: GPL-2.0
"""waymark-metrics against a waymarkd that is played: what it writes, what it does about
strangers, and when it ends. Needs no root; as root it becomes nobody first."""
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from played_metrics import (BUILD, CPU_BYTES, DEST_BITS, DEST_BYTES, OPENMETRICS, PATIENCE,  # pylint: disable=wrong-import-position
                            ROOT, Played, facts, read_answer, samples, state, wait_for)

GOLDEN = Path(__file__).resolve().parent / "metrics"
CPUS = {(0, 0): 10, (1, 0): 20, (0, 8): 1, (1, 16): 3, (0, 512): 1000, (1, 512): 234}
DESTS = {(0, DEST_BYTES * 1): 11, (1, DEST_BYTES * 1): 22, (1, DEST_BYTES * 1 + 8): 5, (0, DEST_BYTES * 7 + 16): 70,
         (1, DEST_BYTES * 2 + 24): 2 ** 64 - 1}


def golden(name, text):
    path = GOLDEN / name
    if os.environ.get("WM_UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name, headers, content_type", [
    ("text.prom", {}, "text/plain; version=0.0.4; charset=utf-8"),
    ("openmetrics.prom", OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8")])
def test_what_is_written_of_known_facts(name, headers, content_type):
    with Played(cpus=CPUS, dests=DESTS) as metrics:
        status, got, body = metrics.get(headers=headers)
        assert (status, got["Content-Type"]) == (200, content_type)
        golden(name, body)


def test_promtool_has_nothing_to_say():
    if not shutil.which("promtool"):
        pytest.skip("promtool (package prometheus) is not installed")
    for text in (GOLDEN / "text.prom", ):
        done = subprocess.run(["promtool", "check", "metrics"], input=text.read_bytes(), capture_output=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 0 and done.stdout + done.stderr == b""


def test_every_family_has_a_unit_or_none_and_samples_of_its_own():
    text = (GOLDEN / "openmetrics.prom").read_text(encoding="utf-8")
    families = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
    assert len({name for name, _ in families}) == len(families) > 30
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
    for name, kind in families:
        suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
        assert re.search(rf"^{name}{suffix}[ {{]", text, re.M), name
        assert not name.endswith(("_total", "_info"))
    for name, unit in re.findall(r"^# UNIT (\S+) (\S+)$", text, re.M):
        assert name.endswith("_" + unit)
    assert "flow=" not in text and "client=" not in text


def test_every_metric_is_in_the_manual():
    manual = (ROOT / "Documentation/man/waymark-metrics.8").read_text(encoding="utf-8")
    said = set(re.findall(r"^\.It Li (waymark_\w+)", manual, re.M))
    source = (ROOT / "user/metrics/exposition.c").read_text(encoding="utf-8")
    rows = re.findall(r'\{\s*"(\w+)",\s*(COUNTER|GAUGE|INFO)', source)
    written = {f"waymark_{name}" + {"COUNTER": "_total", "INFO": "_info"}.get(kind, "") for name, kind in rows}
    assert len(rows) > 30 and written == said


@pytest.mark.parametrize("accept, openmetrics", [
    ("", False), ("*/*", False), ("text/plain", False), ("text/html,*/*;q=0.8", False),
    ("application/openmetrics-text", True), ("application/openmetrics-text; version=1.0.0", True),
    ('application/openmetrics-text; version="1.0.0"; charset=utf-8', True),
    ("application/openmetrics-text; version=0.0.1", False),
    ("application/openmetrics-text; version=0.0.1,application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.1", True),
    ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.5", False),
    ("APPLICATION/OpenMetrics-Text;q=1", True), ("application/openmetrics-text;q=0", False),
    ("application/openmetrics-text;q=nonsense", False), (";;;,,,=;q=,\t ;", False)])
def test_format_is_what_the_client_likes_best(accept, openmetrics):
    with Played() as metrics:
        status, headers, body = metrics.get(headers={"Accept": accept})
        assert status == 200 and body.endswith("# EOF\n") == openmetrics
        assert headers["Content-Type"].startswith("application/openmetrics" if openmetrics else "text/plain")


def test_other_requests():
    with Played() as metrics:
        status, headers, body = metrics.get(method="HEAD")
        assert (status, body) == (200, "") and int(headers["Content-Length"]) > 1000
        assert metrics.get("/")[0] == 200
        assert metrics.get("/nothing")[0] == metrics.get("/metrics/")[0] == 404
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "FOO"):
            status, headers, _ = metrics.get(method=method, body=b"x" * 100000 if method == "POST" else b"")
            assert (status, headers["Allow"]) == (405, "GET, HEAD")
        assert metrics.get("/metrics?x=y")[0] == 200


def test_ipv6():
    with Played(family=socket.AF_INET6) as metrics:
        assert metrics.get()[0] == 200


def test_new_facts_are_shown():
    def answer(n):
        rows = [[0, 3, f"10.0.0.{n}", n, 1, True]]
        return [{"facts": facts(dests=rows)}, {"state": state(live=[n])}]

    with Played(answer) as metrics:
        for n in (1, 2):
            wait_for(lambda n=n: samples(metrics.get()[2]).get(
                f'waymark_real_weight{{vip="a\\"b\\\\c\\nd",real="10.0.0.{n}"}}') == n, "the next facts")


def test_without_an_answer_there_are_old_facts_and_fresh_counters():
    with Played(lambda n: [{"facts": facts()}, {"state": state()}] if n == 1 else None, CPUS, DESTS) as metrics:
        assert samples(metrics.get()[2])["waymark_daemon_responsive"] == 1
        wait_for(lambda: samples(metrics.get()[2])["waymark_daemon_responsive"] == 0, "patience to end")
        late = samples(metrics.get()[2])
        assert late["waymark_reloads_total"] > 100 and late["waymark_sent_bytes_total"] == 1234
        assert metrics.asked == 2  # and no third question before the answer


def test_without_any_facts_there_is_no_answer():
    with Played(lambda n: None) as metrics:
        assert metrics.get()[0] == 503
        assert metrics.get("/")[0] == 200


@pytest.mark.parametrize("wrong, text", [
    ({"facts": facts(abi=1)}, "waymarkd is of another version"),
    ({"facts": facts(vips=1)}, "good vips"),
    ({"facts": facts(dests={})}, "good destinations"),
    ({"facts": facts(dests=[[0, 1 << DEST_BITS, "x", 1, 1, True]])}, "good destinations"),
    ({"facts": facts(dests=[[0, -1, "x", 1, 1, True]])}, "good destinations"),
    ({"facts": facts(dests=[[2, 1, "x", 1, 1, True]])}, "good destinations"),
    ({"facts": facts(counters=[["a", "b"]] * 65)}, "good counters"),
    ({"nonsense": 1}, "neither facts nor state"),
    ([], "neither facts nor state")])
def test_it_ends_where_it_cannot_believe(wrong, text):
    with Played(lambda n: [wrong]) as metrics, metrics.connect() as sock:
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert metrics.process.wait(PATIENCE) == 1
        assert text in metrics.output()


def test_it_ends_with_the_daemon_and_by_no_signal():
    with Played() as metrics:
        assert metrics.get()[0] == 200
        for number in (1, 2, 3, 13, 15):
            metrics.process.send_signal(number)
        assert metrics.get()[0] == 200
        metrics.ours.shutdown(socket.SHUT_RDWR)
        assert metrics.process.wait(PATIENCE) == 0
    assert metrics.output() == ""


def test_it_is_for_waymarkd_only():
    for words in ([], ["1"], ["2", "2", "12"]):
        done = subprocess.run([BUILD / "waymark-metrics", *words], capture_output=True, text=True, timeout=PATIENCE,
                              check=False)
        assert done.returncode == 2 and "started by waymarkd" in done.stderr


# --- strangers ---


def resident(pid):
    """Bytes of memory of its own."""
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGESIZE")


def test_garbage_ends_nothing():
    seed = int(os.environ.get("WAYMARK_SEED", random.randrange(1 << 30)))
    print(f"WAYMARK_SEED={seed}")
    dice = random.Random(seed)
    good = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text;q=0.5\r\n\r\n"
    with Played() as metrics:
        for i in range(300):
            raw = bytearray(good if i % 2 else dice.randbytes(dice.randrange(1, 3000)))
            for _ in range(dice.randrange(8)):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
            with metrics.connect() as sock:
                sock.sendall(bytes(raw))
                sock.shutdown(socket.SHUT_WR)
        assert metrics.get()[0] == 200 and metrics.process.poll() is None


def test_endless_request_is_cut_off():
    with Played() as metrics, metrics.connect() as sock:
        sock.settimeout(PATIENCE)
        sock.sendall(b"GET /metrics HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for i in range(1 << 16):
                sock.sendall(f"X-{i}: {'y' * 1000}\r\n".encode())
                assert i < 10000, "10 MB of headers were taken"
        assert metrics.get()[0] == 200


def answer_big(n):
    """Facts of `n` destinations, and the state: each answer makes a page of another length."""
    first = facts(vips=[["web", "10.0.0.1", 80, "tcp", n]],
                  dests=[[0, 1 + i % 8000, f"10.{i >> 8}.{i & 255}.1", 100, 16, True] for i in range(n)])
    return lambda k: ([{"facts": first}] if k == 1 else []) + [{"state": state(dropped=[10 ** (k % 15)], live=[1] * n)}]


def test_answers_that_nobody_takes_have_a_bound():
    """Each of them is a page of its own: one serves all who ask within a moment."""
    with Played(answer_big(30000)) as metrics:
        def length():
            status, headers, _ = metrics.get(method="HEAD")
            return headers["Content-Length"] if status == 200 else None
        wait_for(length, "the facts")
        assert int(length()) > 10 << 20
        idle = []
        while before := length():
            assert len(idle) < 40
            idle.append(metrics.connect(receive=4096))
            idle[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda b=before: length() != b, "the next page, or none")
        assert len(idle) >= 3 and resident(metrics.process.pid) < 500 << 20
        assert metrics.get("/")[0] == 200
        for sock in idle:
            sock.close()
        wait_for(length, "an answer after them")


def test_two_hundred_at_once():
    with Played(answer_big(512)) as metrics:
        wait_for(lambda: metrics.get()[0] == 200, "the facts")
        socks = [metrics.connect() for _ in range(200)]
        for sock in socks:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = [read_answer(sock) for sock in socks]
        assert {status for status, _, _ in answers} == {200}
        assert {body.count("\n") for _, _, body in answers} == {answers[0][2].count("\n")}
        for sock in socks:
            sock.close()


def test_more_than_there_are_places_for_wait_for_their_turn():
    with Played() as metrics:
        idle = [metrics.connect() for _ in range(300)]
        assert metrics.process.poll() is None
        for sock in idle[:200]:
            sock.close()
        assert metrics.get()[0] == 200
        for sock in idle:
            sock.close()


def test_it_has_no_privileges():
    with Played() as metrics:
        assert metrics.get()[0] == 200
        pid = metrics.process.pid
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["NoNewPrivs"] == "1"
        assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {0}
        if os.geteuid():
            return  # what follows only root can see of it
        assert fields["Uid"].split() == fields["Gid"].split() == ["65534"] * 4 and fields["Groups"].strip() == ""
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        assert not any("cpus" in link or "dests" in link for link in links)
        maps = [line.split() for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()]
        shared = {line[5]: line[1] for line in maps if len(line) > 5 and "memfd" in line[5]}
        assert len(shared) == 2 and set(shared.values()) == {"r--s"}


def test_sizes_are_those_of_the_headers():
    text = (ROOT / "include/waymark/abi.h").read_text(encoding="utf-8")
    for name, size in (("cpu_stats", CPU_BYTES), ("dest_stats", DEST_BYTES)):
        assert f"WM_ASSERT_SIZE(struct wm_{name}, {size});" in text
