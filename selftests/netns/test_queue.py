# SPDX-License-Identifier: GPL-2.0
"""`waymark queue` on this machine's kernel, which lists queues and cannot change one.

    wqa<pid> === veth, 2 queues a side === wqb<pid>

Both in a namespace of their own. What a kernel with the series does: selftests/vm.
"""
import json
import os
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
NS, A, B = (f"{name}{os.getpid()}" for name in ("wmq", "wqa", "wqb"))


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def queue(*args):
    return run("ip", "netns", "exec", NS, BUILD / "waymark", "queue", *args)


@pytest.fixture(scope="module", autouse=True)
def devices():
    assert run("ip", "netns", "add", NS).returncode == 0
    try:
        done = run("ip", "-n", NS, "link", "add", A, "numrxqueues", "2", "numtxqueues", "2",
                   "type", "veth", "peer", "name", B, "numrxqueues", "2", "numtxqueues", "2")
        assert done.returncode == 0, done.stderr
        assert run("ip", "-n", NS, "link", "set", A, "up").returncode == 0
        if queue("list", A).returncode == 4:
            pytest.skip("this kernel cannot list queues")
        yield
    finally:
        run("ip", "netns", "del", NS)


def test_list_names_every_queue():
    done = queue("list", A)
    assert done.returncode == 0, done.stderr
    rows = [line.split()[:3] for line in done.stdout.splitlines()]
    assert rows == [["DEVICE", "TYPE", "QUEUE"], [A, "rx", "0"], [A, "rx", "1"],
                    [A, "tx", "0"], [A, "tx", "1"]]


def test_list_as_json():
    rows = json.loads(queue("list", A, "--json").stdout)
    assert [(r["device"], r["type"], r["queue"]) for r in rows] == [
        (A, "rx", 0), (A, "rx", 1), (A, "tx", 0), (A, "tx", 1)]
    assert {frozenset(r) for r in rows} == {frozenset((
        "device", "type", "queue", "state", "xdp_prog_id", "memory", "napi_id"))}
    assert {r["memory"] for r in rows} == {None}


def test_list_without_a_device_is_all_that_are_up():
    assert {line.split()[0] for line in queue("list", "--no-headings").stdout.splitlines()} == {A}


def test_a_device_that_is_down_has_none():
    done = queue("list", B)
    assert (done.returncode, done.stdout) == (0, "no queues: the kernel lists those of devices "
                                              "that are up\n")
    assert json.loads(queue("list", B, "--json").stdout) == []


def test_the_devices_program_is_no_queues():
    assert run("ip", "-n", NS, "link", "set", A, "xdpdrv", "obj", BUILD / "waymark.bpf.o",
               "sec", "xdp").returncode == 0
    rows = json.loads(queue("list", A, "--json").stdout)
    assert rows and all(r["xdp_prog_id"] is None for r in rows)
    run("ip", "-n", NS, "link", "set", A, "xdp", "off")


def test_list_needs_no_root():
    done = run("ip", "netns", "exec", NS, "setpriv", "--reuid", "65534", "--regid", "65534",
               "--clear-groups", BUILD / "waymark", "queue", "list", A, "--raw", "--no-headings",
               "--columns", "type,queue")
    if "Permission denied" in done.stderr:
        pytest.skip("this tree cannot be read by others")
    assert (done.returncode, done.stdout) == (0, "rx 0\nrx 1\ntx 0\ntx 1\n"), done.stderr


@pytest.mark.parametrize("action", ["stop", "start", "restart"])
def test_what_the_kernel_lacks_is_said(action):
    done = queue(action, A, "1")
    if done.returncode != 4:
        pytest.skip("this kernel has the commands: selftests/vm/queue_cli.sh")
    assert done.stdout == "" and done.stderr.count("\n") == 1
    for said in (f"cannot {action} single queues", f"no queue-{action}", "kernel-patches/"):
        assert said in done.stderr


def test_monitor_of_a_kernel_that_does_not_tell():
    if queue("stop", A, "1").returncode != 4:
        pytest.skip("this kernel has the commands: selftests/vm/queue_cli.sh")
    done = queue("monitor", A)
    assert done.returncode == 4 and "does not tell when a queue changes" in done.stderr
