# SPDX-License-Identifier: GPL-2.0
"""The benchmark tells what it measured, whatever else goes wrong."""
import json
import os
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("BUILD", Path(__file__).resolve().parents[2] / "build"))
FRAMES = 16384  # of one of the five runs
RUNS = 5


@pytest.fixture
def bench(tmp_path):
    """Runs it; exit code, what it printed, and what its JSON file holds by name."""
    path = tmp_path / "bench.json"

    def run(*arguments):
        done = subprocess.run([BUILD / "selftests/bench/bench", "--runs", "1", "--max-flows", "100",
                               "--frames", str(FRAMES), "--json", path, *arguments],
                              capture_output=True, text=True, check=False, timeout=100)
        data = json.loads(path.read_text(encoding="utf-8"))
        names = {row["case"]: row for row in data["results"]}
        names.update({row["figure"]: row for row in data["figures"]})
        return done, names

    return run


def test_a_frame_that_was_lost_is_a_figure(bench):
    done, names = bench("--lose", "5", "wire")
    assert done.returncode == 0, done.stderr
    assert names["wire-lost"]["unit"] == "frames"
    # On a machine that has no time for us more of them may be lost.
    assert 5 * RUNS <= names["wire-lost"]["value"] < FRAMES * RUNS
    assert "wire-lost" in done.stdout and str(FRAMES * RUNS) in names["wire-lost"]["what"]
    for case in "wire-marked", "wire-marked-mac", "wire-hit":
        assert names[case]["value"] > 0


def test_what_was_measured_before_a_failure_is_written(bench):
    done, names = bench("--lose", str(FRAMES), "loop", "wire")
    assert done.returncode == 1 and "no frame came back" in done.stderr
    assert set(names) == {"loop"} and names["loop"]["ns_min"] > 0
    assert "loop" in done.stdout
