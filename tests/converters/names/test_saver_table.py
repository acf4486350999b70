import numpy as np
import pytest

from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.load import load_model
from tensorferry.converters.names.saver_table import SavedSlice, saver_slices, saver_table
from tensorferry.formats.dtype import STRING_TYPE
from tensorferry.formats.tensor import ArrayTensor, SplatTensor
from tests.fixture import FIXTURES, HOME, WITH_GRAPH


def strings(name, *texts):
    array = np.empty(len(texts), object)
    array[:] = [text.encode() if isinstance(text, str) else text for text in texts]
    return Node(name, "Const", (), {"value": ArrayTensor(array)})


def restore(prefix, keys, slices=None):
    return [
        strings(f"{prefix}/names", *keys),
        strings(f"{prefix}/slices", *(slices or [""] * len(keys))),
        Node(f"{prefix}/RestoreV2", "RestoreV2", ("file", f"{prefix}/names", f"{prefix}/slices")),
    ]


def assign(name, variable, value, op="Assign"):
    return Node(name, op, (variable, value))


def graph(*nodes):
    return Graph.of([Node("file", "Const"), *(Node(v, "VariableV2") for v in ("a", "b", "c")), *nodes])


def table_of(path):
    model = load_model(path)
    return saver_table(model.graph, model.restore_op)


@pytest.mark.parametrize("name", sorted(WITH_GRAPH))
def test_a_plain_saver_restores_each_variable_by_its_name(name):
    """What a Saver without a dictionary saved, it finds by the same names: all of the checkpoint's."""
    fixture = WITH_GRAPH[name]
    if fixture.about["graph"] == "renamed.meta":
        assert table_of(fixture.graph) == {"other-v1": "v1", "other-v2": "v2"}
        return
    names = set(fixture.dtypes()) - {"rows", "layer/columns"}  # in slices
    assert table_of(fixture.graph) == {variable: variable for variable in names}


@pytest.mark.parametrize("name", ["ema", "mnist"])
def test_an_evaluation_reads_averages(name):
    """Its Saver was made with variables_to_restore(): {key in the checkpoint: variable}."""
    fixture = FIXTURES[name]
    found = table_of(fixture.file("eval.meta"))
    recorded = {variable: key for key, variable in fixture.variables_to_restore().items()}
    assert found
    assert found.items() <= recorded.items()
    assert any(key.endswith("/ExponentialMovingAverage") for key in found.values())


@pytest.mark.parametrize("name", ["plain.meta", "graph.pb", "graph.pbtxt"])
def test_a_graph_without_a_saver(name):
    assert table_of(FIXTURES["add_renamed"].file(name)) == {}


@pytest.mark.parametrize("op", ["Assign", "AssignVariableOp"])
def test_assignments(op):
    found = graph(
        *restore("save", ["x", "y"]),
        assign("s1", "a", "save/RestoreV2", op),
        assign("s2", "b:0", "save/RestoreV2:1", op),
    )
    assert saver_table(found) == {"a": "x", "b": "y"}


def test_what_lies_between():
    found = graph(
        *restore("save", ["x"]),
        Node("identity", "Identity", ("save/RestoreV2",)),
        Node("reshape", "Reshape", ("identity", "file")),
        assign("s", "a", "reshape"),
    )
    assert saver_table(found) == {"a": "x"}


def test_slices_have_no_entry():
    found = graph(
        *restore("save", ["x", "y"], ["4 2 0,2:0,2", ""]),
        assign("s1", "a", "save/RestoreV2"),
        assign("s2", "b", "save/RestoreV2:1"),
    )
    assert saver_table(found) == {"b": "y"}


def two_savers():
    return graph(
        *restore("save", ["x", "y"]),
        *restore("save_1", ["z", "y"]),
        assign("s1", "a", "save/RestoreV2"),
        assign("s2", "b", "save/RestoreV2:1"),
        assign("t1", "a", "save_1/RestoreV2"),
        assign("t2", "b", "save_1/RestoreV2:1"),
        Node("save/restore_all", "NoOp", ("^s1", "^s2")),
        Node("save_1/restore_all", "NoOp", ("^t1", "^t2")),
    )


