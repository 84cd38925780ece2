#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The command `waymark` against a daemon that is not one.

A thread plays waymarkd on a socket in a scratch directory: it answers each
request from a table of replies in the shapes of user/core/protocol.c, or does
what a broken one would. Needs no root and no kernel feature.

The last part reads the table of commands and that of the protocol (`waymark help
--json`), the help, the completion script and the manual page, and compares what they say.
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "selftests/lib"))

# pylint: disable=wrong-import-position
from protocol import faults_of, keys_of, read_protocol  # noqa: E402

BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
WAYMARK = BUILD / "waymark"
PATIENCE = 60  # seconds until a command that hangs has failed

TRAFFIC = {"packets": 1234567, "marked": 1111111, "bytes": 1288490189, "flows": 42}
FLOW = {"protocol": "tcp", "source": "10.0.0.3:4711", "destination": "10.200.1.1:80"}
FLOW_ARGS = ["tcp", "10.0.0.3:4711", "10.200.1.1:80"]
RULE = {"state": "active", "mark": 0x1003, "dest": 3, "real": "10.200.2.13", "packets": 5000,
        "bytes": 3000000, "age_s": 75.0}

VIPS = [
    {"name": "web", "address": "10.200.1.1", "port": 80, "protocol": "tcp", "number": 0,
     "hash": "maglev", "offload": True, "ring": 0, "reals": 3, **TRAFFIC,
     "dropped": 1234},
    {"name": "dns", "address": "10.200.1.2", "port": 53, "protocol": "udp", "number": 1,
     "hash": "maglev", "offload": False, "ring": 1, "reals": 2, **TRAFFIC,
     "dropped": 0},
    {"name": "dns-tcp", "address": "10.200.1.2", "port": 53, "protocol": "tcp", "number": 2,
     "hash": "maglev", "offload": True, "ring": 2, "reals": 2, **TRAFFIC,
     "dropped": 0},
    {"name": "all6", "address": "fc00::1", "port": 0, "protocol": "udp", "number": 3,
     "hash": "maglev", "offload": True, "ring": 3, "reals": 1, **TRAFFIC,
     "dropped": 0},
]
STATUS = {
    "version": "0.1.0", "pid": 4242, "uptime_s": 3725.5, "config": "/etc/waymark/waymark.yaml",
    "interfaces": ["eth0", "eth1"], "unserved": [], "apart": [], "queues": ["eth1 0-3,6"],
    "locals": ["dns: process 7", "log: nobody"], "mode": "native",
    "attach": "keep", "attached_again": 0, "lane": "meta", "prog_build": "0.1.0 (build 1f2e3d4c)",
    "build": "0.1.0 (build 1f2e3d4c)", "outdated": False,
    "adopted": True, "prog_id": 77, "abi": 1,
    "vips": 4, "reals": 5, "by_hand": 0, "dests": 8, "dests_max": 4095, "retiring": 0, "flows_max": 1048576,
    "mtu": 1500, "fits4": 1480, "fits6": 1460,
    "packets": 4000, "bytes": 2048, "marked": 3500,
    "offload": {"backend": "sim", "rules": 53, "rules_max": 60000, "table": None,
                "table_used": None, "mark_bits": 16, "marks": "seen", "lane_why": None,
                "backing_off": False, "rate": None, "room": None, "pace": 5000,
                "promote_after": 8, "flood": False, "steering_rules": 8, "steered": 4,
                "to_steer": 4, "steering_why": None},
    "reloads": 2, "reload_state": "idle", "last_reload": {"ok": True, "text": "1 vip added", "age_s": 185.0},
}
COUNTERS = dict(re.findall(r"X\(\w+, (\w+), \"([^\"]*)\"\)",
                           (ROOT / "include/waymark/abi.h").read_text()))
STATS = {
    "counters": {name: 0 for name in COUNTERS} | {"tx_marked": 1000000, "pass_not_vip": 7,
                                                  "from_the_future": 3},
    "bytes": 123456789,
    "offload": {"candidates": 60, "installed": 55, "refused": 2, "full": 0, "held": 3,
                "failed_removals": 0, "active": 53, "installing": 0, "deleting": 0,
                "ended": {"idle": 1, "closed": 1, "dest-gone": 0, "evicted": 0, "stale": 0},
                "packets": 990000, "bytes": 99000000},
    "events": {"read": 60, "lost": 0},
}
WHERE = {**FLOW, "vip": "web", "slot": 4321, "dest": 3, "real": "10.200.2.13",
         "outer_source": "172.16.75.7", "flow": None}
REPLIES = {
    "status": STATUS,
    "vip": VIPS,
    "real": [
        {"vip": "web", "address": "10.200.2.11", "weight": 100, "dest": 1, "slots": 32768,
         "share": 0.5, "fits": 1480, **TRAFFIC, "live": 17,
         "health": "up", "health_s": 75.5, "check": "HTTP 200 after 3 ms", "checked_s": 1.5,
         "admin": "enabled", "admin_s": None, "why": None},
        {"vip": "web", "address": "10.200.2.13", "weight": 0, "dest": 3, "slots": 0, "share": 0.0,
         "fits": None,
         "packets": 0, "marked": 0, "bytes": 0, "flows": 0, "live": None,
         "health": None, "health_s": None, "check": None, "checked_s": None,
         "admin": "drained", "admin_s": 75, "why": "it is drained by hand"},
    ],
    "dest": [{"dest": 4095, "mark": 0x1003, "generation": 1, "vip": "web", "real": "10.200.2.13",
              "state": "live", **TRAFFIC}],
    "flow": {**FLOW, "in_table": True, "dest": 3, "real": "10.200.2.13", "idle_s": 0.4,
             "state": "proven", "counted": 8, "rule": RULE},
    "flows": {"total": 1, "rules": [{**FLOW, "vip": "web", **RULE, "interface": "eth0"}]},
    "mark": {"mark": 0x1003, "dest": 3, "generation": 1, "meaning": "live", "vip": "web",
             "real": "10.200.2.13"},
    "stats": STATS,
    "ring": {"vip": "web", "reals": ["10.200.2.11", "fc00::12"], "slot": [0, 1, 1, -1]},
    "where": WHERE,
    "reload": {"summary": "1 real added, 1 real reweighted",
               "changes": ["vip web: real 10.200.2.14 added",
                           "vip web: real 10.200.2.11 has weight 50 instead of 100"]},
    **{f"real_{verb}": {"summary": f"10.200.2.11 is {verb}d",
                        "changes": [f"vip web: real 10.200.2.11 is {verb}d"]}
       for verb in ("enable", "disable", "drain")},
    "xsk": {"name": "dns", "path": "/run/waymark/local.sock", "device": "eth0", "connected": True,
            "pid": 4711, "uid": 65534, "one_socket": False,
            "sockets": [{"socket": 0, "device": "eth0", "zero_copy": False, "rx_dropped": 0,
                         "rx_ring_full": 1000, "rx_fill_empty": 2, "rx_invalid": 0, "tx_invalid": 0, "tx_ring_empty": 5}]},
}


class FakeDaemon:
    """Answers requests one by one. `replies`: command -> data, or a function of
    (request, how many requests there were before) that gives it; an exception
    becomes an error reply. `raw`, if set, is sent for any request instead, None
    in it closes the connection, and b"" says nothing at all."""

    def __init__(self, path):
        self.path = path
        self.replies = dict(REPLIES)
        self.raw = []
        self.requests = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(4)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                try:
                    self.talk(peer)
                except ConnectionError:
                    pass

    def talk(self, peer):
        with peer.makefile("rb") as lines:
            for line in lines:
                assert len(line) <= 4096
                self.requests.append(json.loads(line))
                if not self.raw:
                    peer.sendall(self.answer(self.requests[-1]))
                for piece in self.raw:
                    if piece is None:
                        return
                    peer.sendall(piece)

    def answer(self, request):
        data = self.replies[request["command"]]
        try:
            if callable(data):
                data = data(request, len(self.requests) - 1)
            reply = {"ok": True, "data": data}
        except ValueError as error:
            reply = {"ok": False, "error": str(error), "errno": 22}
        return json.dumps(reply).encode() + b"\n"

    def close(self):
        # shutdown() first: close() alone does not wake up accept()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(PATIENCE)


