"""What a conversion did, for people (`text`) and for programs (`to_dict`): nothing is left out or renamed unsaid."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorferry.formats.errors import listing, one_line

from ..ir import ValueInfo
from ..names.selection import Entry, Selection, variable_of

if TYPE_CHECKING:
    from ..tables import Table

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Kept:
    """One tensor of the result."""

    name: str
    source: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    averaged: bool
    others: tuple[str, ...] = ()
    """Further names in the source that it is made of."""
    how: str = ""
    """What a table did to make it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One output or tensor that `--verify` compared: the largest absolute difference, and whether that is small."""

    name: str
    difference: float
    equal: bool


@dataclass(slots=True)
class Report:
    """The account of one conversion."""

    source: str
    destination: str
    format: str
    kept: list[Kept] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    """Name in the source -> why it is not in the result."""
    dropped_bytes: int = 0
    """What the tensors left out of weights would have taken."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Name in the source -> name in the result or in the graph."""
    unaveraged: list[str] = field(default_factory=list)
    """With `--ema`: the kept tensors that have no shadow."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Public name -> element type and shape."""
    outputs: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    """Lookup table -> how much it holds, and of what types."""
    cleaned: dict[str, tuple[int, int]] = field(default_factory=dict)
    """What a frozen graph was rid of -> its nodes before and after."""
    nodes: tuple[int, int] | None = None
    """Nodes of the source's graph and of the result."""
    transposes: int = 0
    """Of the nodes of an ONNX model, those that only change the order of dimensions."""
    notes: list[str] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)
    dry_run: bool = False

    @property
    def verified(self) -> bool | None:
        """Whether every comparison of `--verify` came out equal; None where nothing was compared."""
        return all(check.equal for check in self.checks) if self.checks else None

    def keep(self, entries: Iterable[Entry]) -> None:
        """Accounts for the entries that went into the result."""
        for entry in entries:
            tensor = entry.tensor
            self.kept.append(
                Kept(
                    entry.target, entry.source, str(tensor.dtype), tensor.shape, tensor.nbytes, entry.averaged,
                    entry.others, entry.how,
                )
            )  # fmt: skip

    def take(self, selection: Selection) -> None:
        """Accounts for what a selection left out, renamed, or could not average."""
        self.dropped.update(selection.dropped)
        self.renamed.update(selection.renamed)
        self.unaveraged.extend(selection.unaveraged)
        self.notes.extend(selection.notes)

    def fix(self, defaulted: Sequence[str], inputs: Container[str]) -> None:
        """Accounts for placeholders that are their defaults now; `inputs` are those that are left."""
        if defaulted:
            self.notes.append(f"fixed at their defaults: {listing(defaulted)}")
        self.inputs = {name: text for name, text in self.inputs.items() if name in inputs}

    def take_tables(self, names: Sequence[str], tables: Mapping[str, Table], set_up: str = "") -> None:
        """Accounts for the lookup tables `names`, what is known of them, and the node `set_up` that fills them."""
        for name, table in tables.items():
            if name not in names:
                continue
            self.tables[name] = f"{len(table)} of {table.keys.dtype} to {table.values.dtype}"
        if set_up:
            self.notes.append(f"run {set_up} once, before the first lookup: it fills the tables")
        unknown = [name for name in names if name not in tables]
        if unknown:
            self.notes.append(f"tables that nothing fills: {listing(unknown)}")

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "source": self.source,
            "destination": self.destination,
            "format": self.format,
            "dry_run": self.dry_run,
            "tensors": [
                {
                    "name": kept.name,
                    "source": kept.source,
                    "dtype": kept.dtype,
                    "shape": list(kept.shape),
                    "bytes": kept.nbytes,
                    "averaged": kept.averaged,
                    **({"sources": [kept.source, *kept.others], "transform": kept.how} if kept.how else {}),
                }
                for kept in self.kept
            ],
            "dropped": self.dropped,
            "dropped_bytes": self.dropped_bytes,
            "renamed": self.renamed,
            "without_average": self.unaveraged,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "tables": self.tables,
            "cleaned": {name: {"before": before, "after": after} for name, (before, after) in self.cleaned.items()},
            "nodes": None if self.nodes is None else {"source": self.nodes[0], "result": self.nodes[1]},
            "transposes": self.transposes,
            "notes": self.notes,
            "verified": self.verified,
            "checks": [{"name": c.name, "difference": c.difference, "equal": c.equal} for c in self.checks],
        }

    def text(self) -> str:
        """The report as a person reads it."""
        route = one_line(f"{self.source} -> {self.destination}")
        lines = [f"{route} ({self.format}){' (dry run: nothing written)' * self.dry_run}"]
        rows = (*self._tensor_rows(), *self._graph_rows(), *self._check_rows())
        lines += [f"  {label:<9} {one_line(text)}" for label, text in rows]
        return "\n".join([*lines, "", *self.plan_lines()] if self.dry_run and self.kept else lines)

    def plan_lines(self) -> list[str]:
        """Every tensor of the result, a line each: what it is made of, how, its name, type and shape."""
        rows = [("source", "transform", "target", "dtype", "shape")]
        rows += [(" + ".join([k.source, *k.others]), k.how, k.name, k.dtype, str(list(k.shape))) for k in self.kept]
        if not any(row[1] for row in rows[1:]):
            rows = [(row[0], "", *row[2:]) for row in rows]
        rows = [tuple(map(one_line, row)) for row in rows]  # type: ignore[misc]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width] for row in rows)
        return ["  ".join(row).rstrip() for row in cells]

    def _tensor_rows(self) -> Iterator[tuple[str, str]]:
        if self.kept or self.nodes is None:
            total = size_text(sum(kept.nbytes for kept in self.kept))
            yield "kept", f"{plural(len(self.kept), 'tensor')}, {total}{_names(k.name for k in self.kept)}"
        averaged = {kept.source: kept.name for kept in reversed(self.kept) if kept.averaged}
        if averaged:
            told = _names(reversed(averaged.values()))
            yield "averaged", f"{plural(len(averaged), 'variable')} by the shadow's value{told}"
        if self.unaveraged:
            yield "", f"{len(self.unaveraged)} without a shadow{_names(self.unaveraged)}"
        if self.renamed:
            yield "renamed", f"{len(self.renamed)}{_names(f'{old} -> {new}' for old, new in self.renamed.items())}"
        for how, names in self._made().items():
            yield "made", f"{plural(len(names), 'tensor')} by {how}{_names(names)}"
        for reason, names in self._dropped_by_reason().items():
            yield "dropped", f"{plural(len(names), 'tensor')}, {reason}{_names(names)}"
        if self.dropped_bytes:
            yield "", f"{size_text(self.dropped_bytes)} left out"

    def _graph_rows(self) -> Iterator[tuple[str, str]]:
        for label, values in (("inputs", self.inputs), ("outputs", self.outputs)):
            for name, kind in values.items():
                yield label, f"{name} {kind}"
        for name, text in self.tables.items():
            yield "table", f"{name}: {text}"
        if self.nodes is not None:
            left = f", of these {plural(self.transposes, 'Transpose')}" if self.transposes else ""
            yield "nodes", f"{self.nodes[0]} -> {self.nodes[1]}{left}"
        for name, (before, after) in self.cleaned.items():
            if after < before:
                yield "cleaned", f"{name}: {before} -> {after}"
        for note in self.notes:
            yield "note", note

    def _check_rows(self) -> Iterator[tuple[str, str]]:
        """A row for each comparison; one for all that came out equal, where these are many."""
        same = [check.name for check in self.checks if check.equal and not check.difference]
        if len(same) > _SHOWN:
            yield "verified", f"{len(same)} equal{_names(same)}"
        for check in self.checks:
            if len(same) <= _SHOWN or check.difference or not check.equal:
                verdict = "equal" if check.difference == 0 else f"largest difference {check.difference:.2g}"
                yield "verified" if check.equal else "DIFFERS", f"{check.name}: {verdict}"

    def _made(self) -> dict[str, list[str]]:
        ways: dict[str, list[str]] = {}
        for kept in self.kept:
            if kept.how:
                ways.setdefault(kept.how, []).append(kept.name)
        return ways

    def _dropped_by_reason(self) -> dict[str, list[str]]:
        reasons: dict[str, list[str]] = {}
        for name, reason in self.dropped.items():
            reasons.setdefault(reason, []).append(name)
        return reasons


def saver_renames(bound: dict[str, Entry], selection: Selection) -> dict[str, str]:
    """Name in the checkpoint -> variable, where the graph's Saver made the difference."""
    return {
        variable_of(entry): variable
        for variable, entry in bound.items()
        if variable_of(entry) != variable and selection.renamed.get(variable_of(entry)) != variable
    }


def info_text(info: ValueInfo) -> str:
    """`float32 [?, 784]`."""
    return f"{info.dtype or '?'} {info.shape}"


def plural(count: int, noun: str) -> str:
    """`1 tensor`, `2 tensors`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def size_text(nbytes: float) -> str:
    """Bytes as `8 B`, `1.5 kB`, `2.1 MB`, in powers of 1000."""
    for unit in "B", "kB", "MB", "GB":
        if nbytes < 999.5:
            return f"{nbytes:.0f} {unit}" if unit == "B" or nbytes >= 100 else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} TB"


def _names(names: Iterable[str]) -> str:
    listed = listing(names, _SHOWN)
    return f": {listed}" if listed else ""
