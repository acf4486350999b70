"""The table that goes back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorferry.converters.mapping import order
from tensorferry.converters.mapping.inverse import invert_plan, invert_rule, invert_rules
from tensorferry.converters.mapping.verbs.verb import NoInverseError
from tensorferry.formats.tensor import ArrayTensor

from .tables import planned, rules, tensors


def inverse(item):
    return invert_rule(rules(item)[0])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"from": "a", "to": "b"}, {"from": "b", "to": "a"}),
        ({"from": r"a\*", "to": "b"}, {"from": "b", "to": r"a\*"}),
        ({"from": "l_{n:int}/{p:gamma|beta}", "to": "l.{n+1}.{p:weight|bias}"},
         {"from": "l.{n+1:int}.{p:weight|bias}", "to": "l_{n}/{p:gamma|beta}"}),
        ({"from": "l_{n:6..8}/w", "to": "b.1.{n-6}.w"}, {"from": "b.1.{n-6:6..8}.w", "to": "l_{n}/w"}),
        ({"from": "l_{2*n+1:3..4}", "to": "l.{n:02}"}, {"from": "l.{n:02}", "to": "l_{2*n+1:3..4}"}),
        ({"from": "l{n:6..8}", "to": "w", "do": {"stack": 0}},
         {"from": "w", "to": "l{n:6..8}", "do": {"unstack": 0}}),
        ({"from": "*/w", "to": "*.w"}, {"from": "*.w", "to": "*/w"}),
        ({"from": "a", "to": "b", "do": [{"transpose": [2, 0, 1]}, {"flip": 0}]},
         {"from": "b", "to": "a", "do": [{"flip": [0]}, {"transpose": [1, 2, 0]}]}),
        ({"from": "a", "to": ["b", "c"], "do": "tie"}, {"from": ["b", "c"], "to": "a", "do": "same"}),
        ({"from": "a", "to": ["q", "k"], "do": {"split": {"axis": 1, "sizes": [2, 3]}}},
         {"from": ["q", "k"], "to": "a", "do": {"concat": {"axis": 1, "sizes": [2, 3]}}}),
        ({"from": "l{n:int}", "to": "w", "do": {"stack": 0}}, {"from": "w", "to": "l{n:int}", "do": {"unstack": 0}}),
        ({"from": "a", "to": "b", "do": {"transpose": [1, 2, 0]}, "where": {"shape": [-1, 3, 4], "dtype": "float32"},
          "optional": True},
         {"from": "b", "to": "a", "do": {"transpose": [2, 0, 1]},
          "where": {"rank": 3, "dtype": ["float32"], "shape": [3, 4, -1]}, "optional": True}),
        ({"from": "a", "to": "b", "do": {"transpose": [1, 0]}, "where": {"rank": 2}},
         {"from": "b", "to": "a", "do": {"transpose": [1, 0]}, "where": {"rank": 2}}),
        ({"regex": r"l(\d+)/(?P<x>w|b)", "to": "{x}.l{1}"},
         {"regex": r"(?P<gx>w|b)\.l(?P<g1>\d+)", "to": "l{g1}/{gx}"}),
    ],
)  # fmt: skip
def test_rules(item, expected):
    assert inverse(item) == expected
    if "regex" not in item:
        (back,), (there,) = rules(inverse(inverse(item))), rules(item)
        assert (back.verbs, back.gathered, back.dealt) == (there.verbs, there.gathered, there.dealt)
        assert [p.parts for p in back.sources + back.targets] == [p.parts for p in there.sources + there.targets]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"from": "a*", "drop": True}, "a* is dropped"),
        ({"from": "a*", "to": "b"}, "* of a* is not in the result's name"),
        ({"from": "{x}/{n:int}", "to": "b{n}"}, "{x} of {x}/{n:int} is not in the result's name"),
        ({"from": "a", "to": "b", "do": {"slice": {"axis": 0, "stop": 1}}}, "slice loses what it takes away"),
        ({"from": ["a", "b"], "to": "c", "do": {"concat": 0}},
         "concat does not say where it can be cut: sizes = [...] or parts = N do"),
        ({"from": "a", "to": "b", "do": {"flip": "${n}"}},
         "it takes sizes from the shapes of a source: name one, `map invert TABLE SRC`"),
        ({"from": "a", "to": "b", "where": {"rank": 2}, "do": {"expand": 0}},
         "a condition on the shape can't be told behind expand [0]"),
        ({"from": "a", "to": "b", "where": {"dtype": "float16"}, "do": {"cast": {"from": "float16", "to": "float32"}}},
         "a condition on dtype can't be told behind a cast"),
        ({"regex": "(a|b)+", "to": "{1}"},
         "only a regular expression of text and groups in a row can be turned around"),
        ({"regex": "(a)(b)", "to": "{1}"}, "not every group is in the result's name"),
        ({"regex": "(a)", "to": "{1}{1}"}, "{1} can't be turned around in a regular expression"),
        ({"regex": r"l(\d+)", "to": "{1:6..8}"}, "{1:6..8} can't be turned around in a regular expression"),
    ],
)  # fmt: skip
def test_no_way_back(item, message):
    with pytest.raises(NoInverseError) as error:
        inverse(item)
    assert str(error.value) == message


def test_each_rule_without_one_is_named():
    back = invert_rules(rules({"from": "a", "to": "b"}, {"from": "c", "drop": True}, {"from": "d*", "to": "e"}))
    assert back.rules == [{"from": "b", "to": "a"}]
    assert back.problems == ["rule 2: c is dropped", "rule 3: * of d* is not in the result's name"]


class TestOfPlans:
    source = tensors(a=(2, 3), b=(2, 1), c=(4,), l0=(2,), l1=(2,))

    def back(self, *items):
        plan = planned(self.source, *items)
        assert not plan.problems
        back = invert_plan(plan, self.source)
        made = {name: tensor for move in plan.moves for name, tensor in move.targets.items()}
        return back.rules, back.problems, planned(made, *back.rules)

    def test_shapes_are_known(self):
        items = [
            {"from": ["a", "b"], "to": "ab", "do": {"concat": 1}},
            {"from": "c", "to": "d", "do": {"reshape": [2, -1]}},
            {"from": "l{n:int}", "to": "l.{n}"},
        ]
        found, problems, back = self.back(*items)
        assert found[0] == {"from": "ab", "to": ["a", "b"], "do": {"split": {"axis": 1, "sizes": [3, 1]}}}
        assert problems == []
        self.check(back, self.source)

    def test_a_rule_that_would_take_too_much_goes_by_names(self):
        """`l{n:int}` alone would make `lx` of what `lx` itself is made of."""
        items = [{"from": "a", "to": "c.1"}, {"from": "**", "to": "**.1"}]
        source = tensors(a=(2,), b=(2,))
        plan = planned(source, *items)
        found = invert_plan(plan, source).rules
        made = {name: tensor for move in plan.moves for name, tensor in move.targets.items()}
        self.check(planned(made, *found), source)

    def test_what_is_lost(self):
        items = [{"from": "c", "to": "d", "do": {"scale": 3}}, {"from": "a", "drop": "old"}, {"from": "**", "to": "**"}]
        found, problems, _ = self.back(*items)
        assert problems == ["a: old", "rule 1: c: scale 3.0 rounds"]
        assert found == [{"from": name, "to": name} for name in ("b", "l0", "l1")]

    @staticmethod
    def check(back, source):
        assert not back.problems
        assert not back.unused
        made = {name: tensor for move in back.moves for name, tensor in move.targets.items()}
        assert {n: (t.dtype, t.shape, t.tobytes()) for n, t in made.items()} == {
            n: (t.dtype, t.shape, t.tobytes()) for n, t in source.items()
        }


SHAPES = st.sampled_from([(2, 4), (4, 2), (2, 2, 2), (1, 4), (4,), (2, 1, 4)])


@st.composite
def tables(draw):
    """A source, and rules that take all of it in ways that can be undone."""
    source, items = {}, []
    for index in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from([np.float32, np.int16]))
        shape = draw(SHAPES)
        layers, start = draw(st.integers(1, 3)), draw(st.integers(0, 9))
        for n in range(start, start + layers):
            values = np.arange(np.prod(shape)) + 100 * n + 1000 * index
            source[f"s{index}/layer_{n}"] = ArrayTensor(values.astype(dtype).reshape(shape))
        rank = len(shape)
        perm = draw(st.permutations(range(rank)))
        axis = draw(st.integers(0, rank - 1))
        each = draw(st.lists(st.sampled_from([{"transpose": perm}, {"flip": axis}, {"pad": {"axis": axis, "before": 1}},
                                              {"expand": 0}]), max_size=1))  # fmt: skip
        new = f"t{index}.{{n{draw(st.integers(-start, 2)):+d}}}"
        kind = "int" if start == 0 and draw(st.booleans()) else f"{start}..{start + layers - 1}"
        left = f"s{index}/layer_{{n:{kind}}}"
        items.append(draw(st.sampled_from([
            {"from": left, "to": new, "do": each},
            {"from": left, "to": [f"{new}.a", f"{new}.b"], "do": [*each, {"expand": -1}, "tie"]},
            {"from": left, "to": f"t{index}", "do": [*each, {"stack": draw(st.integers(0, rank))}]},
            {"from": left, "to": [f"{new}.a"], "do": [*each, {"reshape": [-1]}]},
            {"from": left, "to": f"t{index}", "do": [*each, {"concat": axis}, {"flip": 0}]},
            {"from": left, "to": f"{new}.{{k:int}}", "do": [*each, {"unstack": 0}]},
            {"from": left, "to": f"{new}.{{k:3..4}}", "do": [*each, "tie"]},
        ])))  # fmt: skip
    return source, items


@settings(deadline=None)
@given(tables())
def test_there_and_back(table):
    """The bytes come back, and there is nothing more or less."""
    source, items = table
    plan = planned(source, *items)
    assert plan.all_problems(source, allow_unmatched=False, allow_unused=False) == []
    back = invert_plan(plan, source)
    assert back.problems == []
    made = {name: tensor for move in plan.moves for name, tensor in move.targets.items()}
    TestOfPlans.check(planned(made, *back.rules), source)
    by_rule = invert_rules(rules(*items))
    if not by_rule.problems:
        TestOfPlans.check(planned(made, *by_rule.rules), source)


class TestOverlaps:
    """Inverses of one rule that match what another made."""

    @staticmethod
    def back(items, *names):
        """What comes back of a source of these names, or None where there is no inverse."""
        source = tensors(**dict.fromkeys(names, (2, 3)))
        plan = planned(source, *items)
        assert plan.all_problems(source, allow_unmatched=False, allow_unused=False) == []
        back = invert_rules(rules(*items))
        if back.problems:
            return back.problems
        TestOfPlans.check(planned({n: t for move in plan.moves for n, t in move.targets.items()}, *back.rules), source)
        return None

    def test_the_rest_comes_last(self):
        rest = {"from": "**", "to": "rest/**", "where": {"rank": 2}}
        items = [{"from": "a/w", "to": "rest/a.w"}, {"from": "b{n:int}", "to": "rest/b.{n}"}, rest]
        assert self.back(items, "a/w", "b0", "b1", "c", "d/e") is None

    def test_special_cases_behind(self):
        """The general rule, which stands first, would take the special one's on the way back."""
        items = [{"from": "old/{x}", "to": "new/{x}"}, {"from": "step", "to": "new/step"}]
        assert self.back(items, "old/a", "old/b", "step") is None
        assert invert_rules(rules(*items)).doubts == [
            "new/step goes back by rule 2, though rule 1 (old/{x} -> new/{x}) could have made it too"
        ]

    def test_names_that_a_rule_in_front_takes_are_no_doubt(self):
        items = [{"from": "old/step", "to": "steps"}, {"from": "s", "to": "new/step"}]
        items.append({"from": "old/{x}", "to": "new/{x}"})
        assert self.back(items, "old/a", "old/step", "s") is None
        assert invert_rules(rules(*items)).doubts == []

    def test_conditions(self):
        do = {"transpose": [1, 0]}
        items = [
            {"from": "{x}/w", "to": "{x}.w", "do": do, "where": {"rank": 2}},
            {"from": "{x}/w", "to": "{x}.w", "optional": True},
            {"from": "b", "to": "q.w", "where": {"rank": 2}},
        ]
        assert self.back(items, "a/w", "b") is None

    def test_what_no_order_helps(self):
        items = [{"from": "{x}/a", "to": "{x}.a"}, {"from": "{y}/b", "to": "b.{y}"}]
        message = "rule 1 and rule 2: their results can't be told apart, b.a may be of either"
        assert self.back(items, "q/a", "r/b") == [message]
        items = [{"from": "a/{x}", "to": "{x}"}, {"from": "b/{x}", "to": "{x}"}]
        (message,) = self.back(items, "a/q", "b/r")
        assert message.startswith("rule 1 and rule 2: their results can't be told apart, ")

    def test_a_rule_by_itself(self):
        items = [{"from": "{x}", "to": ["{x}.a", "{x}.a.a"], "do": "tie"}]
        (message,) = self.back(items, "q")
        assert message.startswith("rule 1: its results can't be told apart, ")

    def test_numbers_that_never_meet(self):
        items = [{"from": "a{n:int}", "to": "l.{2*n}.w"}, {"from": "b{n:int}", "to": "l.{2*n+1}.w"}]
        assert self.back(items, "a0", "a1", "b0", "b1") is None

    def test_more_rules_than_are_compared(self, monkeypatch):
        monkeypatch.setattr(order, "_MOST_PATTERNS", 2)
        items = [{"from": f"{letter}/{{x}}", "to": f"{letter}.{{x}}"} for letter in "abc"]
        (message,) = self.back(items, "a/1", "b/1", "c/1")
        assert message == (
            "rule 3: one of more than 2 rules with holes, which are not all compared: name a source, "
            "`map invert TABLE SRC`"
        )

    def test_a_choice_that_is_special(self):
        items = [{"from": "bn{n:int}/{p:gamma|beta}", "to": "bn{n}.{p:weight|bias}"}]
        items.append({"from": "{x}/b", "to": "{x}.bias"})
        assert self.back(items, "bn0/gamma", "bn0/beta", "fc/b") is None


