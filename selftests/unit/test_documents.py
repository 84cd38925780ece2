# SPDX-License-Identifier: GPL-2.0
"""README and overview say what the tree holds: rooms, counters, commands, links."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OVERVIEW = (ROOT / "Documentation/overview.md").read_text(encoding="utf-8")
ABI = (ROOT / "include/waymark/abi.h").read_text(encoding="utf-8")


def test_every_verdict_and_mark_reason_is_explained():
    names = re.findall(r"X\([A-Z_0-9]+, ((?:tx|pass|drop|mark)_\w+),", ABI)
    assert len(names) > 15
    assert [n for n in names if f"`{n}`" not in OVERVIEW] == []


def test_no_counter_is_explained_that_does_not_exist():
    known = set(re.findall(r"X\([A-Z_0-9]+, (\w+),", ABI))
    assert [n for n in re.findall(r"`((?:tx|pass|drop|mark)_\w+)`", OVERVIEW) if n not in known] == []


def test_every_room_is_named():
    rooms = [f"user/{p.name}/" for p in (ROOT / "user").iterdir() if p.is_dir()]
    rooms += [f"{p.name}/" for p in (ROOT / "selftests").iterdir() if p.is_dir() and p.name != "lib"
              and not p.name.startswith((".", "__"))]
    assert [room for room in rooms if f"`{room}`" not in OVERVIEW] == []


def test_every_script_is_named():
    scripts = [p.name for p in (ROOT / "scripts").iterdir() if p.is_file()]
    assert [s for s in scripts if f"`{s}`" not in OVERVIEW] == []


@pytest.mark.parametrize("document", ["README.md", "Documentation/overview.md"])
def test_links_and_paths_exist(document):
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    paths = [path.parent / link for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    paths += [ROOT / name for name in re.findall(r"`((?:bpf|user|include|scripts|selftests)/[\w./]+)`", text)]
    paths += [ROOT / name for name in re.findall(r"\b(scripts/\w+)\b", text)]
    assert paths and [str(p) for p in paths if not p.exists()] == []


def test_keys_that_are_fixed_at_reload_are_documented():
    source = (ROOT / "user/daemon/reload.c").read_text(encoding="utf-8")
    body = re.search(r"\*fixed_key\(.*?\n}", source, re.S).group()
    keys = re.findall(r'return "([^"]+)";', body)
    assert len(keys) > 10
    page = (ROOT / "Documentation/man/waymarkd.8").read_text(encoding="utf-8")
    fixed = page.partition("Some keys are fixed")[2].partition("restart")[0]
    words = set(re.findall(r"[a-z][a-z-]+", fixed))
    assert [key for key in keys if not set(re.findall(r"[a-z-]+", key)) <= words] == []


def test_readme_gives_the_two_commands():
    assert "sudo scripts/demo" in README and "sudo scripts/test" in README
    assert "exec scripts/test\n" in (ROOT / ".ci/run").read_text(encoding="ascii")
