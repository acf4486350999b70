"""Tensors that are made from others when they are read: a weight in the layout or the type that an op wants it in.

Nothing is computed or read until somebody asks for the value, and nothing of it is kept, so that a model's weights
pass through memory one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import DType
from tensorferry.formats.room import borrowed, stretch
from tensorferry.formats.tensor import ArrayTensor, Buffer, FileTensor, Tensor, refuse_strings

from .gather import blocks, merged, restrided, row_major

if TYPE_CHECKING:
    import numpy as np


class View(Tensor):
    """`make(base.numpy(), ...)` of one or more tensors, an array of `dtype` and `shape`."""

    __slots__ = ("_make", "bases")

    def __init__(
        self, dtype: DType, shape: tuple[int, ...], make: Callable[..., np.ndarray[Any, Any]], *bases: Tensor
    ) -> None:
        super().__init__(dtype, shape)
        self._make = make
        self.bases = bases

    def numpy(self) -> np.ndarray[Any, Any]:
        value: np.ndarray[Any, Any] = self._make(*(base.numpy() for base in self.bases))
        assert value.shape == self.shape, f"a view of {self.shape} made an array of {value.shape}"
        return value

    def chunks(self) -> Iterator[Buffer]:
        yield from ArrayTensor(self.numpy(), self.dtype).chunks()


class Reshaped(Tensor):
    """The same elements in another shape; the bytes are streamed as the base streams them."""

    __slots__ = ("base",)
    base: Tensor

    def __init__(self, base: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__(base.dtype, shape)
        self.base = base.base if isinstance(base, Reshaped) else base

    @property
    def bases(self) -> tuple[Tensor]:
        return (self.base,)

    @property
    def held(self) -> Tensor | None:
        return self.base.held

    def numpy(self) -> np.ndarray[Any, Any]:
        return self.base.numpy().reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        return self.base.chunks()


class Strided(Tensor):
    """Elements of `base` in any layout: `strides` and `offset` say in elements where in the base's own order they are.

    `readers` is how many such tensors are made of the base, and likely to be read one after the other.
    """

    __slots__ = ("base", "offset", "readers", "strides")
    base: Tensor

    def __init__(
        self, base: Tensor, shape: Sequence[int], strides: Sequence[int], offset: int = 0, readers: int = 1
    ) -> None:
        super().__init__(base.dtype, tuple(shape))
        self.base = base
        self.strides = tuple(strides)
        self.offset = offset
        self.readers = readers

    @property
    def bases(self) -> tuple[Tensor]:
        return (self.base,)

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        if not self.size:
            return self._of(self.base.numpy())
        if self._file is None:
            if self.readers == 1:
                return self._of(self.base.numpy())
            with borrowed(self.base, self.readers) as shared:
                part: np.ndarray[Any, Any] = self._of(shared).copy()
            return part
        whole = np.empty(self.nbytes, np.uint8)
        place = 0
        for chunk in self.chunks():
            whole[place : place + len(chunk)] = np.frombuffer(chunk, np.uint8)
            place += len(chunk)
        array: np.ndarray[Any, Any] = whole.view(self.dtype.numpy())
        return array.reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        refuse_strings(self)
        if not self.size:
            return
        if self._file is not None:
            first = self.offset * self.dtype.itemsize
            yield from stretch(self._file, first, first + self.nbytes, self.readers)
            return
        with borrowed(self.base, self.readers) as array:
            for block in blocks(self._of(array)):
                yield from ArrayTensor(block, self.dtype).chunks()

    @property
    def held(self) -> Tensor | None:
        return self.base if self.readers > 1 and self.size and self._file is None else None

    @property
    def is_in_order(self) -> bool:
        """Whether its elements follow each other as in the base."""
        return merged(self.shape, self.strides) in ([], [(self.size, 1)])

    @property
    def _file(self) -> FileTensor | None:
        """The base if the elements lie in it as they are wanted, so that the others need not be held."""
        base = self.base
        return base if isinstance(base, FileTensor) and not base.big_endian and self.is_in_order else None

    def _of(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        if not self.size:
            return np.empty(self.shape, array.dtype)
        flat = np.ascontiguousarray(array).reshape(-1)
        size = flat.itemsize
        steps = tuple(stride * size for stride in self.strides)
        if self.dtype.is_plain:
            plain: np.ndarray[Any, Any] = np.ndarray(self.shape, flat.dtype, flat, self.offset * size, steps)
            return plain
        strings: np.ndarray[Any, Any] = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps)
        return strings


def reshaped(base: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`base` in another shape of as many elements."""
    if base.shape == shape:
        return base
    if isinstance(base, Strided):
        strides = restrided(base.shape, base.strides, shape)
        if strides is not None:
            return Strided(base.base, shape, strides, base.offset, base.readers)
    return Reshaped(base, shape)


