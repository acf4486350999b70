import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.names.selection import (
    EMA_SUFFIX,
    Entry,
    missing_names,
    near_names,
    select_names,
    shadow_pairs,
    variable_of,
)
from tensorferry.converters.names.table import NameTable
from tensorferry.formats.errors import NameMapError
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import FIXTURES

SHADOW = EMA_SUFFIX


def tensors(*names):
    """A tensor for each name, whose value is its place in the list."""
    return {name: ArrayTensor(np.float32(index).reshape(())) for index, name in enumerate(names)}


def told(selection):
    """Target name -> the place of the tensor in the source."""
    return {name: int(tensor.numpy()) for name, tensor in selection.tensors.items()}


def refused(message, names, **options):
    with pytest.raises(NameMapError) as error:
        select_names(tensors(*names), **options)
    assert str(error.value) == message


def test_everything_under_its_own_name():
    selection = select_names(tensors("b", "a"))
    assert told(selection) == {"b": 0, "a": 1}
    assert (selection.dropped, selection.unaveraged, selection.renamed) == ({}, [], {})


class TestInclude:
    def test_globs(self):
        selection = select_names(tensors("a/w", "a/b", "c/w"), include=["a/*"], exclude=["*/b"])
        assert told(selection) == {"a/w": 0}
        assert selection.dropped == {"a/b": "--exclude */b", "c/w": "not in --include"}

    def test_several_are_alternatives(self):
        assert told(select_names(tensors("a", "b", "c"), include=["a", "c"])) == {"a": 0, "c": 2}
        assert told(select_names(tensors("a", "b", "c"), exclude=["a", "c"])) == {"b": 1}

    def test_case_matters(self):
        assert told(select_names(tensors("A", "a"), include=["A"])) == {"A": 0}

    def test_globs_that_match_nothing(self):
        message = "--include x*, --exclude y: expected to match a name, got none of: a, b"
        refused(message, ["a", "b"], include=["a", "x*"], exclude=["y"])

    def test_names_are_those_of_variables_when_averages_are_taken(self):
        selection = select_names(tensors("v", f"v/{SHADOW}", "step"), ema=SHADOW, exclude=["step"])
        assert told(selection) == {"v": 1}
        assert selection.unaveraged == []
        assert selection.dropped["step"] == "--exclude step"

    def test_an_excluded_average_is_told_by_its_entry(self):
        selection = select_names(tensors("v", f"v/{SHADOW}", "w"), ema=SHADOW, exclude=["v"])
        assert told(selection) == {"w": 2}
        assert selection.dropped == {f"v/{SHADOW}": "--exclude v", "v": "--exclude v"}

    def test_a_shadow_can_be_named_too(self):
        """It goes by another name now; the option still means something."""
        assert told(select_names(tensors("v", f"v/{SHADOW}"), ema=SHADOW, exclude=[f"*/{SHADOW}"])) == {"v": 1}

    @given(
        st.lists(st.sampled_from(["a", "b", "c", "a/m", "b/m", "d/m", "a/m/m"]), unique=True, min_size=1),
        st.sampled_from([None, "m"]),
        st.sampled_from([[], ["a"], ["*"], ["b", "d"]]),
        st.sampled_from([{}, {"b": "a counter"}, {"a/m": "an average", "c": "a slot"}]),
    )
    def test_every_entry_of_the_source_is_accounted_for(self, names, ema, exclude, surplus):
        """It gives its value to the result, or it is among the dropped, with a reason."""
        try:
            selection = select_names(tensors(*names), ema=ema, exclude=exclude, surplus=surplus)
        except NameMapError:
            return
        used = [entry.source for entry in selection.entries.values()]
        assert len(set(used)) == len(used)
        assert set(used) | set(selection.dropped) == set(names)
        assert not set(used) & set(selection.dropped)
        assert set(selection.unaveraged) <= set(used)


class TestSurplus:
    surplus = {"w/Adam": "an optimizer's slot", f"v/{SHADOW}": "an average"}  # noqa: RUF012
    names = ("v", f"v/{SHADOW}", "w", "w/Adam")

    def test_it_is_left_out(self):
        selection = select_names(tensors(*self.names), surplus=self.surplus)
        assert told(selection) == {"v": 0, "w": 2}
        assert selection.dropped == self.surplus

    def test_who_asks_for_it_by_name_gets_it(self):
        selection = select_names(tensors(*self.names), include=["w*"], surplus=self.surplus)
        assert told(selection) == {"w": 2, "w/Adam": 3}

    def test_an_average_that_stands_for_its_variable_is_none(self):
        selection = select_names(tensors(*self.names), ema=SHADOW, surplus=self.surplus)
        assert told(selection) == {"v": 1, "w": 2}
        assert selection.unaveraged == ["w"]

    def test_excludes_come_on_top(self):
        selection = select_names(tensors(*self.names), exclude=["v"], surplus=self.surplus)
        assert selection.dropped == {**self.surplus, "v": "--exclude v"}


