# SPDX-License-Identifier: GPL-2.0
"""waymarkd, the CLI and the softnic in a Topology."""
import json
import os
import signal
import socket
import struct
from pathlib import Path

from netns import LB_MAC, Failed, sh, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()

NO_DAEMON, UNSERVED = 3, 5  # exit codes of the CLI


def yaml_text(config):
    """A configuration as the daemon reads it; each real has a line of its own."""
    lines = []
    for key, value in config.items():
        if key != "vips":
            lines.append(f"{key}: {json.dumps(value)}")
            continue
        lines.append("vips:")
        for vip in value:
            lines.append("  - " + "\n    ".join(f"{k}: {json.dumps(v)}" for k, v in vip.items()
                                               if k != "reals"))
            lines.append("    reals:")
            lines += [f"      - {json.dumps(real)}" for real in vip["reals"]]
    return "\n".join(lines) + "\n"


class SoftNic:
    """The softnic on the client's port of the wire."""

    # Offsets in struct wm_softnic_ctl, include/waymark/softnic_abi.h.
    KNOBS = {"mark_xor": (8, "I"), "mark_fixed": (12, "I"), "install_errno": (16, "I"),
             "install_every": (20, "I"), "install_lose": (24, "I"), "remove_errno": (28, "I"),
             "remove_lose": (32, "I"), "install_delay_ns": (40, "Q"), "smac_fixed": (48, "6s"),
             "smac_errno": (56, "I"), "stamp_lose": (60, "I")}
    COUNTERS = ("frames", "passed", "redirected", "marked", "missed", "control", "other", "no_room")

    def __init__(self, topology, capacity=None, mark_bits=None):
        self.topology = topology
        self.pin = topology.bpffs / "softnic"
        options = ["--to", "lb", "--mac", LB_MAC, "--pin", self.pin]
        options += ["--capacity", capacity] if capacity else []
        options += ["--mark-bits", mark_bits] if mark_bits else []
        topology.wire.run([BUILD / "waymark", "softnic", "attach", "client", *options])

    def _map(self, name):
        return json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", self.pin / name]).stdout)

    def stats(self):
        """Counters, summed over the CPUs."""
        values = [0] * len(self.COUNTERS)
        for cpu in self._map("softnic_stats")[0]["values"]:
            raw = bytes(int(byte, 16) for byte in cpu["value"])
            for i in range(len(values)):
                values[i] += struct.unpack_from("=Q", raw, 8 * i)[0]
        return dict(zip(self.COUNTERS, values))

    def rules(self):
        """How many rules it holds."""
        return len(self._map("softnic_rules"))

    def marks(self):
        """Client's port -> mark of each rule."""
        found = {}
        for entry in self._map("softnic_rules"):
            key, value = (bytes(int(byte, 16) for byte in entry[k]) for k in ("key", "value"))
            found[int.from_bytes(key[32:34], "big")] = struct.unpack_from("=I", value)[0]
        return found

    def addresses(self):
        """Client's port -> source address that the rule writes, 6 bytes; zeros: none."""
        found = {}
        for entry in self._map("softnic_rules"):
            key, value = (bytes(int(byte, 16) for byte in entry[k]) for k in ("key", "value"))
            found[int.from_bytes(key[32:34], "big")] = value[6:12]
        return found

    def clear(self):
        """It loses every rule, and says nothing."""
        for entry in self._map("softnic_rules"):
            sh(["bpftool", "map", "delete", "pinned", self.pin / "softnic_rules", "key", "hex",
                *[byte.removeprefix("0x") for byte in entry["key"]]])

    def put(self, port, mark):
        """A rule that nobody knows of, for TCP from that port of 10.9.9.9 to a VIP."""
        key = bytes([10, 9, 9, 9]) + bytes(12) + bytes([10, 200, 1, 1]) + bytes(12) + \
            port.to_bytes(2, "big") + (80).to_bytes(2, "big") + bytes([6, 4, 0, 0])
        value = struct.pack("=I36x", mark)
        sh(["bpftool", "map", "update", "pinned", self.pin / "softnic_rules", "key", "hex",
            *[f"{byte:02x}" for byte in key], "value", "hex", *[f"{byte:02x}" for byte in value]])

    def knob(self, **knobs):
        """Set faults, by name as in struct wm_softnic_ctl; 0 heals."""
        entry = self._map("softnic_ctl")[0]
        raw = bytearray(int(byte, 16) for byte in entry["value"])
        for name, value in knobs.items():
            offset, kind = self.KNOBS[name]
            struct.pack_into("=" + kind, raw, offset, value or (b"" if kind == "6s" else 0))
        sh(["bpftool", "map", "update", "pinned", self.pin / "softnic_ctl", "key", "hex",
            *"00 00 00 00".split(), "value", "hex", *[f"{byte:02x}" for byte in raw]])


