#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""`waymark size` as a command: what it refuses, what it prints, in which forms.

What stands behind it is tested in test_size.c. Needs no root.
"""
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
PATIENCE = 120  # seconds until a command that hangs has failed
SMALL = ["--flows", "2k", "--pps", "20k", "--zipf", "1.1", "--seconds", "2", "--idle", "1s",
         "--rules", "100,1k"]


def size(*args, **env):
    done = subprocess.run([BUILD / "waymark", "size", *map(str, args)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env})
    assert done.returncode or not done.stderr
    return done


def keys_promised():
    done = subprocess.run([BUILD / "waymark", "help", "--json"], capture_output=True, text=True,
                          timeout=PATIENCE, check=True)
    commands = {c["name"]: c for c in json.loads(done.stdout)["commands"]}
    return set(commands["size"]["keys"])


def write_capture(path, flows=3, packets=200, proto=17, link=1):
    """Frames of 10.0.0.x to 10.200.1.1:53, one a millisecond, flows in turn."""
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link))
        for i in range(packets):
            ip = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 40, 0, 0, 64, proto, 0,
                             10, 0, 0, 1 + i % flows, 10, 200, 1, 1)
            frame = bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", 4711, 53, 20, 0) + bytes(12)
            out.write(struct.pack("<IIII", 1700000000, i * 1000, len(frame), len(frame)) + frame)
    return path


def test_a_model_is_a_table():
    rows = [re.split(r"\s{2,}", line.strip()) for line in size(*SMALL).stdout.splitlines()]
    assert rows[0] == ["RULES", "MARKED", "USED", "MOST", "INSTALLS/S", "EVICTED/S", "HELD/S",
                       "CORES", "SAVED"]
    assert [row[0] for row in rows[1:]] == ["100", "1,000"]
    marked = [float(row[1].removesuffix(" %")) for row in rows[1:]]
    assert 20 < marked[0] < marked[1] < 100


def test_json_has_the_promised_keys():
    data = json.loads(size(*SMALL, "--json").stdout)
    found = {key for key in data if key != "sizes"}
    found |= {f"sizes.{key}" for row in data["sizes"] for key in row}
    assert found == keys_promised()
    assert (data["flows"], data["not_balanced"]) == (2000, None)
    for row in data["sizes"]:
        assert 0 < row["marked"] < 1 and row["rules_mean"] <= row["rules_max"] <= row["rules"]
        assert row["seconds"] == 2 and abs(row["pps"] / 20000 - 1) < 0.05


def measured(case):
    """The median with a million flows of the table in performance.md."""
    text = (ROOT / "Documentation/performance.md").read_text(encoding="utf-8")
    head = re.search(r"^\| case \|(.*)$", text, re.M).group(1).split("|")
    row = re.search(rf"^\| {case} \|(.*)$", text, re.M).group(1).split("|")
    column = [cell.strip() for cell in head].index("1 million")
    return float(row[column].split("/")[1])


def test_nanoseconds_are_those_measured():
    data = json.loads(size(*SMALL, "--json").stdout)
    assert data["ns_hit"] == measured("hit"), "user/size/measured.h is not performance.md's"
    assert data["ns_marked"] == measured("marked"), "user/size/measured.h is not performance.md's"
    text = size("--help").stdout
    for name in ("ns_hit", "ns_marked"):
        assert f"(default {data[name]:g})" in re.sub(r"\s+", " ", text)


def test_nanoseconds_may_be_ones_own():
    row = json.loads(size(*SMALL, "--ns-hit", "1000", "--ns-marked", "0", "--json").stdout)["sizes"][0]
    assert row["cores_software"] == pytest.approx(row["pps"] * 1e-6)
    assert row["cores_saved"] == pytest.approx(row["pps"] * row["marked"] * 1e-6)


def test_the_seed_decides():
    first, same = (size(*SMALL, "--json").stdout for _ in range(2))
    assert first == same != size(*SMALL, "--json", "--seed", "2").stdout


def test_a_capture_is_played(tmp_path):
    capture = write_capture(tmp_path / "x.pcap")
    data = json.loads(size("--pcap", capture, "--rules", "1,3", "--json").stdout)
    assert (data["flows"], data["not_balanced"]) == (3, 0)
    assert data["traffic"].endswith("200 packets of 3 flows in 0.2 s")
    # Each flow's 8th packet lies before 24 ms; events are read at 20 and 40 ms,
    # and rules installed 2 ms later. The rest of 200 packets is marked.
    one, three = (row["marked"] * 200 for row in data["sizes"])
    assert 50 <= one <= 60 and 155 <= three <= 162
    assert size("--pcap", capture, "--filter", "src host 10.0.0.1", "--json").stdout.count(
        '"flows": 1,') == 1


def test_a_plot_is_written(tmp_path):
    plot = tmp_path / "plot.svg"
    assert size(*SMALL, "--plot", plot, PATH=str(tmp_path)).returncode == 1
    assert not plot.exists(), "without gnuplot there is no file"
    if subprocess.run("command -v gnuplot", shell=True, capture_output=True, check=False).returncode:
        pytest.skip("gnuplot is not installed")
    assert size(*SMALL, "--plot", plot).returncode == 0
    text = plot.read_text()
    assert "<svg" in text and "2k tcp flows, 20k packets per second, Zipf 1.1" in text


@pytest.mark.parametrize("args, said", [
    ("", "what traffic: --pcap, or --flows and --pps"),
    ("--flows 5", "what traffic"),
    ("--flows x --pps 5", "--flows 'x': wants a number, as 64000, 64k or 1M"),
    ("--flows 200M --pps 5", "flows 200000000: wants 1 to 100000000"),
    ("--flows 5 --pps 0", "pps 0: wants"),
    ("--flows 5 --pps 99999999999999999999", "--pps"),
    ("--flows 5 --pps 5 --zipf -1", "--zipf '-1': wants a number"),
    ("--flows 5 --pps 5 --zipf nan", "--zipf 'nan': wants a number"),
    ("--flows 5 --pps 5 --zipf 9", "zipf 9: wants 0 to 3"),
    ("--flows 5 --pps 5 --lifetime 3", "--lifetime '3': wants a time with its unit"),
    ("--flows 5 --pps 5 --lifetime 1ms", "lifetime (seconds) 0.001: wants 0.1"),
    ("--flows 5 --pps 5 --rules 1k,,4k", "--rules '1k,,4k': wants numbers by commas"),
    ("--flows 5 --pps 5 --rules 5G", "rules 4294967295: wants 1 to 16000000"),
    ("--flows 5 --pps 5 --rules " + ",".join(["1"] * 33), "number of table sizes 33: wants 1 to 32"),
    ("--flows 5 --pps 5 --promote-after 201", "promote-after 201: wants 1 to 200"),
    ("--flows 5 --pps 5 --protocol icmp", "wants tcp or udp"),
    ("--flows 5 --pps 5 --plot x.pdf", "a name that ends in .svg or .png"),
    ("--flows 5 --pps 5 --filter tcp", "--filter goes with --pcap"),
    ("--pcap x --seed 5", "--seed goes with the model, not with --pcap"),
    ("--pcap x --flows 5 --pps 5", "--flows goes with the model"),
    ("extra --flows 5 --pps 5", "takes no argument"),
])
def test_usage_errors(args, said):
    done = size(*args.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and said in done.stderr


def test_captures_that_are_none(tmp_path):
    for name, options, said in [
            ("none.pcap", None, "No such file"),
            ("raw.pcap", {"link": 101}, "link type RAW, not Ethernet"),
            ("icmp.pcap", {"proto": 1}, "no TCP or UDP packet in it, only others"),
            ("empty.pcap", {"packets": 0}, "no TCP or UDP packet in it\n")]:
        path = tmp_path / name
        if options is not None:
            write_capture(path, **options)
        done = size("--pcap", path)
        assert (done.returncode, done.stdout) == (1, ""), name
        assert said in done.stderr and str(path) in done.stderr and done.stderr.count("\n") == 1


def test_the_program_of_its_own():
    """The same, said by another name."""
    own = subprocess.run([BUILD / "waymark-size", *SMALL, "--json"], capture_output=True, text=True,
                         timeout=PATIENCE, check=True)
    assert own.stdout == size(*SMALL, "--json").stdout
    text = subprocess.run([BUILD / "waymark-size", "--help"], capture_output=True, text=True,
                          timeout=PATIENCE, check=True).stdout
    assert text.startswith("Usage: waymark-size [--pcap FILE]")
    assert text.split("Options:")[1] == size("--help").stdout.split("Options:")[1]
    wrong = subprocess.run([BUILD / "waymark-size", "--flows", "5"], capture_output=True, text=True,
                           timeout=PATIENCE, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr == ("waymark-size: what traffic: --pcap, or --flows and --pps "
                            "(see waymark-size --help)\n")


def test_options_before_the_command():
    before = subprocess.run([BUILD / "waymark", "--json", "--timeout", "3", "si", *SMALL],
                            capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert before.stdout == size(*SMALL, "--json").stdout


def test_without_the_program(tmp_path):
    """waymark alone is a whole tool: the command says what is missing."""
    waymark = tmp_path / "waymark"
    shutil.copy(BUILD / "waymark", waymark)
    path = tmp_path / "bin"
    path.mkdir()
    run = [waymark, "size", *SMALL]
    done = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env={"PATH": str(path)})
    assert (done.returncode, done.stdout) == (4, "")
    assert "program waymark-size, which is not installed" in done.stderr
    assert done.stderr.count("\n") == 1
    said = subprocess.run([*run, "--json"], capture_output=True, text=True, timeout=PATIENCE,
                          check=False, env={"PATH": str(path)})
    assert json.loads(said.stderr)["exit"] == said.returncode == 4
    help_ = subprocess.run([waymark, "size", "--help"], capture_output=True, text=True,
                           timeout=PATIENCE, check=True, env={"PATH": str(path)})
    assert "--pcap FILE" in help_.stdout
    (path / "waymark-size").symlink_to(BUILD / "waymark-size")  # found as a shell would
    assert subprocess.run(run, capture_output=True, timeout=PATIENCE, check=False,
                          env={"PATH": str(path)}).returncode == 0
    (tmp_path / "waymark-size").write_text("")  # beside it, and no program
    done = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env={"PATH": str(path)})
    assert done.returncode == 1 and "cannot run waymark-size: Permission denied" in done.stderr


def test_only_the_program_needs_libpcap():
    for name, needs in [("waymark", False), ("waymarkd", False), ("waymark-size", True)]:
        libraries = subprocess.run(["readelf", "-d", BUILD / name], capture_output=True, text=True,
                                   timeout=PATIENCE, check=True).stdout
        assert ("libpcap" in libraries) == needs, name
        if needs:
            assert "libbpf" not in libraries and "libxdp" not in libraries
