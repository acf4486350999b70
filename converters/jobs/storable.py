"""What to do with tensors of types that a format lacks: nothing is left out or changed in silence.

error    all of them are named, and nothing is written (the default)
drop     they are left out, and reported
bits     they are stored as the same bytes in a type that the format has, and reported:
         complex as pairs of its parts in a last dimension of 2; quantised types as their integers; bfloat16, float8 and
         float4 as unsigned integers. int4 and its like become the same numbers in a byte each: what the upper bits of
         theirs are depends on the writer. Strings have no such form and stay an error
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tensorferry.formats.dtype import COMPLEX, DTYPES, QUANTIZED, SIGNED, DType
from tensorferry.formats.errors import UnsupportedError, UsageError, listing
from tensorferry.formats.tensor import Buffer, Tensor

if TYPE_CHECKING:
    import numpy as np

POLICIES = ("error", "drop", "bits")


class Bits(Tensor):
    """The bytes of `base` under another type, and maybe in one dimension more; of a narrow integer, its numbers."""

    __slots__ = ("base",)

    def __init__(self, base: Tensor) -> None:
        dtype = stand_in(base.dtype)
        extra = base.dtype.itemsize // dtype.itemsize
        super().__init__(dtype, base.shape if extra == 1 else (*base.shape, extra))
        self.base = base

    def numpy(self) -> np.ndarray[Any, Any]:
        import numpy as np

        return self._bits(np.ascontiguousarray(self.base.numpy()).reshape(-1)).reshape(self.shape)

    def chunks(self) -> Iterator[Buffer]:
        if not self._is_narrow:
            yield from self.base.chunks()
            return
        import numpy as np

        for chunk in self.base.chunks():
            yield self._bits(np.frombuffer(chunk, self.base.dtype.numpy())).view(np.uint8).data

    def _bits(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The elements [N] of `base` in the type that stands for theirs."""
        dtype = self.dtype.numpy()
        return values.astype(dtype) if self._is_narrow else values.view(dtype)

    @property
    def _is_narrow(self) -> bool:
        return self.base.dtype.is_integer and self.base.dtype.bits < 8


def stand_in(dtype: DType) -> DType:
    """The type whose elements have the same bytes, of those that every format has."""
    if dtype.kind == COMPLEX:
        return DTYPES[f"float{dtype.bits // 2}"]
    if dtype.kind == QUANTIZED:
        return DTYPES[dtype.storage]
    return DTYPES[f"{'int' if dtype.kind == SIGNED else 'uint'}{dtype.itemsize * 8}"]


def make_storable(
    tensors: Mapping[str, Tensor], can_hold: Callable[[Tensor], bool], policy: str
) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """The tensors to write, those dropped with the reason, and notes; by the policy, UsageError if it is none.

    UnsupportedError for what has no bits to keep; by "error", all is left as it is for the writer to refuse.
    """
    if policy not in POLICIES:
        raise UsageError(f"--unstorable {policy}", f"expected one of {', '.join(POLICIES)}")
    kept: dict[str, Tensor] = {}
    dropped: dict[str, str] = {}
    as_bits: dict[str, list[str]] = {}
    formless: list[str] = []
    for name, tensor in tensors.items():
        if policy == "error" or can_hold(tensor):
            kept[name] = tensor
        elif policy == "drop":
            dropped[name] = f"the format has no place for {tensor.dtype}"
        elif tensor.dtype.is_plain:
            kept[name] = Bits(tensor)
            pairs = " in pairs" if tensor.dtype.kind == COMPLEX else ""
            as_bits.setdefault(f"{tensor.dtype} kept as {kept[name].dtype}{pairs}", []).append(name)
        else:
            formless.append(f"{name!r} ({tensor.dtype})")
    if formless:
        hint = "--exclude them, or --unstorable drop"
        raise UnsupportedError("--unstorable bits", f"no bits stand for {listing(formless)}", hint=hint)
    return kept, dropped, [f"{how}: {listing(names, 6)}" for how, names in as_bits.items()]