WORDS = st.sampled_from(["a", "b", "x/y", "1", "a.b"])
SIDES = st.sampled_from(["{x}", "{x:path}", "{n:int}", "a", "**", "{p:a|b}"])


@st.composite
def overlapping(draw):
    """Rules whose patterns overlap on either side, and names."""
    items = []
    for _ in range(draw(st.integers(1, 4))):
        hole = draw(SIDES)
        first, second = (draw(st.sampled_from(["", "u/", "v.", "a/"])) for _ in range(2))
        behind = draw(st.sampled_from(["", "/w", ".w"]))
        same = hole.replace("{p:a|b}", draw(st.sampled_from(["{p:a|b}", "{p:c|a}"])))
        items.append({"from": f"{first}{hole}{behind}", "to": f"{second}{same}", "optional": True})
    parts = st.tuples(st.sampled_from(["", "u/", "v.", "a/"]), WORDS, st.sampled_from(["", "/w", ".w"]))
    names = draw(st.sets(parts.map("".join), min_size=1, max_size=6))
    return items, sorted(names)


@settings(deadline=None, max_examples=300)
@given(overlapping())
def test_overlapping_rules_come_back_or_it_is_said(table):
    """Forward and back by rules alone gives the source again, unless `problems` or `doubts` say that it may not."""
    items, names = table
    source = {name: ArrayTensor(np.float32([place])) for place, name in enumerate(names)}
    plan = planned(source, *items)
    if plan.problems or plan.unused:
        return
    back = invert_rules(rules(*items))
    if back.problems or back.doubts:
        return
    made = {name: tensor for move in plan.moves for name, tensor in move.targets.items()}
    TestOfPlans.check(planned(made, *back.rules), source)
