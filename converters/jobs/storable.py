"""What to do with tensors of types that a format lacks: nothing is left out or changed in silence.

error    all of them are named, and nothing is written (the default)
drop     they are left out, and reported
bits     they are stored as the same bytes in a type that the format has, and reported:
         complex as pairs of its parts in a last dimension of 2; int4 and its like as a byte each; quantised types as
         their integers; bfloat16, float8 and float4 as unsigned integers. Strings have no such form and stay an error
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import COMPLEX, DTYPES, QUANTIZED, SIGNED, DType
from tensorferry.formats.errors import UsageError
from tensorferry.formats.tensor import Buffer, Tensor

if TYPE_CHECKING:
    import numpy as np

POLICIES = ("error", "drop", "bits")


class Bits(Tensor):
    """The bytes of `base` under another type, and maybe in one dimension more."""

    __slots__ = ("base",)

    def __init__(self, base: Tensor) -> None:
        dtype = stand_in(base.dtype)
        extra = base.dtype.itemsize // dtype.itemsize
        super().__init__(dtype, base.shape if extra == 1 else (*base.shape, extra))
        self.base = base

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        return np.ascontiguousarray(self.base.numpy()).reshape(-1).view(self.dtype.numpy()).reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        return self.base.chunks()


def stand_in(dtype: DType) -> DType:
    """The type whose elements have the same bytes, of those that every format has."""
    if dtype.kind == COMPLEX:
        return DTYPES[f"float{dtype.bits // 2}"]
    if dtype.kind == QUANTIZED:
        return DTYPES[dtype.storage]
    return DTYPES[f"{'int' if dtype.kind == SIGNED else 'uint'}{dtype.itemsize * 8}"]


def make_storable(
    tensors: Mapping[str, Tensor], has_type: Callable[[DType], bool], policy: str
) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """The tensors to write, those dropped with the reason, and notes; by the policy, UsageError if it is none.

    What neither fits nor can be made to is left as it is, for the writer to refuse.
    """
    if policy not in POLICIES:
        raise UsageError(f"--unstorable {policy}", f"expected one of {', '.join(POLICIES)}")
    kept: dict[str, Tensor] = {}
    dropped: dict[str, str] = {}
    notes: list[str] = []
    for name, tensor in tensors.items():
        if policy == "error" or has_type(tensor.dtype):
            kept[name] = tensor
        elif policy == "drop":
            dropped[name] = f"the format has no type {tensor.dtype}"
        elif tensor.dtype.is_plain:
            kept[name] = Bits(tensor)
            notes.append(
                f"{name}: {tensor.dtype} {list(tensor.shape)} kept as {kept[name].dtype} {list(kept[name].shape)}"
            )
        else:
            kept[name] = tensor
    return kept, dropped, notes
