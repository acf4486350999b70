"""Evaluate: fixtures against TensorFlow's answers, conditionals, feeds, variables, and every error."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, INT64, RESOURCE, DType
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tensorferry.formats.tensor_proto import dtype_of_number
from tests.fixture import FIXTURES, HOME, graph_def

FLOAT_REF = dtype_of_number(101)
F32 = {"T": FLOAT32}
ANY = Shape()


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, kind, inputs, attrs)


def const(name: str, value: Any, dtype: DType = FLOAT32, *inputs: str) -> Node:
    return op(name, "Const", *inputs, dtype=dtype, value=ArrayTensor(np.array(value, dtype.numpy())))


def placeholder(name: str, shape: Shape = ANY, dtype: DType = FLOAT32) -> Node:
    return op(name, "Placeholder", dtype=dtype, shape=shape)


def add(name: str, a: str, b: str, *more: str) -> Node:
    return op(name, "Add", a, b, *more, T=FLOAT32)


def error(graph: Graph, outputs: list[str], feeds: dict[str, Any] | None = None, variables: Any = None) -> str:
    with pytest.raises(GraphError) as caught:
        evaluate(graph, outputs, feeds or {}, variables)
    return str(caught.value)


SUM = Graph.of(
    [placeholder("x", Shape((-1, 2))), const("one", 1.0), add("sum", "x", "one"), op("twice", "Identity", "sum", **F32)]
)
X = np.array([[1, 2]], np.float32)


ANSWERED = [
    pytest.param(name, kind, number, id=f"{name}-{kind}-{number}")
    for name in ("add", "add_resource", "ema", "encoder", "mnist")
    for kind in ("raw", "ema")
    for number in range(len(FIXTURES[name].answers(kind)))
]


@pytest.mark.parametrize(("name", "kind", "number"), ANSWERED)
def test_a_training_graph_gives_what_tensorflow_gave(name: str, kind: str, number: int) -> None:
    fixture = FIXTURES[name]
    graph = from_graph_def(graph_def(fixture.graph))
    arrays = fixture.tensors()
    if kind == "ema":
        arrays |= {variable: arrays[key] for key, variable in (fixture.variables_to_restore() or {}).items()}
    variables = {key: ArrayTensor(array) for key, array in arrays.items()}
    answer = fixture.answers(kind)[number]
    found = evaluate(graph, list(answer.fetches), answer.feeds, variables)
    for output, expected in answer.fetches.items():
        assert found[output].dtype == expected.dtype
        np.testing.assert_allclose(found[output], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("p", "q"), [*itertools.product([False, True], repeat=2)])
def test_conditionals_give_what_tensorflow_gave(p: bool, q: bool) -> None:
    graph = from_graph_def(graph_def(HOME / "kernels" / "conditionals.pb"))
    prefix = f"expected_{p:d}{q:d}/"
    expected = {
        name.removeprefix(prefix): node.attrs["value"].numpy()  # type: ignore[union-attr]
        for name, node in graph.nodes.items()
        if name.startswith(prefix)
    }
    assert len(expected) == 6
    feeds = {"p": np.array(p), "q": np.array(q), "x": np.array([1, 2, 3], np.float32)}
    found = evaluate(graph, list(expected), feeds)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_an_output_in_the_branch_not_taken_is_an_error() -> None:
    graph = from_graph_def(graph_def(HOME / "kernels" / "conditionals.pb"))
    feeds = {"p": np.array(False), "x": np.zeros(3, np.float32)}
    message = "expected a value, got none: it is in a branch that was not taken"
    assert error(graph, ["dead_constant:0"], feeds) == f"dead_constant:0: {message}"
    assert error(graph, ["switch:1"], feeds) == f"switch:1: {message}"


def test_results_have_the_names_that_were_asked_for() -> None:
    found = evaluate(SUM, ["sum", "sum:0", "twice"], {"x": X})
    assert list(found) == ["sum", "sum:0", "twice"]
    for value in found.values():
        np.testing.assert_array_equal(value, [[2, 3]])


def test_only_what_is_needed_runs() -> None:
    graph = Graph.of([*SUM, op("broken", "NoSuchOp", "sum"), op("lost", "Identity", "nowhere")])
    np.testing.assert_array_equal(evaluate(graph, ["sum"], {"x": X})["sum"], [[2, 3]])


def test_an_inner_value_can_be_fed_and_what_makes_it_does_not_run() -> None:
    graph = Graph.of([op("bad", "NoSuchOp", "bad_too"), op("cut", "Abs", "bad", **F32), add("y", "cut", "cut")])
    np.testing.assert_array_equal(evaluate(graph, ["y"], {"cut:0": X})["y"], [[2, 4]])


def test_one_output_of_several_can_be_fed() -> None:
    split = op("split", "Split", "zero", "x", T=FLOAT32, num_split=2)
    graph = Graph.of([placeholder("x"), const("zero", 0, INT32), split, add("y", "split", "split:1")])
    feeds = {"x": np.array([1, 2], np.float32), "split:1": np.array([10], np.float32)}
    np.testing.assert_array_equal(evaluate(graph, ["y"], feeds)["y"], [11])


def test_an_output_that_is_fed_is_given_back() -> None:
    np.testing.assert_array_equal(evaluate(SUM, ["x:0"], {"x:0": X})["x:0"], X)


def test_a_fed_placeholder_may_be_waited_for() -> None:
    graph = Graph.of([placeholder("x"), const("one", 1.0, FLOAT32, "^x")])
    assert evaluate(graph, ["one"], {"x": X})["one"] == 1


def test_a_default_is_taken_unless_it_is_fed() -> None:
    default = op("training", "PlaceholderWithDefault", "false", dtype=BOOL, shape=Shape(()))
    graph = Graph.of([const("false", False, BOOL), default, op("not", "LogicalNot", "training")])
    assert evaluate(graph, ["not"], {})["not"]
    assert not evaluate(graph, ["not"], {"training": np.array(True)})["not"]


def test_variables_of_both_kinds_have_their_values() -> None:
    graph = Graph.of(
        [
            op("v", "VariableV2", dtype=FLOAT32, shape=Shape((2,))),
            op("read", "Identity", "v", **F32),
            op("h", "VarHandleOp", dtype=FLOAT32, shape=Shape((2,)), shared_name=b"other"),
            op("passed", "Identity", "h", T=RESOURCE),
            op("value", "ReadVariableOp", "passed", dtype=FLOAT32),
            const("index", [1, 1], INT32),
            op("gathered", "ResourceGather", "h", "index", dtype=FLOAT32, Tindices=INT32),
            const("place", [[0]], INT32),
            op("place_of", "ResourceGatherNd", "h", "place", dtype=FLOAT32, Tindices=INT32),
            op("shape", "VariableShape", "h", out_type=INT64),
            op("there", "VarIsInitializedOp", "h"),
            add("sum", "read", "value"),
        ]
    )
    variables = {name: ArrayTensor(np.array([1, 2], np.float32)) for name in ("v", "h")}
    found = evaluate(graph, ["sum", "gathered", "place_of", "shape", "there"], {}, variables)
    assert [found[name].tolist() for name in found] == [[2, 4], [2, 2], [1], [2], True]


def test_the_old_variable_with_an_empty_shape_takes_any() -> None:
    graph = Graph.of([op("v", "Variable", dtype=FLOAT32, shape=Shape(()))])
    assert evaluate(graph, ["v"], {}, {"v": ArrayTensor(X)})["v"].shape == (1, 2)


def test_a_chain_of_50000_nodes() -> None:
    nodes = [const("n0", 0.0), const("one", 1.0)]
    nodes += [add(f"n{i}", f"n{i - 1}", "one") for i in range(1, 50_001)]
    assert evaluate(Graph.of(nodes), ["n50000"], {})["n50000"] == 50_000


def test_values_are_forgotten_when_nobody_takes_them_any_more() -> None:
    import tracemalloc

    size = 1 << 20
    nodes = [placeholder("n0"), *(op(f"n{i}", "Neg", f"n{i - 1}", **F32) for i in range(1, 50))]
    graph, feeds = Graph.of(nodes), {"n0": np.ones(size, np.float32)}
    tracemalloc.start()
    evaluate(graph, ["n49"], feeds)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 4 * size


@pytest.mark.parametrize("feed", [np.array([[1, 2]]), np.array([[1.0, 2.0]]), np.array([[1, 2]], np.int8), [[1, 2]]])
def test_a_feed_of_another_type_is_converted_if_nothing_is_lost(feed: Any) -> None:
    np.testing.assert_array_equal(evaluate(SUM, ["sum"], {"x": feed})["sum"], [[2, 3]])


def test_nan_and_infinity_survive_the_conversion() -> None:
    found = evaluate(SUM, ["sum"], {"x": np.array([[np.nan, np.inf]])})["sum"]
    np.testing.assert_array_equal(found, np.array([[np.nan, np.inf]], np.float32))


@pytest.mark.parametrize(
    ("feed", "dtype"),
    [
        (np.array([[0.1, 2]]), "float64"),
        (np.array([[1, 2**25 + 1]]), "int64"),
        (np.array([[True, False]]), "bool"),
        (np.array([["a", "b"]]), "<U1"),
        (np.array([[1j, 2]]), "complex128"),
        (np.array([["2020-01-01", "2020-01-02"]], "datetime64[D]"), r"datetime64\[D\]"),
    ],
)
def test_a_feed_that_would_lose_something_is_refused(feed: Any, dtype: str) -> None:
    message = error(SUM, ["sum"], {"x": feed})
    assert re.fullmatch(rf"the feeds: x:0: expected float32, got {dtype} that float32 can't hold exactly", message)


def test_integers_take_no_fractions_and_no_nan() -> None:
    graph = Graph.of([placeholder("i", dtype=INT32)])
    assert evaluate(graph, ["i"], {"i": np.array([2.0])})["i"].dtype == np.int32
    for value in (0.5, np.nan, np.inf, 3e9):
        assert "can't hold exactly" in error(graph, ["i"], {"i": np.array([value])})


def test_text_is_fed_as_bytes() -> None:
    graph = Graph.of([placeholder("s", dtype=dtype_of_number(7))])
    assert evaluate(graph, ["s"], {"s": np.array(["ä", "b"])})["s"].tolist() == ["ä".encode(), b"b"]
    assert "can't hold exactly" in error(graph, ["s"], {"s": np.array([1])})
    assert "can't hold exactly" in error(graph, ["s"], {"s": np.array([1], object)})


def test_a_feed_of_the_wrong_shape_is_refused() -> None:
    assert error(SUM, ["sum"], {"x": X.T}) == "the feeds: x:0: expected shape [?, 2], got [2, 1]"


@pytest.mark.parametrize(("producer", "is_any"), [(0, True), (21, True), (22, False)])
def test_an_empty_shape_means_any_in_old_graphs(producer: int, is_any: bool) -> None:
    from tensorferry.formats import protos

    residue = protos.message_class("GraphDef")(versions={"producer": producer}).SerializeToString()
    graph = Graph({"x": placeholder("x", Shape(()))}, residue=residue)
    if is_any:
        np.testing.assert_array_equal(evaluate(graph, ["x"], {"x": X})["x"], X)
    else:
        assert error(graph, ["x"], {"x": X}) == "the feeds: x:0: expected shape [], got [1, 2]"


def test_all_missing_feeds_are_named() -> None:
    graph = Graph.of(
        [
            placeholder("x", Shape((-1, 3))),
            op("y", "PlaceholderV2", dtype=FLOAT32, shape=Shape()),
            placeholder("unneeded"),
            add("sum", "x", "y"),
        ]
    )
    assert error(graph, ["sum"]) == (
        "the feeds: expected values for all placeholders needed, got none for x:0 float32 [?, 3], y:0 float32 ?"
    )


def test_unknown_outputs_and_feeds_are_named_with_their_neighbours() -> None:
    expected = "expected nodes of the graph, got none of the name: 'summ' (near: sum), 'zzz'"
    assert error(SUM, ["summ:0", "sum:0", "zzz"]) == expected
    assert error(SUM, ["sum"], {"y": X}) == "expected nodes of the graph, got none of the name: 'y'"


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("sum:1", "expected an output of Add, which has 1"),
        ("none", "expected an output of NoOp, which has 0"),
        ("^sum", "expected an output of Add, which has 1"),
    ],
)
def test_an_output_that_a_node_has_not(output: str, problem: str) -> None:
    graph = Graph.of([*SUM, op("none", "NoOp")])
    assert error(graph, [output], {"x": X}) == f"{output}: {problem}"


def test_a_feed_for_an_output_that_a_node_has_not() -> None:
    assert error(SUM, ["sum"], {"sum:3": X}) == "sum:3: expected an output of Add, which has 1"


def test_an_input_that_is_no_output() -> None:
    graph = Graph.of([const("a", 1.0), add("b", "a", "a:2")])
    assert error(graph, ["b"]) == "b: expected a:2 to be an output, but a has 1"


def test_inputs_that_do_not_exist_are_all_named() -> None:
    graph = Graph.of([add("b", "gone", "lost:1", "^away")])
    assert error(graph, ["b"]) == (
        "expected every input to be in the graph, got none of the name: 'gone' of b, 'lost:1' of b, '^away' of b"
    )


def test_missing_variables_are_all_named() -> None:
    graph = Graph.of(
        [
            op("v", "VariableV2", dtype=FLOAT32, shape=Shape((2,))),
            op("w", "VariableV2", dtype=FLOAT32, shape=Shape()),
            op("sum", "Add", "v", "w", **F32),
        ]
    )
    assert error(graph, ["sum"]) == (
        "the variables: expected values for all that are needed, got none for v float32 [2], w float32 ?"
    )


def test_variables_of_another_type_or_shape_are_all_named() -> None:
    graph = Graph.of(
        [
            op("v", "VariableV2", dtype=FLOAT32, shape=Shape((2,))),
            op("w", "VarHandleOp", dtype=FLOAT32, shape=Shape((2,))),
            op("sum", "Add", "v", "w", **F32),
        ]
    )
    values = {"v": ArrayTensor(np.zeros(3, np.float32)), "w": ArrayTensor(np.zeros(2))}
    assert error(graph, ["sum"], {}, values) == (
        "the variables: v: expected shape [2], got [3], w: expected float32, got float64"
    )


def test_a_kernel_that_fails_names_its_node() -> None:
    graph = Graph.of([const("a", [1.0, 2.0]), const("b", [1.0, 2.0, 3.0]), add("c", "a", "b")])
    assert error(graph, ["c"]).startswith("c: Add of float32 [2], float32 [3] failed: ")


def test_all_ops_without_a_kernel_are_named_before_anything_runs() -> None:
    graph = Graph.of(
        [
            placeholder("x"),
            op("boom", "CheckNumerics", "x", T=FLOAT32, message=b"ran"),
            op("a", "Nonsense", "boom"),
            op("b", "Nonsense", "a"),
            op("c", "ApplyAdam", "b", "a", T=FLOAT32),
            op("d", "Cast", "c", SrcT=FLOAT32, DstT=FLOAT32, Truncate=True),
        ]
    )
    with pytest.raises(UnsupportedError) as caught:
        evaluate(graph, ["d"], {"x": np.array([np.nan], np.float32)})
    assert str(caught.value) == (
        "evaluation: no kernel for Nonsense (2: a, b), ApplyAdam (1: c), Cast with Truncate (1: d)"
    )


def test_an_op_without_a_kernel_in_a_branch_matters_only_if_that_is_taken() -> None:
    graph = Graph.of(
        [
            placeholder("p", dtype=BOOL),
            const("x", 1.0),
            op("switch", "Switch", "x", "p", T=FLOAT32),
            op("odd", "Nonsense", "switch:1"),
            op("merge", "Merge", "switch:0", "odd", T=FLOAT32, N=2),
        ]
    )
    assert evaluate(graph, ["merge"], {"p": np.array(False)})["merge"] == 1
    with pytest.raises(UnsupportedError, match=r"^evaluation: no kernel for Nonsense \(1: odd\)$"):
        evaluate(graph, ["merge"], {"p": np.array(True)})


def test_a_switch_needs_a_bool() -> None:
    graph = Graph.of([const("x", 1.0), op("switch", "Switch", "x", "x", T=FLOAT32)])
    assert error(graph, ["switch"]) == "switch: expected Switch of a value and a bool, got 2 inputs that are not"


def test_merge_ignores_dead_control_inputs_and_dies_with_its_inputs() -> None:
    graph = Graph.of(
        [
            const("p", True, BOOL),
            const("x", 1.0),
            op("switch", "Switch", "x", "p", T=FLOAT32),
            op("dead", "Identity", "switch", **F32),
            op("merge", "Merge", "x", "x", "^dead", T=FLOAT32, N=2),
            op("dies", "Merge", "dead", "switch:0", T=FLOAT32, N=2),
        ]
    )
    assert evaluate(graph, ["merge"], {})["merge"] == 1
    assert "branch that was not taken" in error(graph, ["dies"])


def test_assertions_are_checked() -> None:
    graph = Graph.of(
        [placeholder("p", dtype=BOOL), op("assert", "Assert", "p", T=AttrList()), const("x", 1.0, FLOAT32, "^assert")]
    )
    assert evaluate(graph, ["x"], {"p": np.array(True)})["x"] == 1
    assert error(graph, ["x"], {"p": np.array(False)}) == "assert: expected an assertion to hold, got False"


def test_a_cycle_is_an_error() -> None:
    graph = Graph.of([add("a", "b", "b"), add("b", "a", "a")])
    assert "expected no cycle, got one of 2 nodes" in error(graph, ["a"])