class Balancer:
    """waymarkd in the lb namespace with one configuration file."""

    patience = 15  # seconds for the daemon to start; guests are slower

    def __init__(self, topology, config=None, offload="sim", ports=(80,), udp_ports=(7,), **settings):
        self.topology = topology
        self.socket = topology.dir / "control.sock"
        self.file = topology.dir / "waymark.yaml"
        self.state = topology.dir / "state.json"
        self.daemon = None
        topology.wire.run([BUILD / "waymark", "softnic", "wire", "lb"])
        self.config = config or self._standard(offload, ports, udp_ports)
        self.config.update(settings)
        self.write()
        topology.defer(self.take_off)

    def _standard(self, offload, ports, udp_ports):
        backend = {"backend": offload, "promote-after": 8}
        if offload in ("sim", "ntuple"):
            backend["sim"] = {"pin": str(self.topology.bpffs / "softnic")}
        vips = []
        for v6, addresses in ((False, self.topology.vips), (True, self.topology.vips6)):
            for i, address in enumerate(addresses):
                for protocol, numbers in (("tcp", ports), ("udp", udp_ports)):
                    for port in numbers:
                        vips.append({"name": f"{protocol}{6 if v6 else 4}-{i + 1}-{port}",
                                     "address": address, "port": port, "protocol": protocol,
                                     "reals": self.reals(v6)})
        return {"interface": "eth0", "pin": str(self.topology.bpffs / "waymark"),
                "control": str(self.socket), "state": str(self.state), "offload": backend, "flow-table": {"flows": 100000},
                "vips": vips}

    def reals(self, v6=False, which=None):
        """Reals as the configuration wants them; `which`: numbers from 1."""
        chosen = [self.topology.reals[i - 1] for i in which] if which else self.topology.reals
        return [{"address": real.address6 if v6 else real.address, "weight": 100}
                for real in chosen]

    def vip(self, name):
        return next(vip for vip in self.config["vips"] if vip["name"] == name)

    def write(self, text=None):
        """Write the configuration, or any text in its place."""
        self.file.write_text(yaml_text(self.config) if text is None else text, encoding="utf-8")

    # --- the daemon ---

    def command(self, *options):
        return [BUILD / "waymarkd", "-c", self.file, *options]

    def start(self, *options, wait=True):
        number = len(self.topology.lb.processes) + 1  # each daemon has a log of its own
        self.daemon = self.topology.lb.start(self.command(*options), log=f"waymarkd-{number}.log")
        if wait:
            wait_for(self._answers, "waymarkd to answer", self.patience)
        return self

    def _answers(self):
        if not self.daemon.running():
            raise AssertionError(f"waymarkd ended: {self.daemon.output()}")
        return self.cli("status", check=False).returncode in (0, UNSERVED)

    def run(self, *options):
        """A waymarkd that shall end by itself."""
        return self.topology.lb.run(self.command(*options), check=False)

    def stop(self):
        return self.daemon.stop()

    def kill(self):
        self.daemon.kill()

    def hup(self):
        self.daemon.signal(signal.SIGHUP)

    def prog_id(self):
        """Of the program on eth0; None: there is none."""
        link = json.loads(self.topology.lb.run("ip -j link show eth0").stdout)[0]
        return link.get("xdp", {}).get("prog", {}).get("id")

    def take_off(self):
        if self.daemon and self.daemon.running():
            self.daemon.stop()
        self.topology.lb.ip("link set dev eth0 xdp off", check=False)

    # --- the CLI ---

    def cli(self, *arguments, check=True):
        return self.topology.lb.run([BUILD / "waymark", "--socket", self.socket, *arguments], check)

    def ask(self, *arguments):
        """A command's answer, parsed. That an interface is not served is an answer too."""
        done = self.cli("--json", *arguments, check=False)
        if done.returncode not in (0, UNSERVED):
            raise Failed(f"waymark {' '.join(map(str, arguments))}: exit code {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def counters(self):
        return self.ask("stats")["counters"]

    def sent(self, counters=None):
        """Packets sent to reals, and how many of them by mark."""
        counters = counters or self.counters()
        return sum(n for name, n in counters.items() if name.startswith("tx_")), counters["tx_marked"]

    def reload(self):
        return self.ask("reload")

    def rules(self):
        return self.ask("flow")["rules"]

    def rows(self, vip):
        """Address -> row of `waymark real`."""
        return {row["address"]: row for row in self.ask("real", vip)}

    def slots(self, vip):
        """Whom each slot of the ring names, by address; None: nobody."""
        ring = self.ask("ring", vip)
        return [ring["reals"][i] if i >= 0 else None for i in ring["slot"]]

    def where(self, protocol, source, destination):
        return self.ask("where", protocol, source, destination)


def attach_decap(topology, mode="auto"):
    for real in topology.reals:
        real.run([BUILD / "waymark", "decap", "attach", "eth0", "--mode", mode])


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Client:
    """One connection to the control socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")

    def send(self, **request):
        self.sock.sendall(json.dumps(request).encode() + b"\n")

    def reply(self):
        """The next reply; None: closed."""
        line = self.file.readline()
        assert not line or line.endswith(b"\n")
        return json.loads(line) if line else None

    def ask(self, command, **arguments):
        self.send(command=command, **arguments)
        reply = self.reply()
        assert reply["ok"] is True, reply
        return reply["data"]

    def refused(self, command, **arguments):
        """The error's text; the connection stays."""
        self.send(command=command, **arguments)
        reply = self.reply()
        assert reply["ok"] is False and isinstance(reply["errno"], int) and reply["errno"] > 0
        return reply["error"]

    def close(self):
        self.file.close()
        self.sock.close()


def proven_flow(balancer):
    """Arguments that name a UDP flow of the client which got a rule."""
    net = balancer.topology
    with net.client.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((net.vips[0], 7))
    source = "{}:{}".format(*sock.getsockname())
    wanted = {"protocol": "udp", "source": source, "destination": f"{net.vips[0]}:7"}
    client = Client(balancer.socket)

    def has_rule():
        for _ in range(10):
            sock.send(b"x")
        rule = client.ask("flow", **wanted)["rule"]
        return rule and rule["state"] == "active"

    wait_for(has_rule, "a rule for the flow")
    client.close()
    sock.close()
    return wanted
