"""Loops, conditionals, lists and recurrent networks of both TensorFlows, through onnxruntime."""

from __future__ import annotations

import json
import lzma
from functools import cache

import numpy as np
import pytest

from tensorferry.converters.from_tf import from_graph_def
from tensorferry.converters.ir import Graph, Node
from tensorferry.converters.lowering import lower, newest_opset
from tensorferry.converters.passes.simplify import simplify
from tensorferry.formats import protos

from ...fixture import HOME
from ..onnx_model import assert_same, model_of, needs_recent_runtime, run_graph, run_model

HERE = HOME / "loops"
CASES = {
    f"{kind}-{case['name']}": (kind, case)
    for kind in ("v1", "v2")
    for case in json.loads((HERE / kind / "cases.json").read_text("utf-8"))["cases"]
}


def source(name: str) -> Graph:
    kind, case = CASES[name]
    path = HERE / kind / f"{case['name']}.pb.xz"
    graph = from_graph_def(protos.parse("GraphDef", lzma.decompress(path.read_bytes()), path), str(path))
    return simplify(graph, case["outputs"], keep=[value.partition(":")[0] for value in case["inputs"]])


@cache
def lowered(name: str, opset: int = 18) -> Graph:
    return lower(source(name), CASES[name][1]["inputs"], CASES[name][1]["outputs"], opset=opset)


def check(name: str, opset: int = 18) -> None:
    kind, case = CASES[name]
    model = model_of(lowered(name, opset), opset)
    with np.load(HERE / kind / f"{case['name']}.npz") as arrays:
        for run in case["runs"]:
            found = run_model(model, {value: arrays[key] for value, key in run["feeds"].items()})
            for value, key in run["fetches"].items():
                assert_same(found[value], arrays[key])


@pytest.mark.parametrize("name", CASES)
def test_tensorflow_s_answers(name: str) -> None:
    check(name)


@needs_recent_runtime
@pytest.mark.parametrize("opset", [13, 15, newest_opset()])
@pytest.mark.parametrize(
    "name", ["v1-sequence_lengths", "v2-conditional_in_loop", "v2-written_behind", "v1-block_cells"]
)
def test_other_opsets(name: str, opset: int) -> None:
    check(name, opset)


# --- what is made of them ---------------------------------------------------------------------------


def bodies(graph: Graph) -> list[Graph]:
    """The bodies in a graph, and in these."""
    inner = [value for node in graph for value in node.attrs.values() if isinstance(value, Graph)]
    return [*inner, *(each for body in inner for each in bodies(body))]


def nodes(name: str, *ops: str) -> list[Node]:
    """The nodes with some ops, those in bodies too."""
    graph = lowered(name)
    return [node for each in [graph, *bodies(graph)] for node in each if node.op in ops]


@pytest.mark.parametrize("kind", ["v1", "v2"])
@pytest.mark.parametrize("name", ["counting", "map_fn", "scan", "nested", "counting_down", "written_out_of_order"])
def test_a_bound_takes_the_place_of_the_condition(kind: str, name: str) -> None:
    loops = nodes(f"{kind}-{name}", "Loop")
    assert loops
    assert all(loop.inputs[0] and not loop.inputs[1] for loop in loops)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_only_what_is_no_bound_is_computed(kind: str) -> None:
    (loop,) = nodes(f"{kind}-unbounded", "Loop")
    assert not loop.inputs[0]
    assert loop.inputs[1]
    (loop,) = nodes(f"{kind}-bounded_and_tested", "Loop")
    assert loop.inputs[0]
    assert loop.inputs[1]
    body = loop.attrs["body"]
    assert isinstance(body, Graph)
    assert sorted(node.op for node in body if node.op in ("Less", "Greater", "And")) == ["And", "Greater", "Less"] or [
        node.op for node in body if node.op in ("Less", "And")
    ] == ["Less"]


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_what_is_written_in_order_is_collected_by_the_loop(kind: str) -> None:
    assert not nodes(f"{kind}-map_fn", "ScatterND", "Pad", "Concat")
    (loop,) = nodes(f"{kind}-map_fn", "Loop")
    # Nothing goes round; two results come out.
    assert len(loop.inputs) - loop.attrs["_captures"] == 2  # type: ignore[operator]
    assert loop.attrs["_outputs"] == 2
    assert nodes(f"{kind}-read_and_written", "ScatterND")
    assert nodes(f"{kind}-written_out_of_order", "ScatterND")


def test_what_nobody_wants_does_not_go_round() -> None:
    for kind in ("v1", "v2"):
        (loop,) = nodes(f"{kind}-swapped", "Loop")
        body = loop.attrs["body"]
        assert isinstance(body, Graph)
        assert sum(node.op == "Output" for node in body) == 3, "condition, a and b"
        assert not nodes(f"{kind}-swapped", "ReduceSum")


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("v1-dynamic_lstm", ["LSTM", "LSTM"]),
        ("v1-sequence_lengths", ["GRU", "Loop", "Loop"]),
        ("v1-block_cells", ["GRU", "Loop", "Loop"]),
        ("v1-attention", ["GRU", "Loop"]),
        ("v2-keras_lstm", ["LSTM", "LSTM"]),
        ("v2-keras_gru", ["GRU", "GRU", "Loop"]),
        ("v2-keras_both_ways", ["GRU", "GRU", "LSTM", "LSTM", "Loop", "Loop"]),
    ],
)
def test_recurrent_layers_are_one_op(name: str, layers: list[str]) -> None:
    """But for what ONNX's ops can't do: peepholes, projections, clips, other activations."""
    assert sorted(node.op for node in nodes(name, "LSTM", "GRU", "Loop")) == layers


@pytest.mark.parametrize(
    "name",
    # Where a sequence is empty, onnxruntime before 1.24 leaves what ReverseSequence makes of it as memory was.
    ["v1-dynamic_lstm", "v2-keras_gru", pytest.param("v1-sequence_lengths", marks=needs_recent_runtime)],
)
def test_left_out_they_stay_loops(name: str) -> None:
    kind, case = CASES[name]
    graph = lower(source(name), case["inputs"], case["outputs"], without=["recurrent"])
    assert not {"LSTM", "GRU"} & {node.op for node in graph}
    with np.load(HERE / kind / f"{case['name']}.npz") as arrays:
        for run in case["runs"]:
            found = run_graph(graph, {value: arrays[key] for value, key in run["feeds"].items()})
            for value, key in run["fetches"].items():
                assert_same(found[value], arrays[key])


def test_a_body_sees_weights_from_outside() -> None:
    graph = lowered("v2-keras_lstm")
    model = model_of(graph)
    names = [item.name for item in model.graph.initializer]
    assert len(names) == len(set(names))


def test_names_are_unique_in_the_whole_model() -> None:
    for name in ("v1-loop_in_conditional", "v2-nested", "v2-conditional", "v1-sequence_lengths"):
        model = model_of(lowered(name))
        made: list[str] = []
        stack = [model.graph]
        while stack:
            graph = stack.pop()
            made += [item.name for item in (*graph.input, *graph.initializer)]
            for node in graph.node:
                made += [value for value in node.output if value]
                stack += [attr.g for attr in node.attribute if attr.HasField("g")]
        assert len(made) == len(set(made))
