"""Expected values: what `ExponentialMovingAverage.variables_to_restore()` gave in TensorFlow (fixtures)."""

import pytest

from tensorferry.converters.ir import Graph, Model
from tensorferry.converters.names.ema import restore_table, restore_table_of_graph, restore_table_of_names
from tensorferry.converters.names.selection import EMA_SUFFIX
from tensorferry.formats.errors import GraphError
from tests.fixture import FIXTURES

AVERAGED = sorted(name for name, fixture in FIXTURES.items() if fixture.variables_to_restore() is not None)


def shadow(name):
    return f"{name}/{EMA_SUFFIX}"


@pytest.mark.parametrize("name", AVERAGED)
def test_of_a_fixture(name):
    """In the order of the record too, which is sorted."""
    table = restore_table(FIXTURES[name].prefix)
    assert list(table.items()) == list(FIXTURES[name].variables_to_restore().items())


@pytest.mark.parametrize("name", AVERAGED)
def test_of_the_names_in_a_checkpoint(name):
    """Where there is no graph, the checkpoint's names tell the same."""
    fixture = FIXTURES[name]
    assert restore_table_of_names(fixture.dtypes()) == fixture.variables_to_restore()


@pytest.mark.parametrize("name", ["ema", "mnist"])
def test_of_an_evaluation_graph(name):
    """It has the variables of the model alone; each is read as the training script's table says."""
    fixture = FIXTURES[name]
    found = restore_table(fixture.file("eval.meta"))
    averaged = {key: v for key, v in fixture.variables_to_restore().items() if key == shadow(v)}
    assert averaged.items() <= found.items() <= fixture.variables_to_restore().items()


def test_of_names():
    names = ["w", shadow("v"), "v", "step", shadow("gone")]
    table = restore_table_of_names(names)
    assert table == {shadow("v"): "v", shadow("gone"): "gone", "w": "w", "step": "step"}
    assert list(table) == sorted(table)


def test_of_names_with_another_suffix():
    assert restore_table_of_names(["v", "v/avg", "w"], "avg") == {"v/avg": "v", "w": "w"}


def test_of_a_checkpoint_without_averages():
    assert restore_table_of_names(["b", "a"]) == {"a": "a", "b": "b"}


def model(**collections):
    return Model(Graph(), path="x.meta", collections=collections)


def test_of_collections():
    """Trainable ones and those in moving_average_variables are averaged, others keep their names."""
    found = restore_table_of_graph(
        model(variables=("a", "b", "step"), trainable_variables=("a",), moving_average_variables=("b",))
    )
    assert found == {shadow("a"): "a", shadow("b"): "b", "step": "step"}


def test_shadows_among_the_variables_are_no_variables_of_their_own():
    found = restore_table_of_graph(model(variables=("a", shadow("a")), trainable_variables=("a",)))
    assert found == {shadow("a"): "a"}


def test_a_graph_without_collections():
    with pytest.raises(GraphError) as error:
        restore_table_of_graph(model())
    assert str(error.value) == "x.meta: expected a MetaGraph with collections of variables, got a graph without"
