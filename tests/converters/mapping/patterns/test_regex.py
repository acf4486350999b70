"""Regular expressions that cannot run for ever, beside Python's own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.mapping.patterns.matcher import MAX_PROGRAM, Steps, TooLongError, run
from tensorferry.converters.mapping.patterns.regex import RegexError, compile_regex


def groups(source, name):
    """What each group matched, as Python's `groups()` tells it; None where the name does not match."""
    regex = compile_regex(source)
    places = run(regex.program, name, Steps())
    if places is None:
        return None
    numbers = range(1, len(regex.groups) + 1)
    return tuple(name[places[2 * n] : places[2 * n + 1]] if 2 * n in places else None for n in numbers)


CHARS = st.sampled_from("ab/0")
ATOMS = st.one_of(
    CHARS,
    st.sampled_from(["[ab]", "[^a]", "[a-b0]", "[^/]", r"\d", r"\w", ".", r"\.", "[]a]", r"[\w/]"]),
)
COUNTS = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?", "??", "{1,3}?"])


def expressions():
    def wider(inner):
        grouped = st.builds("({})".format, inner) | st.builds("(?:{})".format, inner)
        either = st.builds("(?:{}|{})".format, inner, inner)
        repeated = st.builds("{}{}".format, ATOMS | grouped, COUNTS)
        return st.one_of(grouped, either, repeated, st.builds("{}{}".format, inner, inner))

    return st.recursive(ATOMS, wider, max_leaves=8)


@given(expressions(), st.text("ab/0.\n", max_size=8))
def test_as_python_has_it(source, name):
    expected = re.compile(source, re.ASCII).fullmatch(name)
    try:
        found = groups(source, name)
    except RegexError as error:
        refused = str(error)
    else:
        refused = "what may be empty"
        assert found == (None if expected is None else expected.groups())
    assert "what may be empty" in refused


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (r"layer_(\d+)/(?P<part>\w+)", "layer_12/kernel", ("12", "kernel")),
        ("^a(b|c)$", "ac", ("c",)),
        (r"(.*)/(.*)", "a/b/c", ("a/b", "c")),
        (r"(.*?)/(.*)", "a/b/c", ("a", "b/c")),
        (r"(?:x|(y))", "x", (None,)),
        ("a", "ab", None),
        ("", "", ()),
        (r"[a\-z]+", "a-z", ()),
        (r"[\]\\]+", "]\\", ()),
    ],
)
def test_groups(source, name, expected):
    assert groups(source, name) == expected


def test_names_of_groups():
    assert compile_regex(r"(a)(?P<x>b)(?<y>c)(d)").groups == ["1", "x", "y", "4"]


def test_what_can_be_turned_around():
    assert compile_regex(r"a/(\d+)\.(?P<x>[^/]+)").parts == ["a", "/", (1, r"\d+"), ".", (2, "[^/]+")]
    assert compile_regex("a+").parts is None
    assert compile_regex("((a)b)").parts is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("(a", "expected ) at character 3, got the end"),
        ("a)", "expected the end at character 2, got ')'"),
        ("*a", "expected a character or a group (a backslash makes it one) at character 1, got '*'"),
        ("a{", "expected {2}, {2,} or {2,5} at character 2, got '{'"),
        ("a{2,1}", "expected counts in order, of at most 1000, at character 2, got '{'"),
        ("a{5000}", "expected counts in order, of at most 1000, at character 2, got '{'"),
        ("[a", "expected ] at character 3, got the end"),
        ("[b-a]", "expected a range in order at character 5, got ']'"),
        (
            r"(a)\1",
            "expected d, w, s or a character that is no letter behind the backslash, and no back reference, at "
            "character 5, got '1'",
        ),
        ("(?=a)", "expected (...), (?:...) or (?P<name>...), and no looking around, at character 2, got '?'"),
        ("(?P<1>a)", "expected a name of its own and > at character 5, got '1'"),
        ("(?P<x>a)(?P<x>a)", "expected a name of its own and > at character 13, got 'x'"),
        ("(a*)*", "expected something to repeat before character 5, got what may be empty"),
        ("(" * 21 + ")" * 21, "expected at most 20 groups in each other at character 22, got ')'"),
        ("((a{1000}){1000}){1000}", f"expected at most {MAX_PROGRAM} steps, got more"),
    ],
)
def test_what_is_refused(source, message):
    with pytest.raises(RegexError) as error:
        compile_regex(source)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("source", ["(a+)+b", "(a|aa)+b", "(a|a)+b", "[^/]*[^/]*[^/]*[^/]*[^/]*b", "(a?){30}a{30}b"])
def test_none_runs_for_ever(source):
    """Each instruction meets each place once at most, in expressions that take other engines ages."""
    name = "a" * 400
    program = compile_regex(source).program
    steps = Steps()
    before = steps.left
    assert run(program, name, steps) is None
    assert 0 < before - steps.left <= len(program) * (len(name) + 1)


def test_steps_are_used_up():
    program = compile_regex("a*b").program
    with pytest.raises(TooLongError):
        run(program, "a" * 100, Steps(50))


@given(st.text(max_size=12))
def test_any_text(source):
    told = "expected "
    try:
        compile_regex(source)
    except RegexError as error:
        told = str(error)
    assert told.startswith("expected ")
