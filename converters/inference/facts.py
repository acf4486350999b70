"""What an inference rule says of an op's outputs.

A rule takes the node and what is known of its inputs and returns, for the one output, its shape (`None` for an
unknown rank) or a `Fact`, where something is known of its contents too; a list of such for several outputs. The
element types come from the op registry, never from a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tensorferry.formats.errors import GraphError
from tensorferry.formats.tensor import Tensor

from ..ops import OpNode
from .dims import Dim, Dims
from .values import Items, Value


@dataclass(frozen=True, slots=True)
class Fact:
    """A shape, with the contents: the entries of a vector or scalar of integers, a constant, or a list's elements."""

    dims: Dims
    entries: tuple[Dim, ...] | None = None
    tensor: Tensor | None = None
    items: Items | None = None

    @classmethod
    def of(cls, value: Value) -> Fact:
        """All that is known of a value."""
        return cls(value.dims, value.entries, value.tensor, value.items)


Result: TypeAlias = "Dims | Fact | list[Dims | Fact]"


def scalar(entry: Dim) -> Fact:
    """A scalar integer."""
    return Fact((), (entry,))


def vector(entries: Sequence[Dim]) -> Fact:
    """A vector of integers."""
    return Fact((len(entries),), tuple(entries))


def same(node: OpNode, x: Value, *others: Value) -> Result:
    """The first input's shape."""
    return x.dims


def unknown(rank: int) -> tuple[None, ...]:
    """A shape of which only the rank is known."""
    return (None,) * rank


def axis_index(node: OpNode, axis: int, rank: int) -> int:
    """An axis counted from the front; GraphError where it is outside of `rank` dimensions."""
    if not -rank <= axis < rank:
        raise GraphError(node.name, f"expected an axis of {rank} dimensions, got {axis}")
    return axis % rank


def dim_at(value: Value, axis: int) -> Dim:
    """The size of one dimension; None where the rank is unknown or too low."""
    if value.dims is None or not -len(value.dims) <= axis < len(value.dims):
        return None
    return value.dims[axis]


def with_rank(node: OpNode, value: Value, rank: int) -> tuple[Dim, ...]:
    """The shape of an input that has `rank` dimensions; GraphError where it has another number."""
    if value.dims is None:
        return unknown(rank)
    if len(value.dims) != rank:
        raise GraphError(node.name, f"expected an input of {rank} dimensions, got {len(value.dims)}")
    return value.dims
