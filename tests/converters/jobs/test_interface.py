import pytest

from tensorferry.converters.ir import AttrList, Graph, Model, Node, Shape, Signature, ValueInfo
from tensorferry.converters.jobs.interface import (
    check_values,
    choose_outputs,
    choose_signature,
    likely_outputs,
    needed_inputs,
    value_info,
)
from tensorferry.converters.load import load_model
from tensorferry.converters.passes.prune import prune
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32
from tensorferry.formats.errors import GraphError, UsageError
from tests.fixture import FIXTURES, WITH_GRAPH

CLEAR = {
    "add": ["add:0"],
    "add_renamed": ["add:0"],
    "add_resource": ["add:0", "rows:0"],
    "add_tf2": ["add:0", "rows:0"],
    "ema": ["out:0"],
    "encoder": ["sequence_output:0", "pooled_output:0"],
    "latest": ["out:0"],
    "mnist": ["softmax:0", "prediction:0"],
}


class TestLikelyOutputs:
    @pytest.mark.parametrize("name", CLEAR)
    def test_of_training_graphs(self, name):
        """Among Savers, optimizers, averages and summaries."""
        assert likely_outputs(load_model(FIXTURES[name].graph).graph) == CLEAR[name]

    @pytest.mark.parametrize("name", ["add", "ema", "encoder", "mnist"])
    def test_of_frozen_graphs(self, name):
        assert likely_outputs(load_model(FIXTURES[name].frozen["raw"]).graph) == CLEAR[name]

    def test_behind_control_flow(self):
        assert "out:0" in likely_outputs(load_model(FIXTURES["ema_control"].graph).graph)

    def graph(self, *nodes):
        return Graph.of([Node("x", "Placeholder"), Node("v", "VariableV2"), Node("c", "Const"), *nodes])

    @pytest.mark.parametrize(
        "node",
        [
            Node("n", "Neg", ("c",)),
            Node("n", "Assign", ("v", "x")),
            Node("n", "ApplyAdam", ("v", "x")),
            Node("n", "ScalarSummary", ("c", "x")),
            Node("n", "Shape", ("x",)),
            Node("n", "NoOp", ("^x",)),
            Node("n", "Identity", ("v",)),
            Node("gradients/n", "Neg", ("x",)),
            Node("train/gradients_1/n", "Neg", ("x",)),
            Node("n", "IsVariableInitialized", ("v",)),
        ],
        ids=lambda node: f"{node.name}-{node.op}",
    )
    def test_what_is_none(self, node):
        assert likely_outputs(self.graph(node)) == []

    def test_what_comes_after_upkeep(self):
        assert likely_outputs(self.graph(Node("a", "Assign", ("v", "x")), Node("n", "Neg", ("a",)))) == []

    def test_what_only_orders_others(self):
        """A value that is only waited for is nobody's: it may be the result."""
        assert likely_outputs(self.graph(Node("n", "Neg", ("x",)), Node("o", "NoOp", ("^n",)))) == ["n:0"]

    def test_no_inputs_and_no_variables(self):
        assert likely_outputs(Graph.of([Node("c", "Const"), Node("n", "Neg", ("c",))])) == ["n:0"]


@pytest.mark.parametrize("name", sorted(WITH_GRAPH))
def test_needed_inputs(name):
    fixture = WITH_GRAPH[name]
    graph = prune(load_model(fixture.graph).graph, fixture.outputs)
    found = {
        info.value: (str(info.dtype), [None if size < 0 else size for size in info.shape.dims])
        for info in needed_inputs(graph)
    }
    assert found == {item["name"]: (item["dtype"], item["shape"]) for item in fixture.about["inputs"]}


@pytest.mark.parametrize("name", sorted(WITH_GRAPH))
def test_value_info_of_outputs(name):
    """A Saver leaves every node's shapes in the graph."""
    fixture = WITH_GRAPH[name]
    graph = load_model(fixture.graph).graph
    for item in fixture.about["outputs"]:
        info = value_info(graph, item["name"])
        assert str(info.dtype) == item["dtype"]
        shape = item["shape"]
        assert info.shape == (Shape() if shape is None else Shape(tuple(-1 if d is None else d for d in shape)))


