# SPDX-License-Identifier: GPL-2.0
"""The runner of the tests: limits, what is left running, the order of kernels and guests."""
import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "lib"))

# pylint: disable=wrong-import-position
from programs import Program, Runner, Stopped, marked, read_tap  # noqa: E402


def load(path):
    loader = SourceFileLoader("selftests_run", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("selftests_run", loader))
    sys.modules["selftests_run"] = module
    loader.exec_module(module)
    return module


run = load(TOP / "run")
FOREVER = "100000"


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def mine(runner):
    return [pid for n in range(runner._count) for pid, _ in marked(f"{os.getpid()}.{n + 1}")]


def test_output_and_exit_code():
    assert Runner().run(["sh", "-c", "echo said; exit 3"], 60) == (3, "said\n", [])


def test_what_is_left_running_is_named_and_ended():
    """Also in a session of its own, where no signal to the group reaches it."""
    runner = Runner()
    code, _, left = runner.run(["bash", "-c", f"setsid sleep {FOREVER} & until "
                                       "[ $(</proc/$!/comm) = sleep ]; do :; done"], 60)
    assert (code, left) == (0, ["sleep"])
    assert not mine(runner)


def test_a_time_out_interrupts_and_lets_it_clean_up():
    code, output, _ = Runner().run(["bash", "-c", "trap 'echo cleaned; exit' INT; "
                                    "echo up; while :; do sleep 0.05; done"], 3)
    assert code is None and output == "up\ncleaned\n"


def test_stop_ends_all_that_runs_and_starts_nothing_more():
    runner, ended = Runner(grace=1), []

    def work():
        with contextlib.suppress(Stopped):
            runner.run(["sh", "-c", f"setsid sleep {FOREVER} & sleep {FOREVER}"], 3600)
            return
        ended.append(True)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(mine(runner)) == 6)
    runner.stop()
    for thread in threads:
        thread.join(60)
    assert ended == [True, True] and not mine(runner)
    with pytest.raises(Stopped):
        runner.run(["true"], 60)


@pytest.mark.parametrize("output, code, counts", [
    ("1..2\nok 1 - a\nnot ok 2 - b\n", 1, (1, 1, 0)),
    ("1..2\nok 1 - a\n", 0, (1, 1, 0)),
    ("1..1\n# why\nok 1 a # SKIP\n", 0, (0, 0, 1)),
    ("1..1\nok 1 - a\n", 2, (1, 1, 0)),
    ("", 0, (0, 1, 0)),
])
def test_what_ends_badly_has_failed_whatever_it_said(output, code, counts):
    program = Program("x", output=output)
    read_tap(program, code, 60)
    assert (len(program.passed), len(program.failed), len(program.skipped)) == counts


class Played(run.Tests):
    """Kernels are there, or cannot be had, without any being built."""

    def __init__(self, kernels):
        super().__init__()
        self.kernels, self.go = kernels, threading.Event()

    def build_kernel(self, job, program, kernel):
        self.go.wait(60)
        return self.kernels[kernel]


def schedule(tests, jobs):
    scheduler = run.Scheduler(tests, jobs, 2)
    return {p.name: p for p in scheduler.ended() if p}


def jobs_of(order, *kernels):
    def work(job, program):
        order.append(job.name)
        program.passed.append(("x", ""))
    return [run.Job(f"job{n}", work, kernel=k) for n, k in enumerate(kernels)]


def test_guests_wait_for_their_kernel_and_others_do_not():
    order, tests = [], Played({"a": True, "b": True})
    jobs = jobs_of(order, "a", None, "b")
    jobs[1].work = lambda job, program: (order.append(job.name), tests.go.set())
    ended = schedule(tests, jobs)
    assert order[0] == "job1" and sorted(order) == ["job0", "job1", "job2"]
    assert set(ended) == {"job0", "job1", "job2", "kernel/a", "kernel/b"}


@pytest.mark.parametrize("cpus, together", [(1, 2), (2, 1), (3, 1)])
def test_guests_have_no_more_cpus_than_there_are(monkeypatch, cpus, together):
    """On two CPUs; a guest with more than that runs alone. Two that may be there at once are."""
    monkeypatch.setattr(run.os, "cpu_count", lambda: 2)
    running, most, tests = [], [], Played({"a": True})
    tests.go.set()
    both = threading.Barrier(2)

    def work(job, program):
        running.append(job.name)
        most.append(len(running))
        if together == 2:
            both.wait(60)
        running.remove(job.name)
        program.passed.append(("x", ""))
    ended = schedule(tests, [run.Job(f"job{n}", work, kernel="a", cpus=cpus) for n in range(4)])
    assert max(most) == together and all(ended[f"job{n}"].passed for n in range(4))


def test_no_kernel_no_guest_and_nothing_lost():
    order, tests = [], Played({"a": False, "b": True})
    tests.go.set()
    ended = schedule(tests, jobs_of(order, "a", "a", "b", None))
    assert sorted(order) == ["job2", "job3"]
    assert [len(ended[f"job{n}"].skipped) for n in range(4)] == [1, 1, 0, 0]


def test_a_job_that_raises_has_failed_and_the_rest_goes_on():
    order, tests = [], Played({})

    def bad(job, program):
        raise ValueError("of its own")
    ended = schedule(tests, [run.Job("bad", bad), *jobs_of(order, None, None)])
    assert len(order) == 2 and "of its own" in ended["bad"].failed[0][1]


def test_ctrl_c_ends_the_guests_and_says_so(tmp_path):
    """The whole of it, with a script in the place of a guest's: QEMU is in another session."""
    (tmp_path / "vm").mkdir()
    (tmp_path / "lib").symlink_to(TOP / "lib")
    (tmp_path / "run").write_bytes((TOP / "run").read_bytes())
    script = tmp_path / "vm/guest.sh"
    script.write_text(f"#!/bin/bash\nsetsid sleep {FOREVER} &\necho $! > {tmp_path}/pid\n"
                      f"timeout {FOREVER} sleep {FOREVER}\n", encoding="utf-8")
    script.chmod(0o755)
    (tmp_path / "scripts").mkdir()
    # scripts/vm of a tree whose selftests are this directory
    run_file = (tmp_path / "run").read_text(encoding="utf-8").replace(
        'HERE.parent / "scripts/vm"', 'Path("/bin/true")').replace("Runner()", "Runner(grace=1)")
    (tmp_path / "run").write_text(run_file, encoding="utf-8")
    with subprocess.Popen([sys.executable, tmp_path / "run", "vm"], stdout=subprocess.PIPE,
                          text=True) as child:
        wait_for((tmp_path / "pid").exists)
        wait_for(lambda: (tmp_path / "pid").read_text(encoding="ascii").strip())
        pid = int((tmp_path / "pid").read_text(encoding="ascii"))
        child.send_signal(2)
        output = child.communicate(timeout=120)[0]
    assert child.returncode == 130 and "interrupted" in output
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
