# SPDX-License-Identifier: GPL-2.0
"""scripts/vm-kvm: a guest comes up under KVM, or it does not, and then nobody waits for it."""
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(name="ask")
def fixture_ask(tmp_path):
    """What the script says of a QEMU that does this, of which it saw the arguments."""
    def ask(does, device=tmp_path / "kvm"):
        qemu = tmp_path / "qemu"
        qemu.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{does}\n')
        qemu.chmod(0o755)
        return subprocess.run([TOP / "scripts/vm-kvm", qemu, tmp_path / "bzImage", device],
                              check=False, timeout=120).returncode
    (tmp_path / "kvm").touch()
    return ask


def test_a_guest_that_comes_up(ask, tmp_path):
    assert ask("exit 0") == 0
    arguments = (tmp_path / "arguments").read_text()
    assert "-accel kvm" in arguments and "-no-reboot" in arguments
    assert f"-kernel {tmp_path}/bzImage" in arguments


def test_a_qemu_that_refuses(ask):
    assert ask("exit 1") != 0


def test_no_device(ask, tmp_path):
    assert ask("exit 0", tmp_path / "nothing") != 0
    assert not (tmp_path / "arguments").exists()


def test_a_guest_that_hangs_is_ended(ask, tmp_path):
    assert ask(f"echo $$ > {tmp_path}/pid; exec sleep 1000") != 0
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
