"""Strings: errors, and what the recorded answers don't show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorferry.formats.dtype import FLOAT32, INT16, INT32, INT64

from .refusing import given, ints, refusal, word, words

AB = words(b"a", b"b")


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "message"),
    [
        ("StringLower", {"encoding": b"utf-16"}, [AB], "n: expected bytes or UTF-8, got utf-16"),
        ("Substr", {"T": INT32}, [AB, ints(0, 2), ints(1, 1)], "n: expected a place in a string of 1, got 2"),
        ("StringJoin", {"N": 2}, [AB, words(b"c")], "n: expected inputs of one shape, got [[2], [1]]"),
        ("ReduceJoin", {}, [AB, ints(0, -1)], "n: expected dimensions of their own, got [0, 0]"),
        ("ReduceJoin", {}, [AB, ints(1)], "n: expected ReduceJoin's axis to be below rank 1, got 1"),
        ("AsString", {"T": FLOAT32, "scientific": True, "shortest": True}, [np.float32(1)],
         "n: expected one format, got scientific and shortest, or fill ''"),
        ("AsString", {"T": INT32, "fill": b"x"}, [ints(1)], "n: expected one format, got"),
        ("AsString", {"T": INT32, "width": 1 << 30}, [ints(1)], "n: expected one format, got"),
        ("StringToNumber", {"out_type": INT32}, [words(b"2147483648")],
         "n: expected a string to spell a number of int32, got b'2147483648'"),
        ("StringToNumber", {"out_type": INT64}, [words(b"1_0")], "n: expected a string to spell a number of int64,"),
        ("StringToNumber", {"out_type": FLOAT32}, [words(b"1e")], "n: expected a string to spell a number of"),
        ("DecodeBase64", {}, [words(b"a+b=")], "n: expected base64 for the web, got b'a+b='"),
        ("DecodeRaw", {"out_type": INT16}, [words(b"ab", b"abcd")], "n: expected strings of one length, got"),
        ("DecodeRaw", {"out_type": INT32}, [words(b"abc")], "n: DecodeRaw of object [1] failed: "),
        ("StringToHashBucketFast", {"num_buckets": 0}, [AB], "n: expected at least one bucket, got 0"),
    ],
)  # fmt: skip
def test_errors(op: str, attrs: dict[str, Any], inputs: list[Any], message: str) -> None:
    assert refusal(op, attrs, *inputs).startswith(message)


def test_a_key_has_two_numbers() -> None:
    from tensorferry.converters.ir import AttrList

    attrs = {"num_buckets": 3, "key": AttrList("int", (1,))}
    assert refusal("StringToHashBucketStrong", attrs, AB) == "n: expected a key of 2 numbers, got 1"


def test_what_is_no_text_is_an_error() -> None:
    """A variant is an object to numpy, as a string is."""
    assert refusal("StringStrip", {}, words(b"a", None)).startswith("n: StringStrip of object [2] failed: ")  # type: ignore[arg-type]


def test_bytes_that_are_not_utf8_survive() -> None:
    odd = words(b"\xff\xc3")
    assert given("Substr", {"T": INT32, "unit": b"UTF8_CHAR"}, odd, np.int32(0), np.int32(9)).tolist() == [b"\xff\xc3"]
    replaced = given("StaticRegexReplace", {"pattern": b"x", "rewrite": b"y"}, words(b"\xffx\xc3"))
    assert replaced.tolist() == [b"\xffy\xc3"]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (b"(a+)+$", "alternatives or a repetition are repeated"),
        (b"(a|aa)*", "alternatives or a repetition are repeated"),
        (b"((a+)b)+", "alternatives or a repetition are repeated"),
        (b"(?:a{2,9}){2,}", "alternatives or a repetition are repeated"),
        (rb"\pL", r"\p is not understood"),
        (rb"\Qa\E", r"\Q is not understood"),
        (b"[[:nothing:]]", "[:nothing:] is not understood"),
    ],
)
def test_patterns_that_could_take_for_ever_or_mean_something_else(pattern: bytes, reason: str) -> None:
    message = refusal("StaticRegexFullMatch", {"pattern": pattern}, AB)
    assert message.startswith("n: no way to run the regular expression ")
    assert message.endswith(reason)


@pytest.mark.parametrize("pattern", [b"(", b"[a", b"a)", b"*", b"a{2"[:1] + b"**"])
def test_patterns_that_are_none(pattern: bytes) -> None:
    assert refusal("RegexFullMatch", {}, AB, word(pattern)).startswith("n: expected a regular expression, got ")


def test_a_rewrite_refers_to_groups_alone() -> None:
    message = refusal("StaticRegexReplace", {"pattern": b"a", "rewrite": rb"\n"}, AB)
    assert message.startswith(r"n: expected a rewrite with \0 to \9 or \\, got ")


def test_text_that_grows_is_bounded() -> None:
    """Also where it takes no memory yet: one string, as often as a shape says."""
    many = np.broadcast_to(word(b"a"), (1 << 40,))
    long = word(b"a" * (1 << 17))
    for op, attrs, inputs in [
        ("StringLower", {}, [many]),
        ("StringToHashBucketFast", {"num_buckets": 3}, [many]),
        ("StringJoin", {"N": 2}, [np.broadcast_to(word(b"a"), (1 << 20,)), long]),
        ("ReduceJoin", {"separator": b"x" * 5000}, [np.broadcast_to(word(b"a"), (1 << 20,)), ints(0)]),
        ("RegexReplace", {}, [long, word(b"a"), long]),
        ("StaticRegexFullMatch", {"pattern": b"a"}, [many]),
    ]:
        assert refusal(op, attrs, *inputs).startswith(f"n: expected {op} to make at most 2147483648 bytes, got ")
