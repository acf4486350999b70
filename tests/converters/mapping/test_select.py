"""Tables with averages, globs, renames and other tables."""

import pytest

from tensorferry.converters.mapping.select import refuse_transforms, select_by_tables
from tensorferry.converters.mapping.table import Table
from tensorferry.converters.names.table import NameTable
from tensorferry.formats.errors import NameMapError, UnsupportedError

from .tables import rules, tensors

SHADOW = "ExponentialMovingAverage"
SOURCE = tensors(v=(2, 3), w=(2,), v__m=(2, 3), v__Adam=(2, 3))


def table(*items):
    return Table("t.toml", tuple(rules(*items)))


def told(selection):
    return {name: (entry.source, *entry.others, entry.how) for name, entry in selection.entries.items()}


ALL = table({"from": "v", "to": "a.v", "do": {"transpose": [1, 0]}}, {"from": "{x}", "to": "a.{x}"})
SURPLUS = {"v/m": "an average", "v/Adam": "a slot"}


def test_what_is_no_weight_is_left_to_its_role():
    selection = select_by_tables(SOURCE, [ALL], surplus=SURPLUS)
    assert told(selection) == {"a.v": ("v", "transpose [1, 0]"), "a.w": ("w", "")}
    assert selection.dropped == SURPLUS
    assert selection.renamed == {"v": "a.v", "w": "a.w"}


def test_a_rule_can_ask_for_it_by_name():
    asking = table({"from": "v/Adam", "to": "slot"}, {"from": "*", "to": "*"})
    selection = select_by_tables(SOURCE, [asking], surplus=SURPLUS)
    assert list(selection.entries) == ["v", "w", "slot"]
    assert selection.dropped == {"v/m": "an average"}


def test_averages_go_by_their_variables_names():
    selection = select_by_tables(SOURCE, [ALL], ema="m", surplus=SURPLUS)
    assert told(selection) == {"a.v": ("v/m", "transpose [1, 0]"), "a.w": ("w", "")}
    assert selection.entries["a.v"].averaged
    assert selection.unaveraged == ["w"]
    assert selection.dropped == {"v/Adam": "a slot", "v": "replaced by the average"}
    assert selection.renamed == {"v": "a.v", "w": "a.w"}


def test_a_dropped_average():
    selection = select_by_tables(
        SOURCE, [table({"from": "v", "drop": "old"}, {"from": "*", "to": "*"})], ema="m", surplus=SURPLUS
    )
    assert selection.dropped == {"v/Adam": "a slot", "v": "old", "v/m": "old"}


def test_globs_leave_rules_without_names():
    selection = select_by_tables(SOURCE, [ALL], exclude=["v*"])
    assert told(selection) == {"a.w": ("w", "")}
    assert selection.dropped["v"] == "--exclude v*"


def test_renames_go_before():
    selection = select_by_tables(SOURCE, [ALL], rename={"v": "mine"}, surplus=SURPLUS, allow_unmatched=True)
    assert told(selection) == {"mine": ("v", ""), "a.w": ("w", "")}
    expected = "allowed: rule 1: expected v in the source, got none that no rule before it takes: v (--rename v)"
    assert selection.notes == [expected]


def test_flat_tables_in_their_turn():
    rest = table({"from": "**", "to": "rest/**"})
    selection = select_by_tables(SOURCE, [{"w": "first"}, rest])
    assert {name: entry.source for name, entry in selection.entries.items() if name != "first"} == {
        f"rest/{name}": name for name in SOURCE if name != "w"
    }
    assert selection.entries["first"].source == "w"
    scoped = select_by_tables(SOURCE, [{"v/": "u/"}, rest])
    assert [name for name in scoped.entries if name.startswith("u/")] == ["u/m", "u/Adam"]


def test_what_no_rule_takes():
    some = table({"from": "w", "to": "b"})
    with pytest.raises(NameMapError) as error:
        select_by_tables(SOURCE, [some], surplus=SURPLUS)
    assert str(error.value) == "t.toml: no rule takes v float32 [2, 3] (--allow-unused would let that pass)"
    selection = select_by_tables(SOURCE, [some], surplus=SURPLUS, allow_unused=True)
    assert selection.dropped == {**SURPLUS, "v": "no rule of the table takes it"}


def test_one_of_several_and_several_of_one():
    both = table(
        {"from": ["v", "v/m"], "to": "vm", "do": {"concat": 0}},
        {"from": "w", "to": ["x", "y"], "do": "tie"},
        {"from": "**", "drop": True},
    )
    selection = select_by_tables(SOURCE, [both])
    assert told(selection) == {"vm": ("v", "v/m", "concat 0"), "x": ("w", "tie"), "y": ("w", "tie")}
    assert selection.renamed == {}


def test_graphs_are_only_renamed():
    refuse_transforms([table({"from": "a", "to": "b"}, {"from": "c", "to": ["d", "e"], "do": "tie"}), {"x": "y"}], "x")
    with pytest.raises(UnsupportedError) as error:
        refuse_transforms([ALL], "a graph's variables")
    assert str(error.value) == (
        "a table: can only rename for a graph's variables, got rules that do more: rule 1 (v -> a.v) "
        "(convert the weights to a checkpoint with it first)"
    )


def test_what_include_brings_beside_weights():
    some = table({"from": "gen/w", "to": "w"})
    source = tensors(gen__w=[2], gen__w__Adam=[2], gen__b=[2])
    surplus = {"gen/w/Adam": "of the optimizer (--keep-optimizer keeps them)"}
    with pytest.raises(NameMapError) as error:
        select_by_tables(source, [some], include=["gen/*"], surplus=surplus)
    assert str(error.value).endswith(
        "no rule takes gen/w/Adam float32 [2]; no rule takes gen/b float32 [2] (--include brings what is no weight, "
        "--exclude leaves it out: gen/w/Adam (of the optimizer); --allow-unused would let that pass)"
    )
    found = select_by_tables(source, [some], include=["gen/*"], exclude=["*/Adam", "*/b"], surplus=surplus)
    assert list(found.entries) == ["w"]


def test_flat_tables_of_files_are_named():
    with pytest.raises(NameMapError, match=r"names\.json: expected z in the source, got none"):
        select_by_tables(SOURCE, [NameTable({"z": "y"}, "dir/names.json"), ALL], surplus=SURPLUS)
