# SPDX-License-Identifier: GPL-2.0
"""Which QEMU scripts/vm runs: the machine's, or where that is too old a newer one in the cache."""
import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def fake_qemu(path, version):
    return program(path, f"echo 'QEMU emulator version {version} (Debian 1:{version}+dfsg)'")


def ask(tmp_path):
    """What scripts/vm --qemu says, on a machine whose package mirror does not answer."""
    program(tmp_path / "bin/apt-get", "exit 100")
    env = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
                        "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return subprocess.run([TOP / "scripts/vm", "--qemu"], env=env, text=True, timeout=60,
                          capture_output=True, check=True)


@pytest.mark.parametrize("version", ["8.1.0", "8.2.10", "10.0.2"])
def test_a_new_one_of_the_machine(tmp_path, version):
    own = fake_qemu(tmp_path / "bin/qemu-system-x86_64", version)
    said = ask(tmp_path)
    assert said.stdout.strip() == str(own) and not said.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("version", ["7.2.22", "8.0.5"])
def test_an_old_one_gives_way_to_that_in_the_cache(tmp_path, version):
    fake_qemu(tmp_path / "bin/qemu-system-x86_64", version)
    cached = fake_qemu(tmp_path / "cache/waymark/kernel/qemu/usr/bin/qemu-system-x86_64", "10.0.2")
    said = ask(tmp_path).stdout.split()
    assert said[0] == str(cached)
    assert said[1:3] == ["-L", f"{tmp_path}/cache/waymark/kernel/qemu/usr/share/qemu"]


def test_an_old_one_serves_where_no_other_can_be_had(tmp_path):
    old = fake_qemu(tmp_path / "bin/qemu-system-x86_64", "7.2.22")
    said = ask(tmp_path)
    assert said.stdout.strip() == str(old)
    assert "QEMU 7.2.22 may end guests" in said.stderr
    assert not list((tmp_path / "cache/waymark/kernel").glob("qemu*"))  # nothing half made
