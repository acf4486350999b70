"""Names with holes, on either side of a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.mapping.hole import PatternError
from tensorferry.converters.mapping.matcher import Steps
from tensorferry.converters.mapping.pattern import (
    agree,
    escape,
    exact_pattern,
    lone_pattern,
    parse_pattern,
    parse_regex,
)


def both(left, right):
    return agree([parse_pattern(left), parse_pattern(right)])


def renamed(left, right, name):
    """The name that a rule gives, None where it does not match."""
    source, target = both(left, right)
    values = source.match(name, Steps())
    return None if values is None else target.render(values)


@pytest.mark.parametrize(
    ("left", "right", "name", "expected"),
    [
        ("a/b", "c", "a/b", "c"),
        ("a/b", "c", "a/bc", None),
        ("layer_{n:int}/w", "layer.{n}.w", "layer_12/w", "layer.12.w"),
        ("layer_{n:int}/w", "layer.{n}.w", "layer_0/w", "layer.0.w"),
        ("layer_{n:int}/w", "layer.{n}.w", "layer_01/w", None),
        ("layer_{n:int}/w", "layer.{n}.w", "layer_x/w", None),
        ("layer_{n:int}", "layer.{n+1}", "layer_9", "layer.10"),
        ("layer_{n+1:int}", "layer.{n}", "layer_10", "layer.9"),
        ("layer_{n+1:int}", "layer.{n}", "layer_0", None),
        ("l{n:int}", "l{2*n+1}", "l3", "l7"),
        ("l{2*n+1:int}", "l{n}", "l7", "l3"),
        ("l{2*n+1:int}", "l{n}", "l8", None),
        ("l{n:02}", "l{n}", "l07", "l7"),
        ("l{n:02}", "l{n}", "l107", "l107"),
        ("l{n:02}", "l{n}", "l7", None),
        ("l{n:02}", "l{n}", "l007", None),
        ("l{n:int}", "l{n:02}", "l7", "l07"),
        ("{a}/{b}", "{b}/{a}", "x/y", "y/x"),
        ("{a}/w", "{a}.w", "x/y/w", None),
        ("{a:path}/w", "{a}.w", "x/y/w", "x/y.w"),
        ("{p:gamma|beta}", "{p:weight|bias}", "beta", "bias"),
        ("{p:gamma|beta}", "x.{p}", "beta", "x.beta"),
        ("{p:gamma|beta}", "{p}", "delta", None),
        ("*/w", "*.w", "ab/w", "ab.w"),
        ("*/w", "*.w", "/w", ".w"),
        ("**/w", "**.w", "a/b/w", "a/b.w"),
        ("?/*", "?.*", "a/bc", "a.bc"),
        ("{a}/{a}", "{a}", "x/x", "x"),
        ("{a}/{a}", "{a}", "x/y", None),
        (r"a\*\{b\}\\", "c", "a*{b}\\", "c"),
        ("weight_{x}", r"\{{x}\}", "weight_y", "{y}"),
    ],
)
def test_renames(left, right, name, expected):
    assert renamed(left, right, name) == expected


@pytest.mark.parametrize(
    ("left", "name"),
    [("{a}_{b}", "x_y_z"), ("**/**", "a/b/c"), ("{a:int}{b:int}", "123"), ("{a:x|xx}{b}", "xxy"), ("{a}{b}", "aaaa")],
)
def test_what_matches_in_two_ways(left, name):
    pattern = lone_pattern(left)
    assert pattern.match(name, Steps()) is not None
    assert pattern.is_ambiguous(name, Steps())


@pytest.mark.parametrize(
    ("left", "name"), [("{a}_{b}", "x_y"), ("{a}/{b}", "x/y"), ("{a:int}_{b}", "1_y_z"), ("{a}", "x"), ("ab", "ab")]
)
def test_what_matches_in_one_way(left, name):
    assert not lone_pattern(left).is_ambiguous(name, Steps())


@given(st.text("ab_/", max_size=8))
def test_ambiguity_is_told_by_counting(name):
    """`{a}_{b}` matches in as many ways as there are underscores with text without slashes around them."""
    ways = [i for i, c in enumerate(name) if c == "_" and 0 < i < len(name) - 1 and "/" not in name]
    pattern = lone_pattern("{a}_{b}")
    assert (pattern.match(name, Steps()) is not None) == bool(ways)
    assert pattern.is_ambiguous(name, Steps()) == (len(ways) > 1)


@given(st.text())
def test_an_escaped_name_is_itself(name):
    pattern = parse_pattern(escape(name))
    assert pattern.is_exact
    assert pattern.exact == name
    assert pattern.match(name, Steps()) == {}
    assert exact_pattern(name) == pattern or not name


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 9), st.sampled_from(["int", "02", "03"]))
def test_numbers_there_and_back(number, factor, shift, kind):
    left, right = f"a{{n:{kind}}}", f"b{{{factor}*n+{shift}:int}}"
    source = both(left, "x{n}")[0].render({"n": number})
    target = renamed(left, right, source)
    assert target == f"b{factor * number + shift}"
    assert renamed(right, left, target) == source


class TestRegex:
    def test_groups_are_holes(self):
        source, target = agree([parse_regex(r"l(\d+)/(?P<x>.*)"), parse_pattern("{x}.{1}")])
        assert target.render(source.match("l3/w", Steps())) == "w.3"

    def test_arithmetic(self):
        source, target = agree([parse_regex(r"l(?P<n>\d+)"), parse_pattern("l{n+1:int}")])
        assert target.render(source.match("l9", Steps())) == "l10"

    def test_what_is_no_number(self):
        source, target = agree([parse_regex(r"l(?P<n>\w+)"), parse_pattern("l{n+1:int}")])
        with pytest.raises(PatternError, match="^expected a number for n, got 'x'$"):
            target.render(source.match("lx", Steps()))

    def test_choices_are_refused(self):
        with pytest.raises(PatternError, match="^expected a hole without choices for the group 1 of a regular expr"):
            agree([parse_regex("(a|b)"), parse_pattern("{1:c|d}")])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a{b", "expected } behind '{b' (\\{ is the character itself)"),
        ("a}b", "expected { before } in 'a}b' (\\} is the character itself)"),
        ("{}", "expected a name such as {n}, {n+1} or {2*n}, got {}"),
        ("{n*2}", "expected a name such as {n}, {n+1} or {2*n}, got {n*2}"),
        ("{0*n}", "expected a factor of 1 or more, got {0*n}"),
        ("{n:x}", "expected int, path, 02 or different words a|b behind the colon, got {n:x}"),
        ("{n:a|a}", "expected int, path, 02 or different words a|b behind the colon, got {n:a|a}"),
        ("{a}" * 600, "expected at most 500 holes and texts, got 600"),
    ],
)
def test_what_is_no_pattern(pattern, message):
    with pytest.raises(PatternError) as error:
        parse_pattern(pattern)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ("{n}", "{n+1}", "expected a number in {n+1}: {n:int} on the left makes it one"),
        ("{n:int}", "{n:a|b}", "expected one kind for n, got {n:int} and {n:a|b}"),
        ("{n:a|b}", "{n:a|b|c}", "expected one kind for n, got {n:a|b} and {n:a|b|c}"),
        ("*", "**", "expected one kind for *1, got * and **"),
    ],
)
def test_what_does_not_agree(left, right, message):
    with pytest.raises(PatternError) as error:
        both(left, right)
    assert str(error.value) == message


def test_too_many_choices():
    words = "|".join(f"w{n}" for n in range(3000))
    with pytest.raises(PatternError, match="^expected at most 5000 steps, got 6002: fewer choices help$"):
        lone_pattern(f"{{p:{words}}}")


def test_a_number_below_zero():
    with pytest.raises(PatternError, match=r"^\{n-1:int\} is -1 for n = 0$"):
        renamed("l{n:int}", "l{n-1}", "l0")


def test_a_number_without_end():
    assert renamed("l{n:int}", "m{n}", "l" + "9" * 19) is None
    assert renamed("l{n:int}", "m{n}", "l" + "9" * 18) == "m" + "9" * 18