class TestAverages:
    def test_a_pair(self):
        selection = select_names(tensors("v", f"v/{SHADOW}", "step"), ema=SHADOW)
        assert told(selection) == {"v": 1, "step": 2}
        assert [entry.averaged for entry in selection.entries.values()] == [True, False]
        assert selection.entries["v"].source == f"v/{SHADOW}"
        assert selection.unaveraged == ["step"]
        assert selection.dropped == {"v": "replaced by the average"}
        assert selection.renamed == {}

    def test_the_order_is_that_of_the_variables(self):
        selection = select_names(tensors("a", f"a/{SHADOW}", "b", f"b/{SHADOW}"), ema=SHADOW)
        assert list(selection.entries) == ["a", "b"]

    def test_an_average_without_its_variable(self):
        """A checkpoint that an evaluation saved: the average is all there is of the variable."""
        selection = select_names(tensors(f"v/{SHADOW}", "w"), ema=SHADOW)
        assert told(selection) == {"v": 0, "w": 1}
        assert selection.entries["v"].averaged
        assert (selection.dropped, selection.unaveraged) == ({}, ["w"])

    def test_another_suffix(self):
        assert told(select_names(tensors("v", "v/avg", f"v/{SHADOW}"), ema="avg")) == {"v": 1, f"v/{SHADOW}": 2}

    def test_a_name_that_only_ends_like_one(self):
        refused(
            f"--ema: expected variables with a shadow NAME/{SHADOW}, got none (last parts of the names: x{SHADOW})",
            [f"v/x{SHADOW}", SHADOW, f"/{SHADOW}"[1:] + "2"],
            ema=SHADOW,
        )

    def test_none_at_all(self):
        refused(
            f"--ema: expected variables with a shadow NAME/{SHADOW}, got none (last parts of the names: Adam, avg)",
            ["v", "v/avg", "v/Adam", "w/Adam"],
            ema=SHADOW,
        )
        refused(f"--ema: expected variables with a shadow NAME/{SHADOW}, got none", ["v"], ema=SHADOW)

    @pytest.mark.parametrize("name", ["ema", "ema_control", "mnist"])
    def test_what_tensorflow_restores(self, name):
        """variables_to_restore() maps the key in the checkpoint to the variable."""
        fixture = FIXTURES[name]
        values = fixture.tensors()
        selection = select_names({n: ArrayTensor(np.asarray(v)) for n, v in values.items()}, ema=SHADOW)
        restored = fixture.variables_to_restore()
        for key, variable in restored.items():
            assert selection.entries[variable].source == key
            assert np.array_equal(selection.tensors[variable].numpy(), values[key])


class TestRename:
    def test_renames(self):
        selection = select_names(tensors("v1", "v2"), rename={"v1": "other-v1"})
        assert told(selection) == {"other-v1": 0, "v2": 1}
        assert selection.renamed == {"v1": "other-v1"}
        assert selection.entries["other-v1"].source == "v1"

    def test_a_swap(self):
        assert told(select_names(tensors("a", "b"), rename={"a": "b", "b": "a"})) == {"b": 0, "a": 1}

    def test_names_are_those_of_variables_when_averages_are_taken(self):
        selection = select_names(tensors("v", f"v/{SHADOW}"), ema=SHADOW, rename={"v": "w"})
        assert told(selection) == {"w": 1}
        assert selection.renamed == {"v": "w"}
        assert variable_of(selection.entries["w"]) == "v"

    def test_collisions(self):
        message = "rename: expected a name for each tensor, got several for one: c <- a, b, c"
        refused(message, ["a", "b", "c"], rename={"a": "c", "b": "c"})

    def test_several_collisions(self):
        message = "rename: expected a name for each tensor, got several for one: x <- a, b; y <- c, d".replace(";", ",")
        refused(message, ["a", "b", "c", "d"], rename={"a": "x", "b": "x", "c": "y", "d": "y"})

    def test_no_name_at_all(self):
        refused("rename: expected a name to rename to, got none for: a", ["a", "b"], rename={"a": ""})

    def test_missing(self):
        refused("v3, v4: not in the source; it has: v1, v2", ["v1", "v2"], rename={"v3": "a", "v1": "b", "v4": "c"})

    def test_the_file_that_asks_for_it(self):
        one, other = NameTable({"v1": "w1"}, "one.json"), NameTable({"v2": "w2", "v3": ""}, "other.json")
        message = "other.json: v2, v3: not in the source; it has: v1"
        refused(message, ["v1"], tables=[one, other], rename={"v1": "w1"})
        message = "other.json: expected a name to rename to, got none for: v3"
        refused(message, ["v1", "v2", "v3"], tables=[one, other])
        message = "one.json, two.json: expected a name for each tensor, got several for one: w1 <- v1, v2"
        refused(message, ["v1", "v2"], tables=[one, NameTable({"v2": "w1"}, "two.json")])
        with pytest.raises(NameMapError, match=r"^half\.json: expected scopes to go to scopes"):
            select_names(tensors("a/x"), tables=[NameTable({"a/": "b"}, "half.json")])

    def test_missing_as_it_gave_its_value_to_its_variable(self):
        message = f"v/{SHADOW}: not in the source; it has: v (averages go by their variables' names: v/{SHADOW} as v)"
        refused(message, ["v", f"v/{SHADOW}"], ema=SHADOW, rename={f"v/{SHADOW}": "w"})

    def test_missing_as_it_was_left_out(self):
        message = "b: not in the source; it has: a (left out before: b (--exclude b))"
        refused(message, ["a", "b"], exclude=["b"], rename={"b": "c"})

    def test_the_table_is_inverted(self):
        message = (
            "other: not in the source; it has: v1, v2 "
            "(a table goes from names in the source to names in the result; this one looks inverted)"
        )
        refused(message, ["v1", "v2"], rename={"other": "v1"})

    @given(st.permutations("abcdef"))
    def test_a_table_and_its_inverse_cancel(self, order):
        table = dict(zip("abcdef", order, strict=True))
        there = select_names(tensors(*"abcdef"), rename=table)
        back = select_names(there.tensors, rename={new: old for old, new in table.items()})
        assert told(back) == told(select_names(tensors(*"abcdef")))


