"""Bind: which entry of a checkpoint gives which variable of a graph its value.

For each variable, the first of these that exists:

 1. the entry that was renamed to the variable's name
 2. the entry under which the graph's own Saver keeps it (`saver_table`)
 3. the entry of its name
 4. for a resource variable, the entry of its shared name
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tensorferry.formats.errors import listing

from ..ir import Node
from ..names.selection import Entry, Selection, missing_names, variable_of


def bind(variables: Mapping[str, Node], selection: Selection, saver: Mapping[str, str]) -> dict[str, Entry]:
    """Variable's node name -> the entry that gives its value. NameMapError names all variables without one."""
    renamed = selection.renamed
    by_source = {variable_of(entry): entry for entry in selection.entries.values()}
    bound: dict[str, Entry] = {}
    missing: list[str] = []
    for name, node in variables.items():
        for entry in _candidates(name, node, selection, by_source, renamed, saver):
            bound[name] = entry
            break
        else:
            missing.append(name)
    if missing:
        raise missing_names(missing, selection.entries, "the checkpoint", _hint(missing, selection, saver))
    return bound


def _candidates(
    name: str,
    node: Node,
    selection: Selection,
    by_source: Mapping[str, Entry],
    renamed: Mapping[str, str],
    saver: Mapping[str, str],
) -> Iterator[Entry]:
    if name in renamed.values():
        yield selection.entries[name]
    key = saver.get(name, "")
    if key in by_source and key not in renamed:
        yield by_source[key]
    if name in selection.entries:
        yield selection.entries[name]
    shared = node.attrs.get("shared_name")
    if (
        node.op == "VarHandleOp"
        and isinstance(shared, bytes)
        and shared.decode("utf-8", "replace") in selection.entries
    ):
        yield selection.entries[shared.decode("utf-8", "replace")]


def _hint(missing: list[str], selection: Selection, saver: Mapping[str, str]) -> str:
    left_out = [f"{name} ({selection.dropped[name]})" for name in missing if name in selection.dropped]
    if left_out:
        return f"left out before: {listing(left_out)}"
    keys = [f"{saver[name]} for {name}" for name in missing if saver.get(name, name) != name]
    return f"the graph's Saver looks for {listing(keys)}" if keys else ""
