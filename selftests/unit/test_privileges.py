# SPDX-License-Identifier: GPL-2.0
"""waymark-health started by one who is not root and hands capabilities down, as a service manager
does for a daemon with a user of its own: it keeps none. (Started by root: netns/test_health. Of
waymark-metrics: unit/test_metrics.)"""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build")).resolve()
NOBODY = "65534"


def fields(pid):
    return dict(re.findall(r"^(\w+):\t(.*)$", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.M))


@pytest.fixture(name="program")
def fixture_program():
    """A copy where everybody may run it."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield shutil.copy(BUILD / "waymark-health", place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand capabilities down")
def test_ambient_capabilities_are_not_kept(program):
    ours, its = socket.socketpair()
    with subprocess.Popen(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                           "--inh-caps=+net_admin,+setuid", "--ambient-caps=+net_admin,+setuid",
                           program], stdin=its) as child:
        its.close()
        deadline = time.monotonic() + 60
        while fields(child.pid)["NoNewPrivs"] != "1" and time.monotonic() < deadline:
            assert child.poll() is None
            time.sleep(0.01)
        ours.sendall(b'{"checks": "begin"}\n{"checks": "end"}\n')  # it is past its start
        while fields(child.pid)["CapPrm"] != "0" * 16 and time.monotonic() < deadline:
            assert child.poll() is None
            time.sleep(0.01)
        found = fields(child.pid)
        ours.close()
        assert child.wait(60) == 0
    assert found["NoNewPrivs"] == "1" and found["Uid"].split() == [NOBODY] * 4
    assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
