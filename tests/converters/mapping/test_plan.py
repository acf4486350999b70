"""What rules do with the tensors of a source, and all that does not fit."""

import numpy as np
import pytest

from tensorferry.converters.mapping.patterns import matcher
from tensorferry.converters.mapping.plan import make_plan
from tensorferry.formats.errors import NameMapError

from .tables import made, planned, problems, rules, tensors

LAYERS = tensors(l0__w=(2, 3), l1__w=(2, 3), l2__w=(2, 3), b=(4,))
W = [LAYERS[f"l{i}/w"].numpy() for i in range(3)]


def same(found, **expected):
    assert {name.replace("/", "__").replace(".", "_"): array.tolist() for name, array in found.items()} == {
        name: np.asarray(array).tolist() for name, array in expected.items()
    }


def test_the_first_rule_takes_a_name():
    plan = planned(
        LAYERS, {"from": "l1/w", "to": "first"}, {"from": "l{n:int}/w", "to": "w{n}"}, {"from": "b", "to": "b"}
    )
    assert list(made(plan)) == ["w0", "first", "w2", "b"]
    assert [move.rule.place for move in plan.moves] == ["rule 2", "rule 1", "rule 2", "rule 3"]
    assert (plan.problems, plan.unused, plan.unmatched) == ([], [], [])


def test_several_sources_of_one_target():
    rule = {"from": ["l0/w", "l2/w"], "to": "w", "do": [{"concat": 0}, {"transpose": [1, 0]}]}
    plan = planned(LAYERS, rule, {"from": "**", "drop": True})
    same(made(plan), w=np.concatenate([W[0], W[2]]).T)
    assert plan.moves[0].how == "concat 0, transpose [1, 0]"
    assert plan.dropped == {"l1/w": "dropped by the table", "b": "dropped by the table"}


def test_sources_that_belong_together():
    source = tensors(a__q=(1, 2), a__k=(1, 2), b__k=(1, 2), b__q=(1, 2))
    plan = planned(source, {"from": ["{x}/q", "{x}/k"], "to": "{x}.qk", "do": {"concat": 0}})
    same(made(plan), a_qk=[[0, 1], [1000, 1001]], b_qk=[[3000, 3001], [2000, 2001]])


def test_gathering_and_dealing_out():
    there = planned(LAYERS, {"from": "l{n:int}/w", "to": "w", "do": {"stack": 0}}, {"from": "b", "to": "b"})
    same(made(there), w=np.stack(W), b=LAYERS["b"].numpy())
    assert there.moves[0].sources == ("l0/w", "l1/w", "l2/w")
    source = {name: tensor for move in there.moves for name, tensor in move.targets.items()}
    back = planned(source, {"from": "w", "to": "l{n:int}/w", "do": {"unstack": 0}}, {"from": "b", "to": "b"})
    same(made(back), l0__w=W[0], l1__w=W[1], l2__w=W[2], b=LAYERS["b"].numpy())


def test_gathering_in_the_order_of_numbers():
    source = tensors(**{f"l{n}": np.full(1, n, np.float32) for n in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9)})
    same(made(planned(source, {"from": "l{n:int}", "to": "all", "do": {"concat": 0}})), all=range(11))


def test_gathering_and_dealing_out_a_range():
    source = tensors(**{f"l{n}": np.full(1, n, np.float32) for n in range(12)})
    head, tail = {"from": "l{n:0..8}", "to": "l{n}"}, {"from": "l{n:9..11}", "to": "tail", "do": {"stack": 0}}
    there = planned(source, tail, head)
    assert made(there)["tail"].tolist() == [[9], [10], [11]]
    gathered = {name: tensor for move in there.moves for name, tensor in move.targets.items()}
    back = planned(gathered, {"from": "tail", "to": "l{n:9..11}", "do": {"unstack": 0}}, head)
    assert {name: float(array[0]) for name, array in made(back).items()} == {f"l{n}": n for n in range(12)}


def test_a_range_of_ties():
    plan = planned(tensors(a=(2,)), {"from": "a", "to": "l{n-1:2..4}", "do": "tie"})
    same(made(plan), l1=[0, 1], l2=[0, 1], l3=[0, 1])


def test_conditions_leave_the_rest_to_others():
    source = tensors(a__kernel=(2, 3), b__kernel=(1, 1, 2, 3))
    plan = planned(
        source,
        {"from": "{x}/kernel", "to": "{x}.weight", "do": {"transpose": [1, 0]}, "where": {"rank": 2}},
        {"from": "{x}/kernel", "to": "{x}.weight", "do": {"transpose": [3, 2, 0, 1]}},
    )
    assert {name: array.shape for name, array in made(plan).items()} == {"a.weight": (3, 2), "b.weight": (3, 2, 1, 1)}


