"""Names: which tensors to take, from which entry, and what to call them.

    select   --include and --exclude globs, over the names in the source
    average  every variable that has a shadow takes the shadow's value under its own name
    rename   source name -> target name

They apply in this order, each over names of the source, and give a list of `Entry`. What a step leaves out
or has nothing to say about is kept beside the list, for the report. All that is wrong with the names of one kind is
reported in one error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tensorferry.formats.errors import NameMapError, listing
from tensorferry.formats.tensor import Tensor

from .table import expand_scopes, invert_table, merge_tables, path_of

EMA_SUFFIX = "ExponentialMovingAverage"
"""What TensorFlow appends, after a slash, to a variable's name for the moving average of its value."""

_NEAR = 3
_FEW = 8
_MOST_NEAR = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of the result: its name there, the entry of the source that it comes from, and the value.

    `others` are further entries that it is made of, `how` what was done to make it, where a table says so.
    """

    target: str
    source: str
    tensor: Tensor
    averaged: bool = False
    others: tuple[str, ...] = ()
    how: str = ""


@dataclass(slots=True)
class Selection:
    """The tensors of a result by target name, and what became of the rest."""

    entries: dict[str, Entry] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    """Source name -> why it is left out."""
    notes: list[str] = field(default_factory=list)
    unaveraged: list[str] = field(default_factory=list)
    """The names that were to take an average and have no shadow."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {name: entry.tensor for name, entry in self.entries.items()}

    @property
    def renamed(self) -> dict[str, str]:
        """Source name -> target name of what has another name now (no averaging explains it), and is of one source."""
        alone = Counter(entry.source for entry in self.entries.values())
        return {
            variable_of(e): e.target
            for e in self.entries.values()
            if variable_of(e) != e.target and alone[e.source] == 1 and not e.others
        }


def select_names(
    tensors: Mapping[str, Tensor],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    ema: str | None = None,
    rename: Mapping[str, str] | None = None,
    tables: Sequence[Mapping[str, str]] = (),
    surplus: Mapping[str, str] | None = None,
) -> Selection:
    """The tensors of a result, under their names there.

    `ema` is the shadows' suffix; `rename` maps names in the source to names in the result; `surplus` says of names why
    they are left out unless an `include` or a table asks for them. Raises NameMapError.

    `tables` are Saver's dictionaries: they map as `rename` does, but what has a name that a table gives to another
    entry makes room for it, and one that fits only the other way round, {name in the result: name in the source}, is
    taken so. Both are reported.
    """
    selection = Selection()
    for name in tensors:
        selection.entries[name] = Entry(name, name, tensors[name])
    if ema:
        _average(selection, ema)
    entries = selection.entries.items() if tables else ()
    in_scopes = [name for name, entry in entries if not _left_out(name, entry, include, exclude, surplus or {})]
    oriented = [_oriented(table, selection, in_scopes) for table in tables]
    whole = merge_tables([*oriented, rename or {}])
    _choose(selection, include, exclude, {name: why for name, why in (surplus or {}).items() if name not in whole})
    _make_room(selection, merge_tables(oriented), whole)
    if whole:
        _rename(selection, whole, {path_of(table): turned for table, turned in zip(tables, oriented, strict=True)})
    return selection


def variable_of(entry: Entry) -> str:
    """The name in the source of the variable that an entry gives: an averaged one keeps its shadow's prefix."""
    return entry.source.rpartition("/")[0] if entry.averaged else entry.source


def shadow_pairs(names: Collection[str], suffix: str = EMA_SUFFIX) -> dict[str, str]:
    """Variable -> shadow, for every name that is another's with `/suffix`; the variable itself may be missing.

    What has a shadow's name and the suffix once more is a variable like any other.
    """
    ending = f"/{suffix}"
    pairs = {name[: -len(ending)]: name for name in names if name.endswith(ending) and len(name) > len(ending)}
    shadows = set(pairs.values())
    return {variable: shadow for variable, shadow in pairs.items() if variable not in shadows}


def missing_names(
    missing: Iterable[str], available: Collection[str], place: str, hint: str = "", path: str = ""
) -> NameMapError:
    """The error `v2: not in the checkpoint; it has: v1`, for one name or several, with near names for each.

    `place` says where the names should have been, `path` which file asks for them.
    """
    names = list(dict.fromkeys(missing))
    before = f"{path}: " if path else ""
    if len(available) <= _FEW:
        has = f"it has: {listing(sorted(available), _FEW)}" if available else "it has none"
        return NameMapError(before + listing(names), f"not in {place}; {has}", hint=hint)
    near = {name: near_names(name, available) for name in names[:_MOST_NEAR]}
    parts = [f"{name} (near: {', '.join(near[name])})" if near.get(name) else name for name in names]
    return NameMapError(before + listing(parts), f"not in {place}, which has {len(available)} names", hint=hint)


def near_names(name: str, available: Iterable[str], count: int = _NEAR) -> list[str]:
    """The names most like `name`, best first."""
    from difflib import get_close_matches
    from itertools import islice

    pool = list(islice(available, 5000))
    ends = [other for other in pool if other.rpartition("/")[2] == name.rpartition("/")[2]]
    return list(dict.fromkeys([*get_close_matches(name, pool, count, 0.6), *ends]))[:count]


