"""Graphs and SavedModels that are wrong, from the command line: one line that says what, and nothing written."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tensorferry import api
from tensorferry.formats import protos
from tensorferry.formats.errors import UnsupportedError
from tensorferry.formats.wire import head
from tests.cli import ferried, refused
from tests.fixture import FIXTURES, HOME

FLOAT, STRING_NUMBER = 1, 7


def graph_of(*nodes: dict[str, Any]) -> Any:
    """A GraphDef; `T` and the like are numbers of types."""
    graph = protos.message_class("GraphDef")()
    for node in nodes:
        made = graph.node.add(name=node["name"], op=node["op"], input=node.get("inputs", ()))
        for key, value in node.items():
            if key not in ("name", "op", "inputs"):
                made.attr[key].type = value
    return graph


def saved(path: Path, graph: Any) -> Path:
    path.write_bytes(graph.SerializeToString())
    return path


X = {"name": "x", "op": "Placeholder", "dtype": FLOAT}


def neg(name: str, *inputs: str) -> dict[str, Any]:
    return {"name": name, "op": "Neg", "inputs": inputs, "T": FLOAT}


def refused_untouched(folder: Path, *words: object) -> str:
    """The error, after which the directory is as it was."""
    before = sorted(folder.rglob("*"))
    line = refused(*words)
    assert sorted(folder.rglob("*")) == before
    return line


def test_all_missing_variables_are_listed(tmp_path: Path) -> None:
    meta = protos.parse("MetaGraphDef", (HOME / "add" / "model.ckpt.meta").read_bytes(), "")
    for node in list(meta.graph_def.node):
        if node.op == "VariableV2":
            copy = meta.graph_def.node.add()
            copy.CopyFrom(node)
            copy.name += "_gone"
    sums = meta.graph_def.node.add(name="sum", op="AddN", input=["v1_gone", "v2_gone", "add"])
    sums.attr["N"].i, sums.attr["T"].type = 3, FLOAT
    for file in (HOME / "add").glob("model.ckpt.*"):
        shutil.copy(file, tmp_path)
    saved(tmp_path / "model.ckpt.meta", meta)
    line = refused_untouched(tmp_path, "convert", tmp_path / "model.ckpt", tmp_path / "out.pb", "--outputs", "sum:0")
    assert line.startswith("v1_gone, v2_gone: not in the checkpoint; it has: v1, v2")


def test_stale_colocations_are_dropped(tmp_path: Path) -> None:
    graph = graph_of(X, neg("y", "x"))
    graph.node[1].attr["_class"].list.s.extend([b"loc:@gone", b"loc:@x"])
    ferried("convert", saved(tmp_path / "in.pb", graph), tmp_path / "out.pb", "--outputs", "y:0")
    frozen = protos.parse("GraphDef", (tmp_path / "out.pb").read_bytes(), "")
    assert list(frozen.node[1].attr["_class"].list.s) == [b"loc:@x"]


def test_a_control_input_on_a_node_that_there_is_not(tmp_path: Path) -> None:
    path = saved(tmp_path / "in.pb", graph_of(X, neg("y", "x", "^gone"), neg("elsewhere", "lost")))
    for target in ("out.pb", "out.onnx"):
        line = refused_untouched(tmp_path, "convert", path, tmp_path / target, "--outputs", "y:0")
        assert line == "expected every input to be in the graph, got none of the name: '^gone' of y"


@pytest.mark.parametrize("name", ["mnist/model.ckpt", "encoder/model.ckpt", "ema_control/model.ckpt", "tables_v1"])
@pytest.mark.parametrize("clean", [False, True])
def test_no_input_of_a_frozen_graph_is_left_behind(tmp_path: Path, name: str, clean: bool) -> None:
    folder = name.partition("/")[0]
    outputs = FIXTURES[folder].outputs if folder in FIXTURES else None
    api.convert(HOME / name, tmp_path / "out.pb", outputs=outputs, clean=clean)
    nodes = protos.parse("GraphDef", (tmp_path / "out.pb").read_bytes(), "").node
    names = {node.name for node in nodes}
    for node in nodes:
        assert {value.lstrip("^").partition(":")[0] for value in node.input} <= names
        assert {place[5:].decode() for place in node.attr["_class"].list.s} <= names


def test_cycles(tmp_path: Path) -> None:
    path = saved(tmp_path / "in.pb", graph_of(X, neg("a", "c"), neg("b", "a"), neg("c", "b", "^x")))
    for target in ("out.pb", "out.onnx"):
        line = refused_untouched(tmp_path, "convert", path, tmp_path / target, "--outputs", "c:0")
        assert ": expected no cycle, got one of 3 nodes: " in line
    assert ": expected no cycle, got one of 3 nodes: " in refused("run", path, "--outputs", "c:0")
    assert "Neg 3" in ferried("inspect", path).out


def test_an_op_that_nobody_knows(tmp_path: Path) -> None:
    """It is frozen as it is, for whoever knows it; it can't be run, or become ONNX."""
    path = saved(tmp_path / "in.pb", graph_of(X, {"name": "y", "op": "MyOwnOp", "inputs": ["x"], "T": FLOAT}))
    ferried("convert", path, tmp_path / "out.pb", "--outputs", "y:0")
    assert (tmp_path / "out.pb").exists()
    assert "MyOwnOp" in refused_untouched(tmp_path, "convert", path, tmp_path / "out.onnx", "--outputs", "y:0")
    alone = saved(tmp_path / "alone.pb", graph_of({"name": "y", "op": "MyOwnOp"}))
    assert refused("run", alone, "--outputs", "y:0") == "evaluation: no kernel for MyOwnOp (1: y)"
    assert "MyOwnOp 1" in ferried("inspect", path).out


