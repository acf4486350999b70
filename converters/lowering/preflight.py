"""Pre-flight: everything that has no lowering is reported at once, before any work, and where a cut would avoid it.

Many graphs begin with what no runtime needs (files are read, pictures decoded, batches dequeued). Going back from the
outputs, the values where the last ops without a lowering end are a place to cut the graph at. If such a value goes on
through one op after another, and the size of some dimension shows only after a few of them (a decoded picture, then
resized), it is cut there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tensorferry.formats.dtype import OPAQUE
from tensorferry.formats.errors import UnsupportedError, listing

from ..inference.regions import Regions
from ..inference.values import Value
from ..ir import Node, node_name, value_name
from ..ops import OpTable
from ..passes.cut import PLACEHOLDERS
from .scope import Lowering, outputs_of

LONGEST_WAY = 16
"""How many ops a value is followed through."""

Values = Mapping[str, Value]


def preflight(
    order: Sequence[Node],
    values: Values,
    regions: Mapping[str, Regions],
    table: OpTable[Lowering],
    outputs: Sequence[str],
) -> None:
    """UnsupportedError that lists every op without a lowering, and every attribute that its lowering doesn't know."""
    missing: dict[str, list[str]] = {}
    barred: set[str] = set()
    for top, node, known in _everywhere(order, values, regions):
        what = _missing(node, known, table)
        if what:
            missing.setdefault(what, []).append(node.name)
            barred.add(top.name)
    if missing:
        ops = [f"{op} ({len(names)} {_plural(names)}: {listing(names, 3)})" for op, names in sorted(missing.items())]
        places = _Cut(order, values, barred).places(outputs)
        raise UnsupportedError(
            "the graph", f"expected ops that ONNX can express, got {len(ops)} others: {listing(ops, 50)}",
            hint=f"--inputs {','.join(places)} leaves them out" if places else "",
        )  # fmt: skip


def _missing(node: Node, values: Values, table: OpTable[Lowering]) -> str:
    """What of a node can't be lowered."""
    if node.op in PLACEHOLDERS or _is_known(node, values):
        return ""
    if node.op not in table:
        return node.op
    unknown = table.unknown_attrs(node)
    return f"{node.op} with {listing(unknown)}" if unknown else ""


def _everywhere(
    order: Sequence[Node], values: Values, regions: Mapping[str, Regions], top: Node | None = None
) -> Iterator[tuple[Node, Node, Values]]:
    """The nodes of a graph and of the bodies within, each with the outermost node that it is part of, and what is known
    of the values around it."""
    for node in order:
        yield top or node, node, values
        for region in regions.get(node.name, {}).values():
            yield from _everywhere(region.nodes, region.values, region.regions, top or node)


def _plural(names: Sequence[str]) -> str:
    return "node" if len(names) == 1 else "nodes"


def _is_known(node: Node, values: Values) -> bool:
    outputs = outputs_of(node, values)
    return bool(outputs) and all(value.is_known for value in outputs)


class _Cut:
    """Where a graph can be cut so that nothing `barred` is left of it."""

    def __init__(self, order: Sequence[Node], values: Values, barred: set[str]) -> None:
        self.nodes = {node.name: node for node in order}
        self.values = values
        self.barred = barred
        self.takers: dict[str, list[Node]] = {}
        for node in order:
            for value in dict.fromkeys(map(value_name, node.data_inputs)):
                self.takers.setdefault(value, []).append(node)

    def places(self, outputs: Sequence[str]) -> list[str]:
        """All inputs that the rest of the graph would have; none where there is no such cut."""
        found: dict[str, None] = {}
        stack = [value_name(value) for value in outputs]
        if any(node_name(value) in self.barred for value in stack):
            return []
        seen: set[str] = set()
        while stack:
            value = stack.pop()
            node = self.nodes[node_name(value)]
            if value in seen:
                continue
            seen.add(value)
            if node.name in self.barred:
                place = self._settled(value, outputs)
                if place not in self.values or self.values[place].dtype.kind == OPAQUE:
                    return []
                found[place] = None
            elif node.op in PLACEHOLDERS:
                found[value] = None
            elif not _is_known(node, self.values):
                stack += map(value_name, node.data_inputs)
        return sorted(found)

    def _settled(self, value: str, outputs: Sequence[str]) -> str:
        """The value itself, or what becomes of it once all sizes but the batch's are known."""
        place = value
        for _ in range(LONGEST_WAY):
            takers = self.takers.get(place, [])
            if place in outputs:
                return value
            if self._is_settled(place):
                return place
            if len(takers) != 1 or not self._depends_on_one(takers[0]):
                return value
            place = f"{takers[0].name}:0"
        return value

    def _is_settled(self, value: str) -> bool:
        dims = self.values[value].dims if value in self.values else None
        return dims is not None and all(isinstance(dim, int) for dim in dims[1:])

    def _depends_on_one(self, node: Node) -> bool:
        """Whether a node makes one value of one that isn't constant."""
        if node.name in self.barred or f"{node.name}:1" in self.values:
            return False
        found = (self.values.get(value_name(value)) for value in node.data_inputs)
        return sum(value is None or not value.is_constant for value in found) == 1
