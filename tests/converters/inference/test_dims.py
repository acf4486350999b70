"""Arithmetic on sizes agrees with arithmetic on numbers, whatever the symbols stand for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.inference import dims
from tensorferry.converters.inference.dims import (
    Dim,
    add,
    broadcast,
    broadcast_dims,
    ceil_divide,
    exact_divide,
    floor_divide,
    merge,
    merge_dims,
    multiply,
    product,
    subtract,
    symbol,
    terms,
)  # fmt: skip

SIZES = {"a": 3, "b": 5, "n": 17}


def number(dim: Dim, sizes: dict[str, int] = SIZES) -> int:
    """What a size is, by Python's own reading of its text."""
    assert dim is not None
    return int(eval(str(dim), {"__builtins__": {}}, sizes))


leaves = st.one_of(st.integers(0, 9), st.sampled_from(sorted(SIZES)))
polynomials = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-*"), inner, inner),
        st.tuples(st.just("//"), inner, st.integers(1, 4)),
    ),
    max_leaves=6,
)  # fmt: skip


def both(tree: Any) -> tuple[Dim, int]:
    """A tree computed by `dims`, and by numbers."""
    if not isinstance(tree, tuple):
        return tree, number(tree)
    operator, left, right = tree
    (a, x), (b, y) = both(left), both(right)
    if operator == "//":
        assert isinstance(right, int)
        return floor_divide(a, right), x // y
    function = {"+": add, "*": multiply, "-": subtract}[operator]
    return function(a, b), {"+": x + y, "*": x * y, "-": x - y}[operator]


@given(polynomials)
def test_sizes_are_what_numbers_would_be(tree: Any) -> None:
    dim, expected = both(tree)
    assert dim is None or number(dim) == expected


@given(polynomials, polynomials)
def test_equal_polynomials_have_one_spelling(left: Any, right: Any) -> None:
    (a, _), (b, _) = both(left), both(right)
    assert add(a, b) == add(b, a)
    assert multiply(a, b) == multiply(b, a)
    assert subtract(add(a, b), b) == a or None in (a, b, add(a, b))


@pytest.mark.parametrize(
    ("dim", "spelling"),
    [
        (add("n", "n"), "2*n"),
        (add("n", 1, "n", 2), "2*n+3"),
        (subtract("n", "n"), 0),
        (subtract(1, "n"), "-n+1"),
        (multiply("n", "a", 2), "2*a*n"),
        (multiply(add("a", 1), add("a", -1)), "a*a-1"),
        (multiply(None, 0), 0),
        (multiply(None, 2), None),
        (floor_divide("n", 2), "((n)//2)"),
        (floor_divide(add("n", 5), 2), "((n+1)//2)+2"),
        (floor_divide(multiply(4, "n"), 2), "2*n"),
        (floor_divide(add(multiply(4, "n"), 3), 2), "2*n+1"),
        (ceil_divide("n", 2), "((n+1)//2)"),
        (ceil_divide(7, 2), 4),
        (exact_divide(multiply("a", "b", 6), multiply("a", 2)), "3*b"),
        (exact_divide("a", "b"), None),
        (exact_divide(multiply("a", 3), 2), None),
        (exact_divide(add("a", 1), add("a", 1)), 1),
        (product((2, "n", 3)), "6*n"),
        (product(()), 1),
        (product(None), None),
    ],
)
def test_spellings(dim: Dim, spelling: Dim) -> None:
    assert dim == spelling


def test_quotients_come_apart_again() -> None:
    assert dims.quotient("((n+1)//2)") == ("n+1", 2)
    assert dims.quotient("n") is None
    inner = floor_divide(add("n", 1), 2)
    outer = floor_divide(add(inner, 1), 2)
    assert outer == "((((n+1)//2)+1)//2)"
    assert dims.quotient(str(outer)) == ("((n+1)//2)+1", 2)
    assert number(outer) == 5


def test_long_polynomials_are_given_up() -> None:
    names = [f"name{i}" for i in range(40)]
    assert add(*names) is None
    assert multiply(*names) is None
    nested: Dim = "n"
    for _ in range(100):
        nested = floor_divide(add(nested, 1), 2)
    assert nested is None


def test_terms() -> None:
    assert terms("2*a*n-a+3") == ((("a", "n"), 2), (("a",), -1), ((), 3))
    assert terms(0) == ()
    assert terms("((n+1)//2)+1") == ((("((n+1)//2)",), 1), ((), 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ids", "ids"), ("a/b:0", "a_b_0"), ("2nd", "_2nd"), ("", "_"), ("x+y*z", "x_y_z"), ("\u00b2", "_")],
)
def test_symbols_hold_nothing_that_polynomials_are_written_with(name: str, expected: str) -> None:
    assert symbol(name) == expected
    assert re.fullmatch(r"[A-Za-z_][\w.]*", symbol(name))


@pytest.mark.parametrize(
    ("a", "b", "together", "broadcasted"),
    [
        (3, 3, 3, 3), (3, None, 3, 3), (None, 3, 3, 3), (1, "n", 1, "n"), ("n", 1, 1, "n"), ("n", "n", "n", "n"),
        ("n", None, "n", None), ("n", 4, 4, 4), ("a", "n", "a", None), (None, None, None, None), (None, 1, 1, None),
    ],
)  # fmt: skip
def test_merge_and_broadcast(a: Dim, b: Dim, together: Dim, broadcasted: Dim) -> None:
    assert merge(a, b) == together
    assert broadcast(a, b) == broadcasted


def test_shapes() -> None:
    assert broadcast_dims([("n", 1, 4), (3, 1), ()]) == ("n", 3, 4)
    assert broadcast_dims([(2,), None]) is None
    assert merge_dims((None, 3), ("n", None)) == ("n", 3)
    assert merge_dims(None, (1,)) == (1,)
    assert merge_dims((1,), (1, 2)) == (1,)
    assert dims.known((1, 2)) == (1, 2)
    assert dims.known((1, "n")) is None
    assert dims.known(None) is None
