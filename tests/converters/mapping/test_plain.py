"""What data a table may hold."""

import datetime

import pytest

from tensorferry.converters.mapping.plain import DEEPEST, check_plain, is_finite
from tensorferry.formats.errors import FormatError


def nested(levels):
    data = 1
    for level in range(levels):
        data = [data] if level % 2 else {"a": data}
    return data


@pytest.mark.parametrize("data", [{}, [], "a", 1, 0.5, float("nan"), None, True, {"a": [{"b": [1, "c"]}]}, 10**299])
def test_what_is_plain(data):
    check_plain(data, "t")


@pytest.mark.parametrize(
    ("data", "odd"),
    [
        ({"a": [1, {2: "b"}]}, "2 as a name"),
        ([datetime.date(2020, 1, 2)], "the date 2020-01-02"),
        ({"a": b"x", "c": {1}}, "the bytes b'x', the set {1}"),
        ([10**300, -(10**300)], "a number of more than 300 digits, a number of more than 300 digits"),
    ],
)
def test_what_is_not(data, odd):
    with pytest.raises(FormatError) as error:
        check_plain(data, "t")
    start = "t: expected texts, numbers, true and false, lists and tables with texts as names, got "
    assert str(error.value) == start + odd


def test_depth():
    check_plain(nested(DEEPEST - 1), "t")
    with pytest.raises(FormatError, match="^t: expected data at most 20 levels deep$"):
        check_plain(nested(DEEPEST), "t")


def test_finite():
    assert is_finite({"a": [1.5, "nan", None, {"b": 10**400}]})
    assert not is_finite({"a": [1.5, {"b": float("inf")}]})
    assert not is_finite([float("nan")])