@pytest.fixture
def daemon(tmp_path):
    fake = FakeDaemon(tmp_path / "control.sock")
    yield fake
    fake.close()


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def rows(self):
        return [line.split() for line in self.out.splitlines()]

    def pairs(self):
        """A block as {title: text}."""
        return {key: " ".join(text.split()) for key, text in
                (re.split(r"\s{2,}", line, maxsplit=1) for line in self.out.splitlines())}

    def json(self):
        return json.loads(self.out)


def waymark(*args, socket_path=None, patience=PATIENCE, **env):
    assert WAYMARK.exists(), f"{WAYMARK} was not built: make"
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env}
    if socket_path:
        args = ["--socket", str(socket_path), *args]
    done = subprocess.run([WAYMARK, *map(str, args)], env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=patience, check=False)
    return Result(done)


@pytest.fixture
def ask(daemon):
    """Run a command that talks to the fake daemon."""
    def run(*args, **env):
        return waymark(*args, socket_path=daemon.path, **env)
    run.daemon = daemon
    return run


# --- what each command shows ---


def test_status_is_a_block(ask):
    result = ask("status")
    assert (result.code, result.err) == (0, "")
    assert result.pairs() == {
        "waymarkd": "0.1.0, pid 4242, up 1 h 2 min",
        "configuration": "/etc/waymark/waymark.yaml",
        "interfaces": "eth0, eth1 (native, program 77, adopted, abi 1)",
        "program": "0.1.0 (build 1f2e3d4c); the daemon's: 0.1.0 (build 1f2e3d4c)",
        "queues": "eth1 0-3,6; the others are the host's",
        "local consumers": "dns: process 7, log: nobody",
        "longest packet": "1,480 bytes to an IPv4 real, 1,460 to an IPv6 one (MTU 1,500)",
        "vips": "4 with 5 reals",
        "destinations": "8 of 4,095",
        "flow table": "room for 1,048,576 flows",
        "packets": "4,000 (2.0 KiB)",
        "marked": "3,500 (87.5 %)",
        "offload": "sim, 53 of 60,000 rules, 16-bit marks by lane meta",
        "marks": "seen",
        "steering": "8 rules lead 4 of 4 vips to these queues",
        "reloads": "2",
        "last reload": "3 min 5 s ago: 1 vip added",
    }


def test_no_command_is_status(ask):
    assert ask().out == ask("status").out
    assert ask.daemon.requests == [{"command": "status"}] * 2


def test_status_says_what_an_operator_must_see(ask):
    ask.daemon.replies["status"] = STATUS | {
        "adopted": False, "prog_build": "0.0.9 (build 11111111)", "outdated": True, "retiring": 2, "packets": 0, "marked": 0,
        "by_hand": 1,
        "offload": STATUS["offload"] | {"backing_off": True, "steering_rules": 2, "steered": 1,
                                        "steering_why": "nic: no IPv6"},
        "last_reload": {"ok": False, "text": "waymark.yaml:3:1: unknown key", "age_s": 2.0},
    }
    pairs = ask().pairs()
    assert pairs["BY HAND"] == "1 reals are drained or disabled: see waymark real"
    assert pairs["interfaces"] == "eth0, eth1 (native, program 77, abi 1)"
    assert pairs["program"] == ("0.0.9 (build 11111111), OUTDATED; "
                                "the daemon's: 0.1.0 (build 1f2e3d4c)")
    assert pairs["destinations"] == "8 of 4,095, 2 retiring"
    assert pairs["marked"] == "0 (-)"
    assert "backing off" in pairs["offload"]
    assert "NIC's rate" not in pairs and "NIC's room" not in pairs and "flood" not in pairs
    assert pairs["steering"] == "2 rules lead 1 of 4 vips to these queues: nic: no IPv6"
    assert pairs["last reload"] == "2.0 s ago, FAILED: waymark.yaml:3:1: unknown key"


def test_status_says_what_was_learned_of_the_nic(ask):
    ask.daemon.replies["status"] = STATUS | {
        "offload": STATUS["offload"] | {"rate": 5120, "room": 1016, "pace": 3840,
                                        "promote_after": 32, "flood": True}}
    pairs = ask().pairs()
    assert pairs["NIC's rate"] == ("5,120 rules per second learned; now 3,840 at most, for flows "
                                   "of 32 packets")
    assert pairs["NIC's room"] == "1,016 rules learned"
    assert pairs["flood"] == "of new flows: those that come again get a rule"


def test_status_ends_with_a_code_of_its_own_where_nothing_is_balanced(ask):
    why = "eth1: no XDP program is attached"
    ask.daemon.replies["status"] = STATUS | {"unserved": [why], "attached_again": 2}
    for arguments in ([], ["status"]):
        result = ask(*arguments)
        assert result.code == 5 and result.pairs()["NOT SERVED"] == why
        assert result.pairs()["attached again"] == "2 times: somebody took the program off"
    result = ask("--json", "status")
    assert result.code == 5 and json.loads(result.out)["unserved"] == [why]


def test_status_keeps_the_lines_of_an_error(ask):
    text = "waymark.yaml:3:1: unknown key\nwaymark.yaml:9:2: no weight"
    ask.daemon.replies["status"] = STATUS | {"last_reload": {"ok": False, "text": text, "age_s": 2.0}}
    lines = ask().out.splitlines()
    assert lines[-2].endswith("FAILED: waymark.yaml:3:1: unknown key")
    assert lines[-1].strip() == "waymark.yaml:9:2: no weight"
    assert lines[-1].startswith(" " * 10), "under the value, not under the title"
    raw = ask("--raw").out.splitlines()
    assert len(raw) == len(set(line.split(" ", 1)[0] for line in raw)), "one line per key"


def test_status_before_the_first_reload(ask):
    ask.daemon.replies["status"] = {k: v for k, v in STATUS.items() if k != "last_reload"}
    assert "last reload" not in ask().pairs()


def test_vip_is_a_table(ask):
    assert ask("vip").out == """\
NAME     ADDRESS     PORT  PROTO  HASH    OFFLOAD  REALS    PACKETS     MARKED    BYTES  FLOWS  DROPPED
web      10.200.1.1    80  tcp    maglev  yes          3  1,234,567  1,111,111  1.2 GiB     42    1,234
dns      10.200.1.2    53  udp    maglev  no           2  1,234,567  1,111,111  1.2 GiB     42        0
dns-tcp  10.200.1.2    53  tcp    maglev  yes          2  1,234,567  1,111,111  1.2 GiB     42        0
all6     fc00::1        *  udp    maglev  yes          1  1,234,567  1,111,111  1.2 GiB     42        0
"""


def test_real_is_a_table(ask):
    rows = ask("real", "web").rows()
    assert rows[0] == ["VIP", "REAL", "WEIGHT", "DEST", "SLOTS", "SHARE", "FITS", "PACKETS",
                       "MARKED", "BYTES", "FLOWS", "LIVE", "HEALTH", "SINCE", "CHECK", "ADMIN",
                       "WHY"]
    assert rows[1][:7] == ["web", "10.200.2.11", "100", "1", "32,768", "50.0", "%"]
    assert (rows[1][7], rows[2][7]) == ("1480", "-")
    assert rows[2][:7] == ["web", "10.200.2.13", "0", "3", "0", "0.0", "%"]
    assert ask.daemon.requests == [{"command": "real", "vip": "web"}]


