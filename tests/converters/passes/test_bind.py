import numpy as np
import pytest

from tensorferry.converters.ir import Node
from tensorferry.converters.names.saver_table import SavedSlice
from tensorferry.converters.names.selection import EMA_SUFFIX, select_names
from tensorferry.converters.passes.bind import bind
from tensorferry.formats.errors import GraphError, NameMapError
from tensorferry.formats.tensor import ArrayTensor
from tests.converters.freezing import load_fixture, values_of
from tests.fixture import FIXTURES

SHADOW = EMA_SUFFIX


def variables(*names, op="VariableV2", **attrs):
    return {name: Node(name, op, (), attrs) for name in names}


def selected(*names, **options):
    return select_names({name: ArrayTensor(np.float32(0).reshape(())) for name in names}, **options)


def sources(bound):
    return {name: entry.source for name, entry in bound.items()}


def test_by_name():
    assert sources(bind(variables("a", "b"), selected("b", "a", "c"), {})) == {"a": "a", "b": "b"}


def test_by_the_graphs_saver():
    assert sources(bind(variables("a", "b"), selected("x", "b"), {"a": "x"})) == {"a": "x", "b": "b"}


def test_the_saver_comes_before_the_name():
    """Saver({"b": a, "a": b}): the graph's own table, not what looks alike."""
    assert sources(bind(variables("a", "b"), selected("a", "b"), {"a": "b", "b": "a"})) == {"a": "b", "b": "a"}


def test_a_saver_that_looks_for_what_is_not_there():
    assert sources(bind(variables("a"), selected("a"), {"a": "x"})) == {"a": "a"}


def test_a_rename_comes_first():
    selection = selected("x", "a", rename={"x": "b"})
    assert sources(bind(variables("a", "b"), selection, {"b": "a"})) == {"a": "a", "b": "x"}


def test_a_renamed_entry_is_no_longer_its_old_name():
    with pytest.raises(NameMapError, match="^a: not in the checkpoint; it has: b"):
        bind(variables("a"), selected("a", rename={"a": "b"}), {})


def test_a_saver_does_not_find_a_renamed_entry():
    selection = selected("x", rename={"x": "b"})
    with pytest.raises(NameMapError, match="^a: not in the checkpoint; it has: b"):
        bind(variables("a", "b"), selection, {"a": "x"})


def test_averages():
    """The training graph's Saver keeps v as v; with averages that is the shadow's value."""
    selection = selected("v", f"v/{SHADOW}", ema=SHADOW)
    bound = bind(variables("v"), selection, {"v": "v", f"v/{SHADOW}": f"v/{SHADOW}"})
    assert sources(bound) == {"v": f"v/{SHADOW}"}
    assert bound["v"].averaged


def test_a_savers_dictionary_with_averages():
    selection = selected("x", f"x/{SHADOW}", ema=SHADOW)
    assert sources(bind(variables("v"), selection, {"v": "x"})) == {"v": f"x/{SHADOW}"}


def test_shared_names_of_resources():
    handle = variables("v_1", op="VarHandleOp", shared_name=b"v")
    assert sources(bind(handle, selected("v"), {})) == {"v_1": "v"}
    assert sources(bind(handle, selected("v", "v_1"), {})) == {"v_1": "v_1"}


def test_shared_names_of_reference_variables_say_nothing():
    with pytest.raises(NameMapError, match="^v_1: not in the checkpoint; it has: v$"):
        bind(variables("v_1", shared_name=b"v"), selected("v"), {})


@pytest.mark.parametrize(
    ("wanted", "there", "saver", "message"),
    [
        ("v2", "v1", {}, "v2: not in the checkpoint; it has: v1"),
        ("a v2 v3", "a v1", {}, "v2, v3: not in the checkpoint; it has: a, v1"),
        ("v2", "", {}, "v2: not in the checkpoint; it has none"),
        ("a", "b", {"a": "x"}, "a: not in the checkpoint; it has: b (the graph's Saver looks for x for a)"),
        ("a", "b", {"a": "a"}, "a: not in the checkpoint; it has: b"),
        (
            "n/b n/w n/z",
            "o/b o/w",
            {},
            "n/b, n/w, n/z: not in the checkpoint; it has: o/b, o/w "
            "(if it has another name there: --rename o/b=n/b, or for many a table, convert --map)",
        ),
        ("a/w b/w", "a/w", {}, "b/w: not in the checkpoint; it has: a/w"),
    ],
)
def test_missing(wanted, there, saver, message):
    with pytest.raises(NameMapError) as error:
        bind(variables(*wanted.split()), selected(*there.split()), saver)
    assert str(error.value) == message


