"""Expected values: FunctionDefs that TensorFlow wrote, and the rules of function.proto worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.functions import body_of, called_function, function_key, function_of
from tensorferry.converters.ir import AttrList, FuncRef, Graph, Node
from tensorferry.converters.to_graph_def import to_graph_def
from tensorferry.formats import protos
from tensorferry.formats.dtype import FLOAT32, INT32
from tensorferry.formats.errors import GraphError
from tensorferry.formats.graph_file import read_message
from tests.fixture import HOME

SAVED_MODELS = sorted(HOME.glob("*/saved_model.pb*"))

PAIR = """
signature { name: "pair" input_arg { name: "x" type: DT_FLOAT }
            input_arg { name: "many" type_attr: "T" number_attr: "N" }
            output_arg { name: "sum" type_attr: "T" } output_arg { name: "parts" type: DT_FLOAT number_attr: "N" }
            attr { name: "T" type: "type" } attr { name: "N" type: "int" default_value { i: 2 } } control_output: "go" }
node_def { name: "split" op: "Split" input: "axis:output:0" input: "x"
           attr { key: "num_split" value { placeholder: "N" } }
           attr { key: "T" value { type: DT_FLOAT } } }
node_def { name: "axis" op: "Const" attr { key: "dtype" value { type: DT_INT32 } } }
node_def { name: "add" op: "AddV2" input: "many" input: "many:1" input: "^split"
           attr { key: "T" value { placeholder: "T" } } }
node_def { name: "all" op: "AddN" input: "many" input: "^x" attr { key: "T" value { placeholder: "T" } }
           attr { key: "N" value { placeholder: "N" } } }
