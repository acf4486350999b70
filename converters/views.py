"""Tensors that are made from others when they are read: a weight in the layout or the type that an op wants it in.

Nothing is computed or read until somebody asks for the value, and nothing of it is kept, so that a model's weights
pass through memory one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import DType
from tensorferry.formats.tensor import ArrayTensor, Buffer, Tensor

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

    def numpy(self) -> np.ndarray[Any, Any]:
        return self.base.numpy().reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        return self.base.chunks()


class Transposed(Tensor):
    """The base with its dimensions in another order: dimension i is the base's dimension `perm[i]`."""

    __slots__ = ("base", "perm")
    base: Tensor
    perm: tuple[int, ...]

    def __init__(self, base: Tensor, perm: Sequence[int]) -> None:
        super().__init__(base.dtype, tuple(base.shape[axis] for axis in perm))
        if isinstance(base, Transposed):
            perm = [base.perm[axis] for axis in perm]
            base = base.base
        self.base = base
        self.perm = tuple(perm)

    @property
    def bases(self) -> tuple[Tensor]:
        return (self.base,)

    def numpy(self) -> np.ndarray[Any, Any]:
        value: np.ndarray[Any, Any] = self.base.numpy().transpose(self.perm)
        return value

    def chunks(self) -> Iterator[Buffer]:
        yield from ArrayTensor(self.numpy(), self.dtype).chunks()


def reshaped(base: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`base` in another shape of as many elements."""
    return base if base.shape == shape else Reshaped(base, shape)


def transposed(base: Tensor, perm: Sequence[int]) -> Tensor:
    """`base` with its dimensions in another order, or itself where the order is its own."""
    if list(perm) == sorted(perm):
        return base
    view = Transposed(base, perm)
    return view.base if view.perm == tuple(range(view.rank)) else view


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
