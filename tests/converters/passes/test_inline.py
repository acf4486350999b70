"""Expected values: the rules of TensorFlow's inliner by hand; tests/test_saved_model_v2 has what it made of models."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.ir import AttrList, FuncRef, Graph, Node
from tensorferry.converters.passes.inline import fresh, inline
from tensorferry.converters.to_graph_def import to_graph_def
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32, INT32
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tests.converters.freezing import frozen
from tests.converters.function_text import call, function, graph_with
from tests.fixture import FIXTURES

X = Node("x", "Placeholder", (), {"dtype": FLOAT32})
T = {"T": FLOAT32}
TYPES = AttrList("dtype", (FLOAT32,))

SQUARE = function("square", ["a"], {"y": "mul:z:0"}, Node("mul", "Mul", ("a", "a"), T))
TWICE = function(
    "twice", ["a"], {"y": "second:output:0"}, call("first", "square", "a"), call("second", "square", "first:output:0")
)
NOISY = function(
    "noisy", ["a"], {"y": "out:output:0"},
    Node("seed", "Const", (), {"dtype": FLOAT32}),
    Node("print", "PrintV2", ("a",), {"_class": AttrList("bytes", (b"loc:@seed", b"loc:@elsewhere"))}),
    Node("out", "Identity", ("a", "^print"), T),
    control=["print"],
)  # fmt: skip


CHOICE = {"then_branch": FuncRef("square"), "else_branch": FuncRef("minus")}


def constant(name: str, value: object, dtype: type = np.bool_) -> Node:
    array = np.array(value, dtype)
    return Node(name, "Const", (), {"value": ArrayTensor(array)})


def inputs(graph: Graph) -> dict[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in graph}


class TestCalls:
    def test_the_body_in_place_of_the_call(self) -> None:
        graph = inline(graph_with([SQUARE], X, call("c", "square", "x"), Node("y", "Neg", ("c:0",), T)))
        assert inputs(graph) == {"x": (), "c/mul": ("x", "x"), "y": ("c/mul",)}
        assert graph.nodes["c/mul"].op == "Mul"
        assert graph.functions == {}

    @pytest.mark.parametrize(
        "node",
        [
            Node("c", "PartitionedCall", ("x",), {"f": FuncRef("square")}),
            Node("c", "RemoteCall", ("device", "x"), {"f": FuncRef("square")}),
            Node("c", "square", ("x",)),
        ],
        ids=lambda node: node.op,
    )
    def test_all_that_is_a_call(self, node: Node) -> None:
        graph = inline(graph_with([SQUARE], X, Node("device", "Const"), node, Node("y", "Neg", ("c",), T)))
        assert graph.nodes["c/mul"].inputs == ("x", "x")
        assert graph.nodes["y"].inputs == ("c/mul",)

    def test_calls_inside_of_calls(self) -> None:
        graph = inline(graph_with([SQUARE, TWICE], X, call("c", "twice", "x"), Node("y", "Neg", ("c",), T)))
        assert inputs(graph) == {
            "x": (), "c/first/mul": ("x", "x"), "c/second/mul": ("c/first/mul", "c/first/mul"), "y": ("c/second/mul",),
        }  # fmt: skip

    def test_consumers_may_come_before_producers(self) -> None:
        graph = inline(graph_with([SQUARE], Node("y", "Neg", ("c",), T), call("c", "square", "x"), X))
        assert inputs(graph) == {"y": ("c/mul",), "c/mul": ("x", "x"), "x": ()}

    def test_a_result_that_is_an_argument(self) -> None:
        same = function("same", ["a", "b"], {"y": "b", "z": "a"})
        graph = inline(graph_with([same], X, call("c", "same", "x", "w:3"), Node("y", "Add", ("c", "c:1"), T)))
        assert graph.nodes["y"].inputs == ("w:3", "x")

    def test_a_name_that_is_taken(self) -> None:
        graph = inline(
            graph_with(
                [SQUARE], X, Node("c/mul", "Neg", ("x",), T), call("c", "square", "x"), Node("y", "Neg", ("c",), T)
            )
        )
        assert graph.nodes["y"].inputs == ("c/mul_1",)
        assert graph.nodes["c/mul"].op == "Neg"
        assert fresh("a", {"a", "a_1"}) == "a_2"

    def test_devices(self) -> None:
        placed = function(
            "placed", ["a"], {"y": "p:y:0"}, Node("n", "Neg", ("a",), T), Node("p", "Neg", ("n:y:0",), T, "/gpu:0")
        )
        graph = inline(graph_with([placed], X, call("c", "placed", "x").with_(device="/cpu:1")))
        assert (graph.nodes["c/n"].device, graph.nodes["c/p"].device) == ("/cpu:1", "/gpu:0")

    def test_loops_of_version_1_stay_apart(self) -> None:
        loop = function(
            "loop", ["a"], {"y": "enter:output:0"}, Node("enter", "Enter", ("a",), {**T, "frame_name": b"w"})
        )
        graph = inline(graph_with([loop], X, call("c", "loop", "x"), call("d", "loop", "x")))
        assert [graph.nodes[f"{name}/enter"].attrs["frame_name"] for name in "cd"] == [b"c/w", b"d/w"]

    def test_without_calls_nothing_changes(self) -> None:
        graph = graph_with([SQUARE], X)
        assert inline(graph) is graph

    def test_the_same_as_a_message(self) -> None:
        """What is left can be written: functions, attributes and all."""
        graph = graph_with([SQUARE, TWICE], X, call("c", "twice", "x"))
        assert [node.op for node in to_graph_def(inline(graph)).node] == ["Placeholder", "Mul", "Mul"]


class TestOrder:
    def graph(self, *nodes: Node, keep: tuple[str, ...] = ()) -> Graph:
        return inline(graph_with([NOISY, SQUARE], X, *nodes), keep)

    def test_who_waits_for_a_call_waits_for_what_has_to_run(self) -> None:
        graph = self.graph(call("c", "noisy", "x"), Node("y", "NoOp", ("^c",)))
        assert graph.nodes["y"].inputs == ("^c",)
        assert (graph.nodes["c"].op, graph.nodes["c"].inputs) == ("NoOp", ("^c/print",))

    def test_who_waits_for_a_call_of_which_nothing_has_to_run(self) -> None:
        graph = self.graph(call("c", "square", "x", "^n"), Node("n", "NoOp"), Node("y", "NoOp", ("^c",)))
        assert graph.nodes["c"].inputs == ("^n",)
        graph = self.graph(call("c", "square", "x:0"), Node("y", "NoOp", ("^c",)))
        assert graph.nodes["c"].inputs == ("^x",)

    def test_nobody_waits(self) -> None:
        assert "c" not in self.graph(call("c", "noisy", "x")).nodes

    def test_what_the_call_waits_for_comes_before_what_has_effects(self) -> None:
        graph = self.graph(Node("n", "NoOp"), call("c", "noisy", "x", "^n"))
        assert graph.nodes["c/print"].inputs == ("x", "^n")
        assert graph.nodes["c/out"].inputs == ("x", "^c/print")
        assert graph.nodes["c/seed"].inputs == ()

    def test_order_reaches_calls_inside_of_calls(self) -> None:
        outer = function("outer", ["a"], {"y": "inner:output:0"}, call("inner", "noisy", "a"), control=["inner"])
        graph = inline(graph_with([NOISY, outer], X, call("c", "outer", "x", "^x"), Node("y", "NoOp", ("^c",))))
        assert graph.nodes["c/inner/print"].inputs == ("x", "^x")
        assert graph.nodes["c"].inputs == ("^c/inner",)
        assert graph.nodes["c/inner"].inputs == ("^c/inner/print",)

    def test_in_branches_of_version_1_nothing_runs_by_itself(self) -> None:
        switch = Node("s", "Switch", ("x", "p"), T)
        graph = self.graph(switch, Node("p", "Placeholder"), call("c", "noisy", "s:1"))
        assert graph.nodes["c/seed"].inputs == ("^s",)
        graph = self.graph(switch, Node("p", "Placeholder"), call("c", "noisy", "s:1", "^p"))
        assert graph.nodes["c/seed"].inputs == ("^p",)

    def test_colocations_move_along(self) -> None:
        places = self.graph(call("c", "noisy", "x")).nodes["c/print"].attrs["_class"]
        assert places == AttrList("bytes", (b"loc:@c/seed", b"loc:@elsewhere"))


class TestKept:
    def test_a_value_of_the_calls_name(self) -> None:
        graph = inline(graph_with([NOISY], X, call("c", "noisy", "x")), ["c"])
        assert graph.nodes["c"] == Node("c", "Identity", ("c/out", "^c/print"), T)

    def test_several_values(self) -> None:
        both = function("both", ["a"], {"y": "a", "z": "n:y:0"}, Node("n", "Neg", ("a",), T))
        graph = inline(graph_with([both], X, call("c", "both", "x")), ["c"])
        assert graph.nodes["c"].op == "IdentityN"
        assert graph.nodes["c"].inputs == ("x", "c/n")
        assert graph.nodes["c"].attrs == {"T": AttrList("dtype", (FLOAT32, FLOAT32))}

    def test_no_values(self) -> None:
        quiet = function("quiet", ["a"], {}, Node("n", "PrintV2", ("a",)), control=["n"])
        graph = inline(graph_with([quiet], X, call("c", "quiet", "x")), ["c"])
        assert graph.nodes["c"] == Node("c", "NoOp", ("^c/n",))


class TestControlFlow:
    BRANCHES = (SQUARE, function("minus", ["a"], {"y": "n:y:0"}, Node("n", "Neg", ("a",), T)))

    def test_calls_inside_of_its_functions(self) -> None:
        loop = Node(
            "w",
            "While",
            ("x",),
            {"cond": FuncRef("twice"), "body": FuncRef("twice"), "T": AttrList("dtype", (FLOAT32,))},
        )
        graph = inline(graph_with([SQUARE, TWICE], X, loop))
        assert graph.nodes["w"].attrs["body"] == FuncRef("twice")
        assert list(graph.functions) == ["twice"]
        nodes = graph.functions["twice"].nodes
        assert {name: node.inputs for name, node in nodes.items()} == {
            "first/mul": ("a", "a"), "second/mul": ("first/mul:z:0", "first/mul:z:0"),
        }  # fmt: skip
        definition = protos.parse("FunctionDef", graph.functions["twice"].residue, "")
        assert dict(definition.ret) == {"y": "second/mul:z:0"}

    def test_what_has_to_run_in_its_functions(self) -> None:
        outer = function("outer", ["a"], {"y": "inner:output:0"}, call("inner", "noisy", "a"), control=["inner"])
        case = Node("w", "Case", ("i", "x"), {"branches": AttrList("func", (FuncRef("outer"),))})
        graph = inline(graph_with([NOISY, outer], X, Node("i", "Placeholder"), case))
        definition = protos.parse("FunctionDef", graph.functions["outer"].residue, "")
        assert dict(definition.control_ret) == {"inner": "inner"}
        assert graph.functions["outer"].nodes["inner"] == Node("inner", "NoOp", ("^inner/print",))

    def test_functions_are_made_concrete(self) -> None:
        definition = """
        signature { name: "g" input_arg { name: "a" type_attr: "T" } output_arg { name: "y" type_attr: "T" }
                    attr { name: "T" type: "type" } }
        node_def { name: "n" op: "Neg" input: "a" attr { key: "T" value { placeholder: "T" } } }
        ret { key: "y" value: "n:y:0" }
        """
        from tests.converters.test_functions import library

        functions = library(definition).functions
        refs = tuple(FuncRef("g", {"T": dtype}) for dtype in (FLOAT32, INT32, FLOAT32))
        case = Node("w", "Case", ("i", "x"), {"branches": AttrList("func", refs)})
        graph = inline(graph_with(functions.values(), X, Node("i", "Placeholder"), case))
        assert graph.nodes["w"].attrs["branches"] == AttrList("func", (FuncRef("g_1"), FuncRef("g_2"), FuncRef("g_1")))
        assert [function.nodes["n"].attrs["T"] for function in graph.functions.values()] == [FLOAT32, INT32]

    @pytest.mark.parametrize(
        ("choice", "chosen"),
        [(constant("p", True), "c/mul"), (constant("p", False), "c/n"), (constant("p", 2, np.int32), "c/mul"),
         (constant("p", [], np.float32), "c/n"), (constant("p", [False]), "c/mul"), (constant("p", b"", object), "c/n"),
         (Node("p", "Identity", ("q:0",)), "c/n")],
    )  # fmt: skip
    def test_a_condition_that_is_known(self, choice: Node, chosen: str) -> None:
        node = Node("c", "If", ("p", "x"), CHOICE)
        graph = inline(graph_with(self.BRANCHES, X, constant("q", False), choice, node, Node("y", "Neg", ("c",), T)))
        assert graph.nodes["y"].inputs == (chosen,)
        assert graph.functions == {}

    @pytest.mark.parametrize(("index", "chosen"), [(0, "c/mul"), (1, "c/n"), (7, "c/n"), (-1, "c/n")])
    def test_a_branch_that_is_known(self, index: int, chosen: str) -> None:
        branches = AttrList("func", (FuncRef("square"), FuncRef("minus")))
        node = Node("c", "StatelessCase", ("p", "x"), {"branches": branches})
        graph = inline(graph_with(self.BRANCHES, X, constant("p", index, np.int32), node, Node("y", "Neg", ("c",), T)))
        assert graph.nodes["y"].inputs == (chosen,)

    def test_a_condition_that_a_call_is_given(self) -> None:
        choose = function(
            "choose", ["p", "a"], {"y": "c:output:0"},
            Node("c", "If", ("p", "a"), {**CHOICE, "Tout": TYPES}),
        )  # fmt: skip
        graph = inline(
            graph_with(
                [*self.BRANCHES, choose],
                X,
                constant("p", True),
                call("f", "choose", "p", "x"),
                Node("y", "Neg", ("f",), T),
            )
        )
        assert graph.nodes["y"].inputs == ("f/c/mul",)

    def test_a_function_that_a_branch_of_its_own_calls(self) -> None:
        """Recursion that ends when it runs has no end when it is inlined; control flow goes on referring to it."""
        node = Node(
            "c",
            "If",
            ("a", "a"),
            {"then_branch": FuncRef("down"), "else_branch": FuncRef("square"), "Tout": AttrList("dtype", (FLOAT32,))},
        )
        down = function("down", ["a"], {"y": "c:output:0"}, node)
        graph = inline(graph_with([SQUARE, down], X, node.with_(inputs=("x", "x"))))
        assert graph.functions["down"].nodes["c"].attrs["then_branch"] == FuncRef("down")


def refused(kind: type[Exception], message: str, graph: Graph) -> None:
    with pytest.raises(kind) as error:
        inline(graph)
    assert str(error.value) == message


class TestErrors:
    def test_rings(self) -> None:
        a = function("a", ["x"], {"y": "c:output:0"}, call("c", "b", "x"))
        b = function("b", ["x"], {"y": "c:output:0"}, call("c", "a", "x"))
        message = "c/c/c: expected functions that end, got a ring: a -> b -> a"
        refused(UnsupportedError, message, graph_with([a, b], X, call("c", "a", "x")))

    def test_gradients(self) -> None:
        message = "g: expected no gradient of a function, got SymbolicGradient of square"
        refused(UnsupportedError, message, graph_with([SQUARE], X, call("g", "square", "x", op="SymbolicGradient")))

    def test_a_wrong_number_of_inputs(self) -> None:
        message = "c: expected 1 inputs for the function square, got 2"
        refused(GraphError, message, graph_with([SQUARE], X, call("c", "square", "x", "x")))

    def test_a_result_that_the_function_lacks(self) -> None:
        message = "y: expected its input 'c:1' to be a result of the call, which has 1"
        refused(GraphError, message, graph_with([SQUARE], X, call("c", "square", "x"), Node("y", "Neg", ("c:1",))))

    def test_a_result_of_itself(self) -> None:
        same = function("same", ["a"], {"y": "a"})
        message = "y: expected a value for its input, got 'c' that is its own result"
        refused(GraphError, message, graph_with([same], call("c", "same", "c"), Node("y", "Neg", ("c",))))

    def test_control_flow_without_functions(self) -> None:
        message = "w: expected functions in While's attribute 'cond', got 1"
        refused(GraphError, message, graph_with([SQUARE], X, Node("w", "While", ("x",), {"cond": 1})))
        message = "w: expected functions in Case's attribute 'branches', got None"
        refused(GraphError, message, graph_with([SQUARE], constant("p", 1, np.int32), Node("w", "Case", ("p",))))

    def test_growth_without_bounds(self) -> None:
        """Forty functions, each of which calls the one before twice: 2**40 nodes."""
        functions = [SQUARE]
        for index in range(40):
            name = functions[-1].name
            inner = call("a", name, "x"), call("b", name, "a:output:0")
            functions.append(function(f"f{index}", ["x"], {"y": "b:output:0"}, *inner))
        message = "c: expected at most 10000000 values in all functions called, got more"
        refused(UnsupportedError, message, graph_with(functions, X, call("c", "f39", "x")))


def test_functions_of_version_1_inside_of_its_branches() -> None:
    """`tf.cond` over calls: TensorFlow 1.15's answers, for feeds that take one branch and the other."""
    fixture = FIXTURES["defun"]
    frozen_graph = frozen(fixture)
    assert {node.op for node in frozen_graph} >= {"Affine", "Both", "Switch", "Merge"}
    graph = inline(frozen_graph)
    assert graph.functions == {}
    for answer in fixture.answers():
        found = evaluate(graph, fixture.outputs, answer.feeds)
        for name, expected in answer.fetches.items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-6)


def test_calls_inside_of_calls_take_time_in_proportion() -> None:
    functions = [SQUARE]
    for index in range(800):
        inner = call("c", functions[-1].name, "x")
        functions.append(function(f"f{index}", ["x"], {"y": "n:y:0"}, inner, Node("n", "Neg", ("c:output:0",), T)))
    graph = inline(graph_with(functions, X, call("c", "f799", "x"), Node("y", "Neg", ("c",), T)))
    assert len(graph) == 803
    assert graph.nodes["c/n"].inputs == ("c/c/n",)
