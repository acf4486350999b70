"""What TensorFlow's ops compute, in numpy: the kernels of the reference evaluator and of constant folding.

    kernel     what all share: types, bounds, narrow floating types
    math       element by element          special    erf, lgamma, ... element by element
    matmul     products, Einsum, inverse   reduce     sums, maxima, softmax, running sums
    array      shape and arrangement       indexing   slices, gather, scatter
    fill       arrays from numbers         blocks     space, depth and batch      matrix     bands and diagonals
    sets       unique, sorted, counted     segment    sums by segment
    nn         activations, normalization  conv, pool (windows: their geometry)
    image      resizing, boxes             spectral   Fourier transforms         quantize   simulated quantization
    state      what passes on or does nothing         random     seeded, not TensorFlow's numbers

Each module has a table `KERNELS`; `kernels()` joins them. `run` calls one kernel on checked inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import OPAQUE
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor_proto import base_dtype

from ..op_registry import input_dtypes, output_dtypes
from ..ops import OpNode, OpTable

if TYPE_CHECKING:
    from ..ir import Node
    from .kernel import Array, Kernel


FAMILIES = (
    "array", "blocks", "conv", "fill", "image", "indexing", "math", "matmul", "matrix", "nn", "pool", "quantize",
    "random", "reduce", "segment", "sets", "special", "spectral", "state",
)  # fmt: skip


@cache
def kernels() -> OpTable[Kernel]:
    """Every kernel by op."""
    from importlib import import_module

    return OpTable.merged("kernel", (import_module(f".{family}", __name__).KERNELS for family in FAMILIES))


def run(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs of `node` for the values of its data inputs.

    UnsupportedError where there is no kernel or the result would be too large; GraphError, naming node and op, where
    inputs are not of the types and shapes that the op takes.
    """
    import numpy as np

    kernel = kernels().find(node)
    check_inputs(node, inputs)
    bases = [base_dtype(dtype) for dtype in output_dtypes(node)]
    try:
        with np.errstate(all="ignore"):
            result = kernel(OpNode(node), *inputs)
    except MemoryError:
        raise UnsupportedError(node.name, f"expected memory for {node.op} of {_described(inputs)}, got none") from None
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        raise GraphError(node.name, f"{node.op} of {_described(inputs)} failed: {error}") from error
    # An operation on arrays of rank 0 may give a bare element; a bytes object would become a text array of its length.
    outputs = tuple(
        np.asarray(output, object if isinstance(output, bytes) else None)
        for output in (result if isinstance(result, tuple) else (result,))
    )
    # A resource stands for its value, of any type.
    wanted = [
        output.dtype if base.kind == OPAQUE else base.numpy() for base, output in zip(bases, outputs, strict=False)
    ]
    if len(bases) != len(outputs) or [output.dtype for output in outputs] != wanted:
        raise GraphError(
            node.name,
            f"expected {node.op} to make {listing(bases) or 'nothing'}, "
            f"got {listing(output.dtype for output in outputs) or 'nothing'}",
        )
    return outputs


def check_inputs(node: Node, inputs: Sequence[Array]) -> None:
    """GraphError unless number and element types of `inputs` are what the op's registration and attributes say."""
    wanted = input_dtypes(node)
    if len(wanted) != len(inputs):
        raise GraphError(node.name, f"expected {node.op} to have {len(wanted)} inputs, got {len(inputs)}")
    for index, (dtype, value) in enumerate(zip(wanted, inputs, strict=True)):
        base = base_dtype(dtype)
        if base.kind != OPAQUE and base.numpy() != value.dtype:
            raise GraphError(
                node.name, f"expected input {index} of {node.op} to be {base}, got {value.dtype} {list(value.shape)}"
            )


def _described(inputs: Sequence[Any]) -> str:
    return ", ".join(f"{value.dtype} {list(value.shape)}" for value in inputs) or "no inputs"
