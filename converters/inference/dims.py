"""Sizes of dimensions: known, symbolic or unknown, and arithmetic on them.

A dimension is an int, a symbol or None (unknown). A symbol is a text: a name (`batch`) or a polynomial of names with
whole coefficients in one canonical spelling (`2*batch*length+1`), so that two sizes are equal where their texts are.
What is no polynomial becomes a name of its own in parentheses, `((n+1)//2)`.

A symbol stands for one number throughout a graph; None promises nothing, not even to be equal to itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias

Dim: TypeAlias = "int | str | None"
Dims: TypeAlias = "tuple[int | str | None, ...] | None"

Terms: TypeAlias = "tuple[tuple[tuple[str, ...], int], ...]"
"""A polynomial: (names in order, coefficient) for each term, in order; () is zero."""

MAX_TERMS = 16
MAX_LENGTH = 200
"""Polynomials of more terms, or of a longer text, are given up as unknown."""


def symbol(name: str) -> str:
    """`name` with all that polynomials are written with replaced, so that it can be a symbol."""
    cleaned = re.sub(r"[^\w.]", "_", name, flags=re.ASCII)
    return cleaned if cleaned and not cleaned[0].isdigit() else f"_{cleaned}"


@lru_cache(4096)
def terms(dim: int | str) -> Terms:
    """The polynomial that a size is."""
    if isinstance(dim, int):
        return (((), dim),) if dim else ()
    found = []
    for sign, product in _split(dim, "+-"):
        coefficient = -1 if sign == "-" else 1
        names = []
        for _, factor in _split(product, "*"):
            if factor.isdigit():
                coefficient *= int(factor)
            else:
                names.append(factor)
        found.append((tuple(names), coefficient))
    return tuple(found)


def _split(text: str, separators: str) -> list[tuple[str, str]]:
    """(the separator before, the piece) for the pieces of `text` outside parentheses."""
    pieces, depth, start, before = [], 0, 0, separators[0]
    for index, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character in separators:
            if index > start:
                pieces.append((before, text[start:index]))
            before, start = character, index + 1
    pieces.append((before, text[start:]))
    return pieces


def _spelled(found: dict[tuple[str, ...], int]) -> Dim:
    """The canonical spelling of a polynomial."""
    left = sorted((item for item in found.items() if item[1]), key=lambda item: (-len(item[0]), item[0]))
    if not left:
        return 0
    if len(left) == 1 and not left[0][0]:
        return left[0][1]
    if len(left) > MAX_TERMS:
        return None
    text = ""
    for names, coefficient in left:
        size = [str(abs(coefficient))] if abs(coefficient) != 1 or not names else []
        text += ("-" if coefficient < 0 else "+" if text else "") + "*".join([*size, *names])
    return text if len(text) <= MAX_LENGTH else None


def add(*dims: Dim) -> Dim:
    """The sum of sizes."""
    if all(isinstance(dim, int) for dim in dims):
        return sum(dims)  # type: ignore[arg-type]
    total: dict[tuple[str, ...], int] = {}
    for dim in dims:
        if dim is None:
            return None
        for names, coefficient in terms(dim):
            total[names] = total.get(names, 0) + coefficient
    return _spelled(total)


def subtract(a: Dim, b: Dim) -> Dim:
    """a - b."""
    return add(a, multiply(b, -1))


def multiply(*dims: Dim) -> Dim:
    """The product of sizes; 0 where one is 0, whatever the others are."""
    if any(dim == 0 for dim in dims):
        return 0
    if all(isinstance(dim, int) for dim in dims):
        return math.prod(dims)  # type: ignore[arg-type]
    product: dict[tuple[str, ...], int] = {(): 1}
    for dim in dims:
        if dim is None or len(product) > MAX_TERMS:
            return None
        longer: dict[tuple[str, ...], int] = {}
        for left, a in product.items():
            for right, b in terms(dim):
                names = tuple(sorted(left + right))
                longer[names] = longer.get(names, 0) + a * b
        product = longer
    return _spelled(product)


def exact_divide(a: Dim, b: Dim) -> Dim:
    """The size that times `b` is `a`; None where that can't be told."""
    if a is None or b is None or b == 0:
        return None
    divisor = terms(b)
    if a == b:
        return 1
    if len(divisor) != 1:
        return None
    (names, coefficient) = divisor[0]
    quotient: dict[tuple[str, ...], int] = {}
    for dividend, factor in terms(a):
        left = list(dividend)
        for name in names:
            if name not in left:
                return None
            left.remove(name)
        if factor % coefficient:
            return None
        quotient[tuple(left)] = factor // coefficient
    return _spelled(quotient)


def floor_divide(a: Dim, b: int) -> Dim:
    """a // b for a positive b. What doesn't divide evenly becomes a name of its own."""
    if a is None or b <= 0:
        return None
    if isinstance(a, int):
        return a // b
    whole = _spelled({names: value // b for names, value in terms(a)})
    rest = _spelled({names: value % b for names, value in terms(a)})
    if rest is None or isinstance(rest, int):
        return None if rest is None else whole
    return add(whole, f"(({rest})//{b})")


def ceil_divide(a: Dim, b: int) -> Dim:
    """a / b, rounded up, for a positive b."""
    return floor_divide(add(a, b - 1), b)


def quotient(name: str) -> tuple[str, int] | None:
    """`((a)//b)` -> (a, b) for a name that `floor_divide` made, else None."""
    if not name.startswith("((") or not name.endswith(")"):
        return None
    above, bar, below = name[2:-1].rpartition(")//")
    return (above, int(below)) if bar and below.isdigit() else None


def merge(a: Dim, b: Dim) -> Dim:
    """What is known of a size that is both `a` and `b`: a number beats a symbol beats nothing."""
    if isinstance(a, int) or b is None:
        return a
    return b if isinstance(b, int) or a is None else a


def merge_dims(a: Dims, b: Dims) -> Dims:
    """What is known of a shape that is both `a` and `b`; `a` where their ranks differ."""
    if a is None or b is None:
        return b if a is None else a
    return tuple(merge(x, y) for x, y in zip(a, b, strict=True)) if len(a) == len(b) else a


def broadcast(a: Dim, b: Dim) -> Dim:
    """The size that `a` and `b` broadcast to."""
    if a == 1:
        return b
    if b in (1, a):
        return a
    if isinstance(a, int):
        return a
    return b if isinstance(b, int) else None


def broadcast_dims(shapes: Iterable[Dims]) -> Dims:
    """The shape that shapes broadcast to, aligned at their last dimensions."""
    result: tuple[Dim, ...] = ()
    for dims in shapes:
        if dims is None:
            return None
        long, short = (dims, result) if len(dims) >= len(result) else (result, dims)
        ahead = len(long) - len(short)
        result = (*long[:ahead], *(broadcast(a, b) for a, b in zip(long[ahead:], short, strict=True)))
    return result


def product(dims: Sequence[Dim] | None) -> Dim:
    """The number of elements of a shape."""
    return None if dims is None else multiply(1, *dims)


def known(dims: Dims) -> tuple[int, ...] | None:
    """The shape where all of it is numbers, else None."""
    if dims is None or not all(isinstance(dim, int) for dim in dims):
        return None
    return dims  # type: ignore[return-value]
