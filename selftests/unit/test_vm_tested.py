# SPDX-License-Identifier: GPL-2.0
"""The record of the debug kernel's runs: scripts/vm --not-tested names no file until the
series or its options change, and only then."""
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


def not_tested(tree):
    """The files that scripts/vm names."""
    done = subprocess.run([tree / "scripts/vm", "--not-tested"], timeout=60, check=False,
                          capture_output=True, text=True)
    files = [line.removeprefix("not tested: ") for line in done.stdout.splitlines()]
    assert done.returncode == bool(files) and not done.stderr
    return files


def of_the_series(tree):
    lines = (tree / "kernel-patches/6.12/tests").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith(("selftests ", "queue-tests "))]


def record(tree, files):
    """What runs that passed leave behind."""
    patches = tree / "kernel-patches"
    key = hashlib.sha256()
    for name in ("guest.config", "debug.config"):
        for line in (patches / name).read_text().splitlines(keepends=True):
            if line.startswith("CONFIG_"):
                key.update(line.encode())
    for name in (patches / "6.12/series").read_text().split():
        key.update((patches / "6.12" / name).read_bytes())
    lines = [f"{key.hexdigest()[:16]} 6.12.1 2026-01-01 {name}" for name in files]
    (patches / "6.12/tested").write_text("\n".join(["# a comment", *lines, ""]))


def append(path, text):
    path.write_text(path.read_text() + text)


def test_nothing_recorded(tree):
    assert not_tested(tree) == of_the_series(tree) != []


def test_recorded(tree):
    record(tree, of_the_series(tree))
    assert not not_tested(tree)


def test_one_file_alone(tree):
    one, *others = of_the_series(tree)
    record(tree, [one])
    assert not_tested(tree) == others


def test_a_comment_is_no_change(tree):
    record(tree, of_the_series(tree))
    append(tree / "kernel-patches/debug.config", "# another reason\n")
    assert not not_tested(tree)


@pytest.mark.parametrize("name, text", [
    ("guest.config", "CONFIG_ANOTHER=y\n"),
    ("debug.config", "CONFIG_ANOTHER=y\n"),
    ("6.12/0001-*", "\n"),
])
def test_a_change_wants_another_run(tree, name, text):
    record(tree, of_the_series(tree))
    append(next((tree / "kernel-patches").glob(name)), text)
    assert not_tested(tree) == of_the_series(tree)


def test_the_files_of_a_list_are_there(tree):
    """Those that the series brings are in one of its patches."""
    patches = "".join(p.read_text(errors="replace") for p in
                      (tree / "kernel-patches/6.12").glob("0*.patch"))
    for name in of_the_series(tree):
        assert f"b/tools/testing/selftests/{name}\n" in patches
