"""Expected values: the GraphDefs that TensorFlow's convert_variables_to_constants made of the same graphs."""

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.converters.names.selection import select_names
from tensorferry.converters.passes.freeze import freeze, variables_of
from tensorferry.converters.passes.handles import constant
from tensorferry.converters.to_graph_def import to_graph_def
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32, FLOAT64, INT32, RESOURCE, STRING_TYPE
from tensorferry.formats.errors import GraphError, NameMapError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tensorferry.formats.tensor_proto import dtype_of_number
from tests.converters.freezing import frozen, load_fixture, values_of
from tests.fixture import FIXTURES, WITH_GRAPH, graph_def

RECORDED = [(name, kind) for name, fixture in WITH_GRAPH.items() for kind in fixture.frozen if name != "add_tf2"]


def text(message):
    """The message as sorted text, in which two unequal ones can be compared by eye."""
    return protos.to_text(message)


class TestRecorded:
    @pytest.mark.parametrize(("name", "kind"), RECORDED)
    def test_equal_to_tensorflows(self, name, kind):
        fixture = WITH_GRAPH[name]
        ours, theirs = to_graph_def(frozen(fixture, kind)), graph_def(fixture.frozen[kind])
        assert [node.name for node in ours.node] == [node.name for node in theirs.node]
        for mine, other in zip(ours.node, theirs.node, strict=True):
            assert mine == other, f"{text(mine)}\n{text(other)}"
        assert ours == theirs

    def test_something_was_compared(self):
        assert len(RECORDED) >= 12
        assert {kind for _, kind in RECORDED} == {"raw", "ema", "evaluation"}

    def test_a_graph_of_2_21_as_1_15_freezes_it(self):
        fixture = FIXTURES["add_tf2"]
        assert to_graph_def(frozen(fixture)) == graph_def(fixture.file(fixture.about["frozen_by_tf1"]))

    def test_a_graph_of_2_21_as_2_21_freezes_it(self):
        """The same but for order, versions and hints of shapes, which 2.21 treats in other ways."""

        def bare(message):
            message.ClearField("versions")
            for node in message.node:
                node.attr.pop("_output_shapes", None)
            nodes = sorted(message.node, key=lambda node: node.name)
            del message.node[:]
            message.node.extend(nodes)
            return message

        fixture = FIXTURES["add_tf2"]
        assert bare(to_graph_def(frozen(fixture))) == bare(graph_def(fixture.frozen["raw"]))

    def test_the_tutorials_freeze(self):
        """Of the live graph, which has no hints of shapes and no Saver."""
        fixture = FIXTURES["add"]
        model = load_fixture(fixture)
        bare = Graph.of(
            node.with_(attrs={k: v for k, v in node.attrs.items() if k != "_output_shapes"}) for node in model.graph
        )
        ours = to_graph_def(freeze(bare, ["add"], values_of(model, ["add"])))
        assert ours == graph_def(fixture.file(fixture.about["tutorial"]))

    @pytest.mark.parametrize("name", ["plain.meta", "graph.pb", "graph.pbtxt"])
    def test_graphs_without_a_saver_by_renames(self, name):
        fixture = FIXTURES["add_renamed"]
        model = load_fixture(fixture, fixture.file(name))
        selection = select_names(model.tensors, rename={"v1": "other-v1", "v2": "other-v2"})
        ours = to_graph_def(freeze(model.graph, ["add:0"], selection.tensors))
        assert [(node.name, node.op) for node in ours.node] == [
            (node.name, node.op) for node in graph_def(fixture.frozen["raw"]).node
        ]
        (value,) = fixture.answers()[0].fetches.values()
        assert np.array_equal(evaluate(from_graph_def(ours), ["add:0"], {}, {})["add:0"], value)


@pytest.mark.parametrize(("name", "kind"), RECORDED)
def test_twice_is_once(name, kind):
    fixture = WITH_GRAPH[name]
    once = frozen(fixture, kind)
    assert not variables_of(once)
    assert to_graph_def(freeze(once, fixture.outputs, {})) == to_graph_def(once)


@pytest.mark.parametrize("name", ["add", "add_resource", "ema_control"])
def test_the_source_stays_as_it_is(name):
    fixture = WITH_GRAPH[name]
    model = load_fixture(fixture)
    before = to_graph_def(model.graph).SerializeToString(deterministic=True)
    freeze(model.graph, fixture.outputs, values_of(model, fixture.outputs))
    assert to_graph_def(model.graph).SerializeToString(deterministic=True) == before


