# SPDX-License-Identifier: GPL-2.0
"""The control protocol as the table in user/core/protocol.c has it, and whether a
reply is as the table says."""
import json
import subprocess

SCALARS = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}


def read_protocol(waymark):
    """{request: its row} as the program `waymark` has it."""
    done = subprocess.run([waymark, "help", "--json"], capture_output=True, text=True, timeout=60,
                          check=True)
    return {row["request"]: row for row in json.loads(done.stdout)["protocol"]}


def has_type(value, kind):
    if kind.startswith("array of "):
        scalar = SCALARS[kind.removeprefix("array of ").removesuffix("s")]
        return isinstance(value, list) and all(map(scalar, value))
    return SCALARS[kind](value)


def as_tree(fields):
    """{"a": field, "b": {"c": field}} of keys "a" and "b.c"."""
    tree = {}
    for field in fields:
        *above, last = field["key"].split(".")
        at = tree
        for part in above:
            at = at.setdefault(part, {})
        at[last] = field
    return tree


def is_leaf(node):
    return isinstance(node.get("key"), str)


def leaves(tree):
    for node in tree.values():
        yield from [node] if is_leaf(node) else leaves(node)


def faults_of_object(tree, value, path, may_lack=()):
    """What is wrong with an object, as a list of texts; `may_lack`: keys described elsewhere."""
    if not isinstance(value, dict):
        return [f"{path or 'the reply'} is no object but {value!r}"]
    faults = [f"{path}{key} is not in the table" for key in value
              if key not in tree and key not in may_lack]
    for key, node in tree.items():
        name = path + key
        if is_leaf(node):
            if key not in value:
                faults.append(f"{name} is missing")
            elif value[key] is None:
                faults += [] if node["null"] else [f"{name} is null"]
            elif not has_type(value[key], node["type"]):
                faults.append(f"{name} is {value[key]!r} and no {node['type']}")
        elif key not in value:
            if not all(leaf["object_absent"] for leaf in leaves(node)):
                faults.append(f"{name} is missing")
        elif value[key] is None:
            if not all(leaf["object_null"] for leaf in leaves(node)):
                faults.append(f"{name} is null")
        else:
            faults += faults_of_object(node, value[key], name + ".")
    return faults


def faults_of(row, data):
    """What is wrong with the data of a reply to this request: an empty list if it has exactly
    the keys of the table, with their types."""
    rows, faults = data, []
    if row["keys"] is not None:
        if row["list"] is not None and isinstance(data, dict) and row["list"] not in data:
            return [f"{row['list']} is missing"]
        faults = faults_of_object(as_tree(row["keys"]), data, "", {row["list"]})
        rows = data.get(row["list"]) if isinstance(data, dict) else None
    if row["list"] is None:
        return faults
    if not isinstance(rows, list):
        return faults + [f"{row['list'] or 'the reply'} is no array but {rows!r}"]
    tree = as_tree(row["rows"])
    for i, one in enumerate(rows):
        faults += faults_of_object(tree, one, f"{row['list']}[{i}].")
    return faults


def keys_of(row):
    """Every key, as the command line names them: "rules.mark", or "mark" of rows alone."""
    head = f"{row['list']}." if row["list"] else ""
    return [f["key"] for f in row["keys"] or []] + [head + f["key"] for f in row["rows"] or []]
