"""One rule: what may stand in it, and what has to go together."""

import numpy as np
import pytest

from tensorferry.converters.mapping.rule import Condition, RuleError, read_rule
from tensorferry.converters.mapping.verbs import VERBS
from tensorferry.formats.tensor import ArrayTensor


def refused(data, message):
    with pytest.raises(RuleError) as error:
        read_rule(data, "line 1", {})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a", "expected a table {from = ..., to = ...}, got 'a'"),
        ({"from": "a", "too": "b"}, "expected only from, regex, to, do, drop, where, optional, got too (near: to)"),
        ({"to": "a"}, "expected one of from and regex, got neither"),
        ({"from": "a", "regex": "a", "to": "b"}, "expected one of from and regex, got both"),
        ({"from": "a"}, "expected one of to and drop, got neither"),
        ({"from": "a", "drop": False}, "expected one of to and drop, got neither"),
        ({"from": "a", "to": "b", "drop": True}, "expected one of to and drop, got both"),
        ({"from": "a", "drop": 1}, "expected true, false or a reason for drop, got 1"),
        ({"from": "a", "drop": ""}, "expected true, false or a reason for drop, got ''"),
        ({"from": "a", "drop": True, "do": "tie"}, "expected nothing to do for what is dropped"),
        ({"from": "a", "to": "b", "optional": 1}, "expected true or false for optional, got 1"),
        ({"from": 3, "to": "b"}, "expected a name for from, got 3"),
        ({"from": [], "to": "b"}, "expected a name for from, got []"),
        ({"from": "", "to": "b"}, "expected a name for from, got ''"),
        ({"from": "a", "to": ["b", 3]}, "expected a name for to, got 3"),
        ({"from": "a{", "to": "b"}, "expected } behind '{' (\\{ is the character itself)"),
        ({"regex": "a(", "to": "b"}, "expected ) at character 3, got the end"),
        ({"from": "a", "to": "b", "do": 3}, "expected one verb, {name = parameters}, in each step of do, got 3"),
        (
            {"from": "a", "to": "b", "do": {"squeeze": 0, "flip": 0}},
            "expected one verb, {name = parameters}, in each step of do, got {'squeeze': 0, 'flip': 0}",
        ),
        (
            {"from": "a", "to": "b", "do": {"squeeze": "x"}},
            "squeeze: expected a list of whole numbers for axes, got 'x'",
        ),
        ({"from": "a", "to": "b", "where": 2}, "expected {rank, dtype, shape} for where, got 2"),
        ({"from": "a", "to": "b", "where": {"size": 2}}, "expected only rank, dtype, shape in where, got size"),
        (
            {"from": "a", "to": "b", "where": {"dtyp": 2}},
            "expected only rank, dtype, shape in where, got dtyp (near: dtype)",
        ),
        ({"from": "a", "to": "b", "where": {"rank": -1}}, "expected a whole number for rank, got -1"),
        (
            {"from": "a", "to": "b", "where": {"dtype": "float31"}},
            "expected element types such as float32 for dtype, got 'float31'",
        ),
        (
            {"from": "a", "to": "b", "where": {"shape": [-2]}},
            "expected a list of sizes, -1 for any, for shape, got [-2]",
        ),
        ({"from": "a", "to": "{n}"}, "expected holes of from in to, got {n} too"),
        ({"from": ["{n}/a", "b"], "to": "c", "do": {"concat": 0}}, "expected the same holes in {n}/a and b"),
        ({"from": ["a", "b"], "to": "c"}, "expected a verb that joins, such as concat, to make one tensor of several"),
        ({"from": ["a", "b"], "to": ["c", "d"], "do": "tie"}, "expected one tensor to divide, got several"),
        (
            {"from": "a", "to": ["b", "c"]},
            "expected a verb that divides, such as split or tie, to make 2 tensors of one",
        ),
        (
            {"from": "a", "to": "b", "do": {"concat": 0}},
            "expected several tensors to join: a list in from, or a number {n:int} that is not in to",
        ),
        (
            {"from": "{x}/a", "to": "b", "do": {"stack": 0}},
            "expected several tensors to join: a list in from, or a number {n:int} that is not in to",
        ),
        (
            {"from": "a", "to": "b", "do": {"unstack": 0}},
            "expected a list in to, or a number {n:int} that is not in from, for the several that are made",
        ),
        (
            {"from": "a", "to": "b", "do": {"transpos": [1, 0]}},
            f"expected a verb, one of {', '.join(VERBS)}, got transpos (near: transpose)",
        ),
        (
            {"from": "a${v}", "to": "b"},
            "expected a constant in the name a${v}: a variable that the shapes give can't stand there",
        ),
    ],
)
def test_what_is_wrong(data, message):
    refused(data, message)


@pytest.mark.parametrize(
    ("data", "gathered", "dealt"),
    [
        ({"from": "l{n:int}/w", "to": "w", "do": {"stack": 0}}, "n", ""),
        ({"from": "w", "to": "l{n:int}/w", "do": {"unstack": 0}}, "", "n"),
        ({"from": "l{n:int}/w", "to": "w{k:int}", "do": [{"stack": 0}, {"chunk": {"axis": 0, "parts": 2}}]}, "n", "k"),
        ({"from": ["q", "k", "v"], "to": "qkv", "do": {"concat": 0}}, "", ""),
        ({"from": "a", "to": ["b", "c"], "do": ["tie", {"scale": 2}]}, "", ""),
    ],
)
def test_roles(data, gathered, dealt):
    rule = read_rule(data, "line 1", {})
    assert (rule.gathered, rule.dealt) == (gathered, dealt)


def test_verbs_with_variables_wait_for_the_source():
    rule = read_rule({"from": "a", "to": ["b", "c"], "do": {"split": {"axis": 0, "sizes": ["${n}", "2"]}}}, "l", {})
    assert rule.verbs is None
    (verb,) = rule.verbs_for({"n": 3})
    assert verb.spelled() == {"axis": 0, "sizes": [3, 2]}
    with pytest.raises(RuleError, match="split: expected a list of whole numbers for sizes"):
        rule.verbs_for({"n": "x"})


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        (Condition(), True),
        (Condition(rank=2), True),
        (Condition(rank=1), False),
        (Condition(dtype=("float32", "float16")), True),
        (Condition(dtype=("int32",)), False),
        (Condition(shape=(-1, 3)), True),
        (Condition(shape=(2, 3, 1)), False),
        (Condition(shape=(2, 4)), False),
    ],
)
def test_conditions(where, holds):
    assert where.holds(ArrayTensor(np.zeros((2, 3), np.float32))) is holds


def test_as_text():
    assert str(read_rule({"from": ["a", "b"], "to": "c", "do": "sum"}, "l", {})) == "a + b -> c"
    assert str(read_rule({"from": "a*", "drop": "old"}, "l", {})) == "a* -> dropped (old)"
