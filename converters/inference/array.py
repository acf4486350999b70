"""Rules of ops that make, pass on or ask about values: constants, identities, shapes, fills and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable

from tensorferry.formats.tensor import Tensor

from ..ops import OpNode, OpTable
from .dims import Dim, Dims, broadcast_dims, ceil_divide, merge_dims, product
from .facts import Fact, Result, dim_at, scalar, unknown, vector
from .values import MAX_ENTRIES, Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("Const", attrs={"value"})
def const(node: OpNode) -> Result:
    """The tensor itself, unread."""
    tensor = node.node.attrs.get("value")
    return Fact(tensor.shape, None, tensor) if isinstance(tensor, Tensor) else None


@RULES.op(
    "Identity", "StopGradient", "PreventGradient", "Snapshot", "GuaranteeConst", "Copy", "CopyHost",
    attrs={"message", "tensor_name", "debug_ops_spec"},
)  # fmt: skip
def identity(node: OpNode, x: Value) -> Result:
    """Everything stays."""
    return Fact.of(x)


@RULES.op("Print", attrs={"message", "first_n", "summarize"})
def print_(node: OpNode, x: Value, *told: Value) -> Result:
    """Everything stays."""
    return Fact.of(x)


@RULES.op("IteratorGetNext", attrs={"output_shapes", "output_types"})
def iterator_get_next(node: OpNode, iterator: Value) -> Result:
    """What the data set promises."""
    return [
        shape.dims and tuple(dim if dim >= 0 else None for dim in shape.dims) for shape in node.shapes("output_shapes")
    ]


@RULES.op("IdentityN")
def identity_n(node: OpNode, *inputs: Value) -> Result:
    """Everything stays, of each."""
    return [Fact.of(x) for x in inputs]


@RULES.op("PlaceholderWithDefault", attrs={"shape"})
def placeholder_with_default(node: OpNode, default: Value) -> Result:
    """The attribute decides what may be fed; the default's own contents are no promise."""
    dims = node.shape("shape").dims
    return None if dims is None else tuple(dim if dim >= 0 else None for dim in dims)


@RULES.op("EnsureShape", attrs={"shape"})
def ensure_shape(node: OpNode, x: Value) -> Result:
    """What the input and the attribute know together."""
    dims = node.shape("shape").dims
    stated = None if dims is None else tuple(dim if dim >= 0 else None for dim in dims)
    return Fact(merge_dims(x.dims, stated), x.entries, x.tensor)


@RULES.op("Shape")
def shape(node: OpNode, x: Value) -> Result:
    """The sizes as entries."""
    return (None,) if x.dims is None else vector(x.dims)


@RULES.op("ShapeN")
def shape_n(node: OpNode, *inputs: Value) -> Result:
    """Shape of each."""
    return [shape(node, x) for x in inputs]  # type: ignore[misc]


@RULES.op("Size")
def size(node: OpNode, x: Value) -> Result:
    """The product of the sizes."""
    return scalar(product(x.dims))


@RULES.op("Rank")
def rank(node: OpNode, x: Value) -> Result:
    """The number of dimensions."""
    return scalar(x.rank)


def dims_of_entries(target: Value) -> Dims:
    """The shape that a vector of sizes spells; negative entries are unknown sizes."""
    entries = target.known_entries()
    if entries is None:
        count = dim_at(target, 0)
        return unknown(count) if isinstance(count, int) and count <= MAX_ENTRIES else None
    return tuple(None if isinstance(entry, int) and entry < 0 else entry for entry in entries)


@RULES.op("Fill")
def fill(node: OpNode, dims: Value, value: Value) -> Result:
    """The shape is the first input's contents."""
    shape = dims_of_entries(dims)
    entry = value.known_entries()
    if value.dtype.is_integer and entry and shape is not None and len(shape) == 1 and isinstance(shape[0], int):
        return Fact(shape, entry[:1] * shape[0] if shape[0] <= MAX_ENTRIES else None)
    return shape


@RULES.op("Empty", attrs={"init"})
def empty(node: OpNode, dims: Value) -> Result:
    """The shape is the input's contents."""
    return dims_of_entries(dims)