ret { key: "sum" value: "all:sum:0" } ret { key: "parts" value: "split:output" }
control_ret { key: "go" value: "split" }
"""


def library(*texts: str) -> Graph:
    """A graph with functions, each a FunctionDef in text form."""
    message = protos.message_class("GraphDef")()
    for text in texts:
        message.library.function.add().CopyFrom(protos.parse_text("FunctionDef", text, ""))
    return from_graph_def(message)


def pair(**changes: str) -> Any:
    """`pair` as it is called for two int32 values."""
    text = PAIR
    for old, new in changes.items():
        text = text.replace(old, new)
    return body_of(library(text).functions, "pair", {"T": INT32})


def bare(message: Any) -> Any:
    """A FunctionDef without the names of its control outputs, and what `function_of` says it drops."""
    message.control_ret.clear()
    message.resource_arg_unique_id.clear()
    for number in [number for number, given in message.arg_attr.items() if not given.attr]:
        del message.arg_attr[number]
    del message.signature.control_output[:]
    for arg in message.signature.output_arg:
        arg.ClearField("handle_data")
        arg.ClearField("experimental_full_type")
    return message


@pytest.mark.parametrize("path", SAVED_MODELS, ids=lambda path: str(path.parent.name))
def test_there_and_back_is_what_tensorflow_wrote(path: Any) -> None:
    for meta in read_message("SavedModel", path).meta_graphs:
        graph = from_graph_def(meta.graph_def)
        graph.functions = {
            name: function_of(body_of(graph.functions, name), function) for name, function in graph.functions.items()
        }
        for theirs, ours in zip(meta.graph_def.library.function, to_graph_def(graph).library.function, strict=True):
            controls = set(theirs.control_ret.values())
            assert set(ours.control_ret.values()) == controls
            assert bare(ours) == bare(theirs)


def test_there_are_functions_to_compare() -> None:
    metas = [meta for path in SAVED_MODELS for meta in read_message("SavedModel", path).meta_graphs]
    assert sum(len(meta.graph_def.library.function) for meta in metas) > 50


class TestBody:
    def test_arguments_and_results(self) -> None:
        body = pair()
        assert body.name == "pair"
        assert dict(body.arguments) == {"x": FLOAT32, "many_0": INT32, "many_1": INT32}
        assert body.results == {"sum": "all:0", "parts_0": "split:0", "parts_1": "split:1"}
        assert body.result_dtypes == {"sum": INT32, "parts_0": FLOAT32, "parts_1": FLOAT32}
        assert body.control == ("split",)

    def test_arguments_are_nodes(self) -> None:
        body = pair()
        assert [node.op for node in body.graph][:3] == ["_Arg"] * 3
        assert body.graph.nodes["many_1"] == Node("many_1", "_Arg", attrs={"T": INT32, "index": 2})

    def test_inputs_are_values_of_nodes(self) -> None:
        nodes = pair().graph.nodes
        assert nodes["split"].inputs == ("axis:0", "x:0")
        assert nodes["add"].inputs == ("many_0:0", "many_1:0", "many_1:0", "^split")
        assert nodes["all"].inputs == ("many_0:0", "many_1:0", "^x")

    def test_attributes_are_the_callers_or_the_defaults(self) -> None:
        nodes = pair().graph.nodes
        assert nodes["add"].attrs["T"] == INT32
        assert nodes["split"].attrs["num_split"] == 2

    def test_a_references_own_attributes(self) -> None:
        functions = library(PAIR).functions
        body = body_of(functions, FuncRef("pair", {"T": FLOAT32, "N": 3}))
        assert len(body.arguments) == 4
        assert body.results["parts_2"] == "split:2"

    def test_functions_inside_of_attributes(self) -> None:
        text = """
        signature { name: "f" attr { name: "T" type: "type" } }
        node_def { name: "n" op: "NoOp" attr { key: "f" value { func { GIVEN } } }
                   attr { key: "fs" value { list { func { GIVEN } } } } }
        """.replace("GIVEN", 'name: "g" attr { key: "U" value { placeholder: "T" } }')
        attrs = body_of(library(text).functions, "f", {"T": INT32}).graph.nodes["n"].attrs
        assert attrs["f"] == FuncRef("g", {"U": INT32})
        assert attrs["fs"] == AttrList("func", (FuncRef("g", {"U": INT32}),))

    def test_outputs_of_a_function_called_by_name(self) -> None:
        caller = """
        signature { name: "f" output_arg { name: "y" type: DT_FLOAT } }
        node_def { name: "c" op: "pair" attr { key: "T" value { type: DT_FLOAT } } attr { key: "N" value { i: 2 } } }
        ret { key: "y" value: "c:parts:1" }
        """
        assert body_of(library(PAIR, caller).functions, "f").results == {"y": "c:2"}


NONE = "pair/{}: expected its input {!r} in the function, got none of that name"
BROKEN = [
    ({'"sum" type_attr: "T"': '"sum" type_attr: "S"'}, "pair: expected a type in pair's attribute 'S'"),
    ({"i: 2": "i: -1"}, "pair: expected a count in pair's attribute 'N', got -1"),
    ({'placeholder: "N"': 'placeholder: "M"'}, "pair/split: expected the caller to give the attribute 'M', got none"),
    ({'"split:output"': '"split:sum"'}, NONE.format("result parts", "split:sum")),
    ({'"split:output"': '"split:output:0"'}, "pair/result parts: expected 2 values, got 1"),
    ({'"all:sum:0"': '"all"'}, NONE.format("result sum", "all")),
    ({'"all:sum:0"': '"all:sum:0:0"'}, NONE.format("result sum", "all:sum:0:0")),
    ({'"all:sum:0"': '"all:sum:1"'}, "pair/result sum: expected an index below 1 in its input 'all:sum:1'"),
    ({'"many:1"': '"many:x"'}, "pair/add: expected an index below 2 in its input 'many:x'"),
    ({'"^split"': '"^gone"'}, NONE.format("add", "^gone")),
    ({'value: "split" }': 'value: "no" }'}, "pair/no: expected a node of the function to end with, got none of this name"),  # noqa: E501
    ({'op: "AddN"': 'op: "Mine"'}, "pair/all: expected an op that TensorFlow registers, or a function, got Mine"),
    ({'name: "axis" op': 'name: "x" op'}, "pair/x: expected a name of its own, got an argument's"),
    ({'name: "x" type': 'name: "many_1" type'}, "pair/arguments: expected 3 names of their own, got many_1, many_0"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BROKEN)
def test_broken_functions(changes: dict[str, str], message: str) -> None:
    with pytest.raises(GraphError) as error:
        pair(**changes)
    assert str(error.value) == message


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(GraphError, match=r"^g: expected a function of the graph's library, got none of this name$"):
        body_of({}, "g")


def test_a_result_that_no_node_has() -> None:
    functions = library(PAIR).functions
    body = body_of(functions, "pair", {"T": INT32})
    body.results["sum"] = "add:1"  # type: ignore[index]
    with pytest.raises(GraphError, match="^add: expected an output 1, got a node with 1$"):
        function_of(body, functions["pair"])


def test_calls() -> None:
    functions = library(PAIR).functions
    assert called_function(functions, Node("n", "pair", attrs={"T": INT32})) == FuncRef("pair", {"T": INT32})
    assert called_function(functions, Node("n", "PartitionedCall", attrs={"f": FuncRef("g")})) == FuncRef("g")
    assert called_function(functions, Node("n", "If", attrs={"then_branch": FuncRef("g")})) is None
    with pytest.raises(GraphError, match="^n: expected a function in RemoteCall's attribute 'f', got 1$"):
        called_function(functions, Node("n", "RemoteCall", attrs={"f": 1}))


def test_what_tells_functions_as_they_are_called_apart() -> None:
    keys = [function_key(FuncRef("f", attrs)) for attrs in ({}, {"T": INT32}, {"T": FLOAT32}, {"U": INT32})]
    assert len(set(keys)) == 4
    assert function_key(FuncRef("f", {"a": 1, "b": 2})) == function_key(FuncRef("f", {"b": 2, "a": 1}))
