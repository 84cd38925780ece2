# SPDX-License-Identifier: GPL-2.0
"""The demo (scripts/demo): traffic through the balancer, with a live table.

Load: wrk with connections that stay open, over IPv4 and IPv6, so that flows
prove themselves; curl with a connection for each request; UDP echo. Half way
waymarkd is killed and started again: packets go on meanwhile.

The last line is "demo: requests=N failed=0 marked=P% reals=3". The exit code is
0 only if no request failed, more than 80 % of the packets were sent by their
mark, and every real answered.
"""
import argparse
import collections
import contextlib
import json
import signal
import subprocess
import sys
import threading
import time

import netns
from servers import Wrk, ask_udp, curl, start_nginx, start_udp_echo, udp_socket
from waymark import BUILD, Balancer, SoftNic, attach_decap

MARKED_MIN = 80  # percent
LANES = {"mac": "in the source address of the frame, as any kernel hands it over",
         "meta": "in front of the frame, as a kernel with the series can"}
DEAD_SECONDS = 1.5  # without a daemon
BAR = 30


class Worker(threading.Thread):
    """Asks one after the other until told to stop; counts who answered."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.over = ask, threading.Event()
        self.answers, self.failed, self.first_failure = collections.Counter(), 0, ""

    def run(self):
        while not self.over.is_set():
            try:
                self.answers[self.ask()] += 1
            except Exception as error:  # pylint: disable=broad-except
                self.failed += 1
                self.first_failure = self.first_failure or str(error)

    def finish(self):
        self.over.set()
        self.join(30)


def one_shots(topology):
    """curl: each request on a connection of its own, over both families."""
    turn = 0

    def ask():
        nonlocal turn
        turn += 1
        time.sleep(0.02)  # a trickle beside wrk's stream
        return curl(topology, (topology.vips if turn % 2 else topology.vips6)[0])
    return ask


def datagrams(topology):
    """A few UDP flows over both families, in turn; a new one comes and an old one goes."""
    socks = collections.deque(udp_socket(topology, (topology.vips if i % 2 else topology.vips6)[0])
                              for i in range(24))
    turn = 0

    def ask():
        nonlocal turn
        turn += 1
        if turn % 200 == 0:
            old = socks.popleft()
            socks.append(udp_socket(topology, old.getpeername()[0]))
            old.close()
        socks.rotate(-1)
        time.sleep(0.002)
        return ask_udp(socks[0], b"datagram %d" % turn)
    return ask


class View:
    """What the table shows; keeps the last numbers while no daemon answers."""

    def __init__(self, topology, balancer, nic, workers):
        self.topology, self.balancer, self.nic, self.workers = topology, balancer, nic, workers
        self.status, self.stats, self.share = {}, {}, {}
        self.promoted_before = 0  # by daemons that are gone
        self.started = time.monotonic()
        self.lines_drawn = 0
        self.note = ""

    def fetch(self):
        """False: nobody answers."""
        try:
            status, stats = self.balancer.ask("status"), self.balancer.ask("stats")
            if self.status and status["pid"] != self.status["pid"]:
                self.promoted_before = self.promoted()
            self.status, self.stats = status, stats
            packets = collections.Counter()
            names = {a: r.role for r in self.topology.reals for a in (r.address, r.address6)}
            for real in self.balancer.ask("real"):
                packets[names.get(real["address"], real["address"])] += real["packets"]
            total = sum(packets.values()) or 1
            self.share = {name: 100 * n / total for name, n in sorted(packets.items())}
            return True
        except (netns.Failed, json.JSONDecodeError):
            return False

    def promoted(self):
        return self.promoted_before + self.stats["offload"]["installed"]

    def marked(self):
        """Percent of the sent packets."""
        counters = self.stats.get("counters", {})
        sent = sum(n for name, n in counters.items() if name.startswith("tx_"))
        return 100 * counters.get("tx_marked", 0) / sent if sent else 0.0

    def draw(self):
        if self.stats:
            (self.draw_table if sys.stdout.isatty() else self.draw_line)()

    def draw_line(self):
        c, o = self.stats["counters"], self.stats["offload"]
        shares = " ".join(f"{name}={share:.0f}%" for name, share in self.share.items())
        print(f"{time.monotonic() - self.started:5.1f} s  flows={c['flow_insert']} "
              f"promoted={self.promoted()} rules={o['active']} packets: marked={c['tx_marked']} "
              f"table={c['tx_hit']} ring={c['tx_miss']} syn={c['tx_syn']} "
              f"marked={self.marked():.1f}%  {shares}  {self.note}".rstrip(), flush=True)

    def draw_table(self):
        c, o = self.stats["counters"], self.stats["offload"]
        sent = sum(n for name, n in c.items() if name.startswith("tx_")) or 1
        answered = sum(sum(w.answers.values()) for w in self.workers)
        lines = [f"{time.monotonic() - self.started:6.1f} s   "
                 f"{self.note or 'waymarkd ' + str(self.status.get('pid', '?'))}", ""]
        lines += [f"  flows      {c['flow_insert']:>12,}   promoted {self.promoted():,}, "
                  f"rules now {o['active']:,}"]
        for name, key in (("by mark", "tx_marked"), ("by flow table", "tx_hit"),
                          ("by ring", "tx_miss"), ("SYN, by ring", "tx_syn")):
            part = c[key] / sent
            lines.append(f"  {name:14} {c[key]:>10,} {100 * part:6.1f} %  {'#' * round(BAR * part)}")
        lines.append("")
        lines += [f"  {name:14} {'':10} {share:6.1f} %  {'#' * round(BAR * share / 100)}"
                  for name, share in self.share.items()]
        lines += ["", f"  curl and UDP   {answered:>10,} answered, "
                      f"{sum(w.failed for w in self.workers)} failed; wrk tells at the end"]
        if self.lines_drawn:
            print(f"\033[{self.lines_drawn}A", end="")
        print("\n".join(line + "\033[K" for line in lines), flush=True)
        self.lines_drawn = len(lines)


def supervise(view, seconds, kill):
    """Redraw until the time is over, and on a slow machine until a daemon that we killed is
    back. It may die by anybody."""
    balancer, dead_since, killed, again, told = view.balancer, None, not kill, False, not kill
    while (now := time.monotonic() - view.started) < seconds or not told:
        if not killed and now > seconds / 2 and view.stats:
            balancer.kill()
            killed = True
        if not balancer.daemon.running():
            dead_since = dead_since or now
            view.note = "waymarkd was killed: packets go on"
            if now - dead_since > DEAD_SECONDS:
                balancer.start()
                dead_since, again, view.note = None, True, ""
        elif view.fetch() and again:
            view.note = f"waymarkd {view.status['pid']} took over where the killed one was"
            told = True
        view.draw()
        time.sleep(0.5 if sys.stdout.isatty() else 1)
    if not balancer.daemon.running():
        balancer.start()


def verdict(view, wrks, workers, reals):
    """The last line. True: the demo succeeded."""
    answers, failed = collections.Counter(), 0
    for result in wrks:
        answers.update(result["answers"])
        failed += result["failed"]
    for worker in workers:
        answers.update(worker.answers)
        failed += worker.failed
        if worker.first_failure:
            print(f"demo: a request failed: {worker.first_failure}")
    used = [name for name in answers if name in reals]
    strangers = sum(n for name, n in answers.items() if name not in reals)
    failed += strangers
    percent = int(view.marked())
    print(f"demo: requests={sum(answers.values())} failed={failed} marked={percent}% "
          f"reals={len(used)}", flush=True)
    return failed == 0 and percent > MARKED_MIN and len(used) == len(reals)


def look_around(topology, balancer):
    lb = topology.lb.name
    print(f"""