def transposed(base: Tensor, perm: Sequence[int]) -> Tensor:
    """`base` with its dimensions in another order (dimension i is its dimension `perm[i]`), or itself if in its own."""
    if list(perm) == sorted(perm):
        return base
    whole, strides, offset, readers = _layout(base)
    return _strided(whole, [base.shape[axis] for axis in perm], [strides[axis] for axis in perm], offset, readers)


def flipped(base: Tensor, axes: Collection[int]) -> Tensor:
    """`base` with the dimensions `axes` from behind."""
    whole, strides, offset, readers = _layout(base)
    if not base.size:
        return base
    offset += sum((base.shape[axis] - 1) * strides[axis] for axis in axes)
    return _strided(whole, base.shape, [-s if axis in axes else s for axis, s in enumerate(strides)], offset, readers)


def taken(base: Tensor, axis: int, kept: range, readers: int = 1) -> Tensor:
    """The indices `kept` of a dimension of `base`, of which `readers` such parts are made."""
    whole, strides, offset, others = _layout(base)
    shape = (*base.shape[:axis], len(kept), *base.shape[axis + 1 :])
    steps = (*strides[:axis], strides[axis] * kept.step, *strides[axis + 1 :])
    return _strided(whole, shape, steps, offset + kept.start * strides[axis], readers * others)


def _layout(tensor: Tensor) -> tuple[Tensor, tuple[int, ...], int, int]:
    """What a tensor is a layout of, its strides, its offset, and its readers."""
    if isinstance(tensor, Strided):
        return tensor.base, tensor.strides, tensor.offset, tensor.readers
    return (tensor.base if isinstance(tensor, Reshaped) else tensor), row_major(tensor.shape), 0, 1


def _strided(base: Tensor, shape: Sequence[int], strides: Sequence[int], offset: int, readers: int) -> Tensor:
    """Such a `Strided`; where its elements are some in a row of a file, in another order, it is made of these alone."""
    found = Strided(base, shape, strides, offset, readers)
    if found.is_in_order:
        return reshaped(base, found.shape) if found.size == base.size else found
    low = offset + sum(min(0, stride * (size - 1)) for size, stride in zip(shape, strides, strict=True))
    high = offset + sum(max(0, stride * (size - 1)) for size, stride in zip(shape, strides, strict=True))
    if isinstance(base, FileTensor) and high - low + 1 == found.size < base.size:
        row = Strided(base, (found.size,), (1,), low, readers)
        return Strided(row, shape, strides, offset - low)
    return found


def cast(base: Tensor, dtype: DType) -> Tensor:
    """`base` converted to another type as numpy does it."""
    if base.dtype == dtype:
        return base

    def converted(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        with np.errstate(all="ignore"):
            value: np.ndarray[Any, Any] = array.astype(dtype.numpy())
        return value

    return View(dtype, base.shape, converted, base)


def bases(tensor: Tensor) -> Sequence[Tensor]:
    """What a tensor is made from when it is read; nothing for one that is stored."""
    found: Sequence[Tensor] = getattr(tensor, "bases", ())
    return found