def test_real_of_all_vips(ask):
    assert ask("real").code == 0
    assert ask.daemon.requests == [{"command": "real"}]


def test_dest_shows_ids_and_marks_as_they_are(ask):
    rows = ask("dest").rows()
    assert rows[1][:6] == ["4095", "0x1003", "1", "web", "10.200.2.13", "live"]


def test_flow_is_a_block(ask):
    result = ask("flow", *FLOW_ARGS)
    assert result.pairs() == {
        "flow": "tcp 10.0.0.3:4711 to 10.200.1.1:80",
        "flow table": "destination 3 (10.200.2.13), proven, 8 packets counted, idle 0.4 s",
        "rule": "active for 1 min 15 s, mark 0x1003: destination 3 (10.200.2.13)",
        "by the NIC": "5,000 packets, 2.9 MiB",
    }
    assert ask.daemon.requests == [{"command": "flow", **FLOW}]


def test_flow_that_nobody_knows(ask):
    ask.daemon.replies["flow"] = {**FLOW, "in_table": False, "dest": None, "real": None,
                                  "idle_s": None, "state": None, "counted": 0, "rule": None}
    pairs = ask("flow", *FLOW_ARGS).pairs()
    assert (pairs["flow table"], pairs["rule"]) == ("not in it", "none")


def test_flow_that_closes_has_no_count(ask):
    ask.daemon.replies["flow"] = REPLIES["flow"] | {"state": "closing", "counted": None}
    table = ask("flow", *FLOW_ARGS).pairs()["flow table"]
    assert table == "destination 3 (10.200.2.13), closing, idle 0.4 s"


def test_flow_alone_lists_rules(ask):
    result = ask("flow")
    assert result.out == """\
PROTO  SOURCE         DESTINATION    VIP  REAL           MARK  STATE   PACKETS    BYTES         AGE
tcp    10.0.0.3:4711  10.200.1.1:80  web  10.200.2.13  0x1003  active    5,000  2.9 MiB  1 min 15 s
"""
    assert (result.err, result.code) == ("", 0)
    assert ask.daemon.requests == [{"command": "flows"}]


def test_flow_list_that_is_cut_says_so(ask):
    ask.daemon.replies["flows"] = REPLIES["flows"] | {"total": 2}
    result = ask("flow", "--max", "1")
    assert (result.code, result.err) == (0, "waymark: there are more flows than shown; see --max\n")
    assert ask.daemon.requests == [{"command": "flows", "max": 1}]


def test_flow_list_that_is_empty_says_so(ask):
    ask.daemon.replies["flows"] = {"total": 0, "rules": []}
    assert ask("flow").out == "no flow has a rule\n"
    assert ask("flow", "--raw").out == ""


@pytest.mark.parametrize("text", ["0x1003", "4099"])
def test_mark_is_taken_apart(ask, text):
    assert ask("mark", text).pairs() == {
        "mark": "0x1003: destination 3, generation 1", "meaning": "live", "vip": "web",
        "real": "10.200.2.13"}
    assert ask.daemon.requests == [{"command": "mark", "mark": 4099}]


def test_mark_that_means_nothing(ask):
    ask.daemon.replies["mark"] = {"mark": 5, "dest": 5, "generation": 0, "meaning": "unknown",
                                  "vip": None, "real": None}
    assert set(ask("mark", "5").pairs()) == {"mark", "meaning"}


def test_reload_says_what_changed(ask):
    assert ask("reload").out == ("1 real added, 1 real reweighted\n"
                                 "vip web: real 10.200.2.14 added\n"
                                 "vip web: real 10.200.2.11 has weight 50 instead of 100\n")
    ask.daemon.replies["reload"] = {"summary": "nothing to change", "changes": []}
    assert ask("reload").out == "nothing to change\n"


def test_reload_is_forced_only_if_asked_to(ask):
    ask("reload")
    ask("reload", "--force")
    assert ask.daemon.requests == [{"command": "reload"}, {"command": "reload", "force": True}]


@pytest.mark.parametrize("verb", ["enable", "disable", "drain"])
def test_a_real_is_taken_out_by_hand(ask, verb):
    assert ask("real", verb, "10.200.2.11").out == (
        f"10.200.2.11 is {verb}d\nvip web: real 10.200.2.11 is {verb}d\n")
    ask("real", verb, "10.200.2.11", "--vip", "web", "--force")
    assert ask.daemon.requests == [
        {"command": f"real_{verb}", "real": "10.200.2.11"},
        {"command": f"real_{verb}", "real": "10.200.2.11", "vip": "web", "force": True}]


def test_ring_is_slot_and_real(ask):
    assert ask("ring", "web").rows() == [
        ["SLOT", "REAL"], ["0", "10.200.2.11"], ["1", "fc00::12"], ["2", "fc00::12"], ["3", "-"]]


def test_where_says_all_of_the_way(ask):
    assert ask("where", *FLOW_ARGS).pairs() == {
        "flow": "tcp 10.0.0.3:4711 to 10.200.1.1:80", "vip": "web", "slot": "4321",
        "real": "10.200.2.13", "outer source": "172.16.75.7"}
    assert ask.daemon.requests == [{"command": "where", **FLOW}]


def test_where_the_flow_table_differs(ask):
    ask.daemon.replies["where"] = WHERE | {"flow": {"dest": 1, "real": "10.200.2.11"}}
    assert ask("where", *FLOW_ARGS).pairs()["flow table"].startswith("10.200.2.11 (destination 1)")


def test_where_it_is_not_ours(ask):
    ask.daemon.replies["where"] = {**FLOW, "vip": None, "slot": None, "dest": None, "real": None,
                                   "outer_source": None, "flow": None}
    assert set(ask("where", *FLOW_ARGS).pairs()) == {"flow", "vip"}


# --- stats ---


def test_stats_shows_what_is_not_zero(ask):
    out = ask("stats").out
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert names == ["tx_marked", "pass_not_vip", "bytes", "offload.candidates",
                     "offload.installed", "offload.refused", "offload.held", "offload.active",
                     "offload.ended.idle", "offload.ended.closed", "offload.packets",
                     "offload.bytes", "events.read", "from_the_future"]
    line = next(line for line in out.splitlines() if line.startswith("tx_marked"))
    assert re.split(r"\s{2,}", line) == ["tx_marked", "1,000,000", COUNTERS["tx_marked"]]


def test_stats_all_shows_every_counter(ask):
    names = {row[0] for row in ask("stats", "--all", "--no-headings").rows()}
    assert names >= set(COUNTERS) | {"from_the_future", "offload.ended.dest-gone", "events.lost"}


def test_stats_watch_gives_rates(ask):
    def grow(_, before):
        counters = STATS["counters"] | {"tx_marked": 1000000 * (before + 1)}
        return STATS | {"counters": counters}
    ask.daemon.replies["stats"] = grow
    result = ask("stats", "--watch", "0.02", "--count", "3", "--columns", "counter,value,rate")
    tables = result.out.strip().split("\n\n")
    assert len(tables) == 3 and len(ask.daemon.requests) == 3
    first, second, third = ({r[0]: r[1:] for r in map(str.split, t.splitlines())} for t in tables)
    assert first["tx_marked"] == ["1,000,000", "-"]
    assert second["tx_marked"][0] == "2,000,000" and third["tx_marked"][0] == "3,000,000"
    # at least 0.02 s and less than our patience lie between two answers
    rate = float(second["tx_marked"][1].replace(",", ""))
    assert 1000000 / PATIENCE < rate <= 1000000 / 0.02
    assert second["pass_not_vip"] == ["7", "0"]
    assert second["offload.active"] == ["53", "-"], "a gauge has no rate"