class TestScopes:
    """Tables as `tf.train.init_from_checkpoint` has them."""

    def test_names_in_them(self):
        selection = select_names(tensors("a/x", "a/y", "c"), tables=[{"a/": "b/", "c": "d"}])
        assert told(selection) == {"b/x": 0, "b/y": 1, "d": 2}

    def test_the_other_way_round(self):
        """{scope of the result: scope of the source}."""
        selection = select_names(tensors("a/x", "a/y", "c"), tables=[{"b/": "a/", "d": "c"}])
        assert told(selection) == {"b/x": 0, "b/y": 1, "d": 2}
        assert selection.notes == ["a table fits only the other way round, and is read so: a/ -> b/, c -> d"]

    def test_a_scope_with_nothing_in_it(self):
        refused("z/: not in the source; it has: a/x", ["a/x"], tables=[{"z/": "b/"}])


class TestMissing:
    def test_few_names_are_listed(self):
        assert str(missing_names(["v2"], ["v1"], "the checkpoint")) == "v2: not in the checkpoint; it has: v1"

    def test_none_are_there(self):
        assert str(missing_names(["v2"], [], "the checkpoint")) == "v2: not in the checkpoint; it has none"

    def test_each_once_with_a_hint(self):
        error = missing_names(["b", "a", "b"], ["d", "c"], "the checkpoint", "look elsewhere")
        assert str(error) == "b, a: not in the checkpoint; it has: c, d (look elsewhere)"

    def test_many_names_are_not(self):
        names = [f"layer{i}/kernel" for i in range(9)]
        assert str(missing_names(["layer1/kernal", "zzz"], names, "the checkpoint")) == (
            "layer1/kernal (near: layer1/kernel, layer8/kernel, layer7/kernel), zzz: "
            "not in the checkpoint, which has 9 names"
        )

    def test_a_crowd(self):
        text = str(missing_names([f"x{i}" for i in range(500)], [f"a{i}" for i in range(100_000)], "the checkpoint"))
        assert text.endswith("... and 480 more: not in the checkpoint, which has 100000 names")
        assert len(text) < 3000


class TestNear:
    def test_the_likest_first(self):
        assert near_names("conv1/weight", ["conv1/weights", "conv2/weights", "fc/bias"]) == [
            "conv1/weights",
            "conv2/weights",
        ]

    def test_the_same_last_part(self):
        assert near_names("model/kernel", ["a_very_different_scope/kernel", "b"]) == ["a_very_different_scope/kernel"]

    def test_nothing_near(self):
        assert near_names("xyz", ["a", "b"]) == []

    def test_how_many(self):
        assert len(near_names("name1", [f"name{i}" for i in range(2, 9)], 2)) == 2


def test_shadow_pairs():
    names = ["v", f"v/{SHADOW}", f"w/{SHADOW}", f"/{SHADOW}", SHADOW, f"a/{SHADOW}/{SHADOW}"]
    assert shadow_pairs(names) == {
        "v": f"v/{SHADOW}",
        "w": f"w/{SHADOW}",
        f"a/{SHADOW}": f"a/{SHADOW}/{SHADOW}",
    }
    chain = [f"a/{SHADOW}", f"a/{SHADOW}/{SHADOW}"]
    assert shadow_pairs(chain) == {"a": f"a/{SHADOW}"}
    assert shadow_pairs(["v/avg"], "avg") == {"v": "v/avg"}


def test_variable_of():
    tensor = tensors("v")["v"]
    assert variable_of(Entry("x", "a/b", tensor)) == "a/b"
    assert variable_of(Entry("x", f"a/b/{SHADOW}", tensor, averaged=True)) == "a/b"
