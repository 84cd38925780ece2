# SPDX-License-Identifier: GPL-2.0
"""What all network tests share: bounded time, clean-up on signals, logs of what failed."""
import os
import signal
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import netns  # pylint: disable=wrong-import-position

TEST_TIMEOUT = 120  # seconds for one test and its fixtures
alive = []  # topologies, for the logs


def pytest_configure(config):
    config.addinivalue_line("markers", "kernel: what it tests is the kernel's too: run in a guest "
                            "with the series as well")
    config.addinivalue_line("markers", "links: wants links that a small kernel has not: run in a "
                            "guest as well")

    def end(number, _frame):
        raise KeyboardInterrupt(f"signal {number}")

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def one_cpu():
    """This process, and what it starts, on one CPU: for a test of the order of packets.
    veth leaves a packet in the backlog of the sender's CPU, and a sender that has been moved
    to another CPU may overtake it."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    def too_long(_number, _frame):
        raise netns.Failed(f"{item.name} took longer than {TEST_TIMEOUT} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(TEST_TIMEOUT * netns.SLOW))
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for topology in alive:
            for process in topology.processes():
                text = process.output()
                if text:
                    report.sections.append((process.log.name, text[-4000:]))


def _make(**options):
    topology = netns.Topology(**options)
    alive.append(topology)
    return topology


def _close(topology):
    alive.remove(topology)
    topology.close()


@pytest.fixture
def topology():
    """A network for one test."""
    made = _make()
    yield made
    _close(made)


@pytest.fixture(scope="module")
def shared():
    """A network for all tests of a file, which do not disturb each other."""
    made = _make()
    yield made
    _close(made)


@pytest.fixture(scope="module")
def make_topology():
    """A function that makes networks of any shape."""
    made = []

    def make(**options):
        made.append(_make(**options))
        return made[-1]

    yield make
    for each in made:
        _close(each)
