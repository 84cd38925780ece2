#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The backend `flower` on netdevsim with the series; runs inside the guest.

    flower_guest.py BUILD

Two linked netdevsim devices from the kernel's own test library: the peer sends, the
device under test (dut) has the flow table of 4096 entries. Each run of flower_tool opens
the backend anew, so it is also what a restarted daemon would do.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from statistics import median
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.append(os.environ["KSFT"] + "/drivers/net/netdevsim")

# pylint: disable=wrong-import-position,import-error
from lib.py import ACK, FIN, RST, SYN, NsimPair, cmd, defer, ethtool, wait_for  # noqa: E402
from lib.py import ksft_eq, ksft_exit, ksft_in, ksft_run, ksft_true  # noqa: E402

BUILD = Path(sys.argv[1])
TOOL = BUILD / "selftests/vm/flower_tool"
CAPACITY = 4096
PATIENCE = 60  # seconds for a condition: the guest is emulated
ODD = 50000  # flow_tool's flows from here on are refused by every NIC


class Tool:
    """flower_tool kept open, as the daemon keeps its backend."""

    def __init__(self, pair):
        self.child = subprocess.Popen(
            ["nsenter", f"--net=/var/run/netns/{pair.dut.netns}", TOOL, pair.dut.ifname],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        defer(self.close)

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return list(iter(lambda: self.child.stdout.readline().strip(), "."))

    def install(self, first, count, mark):
        """The results that occur."""
        return {line.split()[1] for line in self.ask(f"install {first} {count} {mark}")}

    def close(self):
        if self.child.returncode is None:
            self.child.communicate(timeout=20)


def tool(pair, command):
    """One run: (lines, what it logged)."""
    done = pair.dut.run(f"{TOOL} {pair.dut.ifname} {command}", fail=False, timeout=120)
    return [line for line in done.stdout.splitlines() if line != "."], done.stderr


def install(pair, first, count, mark):
    """Results in order, and the log."""
    lines, log = tool(pair, f"install {first} {count} {mark}")
    ksft_eq([int(line.split()[0]) for line in lines], list(range(first, first + count)))
    return [line.split()[1] for line in lines], log


def remove(pair, first, count):
    return [line.split()[1] for line in tool(pair, f"remove {first} {count}")[0]]


def rules(pair):
    """What the backend lists: {client's port: (protocol, source, mark, packets, bytes, used)}."""
    found = {}
    for line in tool(pair, "list")[0]:
        f = line.split()
        found[int(f[3])] = (f[1], f[2], int(f[7]), int(f[9]), int(f[11]), f[13] == "1")
    return found


def filters(pair):
    """What tc sees."""
    out = pair.dut.tc(f"-s -j filter show dev {pair.dut.ifname} ingress", timeout=60).stdout
    return [f for f in json.loads(out) if "keys" in f.get("options", {})]


def in_nic(pair):
    """What netdevsim's own table holds."""
    return pair.dut.debugfs("flow_table/rules").read_text().splitlines()


def offload(pair):
    """Switch rules on, and take away all that a test leaves behind."""
    pair.dut.ethtool_on("hw-tc-offload")
    defer(pair.dut.tc, f"qdisc del dev {pair.dut.ifname} clsact", fail=False)


def off_is_said(pair):
    lines, _ = tool(pair, "list")
    ksft_in(f"ethtool -K {pair.dut.ifname} hw-tc-offload on", lines[0])
    ksft_eq(pair.dut.tc(f"qdisc show dev {pair.dut.ifname} clsact").stdout, "")


def thousand_rules(pair):
    offload(pair)
    results, log = install(pair, 0, 1000, 77)
    ksft_eq(set(results), {"0"})
    ksft_eq(log, "")
    seen = filters(pair)
    ksft_eq(len(seen), 1000)
    ksft_true(all(f["options"]["in_hw"] and f["options"]["skip_sw"] for f in seen))
    ksft_eq({f["options"]["actions"][0]["mark"] for f in seen}, {77})
    hardware = in_nic(pair)
    ksft_eq(len(hardware), 1000)
    for line in hardware:
        ksft_eq("tcp_flags 0x0/0x7" in line, "proto 6 " in line, line)


def found_again(pair):
    offload(pair)
    install(pair, 0, 600, 1)
    install(pair, 600, 400, 65535)
    found = rules(pair)
    ksft_eq(sorted(found), list(range(1000, 2000)))
    for port, (proto, source, mark, *_) in found.items():
        n = port - 1000
        ksft_eq((proto, source, mark),
                ("tcp" if n & 1 else "udp", "2001:db8::2" if n & 2 else "192.0.2.2",
                 1 if n < 600 else 65535))


def replaced(pair):
    """Under the same handle: neither a second rule nor a moment without one."""
    offload(pair)
    install(pair, 0, 10, 5)
    handles = sorted((f["pref"], f["options"]["handle"]) for f in filters(pair))
    ksft_eq(set(install(pair, 0, 10, 6)[0]), {"0"})
    ksft_eq({rule[2] for rule in rules(pair).values()}, {6})
    ksft_eq(sorted((f["pref"], f["options"]["handle"]) for f in filters(pair)), handles)
    ksft_eq(len(in_nic(pair)), 10)


def counters(pair):
    """Hits of frames that the peer sends; SYN, FIN and RST pass the rule by."""
    offload(pair)
    install(pair, 0, 4, 9)
    ksft_eq({rule[3:] for rule in rules(pair).values()}, {(0, 0, False)})
    sizes = []
    for n, (proto, family) in enumerate((("udp", 4), ("tcp", 4), ("udp", 6), ("tcp", 6))):
        flow = pair.flow(proto, family, sport=1000 + n, dport=80)
        sizes.append(pair.send(flow, b"x" * 40, count=n + 1))
        for flags in (SYN, FIN | ACK, RST):
            if proto == "tcp":
                pair.send(flow, b"x", flags=flags)
        pair.send(pair.flow(proto, family, sport=1000 + n, dport=81), b"not a rule's")
    ksft_true(wait_for(lambda: [rules(pair)[1000 + n][3] for n in range(4)] == [1, 2, 3, 4],
                       PATIENCE))
    found = rules(pair)
    ksft_eq([found[1000 + n][4] for n in range(4)], [(n + 1) * sizes[n] for n in range(4)])
    ksft_true(all(found[1000 + n][5] for n in range(4)))


def removed(pair):
    offload(pair)
    install(pair, 0, 20, 5)
    ksft_eq(set(remove(pair, 0, 10)), {"0"})
    ksft_eq(sorted(rules(pair)), list(range(1010, 1020)))
    ksft_eq(set(remove(pair, 0, 10)), {"ENOENT"})
    ksft_eq(set(remove(pair, 10, 10)), {"0"})
    ksft_eq(in_nic(pair), [])


def table_full(pair):
    offload(pair)
    results, log = install(pair, 0, CAPACITY + 300, 5)
    ksft_eq(results, ["0"] * CAPACITY + ["ENOSPC"] * 300)
    ksft_eq(log.count(f"flow table full ({CAPACITY} rules)"), 1)
    ksft_eq(len(rules(pair)), CAPACITY)
    # replacing takes a free entry; without one the old rule stays
    ksft_eq(install(pair, 0, 1, 6)[0], ["ENOSPC"])
    ksft_eq(rules(pair)[1000][2], 5)
    ksft_eq(remove(pair, 0, 1), ["0"])
    ksft_eq(install(pair, CAPACITY, 1, 5)[0], ["0"])


def refused_in_the_middle(pair):
    offload(pair)
    results, log = install(pair, ODD - 3, 6, 5)
    ksft_eq(results, ["0"] * 3 + ["EOPNOTSUPP"] * 3)
    ksft_eq(log.count("only TCP and UDP can be matched"), 1)
    ksft_eq(len(in_nic(pair)), 3)
    ksft_eq(remove(pair, ODD, 1), ["ENOENT"])


def mark_too_wide(pair):
    offload(pair)
    ksft_eq(install(pair, 0, 2, 65536)[0], ["ERANGE"] * 2)
    ksft_eq(in_nic(pair), [])


def add_foreign(pair, pref, more="skip_sw"):
    pair.dut.tc(f"filter add dev {pair.dut.ifname} ingress protocol ip pref {pref} flower {more} "
                "ip_proto udp src_ip 192.0.2.2 dst_ip 192.0.2.1 src_port 7 dst_port 8 "
                "action skbedit mark 1234")


def foreign_mark(pair):
    """Somebody else's rule with a mark like ours: named, left alone, not counted as ours."""
    offload(pair)
    install(pair, 0, 2, 5)
    add_foreign(pair, 3)
    lines, log = tool(pair, "list")
    ksft_eq(len(lines), 2)
    ksft_in("flower filter with pref 3 handle 0x1", log)
    ksft_in("mark 1234", log)
    ksft_eq(set(remove(pair, 0, 2)), {"0"})
    ksft_eq(len(in_nic(pair)), 1)


def foreign_pref(pair):
    """Somebody else's rule where ours belong: refused, naming it."""
    offload(pair)
    pair.dut.tc(f"qdisc add dev {pair.dut.ifname} clsact")
    add_foreign(pair, 11)
    lines, _ = tool(pair, "list")
    ksft_in("EBUSY", lines[0])
    ksft_in("pref 11 handle 0x1", lines[0])
    ksft_eq(len(in_nic(pair)), 1)


def qdisc_taken_away(pair):
    """The rules are gone with it; the next batch but one works again."""
    offload(pair)
    backend = Tool(pair)
    ksft_eq(backend.install(0, 10, 5), {"0"})
    pair.dut.tc(f"qdisc del dev {pair.dut.ifname} clsact")
    ksft_eq({line.split()[1] for line in backend.ask("remove 0 1")}, {"ENOENT"})
    ksft_eq(backend.ask("list"), [])
    ksft_eq(backend.install(0, 10, 5), {"0"})
    pair.dut.tc(f"qdisc del dev {pair.dut.ifname} clsact")
    ksft_eq(backend.install(10, 1, 5), {"EINVAL"})
    ksft_eq(backend.install(10, 1, 5), {"0"})
    ksft_eq(len(in_nic(pair)), 1)


def device_reloaded(pair):
    """Another device under the old name: nothing on it, and it needs the switch again."""
    offload(pair)
    backend = Tool(pair)
    ksft_eq(backend.install(0, 10, 5), {"0"})
    before = pair.dut.ifindex
    pair.dut.run(f"devlink dev reload netdevsim/netdevsim{pair.dut.dev.addr}")
    pair.dut.reloaded()
    pair.link()
    ksft_true(pair.dut.ifindex != before)
    ksft_eq({line.split()[1] for line in backend.ask("remove 0 1")}, {"ENOENT"})
    ksft_eq(backend.install(0, 1, 5), {"EOPNOTSUPP"})
    ethtool(f"-K {pair.dut.ifname} hw-tc-offload on", ns=pair.dut.netns)
    ksft_eq(backend.install(0, 10, 5), {"0"})
    ksft_eq(len(backend.ask("list")), 10)
    ksft_eq(len(in_nic(pair)), 10)
    log = backend.child.communicate(timeout=20)[1]
    ksft_in("is another device than before", log)
    ksft_in("hw-tc-offload", log)


def device_gone(pair):
    """Every answer is an error, none takes long, and none is a rule."""
    with NsimPair() as other:
        ethtool(f"-K {other.dut.ifname} hw-tc-offload on", ns=other.dut.netns)
        backend = Tool(other)
        ksft_eq(backend.install(0, 10, 5), {"0"})
        pair.dut.run(f"ip -n {other.dut.netns} link set dev {other.dut.ifname} name elsewhere")
        ksft_eq(backend.ask("list"), ["list ENODEV"])
        ksft_eq(backend.install(10, 1, 5), {"ENODEV"})
        backend.close()


def tc_line(pair, n):
    proto = "tcp" if n & 1 else "udp"
    net = ("protocol ipv6 pref 12", "2001:db8::2", "2001:db8::1") if n & 2 else \
        ("protocol ip pref 11", "192.0.2.2", "192.0.2.1")
    return (f"filter add dev {pair.dut.ifname} ingress {net[0]} handle {n + 1} flower skip_sw "
            f"ip_proto {proto} src_ip {net[1]} dst_ip {net[2]} src_port {1000 + n} dst_port 80 "
            f"{'tcp_flags 0x0/0x7 ' if n & 1 else ''}action skbedit mark 5")


def clock(action):
    start = time.monotonic_ns()
    action()
    return time.monotonic_ns() - start


def empty(pair):
    pair.dut.tc(f"qdisc del dev {pair.dut.ifname} clsact", fail=False)
    pair.dut.tc(f"qdisc add dev {pair.dut.ifname} clsact")


def rate(pair):
    """Rules a second against tc, in the same guest. Ratios only: this is emulation."""
    offload(pair)
    count, single = 2000, 40
    empty(pair)
    ours = int(tool(pair, f"time 0 {count} 5")[0][-1].split()[1])
    ksft_eq(len(in_nic(pair)), count)

    empty(pair)
    path = Path(f"/tmp/flower-{os.getpid()}.tc")
    path.write_text("".join(tc_line(pair, n) + "\n" for n in range(count)), encoding="ascii")
    defer(path.unlink)
    batch = clock(lambda: pair.dut.tc(f"-batch {path}", timeout=300))
    ksft_eq(len(in_nic(pair)), count)

    empty(pair)
    # What starting any process from here costs is not tc's; in turn, as it varies.
    one, none = zip(*((clock(lambda n=n: pair.dut.tc(tc_line(pair, n))),
                       clock(lambda: pair.dut.run("true"))) for n in range(single)))
    ksft_eq(len(in_nic(pair)), single)
    ours, batch, one = ours / count, batch / count, max(median(one) - median(none), 1)
    print(f"# rule rate: backend / tc -batch = {batch / ours:.1f}, "
          f"backend / one tc a rule = {one / ours:.0f}")


# --- the daemon on it ---

VIP = "192.0.2.100"


class Daemon:
    """waymarkd on the device under test, one UDP vip, the peer as its real."""

    def __init__(self, pair, backend="auto"):
        self.pair = pair
        self.dir = Path(tempfile.mkdtemp(prefix="flower-"))
        defer(shutil.rmtree, self.dir)
        self.config = self.dir / "waymark.yaml"
        self.config.write_text(
            f"interface: {pair.dut.ifname}\ngateway: '{pair.peer.mac}'\n"
            f"pin: /sys/fs/bpf/flower-{os.getpid()}\ncontrol: {self.dir}/control.sock\n"
            f"offload: {{ backend: {backend}, promote-after: 8, idle: 60s }}\n"
            "flow-table: { flows: 10k }\n"
            f"vips: [{{ address: {VIP}, port: 80, protocol: udp, "
            f"reals: [{{ address: {pair.peer.addr4} }}] }}]\n", encoding="ascii")
        self.log = self.dir / "log"
        self.child = None

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.child = subprocess.Popen(
                ["nsenter", f"--net=/var/run/netns/{self.pair.dut.netns}",
                 BUILD / "waymarkd", "--detach", "-c", self.config], stdout=log, stderr=log)
        if not wait_for(lambda: self.cli("status").ret == 0, PATIENCE):
            raise AssertionError(f"waymarkd does not answer: {self.log.read_text()}")

    def kill(self):
        self.child.kill()
        self.child.wait(30)

    def stop(self):
        """With program and rules, as it was started with --detach."""
        if self.child and self.child.returncode is None:
            self.child.terminate()
            self.child.wait(30)

    def cli(self, words):
        return cmd(f"{BUILD}/waymark --socket {self.dir}/control.sock --json {words}", fail=False)

    def ask(self, words):
        return json.loads(self.cli(words).stdout)


def send_to_vip(pair, count, sport=4000):
    pair.send(("udp", pair.peer.addr4, sport, VIP, 80), b"payload", count=count)


def active(daemon):
    return daemon.ask("status")["offload"]["rules"]


def daemon_promotes(pair):
    """auto takes the NIC; a flow that proved itself gets a rule; its packets are counted; a
    daemon that was killed finds the rule again; --detach takes it away."""
    offload(pair)
    daemon = Daemon(pair)
    daemon.start()
    defer(daemon.stop)
    ksft_eq(daemon.ask("status")["offload"]["backend"], "flower")
    send_to_vip(pair, 20)
    ksft_true(wait_for(lambda: active(daemon) == 1, PATIENCE), daemon.log.read_text())
    ksft_eq(len(in_nic(pair)), 1)
    mark = filters(pair)[0]["options"]["actions"][0]["mark"]
    send_to_vip(pair, 5)
    ksft_true(wait_for(lambda: "packets 5" in in_nic(pair)[0], PATIENCE))

    daemon.kill()
    daemon.start()
    ksft_eq(active(daemon), 1)
    ksft_eq([f["options"]["actions"][0]["mark"] for f in filters(pair)], [mark])
    ksft_in("packets 5", in_nic(pair)[0])
    daemon.stop()
    ksft_eq(in_nic(pair), [])


def daemon_without_offload(pair):
    """auto: in software, with the reason in the log. flower: no start."""
    daemon = Daemon(pair)
    daemon.start()
    defer(daemon.stop)
    ksft_eq(daemon.ask("status")["offload"]["backend"], "none")
    ksft_in(f"ethtool -K {pair.dut.ifname} hw-tc-offload on", daemon.log.read_text())
    daemon.stop()
    daemon = Daemon(pair, "flower")
    done = pair.dut.run(f"{BUILD}/waymarkd -c {daemon.config}", fail=False, timeout=30)
    ksft_eq(done.ret, 1)
    ksft_in("hw-tc-offload on", done.stderr)


# --- the command that tries the device ---

def nic(pair, *options):
    """(exit code, answer, standard error)."""
    done = pair.dut.run(f"{BUILD}/waymark nic {pair.dut.ifname} --json {' '.join(options)}", fail=False,
                        timeout=120)
    return done.ret, json.loads(done.stdout), done.stderr


def nic_tries(pair):
    """What is taken is in the NIC and reads as it was sent; refusals have the driver's words; a
    rule of somebody else stays, and nothing else."""
    offload(pair)
    pair.dut.tc(f"qdisc add dev {pair.dut.ifname} clsact")
    add_foreign(pair, 3)
    code, said, log = nic(pair, "--count", "5000")
    ksft_eq((code, log), (0, ""))
    ksft_in("kfunc", said["lanes"])
    ksft_in("mac", said["lanes"])
    rows = {row["trial"]: row for row in said["trials"]}
    for row in rows.values():
        print("#", json.dumps(row))
        ksft_true(row["removed"] is not False, row["trial"])
        ksft_true(row["taken"] or row["error"], row["trial"])
    for name in ("pref-11", "pref-12", "tcp", "ipv6", "ipv6-tcp", "16-bits"):
        row = rows[f"mark-{name}"]
        ksft_eq((row["taken"], row["in_nic"], row["as_sent"]), (True, True, True), name)
    for name in ("mac-pref-11", "mac-tcp", "mac-ipv6-tcp", "mac-24-bits", "mac-and-mark"):
        row = rows[name]
        ksft_eq((row["taken"], row["in_nic"], row["as_sent"]), (True, True, True), name)
    ksft_eq(rows["mark-32-bits"]["taken"], False)
    ksft_true(rows["mark-32-bits"]["message"])
    ksft_eq((rows["software"]["taken"], rows["software"]["in_nic"]), (True, False))
    fit = said["fits"][0]
    ksft_eq((fit["rules"], fit["fit"], fit["error"]), ("mark", CAPACITY - 1, "ENOSPC"))
    ksft_in("flow table full", fit["message"])
    ksft_eq(len(in_nic(pair)), 1)
    ksft_eq([f["pref"] for f in filters(pair)], [3])


def nic_with_one_preference(pair):
    """As mlx5 without the capability ignore_flow_level."""
    offload(pair)
    knob = pair.dut.debugfs("flow_table/pref_max")
    knob.write_text("1")
    defer(knob.write_text, "65535")
    code, said, _ = nic(pair)
    rows = {row["trial"]: row for row in said["trials"]}
    ksft_eq(code, 0)
    for lane in ("mark", "mac"):
        ksft_eq([pref for pref in (1, 11, 12, 13, 14) if rows[f"{lane}-pref-{pref}"]["taken"]], [1])
        ksft_in("preference must be 1 to 1", rows[f"{lane}-pref-11"]["message"])


def nic_switches_on(pair):
    """Only if it is told to, and only meanwhile; the qdisc goes as well."""
    code, said, log = nic(pair)
    ksft_eq((code, said["hw_tc_offload"], said["switched_on"]), (4, "off", []))
    ksft_in(f"ethtool -K {pair.dut.ifname} hw-tc-offload on", log)
    code, said, _ = nic(pair, "--enable")
    ksft_eq((code, said["hw_tc_offload"], said["switched_on"]), (0, "off", ["hw-tc-offload"]))
    ksft_true(said["trials"][0]["in_nic"])
    off_is_said(pair)
    ksft_eq(in_nic(pair), [])


def nic_beside_a_daemon(pair):
    offload(pair)
    daemon = Daemon(pair)
    daemon.start()
    defer(daemon.stop)
    done = pair.dut.run(f"{BUILD}/waymark nic {pair.dut.ifname}", fail=False)
    ksft_eq(done.ret, 1)
    ksft_in(f"already served by waymarkd, pid {daemon.child.pid}", done.stderr)


def main():
    with NsimPair() as pair:
        ksft_run([off_is_said, thousand_rules, found_again, replaced, counters, removed,
                  table_full, refused_in_the_middle, mark_too_wide, foreign_mark, foreign_pref,
                  qdisc_taken_away, device_reloaded, device_gone, daemon_promotes,
                  daemon_without_offload, nic_tries, nic_with_one_preference,
                  nic_switches_on, nic_beside_a_daemon, rate], args=(pair,))
    ksft_exit()


if __name__ == "__main__":
    main()
