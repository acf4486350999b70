"""What lowerings build with: standard ops by name, and the everyday ones with their differences between opsets hidden.

    g.op("Add", x, y)                    any standard op
    g.transpose, reshape, unsqueeze, squeeze, cast, concat, slice, gather, expand, split, pad, reduce, ...
    g.scalar(0.5, like=x)  g.ints([0, 1])  constants
    g.parts(shape)  g.vector([...])      shape arithmetic (`parts`)

Helpers fold constants as views that compute nothing until they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import COMPLEX, COMPLEX64, FLOAT32, FLOAT64, INT32, INT64, DType
from tensorferry.formats.errors import UnsupportedError

from ..inference import dims as sizes_of
from ..inference.dims import Dim, Dims, broadcast_dims, known, product
from ..inference.values import Value
from ..views import View, reshaped, transposed
from .parts import Part, PartEmitter

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TO_END", "Builder", "Part"]

TO_END = (1 << 63) - 1
"""A slice's end beyond every dimension."""


class Builder(PartEmitter):
    """Adds ONNX nodes for the lowering of one TensorFlow graph."""

    # What a lowering may ask of its inputs

    def axis(self, axis: Value | int, rank: int, what: str = "axis") -> int:
        """A constant axis, counted from the front; UnsupportedError where it is computed."""
        number = axis if isinstance(axis, int) else axis.integer()
        if number is None:
            raise UnsupportedError("", f"expected the {what} to be a constant, got a computed one")
        if not -rank <= number < rank:
            raise UnsupportedError("", f"expected the {what} within {rank} dimensions, got {number}")
        return number % rank

    def numbers(self, x: Value, what: str) -> tuple[int, ...]:
        """The elements of a constant of integers; UnsupportedError where it is computed."""
        integers = x.integers()
        if integers is None:
            raise UnsupportedError("", f"expected the {what} to be constant, got computed ones")
        return integers

    # Complex numbers

    def pair(self, x: Value) -> Value:
        """A complex value [...] as the real one [..., 2] that it is."""
        if x.dtype.kind != COMPLEX:
            raise UnsupportedError("", f"expected a complex value, got one of {x.dtype}")
        half = FLOAT32 if x.dtype == COMPLEX64 else FLOAT64
        dims = None if x.dims is None else (*x.dims, 2)
        if x.tensor is not None:
            shape = (*x.tensor.shape, 2)
            return Value.of_tensor(View(half, shape, lambda array: _parts_of(array).reshape(shape), x.tensor))
        return Value(half, dims, name=x.name)

    def complex(self, pair: Value, dtype: DType) -> Value:
        """A real value [..., 2] as the complex one [...] that it stands for."""
        return Value(dtype, None if pair.dims is None else pair.dims[:-1], name=self.ref(pair))

    # Everyday ops

    def transpose(self, x: Value, perm: Sequence[int]) -> Value:
        """Dimension i is x's dimension perm[i]."""
        perm = list(perm)
        if perm == sorted(perm):
            return x
        if x.tensor is not None:
            return Value.of_tensor(transposed(x.tensor, perm))
        dims = None if x.dims is None else tuple(x.dims[axis] for axis in perm)
        return self.op("Transpose", x, dims=dims, perm=perm)

    def reshape(
        self, x: Value, shape: Sequence[Part] | Value, dims: Dims | None = None, *, zeros: bool = False
    ) -> Value:
        """x in another shape: parts, of which one may be -1, where zeros are sizes of 0; or an int64 vector.

        In a vector a 0 copies the size that x has in its place, unless `zeros` says that it is a size of 0.
        """
        if isinstance(shape, Value):
            return self._reshape(x, shape, dims, zeros=zeros)
        if dims is None:
            dims = tuple(None if isinstance(part, Value) or part == -1 else part for part in shape)
        target = known(dims)
        if x.tensor is not None and target is not None and x.size == product(target):
            return Value.of_tensor(reshaped(x.tensor, target))
        if x.dims is not None and x.dims == dims and None not in dims:
            return x
        return self._reshape(x, self.vector(_fewest_symbols(x.dims, dims, shape)), dims, zeros=0 in shape)

    def _reshape(self, x: Value, shape: Value, dims: Dims, *, zeros: bool = False) -> Value:
        if zeros and self.opset < 14:
            raise UnsupportedError("", "expected opset 14 or newer for a reshape to a dimension of 0")
        return self.op("Reshape", x, shape, dims=dims, allowzero=1 if zeros else None)

    def unsqueeze(self, x: Value, axes: Sequence[int]) -> Value:
        """Dimensions of 1 at `axes` of the result."""
        axes = list(axes)
        if not axes:
            return x
        dims: Dims = None
        if x.dims is not None:
            rank = len(x.dims) + len(axes)
            places = {axis % rank for axis in axes}
            left = iter(x.dims)
            dims = tuple(1 if axis in places else next(left) for axis in range(rank))
            shape = known(dims)
            if x.tensor is not None and shape is not None:
                return Value.of_tensor(reshaped(x.tensor, shape))
        return self.op("Unsqueeze", x, self.ints(axes), dims=dims)

    def squeeze(self, x: Value, axes: Sequence[int] | None) -> Value:
        """x without its dimensions `axes` (None: without all of 1)."""
        dims: Dims = None
        if x.dims is not None and axes is not None:
            gone = {axis % len(x.dims) for axis in axes}
            dims = tuple(dim for axis, dim in enumerate(x.dims) if axis not in gone)
            shape = known(dims)
            if x.tensor is not None and shape is not None:
                return Value.of_tensor(reshaped(x.tensor, shape))
        return self.op("Squeeze", x, None if axes is None else self.ints(list(axes)), dims=dims)

    def concat(self, xs: Sequence[Value], axis: int) -> Value:
        """Values joined along a dimension."""
        if len(xs) == 1:
            return xs[0]
        dims: Dims = None
        if all(x.dims is not None for x in xs):
            first = list(xs[0].dims or ())
            first[axis] = sizes_of.add(*(x.dims[axis] for x in xs))  # type: ignore[index]
            dims = tuple(first)
        return self.op("Concat", *xs, dims=dims, axis=axis)

    def slice(
        self,
        x: Value,
        starts: Sequence[Part],
        ends: Sequence[Part],
        axes: Sequence[int],
        steps: Sequence[Part] | None = None,
    ) -> Value:
        """x[starts[i] : ends[i] : steps[i]] along axes[i], with Python's meaning of negative and large ends."""
        dims: list[Dim] | None = None if x.dims is None else list(x.dims)
        for i, axis in enumerate(axes):
            if dims is not None:
                dims[axis] = _length(dims[axis], starts[i], ends[i], steps[i] if steps else 1)
        operands = [self.vector(starts), self.vector(ends), self.ints(list(axes))]
        if steps is not None and any(step != 1 for step in steps):
            operands.append(self.vector(steps))
        return self.op("Slice", x, *operands, dims=None if dims is None else tuple(dims))

    def gather(self, x: Value, indices: Value, axis: int = 0) -> Value:
        """x at `indices` along an axis; negative indices count from the end."""
        dims: Dims = None
        if x.dims is not None and indices.dims is not None:
            dims = (*x.dims[:axis], *indices.dims, *x.dims[axis % len(x.dims) + 1 :])
        index = indices if indices.dtype in (INT32, INT64) else self.cast(indices, INT64)
        return self.op("Gather", x, index, dims=dims, axis=axis)

    def expand(self, x: Value, shape: Value) -> Value:
        """x broadcast with a shape."""
        target = shape.known_entries()
        return self.op("Expand", x, shape, dims=broadcast_dims((x.dims, target)) if target is not None else None)

    def split(self, x: Value, sizes: Sequence[Part], axis: int) -> tuple[Value, ...]:
        """x parted along an axis."""
        dims = [
            None if x.dims is None else (*x.dims[:axis], None if isinstance(size, Value) else size, *x.dims[axis + 1 :])
            for size in sizes
        ]
        if len(sizes) == 1:
            return (x,)
        return self.ops("Split", x, self.vector(sizes), outputs=len(sizes), dims=dims, axis=axis)

    def pad(self, x: Value, before: Sequence[Part], after: Sequence[Part], value: Value | None = None) -> Value:
        """x with constant `value` (zero) around it."""
        dims = x.dims
        if dims is not None:
            around = zip(dims, before, after, strict=True)
            dims = tuple(sizes_of.add(dim, _dim(a), _dim(b)) for dim, a, b in around)
        return self.op("Pad", x, self.vector([*before, *after]), value, dims=dims)

    def reduce(self, op: str, x: Value, axes: Sequence[int] | None, *, keep: bool) -> Value:
        """A reduction over constant axes; None means over all."""
        dims: Dims = None
        if x.dims is not None:
            places = range(len(x.dims)) if axes is None else {axis % len(x.dims) for axis in axes}
            reduced = [1 if axis in places else dim for axis, dim in enumerate(x.dims)]
            dims = tuple(dim for axis, dim in enumerate(reduced) if keep or axis not in places)
        if axes is None:
            return self.op(op, x, dims=dims, keepdims=keep)
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.op(op, x, self.ints(list(axes)), dims=dims, keepdims=keep)
        return self.op(op, x, dims=dims, axes=list(axes), keepdims=keep)

    def select(self, condition: Value, x: Value, y: Value) -> Value:
        """x where the condition holds, else y."""
        return self.op("Where", condition, x, y)


