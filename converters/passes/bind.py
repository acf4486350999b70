"""Bind: which entry of a checkpoint gives which variable of a graph its value.

For each variable, the first of these that exists:

 1. the entry that was renamed to the variable's name
 2. the entry under which the graph's own Saver keeps it (`saver_table`)
 3. the entry of its name
 4. for a resource variable, the entry of its shared name

A slice of a partitioned variable, as the Saver tells them (`saver_slices`), takes its part of the entry that has the
whole variable's name once all is averaged and renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from tensorferry.formats.box import box_of
from tensorferry.formats.errors import GraphError, listing

from ..ir import Node
from ..names.saver_table import SavedSlice
from ..names.selection import Entry, Selection, missing_names, variable_of


def bind(
    variables: Mapping[str, Node],
    selection: Selection,
    saver: Mapping[str, str],
    slices: Mapping[str, SavedSlice] = MappingProxyType({}),
) -> dict[str, Entry]:
    """Variable's node name -> the entry that gives its value. NameMapError names all variables without one.

    GraphError where a slice is one of another shape than the entry's.
    """
    renamed = selection.renamed
    by_source = {variable_of(entry): entry for entry in selection.entries.values()}
    bound: dict[str, Entry] = {}
    missing: list[str] = []
    for name, node in variables.items():
        part = slices.get(name)
        if part is not None and part.key in selection.entries and name not in selection.entries:
            entry: Entry | None = _part(name, part, selection.entries[part.key])
        else:
            entry = next(_candidates(name, node, selection, by_source, renamed, saver), None)
        if entry is None:
            missing.append(name)
        else:
            bound[name] = entry
    if missing:
        keys = {**saver, **{name: part.key for name, part in slices.items()}}
        raise missing_names(
            missing, selection.entries, "the checkpoint", _hint(missing, selection, keys, bound.values())
        )
    return bound


def _part(name: str, part: SavedSlice, whole: Entry) -> Entry:
    if part.shape != whole.tensor.shape:
        got = f"got {list(whole.tensor.shape)}"
        raise GraphError(name, f"expected a part of {whole.source} with shape {list(part.shape)}, {got}")
    return Entry(name, whole.source, box_of(whole.tensor, part.box), whole.averaged)


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


def _hint(missing: list[str], selection: Selection, saver: Mapping[str, str], used: Iterable[Entry]) -> str:
    left_out = [f"{name} ({selection.dropped[name]})" for name in missing if name in selection.dropped]
    if left_out:
        return f"left out before: {listing(left_out)}"
    keys = [f"{saver[name]} for {name}" for name in missing if saver.get(name, name) != name]
    if keys:
        return f"the graph's Saver looks for {listing(keys)}"
    idle = selection.entries.keys() - {entry.target for entry in used}
    alike = {_ending(name): name for name in sorted(idle, reverse=True)}
    pairs = [f"{alike[_ending(name)]}={name}" for name in missing if _ending(name) in alike]
    return f"if it has another name there: --rename {pairs[0]}, or for many a table, convert --map" if pairs else ""


def _ending(name: str) -> str:
    return name.rpartition("/")[2]
