"""Diff: two sets of named tensors, tensor by tensor (`difference`), whatever the format of each.

With a tolerance, floating-point tensors of different types are compared too, as float64: one sees what a cast has cost.

`v:0` is TensorFlow's name, and that of ONNX models made from its graphs, for the value of `v`: where one side has the
one and not the other, they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorferry.formats.dtype import FLOAT64
from tensorferry.formats.tensor import Tensor

from ..cast import Cast
from ..difference import Difference, diff_tensors


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


def _other_name(name: str) -> str:
    """`v` of `v:0`, and the other way round."""
    return name.removesuffix(":0") if name.endswith(":0") else f"{name}:0"