def test_a_function_that_calls_itself(tmp_path: Path) -> None:
    graph = graph_of(X, {"name": "y", "op": "PartitionedCall", "inputs": ["x"]})
    function = graph.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="a", type=FLOAT)
    function.signature.output_arg.add(name="r", type=FLOAT)
    function.node_def.add(name="again", op="PartitionedCall", input=["a"])
    function.ret["r"] = "again:output:0"
    for call in (graph.node[1], function.node_def[0]):
        call.attr["f"].func.name = "f"
        call.attr["Tin"].list.type.append(FLOAT)
        call.attr["Tout"].list.type.append(FLOAT)
    path = saved(tmp_path / "in.pb", graph)
    for target in ("out.pb", "out.onnx"):
        line = refused_untouched(tmp_path, "convert", path, tmp_path / target, "--outputs", "y:0")
        assert line == "y/again: expected functions that end, got a ring: f -> f"
    ferried("inspect", path)


def test_a_long_chain_takes_time_and_memory_in_proportion(tmp_path: Path) -> None:
    """No recursion, and nothing that is quadratic: 20,000 nodes in a row, one behind the other."""
    with (tmp_path / "in.pb").open("wb") as file:
        for node in graph_of(X, neg("n0", "x")).node:
            encoded = node.SerializeToString()
            file.write(head(1, len(encoded)) + encoded)
        for index in range(1, 20_000):
            encoded = graph_of(neg(f"n{index}", f"n{index - 1}")).node[0].SerializeToString()
            file.write(head(1, len(encoded)) + encoded)
    start = time.process_time()
    report = api.convert(tmp_path / "in.pb", tmp_path / "out.pb", outputs=["n19999:0"])
    assert report.nodes == (20_001, 20_001)
    assert time.process_time() - start < 60
    assert api.inspect(tmp_path / "in.pb").outputs[0].value == "n19999:0"


def huge() -> Any:
    """A Const of 20 bytes that claims 10**12 elements, and a sum of it."""
    graph = graph_of(X, {"name": "huge", "op": "Const", "dtype": FLOAT}, {"name": "y", "op": "AddV2", "T": FLOAT})
    tensor = graph.node[1].attr["value"].tensor
    tensor.dtype = FLOAT
    tensor.tensor_shape.dim.add(size=10**12)
    tensor.float_val.append(1.5)
    graph.node[2].input.extend(["huge", "x"])
    return graph


