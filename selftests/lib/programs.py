# SPDX-License-Identifier: GPL-2.0
"""Run a test program, end whatever it leaves, and read how each of its tests ended."""
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

GRACE = 30  # seconds to clean up after an interrupt
LINGER = 3  # seconds that a process may outlive the test that started it
MARK = "WAYMARK_TEST"  # in the environment of all that a test starts


@dataclass
class Program:
    """A test program's outcome: lists of (test, text)."""

    name: str
    passed: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    output: str = ""
    note: str = ""  # what there is to say where there are no tests
    seconds: float = 0.0


class Stopped(Exception):
    """Somebody interrupted the tests."""


def marked(mark):
    """(pid, name) of each process whose environment has this mark: what a test started, in
    whichever session or group of processes it is."""
    wanted = f"{MARK}={mark}".encode()
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (proc / "environ").read_bytes().split(b"\0"):
                yield int(proc.name), (proc / "comm").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            pass  # gone, or a thread of the kernel


def last_line(out):
    try:
        end = os.fstat(out.fileno()).st_size
        tail = os.pread(out.fileno(), 2048, max(0, end - 2048)).decode(errors="replace")
    except (OSError, ValueError):  # it has ended
        return ""
    return next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "")


class Runner:
    """Runs programs; stop() from another thread ends those that run. An interrupt leaves them
    `grace` seconds to clean up."""

    def __init__(self, grace=GRACE):
        self.grace = grace
        self._lock = threading.Lock()
        self._running = {}  # mark -> (child, file that the output goes to)
        self._stopped = threading.Event()
        self._count = 0

    def run(self, command, timeout, watch=None, **kwargs):
        """To the end. Returns (exit code, output, what was left running). A time-out interrupts
        the program, so that it can undo what it made, and gives code None. `watch` gets a
        function that returns the last line of output so far."""
        with tempfile.TemporaryFile("w+b") as out:
            with self._lock:
                if self._stopped.is_set():
                    raise Stopped
                self._count += 1
                mark = f"{os.getpid()}.{self._count}"
                env = dict(kwargs.pop("env", os.environ), **{MARK: mark})
                # Its own process group: Ctrl-C reaches it once, from here.
                child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                         stderr=subprocess.STDOUT, process_group=0, env=env,
                                         **kwargs)
                self._running[mark] = child, out
            if watch:
                watch(lambda: last_line(out))
            try:
                code = self._wait(child, timeout)
                left = self._end_rest(mark, code is None)
            finally:
                with self._lock:
                    del self._running[mark]
            if self._stopped.is_set():
                raise Stopped
            out.seek(0)
            return code, out.read().decode(errors="replace"), left

    def _wait(self, child, timeout):
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGINT)
        try:
            child.wait(self.grace)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        return None

    @staticmethod
    def _again(mark):
        time.sleep(0.02)
        return list(marked(mark))

    def _end_rest(self, mark, at_once):
        """Names of the processes that had to be ended."""
        deadline = time.monotonic() + (0 if at_once or self._stopped.is_set() else LINGER)
        # Twice: one that is just being executed has no environment for a moment.
        while (left := list(marked(mark)) or self._again(mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + LINGER
            while (rest := list(marked(mark))) and time.monotonic() < deadline:
                for pid, _ in rest:
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        pass
                time.sleep(0.05)
        return sorted({name for _, name in left})

    def stop(self):
        """Interrupt all that runs; run() ends whatever does not heed it."""
        with self._lock:
            self._stopped.set()
            for child, _ in self._running.values():
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGINT)
        deadline = time.monotonic() + self.grace
        while time.monotonic() < deadline and self._running:
            time.sleep(0.05)
        with self._lock:
            for child, _ in self._running.values():
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)


# cmocka says "ok 1 - name", "not ok 2 - name", and "[not] ok 3 # SKIP name" or
# "ok 3 - name # SKIP", depending on its version.
TAP = re.compile(r"^(not )?ok \d+(?: -)? (?:# SKIP )?(\S+)")


def end_of(code, timeout):
    if code is None:
        return f"still running after {timeout} s"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def read_tap(program, code, timeout):
    """cmocka's lines. A skip's reason is what the test printed before it. A
    program that ends badly has failed, whatever it said."""
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", program.output, re.M))
    before = ""
    for line in program.output.splitlines():
        match = TAP.match(line)
        if not match:
            before = line
        elif "# SKIP" in line:
            program.skipped.append((match.group(2), before.strip("# ") or "no reason given"))
        elif match.group(1):
            program.failed.append((match.group(2), ""))
        else:
            program.passed.append((match.group(2), ""))
        before = "" if match else before
    count = len(program.passed) + len(program.failed) + len(program.skipped)
    if code != 0 and not program.failed:
        program.failed.append(("(program)", end_of(code, timeout)))
    elif count < planned or not count:
        program.failed.append(("(program)", f"{count} of {planned} tests reported"))


def read_junit(program, path, code, timeout):
    """pytest's report."""
    tests = xml.parse(path).iter("testcase") if path.exists() and path.stat().st_size else []
    for test in tests:
        bad = [e for e in test if e.tag in ("failure", "error")]
        skip = test.find("skipped")
        if bad:
            text = bad[0].get("message", "").splitlines()
            program.failed.append((test.get("name"), text[0] if text else ""))
        elif skip is not None:
            program.skipped.append((test.get("name"), skip.get("message", "no reason given")))
        else:
            program.passed.append((test.get("name"), ""))
    if not program.failed and code not in (0, 5):
        program.failed.append(("(program)", end_of(code, timeout)))
