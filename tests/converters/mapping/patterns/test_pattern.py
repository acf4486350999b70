"""Names with holes, on either side of a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.mapping.patterns.hole import PatternError
from tensorferry.converters.mapping.patterns.matcher import Steps
from tensorferry.converters.mapping.patterns.pattern import (
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
        ("l{n:6..8}", "l{n-6}", "l6", "l0"),
        ("l{n:6..8}", "l{n-6}", "l8", "l2"),
        ("l{n:6..8}", "l{n-6}", "l5", None),
        ("l{n:6..8}", "l{n-6}", "l9", None),
        ("l{n:6..8}", "l{n-6}", "l06", None),
        ("l{n-6}", "l{n:6..8}", "l2", "l8"),
        ("l{n-6}", "l{n:6..8}", "l3", None),
        ("l{2*n+1:3..4}", "l{n}", "l9", "l4"),
        ("l{2*n+1:3..4}", "l{n}", "l8", None),
        ("l{2*n+1:3..4}", "l{n}", "l11", None),
        ("l{n:03}", "l{n:8..100}", "l008", "l8"),
        ("l{n:03}", "l{n:8..100}", "l101", None),
        ("l{n:03}", "l{n:8..100}", "l8", None),
        ("l{n:1..12}x{k:int}", "{n}.{k}", "l12x3", "12.3"),
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
    ("left", "name"),
    [
        ("{a}_{b}", "x_y"),
        ("{a}/{b}", "x/y"),
        ("{a:int}_{b}", "1_y_z"),
        ("{a}", "x"),
        ("ab", "ab"),
        ("{a:1..9}{b:int}", "123"),
        ("{a:10..12}{b:int}", "123"),
    ],
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


@given(st.integers(3, 1200), st.integers(0, 1200), st.integers(0, 3), st.integers(-3, 9), st.integers(0, 2500))
def test_ranges_have_their_numbers_and_no_others(first, more, width, shift, number):
    """Of every number, spelled with `width` digits or more, the pattern takes those of the range."""
    zeros = f":0{width}" if width else ""
    pattern, _ = both(f"{{n{shift:+d}{zeros}}}", f"{{n:{first}..{first + more}}}")
    value = number - shift
    found = {"n": value} if first <= value <= first + more else None
    assert pattern.match(f"{number:0{width}d}", Steps()) == found


@given(st.integers(0, 99), st.integers(0, 9), st.integers(1, 4), st.integers(0, 9))
def test_a_range_there_and_back(first, count, factor, shift):
    left, right = f"a{{n:{first}..{first + count}}}", f"b{{{factor}*n+{shift}}}"
    numbers = range(first, first + count + 1)
    assert [renamed(left, right, f"a{n}") for n in numbers] == [f"b{factor * n + shift}" for n in numbers]
    others = set(range(factor * (first + count + 2) + shift)) - {factor * n + shift for n in numbers}
    source, target = both(left, right)
    back = parse_pattern(target.spelled()), parse_pattern(source.spelled(target.holes))
    for there, here in (both(right, left), agree(back)):
        assert [here.render(there.match(f"b{factor * n + shift}", Steps())) for n in numbers] == [
            f"a{n}" for n in numbers
        ]
        assert all(there.match(f"b{n}", Steps()) is None for n in others)


def test_the_largest_ranges_are_small_programs():
    pattern = lone_pattern("{987654321*n+1:1..999999999}")
    assert len(pattern.compiled()) < 700
    assert pattern.match("987654321987654322", Steps(20_000)) is None
    assert pattern.match(str(987654321 * 999999999 + 1), Steps(20_000)) == {"n": 999999999}


def test_a_range_stays_where_it_can_be_spelled():
    """A hole with a width is not spelled with its range: another one of that name is."""
    source, target = both("l{n:6..8}", "l{n:02}")
    assert (source.spelled(target.holes), target.spelled(source.holes)) == ("l{n:6..8}", "l{n:02}")
    assert (target.spelled(), source.spelled(target.holes)) == ("l{n:02}", "l{n:6..8}")


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

    def test_ranges(self):
        source, target = agree([parse_regex(r"l(?P<n>\d+)"), parse_pattern("l{n:6..8}")])
        assert target.render(source.match("l8", Steps())) == "l8"
        with pytest.raises(PatternError, match="^expected n from 6 to 8, got 9$"):
            target.render(source.match("l9", Steps()))

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
        ("{n:x}", "expected int, path, 02, 6..8 or different words a|b behind the colon, got {n:x}"),
        ("{n:a|a}", "expected int, path, 02, 6..8 or different words a|b behind the colon, got {n:a|a}"),
        ("{n:6..}", "expected a range of numbers without zeros in front such as 6..8, got {n:6..}"),
        ("{n:06..08}", "expected a range of numbers without zeros in front such as 6..8, got {n:06..08}"),
        ("{n:0..9999999999}", "expected a range of numbers without zeros in front such as 6..8, got {n:0..9999999999}"),
        ("{n:8..6}", "expected a range that ends behind its begin, such as 6..8, got {n:8..6}"),
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
        ("{n:6..8}", "{n:a|b}", "expected one kind for n, got {n:6..8} and {n:a|b}"),
        ("{n:6..8}", "{n-6:0..2}", "expected one range for n, got {n:6..8} and {n-6:0..2}"),
        ("{n:5..8}", "{n-6}", "expected a range without numbers below zero, got {n-6:5..8}, which begins at -1"),
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
