# SPDX-License-Identifier: GPL-2.0
"""Where scripts/vm and scripts/kernel-patches get their base from: kernel-patches/base.sh
with a package manager that is not there, so from an empty cache and without a network."""
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PACKAGE = "linux-source-6.12"
SCRIPT = """set -euo pipefail
prog=test patches=$1 series_dir=6.12 cache=$2
. "$patches/base.sh"
find_base
echo "$version"
echo "$tarball"
"""


def tool(directory, name, text):
    path = directory / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def make_deb(where, version):
    """A package that has nothing but the source tarball."""
    tree = where / f"tree-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {PACKAGE}\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: waymark developers <waymark@example.org>\nDescription: a test\n")
    (tree / "usr/src").mkdir(parents=True)
    (tree / "Makefile").write_text(f"# {version}\n")
    with tarfile.open(tree / f"usr/src/{PACKAGE}.tar.xz", "w:xz") as tar:
        tar.add(tree / "Makefile", arcname=f"{PACKAGE}/Makefile")
    deb = where / f"{PACKAGE}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(tree), str(deb)], check=True,
                   stdout=subprocess.DEVNULL)
    return deb


@pytest.fixture(name="machine")
def fixture_machine(tmp_path):
    """A PATH where the package is not installed and apt-get gives what debs/ has."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tmp_path / "debs").mkdir()
    tool(tools, "dpkg-query", "exit 1\n")
    tool(tools, "apt-cache", f'[ -n "$(ls {tmp_path}/debs)" ]\n')
    tool(tools, "apt-get", f"echo called >> {tmp_path}/calls\ncp {tmp_path}/debs/* .\n")
    return tmp_path


def find_base(machine):
    env = dict(os.environ, PATH=f"{machine}/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return subprocess.run(["bash", "-c", SCRIPT, "bash", str(TOP / "kernel-patches"),
                           str(machine / "cache")], env=env, capture_output=True, text=True,
                          timeout=60, check=False)


def calls(machine):
    path = machine / "calls"
    return path.read_text().count("called") if path.exists() else 0


def test_fetched_into_an_empty_cache_and_kept(machine):
    """The version comes from the package, and the second time nobody is asked."""
    make_deb(machine, "6.12.999-1").rename(machine / f"debs/{PACKAGE}_6.12.999-1_all.deb")
    for _ in range(2):
        run = find_base(machine)
        assert run.returncode == 0, run.stderr
        version, tarball = run.stdout.split()
        assert version == "6.12.999-1"
        with tarfile.open(tarball) as tar:
            assert tar.getnames() == [f"{PACKAGE}/Makefile"]
    assert calls(machine) == 1


def test_no_package_is_said(machine):
    """Exit status 125 and a message, nothing silent."""
    run = find_base(machine)
    assert run.returncode == 125
    assert f"package {PACKAGE} is not to be had" in run.stderr


RESET = """set -euo pipefail
prog=test patches=$1 series_dir=6.12 cache=$2 src=$3
. "$patches/base.sh"
reset_source
git -C "$src" am -q "$2/a.patch"
"""


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    """A base, a second work tree of it, and a patch that adds a file and changes one."""
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", HOME=str(tmp_path))

    def git(*args, where="base"):
        return subprocess.run(["git", "-C", str(tmp_path / where), *args], check=True, env=env,
                              capture_output=True, text=True).stdout
    (tmp_path / "base").mkdir()
    git("init", "-q", ".")
    git("config", "user.name", "waymark developers")
    git("config", "user.email", "waymark@example.org")
    (tmp_path / "base/old.c").write_text("int a;\n")
    git("add", "-A")
    git("commit", "-q", "-m", "base")
    git("tag", "base")
    (tmp_path / "base/old.c").write_text("int b;\n")
    (tmp_path / "base/new.c").write_text("int c;\n")
    git("add", "-A")
    git("commit", "-q", "-m", "patch")
    (tmp_path / "a.patch").write_text(git("format-patch", "-1", "--stdout"))
    git("checkout", "-q", "--detach", "base")
    git("worktree", "add", "-q", "--detach", str(tmp_path / "work"), "base")
    return tmp_path, git


def half_written(work, _):
    (work / "new.c").write_text("int c;\n")
    (work / "old.c").write_text("int b;\n")


def locked(_, git):
    Path(git("rev-parse", "--path-format=absolute", "--git-path", "index.lock",
             where="work").strip()).touch()


def under_way(_, git):
    state = Path(git("rev-parse", "--path-format=absolute", "--git-path", "rebase-apply",
                     where="work").strip())
    state.mkdir()
    (state / "applying").touch()


@pytest.mark.parametrize("left", [half_written, locked, under_way])
def test_a_tree_whose_user_was_killed_serves_again(tree, left):
    where, git = tree
    left(where / "work", git)
    done = subprocess.run(["bash", "-c", RESET, "bash", str(TOP / "kernel-patches"), str(where),
                           str(where / "work")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (where / "work/new.c").exists()