def test_the_saver_that_is_meant():
    assert saver_table(two_savers(), "save/restore_all") == {"a": "x", "b": "y"}
    assert saver_table(two_savers(), "save_1/restore_all") == {"a": "z", "b": "y"}


@pytest.mark.parametrize("restore_op", ["", "gone"])
def test_savers_that_disagree(restore_op):
    assert saver_table(two_savers(), restore_op) == {"b": "y"}


class TestOddGraphs:
    """A table of names is taken where there is one; a graph that is none of a Saver's is no error."""

    def test_no_inputs(self):
        assert saver_table(graph(Node("r", "RestoreV2"))) == {}

    def test_names_that_are_computed(self):
        nodes = restore("save", ["x"])
        nodes[0] = Node("save/names", "Placeholder")
        assert saver_table(graph(*nodes, assign("s", "a", "save/RestoreV2"))) == {}

    def test_names_that_are_none(self):
        nodes = restore("save", ["x"])
        nodes[0] = Node("save/names", "Const", (), {"value": ArrayTensor(np.zeros(1, np.float32))})
        assert saver_table(graph(*nodes, assign("s", "a", "save/RestoreV2"))) == {}

    def test_names_without_end(self):
        nodes = restore("save", ["x"])
        huge = SplatTensor(np.array(b"x", object), (10**12,), STRING_TYPE)
        nodes[0] = Node("save/names", "Const", (), {"value": huge})
        assert saver_table(graph(*nodes, assign("s", "a", "save/RestoreV2"))) == {}

    def test_a_variable_outside(self):
        assert saver_table(graph(*restore("save", ["x"]), assign("s", "gone", "save/RestoreV2"))) == {}

    def test_a_value_that_is_assigned_by_something_else(self):
        found = graph(*restore("save", ["x"]), Node("s", "AssignAdd", ("a", "save/RestoreV2")))
        assert saver_table(found) == {}

    def test_identities_in_a_ring(self):
        ring = [Node("i", "Identity", ("j",)), Node("j", "Identity", ("i",))]
        assert saver_table(graph(*restore("save", ["x"]), *ring, assign("s", "a", "j"))) == {}

    def test_a_name_that_is_no_utf8(self):
        found = graph(*restore("save", [b"\xff"]), assign("s", "a", "save/RestoreV2"))
        assert saver_table(found) == {"a": "\udcff"}


def test_slices_of_partitioned_variables():
    """As TensorFlow divides them: seven rows into three, six columns into two."""
    model = load_model(FIXTURES["partitioned"].graph)
    found = saver_slices(model.graph, model.restore_op)
    rows = [((0, 3), (0, 4)), ((3, 5), (0, 4)), ((5, 7), (0, 4))]
    columns = [((0, 4), (0, 3)), ((0, 4), (3, 6))]
    assert found == {
        **{f"rows/part_{index}": SavedSlice("rows", (7, 4), box) for index, box in enumerate(rows)},
        **{
            f"layer/columns/part_{index}": SavedSlice("layer/columns", (4, 6), box) for index, box in enumerate(columns)
        },
    }


@pytest.mark.parametrize(
    ("text", "box"),
    [("4 2 1,2:0,2", ((1, 3), (0, 2))), ("4 2 -:0,1", ((0, 4), (0, 1))), ("4 -", ((0, 4),)), ("", None), ("4", None),
     ("4 2 1,2", None), ("4 1,2:0,1", None), ("4 3,2", None), ("x 0,1", None), ("4 0;1", None), ("4 -1,2", None)],
)  # fmt: skip
def test_texts_of_slices(text, box):
    nodes = graph(*restore("s", ["k"], [text]), assign("x", "a", "s/RestoreV2:0"))
    assert [saved.box for saved in saver_slices(nodes).values()] == ([] if box is None else [box])


def test_a_saver_in_a_function():
    """TensorFlow 2's, from its own SavedModel: the keys that its object graph tells for the same variables."""
    model = load_model(HOME / "saved_model_v2")
    found = saver_table(model.graph, model.restore_op)
    assert found["table"] == "table/.ATTRIBUTES/VARIABLE_VALUE"
    assert {key for name, key in found.items() if name.startswith("dense/kernel")} == {
        f"{layer}/kernel/.ATTRIBUTES/VARIABLE_VALUE" for layer in ("first", "second", "square")
    }
