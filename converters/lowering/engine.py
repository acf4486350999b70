"""The lowering of a TensorFlow graph to a graph of ONNX ops.

    0  raise: loops and conditionals of TensorFlow 1 as nodes with bodies
    1  cut: the nodes between the inputs and the outputs, with a placeholder for every input
    2  infer: element types, shapes and contents of all their values
    3  pre-flight: every op that has no lowering is reported, all at once, before any work
    4  lower: node by node in order; what inference knows to be constant, or to be sizes, needs no lowering at all
    5  passes: layout, fusions, what nobody uses

The result's nodes are ONNX's, and these three:

    Input      name, dtype, shape           a graph input; its one value is `node:0`
    Constant   value                        a weight, lazy
    Output     name, dtype, shape (value)   a result

`Graph.outputs` says the same of the results: public name -> value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points

from tensorferry.formats.errors import UnsupportedError, UsageError, listing

from ..inference import InputShapes, analyse
from ..ir import Attr, Graph, Node, value_name
from ..onnx_passes import PASSES as ONNX_PASSES
from ..onnx_passes import run_passes
from ..ops import OpTable
from ..passes.raise_control_flow import raise_control_flow
from . import (
    array,
    blocks,
    boxes,
    control_flow,
    conv,
    decoding,
    detection,
    diagonal,
    gradients,
    image,
    joining,
    linear,
    logic,
    lookup,
    math,
    nn,
    pool,
    quantize,
    ragged,
    random,
    random_crop,
    recurrent,
    reduce,
    resize,
    scatter,
    search,
    segment,
    selection,
    sets,
    solving,
    sparse,
    special,
    spectral,
    tensor_list,
    text,
)  # fmt: skip
from .builder import Builder
from .carried import as_tensor, as_tensor_type, spelled
from .cut import cut
from .dilations import fuse_dilations
from .preflight import preflight
from .scope import Lowering, Scope

OLDEST_OPSET = 13

PASSES = ("dilations", *ONNX_PASSES, "recurrent")
"""The rewrites that can be left out, by name."""

ENTRY_POINTS = "tensorferry.lowerings"
"""The group of entry points that name an OpTable of more lowerings."""


@cache
def lowerings() -> OpTable[Lowering]:
    """The lowerings of all families, and those that installed packages add: tables named by entry points."""
    added = [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    return OpTable.merged("lowering", [*(family.LOWERINGS for family in FAMILIES), *added])


FAMILIES = (
    array, blocks, boxes, control_flow, conv, decoding, detection, diagonal, gradients, image, joining, linear, logic,
    lookup, math, nn, pool, quantize, ragged, random, random_crop, recurrent, reduce, resize, scatter, search, segment,
    selection, sets, solving, sparse, special, spectral, tensor_list, text,
)  # fmt: skip


@cache
def newest_opset() -> int:
    """The newest opset that the `onnx` package knows."""
    import onnx

    return int(onnx.defs.onnx_opset_version())


def lower(
    graph: Graph,
    inputs: Sequence[str] | Mapping[str, str] | None,
    outputs: Sequence[str] | Mapping[str, str],
    *,
    opset: int = 18,
    input_shapes: InputShapes | None = None,
    without: Collection[str] = (),
    inputs_as_nchw: Collection[str] = (),
    outputs_as_nchw: Collection[str] = (),
) -> Graph:
    """The ONNX-dialect graph that computes `outputs` of a frozen graph from `inputs`.

    Both are values (`x:0`), or a mapping of public names to them; `inputs` None means all placeholders that are needed.
    `input_shapes` gives shapes to inputs, as numbers, symbols and None, or None for an unknown rank. UnsupportedError
    lists all that ONNX can't express, GraphError says what the graph lacks. `without` names passes to be left out
    (`PASSES`); `inputs_as_nchw` and `outputs_as_nchw` name, as the result does, those with channels in front.
    """
    unknown = [name for name in without if name not in PASSES]
    if unknown:
        raise UsageError(listing(unknown), f"expected the name of a rewrite, one of {', '.join(PASSES)}")
    if not OLDEST_OPSET <= opset <= newest_opset():
        raise UsageError(f"opset {opset}", f"expected one of {OLDEST_OPSET} to {newest_opset()}")
    asked = _named(outputs)
    graph = raise_control_flow(graph, list(asked.values()), [] if inputs is None else list(_named(inputs).values()))
    piece, given = cut(graph, None if inputs is None else _named(inputs), list(asked.values()))
    shapes = {given.get(value_name(name), value_name(name)): dims for name, dims in (input_shapes or {}).items()}
    known = analyse(piece, shapes)
    fused = piece if "dilations" in without else fuse_dilations(piece, known.values, asked.values())
    if fused is not piece:
        piece, _ = cut(fused, given, list(asked.values()))
        known = analyse(piece, shapes)
    order = piece.topological()
    preflight(order, known.values, known.regions, lowerings(), list(asked.values()))
    builder = Builder(opset, piece.nodes)
    builder.without = without
    scope = Scope(order, known.values, known.regions, builder, lowerings(), asked.values())
    for public, value in given.items():
        _input(scope, piece.producer(value), public)
    scope.run()
    if scope.refused:
        raise scope.refused[0] if len(scope.refused) == 1 else UnsupportedError("the graph", listing(scope.refused, 50))
    named = {public: _output(scope, public, value) for public, value in asked.items()}
    return run_passes(
        builder.graph(named), builder.dims, opset,
        without=without, inputs_as_nchw=inputs_as_nchw, outputs_as_nchw=outputs_as_nchw,
    )  # fmt: skip


def _named(names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    pairs = names.items() if isinstance(names, Mapping) else ((value_name(name), name) for name in names)
    return {public: value_name(value) for public, value in pairs}


def _input(scope: Scope, node: Node, public: str) -> None:
    builder, known = scope.builder, scope.values[f"{node.name}:0"]
    value = as_tensor_type(known)
    attrs: dict[str, Attr] = {"name": public.encode(), "dtype": value.dtype, "shape": spelled(value.dims)}
    made = builder.emit("Input", [], attrs, [(value.dtype, value.dims)], name=node.name)[0]
    builder.provide(made)
    scope.env[made.name] = made.with_(dtype=known.dtype, dims=known.dims)


def _output(scope: Scope, public: str, value: str) -> str:
    result = as_tensor(scope.builder, scope.result(value))
    name = scope.builder.ref(result)
    attrs: dict[str, Attr] = {"name": public.encode(), "dtype": result.dtype, "shape": spelled(result.dims)}
    scope.builder.emit("Output", [name], attrs, [], name=scope.builder.unique(f"{public}/output"))
    return name
