# SPDX-License-Identifier: GPL-2.0
"""scripts/demo is the first thing that a stranger runs: it ends well, also with a daemon that
is killed half way."""
import re
import subprocess

import pytest

from waymark import ROOT


@pytest.mark.parametrize("options,lane", [([], "24 bits, .* \\(lane mac\\)$"),
                                          (["--lane", "meta"], "16 bits, .* \\(lane meta\\)$")])
def test_the_demo_ends_well(options, lane):
    done = subprocess.run(["/usr/bin/python3", "-B", ROOT / "selftests/lib/demo.py", "--seconds", "8",
                           *options],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(f"marks of {lane}", done.stdout, re.M), done.stdout
    assert "waymarkd was killed: packets go on" in done.stdout
    assert "took over where the killed one was" in done.stdout
    assert re.search(r"requests=[1-9]\d* failed=0 marked=[1-9]\d*% reals=3$", done.stdout, re.M)
