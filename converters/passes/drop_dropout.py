"""Drop dropout: what is left of dropout when nothing is dropped.

    u = uniform random numbers in [0, 1), maybe u * 1 + 0
    x * scale * cast(u >= rate)      rate <= 0        every element stays
    x * scale * floor(u + keep)      keep >= 1        every element stays

 1. The product with such a mask becomes an Identity of the other factor, where the mask's shape does not broaden it.
 2. A product with, or a quotient by, the scalar 1, which is the scale then, becomes an Identity too.

It is for graphs in which rate or keep is known: the default of a placeholder (`fold_defaults`), or a constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tensorferry.formats.tensor import Tensor

from ..ir import Graph, Node, node_name, value_name
from .fold_constants import PASSING, fold_constants

if TYPE_CHECKING:
    from ..inference.values import Value

_UNIFORM = ("RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2")


def drop_dropout(graph: Graph) -> Graph:
    """`graph` without dropout that drops nothing; the same graph where there is none."""
    if not any(node.op in _UNIFORM for node in graph):
        return graph
    dropout = _Dropout(graph)
    products = dropout.products()
    return Graph.of(dropout.nodes(products), like=graph) if products else graph


class _Dropout:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.folded = fold_constants(graph)
        """The same graph, to tell what is constant."""

    def products(self) -> dict[str, str]:
        """The products with a mask of ones, by name, and their other factors."""
        from ..inference import infer

        found = {node.name: value for node in self.graph if node.op == "Mul" and (value := self._unmasked(node))}
        values = infer(self.graph) if found else {}
        return {name: value for name, value in found.items() if _is_as_wide(values, name, value)}

    def nodes(self, masks: Mapping[str, str]) -> Iterator[Node]:
        """The nodes of the graph, where the products `masks` are their factors."""
        scales = self._scales(masks)
        for node in self.graph:
            kept = masks.get(node.name) or scales.get(node.name, "")
            if not kept:
                yield node
                continue
            controls = (f"^{name}" for name in node.control_inputs)
            attrs = {name: attr for name, attr in node.attrs.items() if name == "T" or name.startswith("_")}
            yield node.with_(op="Identity", inputs=(kept, *controls), attrs=attrs)

    def _unmasked(self, node: Node) -> str:
        """Of a product of a value and a mask of ones, the value; "" for any other."""
        if len(node.data_inputs) != 2:
            return ""
        for value, mask in (node.data_inputs, node.data_inputs[::-1]):
            if self._is_all_ones(mask):
                return value
        return ""

    def _scales(self, masked: Iterable[str]) -> dict[str, str]:
        """The divisions by one, and products with it, that are factors of what was masked."""
        found = {}
        for name in masked:
            for value in self.graph.nodes[name].data_inputs:
                node = self._source(value)
                inputs = node.data_inputs
                if node.op not in ("Mul", "RealDiv", "Div") or len(inputs) != 2:
                    continue
                if self._scalar(inputs[1]) == 1:
                    found[node.name] = inputs[0]
                elif node.op == "Mul" and self._scalar(inputs[0]) == 1:
                    found[node.name] = inputs[1]
        return found

    def _is_all_ones(self, mask: str) -> bool:
        node = self._source(mask)
        if node.op == "Cast":
            compared = self._source(node.data_inputs[0])
            if compared.op != "GreaterEqual":
                return False
            rate = self._scalar(compared.data_inputs[1])
            return rate is not None and rate <= 0 and self._is_uniform(compared.data_inputs[0])
        if node.op == "Floor":
            total = self._source(node.data_inputs[0])
            if total.op not in ("Add", "AddV2"):
                return False
            for keep, random in (total.data_inputs, total.data_inputs[::-1]):
                if self._scalar(keep) == 1 and self._is_uniform(random):
                    return True
        return False

    def _is_uniform(self, value: str) -> bool:
        """Whether a value is one of random numbers in [0, 1)."""
        for _ in range(3):
            node = self._source(value)
            if node.op in _UNIFORM:
                return True
            neutral = {"Mul": 1, "Add": 0, "AddV2": 0}.get(node.op)
            rest = [other for other in node.data_inputs if self._scalar(other) != neutral]
            if neutral is None or len(rest) != 1:
                return False
            value = rest[0]
        return False

    def _source(self, value: str) -> Node:
        """The node behind identities."""
        node = self.graph.producer(value)
        for _ in range(len(self.graph)):
            if node.op not in PASSING or not node.data_inputs:
                break
            node = self.graph.producer(node.data_inputs[0])
        return node

    def _scalar(self, value: str) -> float | None:
        """The number that a constant scalar is."""
        if value_name(value) != f"{node_name(value)}:0" or node_name(value) not in self.folded.nodes:
            return None
        node = self.folded.nodes[node_name(value)]
        for _ in range(len(self.folded)):
            if node.op not in PASSING or not node.data_inputs:
                break
            node = self.folded.producer(node.data_inputs[0])
        tensor = node.attrs.get("value")
        if node.op != "Const" or not isinstance(tensor, Tensor) or tensor.shape or not tensor.dtype.is_floating:
            return None
        return float(tensor.numpy())


def _is_as_wide(values: Mapping[str, Value], name: str, value: str) -> bool:
    """Whether a product has the very shape of one factor."""
    made, factor = values.get(f"{name}:0"), values.get(value_name(value))
    return made is not None and factor is not None and made.dims is not None and made.dims == factor.dims