def test_variables_of_the_source():
    derived = {"rows": {"dim": 0, "of": "b"}}
    rule = {"from": "b", "to": ["c", "d"], "do": {"split": {"axis": 0, "sizes": [1, "${rest}"]}}}
    plan = planned(LAYERS, rule, {"from": "l*/w", "drop": True}, derived={**derived, "rest": {"quotient": [6, 2]}})
    same(made(plan), c=[3000], d=[3001, 3002, 3003])


def test_nothing_is_read():
    class Unread(type(LAYERS["b"])):
        def numpy(self):
            raise AssertionError

    source = {"b": Unread(np.zeros((4,), np.float32))}
    planned(
        source, {"from": "b", "to": ["x", "y"], "do": [{"expand": 0}, {"scale": 2}, {"chunk": {"axis": 1, "parts": 2}}]}
    )


REST = {"from": "**", "drop": True, "optional": True}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"from": "l*/w", "drop": True}], ["no rule takes b float32 [4]"]),
        (
            [{"from": "bb", "to": "c"}, REST],
            ["rule 1: expected bb in the source, got none (near: b)"],
        ),
        ([{"from": "l{n:int}/v", "to": "c", "optional": True}, REST], []),
        (
            [{"from": "b", "to": "c"}, {"from": "?", "to": "?"}, REST],
            ["rule 2: expected ? in the source, got none that no rule before it takes: b (rule 1)"],
        ),
        (
            [{"from": "b", "to": "c", "where": {"rank": 2}}, REST],
            ["rule 1: expected b in the source, got none with rank 2: b float32 [4] is there"],
        ),
        (
            [{"from": "b", "to": "c", "do": {"transpose": [1, 0]}}, REST],
            ["rule 1: b float32 [4]: transpose [1, 0]: expected each of the axes [0] once in [1, 0]"],
        ),
        (
            [{"from": ["l0/w", "b"], "to": "c", "do": {"stack": 0}}, REST],
            ["rule 1: l0/w float32 [2, 3], b float32 [4]: stack 0: expected one shape"],
        ),
        (
            [{"from": "b", "to": ["x", "y", "z"], "do": {"chunk": {"axis": 0, "parts": 2}}}, REST],
            ["rule 1: b float32 [4]: chunk axis 0, parts 2: expected 3 tensors for x, y, z, got 2"],
        ),
        (
            [{"from": "b", "to": ["x", "x"], "do": "tie"}, REST],
            ["rule 1: b float32 [4]: tie: expected different names, got x, x"],
        ),
        (
            [{"from": "l{n:int}/w", "to": "w"}, REST],
            [
                "expected one source for w, got l0/w (rule 1), l1/w (rule 1), l2/w (rule 1): "
                "{n:int} of l{n:int}/w is not in w"
            ],
        ),
        (
            [{"from": "l0/w", "to": "b"}, {"from": "b", "to": "b"}, REST],
            ["expected one source for b, got l0/w (rule 1), b (rule 2)"],
        ),
        (
            [
                {"from": "l{n+1:int}/w", "to": "w", "do": {"stack": 0}},
                {"from": "l{n:int}/w", "to": "v{n}"},
                {"from": "b", "to": "b"},
            ],
            [],
        ),
        (
            [{"from": ["l{n:int}/w", "m{n}/w"], "to": "w{n}", "do": {"concat": 0}, "where": {"rank": 2}}, REST],
            [f"rule 1: expected beside l{n}/w also m{n}/w, got none" for n in range(3)],
        ),
        (
            [{"from": ["b", "b"], "to": "c", "do": {"concat": 0}}, REST],
            ["rule 1: expected different names to join, got b, b"],
        ),
        (
            [{"from": "l{n:int}/w", "to": "w{n-1}"}, REST],
            ["rule 1: l0/w float32 [2, 3]: rename: {n-1:int} is -1 for n = 0"],
        ),
        (
            [{"from": "*", "to": "*"}, {"from": "l{n:int}/w", "to": "l{n}/w", "where": {"dtype": "int8"}}],
            [
                "rule 2: expected l{n:int}/w in the source, got none with dtype ['int8']: l0/w float32 [2, 3] is there",
                *(f"no rule takes l{n}/w float32 [2, 3]" for n in range(3)),
            ],
        ),
    ],
)
def test_what_is_wrong(items, expected):
    found = problems(LAYERS, *items)
    assert sorted(found) == sorted(expected)


def test_many_dimensions():
    message = "rule 1: b float32 [4]: expand {}: expected at most 32 dimensions, got 33"
    axes = list(range(32))
    assert problems(LAYERS, {"from": "b", "to": "c", "do": {"expand": axes}}, REST) == [message.format(axes)]


def test_few_rules_are_told_what_is_near():
    source = tensors(**{f"name{n}": (1,) for n in range(3)})
    found = problems(source, *({"from": f"names{n}", "to": "x"} for n in range(50)), REST)
    assert len(found) == 50
    assert sum("(near: " in text for text in found) == 20


