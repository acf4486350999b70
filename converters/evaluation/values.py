"""What flows through an evaluation besides plain arrays.

    array          a value of any element type that numpy or ml_dtypes has; strings are object arrays of bytes
    boxed object   a resource or variant: an object array, of rank 0 for a single one, whose elements are Python
                   objects, so that whatever moves elements (Identity, Pack, Gather, ...) moves them too
    Reference      the output of VariableV2 and its like: the variable itself to ops that take a reference
    DEAD           an output in a branch of a conditional that was not taken

An op that doesn't take a reference gets the value that the variable has when it runs.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tensorferry.formats.errors import GraphError

from ..ops import OpNode

Array = npt.NDArray[Any]

_Kind = TypeVar("_Kind")


class Dead:
    """The type of `DEAD`."""

    def __repr__(self) -> str:
        return "DEAD"


DEAD: Final = Dead()


class Reference(Protocol):
    """Something that has a value of its own at each moment."""

    def read(self) -> Array: ...


def boxed(item: object) -> Array:
    """An object as an array of rank 0."""
    box = np.empty((), object)
    box[()] = item
    return box


def unboxed(node: OpNode, value: Array, kind: type[_Kind], what: str) -> _Kind:
    """The one object of type `kind` in `value`; `what` is the kind's name in the GraphError if there is none."""
    item = value.reshape(-1)[0] if value.size == 1 else value
    if not isinstance(item, kind):
        raise GraphError(node.name, f"expected {node.op} of a {what}, got {value.dtype} {list(value.shape)}")
    return item
