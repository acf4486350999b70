"""What TensorFlow's ops compute, in numpy: the kernels of the reference evaluator and of constant folding.

    kernel     what all share: types, bounds, narrow floating types
    math       element by element          special    erf, lgamma, ... element by element
    matmul     products, Einsum, inverse   solve      linear equations
    reduce     sums, maxima, softmax, running sums
    array      shape and arrangement       indexing   slices, gather, scatter
    fill       arrays from numbers         blocks     space, depth and batch      matrix     bands and diagonals
    sets       unique, sorted, counted     segment    sums by segment
    nn         activations, normalization  conv, pool (windows: their geometry)
    recurrent  LSTM and GRU cells          losses     of classifiers, decoding   quantize   simulated quantization
    image      resizing, crops             boxes      choosing among boxes       colors     hue, contrast
    spectral   Fourier transforms          gradients  of activations             random     not TensorFlow's numbers
    ragged, sparse     their tensors, in parts
    strings    parts, joins, numbers       regex      matching, replacing        hashing    words into buckets
    state      checks, and what passes on or does nothing

Each module has a table `KERNELS`; `kernels()` joins them. `run` calls one kernel on checked inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tensorferry.formats.dtype import OPAQUE
from tensorferry.formats.errors import GraphError, UnsupportedError, listing
from tensorferry.formats.tensor_proto import base_dtype

from ..op_registry import attr_value, input_dtypes, output_dtypes, type_attrs
from ..ops import OpNode, OpTable

if TYPE_CHECKING:
    import numpy as np

    from tensorferry.formats.dtype import DType

    from ..ir import Node
    from .kernel import Array, Kernel


FAMILIES = (
    "array", "blocks", "boxes", "colors", "conv", "fill", "gradients", "hashing", "image", "indexing", "losses", "math",
    "matmul", "matrix", "nn", "pool", "quantize", "ragged", "random", "recurrent", "reduce", "regex", "segment", "sets",
    "solve", "sparse", "special", "spectral", "state", "strings",
)  # fmt: skip


@cache
def kernels() -> OpTable[Kernel]:
    """Every kernel by op."""
    from importlib import import_module

    return OpTable.merged("kernel", (import_module(f".{family}", __name__).KERNELS for family in FAMILIES))


class Prepared:
    """A kernel for one node, with the element types that it takes and makes: looked up once for many runs.

    Called with the values of the data inputs (and what else the kernel takes before them), it gives the outputs.
    GraphError, naming node and op, where inputs are not of the types and shapes that the op takes; UnsupportedError
    where the result would be too large.
    """

    __slots__ = ("kernel", "makes", "node", "takes", "view")

    def __init__(self, node: Node, kernel: Kernel) -> None:
        self.node = node
        self.view = OpNode(node)
        self.kernel = kernel
        self.takes, self.makes = _types(node)

    def __call__(self, inputs: Sequence[Array], *context: object) -> tuple[Array, ...]:
        self.check(inputs)
        try:
            result = self.kernel(self.view, *context, *inputs)
        except MemoryError:
            problem = f"expected memory for {self.node.op} of {_described(inputs)}, got none"
            raise UnsupportedError(self.node.name, problem) from None
        except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError) as error:
            problem = f"{self.node.op} of {_described(inputs)} failed: {error}"
            raise GraphError(self.node.name, problem) from error
        return self.outputs(result if isinstance(result, tuple) else (result,))

    def check(self, inputs: Sequence[Array]) -> None:
        """GraphError unless number and element types of `inputs` are what the op's registration and attributes say."""
        op = self.node.op
        if len(self.takes) != len(inputs):
            raise GraphError(self.node.name, f"expected {op} to have {len(self.takes)} inputs, got {len(inputs)}")
        for index, (base, stored) in enumerate(self.takes):
            value = inputs[index]
            if stored is not None and stored != value.dtype:
                got = f"{value.dtype} {list(value.shape)}"
                raise GraphError(self.node.name, f"expected input {index} of {op} to be {base}, got {got}")

    def outputs(self, result: tuple[Any, ...]) -> tuple[Array, ...]:
        """The kernel's results as arrays, if they are of the types that the op makes."""
        import numpy as np

        # An operation on arrays of rank 0 may give a bare element; a bytes object would become a text array.
        found = tuple(np.asarray(output, object if isinstance(output, bytes) else None) for output in result)
        stored = [wanted for _, wanted in self.makes]
        if len(found) != len(stored) or any(
            wanted is not None and wanted != output.dtype for wanted, output in zip(stored, found, strict=True)
        ):
            makes = listing(base for base, _ in self.makes) or "nothing"
            got = listing(output.dtype for output in found) or "nothing"
            raise GraphError(self.node.name, f"expected {self.node.op} to make {makes}, got {got}")
        return found


def run(node: Node, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs of `node` for the values of its data inputs: one call of its kernel (see `Prepared`).

    UnsupportedError where there is no kernel for it.
    """
    import numpy as np

    with np.errstate(all="ignore"):
        return Prepared(node, kernels().find(node))(inputs)


_Types: TypeAlias = "list[tuple[DType, np.dtype[Any] | None]]"
_known: dict[tuple[object, ...], tuple[_Types, _Types]] = {}
"""Types by op and the attributes that say them: graphs have thousands of nodes, and few kinds of them."""


def _types(node: Node) -> tuple[_Types, _Types]:
    """The element types that a node takes and makes, each as it is declared and as numpy has it."""
    key = (node.op, *(attr_value(node, name) for name in type_attrs(node.op)))
    try:
        found = _known.get(key)
    except TypeError:  # an attribute of a kind that can't be one of these: the registry says what is wrong
        key, found = (), None
    if found is None:
        takes, makes = (
            [(base, _stored(base)) for base in map(base_dtype, dtypes)]
            for dtypes in (input_dtypes(node), output_dtypes(node))
        )
        found = takes, makes
        if key and len(_known) < 10_000:
            _known[key] = found
    return found


def _stored(base: DType) -> np.dtype[Any] | None:
    """numpy's type for the elements; None for those of which anything may be (a resource, a variant)."""
    return None if base.kind == OPAQUE else base.numpy()


def _described(inputs: Sequence[Any]) -> str:
    return ", ".join(f"{value.dtype} {list(value.shape)}" for value in inputs) or "no inputs"