def test_stats_watch_in_json_is_a_line_each(ask):
    result = ask("stats", "--watch", "0.01", "--count", "2", "--json")
    assert [json.loads(line) for line in result.out.splitlines()] == [STATS, STATS]


HOSTILE = "no\x1b]0;owned\x07\x1b[2J\x9b1mpe\u202e\nwaymark: all is well"


def harmless(text):
    return not [c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c == "\u202e")]


def test_words_of_whoever_answers_are_no_commands_for_the_terminal(ask):
    """Anybody may listen at WAYMARK_SOCKET."""
    ask.daemon.raw = [json.dumps({"ok": False, "error": HOSTILE}).encode() + b"\n"]
    result = ask("status")
    assert result.code == 1 and harmless(result.err)
    assert "no\\x1b]0;owned\\x07" in result.err
    assert "\n  waymark: all is well\n" in result.err  # no line of its own
    ask.daemon.raw = [b'{"ok": \x1b[2J}\n']
    result = ask("status")
    assert result.code == 1 and harmless(result.err)


def test_words_of_whoever_answers_in_tables_and_json(ask):
    names = [dict(vip, name=HOSTILE) for vip in REPLIES["vip"]]
    ask.daemon.raw = [json.dumps({"ok": True, "data": names}).encode() + b"\n"]
    for options in ([], ["--raw"], ["--json"]):
        result = ask("vip", *options)
        assert result.code == 0 and result.out and harmless(result.out), options
    assert result.json() == names
    ask.daemon.raw = [json.dumps({"ok": False, "error": HOSTILE}).encode() + b"\n"]
    result = ask("vip", "--json")
    assert harmless(result.err) and json.loads(result.err)["error"] == HOSTILE


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&- >&-", ">&-", "2>&-", ">&- 2>&-"])
def test_closed_descriptors_are_not_taken_for_the_connection(daemon, closed):
    """Else what is printed goes to the daemon, as requests."""
    line = (f'"$0" -s "$1" --json stats --watch 0.01 --count 2 {closed}')
    done = subprocess.run(["/bin/sh", "-c", line, WAYMARK, daemon.path], capture_output=True,
                          text=True, timeout=PATIENCE, check=False)
    printed = ">&-" not in closed.replace("2>&-", "")
    assert (done.returncode == 0, bool(done.stdout)) == (printed, printed)
    assert {request.get("command") for request in daemon.requests} == {"stats"}


def test_stats_watch_ends_when_interrupted(daemon):
    # The fake daemon's third request tells us that two tables were shown.
    asked = threading.Event()

    def reply(_, before):
        if before == 2:
            asked.set()
        return STATS
    daemon.replies["stats"] = reply
    child = subprocess.Popen([WAYMARK, "-s", daemon.path, "stats", "--watch", "0.01"],
                             stdout=subprocess.PIPE, text=True)
    try:
        assert asked.wait(PATIENCE)
        child.send_signal(2)
        out, _ = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0 and out.count("tx_marked") >= 2


# --- the forms of an answer ---

ASKING = {
    "status": [], "vip": [], "real": ["web"], "dest": [], "flows": [], "flow": FLOW_ARGS,
    "mark": ["5"], "stats": [], "reload": [], "ring": ["web"], "where": FLOW_ARGS,
    "xsk": ["stats"],
    "real_enable": ["10.200.2.11"], "real_disable": ["10.200.2.11"], "real_drain": ["10.200.2.11"],
}


def command_of(request_name):
    return ["flow"] if request_name == "flows" else request_name.split("_")


@pytest.mark.parametrize("request_name", ASKING)
def test_json_is_the_daemons_data(ask, request_name):
    for options in (["--json"], ["--json", "--raw"]):
        result = ask(*command_of(request_name), *ASKING[request_name], *options)
        assert (result.code, result.err) == (0, "")
        assert result.json() == REPLIES[request_name]
        assert list(result.json()) == list(REPLIES[request_name])
        assert ("--raw" in options) == (result.out.count("\n") == 1)
    assert ask.daemon.requests[-1]["command"] == request_name


def test_json_keeps_numbers_as_written(ask):
    assert '"idle_s": 0.4,' in ask("--json", "flow", *FLOW_ARGS).out


def test_raw_block_is_a_line_a_key(ask):
    raw = dict(line.split(" ", 1) for line in ask("--raw").out.splitlines())
    assert raw["pid"] == "4242" and raw["flows_max"] == "1048576" and raw["bytes"] == "2048"
    assert raw["interfaces"] == "eth0,eth1" and raw["uptime_s"] == "3725.5"
    assert raw["offload.rules"] == "53"


def test_raw_value_is_one_word(ask):
    assert "last_reload.text 1\\x20vip\\x20added" in ask("--raw").out


def test_raw_table_has_plain_numbers(ask):
    assert ask("vip", "-r", "--no-headings").rows()[0] == [
        "web", "10.200.1.1", "80", "tcp", "maglev", "yes", "3", "1234567", "1111111", "1288490189",
        "42", "1234"]


def test_columns_are_chosen_by_key(ask):
    assert ask("vip", "-o", "number,name").rows()[:2] == [["number", "NAME"], ["0", "web"]]
    assert ask("--raw", "--columns", "offload.rules,pid").rows() == [["offload.rules", "53"],
                                                                     ["pid", "4242"]]


def test_control_characters_do_not_reach_the_terminal(ask):
    ask.daemon.replies["vip"] = [VIPS[0] | {"name": "evil\x1b[2J"}]
    for options in ([], ["--raw"], ["--json"]):
        assert "\x1b" not in ask("vip", *options).out


def test_a_wide_table_is_not_cut_when_piped(ask):
    name = "n" * 300
    ask.daemon.replies["vip"] = [VIPS[0] | {"name": name}]
    assert name in ask("vip").out


def test_options_stand_before_or_after(ask):
    expected = ask("real", "web", "--json").out
    assert ask("--json", "real", "web").out == expected == ask("real", "--json", "web").out


def test_socket_from_the_environment(daemon):
    assert waymark("status", WAYMARK_SOCKET=str(daemon.path)).code == 0
    assert waymark("-s", daemon.path, WAYMARK_SOCKET="/nonexistent").code == 0


