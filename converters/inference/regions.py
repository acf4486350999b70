"""Regions: the body of a conditional or loop as it runs at one node, and what is known of the values within.

A body sees nothing but its arguments, so a region is inferred from what is known of these, and one function gives as
many regions as there are nodes that run it. A symbol that was born in a region stands for a size there and then: in
a loop it is another number with each step, and behind the region it is nothing at all (`Region.leaving`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..functions import ARGUMENT
from ..ir import Graph, Node, node_name, value_name
from .dims import Dim, Dims, merge_dims
from .values import Items, Value

PASSING = ("Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape")


@dataclass(frozen=True, slots=True)
class Region:
    """`arguments` and `results` are values of the body in order, `nodes` what the results need, in order."""

    name: str
    arguments: tuple[str, ...]
    results: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    regions: Mapping[str, Regions]
    """The regions within, by node."""
    born: frozenset[str]
    """The symbols that mean something in here only."""

    def result(self, index: int) -> Value:
        """What is known of a result in here."""
        return self.values[self.results[index]]

    def leaving(self, value: Value) -> Value:
        """What is known of a value behind the region."""
        entries = None if value.entries is None else tuple(self._known(entry) for entry in value.entries)
        if entries and not any(entry is not None for entry in entries):
            entries = None
        items = value.items
        if items is not None:
            items = replace(items, dims=self._outer(items.dims), length=self._known(items.length))
        return value.with_(dims=self._outer(value.dims), entries=entries, items=items)

    def _outer(self, dims: Dims) -> Dims:
        return None if dims is None else tuple(self._known(dim) for dim in dims)

    def _known(self, dim: Dim) -> Dim:
        return None if isinstance(dim, str) and not self.born.isdisjoint(re.findall(r"[\w.]+", dim)) else dim

    def source(self, value: str) -> str:
        """The value that `value` is, seen through what only passes it on."""
        makers = {node.name: node for node in self.nodes}
        full = value_name(value)
        while (node := makers.get(node_name(full))) is not None and node.op in PASSING and node.data_inputs:
            full = value_name(node.data_inputs[0])
        return full

    def needed(self, values: Iterable[str]) -> list[Node]:
        """The nodes that `values` need, in order."""
        wanted = {node_name(value) for value in values}
        found = []
        for node in reversed(self.nodes):
            if node.name in wanted:
                found.append(node)
                wanted.update(node_name(value) for value in node.data_inputs)
        return found[::-1]

    def arguments_of(self, values: Sequence[str]) -> set[int]:
        """The arguments, by number, that `values` depend on."""
        used = {value_name(value) for node in self.needed(values) for value in node.data_inputs}
        used.update(map(value_name, values))
        return {index for index, name in enumerate(self.arguments) if name in used}


Regions: TypeAlias = "Mapping[str, Region]"
"""The regions of one node by what they are to it: `body`, `then_branch`, ..."""


def needed_order(graph: Graph, results: Sequence[str]) -> list[Node]:
    """The nodes of a body that its results need, without its arguments, producers first; order alone needs nothing."""
    stack = [node_name(value) for value in results]
    kept: set[str] = set()
    while stack:
        name = stack.pop()
        if name not in kept:
            kept.add(name)
            stack.extend(node_name(value) for value in graph.producer(name).data_inputs)
    piece = Graph.of(node.with_(inputs=node.data_inputs) for node in graph if node.name in kept)
    return [node for node in piece.topological() if node.op != ARGUMENT]


def join(a: Value, b: Value) -> Value:
    """What is known of a value that is either `a` or `b`. None for a size that may be the one or the other."""
    same = a.tensor is not None and (a.tensor is b.tensor or _equal(a, b))
    tensor = a.tensor if same else None
    entries = None
    left, right = a.known_entries(), b.known_entries()
    if tensor is None and left is not None and right is not None and len(left) == len(right):
        entries = tuple(x if x == y else None for x, y in zip(left, right, strict=True))
        entries = entries if any(entry is not None for entry in entries) or not entries else None
    items = None if a.items is None or b.items is None else join_items(a.items, b.items)
    return Value(a.dtype, _join_dims(a.dims, b.dims), tensor, entries, items=items)


def _equal(a: Value, b: Value) -> bool:
    if b.tensor is None or a.tensor is None or a.dims != b.dims or a.tensor.nbytes > 1024 or not a.dtype.is_plain:
        return False
    return a.tensor.tobytes() == b.tensor.tobytes()


def _join_dims(a: Dims, b: Dims) -> Dims:
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))


def join_items(a: Items, b: Items) -> Items:
    """Of a list that holds nothing yet, only what its elements are to be counts."""
    length = a.length if a.length == b.length else None
    if a.blank == b.blank:
        return Items(a.dtype, _join_dims(a.dims, b.dims), length, a.blank)
    blank, full = (a, b) if a.blank else (b, a)
    return Items(a.dtype, merge_dims(full.dims, blank.dims), length)


def argument_index(region: Region, value: str) -> int | None:
    """The number of the argument that `value` is, if it is one."""
    source = region.source(value)
    return region.arguments.index(source) if source in region.arguments else None
