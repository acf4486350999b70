import pickle

import pytest

from tensorferry.formats import errors
from tensorferry.formats.errors import (
    FormatError,
    NameMapError,
    TensorferryError,
    UsageError,
    listing,
    of_many,
    one_line,
)

TREE = ["FormatError", "UnsupportedError", "GraphError", "NameMapError", "DestinationError", "UsageError"]


@pytest.mark.parametrize("name", TREE)
def test_every_error_stands_under_the_root(name):
    error = getattr(errors, name)
    assert error.__bases__ == (TensorferryError,)
    assert f"── {name} " in errors.__doc__


def test_the_tree_in_the_docstring_is_complete():
    found = {name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, Exception)}
    assert found == {*TREE, "TensorferryError"}


@pytest.mark.parametrize(
    ("where", "problem", "hint", "message"),
    [
        ("a.pb", "expected a graph, got none", "", "a.pb: expected a graph, got none"),
        ("a.pb", "expected a graph, got none", "try b.pb", "a.pb: expected a graph, got none (try b.pb)"),
        ("", "expected a graph, got none", "", "expected a graph, got none"),
        ("a\nb", "c\td", "e\x1b[31m", "a\\nb: c\\td (e\\x1b[31m)"),
    ],
)
def test_message(where, problem, hint, message):
    assert str(FormatError(where, problem, hint=hint)) == message


def test_parts_are_kept():
    error = UsageError("--to x", "expected y", hint="or z")
    assert (error.where, error.problem, error.hint) == ("--to x", "expected y", "or z")


def test_errors_cross_process_borders():
    error = FormatError("a.pb", "expected a graph, got none")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is FormatError
    assert str(copy) == str(error)


def test_an_error_with_a_hint_crosses_process_borders():
    error = FormatError("a.pb", "expected a graph, got none", hint="try b.pb")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("é水 plain", "é水 plain"),
        ("a\r\nb", "a\\r\\nb"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\x00\x7f", "a\\x00\\x7f"),
        ("\ud800", "\\ud800"),
        (b"bytes", "b'bytes'"),
        (12, "12"),
    ],
)
def test_one_line(text, line):
    assert one_line(text) == line
    one_line(text).encode("utf-8")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2, ... and 1 more"), (9, "0, 1, 2, ... and 6 more")],
)
def test_listing(count, text):
    assert listing(range(count), 3) == text


def test_few_findings_stand_in_the_line():
    error = of_many(NameMapError, "t.toml", ["a is missing", "b is doubled"], "expected a table, got: ", "add a")
    assert str(error) == "t.toml: expected a table, got: a is missing; b is doubled (add a)"
    assert error.problems == ()


def test_many_findings_are_counted_in_the_line_and_kept_one_by_one():
    error = of_many(NameMapError, "t.toml", [f"{n} is\nmissing" for n in range(21)])
    assert str(error) == "t.toml: 21 problems, the first of them: 0 is\\nmissing"
    assert error.problems == [f"{n} is\\nmissing" for n in range(21)]
