"""Random numbers: of the same distribution, not the same numbers.

The stateless ops promise their numbers, which ONNX can't make: they have no lowering.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tensorferry.formats.dtype import FLOAT32, FLOAT64, INT32, INT64, DType
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.onnx_types import onnx_dtype

from ..inference.dims import Dims, known
from ..inference.values import Value
from ..ops import OpNode, OpTable
from .array import filled
from .builder import Builder
from .special import inverse_error_function

LOWERINGS: OpTable[Callable[..., Any]] = OpTable("lowering")

_SEEDS = {"seed", "seed2"}


def _seed(node: OpNode) -> dict[str, Any]:
    """A seed where TensorFlow has one: 0 and 0 mean a new one each time."""
    seed = node.integer("seed") * 31 + node.integer("seed2")
    return {"seed": float(seed % (1 << 23))} if seed else {}


def random_numbers(node: OpNode, g: Builder, op: str, dtype: DType, shape: Value, dims: Dims) -> Value:
    """Random numbers in a shape: an attribute where it is known, else that of some other value."""
    sizes = known(dims)
    made = dtype if dtype in (FLOAT32, FLOAT64) else FLOAT32
    kind = onnx_dtype(made)
    if sizes is not None:
        drawn = g.op(op, dtype=made, dims=dims, shape=list(sizes), dtype_=kind, **_seed(node))
    else:
        like = filled(g, 0, Value(made), g.int64(shape), dims)
        drawn = g.op(f"{op}Like", like, dtype=made, dims=dims, **_seed(node))
    return g.cast(drawn, dtype)


@LOWERINGS.op("RandomUniform", attrs=_SEEDS)
def random_uniform(node: OpNode, g: Builder, shape: Value) -> Value:
    """From 0 up to 1."""
    return random_numbers(node, g, "RandomUniform", node.dtype("dtype"), shape, g.results[0].dims)


@LOWERINGS.op("RandomStandardNormal", attrs=_SEEDS)
def random_standard_normal(node: OpNode, g: Builder, shape: Value) -> Value:
    """Of mean 0 and deviation 1."""
    return random_numbers(node, g, "RandomNormal", node.dtype("dtype"), shape, g.results[0].dims)


@LOWERINGS.op("TruncatedNormal", attrs=_SEEDS)
def truncated_normal(node: OpNode, g: Builder, shape: Value) -> Value:
    """The same within two deviations: what the inverse of its distribution makes of uniform numbers."""
    drawn = random_numbers(node, g, "RandomUniform", FLOAT32, shape, g.results[0].dims)
    edge = math.erf(math.sqrt(2))
    spread = g.op("Sub", g.op("Mul", drawn, g.scalar(2 * edge, like=drawn)), g.scalar(edge, like=drawn))
    bent = g.op("Mul", inverse_error_function(g, spread), g.scalar(math.sqrt(2), like=drawn))
    return g.cast(bent, node.dtype("dtype"))


@LOWERINGS.op("RandomUniformInt", attrs=_SEEDS)
def random_uniform_int(node: OpNode, g: Builder, shape: Value, low: Value, high: Value) -> Value:
    """Integers from low up to, not including, high."""
    drawn = random_numbers(node, g, "RandomUniform", FLOAT64, shape, g.results[0].dims)
    start, end = g.cast(low, FLOAT64), g.cast(high, FLOAT64)
    spread = g.op("Floor", g.op("Add", g.op("Mul", drawn, g.op("Sub", end, start)), start))
    return g.cast(spread, low.dtype)


@LOWERINGS.op("RandomShuffle", attrs=_SEEDS)
def random_shuffle(node: OpNode, g: Builder, x: Value) -> Value:
    """The rows in a random order: that of as many random numbers."""
    count = g.vector([g.size(x, 0)])
    drawn = random_numbers(node, g, "RandomUniform", FLOAT32, count, (None,) if x.dims is None else x.dims[:1])
    _, order = g.ops("TopK", drawn, count, outputs=2, dims=[drawn.dims, drawn.dims], axis=0)
    return g.gather(x, order, 0).with_(dims=x.dims)


@LOWERINGS.op("Multinomial", attrs=_SEEDS)
def multinomial(node: OpNode, g: Builder, logits: Value, count: Value) -> Value:
    """Classes drawn by their unnormalised log-probabilities [N, C]."""
    samples = count.integer()
    if samples is None:
        raise UnsupportedError("", "expected the number of samples to be a constant, got a computed one")
    kind = onnx_dtype(INT64 if node.dtype("output_dtype") == INT64 else INT32)
    return g.op(
        "Multinomial", g.cast(logits, FLOAT32), dtype=node.dtype("output_dtype"), dims=g.results[0].dims,
        sample_size=samples, dtype_=kind, **_seed(node),
    )  # fmt: skip
