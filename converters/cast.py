"""Cast: floating-point tensors in another floating-point type, converted piece by piece as they are streamed.

Rounding is to nearest, ties to even. A finite value that is too large for the new type becomes an infinity, and is
counted: a conversion reports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import DTYPES, DType
from tensorferry.formats.errors import UsageError
from tensorferry.formats.sliced import Part, SlicedTensor
from tensorferry.formats.tensor import ArrayTensor, Buffer, Tensor

from .views import bases

if TYPE_CHECKING:
    import numpy as np

TYPES = ("float64", "float32", "float16", "bfloat16")
"""The types to cast to."""

_LARGEST = {"float32": (2 - 2**-23) * 2.0**127, "float16": 65504.0, "bfloat16": (2 - 2**-7) * 2.0**127}
"""What is not larger needs no looking for infinities, which takes longer than the cast."""


class Cast(Tensor):
    """`base` in the type `dtype`. `overflowed` counts the elements of the last reading that were too large for it."""

    __slots__ = ("base", "overflowed")

    def __init__(self, base: Tensor, dtype: DType) -> None:
        super().__init__(dtype, base.shape)
        self.base = base
        self.overflowed = 0

    @property
    def held(self) -> Tensor | None:
        return self.base.held

    def numpy(self) -> np.ndarray[Any, Any]:
        self.overflowed = 0
        return self._cast(self.base.numpy())

    def chunks(self) -> Iterator[Buffer]:
        import numpy as np

        self.overflowed = 0
        for chunk in self.base.chunks():
            stored = np.frombuffer(chunk, self.base.dtype.numpy())
            yield from ArrayTensor(self._cast(stored), self.dtype).chunks()

    def _cast(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        narrows = self.dtype.bits < self.base.dtype.bits or self.dtype.name == "float16"
        largest = _LARGEST.get(self.dtype.name, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            result: np.ndarray[Any, Any] = array.astype(self.dtype.numpy())
            if narrows and array.size and not (-largest <= array.min() and array.max() <= largest):  # or one is NaN
                self.overflowed += int(np.count_nonzero(np.isinf(result) & np.isfinite(array)))
        return result


def cast_floats(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """`tensors`, the floating-point ones in the type `name`. UsageError where that is not a type to cast to."""
    if name not in TYPES:
        raise UsageError(f"--dtype {name}", f"expected one of {', '.join(TYPES)}")
    dtype = DTYPES[name]
    return {
        key: _cast(tensor, dtype) if tensor.dtype.is_floating and tensor.dtype != dtype else tensor
        for key, tensor in tensors.items()
    }


def overflows(tensors: Mapping[str, Tensor]) -> list[str]:
    """What to say of the values that the last reading of cast tensors found too large."""
    counts = {name: _overflowed(tensor) for name, tensor in tensors.items()}
    return [
        f"{name}: {count} of {tensors[name].size} values are too large for {tensors[name].dtype}, and infinite now"
        for name, count in counts.items()
        if count
    ]


def _cast(tensor: Tensor, dtype: DType) -> Tensor:
    """A tensor in slices is cast slice by slice, and stays one."""
    if not isinstance(tensor, SlicedTensor):
        return Cast(tensor, dtype)
    parts = [Part(part.start, _cast(part.tensor, dtype)) for part in tensor.parts]
    return SlicedTensor(dtype, tensor.shape, parts, name=tensor.name, path=tensor.path)


def _overflowed(tensor: Tensor) -> int:
    if isinstance(tensor, SlicedTensor):
        return sum(_overflowed(part.tensor) for part in tensor.parts)
    if isinstance(tensor, Cast):
        return tensor.overflowed
    return sum(_overflowed(base) for base in bases(tensor))
