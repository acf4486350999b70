"""Expected values: the restore functions that TensorFlow wrote into the same SavedModels."""

import numpy as np
import pytest

from tensorferry.converters.ir import FuncRef, Function, Node
from tensorferry.converters.load import load_model
from tensorferry.converters.names.object_table import joined_tables, object_numbers, object_table
from tensorferry.converters.names.saver_table import saver_table
from tensorferry.formats import protos
from tensorferry.formats.errors import FormatError, GraphError
from tensorferry.formats.object_graph import GRAPH_KEY
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import HOME

MODELS = ["saved_model_v2", "saved_model_v2_keras2", "saved_model_v2_old", "saved_model_v2_text", "objects_saved_model"]


@pytest.mark.parametrize("name", MODELS)
def test_it_agrees_with_the_saver(name):
    model = load_model(HOME / name)
    found = object_table(model.objects, model.tensors, name)
    saver = saver_table(model.graph, model.restore_op)
    assert found
    assert found.items() <= saver.items()


def test_most_variables_are_told_this_way():
    """All but the one that no signature reads."""
    model = load_model(HOME / "saved_model_v2")
    told = object_table(model.objects, model.tensors, "")
    assert saver_table(model.graph, model.restore_op).keys() - told.keys() == {"unused"}


def object_graph(**bound):
    message = protos.message_class("SavedObjectGraph")()
    for name, numbers in bound.items():
        message.concrete_functions[name].bound_inputs.extend(numbers)
    return message


def test_a_call_is_given_what_its_function_is_bound_to_last():
    functions = {"f": Function("f", {}), "g": Function("g", {})}
    nodes = [
        Node("x", "Placeholder"),
        Node("a", "StatefulPartitionedCall", ("x", "v", "w:0", "^x"), {"f": FuncRef("f")}),
        Node("b", "g", ("x",)),
        Node("c", "StatefulPartitionedCall", ("u",), {"f": FuncRef("f")}),
    ]
    assert object_numbers(nodes, functions, object_graph(f=[7, 9], g=[])) == {"v": 7, "w": 9}


def checkpoint(*keys):
    graph = protos.message_class("TrackableObjectGraph")()
    for key in keys:
        attributes = graph.nodes.add().attributes
        attributes.add(name="OTHER", checkpoint_key="other")
        attributes.add(name="VARIABLE_VALUE", checkpoint_key=key)
    return {GRAPH_KEY: ArrayTensor(np.array(graph.SerializeToString(), object))}


def test_numbers_lead_to_keys():
    assert object_table({"v": 1, "w": 0, "x": 2, "y": -1}, checkpoint("a", "b"), "") == {"v": "b", "w": "a"}


def test_without_an_object_graph():
    assert object_table({"v": 1}, {}, "") == {}


def test_a_damaged_object_graph():
    damaged = {GRAPH_KEY: ArrayTensor(np.array(b"\xff", object))}
    with pytest.raises(FormatError, match=f"^m: {GRAPH_KEY}: expected a TrackableObjectGraph message, got 1 bytes"):
        object_table({"v": 0}, damaged, "m")


def test_tables_join():
    assert joined_tables({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) == {"a": "1", "b": "2", "c": "3"}


def test_tables_that_differ():
    with pytest.raises(GraphError) as error:
        joined_tables({"a": "1", "b": "2"}, {"a": "2", "b": "1"})
    message = "the graph's variables: expected its Saver and its object graph to agree, got a: 1, 2, b: 2, 1"
    assert str(error.value) == message
