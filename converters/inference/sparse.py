"""Rules of sparse and ragged tensors, sets and decoded sequences: results whose sizes only the contents tell."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import OpNode, OpTable
from .dims import add
from .facts import Fact, Result, dim_at
from .values import Value

RULES: OpTable[Callable[..., Result]] = OpTable("inference rule")


@RULES.op("DenseToDenseSetOperation", attrs={"set_operation", "validate_indices"})
def dense_to_dense_set_operation(node: OpNode, a: Value, b: Value) -> Result:
    """Indices, values and shape of the remaining elements."""
    rank = a.rank if a.rank is not None else b.rank
    return [(None, rank), (None,), (rank,)]


@RULES.op("CTCGreedyDecoder", attrs={"merge_repeated", "blank_index"})
def ctc_greedy_decoder(node: OpNode, inputs: Value, lengths: Value) -> Result:
    """Indices, values and shape of the decoded labels, and a number for each sequence."""
    batch = dim_at(inputs, 1)
    return [(None, 2), (None,), (2,), (batch if batch is not None else dim_at(lengths, 0), 1)]


@RULES.op("SparseReshape")
def sparse_reshape(node: OpNode, indices: Value, shape: Value, target: Value) -> Result:
    """Indices of another rank, and the shape that was asked for, where no size of it is left open."""
    rank = dim_at(target, 0)
    entries = target.known_entries()
    if entries is not None and any(entry is None or entry == -1 for entry in entries):
        entries = None
    return [(dim_at(indices, 0), rank), Fact((rank,), entries)]


@RULES.op("SparseReorder")
def sparse_reorder(node: OpNode, indices: Value, values: Value, shape: Value) -> Result:
    """As many elements."""
    return [indices.dims, values.dims]


@RULES.op("SparseFillEmptyRows")
def sparse_fill_empty_rows(node: OpNode, indices: Value, values: Value, shape: Value, default: Value) -> Result:
    """More elements, a truth for each row, and a place for each element there was."""
    rows = shape.known_entries()
    return [(None, dim_at(indices, 1)), (None,), (rows[0] if rows else None,), (dim_at(indices, 0),)]


@RULES.op("SparseTensorDenseMatMul", attrs={"adjoint_a", "adjoint_b"})
def sparse_tensor_dense_mat_mul(node: OpNode, indices: Value, values: Value, shape: Value, b: Value) -> Result:
    """[m, k] times [k, n]."""
    sizes = shape.known_entries() or (None, None)
    return (sizes[1 if node.flag("adjoint_a") else 0], dim_at(b, 0 if node.flag("adjoint_b") else 1))


@RULES.op("SparseTensorDenseAdd")
def sparse_tensor_dense_add(node: OpNode, indices: Value, values: Value, shape: Value, b: Value) -> Result:
    """The dense one's shape."""
    return b.dims


@RULES.op("SparseReduceSum", attrs={"keep_dims"})
def sparse_reduce_sum(node: OpNode, indices: Value, values: Value, shape: Value, axes: Value) -> Result:
    """Without the dimensions that are summed up, or with ones in their place."""
    sizes, numbers = shape.known_entries(), axes.integers()
    if sizes is None or numbers is None:
        return None
    gone = {axis % len(sizes) for axis in numbers}
    if node.flag("keep_dims"):
        return tuple(1 if axis in gone else size for axis, size in enumerate(sizes))
    return tuple(size for axis, size in enumerate(sizes) if axis not in gone)


@RULES.op("SparseConcat", attrs={"concat_dim"})
def sparse_concat(node: OpNode, *inputs: Value) -> Result:
    """All elements; the ranks are one."""
    count = len(inputs) // 3
    ranks = [dim_at(shape, 0) for shape in inputs[2 * count :]]
    elements = add(*(dim_at(values, 0) for values in inputs[count : 2 * count]))
    return [(elements, ranks[0]), (elements,), (ranks[0],)]


@RULES.op("RaggedRange")
def ragged_range(node: OpNode, starts: Value, limits: Value, deltas: Value) -> Result:
    """One more split than rows, and the values."""
    rows = next((value.dims[0] for value in (starts, limits, deltas) if value.dims), None)
    if all(value.rank == 0 for value in (starts, limits, deltas)):
        rows = 1
    return [(add(rows, 1),), (None,)]


@RULES.op("RaggedGather", attrs={"PARAMS_RAGGED_RANK", "OUTPUT_RAGGED_RANK"})
def ragged_gather(node: OpNode, *inputs: Value) -> Result:
    """Splits and values of the rows that are picked."""
    *_, values, _ = inputs
    splits: list[Result] = [(None,)] * node.integer("OUTPUT_RAGGED_RANK")
    return [*splits, None if values.dims is None else (None, *values.dims[1:])]  # type: ignore[list-item]


@RULES.op("RaggedTensorToSparse", attrs={"RAGGED_RANK"})
def ragged_tensor_to_sparse(node: OpNode, *inputs: Value) -> Result:
    """Indices, values and shape: a dimension for each depth and each of the values'."""
    *splits, values = inputs
    rank = None if values.rank is None else values.rank + len(splits)
    return [(values.size, rank), (values.size,), (rank,)]


@RULES.op("RaggedTensorToTensor", attrs={"row_partition_types", "num_row_partition_tensors"})
def ragged_tensor_to_tensor(node: OpNode, shape: Value, values: Value, *others: Value) -> Result:
    """The sizes that are asked for, and those of the values behind."""
    entries = shape.known_entries()
    depth = sum(kind != "FIRST_DIM_SIZE" for kind in node.texts("row_partition_types")) + 1
    if values.dims is None:
        return None
    sizes = (*(None,) * depth, *values.dims[1:])
    if shape.rank == 0 or entries is None or len(entries) != len(sizes):
        return sizes
    return tuple(size if entry == -1 or entry is None else entry for entry, size in zip(entries, sizes, strict=True))


RULES.add("SparseReduceMax", sparse_reduce_sum, {"keep_dims"})


@RULES.op("SparseSlice")
def sparse_slice(node: OpNode, indices: Value, values: Value, shape: Value, start: Value, size: Value) -> Result:
    """Some of the elements."""
    rank = dim_at(shape, 0)
    return [(None, rank), (None,), (rank,)]


@RULES.op("SparseDenseCwiseAdd", "SparseDenseCwiseMul", "SparseDenseCwiseDiv")
def sparse_dense_cwise(node: OpNode, indices: Value, values: Value, shape: Value, dense: Value) -> Result:
    """A value for each element that is there."""
    return (dim_at(indices, 0),)