def test_gaps():
    source = tensors(l0=(1,), l2=(1,))
    message = "rule 1: expected n = 0 to 1 of l{n:int}, got 0, 2"
    assert problems(source, {"from": "l{n:int}", "to": "w", "do": {"stack": 0}}) == [message]


def test_parts_of_a_range():
    source = tensors(l6=(1,), l7=(1,), w=(2, 1))
    rest = {"from": "l{n:int}", "to": "l{n}"}
    message = "rule 1: expected n = 6 to 8 of l{n:6..8}, got 6, 7"
    stack = {"from": "l{n:6..8}", "to": "s", "do": {"stack": 0}}
    assert problems(source, stack, {"from": "w", "to": "w"}) == [message]
    message = "rule 1: w float32 [2, 1]: unstack 0: expected 3 tensors for m{n:6..8}, got 2"
    assert problems(source, {"from": "w", "to": "m{n:6..8}", "do": {"unstack": 0}}, rest) == [message]
    message = "rule 1: w float32 [2, 1]: tie: expected at most 100000 tensors of one, got 900000000"
    assert problems(source, {"from": "w", "to": "m{n:1..900000000}", "do": "tie"}, rest) == [message]


def test_two_ways():
    found = problems(tensors(a_b_c=(1,)), {"from": "{x}_{y}", "to": "{y}.{x}"})
    message = "rule 1: expected one way for {x}_{y} to match a_b_c, got several: kinds such as {n:int} help"
    assert found == [message]
    assert problems(tensors(a_b_c=(1,)), {"from": "*_*", "drop": True}) == []


def test_a_name_of_no_characters():
    message = "expected a name to rename to, got none for w (rule 1)"
    assert problems(tensors(w=(1,)), {"from": "w*", "to": "*"}) == [message]


def test_variables_that_the_source_does_not_give():
    derived = {"n": {"dim": 0, "of": "x"}}
    rule = {"from": "b", "to": ["c", "d"], "do": {"split": {"axis": 0, "sizes": [1, "${n}"]}}}
    found = problems(LAYERS, rule, REST, derived=derived)
    assert found == ["rule 1: variable n: expected a tensor x in the source, got none"]


class TestGone:
    """Names that were left out before."""

    def test_by_the_user(self):
        assert problems({}, {"from": "a", "to": "b"}, gone={"a": "--exclude a*"}) == []

    def test_by_their_role(self):
        message = "rule 1: expected a in the source, got none: left out before, a (an optimizer's)"
        assert problems({}, {"from": "a", "to": "b"}, gone={"a": "an optimizer's"}) == [message]
        assert problems({}, {"from": "a", "drop": True}, gone={"a": "an optimizer's"}) == []


def test_one_error_lists_all():
    plan = planned(LAYERS, {"from": "bb", "to": "c"}, {"from": "l*/w", "to": "l*"})
    with pytest.raises(NameMapError) as error:
        plan.check("t.toml", LAYERS, allow_unmatched=False, allow_unused=False)
    assert str(error.value) == (
        "t.toml: rule 1: expected bb in the source, got none (near: b); no rule takes b float32 [4] "
        "(--allow-unmatched and --allow-unused would let that pass)"
    )
    plan.check("t.toml", LAYERS, allow_unmatched=True, allow_unused=True)


def test_patterns_that_take_too_long(monkeypatch):
    monkeypatch.setattr(matcher, "MAX_STEPS", 1000)
    source = tensors(**{f"{'a' * 50}{n}": (1,) for n in range(50)})
    message = "^rule 1: expected patterns that match sooner: the names took too many steps$"
    with pytest.raises(NameMapError, match=message):
        make_plan(rules({"from": "**a**b*", "to": "**.**.*"}), source)


class TestMany:
    """More problems than a line should hold: the line counts them, `problems` has all."""

    source = tensors(**{f"n{place}": (1,) for place in range(300)})

    def error(self, *items):
        with pytest.raises(NameMapError) as error:
            planned(self.source, *items).check("t.toml", self.source, allow_unmatched=False, allow_unused=False)
        return error.value

    def test_names_that_no_rule_takes(self):
        error = self.error({"from": "n0", "to": "n0"})
        first = "t.toml: 299 problems, the first of them: no rule takes n1 float32 [1]"
        assert str(error) == f"{first} (--allow-unused would let that pass)"
        assert list(error.problems) == [f"no rule takes n{place} float32 [1]" for place in range(1, 300)]

    def test_rules_that_match_nothing(self):
        error = self.error(*({"from": f"m{n}", "to": f"m{n}"} for n in range(30)), {"from": "**", "to": "**"})
        assert str(error).startswith("t.toml: 30 problems, the first of them: rule 1: expected m0 in the source")
        assert len(error.problems) == 30

    def test_few_stand_in_the_line(self):
        assert self.error({"from": "n{n:int}", "to": "n{n}"}, {"from": "x", "to": "y"}).problems == ()
