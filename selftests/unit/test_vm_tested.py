# SPDX-License-Identifier: GPL-2.0
"""The record of the debug kernel's run: scripts/vm --tested holds until the series or its
options change, and only then."""
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(TOP / "scripts/vm", tmp_path / "scripts/vm")
    shutil.copytree(TOP / "kernel-patches", tmp_path / "kernel-patches")
    (tmp_path / "kernel-patches/6.12/tested").unlink(missing_ok=True)
    return tmp_path


def status(tree):
    return subprocess.run([tree / "scripts/vm", "--tested"], timeout=60, check=False).returncode


PARTS = ("queue-tests", "selftests")


def record(tree, parts=PARTS):
    """What runs that passed leave behind."""
    patches = tree / "kernel-patches"
    key = hashlib.sha256()
    for name in ("guest.config", "debug.config"):
        for line in (patches / name).read_text().splitlines(keepends=True):
            if line.startswith("CONFIG_"):
                key.update(line.encode())
    for name in (patches / "6.12/series").read_text().split():
        key.update((patches / "6.12" / name).read_bytes())
    lines = [f"{key.hexdigest()[:16]} 6.12.1 2026-01-01 {part}" for part in parts]
    (patches / "6.12/tested").write_text("\n".join(["# a comment", *lines, ""]))


def append(path, text):
    path.write_text(path.read_text() + text)


def test_nothing_recorded(tree):
    assert status(tree) == 1


def test_recorded(tree):
    record(tree)
    assert status(tree) == 0


@pytest.mark.parametrize("part", PARTS)
def test_one_part_alone(tree, part):
    record(tree, [part])
    assert status(tree) == 1


def test_a_comment_is_no_change(tree):
    record(tree)
    append(tree / "kernel-patches/debug.config", "# another reason\n")
    assert status(tree) == 0


@pytest.mark.parametrize("name, text", [
    ("guest.config", "CONFIG_ANOTHER=y\n"),
    ("debug.config", "CONFIG_ANOTHER=y\n"),
    ("6.12/0001-*", "\n"),
])
def test_a_change_wants_another_run(tree, name, text):
    record(tree)
    append(next((tree / "kernel-patches").glob(name)), text)
    assert status(tree) == 1
