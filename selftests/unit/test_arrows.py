# SPDX-License-Identifier: GPL-2.0
"""Which directory of user/ may include which: the overview's table says what the Makefile does,
and the code uses what it is given. And which file may include which.

How files are counted: NAME.c, NAME.h and NAME_inside.h (what NAME.c shares with those that help it)
are one unit. An arrow leads from a unit to each other unit of its directory of which one of its files
includes a header. Units without an arrow to one that is left are taken away, again and again. What
cannot be taken away is a circle, or hangs on one. `struct wm_daemon` is known to a .c file that
includes daemon.h, itself or by headers of user/, whichever directory they are in."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OVERVIEW = (ROOT / "Documentation/overview.md").read_text(encoding="utf-8")


def words(name):
    """The words of a variable of the Makefile."""
    value = re.search(rf"^{name} := ((?:.*\\\n)*.*)$", MAKEFILE, re.M).group(1).replace("\\\n", " ")
    return re.sub(r"\$\((\w+)\)", lambda other: " ".join(words(other.group(1))), value).split()


DIRECTORIES = words("DIRS")
# As the Makefile gives them to the compiler, without the directory itself.
GIVEN = {directory: set(words(f"INC_{directory}")) - {directory} for directory in DIRECTORIES}
ROWS = {row[0]: row for row in re.findall(r"^\| `user/([\w/]+)/` \| ([^|]*) \| (yes|no) \|$", OVERVIEW, re.M)}


def sources(directory):
    files = [p for p in (ROOT / "user" / directory).iterdir() if p.suffix in (".c", ".h")]
    assert files
    return files


def included(directory):
    """Names between quotation marks, and between angle brackets."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in sources(directory))
    return set(re.findall(r'^#include "([^"]+)"', text, re.M)), set(re.findall(r"^#include <([^>]+)>", text, re.M))


def headers(directory):
    return {p.name for p in sources(directory) if p.suffix == ".h"}


# What each header of user/ includes, by its name.
HEADERS = {}
for header in (ROOT / "user").rglob("*.h"):
    HEADERS.setdefault(header.name, set()).update(
        re.findall(r'^#include "([^"]+)"', header.read_text(encoding="utf-8"), re.M))


def with_their_own(names):
    """Headers, with those that they include."""
    every = set()
    while more := names - every:
        every |= more
        names = set().union(*(HEADERS.get(name, set()) for name in more))
    return every


def test_every_directory_has_its_row():
    there = {str(p.parent.relative_to(ROOT / "user")) for p in (ROOT / "user").rglob("*.c")}
    assert there == set(DIRECTORIES) == set(ROWS)


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_overview_says_what_the_makefile_does(directory):
    said = set(re.findall(r"[\w/]+", ROWS[directory][1].partition(";")[0])) & set(DIRECTORIES)
    assert said == GIVEN[directory]


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_no_arrow_is_given_that_nothing_uses(directory):
    names = with_their_own(included(directory)[0])
    assert [other for other in sorted(GIVEN[directory]) if not names & headers(other)] == []


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_no_other_directory_is_reached_by_a_path(directory):
    names, _ = included(directory)
    places = {name.rpartition("/")[0] for name in names if "/" in name}
    assert places == ({"../../bpf"} if "`bpf/`" in ROWS[directory][1] else set())


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_libbpf_is_where_it_is_said_to_be(directory):
    _, names = included(directory)
    assert any(name.startswith(("bpf/", "xdp/")) for name in names) == (ROWS[directory][2] == "yes")


def unit(name):
    return Path(name).stem.removesuffix("_inside")


def file_arrows(directory):
    """Of each unit of a directory: those that it includes."""
    arrows = {unit(path.name): set() for path in sources(directory)}
    for path in sources(directory):
        names = re.findall(r'^#include "([^"]+)"', path.read_text(encoding="utf-8"), re.M)
        arrows[unit(path.name)] |= {unit(name) for name in names if name in headers(directory)} - {unit(path.name)}
    return arrows


def circles(arrows):
    """What is left when all that points to nothing has been taken away."""
    left = dict(arrows)
    while True:
        ends = [one for one in left if not left[one] & set(left)]
        if not ends:
            return {one: sorted(left[one] & set(left)) for one in left}
        for one in ends:
            del left[one]


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == {}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a": ["b"], "b": ["c"], "c": ["b"]}


def test_directories_make_no_circle():
    assert circles(GIVEN) == {}


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_files_make_no_circle(directory):
    assert circles(file_arrows(directory)) == {}


def test_the_whole_daemon_is_known_to_few():
    files = {path: set(re.findall(r'^#include "([^"]+)"', path.read_text(encoding="utf-8"), re.M))
             for directory in DIRECTORIES for path in sources(directory)}
    knows = {"daemon.h"}
    while more := {path.name for path, names in files.items() if path.suffix == ".h" and names & knows} - knows:
        knows |= more
    assert knows == {"daemon.h", "replies.h"}
    assert sorted(path.name for path, names in files.items() if path.suffix == ".c" and names & knows) == [
        "daemon.c", "main.c", "replies_flow.c", "replies_model.c", "replies_status.c", "request.c"]


# What libc functions ask of the system, as far as somebody would think of them here.
SYSTEM = {"open", "openat", "fopen", "read", "write", "fstat", "stat", "close", "socket", "sendmsg", "recvmsg",
          "ioctl", "syscall", "time", "clock_gettime", "usleep", "nanosleep", "poll", "epoll_wait", "mmap", "fork",
          "pthread_create", "getenv", "if_nametoindex", "getpid", "rand", "random", "getrandom"}


def test_core_asks_the_system_for_the_file_only():
    asked = {}
    for path in (BUILD / "user/core").glob("*.o"):
        undefined = subprocess.run(["nm", "-u", path], capture_output=True, text=True, timeout=60, check=True).stdout
        names = {name.split("@")[0] for name in undefined.split()} & SYSTEM
        if names:
            asked[path.stem] = names
    assert asked == {"config": {"open", "read", "fstat", "close"}}
