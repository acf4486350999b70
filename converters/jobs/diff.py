"""Diff: two sets of named tensors, tensor by tensor, whatever the format of each.

Floating-point values are equal within `atol + rtol * |b|`, NaN being equal to NaN; everything else has to be the same.
With a tolerance, floating-point tensors of different types are compared too, as float64: one sees what a cast has cost.
With both tolerances 0 the comparison is of bytes, so that -0.0 and 0.0, and two kinds of NaN, differ. Both values are
read once, a piece at a time.

`v:0` is TensorFlow's name, and that of ONNX models made from its graphs, for the value of `v`: where one side has the
one and not the other, they are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorferry.formats.dtype import COMPLEX, FLOAT64, STRING, DType
from tensorferry.formats.tensor import Tensor

from .cast import Cast


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that is in both and not the same. `largest` is the largest absolute difference, where there is one."""

    name: str
    reason: str
    largest: float | None = None


@dataclass(slots=True)
class Comparison:
    """The outcome of a diff."""

    equal: list[str] = field(default_factory=list)
    different: list[Difference] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether both have the same names with equal values."""
        return not (self.different or self.only_a or self.only_b)

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON has it."""
        return {
            "same": self.same,
            "equal": self.equal,
            "different": [{"name": d.name, "reason": d.reason, "largest": d.largest} for d in self.different],
            "only_a": self.only_a,
            "only_b": self.only_b,
        }


def diff(a: Mapping[str, Tensor], b: Mapping[str, Tensor], *, rtol: float = 0.0, atol: float = 0.0) -> Comparison:
    """Compares the tensors that both have by name (that of `a` is told), and lists the names that only one has."""
    pairs = {name: name if name in b else _other_name(name) for name in a}
    pairs = {name: other for name, other in pairs.items() if other in b and (other == name or other not in a)}
    partners = set(pairs.values())
    result = Comparison(only_a=[name for name in a if name not in pairs], only_b=[n for n in b if n not in partners])
    for name, other in pairs.items():
        left, right = a[name], b[other]
        if left.dtype != right.dtype and left.dtype.is_floating and right.dtype.is_floating and (rtol or atol):
            left, right = Cast(left, FLOAT64), Cast(right, FLOAT64)
        difference = diff_tensors(name, left, right, rtol=rtol, atol=atol)
        if difference is None:
            result.equal.append(name)
        else:
            result.different.append(difference)
    return result


def diff_tensors(name: str, a: Tensor, b: Tensor, *, rtol: float = 0.0, atol: float = 0.0) -> Difference | None:
    """What is different between two tensors, or None."""
    if a.dtype != b.dtype:
        return Difference(name, f"{a.dtype} against {b.dtype}")
    if a.shape != b.shape:
        return Difference(name, f"shape {list(a.shape)} against {list(b.shape)}")
    if a.dtype.kind == STRING:
        count = int((a.numpy() != b.numpy()).sum())
        return Difference(name, f"{count} of {a.size} strings differ") if count else None
    gaps = _Gaps(a.dtype, rtol, atol)
    for left, right in _pieces(a, b):
        gaps.add(left, right)
    return gaps.difference(name, a.size)


def _other_name(name: str) -> str:
    """`v` of `v:0`, and the other way round."""
    return name.removesuffix(":0") if name.endswith(":0") else f"{name}:0"


def _pieces(a: Tensor, b: Tensor) -> Iterator[tuple[memoryview, memoryview]]:
    """The bytes of two tensors of one type and shape, in stretches as long as both streams allow.

    Both run to their end: only then are their checksums known to be good.
    """
    stream_a, stream_b = a.chunks(), b.chunks()
    left, right = memoryview(b""), memoryview(b"")
    while True:
        left = left or memoryview(next(stream_a, b""))
        right = right or memoryview(next(stream_b, b""))
        count = min(len(left), len(right))
        if not count:
            return
        yield left[:count], right[:count]
        left, right = left[count:], right[count:]


class _Gaps:
    """What was found different so far."""

    __slots__ = ("atol", "count", "dtype", "largest", "rtol", "same")

    def __init__(self, dtype: DType, rtol: float, atol: float) -> None:
        self.dtype = dtype
        self.rtol = rtol
        self.atol = atol
        self.same = True
        self.count = 0
        self.largest: float = 0

    def add(self, left: memoryview, right: memoryview) -> None:
        """Compares a stretch of both."""
        if left == right:
            return
        self.same = False
        import numpy as np

        x, y = (np.frombuffer(data, self.dtype.numpy()) for data in (left, right))
        if not self.dtype.is_floating and self.dtype.kind != COMPLEX:
            whole = np.uint64 if self.dtype.name == "uint64" else np.int64
            x, y = x.astype(whole), y.astype(whole)
            # As unsigned numbers the differences of 64-bit ones fit too.
            gaps = np.maximum(x, y).view(np.uint64) - np.minimum(x, y).view(np.uint64)
            self.count += int(np.count_nonzero(gaps))
            self.largest = max(self.largest, int(gaps.max()))
            return
        wide = np.complex128 if self.dtype.kind == COMPLEX else np.float64
        with np.errstate(invalid="ignore", over="ignore"):
            equal = np.asarray(x == y) | (np.isnan(x) & np.isnan(y))
            gap = np.where(equal, 0.0, np.abs(x.astype(wide) - y.astype(wide)))
            within = equal | (gap <= self.atol + self.rtol * np.abs(y.astype(wide)))
        self.count += int((~within).sum())
        self.largest = float(np.maximum(self.largest, gap.max()))  # NaN, where one is

    def difference(self, name: str, size: int) -> Difference | None:
        """The verdict on all of a tensor's `size` elements."""
        if self.count:
            return Difference(name, f"{self.count} of {size} differ", float(self.largest))
        if self.same or self.rtol or self.atol or self.dtype.bits < 8:
            return None  # what is in a byte above the bits of an int4 depends on the writer
        return Difference(name, "the same values in different bytes (signs of zero or kinds of NaN)", 0.0)