def test_a_constant_that_claims_a_trillion_elements(tmp_path: Path) -> None:
    path = saved(tmp_path / "in.pb", huge())
    ferried("convert", path, tmp_path / "out.pb", "--outputs", "y:0", "--clean")
    frozen = protos.parse("GraphDef", (tmp_path / "out.pb").read_bytes(), "")
    assert frozen.node[1].attr["value"].tensor.float_val == [1.5]
    assert "Const 1" in ferried("inspect", path).out
    for target in ("out.safetensors", "out.npz", "out.onnx"):
        words = ["--outputs", "y:0"] if target == "out.onnx" else []
        line = refused_untouched(tmp_path, "convert", path, tmp_path / target, *words)
        assert ": expected room for 4000000000000 bytes, got " in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tag", "gpu"], "--tag gpu: expected one MetaGraph of {} with that tag, got 0 of: serve, train"),
        (["--signature", "other"],
         "--signature other: expected a signature of {}/saved_model.pb, which has: serving_default"),
        (["--tag", "train", "--signature", "serving_default"],
         "--signature serving_default: expected a signature of {}/saved_model.pb, which has: doubled"),
    ],
)  # fmt: skip
def test_a_tag_or_signature_that_a_saved_model_lacks(tmp_path: Path, words: list[str], message: str) -> None:
    source = HOME / "saved_model"
    line = refused_untouched(tmp_path, "convert", source, tmp_path / "out.pb", *words)
    assert line == message.format(source)


def test_a_vocabulary_that_climbs_out_of_its_directory(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(HOME / "tables_v2", model)
    (tmp_path / "secret").write_text("key\n")
    message = protos.parse("SavedModel", (model / "saved_model.pb").read_bytes(), "")
    for asset in message.meta_graphs[0].asset_file_def:
        asset.filename = "../../secret"
    saved(model / "saved_model.pb", message)
    line = refused_untouched(tmp_path, "convert", model, tmp_path / "out.pb")
    assert line.endswith("/assets: expected an asset's name below the directory, got '../../secret'")


def test_a_vocabulary_that_is_missing(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(HOME / "tables_v1", model)
    (model / "assets" / "vocabulary.txt").unlink()
    line = refused_untouched(tmp_path, "convert", model, tmp_path / "out.onnx")
    assert line == f"{model}/assets/vocabulary.txt: expected the asset that the graph names, got no such file"


def test_options_for_frozen_graphs_only(tmp_path: Path) -> None:
    for option in ("--clean", "--fold-constants", "--fold-batch-norm"):
        line = refused_untouched(tmp_path, "convert", HOME / "saved_model", tmp_path / "out.onnx", option)
        assert line == f"{option}: means nothing for onnx"


@pytest.mark.parametrize("target", ["out.pb", "out.pbtxt"])
def test_a_graph_above_2_gib_is_refused_before_a_weight_is_read(tmp_path: Path, target: str) -> None:
    """A variable of 3 GiB, whose values nobody may ask for."""
    from tensorferry.converters.ir import Graph, Node, Shape
    from tensorferry.converters.jobs.convert_graph import GraphDefJob
    from tensorferry.converters.jobs.freeze_model import freeze_model
    from tensorferry.converters.jobs.options import Options
    from tensorferry.converters.jobs.report import Report
    from tensorferry.formats.dtype import FLOAT32
    from tensorferry.formats.tensor import FileTensor

    shape = (805_306_368,)
    graph = Graph.of([
        Node("v", "VariableV2", (), {"dtype": FLOAT32, "shape": Shape(shape)}),
        Node("y", "Neg", ("v",), {"T": FLOAT32}),
    ])  # fmt: skip
    model = api.load_model(saved(tmp_path / "in.pb", graph_of(X)))
    model.graph, model.tensors = graph, {"v": FileTensor(FLOAT32, shape, tmp_path / "gone", 0)}
    frozen = freeze_model(model, Options(outputs=["y:0"]), Report("", "", "graphdef"))
    with pytest.raises(UnsupportedError) as caught:
        GraphDefJob(frozen, text=target.endswith("txt")).destinations(str(tmp_path / target))
    assert str(caught.value) == (
        f"{tmp_path / target}: a graph of 2 GiB or more is no protobuf message (write ONNX, which keeps large tensors "
        "in a file beside the model, or the tensors alone as safetensors)"
    )
