"""What is different between two tensors, read once, a piece at a time.

Floating-point values are equal within `atol + rtol * |b|`, NaN being equal to NaN; everything else has to be the same.
With both tolerances 0 the comparison is of bytes, so that -0.0 and 0.0, and two kinds of NaN, differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tensorferry.formats.dtype import COMPLEX, STRING, DType
from tensorferry.formats.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that is in both and not the same. `largest` is the largest absolute difference, where there is one."""

    name: str
    reason: str
    largest: float | None = None


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
