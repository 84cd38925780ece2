# SPDX-License-Identifier: GPL-2.0
"""scripts/kernel-patches check: the letters to send with the series are there, and are about
as many patches as it has. It says so before it looks for the base."""
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(TOP / "scripts/kernel-patches", tmp_path / "scripts/kernel-patches")
    shutil.copytree(TOP / "kernel-patches", tmp_path / "kernel-patches")
    return tmp_path


def complaint(tree):
    # sphinx-build is not there: the check ends with 125 if the letters are fine
    got = subprocess.run(["/bin/bash", tree / "scripts/kernel-patches", "check", "--quick"],
                         env={"PATH": str(tree / "bin"), "HOME": str(tree)}, timeout=60,
                         capture_output=True, text=True, check=False)
    return got.returncode, got.stderr


@pytest.fixture(name="tools", autouse=True)
def fixture_tools(tree):
    (tree / "bin").mkdir()
    for tool in "basename dirname grep mkdir sed wc".split():
        (tree / "bin" / tool).symlink_to(shutil.which(tool))


def letters(tree):
    return sorted((tree / "kernel-patches/6.12").glob("0000-*.patch"))


def test_complete(tree):
    assert len(letters(tree)) == 2
    status, why = complaint(tree)
    assert status == 125 and "letter" not in why, why


@pytest.mark.parametrize("nr", (0, 1))
def test_letter_missing(tree, nr):
    letters(tree)[nr].unlink()
    status, why = complaint(tree)
    assert status == 1 and "is a letter missing?" in why, why


def test_patch_added(tree):
    with (tree / "kernel-patches/6.12/series").open("a", encoding="ascii") as series:
        series.write("0099-one-more.patch\n")
    status, why = complaint(tree)
    assert status == 1 and "letters are about" in why, why


def test_no_count(tree):
    letter = letters(tree)[0]
    letter.write_text(letter.read_text().replace("00/", "about "))
    status, why = complaint(tree)
    assert status == 1 and f"{letter.name}: no Subject" in why, why
