"""What two patterns have in common, against trying all short names."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorferry.converters.mapping.patterns.matcher import Steps
from tensorferry.converters.mapping.patterns.overlap import common_names, is_within
from tensorferry.converters.mapping.patterns.pattern import lone_pattern, parse_regex

NAMES = ["".join(letters) for length in range(5) for letters in product("ab0/", repeat=length)]


def matches(pattern, name):
    return pattern.match(name, Steps()) is not None


@pytest.mark.parametrize(
    ("one", "other", "common", "within"),
    [
        ("a", "a", True, True),
        ("a", "{x}", True, True),
        ("{x}", "a", True, False),
        ("a/{x}", "b/{x}", False, False),
        ("{x}/b", "a/{x}", True, False),
        ("{n:int}", "{x}", True, True),
        ("{x}", "{x:path}", True, True),
        ("{x:path}", "{x}", True, False),
        ("{p:a|b}", "{p:b|a|c}", True, True),
        ("l{n:int}", "l{n:02}", True, False),
        ("l{2*n:int}.w", "l{2*n+1:int}.w", False, None),
        ("l{2*n:int}.w", "l{3*n+1:int}.w", True, None),
        ("**.w", "*", True, False),
    ],
)
def test_patterns(one, other, common, within):
    a, b = lone_pattern(one), lone_pattern(other)
    assert bool(common_names(a, b)) is bool(common_names(b, a)) is common
    if within is not None:
        assert is_within(a, b) is within


def test_regular_expressions():
    a, b = parse_regex(r"l(\d+)\.w"), lone_pattern("l{n:int}.w")
    assert is_within(b, a)
    assert not is_within(a, b)  # l07.w
    assert common_names(a, b)


PIECES = st.lists(st.sampled_from(["a", "b", "0", "/", "{x}", "{y:path}", "{n:int}", "{p:a|b/}", "*", "?"]),
                  min_size=1, max_size=3, unique=True)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(PIECES, PIECES)
def test_against_all_short_names(one, other):
    a, b = lone_pattern("".join(one)), lone_pattern("".join(other))
    shared = [name for name in NAMES if matches(a, name) and matches(b, name)]
    found = common_names(a, b)
    assert all(matches(a, name) and matches(b, name) for name in found)
    assert found or not shared
    if is_within(a, b):
        assert all(matches(b, name) for name in NAMES if matches(a, name))
