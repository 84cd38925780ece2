# SPDX-License-Identifier: GPL-2.0
"""What a stranger meets first: the licence, the version in NEWS, the hook that looks at commits,
the workflow that a forge runs."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
WORKFLOW = ROOT / ".github/workflows/ci.yml"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_licence_is_there_and_named():
    licence = (ROOT / "COPYING").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in licence[:200] and "Version 2, June 1991" in licence[:200]
    assert "(COPYING)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_news_begins_with_the_version_that_is_built():
    version = re.search(r"^VERSION := (\S+)$", MAKEFILE, re.M).group(1)
    news = re.findall(r"^(\d+\.\d+\.\d+)\b", (ROOT / "NEWS").read_text(encoding="utf-8"), re.M)
    assert news and news[0] == version


def test_workflow_runs_what_ci_runs():
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    commands = [step["run"] for step in steps if "run" in step]
    assert ".ci/run" in commands and "scripts/check" in commands
    assert all("timeout-minutes" in job for job in jobs.values())


def test_groups_of_tests_are_described():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    groups = [p.name for p in (ROOT / "selftests").iterdir()
              if p.is_dir() and p.name != "lib" and not p.name.startswith((".", "__"))]
    assert len(groups) >= 6 and [g for g in groups if f"`selftests/{g}/`" not in text] == []


def git(tree, *words):
    env = {"PATH": os.environ["PATH"], "HOME": str(tree), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8",
           **{f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}}
    return subprocess.run(["git", "-C", tree, *words], env=env, capture_output=True, text=True, timeout=120,
                          check=False)


@pytest.fixture(name="tree")
def fixture_tree(tmp_path):
    """A repository of two scripts, with the hook as CONTRIBUTING.md installs it."""
    if not shutil.which("git"):
        pytest.skip("needs git")
    (tmp_path / "scripts").mkdir()
    for name in ("check", "pre-commit"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    assert git(tmp_path, "init", "-q").returncode == 0
    how = re.search(r"^    (ln -s .*)$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M).group(1)
    subprocess.run(["bash", "-ec", f"mkdir -p .git/hooks; {how}"], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def commit(tree, name, text):
    (tree / name).write_text(text, encoding="utf-8")
    assert git(tree, "add", "-A").returncode == 0
    return git(tree, "commit", "-q", "-m", "x")


def test_hook_lets_a_good_commit_through(tree):
    got = commit(tree, "good.py", "# SPDX-License-Identifier: GPL-2.0\nprint(1)\n")
    assert got.returncode == 0, got.stdout + got.stderr
    assert git(tree, "log", "--format=%s").stdout == "x\n"


@pytest.mark.parametrize("name, text, why", [
    ("bad.py", "print(1)\n", "no SPDX-License-Identifier"),
    ("bad.py", "# SPDX-License-Identifier: GPL-2.0\nprint(1) \n", "bad.py:2:"),
    ("bad.py", "# SPDX-License-Identifier: GPL-2.0\nprint(\n", "SyntaxError"),
    ("bad.h", "/* SPDX-License-Identifier: GPL-2.0 */\nuint32_t x;\n", "unknown type name"),
])
def test_hook_stops_a_bad_commit(tree, name, text, why):
    got = commit(tree, name, text)
    assert got.returncode != 0 and why in got.stdout + got.stderr
    assert git(tree, "log").returncode != 0