def test_missing_as_it_was_left_out():
    message = "b: not in the checkpoint; it has: a (left out before: b (--exclude b))"
    with pytest.raises(NameMapError) as error:
        bind(variables("a", "b"), selected("a", "b", exclude=["b"]), {})
    assert str(error.value) == message


class TestFixtures:
    def test_a_checkpoint_that_lacks_a_variable(self):
        """The sum needs v2, which the checkpoint has not: the message is the one that the documentation quotes."""
        model = load_fixture(FIXTURES["add_partial"])
        with pytest.raises(NameMapError) as error:
            values_of(model, ["add"])
        assert str(error.value) == "v2: not in the checkpoint; it has: v1"

    def test_variables_elsewhere_do_not_matter(self):
        model = load_fixture(FIXTURES["add_partial"])
        assert list(values_of(model, ["v1"])) == ["v1"]

    def test_the_savers_dictionary(self):
        fixture = FIXTURES["add_renamed"]
        values = values_of(load_fixture(fixture), ["add"])
        recorded = fixture.tensors()
        assert np.array_equal(values["other-v1"].numpy(), recorded["v1"])
        assert np.array_equal(values["other-v2"].numpy(), recorded["v2"])

    def test_no_saver_to_tell(self):
        fixture = FIXTURES["add_renamed"]
        with pytest.raises(NameMapError, match="^other-v1, other-v2: not in the checkpoint; it has: v1, v2$"):
            values_of(load_fixture(fixture, fixture.file("plain.meta")), ["add"])


WHOLE = np.arange(12, dtype=np.float32).reshape(4, 3)
HALVES = {
    f"w/part_{index}": SavedSlice("w", (4, 3), ((2 * index, 2 * index + 2), (0, 3))) for index in range(2)
}  # fmt: skip


def bind_halves(tensors, **options):
    return bind(
        variables(*HALVES), select_names({k: ArrayTensor(v) for k, v in tensors.items()}, **options), {}, HALVES
    )


def test_slices_of_partitioned_variables():
    bound = bind_halves({"w": WHOLE})
    assert [entry.source for entry in bound.values()] == ["w", "w"]
    np.testing.assert_array_equal(np.concatenate([entry.tensor.numpy() for entry in bound.values()]), WHOLE)


def test_slices_of_averages_and_of_renamed_variables():
    bound = bind_halves({"w": WHOLE, f"w/{SHADOW}": WHOLE + 1}, ema=SHADOW)
    assert {entry.source for entry in bound.values()} == {f"w/{SHADOW}"}
    np.testing.assert_array_equal(bound["w/part_1"].tensor.numpy(), WHOLE[2:] + 1)
    bound = bind_halves({"v": WHOLE}, rename={"v": "w"})
    np.testing.assert_array_equal(bound["w/part_0"].tensor.numpy(), WHOLE[:2])


def test_a_slice_that_has_an_entry_of_its_own():
    bound = bind_halves({"w": WHOLE, "w/part_1": WHOLE[:2]})
    assert sources(bound) == {"w/part_0": "w", "w/part_1": "w/part_1"}


def test_slices_of_another_shape():
    with pytest.raises(GraphError) as error:
        bind_halves({"w": WHOLE.T})
    assert str(error.value) == "w/part_0: expected a part of w with shape [4, 3], got [3, 4]"


def test_slices_that_are_missing():
    with pytest.raises(NameMapError) as error:
        bind_halves({"v": WHOLE})
    message = "w/part_0, w/part_1: not in the checkpoint; it has: v"
    assert str(error.value) == f"{message} (the graph's Saver looks for w for w/part_0, w for w/part_1)"


def test_a_partitioned_graph_as_tensorflow_freezes_it():
    """The values; test_freeze compares whole messages."""
    fixture = FIXTURES["partitioned"]
    values = values_of(load_fixture(fixture), fixture.outputs)
    rows = fixture.tensors()["rows"]
    np.testing.assert_array_equal(np.concatenate([values[f"rows/part_{i}"].numpy() for i in range(3)]), rows)
