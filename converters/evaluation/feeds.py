"""Feeds: arrays for the inputs of an evaluation, checked against what the graph says of them.

1. Any value of the graph can be fed; what makes it need not run then.
2. The element type is the graph's. Another one is converted where no element changes by it; bools and strings are
   never made into anything else. Text becomes bytes in UTF-8.
3. A placeholder's shape has to fit. `[]` means any shape in graphs of TensorFlow's versions up to 21 (0.12), and in
   those that don't tell their version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorferry.formats.dtype import STRING, DType, of_numpy
from tensorferry.formats.errors import GraphError, listing
from tensorferry.formats.tensor_proto import base_dtype

from ..ir import Graph, Node, Shape, split_value, value_name
from ..op_registry import attr_value, op_defs, output_dtypes
from ..passes.prune import present

Array = npt.NDArray[Any]

PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
"""The ops whose value only a feed can give."""


def checked_feeds(graph: Graph, feeds: Mapping[str, Any]) -> dict[str, Array]:
    """`feeds` by value (`x:0`), in the graph's element types. GraphError lists all that don't fit."""
    present(graph, feeds)
    scalars_are_scalars = _version(graph) > 21
    given: dict[str, Array] = {}
    wrong: list[str] = []
    for name, feed in feeds.items():
        value = value_name(name)
        node = graph.producer(value)
        array = np.asarray(feed)
        wanted = _dtype(node, split_value(value)[1])
        fitting = array if wanted is None else converted(array, wanted)
        if fitting is None:
            wrong.append(f"{value}: expected {wanted}, got {array.dtype} that {wanted} can't hold exactly")
            continue
        shape = placeholder_shape(node)
        if shape.dims is not None and (shape.dims or scalars_are_scalars) and not fits(array.shape, shape.dims):
            wrong.append(f"{value}: expected shape {shape}, got {list(array.shape)}")
        given[value] = fitting
    if wrong:
        raise GraphError("the feeds", listing(wrong))
    return given


def check_fed(graph: Graph, names: set[str], fed: Mapping[str, Array]) -> None:
    """GraphError lists every placeholder among the nodes `names` that has no value in `fed`."""
    missing = []
    for node in graph:
        if node.name in names and node.op in PLACEHOLDERS and f"{node.name}:0" not in fed:
            missing.append(f"{node.name}:0 {_dtype(node, 0)} {placeholder_shape(node)}")
    if missing:
        raise GraphError("the feeds", f"expected values for all placeholders needed, got none for {listing(missing)}")


def placeholder_shape(node: Node) -> Shape:
    """The shape that a placeholder asks for; unknown for any other node."""
    shape = attr_value(node, "shape") if node.op.startswith("Placeholder") else None
    return shape if isinstance(shape, Shape) else Shape()


def fits(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    """Whether an array of `shape` is one of the declared, partly known shape."""
    return len(shape) == len(declared) and all(d in (-1, s) for d, s in zip(declared, shape, strict=True))


def _dtype(node: Node, index: int) -> DType | None:
    """The element type of an output; None for an op that is not registered."""
    if node.op not in op_defs():
        return None
    dtypes = output_dtypes(node)
    if index >= len(dtypes):
        raise GraphError(f"{node.name}:{index}", f"expected an output of {node.op}, which has {len(dtypes)}")
    return base_dtype(dtypes[index])


def converted(array: Array, dtype: DType) -> Array | None:
    """`array` with elements of `dtype`; None where a value would change."""
    if dtype.kind == STRING:
        return _bytes(array) if array.dtype.kind in "OSU" else None
    if not dtype.storage or array.dtype.kind not in "biufcV":
        return None
    target = dtype.numpy()
    if array.dtype == target:
        return array
    if "b" in (array.dtype.kind, target.kind) or (array.dtype.kind == "c" and target.kind != "c"):
        return None
    with np.errstate(all="ignore"):
        cast = array.astype(target)
        back = cast.astype(array.dtype)
        # NaN is never equal, but is still NaN.
        same = (back == array) | (np.isnan(back) & np.isnan(array) if of_numpy(array.dtype).is_floating else False)
    return cast if np.all(same) else None


def _bytes(array: Array) -> Array | None:
    encoded = np.empty(array.size, object)
    for place, item in enumerate(array.reshape(-1).tolist()):
        if not isinstance(item, (str, bytes)):
            return None
        encoded[place] = item.encode() if isinstance(item, str) else item
    return encoded.reshape(array.shape)


def _version(graph: Graph) -> int:
    """The version of TensorFlow's graphs that the producer wrote; 0 where the graph doesn't tell."""
    from tensorferry.formats import protos

    return int(protos.parse("GraphDef", graph.residue, "").versions.producer) if graph.residue else 0
