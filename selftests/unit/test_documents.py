# SPDX-License-Identifier: GPL-2.0
"""The documents say what the tree holds: directories, counters, commands, links; each is in the
index, and each design note says whether it still holds."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OVERVIEW = (ROOT / "Documentation/overview.md").read_text(encoding="utf-8")
INDEX = ROOT / "Documentation/README.md"
# What git may have beside them (a build, a checkout of the kernel) is not ours.
DOCUMENTS = sorted(str(p.relative_to(ROOT)) for place in ("*.md", "Documentation/**/*.md", "kernel-patches/*.md")
                   for p in ROOT.glob(place))
ABI = (ROOT / "include/waymark/abi.h").read_text(encoding="utf-8")


def test_every_verdict_and_mark_reason_is_explained():
    names = re.findall(r"X\([A-Z_0-9]+, ((?:tx|pass|drop|mark)_\w+),", ABI)
    assert len(names) > 15
    assert [n for n in names if f"`{n}`" not in OVERVIEW] == []


def test_no_counter_is_explained_that_does_not_exist():
    known = set(re.findall(r"X\([A-Z_0-9]+, (\w+),", ABI))
    assert [n for n in re.findall(r"`((?:tx|pass|drop|mark)_\w+)`", OVERVIEW) if n not in known] == []


def test_every_room_is_named():
    directories = [f"user/{p.name}/" for p in (ROOT / "user").iterdir() if p.is_dir()]
    directories += [f"{p.name}/" for p in (ROOT / "selftests").iterdir() if p.is_dir() and p.name != "lib"
              and not p.name.startswith((".", "__"))]
    assert [room for room in directories if f"`{room}`" not in OVERVIEW] == []


def test_every_script_is_named():
    scripts = [p.name for p in (ROOT / "scripts").iterdir() if p.is_file()]
    assert [s for s in scripts if f"`{s}`" not in OVERVIEW] == []


def links(path):
    """The files that a document links to, without those elsewhere and parts of itself."""
    found = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    return [path.parent / link for link in found if not link.startswith("http")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_paths_exist(document):
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    paths = links(path)
    paths += [ROOT / name for name in re.findall(r"`((?:bpf|user|include|scripts|selftests)/[\w./]+)`", text)]
    paths += [ROOT / name for name in re.findall(r"\b(scripts/[\w-]+)\b", text)]
    assert [str(p) for p in paths if not p.exists()] == []


def test_every_document_is_in_the_index():
    listed = {p.resolve() for p in links(INDEX)}
    files = [p for p in INDEX.parent.rglob("*") if p.is_file() and p != INDEX]
    assert len(files) > 20
    assert [str(p) for p in files if p.resolve() not in listed] == []


@pytest.mark.parametrize("note", sorted((ROOT / "Documentation/design").glob("*.md")), ids=lambda p: p.name)
def test_design_note_has_a_status(note):
    text = note.read_text(encoding="utf-8")
    status = re.match(r"<!--[^\n]*\n# [^\n]+\n\nStatus: (holds\.|(?:partly )?replaced by )(.*?)\n\n", text, re.S)
    assert status, "the paragraph below the title is no status: holds, replaced by, partly replaced by"
    if status.group(1).endswith("by "):
        named = re.match(r"\[[^]]+\]\(([^)]+)\)", status.group(2))
        assert named and (note.parent / named.group(1)).is_file(), "the note that replaces it is not there"
        assert named.group(1) != note.name


def test_glossary_names_structs_that_exist():
    terms = OVERVIEW.partition("## Terms")[2].partition("## The path")[0]
    named = set(re.findall(r"`struct (\w+)`", terms))
    headers = "\n".join(p.read_text(encoding="utf-8") for place in ("include/waymark/*.h", "user/**/*.h")
                        for p in ROOT.glob(place))
    assert len(named) > 5 and [name for name in sorted(named) if f"struct {name} {{" not in headers] == []


# One name for one thing: what is said instead is in the overview's glossary.
OTHER_NAMES = r"(?i)\b(cards?|soft-NIC|simulated NIC|software card|way of a packet)\b"
# "per CPU", not "a CPU" for it.
A_FOR_PER = r"\b(?:ns|packets|rules|events|installs|answers|requests|bytes|one) an? (?:packet|second|CPU|line)\b"


@pytest.mark.parametrize("document", DOCUMENTS + ["Documentation/man/waymarkd.8", "Documentation/man/waymark.yaml.5",
                                                  "user/cli/commands.c", "user/daemon/main.c"])
def test_one_name_for_one_thing(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    text = re.sub(r"card\.[ch]", "", text)  # a file in user/size
    assert re.findall(OTHER_NAMES, text) == [] and re.findall(A_FOR_PER, text) == []


def test_readme_gives_the_two_commands():
    assert "sudo scripts/demo" in README and "sudo scripts/test" in README
    assert "exec scripts/test\n" in (ROOT / ".ci/run").read_text(encoding="ascii")
