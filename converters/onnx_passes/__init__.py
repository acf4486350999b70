"""Passes over ONNX-dialect graphs: each takes a graph and returns one.

    duplicates     nodes that compute the same are one
    layout         transposes that meet, cancel or vanish in constants (layout_rules: op by op)
    unused         nodes that no result needs

    borders        inputs and outputs with their channels in front, on request

Fusions work on a graph in place, around one node each (`editing`). Before the layout is changed:

    clip           a minimum and a maximum
    hard_sigmoid   relu6(x + 3) / 6 and its kin, HardSwish
    softmax        softmax and its logarithm, written out
    gelu           Gelu, written out (opset 20)
    layer_norm     layer normalisation, written out (opset 17)
    tensordot      reshapes around a product with a matrix

and after it:

    one_dimension  a convolution or pooling with a dimension put in for its sake
    pads           a Pad before a convolution or pooling
    batch_norm     batch normalisation and other factors after a convolution
    conv_bias      the bias after a convolution
    gemm           a matrix product and the bias after it
    affine         factors and summands by channel that are left
    reshapes       reshapes in a row
    scales         a resize to computed sizes
    named_axes     a Pad that an older onnxruntime would take for something else; always

Bodies of loops and conditionals are graphs of their own (`bodies`), and get the same passes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..inference.dims import Dims
from ..ir import Graph
from .affine import AFFINE
from .batch_norm import BATCH_NORM
from .bodies import dims_within, in_bodies
from .borders import move_channels
from .clip import CLIP
from .conv_bias import CONV_BIAS
from .duplicates import merge_duplicates
from .editing import Editor, Fusion
from .gelu import ERFC, GELU
from .gemm import GEMM
from .hard_sigmoid import GATED, HARD_SIGMOID, HARD_SWISH
from .layer_norm import LAYER_NORM
from .layout import push_transposes
from .named_axes import NAMED_AXES
from .one_dimension import ONE_DIMENSION
from .pads import PADS
from .reshapes import RESHAPES
from .scales import SCALES
from .softmax import LOG_SOFTMAX, SOFTMAX
from .tensordot import TENSORDOT
from .unused import remove_unused

BEFORE_LAYOUT = (CLIP, HARD_SIGMOID, HARD_SWISH, GATED, SOFTMAX, LOG_SOFTMAX, ERFC, GELU, LAYER_NORM, TENSORDOT)
AFTER_LAYOUT = (ONE_DIMENSION, PADS, BATCH_NORM, CONV_BIAS, GEMM, AFFINE, RESHAPES, SCALES)

PASSES = tuple(dict.fromkeys(["duplicates", "layout", *(fusion.name for fusion in (*BEFORE_LAYOUT, *AFTER_LAYOUT))]))
"""The passes that can be left out, by name."""


def run_passes(
    graph: Graph,
    dims: Mapping[str, Dims],
    opset: int,
    *,
    without: Collection[str] = (),
    inputs_as_nchw: Collection[str] = (),
    outputs_as_nchw: Collection[str] = (),
) -> Graph:
    """The graph after all passes but those named in `without`, one of `PASSES` each.

    `dims` has the shapes of the graph's values as far as they are known. Of the inputs and outputs that are named by
    their public names the channels come to the front.
    """
    graph = in_bodies(
        remove_unused(graph), lambda body: run_passes(body, dims_within(body, dims), opset, without=without)
    )
    if inputs_as_nchw or outputs_as_nchw:
        graph, dims = move_channels(graph, dims, inputs_as_nchw, outputs_as_nchw)
    if "duplicates" not in without:
        graph = merge_duplicates(graph)
    graph, dims = fuse(graph, dims, opset, _without(BEFORE_LAYOUT, without))
    if "layout" not in without:
        graph, dims = push_transposes(graph, dims, opset)
    return fuse(graph, dims, opset, [*_without(AFTER_LAYOUT, without), NAMED_AXES])[0]


def fuse(
    graph: Graph, dims: Mapping[str, Dims], opset: int, fusions: Collection[Fusion], refused: list[str] | None = None
) -> tuple[Graph, Mapping[str, Dims]]:
    """The graph after some fusions, and the shapes of its values; `refused` is told why others were not made."""
    editor = Editor(graph, dims, opset)
    reasons = editor.run(tuple(fusions))
    if refused is not None:
        refused += reasons
    return remove_unused(editor.graph()), editor.dims


def _without(fusions: Collection[Fusion], names: Collection[str]) -> list[Fusion]:
    return [fusion for fusion in fusions if fusion.name not in names]
