"""What is known of a value before any data flow: element type, shape and contents.

Contents are known in one of three degrees: not at all; as a constant, a lazy `Tensor`, however big; or as the
entries of a small tensor of integers in row-major order, of which each may be a number, a symbol or unknown. They
carry shape arithmetic: of `tf.shape(x)` for an x [batch, 7] they are ("batch", 7).

Of a list of tensors, type and shape of its elements are known, and how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import BOOL, DType
from tensorferry.formats.tensor import Tensor

from .dims import Dim, Dims, known, product

if TYPE_CHECKING:
    import numpy as np

MAX_ENTRIES = 1024
"""Entries of a tensor that are followed; a larger one has unknown contents."""

MAX_ELEMENTS = 1 << 20
"""Elements of a constant that is read while a graph is worked on; a larger one stays where it is."""


@dataclass(frozen=True, slots=True)
class Items:
    """What is in a list of tensors: `length` elements of `dims`. A `blank` one holds nothing so far but places."""

    dtype: DType
    dims: Dims = None
    length: Dim = None
    blank: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """One value: `dims` None is an unknown rank. `name` is what the graph under construction calls it, if it does."""

    dtype: DType
    dims: Dims = None
    tensor: Tensor | None = None
    entries: tuple[Dim, ...] | None = None
    name: str = ""
    items: Items | None = None

    @classmethod
    def of_tensor(cls, tensor: Tensor, name: str = "") -> Value:
        """A constant."""
        return cls(tensor.dtype, tensor.shape, tensor, name=name)

    @classmethod
    def of_entries(cls, dtype: DType, entries: Sequence[Dim], *, scalar: bool = False) -> Value:
        """A vector (or a scalar) of integers of which something is known."""
        return cls(dtype, () if scalar else (len(entries),), None, tuple(entries))

    def grid(self) -> np.ndarray[Any, Any] | None:
        """The entries of a small tensor of integers in their places, as an array of objects."""
        import numpy as np

        entries, shape = self.known_entries(), known(self.dims)
        if entries is None or shape is None:
            return None
        grid = np.empty(len(entries), object)
        grid[:] = entries
        return grid.reshape(shape)

    @property
    def rank(self) -> int | None:
        return None if self.dims is None else len(self.dims)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return product(self.dims)

    @property
    def is_constant(self) -> bool:
        """Whether the whole contents are known."""
        return self.tensor is not None or (
            self.entries is not None and all(isinstance(entry, int) for entry in self.entries)
        )

    @property
    def is_known(self) -> bool:
        """Whether the contents are a constant, or integers and symbols only."""
        return self.tensor is not None or (self.entries is not None and None not in self.entries)

    def array(self) -> np.ndarray[Any, Any] | None:
        """The contents, where they are a constant of a size that is read at this stage."""
        import numpy as np

        if self.tensor is not None and self.tensor.dtype.storage and self.tensor.size <= MAX_ELEMENTS:
            return self.tensor.numpy()
        if self.tensor is None and self.is_constant:
            return np.array(self.entries, self.dtype.numpy()).reshape(self.dims)
        return None

    def known_entries(self) -> tuple[Dim, ...] | None:
        """The elements of a small tensor of integers, each a number, a symbol or None; None where nothing is known."""
        if self.entries is not None:
            return self.entries
        if self.tensor is not None and self.tensor.size <= MAX_ENTRIES and _is_whole(self.dtype):
            return tuple(int(item) for item in self.tensor.numpy().reshape(-1))
        size = self.size
        return (None,) * size if _is_whole(self.dtype) and isinstance(size, int) and size <= MAX_ENTRIES else None

    def integers(self) -> tuple[int, ...] | None:
        """The elements of a small constant of integers (or truths), flat; None for anything else."""
        entries = self.known_entries()
        if entries is None or not all(isinstance(entry, int) for entry in entries):
            return None
        return entries  # type: ignore[return-value]

    def integer(self) -> int | None:
        """The one element of a constant integer; None for anything else."""
        integers = self.integers()
        return integers[0] if integers is not None and len(integers) == 1 else None

    def with_(self, **changes: object) -> Value:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def _is_whole(dtype: DType) -> bool:
    return dtype.is_integer or dtype == BOOL