# --- single rules -----------------------------------------------------------------------------------

VALUE = ArrayTensor(np.zeros((2, 3), np.float32))
CLASS = AttrList("bytes", (b"loc:@v",))


def variable(name="v", op="VariableV2", **attrs):
    return Node(name, op, (), {"dtype": FLOAT32, "shape": Shape((2, 3)), "container": b"", **attrs})


def handle_graph(*nodes):
    return Graph.of([variable(op="VarHandleOp"), *nodes])


@pytest.mark.parametrize("op", ["VariableV2", "Variable", "VarHandleOp"])
def test_variables_become_constants(op):
    read = Node("y", "ReadVariableOp" if op == "VarHandleOp" else "Identity", ("v",), {"dtype": FLOAT32})
    graph = Graph.of([variable(op=op, _class=CLASS, _output_shapes=AttrList()), read, Node("z", "Neg", ("y",))])
    found = freeze(graph, ["z"], {"v": VALUE})
    assert found.nodes["v"] == Node("v", "Const", (), {"dtype": FLOAT32, "value": VALUE})
    assert found.nodes["z"] is graph.nodes["z"]


@pytest.mark.parametrize("output", ["v", "v:0"])
def test_a_variable_can_be_the_output(output):
    assert list(freeze(Graph.of([variable()]), [output], {"v": VALUE}).nodes) == ["v"]


def test_reads_become_identities():
    read = Node("r", "ReadVariableOp", ("v", "^w"), {"dtype": FLOAT32, "_class": CLASS, "_output_shapes": AttrList()})
    found = freeze(handle_graph(Node("w", "NoOp"), read), ["r"], {"v": VALUE})
    assert found.nodes["r"] == Node("r", "Identity", ("v",), {"T": FLOAT32, "_class": CLASS})


def test_what_carries_a_handle_carries_the_value():
    carrier = Node("i", "Identity", ("v",), {"T": RESOURCE, "_class": CLASS, "_output_shapes": AttrList()})
    found = freeze(handle_graph(carrier, Node("r", "ReadVariableOp", ("i",), {"dtype": FLOAT32})), ["r"], {"v": VALUE})
    assert found.nodes["i"] == Node("i", "Identity", ("v",), {"T": FLOAT32, "_class": CLASS})


def test_what_a_node_is_colocated_with_stays():
    """TensorFlow refuses to load a graph in which it is missing."""
    place = AttrList("bytes", (b"loc:@v", b"loc:@gone", b"other"))
    graph = Graph.of([variable(), variable("w"), Node("c", "Const", (), {"_class": place}), Node("y", "Neg", ("c",))])
    assert list(freeze(graph, ["y"], {"v": VALUE}).nodes) == ["v", "c", "y"]


def test_variables_elsewhere_need_no_value():
    graph = Graph.of([variable(), variable("unused"), Node("y", "Identity", ("v",))])
    assert list(freeze(graph, ["y"], {"v": VALUE}).nodes) == ["v", "y"]


def test_the_library_stays_and_versions_go():
    message = protos.GraphDef(node=[{"name": "c", "op": "NoOp"}])
    message.versions.producer = 134
    message.library.function.add().signature.name = "f"
    found = to_graph_def(freeze(from_graph_def(message), ["c"], {}))
    message.ClearField("versions")
    assert found == message


def gather(**attrs):
    return Node("g", "ResourceGather", ("v", "ids"), {"dtype": FLOAT32, "Tindices": INT32, **attrs})


def test_gathers_have_an_axis():
    found = freeze(handle_graph(Node("ids", "Placeholder"), gather()), ["g"], {"v": VALUE})
    assert list(found.nodes) == ["v", "ids", "g/axis", "g"]
    assert found.nodes["g/axis"].attrs["value"].numpy() == np.int32(0)
    assert found.nodes["g"] == Node(
        "g", "GatherV2", ("v", "ids", "g/axis"), {"Tparams": FLOAT32, "Tindices": INT32, "Taxis": INT32}
    )


def test_constant():
    assert constant("c", VALUE) == Node("c", "Const", (), {"dtype": FLOAT32, "value": VALUE})


