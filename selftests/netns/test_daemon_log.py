# SPDX-License-Identifier: GPL-2.0
"""waymarkd's log where nobody reads it: it goes on, and what was lost is counted."""
import os
import re
import socket
import termios
import tty

import pytest
from netns import wait_for
from waymark import Balancer, Client, yaml_text

LINES = 50


class Pipe:
    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        # The daemon has our writing end: it stays a blocking one.
        self.own = os.open(f"/proc/self/fd/{self.writer}", os.O_WRONLY | os.O_NONBLOCK)

    def stop(self):
        fill(lambda data: os.write(self.own, data))

    def read(self):
        return os.read(self.reader, 65536)

    def resume(self):
        pass

    def close(self):
        for fd in (self.reader, self.writer, self.own):
            os.close(fd)


class Socket:
    """As the journal has one."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.writer = self.theirs.fileno()

    def stop(self):
        fill(lambda data: self.theirs.send(data, socket.MSG_DONTWAIT))

    def read(self):
        return self.ours.recv(65536)

    def resume(self):
        pass

    def close(self):
        self.ours.close()
        self.theirs.close()


class Terminal:
    def __init__(self):
        self.reader, self.writer = os.openpty()
        tty.setraw(self.writer)
        os.set_blocking(self.reader, False)

    def stop(self):
        termios.tcflow(self.writer, termios.TCOOFF)  # as Ctrl-S does

    def resume(self):
        termios.tcflow(self.writer, termios.TCOON)

    def read(self):
        return os.read(self.reader, 65536)

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


def fill(write):
    """Until there is no room for a byte."""
    for size in (4096, 1):
        try:
            while True:
                write(b"-" * size)
        except BlockingIOError:
            pass


class Log:
    """What has been read of it so far."""

    def __init__(self, kind):
        self.kind = kind()
        self.text = ""

    def read(self):
        try:
            while True:
                self.text += self.kind.read().decode(errors="replace")
        except BlockingIOError:
            return self.text

    def has(self, pattern):
        return re.search(pattern, self.read())


@pytest.fixture(params=[Pipe, Socket, Terminal])
def log(request):
    made = Log(request.param)
    yield made
    made.kind.resume()
    made.kind.close()


@pytest.fixture(scope="module")
def net(make_topology):
    return make_topology(reals=1, vips=1)


@pytest.fixture
def balancer(net, log):
    made = Balancer(net, offload="none")
    made.daemon = net.lb.start(made.command(), log="unread.log", stderr=log.kind.writer)
    wait_for(made._answers, "waymarkd to answer")
    yield made
    log.kind.resume()
    made.take_off()


def test_nobody_reads_the_log(balancer, log):
    assert wait_for(lambda: log.has("serving 4 vips"), "the log")
    log.kind.stop()
    balancer.write(yaml_text(balancer.config) + "\nnonsense: true\n")  # one error, one line
    client = Client(balancer.socket)
    for _ in range(LINES):
        assert "nonsense" in client.refused("reload")

    # What had room is there in the end, and the rest is counted: nothing is missing.
    log.kind.resume()
    lost = wait_for(lambda: log.has(r"(\d+) lines were lost: nobody read the log"), "the count")
    said = len(re.findall("configuration not changed: ", log.read()))
    assert said + int(lost.group(1)) == LINES and int(lost.group(1)) > 0
    client.refused("reload")
    wait_for(lambda: len(re.findall("configuration not changed: ", log.read())) == said + 1,
             "the next line")

    log.kind.stop()
    client.close()
    assert balancer.stop() == 0


def test_what_others_share_stays_as_it_is(balancer, log):
    """O_NONBLOCK belongs to all who have the descriptor."""
    assert balancer.ask("status") and os.get_blocking(log.kind.writer)
