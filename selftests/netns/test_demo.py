# SPDX-License-Identifier: GPL-2.0
"""scripts/demo is the first thing that a stranger runs: it ends well, also with a daemon that
is killed half way."""
import re
import subprocess

from waymark import ROOT


def test_the_demo_ends_well():
    done = subprocess.run(["/usr/bin/python3", "-B", ROOT / "selftests/lib/demo.py", "--seconds", "8"],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waymarkd was killed: packets go on" in done.stdout
    assert "took over where the killed one was" in done.stdout
    assert re.search(r"requests=[1-9]\d* failed=0 marked=[1-9]\d*% reals=3$", done.stdout, re.M)
