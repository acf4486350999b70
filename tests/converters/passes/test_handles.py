"""Variables that functions take. Expected values: the rules of convert_variables_to_constants_v2, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tensorferry.converters.functions import body_of
from tensorferry.converters.ir import AttrList, FuncRef, Function, Graph, Node, Shape
from tensorferry.converters.passes.freeze import freeze
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32, INT32, INT64, RESOURCE
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tests.converters.function_text import function, graph_with

VALUE = ArrayTensor(np.arange(6, dtype=np.float32).reshape(2, 3))
V = Node("v", "VarHandleOp", (), {"dtype": FLOAT32, "shape": Shape((2, 3))})
X = Node("x", "Placeholder", (), {"dtype": FLOAT32})
READ = Node("read", "ReadVariableOp", ("handle",), {"dtype": FLOAT32})
GIVEN = {"handle": RESOURCE, "a": FLOAT32}

ADD = function("add", GIVEN, {"y": "sum:z:0"}, READ, Node("sum", "AddV2", ("read:value:0", "a"), {"T": FLOAT32}))
SAME = function("same", GIVEN, {"y": "a"})
STEP = function(
    "step", {"a": FLOAT32, "handle": RESOURCE}, {"b": "sum:z:0", "h": "handle"},
    READ, Node("sum", "AddV2", ("read:value:0", "a"), {"T": FLOAT32}),
)  # fmt: skip
GOES_ON = function("goes_on", {"a": FLOAT32, "handle": RESOURCE}, {"p": "p:z:0"}, Node("p", "Less", ("a", "a")))


def types(*dtypes: object) -> AttrList:
    return AttrList("dtype", dtypes)  # type: ignore[arg-type]


def frozen(functions: list[Function], *nodes: Node, output: str = "y") -> Graph:
    return freeze(graph_with(functions, V, X, *nodes), [output], {"v": VALUE})


def node_if(**attrs: object) -> Node:
    given = {"then_branch": FuncRef("add"), "else_branch": FuncRef("same"), "Tcond": FLOAT32}
    return Node("y", "If", ("x", "v", "x"), {**given, "Tin": types(RESOURCE, FLOAT32), "Tout": types(FLOAT32), **attrs})  # type: ignore[arg-type]


def definition(function: Function) -> object:
    return protos.parse("FunctionDef", function.residue, "")


class TestConditions:
    def test_the_constant_goes_where_the_handle_went(self) -> None:
        graph = frozen([ADD, SAME], node_if())
        assert graph.nodes["v"].op == "Const"
        assert graph.nodes["y"].inputs == ("x", "v", "x")
        assert graph.nodes["y"].attrs["Tin"] == types(FLOAT32, FLOAT32)

    def test_its_functions_take_it(self) -> None:
        graph = frozen([ADD, SAME], node_if())
        assert graph.nodes["y"].attrs["then_branch"] == FuncRef("add_frozen")
        assert graph.nodes["y"].attrs["else_branch"] == FuncRef("same_frozen")
        assert sorted(graph.functions) == ["add_frozen", "same_frozen"]
        body = body_of(graph.functions, "add_frozen")
        assert dict(body.arguments) == {"handle": FLOAT32, "a": FLOAT32}
        assert body.graph.nodes["read"] == Node("read", "Identity", ("handle:0",), {"T": FLOAT32})

    def test_readers_are_spelled_as_what_they_are_now(self) -> None:
        """An Identity's output is called `output`, a ReadVariableOp's `value`."""
        nodes = frozen([ADD, SAME], node_if()).functions["add_frozen"].nodes
        assert nodes["sum"].inputs == ("read:output:0", "a")

    def test_what_is_said_of_the_handle_goes(self) -> None:
        message = definition(ADD)
        message.attr["_input_shapes"].list.SetInParent()  # type: ignore[attr-defined]
        shapes = message.arg_attr[0].attr["_output_shapes"].list  # type: ignore[attr-defined]
        shapes.shape.add()
        message.arg_attr[0].attr["_user_specified_name"].s = b"kernel"  # type: ignore[attr-defined]
        message.signature.input_arg[0].handle_data.add(dtype=1)  # type: ignore[attr-defined]
        add = Function("add", ADD.nodes, message.SerializeToString())  # type: ignore[attr-defined]
        graph = frozen([add, SAME], node_if(_read_only_resource_inputs=AttrList("int", (1,))))
        made = definition(graph.functions["add_frozen"])
        assert "_input_shapes" not in made.attr  # type: ignore[attr-defined]
        assert list(made.arg_attr[0].attr) == ["_user_specified_name"]  # type: ignore[attr-defined]
        assert not made.signature.input_arg[0].handle_data  # type: ignore[attr-defined]
        assert "_read_only_resource_inputs" not in graph.nodes["y"].attrs

    def test_one_function_for_all_that_call_it_alike(self) -> None:
        other = V.with_(name="w", attrs={"dtype": INT32, "shape": Shape((2, 3))})
        second = node_if().with_(name="z", inputs=("x", "v", "x"))
        third = node_if(Tout=types(INT32)).with_(name="t", inputs=("x", "w", "x"))
        end = Node("end", "NoOp", ("^y", "^z", "^t"))
        graph = graph_with([ADD, SAME], V, other, X, node_if(), second, third, end)
        graph = freeze(graph, ["end"], {"v": VALUE, "w": ArrayTensor(np.zeros((2, 3), np.int32))})
        branches = [graph.nodes[name].attrs["then_branch"] for name in ("y", "z", "t")]
        assert branches == [FuncRef("add_frozen"), FuncRef("add_frozen"), FuncRef("add_frozen_1")]

    def test_a_handle_that_comes_back(self) -> None:
        give = function(
            "give",
            {"handle": RESOURCE},
            {"h": "i:output:0"},
            Node("i", "Identity", ("handle",), {"T": RESOURCE}),
            dtype=RESOURCE,
        )
        node = Node(
            "c",
            "If",
            ("x", "v"),
            {
                "then_branch": FuncRef("give"),
                "else_branch": FuncRef("give"),
                "Tcond": FLOAT32,
                "Tin": types(RESOURCE),
                "Tout": types(RESOURCE),
            },
        )
        graph = frozen([give], node, Node("y", "ReadVariableOp", ("c",), {"dtype": FLOAT32}))
        assert graph.nodes["c"].attrs["Tout"] == types(FLOAT32)
        assert graph.nodes["y"] == Node("y", "Identity", ("c",), {"T": FLOAT32})
        assert body_of(graph.functions, "give_frozen").result_dtypes == {"h": FLOAT32}

    def test_branches_of_a_case(self) -> None:
        attrs = {
            "branches": AttrList("func", (FuncRef("same"), FuncRef("add"))),
            "Tin": types(RESOURCE, FLOAT32),
            "Tout": types(FLOAT32),
        }
        graph = frozen([ADD, SAME], Node("y", "Case", ("x", "v", "x"), attrs))
        assert graph.nodes["y"].attrs["branches"] == AttrList("func", (FuncRef("same_frozen"), FuncRef("add_frozen")))


class TestLoops:
    def node(self, **attrs: object) -> Node:
        given = {"cond": FuncRef("goes_on"), "body": FuncRef("step"), "T": types(FLOAT32, RESOURCE)}
        return Node("y", "While", ("x", "v"), {**given, **attrs})  # type: ignore[arg-type]

    def test_the_handle_is_carried_round(self) -> None:
        shapes = AttrList("shape", (Shape((2, 3)), Shape(())))
        graph = frozen([STEP, GOES_ON], self.node(output_shapes=shapes))
        loop = graph.nodes["y"]
        assert loop.attrs["T"] == types(FLOAT32, FLOAT32)
        assert loop.attrs["output_shapes"] == AttrList("shape", (Shape((2, 3)), Shape((2, 3))))
        body = body_of(graph.functions, "step_frozen")
        assert list(body.result_dtypes.values()) == [FLOAT32, FLOAT32]
        assert dict(body_of(graph.functions, "goes_on_frozen").arguments) == {"a": FLOAT32, "handle": FLOAT32}

    def test_the_loops_own_value_of_it(self) -> None:
        graph = frozen(
            [STEP, GOES_ON], self.node(), Node("r", "ReadVariableOp", ("y:1",), {"dtype": FLOAT32}), output="r"
        )
        assert graph.nodes["r"] == Node("r", "Identity", ("y:1",), {"T": FLOAT32})

    def test_a_body_that_does_not_give_it_back(self) -> None:
        lost = function("step", {"a": FLOAT32, "handle": RESOURCE}, {"b": "a", "h": "a"})
        with pytest.raises(UnsupportedError, match="^y: expected While to give the same variables in every case$"):
            frozen([lost, GOES_ON], self.node())


class TestReaders:
    @pytest.mark.parametrize(
        ("reader", "made"),
        [
            (Node("y", "ResourceGatherNd", ("v", "x"), {"dtype": FLOAT32, "Tindices": INT64}),
             Node("y", "GatherNd", ("v", "x"), {"Tparams": FLOAT32, "Tindices": INT64})),
            (Node("y", "VariableShape", ("v",), {"out_type": INT64}),
             Node("y", "Shape", ("v",), {"T": FLOAT32, "out_type": INT64})),
            (Node("y", "VariableShape", ("v",)), Node("y", "Shape", ("v",), {"T": FLOAT32, "out_type": INT32})),
            (Node("y", "DisableCopyOnRead", ("v",)), Node("y", "NoOp")),
        ],
    )  # fmt: skip
    def test_what_they_become(self, reader: Node, made: Node) -> None:
        assert frozen([], reader).nodes["y"] == made

    def test_a_variable_is_initialized(self) -> None:
        node = frozen([], Node("y", "VarIsInitializedOp", ("v",))).nodes["y"]
        assert node.op == "Const"
        assert node.attrs["value"].numpy() is not False  # type: ignore[union-attr]
        assert bool(node.attrs["value"].numpy())  # type: ignore[union-attr]

    def test_gathers_inside_of_functions(self) -> None:
        """TensorFlow leaves these as they are, and nothing can run its result."""
        rows = function(
            "rows", {"handle": RESOURCE, "a": INT32}, {"y": "g:output:0"},
            Node("g", "ResourceGather", ("handle", "a"), {"dtype": FLOAT32, "Tindices": INT32}),
        )  # fmt: skip
        graph = frozen([rows, SAME], node_if(then_branch=FuncRef("rows"), else_branch=FuncRef("rows")))
        nodes = graph.functions["rows_frozen"].nodes
        assert [node.op for node in nodes.values()] == ["Const", "GatherV2"]
        assert nodes["g"].inputs == ("handle", "a", "g/axis:output:0")

    def test_identities_of_many(self) -> None:
        node = Node("i", "IdentityN", ("x", "v"), {"T": types(FLOAT32, RESOURCE)})
        graph = frozen([], node, Node("y", "ReadVariableOp", ("i:1",), {"dtype": FLOAT32}))
        assert graph.nodes["i"].attrs["T"] == types(FLOAT32, FLOAT32)


class TestCalls:
    """With --keep-functions."""

    def test_by_attribute(self) -> None:
        call = Node(
            "y",
            "PartitionedCall",
            ("v", "x"),
            {"f": FuncRef("add"), "Tin": types(RESOURCE, FLOAT32), "Tout": types(FLOAT32)},
        )
        node = frozen([ADD], call).nodes["y"]
        assert node.attrs["f"] == FuncRef("add_frozen")
        assert node.attrs["Tin"] == types(FLOAT32, FLOAT32)

    def test_by_name(self) -> None:
        assert frozen([ADD], Node("y", "add", ("v", "x"))).nodes["y"].op == "add_frozen"

    def test_inside_of_functions(self) -> None:
        inner = Node(
            "c",
            "PartitionedCall",
            ("handle", "a"),
            {"f": FuncRef("add"), "Tin": types(RESOURCE, FLOAT32), "Tout": types(FLOAT32)},
        )
        outer = function("outer", GIVEN, {"y": "c:output:0"}, inner)
        graph = frozen([ADD, outer], Node("y", "outer", ("v", "x")))
        assert graph.functions["outer_frozen"].nodes["c"].attrs["f"] == FuncRef("add_frozen")
        assert sorted(graph.functions) == ["add_frozen", "outer_frozen"]

    def test_functions_without_variables_stay(self) -> None:
        graph = frozen([SAME], Node("y", "same", ("x", "x")))
        assert graph.nodes["y"].op == "same"
        assert graph.functions["same"] is SAME


def refused(kind: type[Exception], message: str, functions: list[Function], *nodes: Node) -> None:
    with pytest.raises(kind) as error:
        frozen(functions, *nodes)
    assert str(error.value) == message


class TestErrors:
    def test_assignments_inside_of_functions(self) -> None:
        assign = Node("assign", "AssignVariableOp", ("handle", "a"), {"dtype": FLOAT32})
        body = function("add", GIVEN, {"y": "a"}, assign, control=["assign"])
        message = (
            "the graph: expected only ops that read to take variables, got add/assign (AssignVariableOp of handle)"
        )
        refused(UnsupportedError, message, [body, SAME], node_if())

    def test_a_variable_as_a_condition(self) -> None:
        message = "the graph: expected only ops that read to take variables, got y (If of v), y (If of v)"
        refused(UnsupportedError, message, [ADD, SAME], node_if().with_(inputs=("v", "v", "x")))

    def test_branches_that_give_different_variables(self) -> None:
        give = function("give", GIVEN, {"h": "handle"}, dtype=RESOURCE)
        message = "y: expected If to give the same variables in every case"
        refused(UnsupportedError, message, [ADD, give], node_if(else_branch=FuncRef("give")))

    def test_variables_that_nobody_gives(self) -> None:
        inside = function(
            "add", ["a"], {"y": "r:value:0"}, V, Node("r", "ReadVariableOp", ("v:resource:0",), {"dtype": FLOAT32})
        )
        found = "add/v (VarHandleOp), add/r (ReadVariableOp)"
        message = f"the graph: expected functions without variables of their own, got {found}"
        refused(UnsupportedError, message, [inside], Node("y", "add", ("x",)))

    def test_a_read_of_something_else_in_a_function(self) -> None:
        body = function(
            "add",
            GIVEN,
            {"y": "read:value:0"},
            READ.with_(inputs=("a",)),
        )
        message = "add/read: expected ReadVariableOp to read a variable of the graph, got _Arg 'a'"
        refused(GraphError, message, [body, SAME], node_if())

    def test_types_that_are_missing(self) -> None:
        message = "y: expected If's attribute 'Tin' to list a type for each value"
        refused(GraphError, message, [ADD, SAME], node_if(Tin=types()))

    def test_functions_that_are_missing(self) -> None:
        message = "y: expected a function in If's attribute 'then_branch', got 1"
        refused(GraphError, message, [ADD, SAME], node_if(then_branch=1))

    def test_too_few_arguments(self) -> None:
        few = function("few", ["a"], {"y": "a"})
        message = "y: expected a function of more than 1 arguments, got few: 1"
        refused(GraphError, message, [few], Node("y", "few", ("x", "v")))

    def test_too_deep(self) -> None:
        functions = [ADD]
        for index in range(120):
            inner = Node("c", functions[-1].name, ("handle", "a"))
            functions.append(function(f"f{index}", GIVEN, {"y": "c:y:0"}, inner))
        message = "c: expected at most 100 functions inside of functions, got more"
        refused(UnsupportedError, message, functions, Node("y", "f119", ("v", "x")))