class TestValueInfo:
    graph = Graph.of(
        [
            Node("x", "Placeholder", (), {"dtype": FLOAT32, "shape": Shape((-1, 3))}),
            Node(
                "old",
                "Placeholder",
                (),
                {"dtype": FLOAT32, "shape": Shape(()), "_output_shapes": AttrList("shape", (Shape((4,)),))},
            ),
            Node(
                "s",
                "Split",
                (),
                {"T": INT32, "num_split": 2, "_output_shapes": AttrList("shape", (Shape((1,)), Shape((2,))))},
            ),
            Node("n", "NoOp"),
            Node("f", "my_function"),
        ]
    )

    @pytest.mark.parametrize(
        ("value", "info"),
        [
            ("x", ValueInfo("x:0", FLOAT32, Shape((-1, 3)))),
            ("old:0", ValueInfo("old:0", FLOAT32, Shape((4,)))),
            ("s:1", ValueInfo("s:1", INT32, Shape((2,)))),
            ("f:3", ValueInfo("f:3", None, Shape())),
        ],
    )
    def test_known(self, value, info):
        assert value_info(self.graph, value) == info

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("gone:0", "gone: expected a node of this name, got none"),
            ("s:2", "s:2: expected an output of s (Split), which has 2"),
            ("n", "n:0: expected an output of n (NoOp), which has 0"),
            ("s:-1", "s:-1: expected a value NODE:INDEX, got another form"),
            ("s:one", "s:one: expected a value NODE:INDEX, got another form"),
            ("s:", "s:: expected a value NODE:INDEX, got another form"),
            ("s:0:1", "s:0:1: expected a value NODE:INDEX, got another form"),
            ("^s", "^s: expected a value NODE:INDEX, got another form"),
            ("f:²", "f:²: expected a value NODE:INDEX, got another form"),
        ],
    )
    def test_errors(self, value, message):
        with pytest.raises(GraphError) as error:
            value_info(self.graph, value)
        assert str(error.value) == message


def signature(name, **outputs):
    return Signature(name, {}, {key: ValueInfo(value) for key, value in outputs.items()})


def model(*signatures, graph=None):
    return Model(graph or Graph(), "m.meta", {each.name: each for each in signatures})


class TestSignature:
    def test_the_one_asked_for(self):
        assert choose_signature(model(signature("a"), signature("serving_default")), "a").name == "a"

    def test_the_default(self):
        assert choose_signature(model(signature("a"), signature("serving_default")), None).name == "serving_default"

    def test_the_only_one(self):
        assert choose_signature(model(signature("a")), None).name == "a"

    def test_none(self):
        assert choose_signature(model(), None) is None
        assert choose_signature(model(signature("a"), signature("b")), None) is None

    @pytest.mark.parametrize(
        ("signatures", "has"), [((), "none"), ((signature("b"), signature("a")), "a, b")], ids=["none", "two"]
    )
    def test_unknown(self, signatures, has):
        with pytest.raises(UsageError) as error:
            choose_signature(model(*signatures), "x")
        assert str(error.value) == f"--signature x: expected a signature of m.meta, which has: {has}"


class TestOutputs:
    graph = Graph.of(
        [
            Node("x", "Placeholder", (), {"dtype": FLOAT32}),
            Node("softmax", "Softmax", ("x",), {"T": FLOAT32}),
            Node("best", "ArgMax", ("x",), {"T": FLOAT32}),
        ]
    )

    def test_those_asked_for(self):
        assert choose_outputs(model(graph=self.graph), ["softmax", "best:0"]) == {
            "softmax:0": "softmax:0",
            "best:0": "best:0",
        }

    def test_those_of_a_signature(self):
        chosen = signature("s", probabilities="softmax", label="best:0")
        assert choose_outputs(model(graph=self.graph), None, chosen) == {
            "probabilities": "softmax:0",
            "label": "best:0",
        }

    def test_those_asked_for_come_before_a_signature(self):
        assert choose_outputs(model(graph=self.graph), ["best"], signature("s", y="softmax")) == {"best:0": "best:0"}

    def test_the_only_likely_one(self):
        graph = prune(self.graph, ["softmax"])
        assert choose_outputs(model(graph=graph), None) == {"softmax:0": "softmax:0"}

    def test_several_likely_ones(self):
        message = "--outputs: expected the outputs to be named, as m.meta has 2 likely ones: softmax:0, best:0"
        with pytest.raises(UsageError) as error:
            choose_outputs(model(graph=self.graph), None)
        assert str(error.value) == message

    def test_no_likely_one(self):
        with pytest.raises(UsageError) as error:
            choose_outputs(Model(Graph()), None)
        assert str(error.value) == "--outputs: expected the outputs to be named, as the graph has no likely one"

    def test_all_that_are_missing(self):
        message = "the graph: expected the nodes asked for, got none of the name: softmaks:0 (near: softmax), zzz"
        for call in (
            lambda: choose_outputs(model(graph=self.graph), ["softmaks:0", "best", "zzz"]),
            lambda: choose_outputs(model(graph=self.graph), None, signature("s", a="softmaks:0", b="zzz")),
            lambda: check_values(self.graph, ["softmaks:0", "zzz"]),
        ):
            with pytest.raises(GraphError) as error:
                call()
            assert str(error.value) == message

    def test_an_output_too_many(self):
        with pytest.raises(GraphError, match=r"^best:1: expected an output of best \(ArgMax\), which has 1$"):
            choose_outputs(model(graph=self.graph), ["best:1"])


def test_bool_inputs_keep_their_type():
    graph = Graph.of([Node("t", "PlaceholderWithDefault", ("c",), {"dtype": BOOL, "shape": Shape(())})])
    assert needed_inputs(graph) == [ValueInfo("t:0", BOOL, Shape(()))]
