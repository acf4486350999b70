"""Special functions, element by element.

Erf, Erfc and Lgamma are the C library's, in double precision: right to the last place or the one before (a formula
in numpy takes as long, since it evaluates several branches for each element). Ndtri and Erfinv start from the
standard library's quantile function. The float32 results are the double ones, rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from ..ops import OpTable
from .kernel import Array, Kernel
from .math import unary

KERNELS: OpTable[Kernel] = OpTable("kernel")


def _each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    """`function` of every element, in double precision."""

    def apply(x: Array) -> Array:
        return np.fromiter(map(function, x.reshape(-1).tolist()), np.float64, x.size).reshape(x.shape)

    return apply


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole at 0, -1, -2, ...; beyond the largest double
        return math.inf


def _ndtri(p: float) -> float:
    if 0 < p < 1:
        return NormalDist().inv_cdf(p)
    return {0.0: -math.inf, 1.0: math.inf}.get(p, math.nan)


def _erfinv(x: float) -> float:
    if not -1 < x < 1:
        return math.copysign(math.inf, x) if abs(x) == 1 else math.nan
    if x == 0:
        return x
    y = _ndtri((1 + x) / 2) / math.sqrt(2)
    # One step of Newton's method gives back what 1 + x has lost of a small x; near 1 nothing was lost.
    return y if abs(x) > 0.5 else y - (math.erf(y) - x) * math.sqrt(math.pi) / 2 * math.exp(y * y)


def _digamma(x: float) -> float:
    if math.isnan(x) or x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.nan
    if x < 0:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * x)
    below = 0.0
    while x < 10:
        below += 1 / x
        x += 1
    # The asymptotic series: Bernoulli numbers B(2k) / (2k x^2k).
    square = 1 / (x * x)
    tail = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square * (1 / 132)))))
    return math.log(x) - 0.5 / x - tail - below


for _op, _function in {
    "Erf": math.erf, "Erfc": math.erfc, "Lgamma": _lgamma, "Erfinv": _erfinv, "Ndtri": _ndtri, "Digamma": _digamma,
}.items():  # fmt: skip
    KERNELS.add(_op, unary(_each(_function)))
