"""Diff: two sets of named tensors, tensor by tensor, whatever the format of each.

Floating-point values are equal within `atol + rtol * |b|`, NaN being equal to NaN; everything else has to be the same.
With both tolerances 0 the comparison is of bytes, so that -0.0 and 0.0, and two kinds of NaN, differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorferry.formats.dtype import STRING
from tensorferry.formats.tensor import Tensor


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
    """Compares the tensors that both have by name, and lists the names that only one has."""
    result = Comparison(only_a=[name for name in a if name not in b], only_b=[name for name in b if name not in a])
    for name in a:
        if name in b:
            difference = diff_tensors(name, a[name], b[name], rtol=rtol, atol=atol)
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
    if same_bytes(a, b):
        return None
    return _diff_values(name, a, b, rtol, atol)


def same_bytes(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one type and shape have the same bytes; streams both."""
    stream_a, stream_b = a.chunks(), b.chunks()
    left, right = memoryview(b""), memoryview(b"")
    same = True
    while True:
        # Both streams run to their end even after a difference: only then are their checksums known to be good.
        left = left or memoryview(next(stream_a, b""))
        right = right or memoryview(next(stream_b, b""))
        count = min(len(left), len(right))
        if not count:
            return same and len(left) == len(right)
        same = same and left[:count] == right[:count]
        left, right = left[count:], right[count:]


def _diff_values(name: str, a: Tensor, b: Tensor, rtol: float, atol: float) -> Difference | None:
    import numpy as np

    x, y = a.numpy(), b.numpy()
    if not a.dtype.is_floating and a.dtype.kind != "complex":
        whole = np.uint64 if a.dtype.name == "uint64" else np.int64
        x, y = x.astype(whole), y.astype(whole)
        # As unsigned numbers the differences of 64-bit ones fit too.
        gaps = np.maximum(x, y).view(np.uint64) - np.minimum(x, y).view(np.uint64)
        return Difference(name, f"{np.count_nonzero(gaps)} of {a.size} differ", float(gaps.max()))
    wide = np.complex128 if a.dtype.kind == "complex" else np.float64
    with np.errstate(invalid="ignore", over="ignore"):
        equal = np.asarray(x == y) | (np.isnan(x) & np.isnan(y))
        gap = np.where(equal, 0.0, np.abs(x.astype(wide) - y.astype(wide)))
        within = equal | (gap <= atol + rtol * np.abs(y.astype(wide)))
    count = int((~within).sum())
    if not count and (rtol or atol):
        return None
    if not count:
        return Difference(name, "the same values in different bytes (signs of zero or kinds of NaN)", 0.0)
    largest = float(gap.max()) if not np.isnan(gap).any() else float("nan")
    return Difference(name, f"{count} of {a.size} differ", largest)