def _dim(part: Part) -> Dim:
    return None if isinstance(part, Value) else part


def _length(dim: Dim, start: Part, end: Part, step: Part) -> Dim:
    if not isinstance(step, int):
        return None
    if isinstance(dim, int) and isinstance(start, int) and isinstance(end, int):
        stop = None if step < 0 and end < -dim else end
        return len(range(*slice(start, stop, step).indices(dim)))
    if step == 1 and start == 0 and end == dim:
        return dim
    return dim if step == 1 and start == 0 and end == TO_END else None


def _fewest_symbols(before: Dims, after: Sequence[Dim], shape: Sequence[Part]) -> list[Part]:
    """The shape for a Reshape with as much of it constant as can be.

    One size that is no number can be -1, provided that nothing else is 0; one that x has in the same place can be 0,
    which copies it. Where both together leave no symbol, the shape is a constant.
    """
    parts = list(shape)
    computed = [i for i, part in enumerate(parts) if not isinstance(part, int)]
    if -1 in parts or 0 in parts or not computed:
        return parts
    copied = [
        0 if isinstance(dim, str) and before is not None and i < len(before) and before[i] == dim else part
        for i, (dim, part) in enumerate(zip(after, parts, strict=True))
    ]
    left = [i for i in computed if copied[i] != 0]
    if len(computed) == 1 or len(left) == 1:
        shortest = parts if len(computed) == 1 else copied
        shortest[computed[0] if len(computed) == 1 else left[0]] = -1
        return shortest
    return parts if left else copied


def _parts_of(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Real and imaginary parts in turn."""
    import numpy as np

    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(f"f{array.dtype.itemsize // 2}")