Look around until Ctrl-C, in another terminal:
  {BUILD}/waymark -s {balancer.socket} stats --watch 1
  {BUILD}/waymark -s {balancer.socket} flow
  nsenter --net=/run/netns/{lb} ip -d link show eth0
  nsenter --net=/run/netns/{topology.client.name} curl http://{topology.vips[0]}/
  kill -9 {balancer.daemon.pid}
""", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()


def demo(options):
    with contextlib.ExitStack() as stack:
        print("demo: making namespaces, servers and the balancer", flush=True)
        topology = stack.enter_context(netns.Topology(vips=1))
        # From here on a second Ctrl-C shall not cut the clean-up short.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        nic = SoftNic(topology)
        attach_decap(topology)
        start_nginx(topology)
        start_udp_echo(topology)
        balancer = Balancer(topology)
        balancer.config["offload"]["lane"] = options.lane
        balancer.write()
        status = balancer.start().ask("status")
        print(f"demo: rules set marks of {status['offload']['mark_bits']} bits, which arrive "
              f"{LANES[status['lane']]} (lane {status['lane']})", flush=True)
        print(f"demo: http://{topology.vips[0]}/, http://[{topology.vips6[0]}]/ and UDP echo, "
              f"{len(topology.reals)} reals each; {options.seconds} s of load", flush=True)

        workers = [Worker(one_shots(topology)), Worker(datagrams(topology))]
        view = View(topology, balancer, nic, workers)
        wrks = [Wrk(topology, vip[0], seconds=options.seconds, connections=48)
                for vip in (topology.vips, topology.vips6)]
        for worker in workers:
            worker.start()
        supervise(view, options.seconds, not options.no_kill)
        for worker in workers:
            worker.finish()
        results = [wrk.finish() for wrk in wrks]
        view.fetch()
        view.draw()
        good = verdict(view, results, workers, [real.role for real in topology.reals])
        if options.stay:
            look_around(topology, balancer)
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="See waymark at work.")
    parser.add_argument("--seconds", type=int, default=16, help="of load (default 16)")
    parser.add_argument("--stay", action="store_true", help="then leave all running until Ctrl-C")
    parser.add_argument("--lane", choices=LANES, default="mac",
                        help="how marks arrive (default mac: no kernel patch is needed)")
    parser.add_argument("--no-kill", action="store_true", help="do not kill waymarkd half way")
    options = parser.parse_args()
    netns.raise_on_signals()
    try:
        return demo(options)
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything was removed")
        return 130
    except (netns.Failed, subprocess.SubprocessError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