def _average(selection: Selection, suffix: str) -> None:
    pairs = shadow_pairs(selection.entries, suffix)
    if not pairs:
        known = sorted({name.rpartition("/")[2] for name in selection.entries if "/" in name})
        raise NameMapError(
            "--ema",
            f"expected variables with a shadow NAME/{suffix}, got none",
            hint=f"last parts of the names: {listing(known, _FEW)}" if known else "",
        )
    shadows = {shadow: variable for variable, shadow in pairs.items()}
    averaged: dict[str, Entry] = {}
    for name, entry in selection.entries.items():
        if name in pairs:
            averaged[name] = Entry(name, pairs[name], selection.entries[pairs[name]].tensor, averaged=True)
            selection.dropped[name] = "replaced by the average"
        elif name not in shadows:
            averaged[name] = entry
            selection.unaveraged.append(name)
        elif shadows[name] not in selection.entries:
            averaged[shadows[name]] = Entry(shadows[name], name, entry.tensor, averaged=True)
    selection.entries = averaged


def _choose(selection: Selection, include: Sequence[str], exclude: Sequence[str], surplus: Mapping[str, str]) -> None:
    names = list(selection.entries)
    sources = {entry.source for entry in selection.entries.values()}
    idle = [
        f"{option} {glob}"
        for option, globs in (("--include", include), ("--exclude", exclude))
        for glob in globs
        if not any(fnmatchcase(name, glob) for name in sources.union(names))
    ]
    if idle:
        raise NameMapError(", ".join(idle), f"expected to match a name, got none of: {listing(sorted(names), _FEW)}")
    for name in names:
        reason = _left_out(name, selection.entries[name], include, exclude, surplus)
        if reason:
            entry = selection.entries.pop(name)
            selection.dropped[entry.source] = reason
            if name in selection.dropped:
                selection.dropped[name] = reason
            if name in selection.unaveraged:
                selection.unaveraged.remove(name)


def _left_out(
    name: str, entry: Entry, include: Sequence[str], exclude: Sequence[str], surplus: Mapping[str, str]
) -> str:
    """Why an entry is left out; nothing where it is not."""
    reason = "" if include or entry.averaged else surplus.get(entry.source, "")
    if include and not any(fnmatchcase(name, glob) for glob in include):
        reason = "not in --include"
    for glob in exclude:
        if fnmatchcase(name, glob):
            reason = f"--exclude {glob}"
    return reason


def _oriented(table: Mapping[str, str], selection: Selection, in_scopes: Collection[str]) -> Mapping[str, str]:
    """The table as {name in the source: name in the result}, its scopes as those names that are in them."""
    names = {*selection.entries, *selection.dropped}
    whole = expand_scopes(table, in_scopes)
    turned = expand_scopes({new: old for old, new in table.items()}, in_scopes)
    if not table or any(old in names for old in whole) or not all(name in names for name in turned):
        return whole
    back = invert_table(table, path_of(table) or "table")
    arrows = listing((f"{old} -> {new}" for old, new in back.items()), _FEW)
    selection.notes.append(f"a table fits only the other way round, and is read so: {arrows}")
    return turned


def _make_room(selection: Selection, table: Mapping[str, str], rename: Mapping[str, str]) -> None:
    """Leaves out the entries whose names the table gives to others, unless they are renamed themselves."""
    for old, new in table.items():
        if old != new and old in selection.entries and new in selection.entries and new not in rename:
            entry = selection.entries.pop(new)
            selection.dropped[entry.source] = "the table gives the name to another"


def _rename(selection: Selection, rename: Mapping[str, str], tables: Mapping[str, Collection[str]]) -> None:
    """Gives the entries their new names. `tables` says in which file a name stands."""

    def files(names: Iterable[str]) -> str:
        return listing(path for path, table in tables.items() if path and any(name in table for name in names))

    missing = [old for old in rename if old not in selection.entries]
    if missing:
        hint = ""
        excluded = [old for old in missing if old in selection.dropped]
        averages = {entry.source: name for name, entry in selection.entries.items() if entry.averaged}
        moved = [f"{old} as {averages[old]}" for old in missing if old in averages]
        if moved:
            hint = f"averages go by their variables' names: {listing(moved)}"
        elif excluded:
            hint = f"left out before: {listing(f'{old} ({selection.dropped[old]})' for old in excluded)}"
        elif all(new in selection.entries for new in rename.values()):
            hint = "a table goes from names in the source to names in the result; this one looks inverted"
        raise missing_names(missing, selection.entries, "the source", hint, files(missing))
    sources: dict[str, list[str]] = {}
    renamed: dict[str, Entry] = {}
    for old, entry in selection.entries.items():
        new = rename.get(old, old)
        sources.setdefault(new, []).append(old)
        renamed[new] = Entry(new, entry.source, entry.tensor, entry.averaged)
    doubled = [f"{new} <- {', '.join(olds)}" for new, olds in sources.items() if len(olds) > 1]
    if doubled:
        where = files(old for new, olds in sources.items() if len(olds) > 1 for old in olds)
        raise NameMapError(
            where or "rename", f"expected a name for each tensor, got several for one: {listing(doubled)}"
        )
    empty = [old for old, new in rename.items() if not new]
    if empty:
        raise NameMapError(files(empty) or "rename", f"expected a name to rename to, got none for: {listing(empty)}")
    selection.entries = renamed
