"""Fold switches: TensorFlow's own conditionals, dead branches, merges, loops; a training graph made pure inference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tensorferry.converters.evaluation.evaluate import evaluate
from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import AttrList, Graph, Node, Shape
from tensorferry.converters.passes.drop_identities import drop_identities
from tensorferry.converters.passes.fold_constants import fold_constants
from tensorferry.converters.passes.fold_defaults import fold_defaults
from tensorferry.converters.passes.fold_switches import fold_switches
from tensorferry.converters.passes.freeze import freeze
from tensorferry.converters.passes.prune import prune
from tensorferry.formats.dtype import BOOL, FLOAT32, INT32, DType
from tensorferry.formats.errors import GraphError, UnsupportedError
from tensorferry.formats.tensor import ArrayTensor
from tests.fixture import FIXTURES, HOME, graph_def

F32 = {"T": FLOAT32}


def op(name: str, kind: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, kind, inputs, attrs)


def const(name: str, value: Any, dtype: DType = FLOAT32, *inputs: str) -> Node:
    return op(name, "Const", *inputs, dtype=dtype, value=ArrayTensor(np.array(value, dtype.numpy())))


def placeholder(name: str, dtype: DType = FLOAT32) -> Node:
    return op(name, "Placeholder", dtype=dtype, shape=Shape())


@pytest.mark.parametrize(("p", "q"), [*itertools.product([False, True], repeat=2)])
def test_conditionals_with_constant_predicates_give_what_tensorflow_gave(p: bool, q: bool) -> None:
    graph = from_graph_def(graph_def(HOME / "kernels" / "conditionals.pb"))
    prefix = f"expected_{p:d}{q:d}/"
    expected = {
        name.removeprefix(prefix): node.attrs["value"].numpy()  # type: ignore[union-attr]
        for name, node in graph.nodes.items()
        if name.startswith(prefix)
    }
    assert len(expected) == 6
    graph.nodes |= {"p": const("p", p, BOOL), "q": const("q", q, BOOL)}
    folded = graph
    for _ in range(3):  # a conditional in another, whose predicate is computed there
        folded = fold_switches(fold_constants(folded), outputs=list(expected))
    folded = prune(folded, list(expected))
    assert not {node.op for node in folded} & {"Switch", "Merge"}
    found = evaluate(folded, list(expected), {"x": np.array([1, 2, 3], np.float32)})
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_only_constant_predicates_are_folded() -> None:
    graph = from_graph_def(graph_def(HOME / "kernels" / "conditionals.pb"))
    assert list(fold_switches(graph)) == list(graph)
    graph.nodes["p"] = const("p", True, BOOL)
    folded = fold_switches(graph)
    assert any("inner" in node.name for node in folded if node.op == "Switch")
    assert "outer/Merge" not in {node.name for node in folded if node.op == "Merge"}
    for q in (False, True):
        feeds = {"q": np.array(q), "x": np.array([1, 2, 3], np.float32)}
        for name in ("nested", "both", "which"):
            expected = evaluate(graph, [name], feeds)[name]
            np.testing.assert_array_equal(evaluate(folded, [name], feeds)[name], expected)


def branches(taken: bool, *more: Node) -> Graph:
    return Graph.of(
        [
            const("p", taken, BOOL),
            op("pred", "Identity", "p", T=BOOL),
            placeholder("x"),
            op(
                "switch",
                "Switch",
                "x",
                "pred",
                T=FLOAT32,
                _class=AttrList("bytes", (b"loc:@x",)),
                _output_shapes=AttrList(),
            ),
            op("on", "Abs", "switch:1", **F32),
            op("off", "Neg", "switch", **F32),
            op("merge", "Merge", "off", "on", T=FLOAT32, N=2),
            op("index", "Identity", "merge:1", T=INT32),
            *more,
        ]
    )


def test_what_becomes_of_switch_and_merge() -> None:
    folded = fold_switches(branches(True))
    assert list(folded.nodes) == ["p", "pred", "x", "switch", "on", "merge", "merge_1", "index"]
    assert folded.nodes["switch"] == op("switch", "Identity", "x", T=FLOAT32, _class=AttrList("bytes", (b"loc:@x",)))
    assert folded.nodes["on"].inputs == ("switch:0",)
    assert folded.nodes["merge"] == op("merge", "Identity", "on", **F32)
    assert folded.nodes["index"].inputs == ("merge_1:0",)
    assert evaluate(folded, ["index"], {"x": np.float32(1)})["index"] == 1
    other = fold_switches(branches(False))
    assert list(other.nodes) == ["p", "pred", "x", "switch", "off", "merge", "merge_1", "index"]
    assert other.nodes["off"].inputs == ("switch",)
    assert list(fold_switches(other)) == list(other)


def test_references_stay_references() -> None:
    graph = Graph.of(
        [
            const("p", True, BOOL),
            op("v", "VariableV2", dtype=FLOAT32, shape=Shape(())),
            op("switch", "RefSwitch", "v", "p", **F32),
            op("merge", "RefMerge", "switch:1", "switch", T=FLOAT32, N=2),
        ]
    )
    folded = fold_switches(graph)
    assert [node.op for node in folded] == ["Const", "VariableV2", "RefIdentity", "RefIdentity"]
    assert evaluate(folded, ["merge"], {}, {"v": ArrayTensor(np.float32(3).reshape(()))})["merge"] == 3


def test_control_inputs_of_dead_nodes() -> None:
    graph = branches(
        True,
        op("after_dead", "NoOp", "^off"),
        const("waits", 1.0, FLOAT32, "^after_dead"),
        op("patient", "Merge", "x", "on", "^off", "^on", T=FLOAT32, N=2),
        op("single", "Merge", "off", "on", "^off", "^on", T=FLOAT32, N=2),
    )
    folded = fold_switches(graph)
    assert "after_dead" not in folded.nodes
    assert "waits" not in folded.nodes
    assert folded.nodes["patient"].inputs == ("x", "on", "^on")
    # A Merge doesn't die of its control inputs, as an Identity would.
    assert folded.nodes["single"] == op("single", "Merge", "on", "^on", T=FLOAT32, N=1)


def test_a_merge_of_more_inputs_keeps_their_numbers() -> None:
    graph = Graph.of(
        [
            *branches(True),
            placeholder("q", BOOL),
            op("open", "Switch", "x", "q", **F32),
            op("three", "Merge", "open", "off", "open:1", T=FLOAT32, N=3),
            op("which", "Identity", "three:1", T=INT32),
        ]
    )
    folded = fold_switches(graph)
    assert folded.nodes["three"].inputs == ("open", "open:1")
    assert folded.nodes["three"].attrs["N"] == 2
    for q, which in [(False, 0), (True, 2)]:
        feeds = {"q": np.array(q), "x": np.float32(1)}
        assert evaluate(graph, ["which"], feeds)["which"] == which
        assert evaluate(folded, ["which"], feeds)["which"] == which


def test_a_loop_in_a_dead_branch_goes_and_another_stays() -> None:
    def loop(prefix: str, source: str) -> list[Node]:
        return [
            op(f"{prefix}/enter", "Enter", source, T=FLOAT32),
            op(f"{prefix}/merge", "Merge", f"{prefix}/enter", f"{prefix}/next", T=FLOAT32, N=2),
            op(f"{prefix}/next", "NextIteration", f"{prefix}/merge", **F32),
            op(f"{prefix}/exit", "Exit", f"{prefix}/merge", **F32),
        ]

    graph = branches(True, *loop("dead", "switch"), *loop("live", "switch:1"))
    folded = fold_switches(graph)
    assert not [name for name in folded.nodes if name.startswith("dead")]
    assert [name for name in folded.nodes if name.startswith("live")] == [node.name for node in loop("live", "x")]


def test_graph_outputs_follow_their_values() -> None:
    graph = branches(True)
    graph.outputs = {"live": "switch:1", "number": "merge:1", "merged": "merge"}
    assert fold_switches(graph).outputs == {"live": "switch:0", "number": "merge_1:0", "merged": "merge"}
    assert graph.outputs["live"] == "switch:1"


def test_dead_outputs_are_all_named() -> None:
    message = r"^expected outputs that get a value, got some in a branch never taken: off, switch:0$"
    with pytest.raises(GraphError, match=message):
        fold_switches(branches(True), outputs=["off", "on", "switch:0"])


def test_outputs_that_would_lose_their_names_are_all_named() -> None:
    message = r"^expected outputs that keep their names, got switch:1, merge:1$"
    with pytest.raises(UnsupportedError, match=message):
        fold_switches(branches(True), outputs=["switch:1", "on", "merge:1"])


def test_new_names_are_their_own() -> None:
    folded = fold_switches(branches(True, op("merge_1", "NoOp")))
    assert folded.nodes["index"].inputs == ("merge_1_:0",)


@pytest.mark.parametrize("kind", ["raw", "ema"])
def test_a_training_graph_becomes_pure_inference(kind: str) -> None:
    """Batch normalization and dropout hang on a placeholder that says whether the network trains."""
    fixture = FIXTURES["mnist"]
    graph = from_graph_def(graph_def(fixture.graph))
    arrays = fixture.tensors()
    if kind == "ema":
        arrays |= {variable: arrays[key] for key, variable in (fixture.variables_to_restore() or {}).items()}
    outputs = fixture.outputs
    frozen = freeze(graph, outputs, {name: ArrayTensor(array) for name, array in arrays.items()})
    assert {"Switch", "Merge", "RandomUniform", "PlaceholderWithDefault"} <= {node.op for node in frozen}

    inference = fold_defaults(frozen)
    inference = fold_constants(inference, outputs=outputs)
    inference = prune(fold_switches(inference, outputs=outputs), outputs)
    inference = prune(drop_identities(fold_constants(inference, outputs=outputs), outputs=outputs), outputs)
    assert {node.op for node in inference} == {
        "Placeholder",
        "Const",
        "Reshape",
        "Conv2D",
        "FusedBatchNormV3",
        "Relu",
        "MaxPool",
        "BiasAdd",
        "MatMul",
        "Softmax",
        "ArgMax",
        "Shape",
        "StridedSlice",
        "Pack",
    }
    assert all(node.attrs["is_training"] is False for node in inference if node.op == "FusedBatchNormV3")

    for answer in fixture.answers(kind):
        found = evaluate(inference, list(answer.fetches), answer.feeds)
        for output, expected in answer.fetches.items():
            np.testing.assert_allclose(found[output], expected, rtol=1e-5, atol=1e-6)