@RULES.op("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "RandomUniformInt", attrs={"seed", "seed2"})
def random(node: OpNode, dims: Value, *bounds: Value) -> Result:
    """The shape is the first input's contents."""
    return dims_of_entries(dims)


@RULES.op("StatelessRandomUniform", "StatelessRandomNormal", "StatelessTruncatedNormal", "StatelessRandomUniformInt")
def stateless_random(node: OpNode, dims: Value, *others: Value) -> Result:
    """The shape is the first input's contents."""
    return dims_of_entries(dims)


@RULES.op("Range")
def range_(node: OpNode, start: Value, limit: Value, delta: Value) -> Result:
    """The length follows from the three scalars: (limit - start) / delta, rounded up."""
    if not start.dtype.is_integer:
        return (_real_length(start, limit, delta),)
    first, end, step = (_entry(value) for value in (start, limit, delta))
    if isinstance(first, int) and isinstance(end, int) and isinstance(step, int) and step:
        length = len(range(first, end, step))
        return vector(range(first, end, step)) if length <= MAX_ENTRIES else (length,)
    if first == 0 and isinstance(step, int) and step > 0 and isinstance(end, str):
        return (ceil_divide(end, step),) if "-" not in end else (None,)
    return (None,)


def _entry(value: Value) -> Dim:
    entries = value.known_entries()
    return entries[0] if entries is not None and len(entries) == 1 else None


def _real_length(start: Value, limit: Value, delta: Value) -> Dim:
    arrays = [value.array() for value in (start, limit, delta)]
    if any(array is None or array.size != 1 for array in arrays):
        return None
    first, end, step = (float(array.item()) for array in arrays if array is not None)
    if step == 0 or not all(map(math.isfinite, (first, end, step))):
        return None
    return max(math.ceil((end - first) / step), 0)


@RULES.op("LinSpace")
def lin_space(node: OpNode, start: Value, stop: Value, count: Value) -> Result:
    """As many elements as the third input says."""
    return (_entry(count),)


@RULES.op("BroadcastArgs")
def broadcast_args(node: OpNode, a: Value, b: Value) -> Result:
    """The shape that two shapes broadcast to, as contents."""
    left, right = dims_of_entries(a), dims_of_entries(b)
    return (None,) if left is None or right is None else vector(broadcast_dims((left, right)) or ())


@RULES.op("InvertPermutation")
def invert_permutation(node: OpNode, x: Value) -> Result:
    """y[x[i]] = i."""
    integers = x.integers()
    if integers is None or sorted(integers) != list(range(len(integers))):
        return x.dims
    return vector([integers.index(i) for i in range(len(integers))])


@RULES.op("Where")
def where(node: OpNode, x: Value) -> Result:
    """One row of indices for each true element, how many nobody knows."""
    return (None, x.rank)


@RULES.op("Unique", "UniqueWithCounts", "UniqueV2", "UniqueWithCountsV2")
def unique(node: OpNode, x: Value, *axis: Value) -> Result:
    """Values (as many as there are), the index of each element among them, counts."""
    if axis and (axis[0].size != 0 or x.rank != 1):
        number = axis[0].integer()
        count = None if number is None else dim_at(x, number)
        return [unknown(x.rank) if x.rank is not None else None, (count,), *([(None,)] * node.op.count("Counts"))]
    return [(None,), x.dims, *([(None,)] * node.op.count("Counts"))]


@RULES.op("ListDiff")
def list_diff(node: OpNode, x: Value, y: Value) -> Result:
    """What is in x and not in y, and where."""
    return [(None,), (None,)]


@RULES.op("Bincount", "DenseBincount", attrs={"binary_output"})
def bincount(node: OpNode, x: Value, size: Value, weights: Value) -> Result:
    """`size` bins; DenseBincount keeps the first dimension of a matrix."""
    ahead = x.dims[:1] if node.op == "DenseBincount" and x.dims is not None and len(x.dims) == 2 else ()
    return None if x.dims is None and node.op == "DenseBincount" else (*ahead, _entry(size))


@RULES.op("Diag", "DiagPart")
def diag(node: OpNode, x: Value) -> Result:
    """Diag doubles the dimensions, DiagPart halves them."""
    if x.dims is None:
        return None
    return x.dims * 2 if node.op == "Diag" else x.dims[: len(x.dims) // 2]


@RULES.op("RandomShuffle", attrs={"seed", "seed2"})
def random_shuffle(node: OpNode, x: Value) -> Result:
    """The same shape."""
    return x.dims


@RULES.op("Multinomial", attrs={"seed", "seed2"})
def multinomial(node: OpNode, logits: Value, count: Value) -> Result:
    """[batch, count]."""
    return (dim_at(logits, 0), _entry(count))


@RULES.op("UnravelIndex")
def unravel_index(node: OpNode, indices: Value, dims: Value) -> Result:
    """[rank, n]: a row for each dimension of the shape."""
    rank = dim_at(dims, 0)
    return None if indices.dims is None else (rank, *indices.dims)


@RULES.op("Switch")
def switch(node: OpNode, x: Value, condition: Value) -> Result:
    """The value on one of two ways."""
    return [x.dims, x.dims]


@RULES.op("Merge")
def merge(node: OpNode, *inputs: Value) -> Result:
    """The value that comes, of which is known what is known of all, and its number."""
    first, *others = (x.dims for x in inputs)
    if first is None or any(dims is None or len(dims) != len(first) for dims in others):
        return [None, ()]
    same = zip(first, *(dims for dims in others if dims is not None), strict=True)
    return [tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in same), ()]


@RULES.op("Enter", "Exit", "NextIteration", attrs={"frame_name", "is_constant", "parallel_iterations"})
def passed_on(node: OpNode, x: Value) -> Result:
    """The value, into a loop, out of it, or on to its next round."""
    return x.dims


@RULES.op("LoopCond")
def loop_cond(node: OpNode, condition: Value) -> Result:
    """A scalar."""
    return ()
