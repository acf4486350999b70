"""Inputs and outputs with their channels in front, where the caller wants them so.

    Input x [N, H, W, C]                = Transpose(Input x [N, C, H, W])
    Output y [N, H, W, C]               = Output(Transpose(y)) [N, C, H, W]

The layout pass takes the transposes away again where they meet those of a convolution.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tensorferry.formats.errors import GraphError

from ..inference.dims import Dims
from ..ir import Graph, Node, Shape, node_name
from .editing import Editor
from .layout import ints


def move_channels(
    graph: Graph, dims: Mapping[str, Dims], inputs: Collection[str], outputs: Collection[str]
) -> tuple[Graph, Mapping[str, Dims]]:
    """The graph with the channels of some inputs and outputs, by public name, in front; and the shapes of its values.

    GraphError where one has not 3 to 5 dimensions.
    """
    editor = Editor(graph, dims)
    for node in editor.of("Input"):
        name = _name(node)
        if name in inputs:
            value, rank = f"{node.name}:0", _rank(node, name)
            wanted, first = editor.dims.get(value), [0, rank - 1, *range(1, rank - 1)]
            editor.replace(node, _with_shape(node, first))
            editor.dims[value] = _permuted(wanted, first)
            back = editor.add(f"{node.name}/NHWC", "Transpose", value, dims=wanted, perm=ints([0, *range(2, rank), 1]))
            editor.redirect(value, back)
    for node in editor.of("Output"):
        name = _name(node)
        if name in outputs:
            rank = _rank(node, name)
            first = [0, rank - 1, *range(1, rank - 1)]
            moved = _permuted(editor.dims.get(node.inputs[0]), first)
            source = node.inputs[0]
            value = editor.add(f"{node_name(source)}/NCHW", "Transpose", source, dims=moved, perm=ints(first))
            editor.replace(node, _with_shape(node, first).with_(inputs=(value,)))
    result = editor.graph()
    result.outputs = {_name(node): node.inputs[0] for node in result if node.op == "Output"}
    return result, editor.dims


def _name(node: Node) -> str:
    name = node.attrs["name"]
    assert isinstance(name, bytes)
    return name.decode()


def _rank(node: Node, name: str) -> int:
    shape = node.attrs["shape"]
    dims = shape.dims if isinstance(shape, Shape) else None
    if dims is None or not 3 <= len(dims) <= 5:
        raise GraphError(name, f"expected 3 to 5 dimensions, to put channels in front, got {Shape(dims)}")
    return len(dims)


def _with_shape(node: Node, perm: list[int]) -> Node:
    shape = node.attrs["shape"]
    assert isinstance(shape, Shape)
    assert shape.dims is not None
    names = tuple(shape.names[axis] for axis in perm) if shape.names else ()
    return node.with_(attrs={**node.attrs, "shape": Shape(tuple(shape.dims[axis] for axis in perm), names)})


def _permuted(dims: Dims, perm: list[int]) -> Dims:
    return None if dims is None else tuple(dims[axis] for axis in perm)