def test_output_that_cannot_be_written_is_an_error(daemon):
    with open("/dev/full", "w") as full:
        done = subprocess.run([WAYMARK, "-s", daemon.path], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1 and "No space left" in done.stderr


# --- vips by name and by address ---


@pytest.mark.parametrize("text, name", [
    ("web", "web"),
    ("10.200.1.1:80", "web"),
    ("10.200.1.1:80/tcp", "web"),
    ("10.200.1.1:80/TCP", "web"),
    ("10.200.1.2:53/udp", "dns"),
    ("10.200.1.2:53/tcp", "dns-tcp"),
    ("[fc00:0::1]:*", "all6"),
    ("[fc00::1]:0/udp", "all6"),
    ("10.9.9.9:80", "10.9.9.9:80"),  # nobody's: the daemon will say so
    ("not/a/service", "not/a/service"),
])
def test_vip_argument(ask, text, name):
    for command in ("real", "ring"):
        assert ask(command, text).code == 0
        assert ask.daemon.requests[-1] == {"command": command, "vip": name}


def test_vip_argument_that_means_two(ask):
    result = ask("real", "10.200.1.2:53")
    assert result.code == 1 and "dns and dns-tcp" in result.err and "/udp" in result.err
    assert [r["command"] for r in ask.daemon.requests] == ["vip"]


def test_vip_whose_name_looks_like_an_address(ask):
    ask.daemon.replies["vip"] = VIPS + [VIPS[0] | {"name": "10.200.1.2:53", "port": 1}]
    assert ask("real", "10.200.1.2:53").code == 0
    assert ask.daemon.requests[-1]["vip"] == "10.200.1.2:53"


# --- when it fails ---


def test_no_daemon(tmp_path):
    path = tmp_path / "nobody.sock"
    result = waymark("status", socket_path=path)
    assert (result.code, result.out) == (3, "")
    assert result.err == (f"waymark: waymarkd is not running (no answer at {path}): "
                          "No such file or directory\n")


def test_a_socket_that_a_dead_daemon_left(tmp_path):
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    result = waymark("vip", socket_path=path)
    assert (result.code, result.out) == (3, "")
    assert result.err == (f"waymark: waymarkd is not running (no answer at {path}): "
                          "Connection refused\n")


def test_a_path_too_long_for_a_socket():
    result = waymark("status", socket_path="/" + "x" * 200)
    assert result.code == 1 and "107 bytes" in result.err


def test_error_reply(ask):
    def refuse(request, _):
        raise ValueError(f"no vip '{request['vip']}'")
    ask.daemon.replies["real"] = refuse
    result = ask("real", "nope")
    assert (result.code, result.out, result.err) == (1, "", "waymark: no vip 'nope'\n")


@pytest.mark.parametrize("raw, code, said", [
    ([None], 3, "closed the connection without an answer"),
    ([b'{"ok": true, "da', None], 3, "closed the connection without an answer"),
    ([b"hello\n"], 1, "makes no sense"),
    ([b"[]\n"], 1, "makes no sense"),
    ([b'{"ok": true}\n'], 1, "makes no sense"),
    ([b'{"ok": 1, "data": {}}\n'], 1, "makes no sense"),
    ([b'{"ok": false}\n'], 1, "makes no sense"),
    ([b'{"ok": true, "data": {}, "data": []}\n'], 1, "makes no sense"),
    ([b'{"ok": true, "data": "\xff"}\n'], 1, "makes no sense"),
    ([b'{"ok": true, "data": {}}\0\n'], 1, "makes no sense"),
    ([b'{"ok": true, "data": [1]}\n'], 1, "another shape"),
    ([b'{"ok": true, "data": 7}\n'], 1, "another shape"),
    ([b"x" * (1 << 20)] * 17, 1, "longer than 16777216 bytes"),
], ids=lambda v: v[:1] if isinstance(v, list) and len(v[0] or b"") < 50 else None)
def test_an_answer_that_is_none(ask, raw, code, said):
    ask.daemon.raw = raw
    result = ask("status")
    assert result.code == code and said in result.err and result.out == ""
    assert result.err.startswith("waymark: ") and result.err.count("\n") == 1


@pytest.mark.parametrize("command", ["vip", "ring web", "stats", "flow"])
def test_another_shape_is_refused_everywhere(ask, command):
    name = "flows" if command == "flow" else command.split()[0]
    for data in ({}, None, 5, "text"):
        ask.daemon.replies[name] = data
        result = ask(*command.split())
        assert result.code == 1 and "another shape" in result.err and result.out == ""


@pytest.mark.parametrize("row", [{}, None, 5, {"name": [1, [2]], "port": "x", "packets": None}])
def test_odd_rows_are_shown_as_far_as_they_go(ask, row):
    ask.daemon.replies["vip"] = [row]
    assert ask("vip").code == 0


@pytest.mark.parametrize("raw", [[b""], [b'{"ok": tr']])
def test_a_daemon_that_does_not_answer(ask, raw):
    ask.daemon.raw = raw
    result = ask("--timeout", "0.2", "status")
    assert result.code == 3 and "did not answer within 0.2 s" in result.err


def test_a_daemon_that_accepts_nobody(tmp_path):
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = []
        try:
            while True:  # until the backlog is full
                peer = socket.socket(socket.AF_UNIX)
                waiting.append(peer)
                peer.setblocking(False)
                peer.connect(str(path))
        except BlockingIOError:
            pass
        result = waymark("-t", "0.1", socket_path=path)
        for peer in waiting:
            peer.close()
    assert result.code == 3 and "too busy" in result.err


def test_an_answer_in_pieces_and_a_long_one(ask):
    line = json.dumps({"ok": True, "data": {"vip": "web", "reals": ["10.0.0.1"],
                                            "slot": [0] * 65537}}).encode() + b"\n"
    ask.daemon.raw = [line[i:i + 1000] for i in range(0, len(line), 1000)]
    result = ask("ring", "web", "--no-headings", "--raw")
    assert result.code == 0 and len(result.rows()) == 65537
    assert result.rows()[-1] == ["65536", "10.0.0.1"]


def test_a_request_that_is_too_long_is_not_sent(ask):
    result = ask("real", "x" * 5000)
    assert result.code == 1 and "longer than 4096 bytes" in result.err
    assert ask.daemon.requests == []


@pytest.mark.parametrize("args, said", [
    ("frobnicate", "no command 'frobnicate' (see waymark help)"),
    ("stast", "no command 'stast'; near: stats"),
    ("st", "command 'st' is ambiguous: status, stats"),
    ("decap", "decap what: attach detach stats"),
    ("decap de", "decap detach: DEV is missing"),
    ("softnic x", "there are: attach detach wire"),
    ("status extra", "takes no argument"),
    ("flow tcp", "SRC:PORT is missing"),
    ("flow tcp 10.0.0.1:1 10.0.0.2:2 4", "too many arguments: wants 3"),
    ("flow icmp 10.0.0.1:1 10.0.0.2:2", "PROTO 'icmp': wants tcp or udp"),
    ("where tcp 10.0.0.1 10.0.0.2:2", "SRC:PORT '10.0.0.1': wants an address and a port"),
    ("where tcp fc00::1:5 10.0.0.2:2", "SRC:PORT 'fc00::1:5'"),
    ("where tcp 10.0.0.1:0 10.0.0.2:2", "SRC:PORT '10.0.0.1:0'"),
    ("flow --max 5 tcp 10.0.0.1:1 10.0.0.2:2", "--max goes with the list"),
    ("flow --max 0", "--max '0': wants a number from 1"),
    ("flow --max -1", "--max '-1'"),
    ("mark", "MARK is missing"),
    ("mark 0x1ffffffff", "wants a number below 2^32"),
    ("mark 12x", "wants a number below 2^32"),
    ("mark 1 2", "too many arguments: wants 1"),
    ("--nope", "unknown or ambiguous option '--nope'"),
    ("status --nope", "status: unknown or ambiguous option '--nope'"),
    ("status --all", "status: unknown or ambiguous option '--all'"),
    ("stats --watch", "option '--watch' wants a value"),
    ("stats --watch x", "--watch 'x': wants seconds"),
    ("stats --watch nan", "--watch 'nan': wants seconds"),
    ("stats --count 3", "--count goes with --watch"),
    ("--timeout 0 status", "--timeout '0'"),
    ("vip --columns name,nope", "no column 'nope'; there are: name address"),
    ("flow --columns in_table", "no column 'in_table'"),
    ("decap attach eth0 --mode fast", "--mode 'fast': wants auto xdp tc"),
    ("decap attach a/b", "wants a network device's name"),
    ("decap attach eth0 --source4 fc00::1", "wants an IPv4 address"),
    ("softnic attach w0", "--to DEV is missing"),
    ("softnic attach w0 --to l0 --mac 1:2:3 --pin /x", "wants a MAC address"),
    ("softnic attach w0 --to l0 --mac 02:00:00:00:00:01 --pin /x --mark-bits 33", "1 to 32"),
    ("help nope", "no command 'nope'"),
])
def test_usage_errors(ask, args, said):
    result = ask(*args.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("waymark: ") and result.err.count("\n") == 1
    assert said in result.err
    assert ask.daemon.requests == [], "a wrong command line must not reach the daemon"


@pytest.mark.parametrize("command", [
    "decap attach {dev}", "decap attach {dev} --mode xdp", "decap attach {dev} --mode tc",
    "decap detach {dev}", "decap stats {dev}", "softnic wire {dev}",
    "softnic attach {dev} --to {dev} --mac 02:00:00:00:00:01 --pin {dir}",
    "softnic detach {dev} --pin {dir}", "nic {dev}", "queue list {dev}", "queue monitor {dev}",
])
def test_a_device_that_is_not_there(command, tmp_path):
    """Whatever the errno, it is no missing daemon. (What these commands do with a
    device that is there, the room netns tests.)"""
    dev = f"wm{os.getpid()}"
    result = waymark(*command.format(dev=dev, dir=tmp_path / "nic").split())
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("waymark: ") and not list(tmp_path.iterdir())


def test_an_empty_argument_is_refused(ask):
    assert ask("real", "").code == 2
    assert ask("").code == 2


@pytest.mark.parametrize("short, name", [("sta", None), ("stat", None), ("statu", "status"),
                                         ("v", None), ("vi", "vip"), ("w", "where"),
                                         ("real", "real"), ("re", None), ("rel", "reload")])
def test_short_forms(ask, short, name):
    args = {"where": FLOW_ARGS}.get(name, [])
    result = ask(short, *args)
    assert result.code == (0 if name else 2)
    assert [r["command"] for r in ask.daemon.requests] == ([name] if name else [])


# --- errors for programs ---


def error_of(result):
    """The one line on standard error as an object."""
    assert result.out == "" and result.err.count("\n") == 1
    said = json.loads(result.err)
    assert said["ok"] is False and said["exit"] == result.code
    return said["error"]


@pytest.mark.parametrize("option", ["--json", "-j"])
def test_errors_are_json_if_the_answer_would_be(ask, tmp_path, option):
    assert "is not running" in error_of(waymark(option, "status", socket_path=tmp_path / "none"))
    ask.daemon.replies["reload"] = lambda *_: (_ for _ in ()).throw(ValueError('a "b"\nc'))
    assert error_of(ask("reload", option)) == 'a "b"\nc'
    assert "unknown or ambiguous option '--bogus'" in error_of(ask("--bogus", option))
    assert "nonsense" in error_of(ask("nonsense", option))
    assert "MARK is missing" in error_of(ask("mark", option))
    assert "caf?" in error_of(ask("caf\udce9", option))  # a byte that is no UTF-8
    broken = tmp_path / "broken.yaml"
    broken.write_text("interface: eth0\nvips: []\nmoed: auto\n", encoding="ascii")
    assert f'{broken}:3:1: unknown key "moed"' in error_of(waymark(option, "ring", "web", "-c", broken))


def test_warnings_are_json_if_the_answer_is(ask):
    ask.daemon.replies["flows"] = REPLIES["flows"] | {"total": 2}
    result = ask("flow", "--json")
    assert result.code == 0 and result.json()["total"] == 2
    assert json.loads(result.err) == {"ok": True, "exit": 0,
                                      "warning": "there are more flows than shown; see --max"}


# --- narrow terminals ---

LONG = {"vip": "a-name-of-a-service-that-is-rather-long", "name": "a-name-of-a-service-that-is-rather-long",
        "address": "2001:db8:1234:5678:9abc:def0:1234:5678"}


def on_terminal(path, columns, *args):
    """What a command writes on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen([WAYMARK, "--socket", path, *args], stdin=subprocess.DEVNULL, stdout=theirs,
                             env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    os.close(theirs)
    text = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while piece := os.read(ours, 65536):
            text += piece
    os.close(ours)
    assert child.wait(PATIENCE) == 0
    return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("command", [
    ["status"], ["vip"], ["real"], ["dest"], ["flow"], ["flow", *FLOW_ARGS], ["mark", "5"],
    ["stats", "--all"], ["ring", "web"], ["where", *FLOW_ARGS], ["reload"], ["xsk", "stats"]],
    ids=lambda c: " ".join(c[:2]))
def test_nothing_is_wider_than_the_terminal(ask, command):
    for name, reply in ask.daemon.replies.items():
        if isinstance(reply, list):
            ask.daemon.replies[name] = [row | {k: v for k, v in LONG.items() if k in row} for row in reply]
    wide = ask(*command).out
    for columns in (40, 57, 80):
        text = on_terminal(ask.daemon.path, columns, *command)
        assert max(map(len, text.splitlines())) <= columns, text
        assert ask(*command, COLUMNS=str(columns)).out == text
        # Nothing is left out, in whatever lines it is.
        letters = "".join(text.split())
        assert all(word in letters for word in wide.split()), text


def test_rows_become_blocks_where_a_table_does_not_fit(ask):
    rows = ask("real", COLUMNS="40").out.split("\n\n")
    assert len(rows) == 2
    block = dict(line.split(None, 1) for line in rows[1].splitlines())
    assert block["REAL"].strip() == "10.200.2.13" and block["WHY"].strip() == "it is drained by hand"
    assert ask("real", COLUMNS="300").out == ask("real").out
    assert ask("real", "--raw", COLUMNS="40").out == ask("real", "--raw").out
    assert ask("real", "--no-headings", COLUMNS="40").out == ask("real", "--no-headings").out
    assert ask("real", "--json", COLUMNS="40").out == ask("real", "--json").out


# --- a configuration instead of a daemon ---

CONFIG = """\
interface: eth0
vips:
  - name: web
    address: 10.200.1.1
    port: 80
    protocol: tcp
    reals:
      - { address: 10.200.2.11, weight: 100 }
      - { address: 10.200.2.12, weight: 100 }
      - { address: 10.200.2.13, weight: 0 }
  - name: empty
    address: fc00::1
    port: 53
    protocol: udp
    reals:
      - { address: fc00::11, weight: 0 }
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "waymark.yaml"
    path.write_text(CONFIG)
    return path


def test_ring_of_a_configuration(config):
    data = waymark("ring", "web", "-c", config, "--json", "--raw").json()
    assert list(data) == list(REPLIES["ring"])
    assert data["vip"] == "web"
    assert data["reals"] == ["10.200.2.11", "10.200.2.12", "10.200.2.13"]
    assert len(data["slot"]) == 65537 and set(data["slot"]) == {0, 1}
    assert 0.45 < data["slot"].count(0) / 65537 < 0.55
    rows = waymark("ring", "10.200.1.1:80/tcp", "--config", config, "--no-headings").rows()
    assert rows == [[str(i), data["reals"][index]] for i, index in enumerate(data["slot"])]


def test_ring_without_reals(config):
    assert set(waymark("ring", "empty", "-c", config, "--json").json()["slot"]) == {-1}


def test_where_of_a_configuration_agrees_with_its_ring(config):
    ring = waymark("ring", "web", "-c", config, "--json").json()
    for port in (1, 80, 4711, 65535):
        data = waymark("where", "tcp", f"10.0.0.3:{port}", "10.200.1.1:80", "-c", config,
                       "--json").json()
        assert list(data) == list(WHERE)
        assert (data["vip"], data["flow"], data["dest"]) == ("web", None, None)
        assert data["source"] == f"10.0.0.3:{port}" and data["destination"] == "10.200.1.1:80"
        assert data["real"] == ring["reals"][ring["slot"][data["slot"]]]
        assert re.fullmatch(r"172\.16\.\d+\.\d+", data["outer_source"])


def test_where_a_configuration_has_nobody(config):
    data = waymark("where", "udp", "[fc00::9]:1", "[fc00::1]:53", "-c", config, "--json").json()
    assert (data["vip"], data["real"], data["outer_source"]) == ("empty", None, None)
    data = waymark("where", "tcp", "10.0.0.3:1", "10.200.1.1:81", "-c", config, "--json").json()
    assert (data["vip"], data["slot"], data["real"]) == (None, None, None)


def test_a_configuration_that_is_wrong(config, tmp_path):
    config.write_text(CONFIG.replace("weight: 100", "weight: heavy", 1))
    result = waymark("ring", "web", "-c", config)
    assert (result.code, result.out) == (1, "") and f"{config}:8:" in result.err
    result = waymark("ring", "web", "-c", tmp_path / "none.yaml")
    assert result.code == 1 and "none.yaml" in result.err and "not running" not in result.err


def test_what_a_configuration_cannot_say(config):
    result = waymark("ring", "nope", "-c", config)
    assert result.code == 1 and "no vip 'nope'" in result.err
    result = waymark("where", "tcp", "[fc00::9]:1", "10.200.1.1:80", "-c", config)
    assert result.code == 1 and "families" in result.err


# --- one table: help, completion, manual, protocol ---


@pytest.fixture(scope="module")
def table():
    return waymark("help", "--json").json()


@pytest.fixture(scope="module")
def manual():
    return waymark("help", "--man").out


@pytest.fixture(scope="module")
def protocol():
    return read_protocol(WAYMARK)


@pytest.fixture(scope="module")
def protocol_page():
    return waymark("help", "--protocol").out


@pytest.fixture(scope="module")
def completion(tmp_path_factory):
    """Asks bash what the script offers for a command line; its last word is
    being typed."""
    script = tmp_path_factory.mktemp("completion") / "waymark.bash"
    script.write_text(waymark("help", "--completion").out)

    def offers(*words, path=os.environ["PATH"], program="waymark", **env):
        code = (f'source {script}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                'compopt() { :; }; _waymark; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", code, "bash", "--", program, *words],
                              env={"PATH": path, **env}, capture_output=True, text=True,
                              timeout=PATIENCE, check=True)
        assert done.stderr == ""
        return done.stdout.split()
    offers.script = script
    return offers


def test_completion_of_a_command_that_is_a_program(completion):
    assert completion("--pro", program="waymark-size") == completion("size", "--pro") != []
    assert completion("--protocol", "", program="/usr/sbin/waymark-size") == ["tcp", "udp"]
    assert "--json" in completion("--", program="waymark-size")


def options_of(entry):
    return {"--" + option["name"] for option in entry["options"]}


def test_help_names_every_command_and_option(table):
    overview = waymark("help").out
    commands = overview.partition("Commands:\n")[2].partition("\nOptions")[0]
    names = re.findall(r"^  (\w+(?: \w+)?)  ", commands, re.M)
    assert names == [command["name"] for command in table["commands"]]
    assert set(re.findall(r"--[\w-]+", overview)) == options_of(table)
    for command in table["commands"]:
        text = waymark("help", *command["name"].split()).out
        found = set(re.findall(r"--[\w-]+", text.partition("\nJSON keys")[0]))
        assert found - options_of(table) == options_of(command)
        assert text == waymark(*command["name"].split(), "--help").out
        for argument in command["arguments"]:
            assert argument["name"] in text.splitlines()[0]
        for key in command["keys"]:
            assert re.search(rf"^  {re.escape(key)}\s", text, re.M), key


def test_help_fits_a_terminal(table):
    for command in [[], *(c["name"].split() for c in table["commands"])]:
        text = waymark("help", *command).out.partition("\nExample")[0].partition("\n\n")[2]
        assert max(map(len, text.splitlines())) <= 80, command


def test_help_on_a_group():
    assert re.findall(r"^  softnic (\w+)", waymark("help", "softnic").out, re.M) == [
        "attach", "detach", "wire"]


def test_examples_are_valid_command_lines(table, config, tmp_path):
    """Each example of the manual passes the checks of arguments: it fails for
    want of a daemon, of root or of a device, never for its form. That of `size` computes for
    a while on a machine that has other things to do."""
    for command in table["commands"]:
        text = waymark("help", *command["name"].split()).out
        example = text.partition("Example:\n")[2].strip()
        words = re.search(r"waymark ((?:(?!waymark )[^|&])*?)(?: \||$)", example).group(1).split()
        if command["name"].startswith(("decap", "softnic", "xsk", "queue", "nic")):
            words.append("--help")  # but not as root: they would do it
        words = [str(config) if word.endswith(".yaml") else word for word in words]
        result = waymark(*words, socket_path=tmp_path / "nobody.sock", patience=10 * PATIENCE)
        assert result.code in (0, 3), (example, result.err)


def test_manual_names_every_command_and_option(table, manual):
    body = manual.partition(".Sh COMMANDS\n")[2].partition("\n.Sh JSON")[0]
    entries = re.split(r"^\.It Cm ", body, flags=re.M)[1:]
    plain = [entry.replace("\\&", "").replace("\\ ", " ") for entry in entries]
    assert len(plain) == len(table["commands"])
    for entry, command in zip(plain, table["commands"]):
        assert re.match(rf"{command['name']}( |\n)", entry)
        found = {"--" + name for name in re.findall(r"^\.It .*Fl Fl ([\w-]+)", entry, re.M)}
        assert found == options_of(command)
    head = manual.partition(".Sh COMMANDS")[0]
    found = {"--" + name for name in re.findall(r"^\.It .*Fl Fl ([\w-]+)", head, re.M)}
    assert found == options_of(table)


def test_manual_promises_every_key(table, manual):
    body = manual.partition(".Sh JSON\n")[2].partition("\n.Sh ")[0]
    promised = set(re.findall(r"^\.It Li \\&(.*)$", body, re.M))
    assert promised >= {key.replace("-", r"\-") for c in table["commands"] for key in c["keys"]}


def test_manual_names_exit_codes_and_files(table, manual):
    codes = re.findall(r"^\.It (\d)$", manual.partition(".Sh EXIT STATUS")[2], re.M)
    assert codes == [str(entry["code"]) for entry in table["exit_codes"]] == [
        "0", "1", "2", "3", "4", "5"]
    assert ".It Ev WAYMARK_SOCKET" in manual and ".It Pa /run/waymark/control.sock" in manual


def test_the_page_of_the_protocol_has_each_argument_and_key_with_its_type(protocol, protocol_page):
    body = protocol_page.partition(".Sh REQUESTS\n.Bl -tag -width Ds\n")[2]
    requests = re.split(r"^\.It Li \\&(\w+)\n", body, flags=re.M)[1:]
    assert requests[::2] == list(protocol)
    for name, text in zip(requests[::2], requests[1::2]):
        row = protocol[name]
        found = re.findall(r"^\.It Li \\&(\S+) No \((.*)\)$", text, re.M)
        arguments = [(a["name"], a["type"] + ("" if a["needed"] else ", optional"))
                     for a in row["arguments"]]
        assert found[:len(arguments)] == arguments
        keys = [(key.replace("\\-", "-"), re.split("[,;]", kind)[0])
                for key, kind in found[len(arguments):]]
        assert keys == list(zip(keys_of(row), (f["type"] for f in (row["keys"] or []) +
                                               (row["rows"] or []))))
    assert "or null; its object may be null" in dict(re.findall(r"&(\S+) No \((.*)\)$", body, re.M))["rule.real"]


@pytest.mark.parametrize("page,title", [("waymark", "WAYMARK(8)"), ("waymarkd", "WAYMARKD(8)"),
                                        ("protocol", "WAYMARK-PROTOCOL(7)")])
def test_manual_pages_format_without_complaint(page, title, manual, protocol_page, tmp_path):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    source = ROOT / "Documentation/man/waymarkd.8"
    if page != "waymarkd":
        source = tmp_path / page
        source.write_text(manual if page == "waymark" else protocol_page)
    done = subprocess.run(["groff", "-mdoc", "-ww", "-Tutf8", "-Kutf8", source],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    text = re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)
    assert re.search(r"^DESCRIPTION$", text, re.M) and title in text
    assert title.endswith("(7)") or re.search(r"^SYNOPSIS$", text, re.M)
    assert not re.search(r"^\s*\.[A-Z][a-z]\b", text, re.M), "a macro that is not one"


def test_each_sentence_of_the_manual_begins_a_line(manual, protocol_page):
    for page, least in ((manual, 20), (protocol_page, 5)):
        assert len(re.findall(r"[a-z)][.!?]\n[A-Z]", page)) > least
        assert re.findall(r".*[a-z)][.!?] [A-Z].*", page) == []


def test_manual_has_no_empty_paragraphs(manual):
    assert ".Pp\n" in manual and ".Pp\n.Bl" not in manual


def test_completion_offers_every_command_and_option(table, completion):
    firsts = list(dict.fromkeys(c["name"].split()[0] for c in table["commands"]))
    assert completion("") == firsts
    assert completion("--js") == ["--json"]
    for command in table["commands"]:
        words = command["name"].split()
        assert set(completion(*words, "--")) == options_of(command) | options_of(table)
        if len(words) == 2:
            assert words[1] in completion(words[0], "")


def test_completion_of_arguments_and_values(completion):
    assert completion("st") == ["status", "stats"]
    assert completion("--json", "--timeout", "3", "fl") == ["flow"]
    assert completion("flow", "") == ["tcp", "udp"]
    assert completion("flow", "tcp", "") == []
    assert completion("decap", "attach", "--mode", "") == ["auto", "xdp", "tc"]
    assert completion("real", "disable", "") == []
    assert completion("real", "disable", "--v") == ["--vip", "--version"]
    assert "lo" in completion("decap", "attach", "")
    assert "lo" in completion("softnic", "attach", "x", "--to", "l")
    assert completion("stats", "-w", "") == []
    assert "status" in completion("help", "")
    assert completion("ring", "web", "-c", "/etc/host")[0].startswith("/etc/host")


def test_completion_of_vips_asks_the_daemon(completion, daemon, tmp_path):
    path = f"{BUILD}:{os.environ['PATH']}"
    env = {"path": path, "WAYMARK_SOCKET": str(daemon.path)}
    assert completion("real", "", **env) == ["disable", "drain", "enable", *(vip["name"] for vip in VIPS)]
    assert completion("ring", "dns-", **env) == ["dns-tcp"]
    name = f"$(touch${{IFS}}{tmp_path}/ran)"
    daemon.replies["vip"] = [VIPS[0] | {"name": name}, VIPS[0] | {"name": "[fc00::1]:53/udp"}]
    offered = completion("ring", "", **env)
    assert not (tmp_path / "ran").exists(), "a name is not a command"
    assert offered[1] == "[fc00::1]:53/udp"
    echo = subprocess.run(["bash", "-c", f"printf %s {offered[0]}"], capture_output=True, text=True,
                          timeout=PATIENCE, check=True)
    assert echo.stdout == name and not (tmp_path / "ran").exists()
    env["WAYMARK_SOCKET"] = str(tmp_path / "nobody.sock")
    assert completion("ring", "", **env) == [], "without a daemon it keeps quiet"


def test_completion_script_is_clean(completion):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", completion.script], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout


def test_the_command_knows_what_it_is():
    assert re.fullmatch(r"waymark \d+\.\d+\.\d+\n", waymark("version").out)
    assert waymark("--version").out == waymark("version").out
    assert waymark("version").out.split()[1] == waymark("version", "--json").json()["version"]


# --- the protocol: one table for daemon, command line and manual ---


def test_every_request_can_be_asked_for(table, protocol):
    asked = {request for command in table["commands"] for request in command["requests"]}
    assert asked == set(protocol) == set(REPLIES)


def test_every_key_of_the_protocol_is_promised(table, protocol):
    for command in table["commands"]:
        for request, promised in command["requests"].items():
            assert promised == keys_of(protocol[request])
    assert {f"counters.{name}" for name in COUNTERS} < set(keys_of(protocol["stats"]))


def test_commands_send_what_the_protocol_has(table, protocol):
    """Each argument of a request is an argument or an option of its command, and nothing that
    is needed can be left out."""
    for command in table["commands"]:
        own = [argument["key"] for argument in command["arguments"]]
        options = {option["name"] for option in command["options"]}
        bare = len(command["requests"]) > 1  # another request without arguments
        for request in command["requests"]:
            for argument in protocol[request]["arguments"]:
                assert argument["name"] in own or argument["name"] in options, request
                for word in command["arguments"]:
                    if word["key"] == argument["name"]:
                        assert word["optional"] == (bare or not argument["needed"]), request
        assert None not in own if command["requests"] else set(own) <= {None}


def without_the_future(request):
    """The reply of the daemon of this file without what a newer one would add."""
    data = json.loads(json.dumps(REPLIES[request]))
    if request == "stats":
        del data["counters"]["from_the_future"]
    return data


@pytest.mark.parametrize("request_name", REPLIES)
def test_the_replies_of_this_file_have_the_keys_of_the_table(protocol, request_name):
    """They are written out here, so no key goes, or changes its type, without this failing."""
    assert faults_of(protocol[request_name], without_the_future(request_name)) == []


def test_objects_that_are_there_or_not_have_the_keys_of_the_table(protocol):
    where = {"dest": 2, "real": "10.200.2.12"}
    assert faults_of(protocol["where"], WHERE | {"flow": where}) == []
    assert faults_of(protocol["where"], WHERE | {"flow": where | {"new": 1}})
    assert faults_of(protocol["flow"], REPLIES["flow"] | {"rule": None}) == []
    first = {key: value for key, value in STATUS.items() if key != "last_reload"}
    assert faults_of(protocol["status"], first) == []
    assert faults_of(protocol["status"], STATUS | {"last_reload": None})


def objects_in(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    if isinstance(value, dict):
        yield value
    for one in inner:
        yield from objects_in(one)


@pytest.mark.parametrize("request_name", REPLIES)
def test_the_check_of_replies_finds_what_is_wrong(protocol, request_name):
    """Each key of each object, taken away, replaced, or with a stranger beside it."""
    row = protocol[request_name]
    data = without_the_future(request_name)
    for one in list(objects_in(data)):
        for key in list(one):
            kept = one.pop(key)
            if key != "last_reload":  # absent before the first one
                assert faults_of(row, data), f"{key} is missing"
            one[key] = {"no": "such type"}
            assert faults_of(row, data), f"{key} is an object"
            one[key] = kept
        one["stranger"] = 1
        assert faults_of(row, data), "a stranger"
        del one["stranger"]
    assert faults_of(row, data) == []


@pytest.mark.parametrize("request_name", REPLIES)
def test_keys_of_a_newer_daemon_are_passed_over(ask, request_name):
    """In every object, at every depth; and --json passes them on."""
    words = [*command_of(request_name), *ASKING[request_name]]
    before = [ask(*words).out, ask(*words, "--raw").out]
    data = json.loads(json.dumps(REPLIES[request_name]))
    for i, one in enumerate(list(objects_in(data))):
        one[f"newer_{i}"] = [{"deep": [1]}, None]
    ask.daemon.replies[request_name] = data
    assert [ask(*words).out, ask(*words, "--raw").out] == before
    assert ask(*words, "--json").json() == data != REPLIES[request_name]