@pytest.mark.parametrize(
    ("declared", "fits"),
    [
        (Shape((2, 3)), True),
        (Shape((-1, 3)), True),
        (Shape(), True),
        (Shape((2,)), False),
        (Shape((3, 2)), False),
        (Shape(()), False),
    ],
    ids=str,
)
def test_declared_shapes(declared, fits):
    graph = Graph.of([variable(shape=declared)])
    if fits:
        freeze(graph, ["v"], {"v": VALUE})
        return
    with pytest.raises(GraphError) as error:
        freeze(graph, ["v"], {"v": VALUE})
    assert str(error.value) == f"the graph's variables: v: expected shape {declared}, got [2, 3]"


def test_the_old_variable_says_no_shape_for_any():
    assert freeze(Graph.of([variable(op="Variable", shape=Shape(()))]), ["v"], {"v": VALUE}).nodes["v"].op == "Const"


def test_references_to_a_type():
    found = freeze(Graph.of([variable(dtype=dtype_of_number(101))]), ["v"], {"v": VALUE})
    assert to_graph_def(found).node[0].attr["value"].tensor.dtype == 1


# --- errors -----------------------------------------------------------------------------------------


def refused(kind, message, graph, output, values):
    with pytest.raises(kind) as error:
        freeze(graph, [output], values)
    assert str(error.value) == message


def test_variables_without_a_value():
    graph = Graph.of([variable(), variable("w"), Node("y", "Add", ("v", "w"))])
    refused(NameMapError, "w: not in the values given; it has: v", graph, "y", {"v": VALUE})


def test_all_that_does_not_fit_is_told_at_once():
    graph = Graph.of([variable(shape=Shape((4,))), variable("w", dtype=FLOAT64), Node("y", "Add", ("v", "w"))])
    message = "the graph's variables: v: expected shape [4], got [2, 3], w: expected float64, got float32"
    refused(GraphError, message, graph, "y", {"v": VALUE, "w": VALUE})


def test_a_variable_without_a_type():
    graph = Graph.of([Node("v", "VariableV2")])
    refused(GraphError, "the graph's variables: v: expected None, got float32", graph, "v", {"v": VALUE})


def test_a_read_of_something_else():
    graph = Graph.of([Node("p", "Placeholder"), Node("r", "ReadVariableOp", ("p",), {"dtype": FLOAT32})])
    message = "r: expected ReadVariableOp to read a variable of the graph, got Placeholder 'p'"
    refused(GraphError, message, graph, "r", {})


@pytest.mark.parametrize("op", ["AssignVariableOp", "ResourceApplyGradientDescent", "DestroyResourceOp"])
def test_other_uses_of_a_handle(op):
    """TensorFlow 1.15 would put a constant where these ops want a resource, and nothing could load the result."""
    carrier = Node("i", "Identity", ("v",), {"T": RESOURCE})
    read = Node("r", "ReadVariableOp", ("i",), {"dtype": FLOAT32})
    graph = handle_graph(carrier, Node("x", op, ("v", "i")), read, Node("y", "Identity", ("r", "^x")))
    message = f"the graph: expected only ops that read to take variables, got x ({op} of v), x ({op} of i)"
    refused(UnsupportedError, message, graph, "y", {"v": VALUE})
    assert freeze(graph, ["r"], {"v": VALUE}).nodes["r"].op == "Identity"


def test_a_gather_with_batch_dimensions():
    graph = handle_graph(Node("ids", "Placeholder"), gather(batch_dims=1))
    refused(UnsupportedError, "g: expected a ResourceGather without batch_dims, got 1", graph, "g", {"v": VALUE})


@pytest.mark.parametrize("indices", [FLOAT32, STRING_TYPE])
def test_a_gather_by_something_else(indices):
    graph = handle_graph(Node("ids", "Placeholder"), gather(Tindices=indices))
    message = f"g: expected an integer type in Tindices, got {indices}"
    refused(GraphError, message, graph, "g", {"v": VALUE})


def test_an_axis_that_is_taken():
    graph = handle_graph(Node("ids", "Placeholder"), Node("g/axis", "NoOp"), gather())
    graph.nodes["g"] = graph.nodes["g"].with_(inputs=("v", "ids", "^g/axis"))
    refused(GraphError, "g/axis: expected one node of this name, got two", graph, "g", {"v": VALUE})


def test_an_output_that_is_not_there():
    with pytest.raises(GraphError, match="'gone'"):
        freeze(Graph.of([variable()]), ["gone:0"], {"v": VALUE})
